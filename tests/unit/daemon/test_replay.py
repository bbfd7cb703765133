"""Recordings that were kept, damaged and made up, played again."""

from __future__ import annotations

import io
import json
import random
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import msgspec
import pytest

from agent.__main__ import main
from agent.daemon.player import Player
from agent.daemon.replay import EINVAL, Result, replay
from agent.daemon.state import digest, state
from agent.daemon.until import Until
from agent.errors import RecordingError
from agent.record import MAGIC, Packer, Reader, Recorded, Writer, events
from agent.record.events import Event
from tests.unit.daemon.scripted import life

KEPT = Path(__file__).parents[2] / "vectors/recordings"
EXPECTED = json.loads((KEPT / "expected.json").read_text())
TOLD = {"vif", "nexthop", "label", "vxlan", "vrf", "route", "bridge", "joined VRF", "exported"}
LIFE = "life"
PEER = events.Peer(IPv4Address("10.0.0.250"), 5269)


def played(name: str, until: Until | None = None) -> Result:
    with (KEPT / name).open("rb") as file:
        return replay(file, until)


def recorded(name: str) -> list[Recorded]:
    with (KEPT / name).open("rb") as file:
        return list(Reader(file.read))


def written(path: Path, calls: list[tuple[Event, float]]) -> Path:
    writer = Writer()
    for event, now in calls:
        writer.append(event, now)
    path.write_bytes(MAGIC + Packer().block(writer.buffer))
    return path


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A recording with its events changed: a kept one, or that of the scripted life."""

    def change(name: str, by: Callable[[Recorded], list[Event]]) -> Path:
        ones = lived() if name == LIFE else recorded(name)
        calls = [(event, one.now) for one in ones for event in by(one)]
        return written(tmp_path / "changed.rec", calls)

    return change


@pytest.fixture
def alive(tmp_path: Path) -> Path:
    """The recording of the scripted life."""
    return written(tmp_path / "life.rec", life())


def lived() -> list[Recorded]:
    return [Recorded(number, now, event) for number, (event, now) in enumerate(life(), 1)]


def test_a_life_is_replayed_to_the_byte(alive: Path) -> None:
    """Nothing else is sent than then, and the same is desired."""
    with alive.open("rb") as file:
        result = replay(file)
    assert result.faithful
    assert result.ended
    assert (result.crashes, result.problem) == (0, None)
    vifs = [row for row in result.rows if row.section == "vif"]
    assert len(vifs) == 4  # the fabric, vhost0, pkt0 and one VM
    ended = life()[-1][0]
    assert isinstance(ended, events.Ended)
    assert ended.outputs != 0
    assert result.digest == ended.digest


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_kept_recording_leads_to_what_it_led_to(name: str) -> None:
    result = played(name)
    expected = EXPECTED[name]
    counts = Counter(row.section for row in result.rows if row.section in TOLD)
    assert result.problem is None
    assert result.crashes == 0
    assert result.events == expected["events"]
    assert result.ended is expected["ended"]
    assert counts == expected["counts"]
    assert result.digest == expected["digest"]


def test_all_kept_recordings_are_expected() -> None:
    assert sorted(path.name for path in KEPT.glob("*.rec")) == sorted(EXPECTED)
    assert sum(path.stat().st_size for path in KEPT.iterdir()) < 200_000


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_state_is_the_same_wherever_a_replay_stops(name: str) -> None:
    """At each hundredth event one core stands where another one, stopped there, stands."""
    calls = recorded(name)
    first = calls[0]
    assert isinstance(first.event, events.Started)
    player = Player(first.event, first.now)
    for one in calls[1:]:
        if isinstance(one.event, events.Ended):
            break
        player.play(one.event, one.now)
        if one.number % 100 == 0:
            player.finish()
            result = played(name, Until(number=one.number))
            assert result.events == one.number
            rows, sum_ = state(player.core), digest(player.core)
            assert (result.rows, result.digest) == (rows, sum_)


def test_until_a_time() -> None:
    """The loop's clock lags: a replay stops before the first event that is too late."""
    calls = recorded("controllers.rec")
    seconds = calls[len(calls) // 2].now - calls[0].now
    found = played("controllers.rec", Until(seconds=seconds))
    assert len(calls) // 4 < found.events < len(calls)
    assert not found.ended
    latest = max(one.now for one in calls[: found.events])
    assert latest <= calls[0].now + seconds < calls[found.events].now


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("0", Until(number=0)),
        ("120", Until(number=120)),
        ("+4", Until(seconds=4.0)),
        ("+4.25s", Until(seconds=4.25)),
    ],
)
def test_places_to_stop(text: str, until: Until) -> None:
    assert Until.parse(text) == until


@pytest.mark.parametrize("text", ["", "4s", "-1", "+", "4.5", "+1e3", "+-1", "x"])
def test_other_words_are_no_place(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="expected the number of an event"):
        Until.parse(text)


def test_another_end_is_found(changed: Callable[..., Path]) -> None:
    def other(one: Recorded) -> list[Event]:
        if isinstance(one.event, events.Ended):
            return [msgspec.structs.replace(one.event, digest="0" * 64)]
        return [one.event]

    with changed(LIFE, other).open("rb") as file:
        result = replay(file)
    assert result.findings == ["the state at the end is not the recorded one"]
    assert not result.faithful


def test_something_else_that_is_sent_is_found(changed: Callable[..., Path]) -> None:
    """What depends on a lost event is not sent, which shows at a turn behind it."""
    received = [one.number for one in lived() if isinstance(one.event, events.DatapathReceived)]
    path = changed(LIFE, lambda one: [] if one.number == received[2] else [one.event])
    with path.open("rb") as file:
        result = replay(file)
    assert not result.faithful
    assert "something else was sent than recorded" in result.findings[0]
    assert received[2] <= int(result.findings[0].split()[2])


def test_what_an_event_raises_is_told_and_the_rest_played(
    changed: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch of more packets than there are: as the loop would have, the replay goes on."""

    def with_a_bad_one(one: Recorded) -> list[Event]:
        bad = [events.Trapped((b"x",) * 65)] if one.number == 40 else []
        return [one.event, *bad]

    with changed(LIFE, with_a_bad_one).open("rb") as file:
        result = replay(file)
    assert result.crashes == 1
    assert result.ended
    error = capsys.readouterr().err
    assert "event 41 (Trapped) raised:" in error
    assert "does not fit into the batch" in error
    assert result.faithful


@pytest.mark.parametrize(
    "event",
    [
        events.ControllerReceived(PEER, b"<nonsense"),
        events.ControllerFault(PEER, 9, "malformed XML"),
        events.ControllerConnected(PEER),
        events.ControllerLost(PEER, "gone"),
        events.ControllerDrained(events.Peer(IPv4Address("1.2.3.4"), 1)),
        events.DatapathReceived(b"\xff" * 100),
        events.DatapathConnected(),
        events.DatapathSaid(),
        events.Reloaded(events.Sources("x", "[DEFAULT]\nrest_port = x\n", None, "h")),
        events.PortsStored((("a", b"{"), ("vm/b/c", b"[]")), ()),
        events.GatewaysRemoved(("none",)),
        events.Trapped((b"", b"x" * 4096)),
        events.Relayed(b"\x02" * 300, IPv4Address("10.0.0.9")),
    ],
    ids=lambda event: type(event).__name__,
)
@pytest.mark.parametrize("place", [1, 30, 200])
def test_an_event_out_of_place_ends_nothing(
    changed: Callable[..., Path], event: Event, place: int
) -> None:
    path = changed(
        "controllers.rec",
        lambda one: [one.event, event] if one.number == place else [one.event],
    )
    with path.open("rb") as file:
        result = replay(file)
    assert result.ended
    assert result.rows


def test_a_stanza_that_never_came_is_a_finding(changed: Callable[..., Path]) -> None:
    path = changed(
        "controllers.rec",
        lambda one: [one.event, *([events.ControllerStanza(PEER, 1)] if one.number == 10 else [])],
    )
    with path.open("rb") as file:
        result = replay(file)
    assert "event 11: 10.0.0.250: no stanza is complete where one was" in result.findings


@pytest.mark.parametrize("seed", range(8))
def test_events_lost_doubled_and_in_disorder_end_nothing(
    changed: Callable[..., Path], seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = random.Random(seed)
    calls = recorded("controllers.rec")

    def disturb(one: Recorded) -> list[Event]:
        if one.number == 1 or isinstance(one.event, events.Ended) or noise.random() < 0.9:
            return [one.event]
        return noise.choice([[], [one.event] * 2, [noise.choice(calls[1:-1]).event, one.event]])

    with changed("controllers.rec", disturb).open("rb") as file:
        result = replay(file)
    assert result.ended
    assert result.rows
    assert capsys.readouterr().err.count(" raised:") == result.crashes


def test_a_recording_without_a_beginning_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "one.rec", [(events.Listed(), 1.0)])
    with path.open("rb") as file, pytest.raises(RecordingError, match="has no beginning"):
        replay(file)
    with pytest.raises(RecordingError, match="has no beginning"):
        replay(io.BytesIO(MAGIC))


# The command


def test_the_state_as_text_and_as_json(alive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(alive)]) == 0
    shown = capsys.readouterr()
    assert "the recorded one" in shown.err
    lines = shown.out.splitlines()
    assert [line for line in lines if line.startswith("vif ") and "vhost0" in line]
    assert main(["replay", str(alive), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["digest"] == life()[-1][0].digest
    assert sum(map(len, found["state"].values())) == len(lines)


def test_a_difference_in_words(alive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = str(alive), str(KEPT / "controllers.rec")
    assert main(["replay", one, "--diff", one]) == 0
    assert capsys.readouterr().out == ""
    assert main(["replay", one, "--diff", other]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert {line[0] for line in lines} == {"-", "+", "~"}
    changed = [line for line in lines if line.startswith("~ vif ")]
    assert any(" -> " in line for line in changed)
    assert main(["replay", one, "--diff", other, "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)) == len(lines)


def test_the_events_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(KEPT / "killed.rec"), "--events", "--until", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("1 +0.000000 Started(version=")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"{}", "not a recording of vrouter-agent"),
        (MAGIC[:-1] + b"\x02", "recording format 2, this program reads 1"),
        (MAGIC, "the recording has no beginning"),
    ],
)
def test_unusable_files_are_named(
    content: bytes | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.rec"
    if content is not None:
        path.write_bytes(content)
    assert main(["replay", str(path)]) == EINVAL
    assert f"vrouter-agent replay: {path}: " in (error := capsys.readouterr().err)
    assert words in error
