"""Numbers of a run before come to the same objects, though the datapath knows nothing of them."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from agent.backup import decode, encode, resources, restored
from agent.daemon import backup
from agent.daemon.backup import BackupShell
from agent.daemon.replay import replay
from agent.inputs import Link
from agent.io.backup import BackupDirectory
from agent.objects import Kind, Numbered
from agent.record import MAGIC, Packer, Writer
from agent.settings import parse
from agent.telemetry.meters import FileMeter
from agent.values import Mac
from tests.unit.daemon.scripted import Life

FORWARDS, BACKWARDS = ("red1", "red2"), ("red2", "red1")


def begun(rows: list[Numbered] | None = None) -> Life:
    """An agent on an empty datapath, with the numbers of a run before."""
    agent = Life()
    if rows is not None:
        agent.core.restore(rows)
    names = ["fabric0", *(agent.vms[name].tap for name in FORWARDS)]
    macs = [Mac(bytes((2, 0, 0, 0, 1, at))) for at in range(len(names))]
    agent.core.links([Link(name, 10 + at, macs[at], True) for at, name in enumerate(names)], [])
    agent.core.listed()
    agent.core.session.connected(agent.now())
    agent.turn()
    return agent


def lived(order: tuple[str, ...], rows: list[Numbered] | None = None) -> Life:
    agent = begun(rows)
    for name in order:
        agent.plug(name)
    return agent


def numbers(agent: Life) -> set[Numbered]:
    return set(agent.core.compiler.numbered())


def test_the_same_numbers_in_any_order_after_datapath_and_agent_were_lost() -> None:
    before = numbers(lived(FORWARDS))
    assert {row.kind for row in before} == {Kind.VIF, Kind.NEXTHOP, Kind.LABEL, Kind.VRF}
    rows = decode(encode(before, 1))
    assert numbers(lived(BACKWARDS, rows)) == before
    assert numbers(lived(BACKWARDS)) != before


def reference(agent: Life) -> list[Numbered]:
    """What the reference agent has written down of both ports: numbers that are none of ours."""
    vms = [agent.vms[name] for name in FORWARDS]
    vrf = "default-domain:default-project:red:red"
    every = "0-ff:ff:ff:ff:ff:ff-0.0.0.0/32"
    kinds = ((True, 1), (False, 1), (False, 5), (False, 2), (True, 2))
    records = (
        resources.VmInterfaceIndexResourceMapSandesh(
            index_map={
                90 + at: resources.VmInterfaceIndexResource(
                    uuid=str(vm.port), interface_name=vm.tap
                )
                for at, vm in enumerate(vms)
            }
        ),
        resources.VrfIndexResourceMapSandesh(
            index_map={70: resources.VrfIndexResource(vrf_name=vrf)}
        ),
        resources.InterfaceIndexResourceMapSandesh(
            index_map={
                1000 + 10 * at + kind: resources.InterfaceIndexResource(
                    type="vm", uuid=str(vm.port), name=vm.tap, policy=policy, flags=flags,
                    mac=str(vm.mac),
                )
                for at, vm in enumerate(vms)
                for kind, (policy, flags) in enumerate(kinds)
            }
        ),
        resources.VrfMplsResourceMapSandesh(
            index_map={900: resources.VrfMplsResource(name=vrf, bridge_nh=True)}
        ),
        resources.RouteMplsResourceMapSandesh(
            index_map={901: resources.RouteMplsResource(vrf_name=vrf, route_prefix=every)}
        ),
    )  # fmt: skip
    return [row for record in records for row in restored(record.encode()).rows]


def test_numbers_of_the_reference_agent_come_to_the_same_objects() -> None:
    rows = reference(Life())
    found = {(row.kind, row.number) for row in numbers(lived(BACKWARDS, rows))}
    for kind in (Kind.VIF, Kind.VRF, Kind.LABEL):
        wanted = {(row.kind, row.number) for row in rows if row.kind is kind}
        assert wanted <= found
    labels = {number for kind, number in found if kind is Kind.LABEL}
    assert {number for number in labels if number >= 900} == {
        900, 901, *range(1000, 1005), *range(1010, 1015),
    }  # fmt: skip


def test_what_is_not_used_any_more_is_free_after_the_audit() -> None:
    rows = list(numbers(lived(FORWARDS)))
    agent = lived(("red2",), rows)
    kept = numbers(agent)
    assert kept == set(rows)
    due = agent.core.deadline(agent.now())
    assert due is not None
    assert due > 15.0
    agent.core.turn(due - 0.1)
    assert numbers(agent) == kept
    agent.core.turn(due)
    assert agent.core.deadline(due) is None
    left = numbers(agent)
    assert left < kept
    red1 = agent.vms["red1"].tap
    assert {row.kind for row in kept - left} == {Kind.VIF, Kind.NEXTHOP, Kind.LABEL}
    assert all(red1 in row.text for row in kept - left)


def test_numbers_of_nonsense_do_no_harm() -> None:
    rows = [Numbered(kind, 2**32 - 1, text) for kind in Kind for text in ("", '"x"', "[]")]
    agent = lived(FORWARDS, rows)
    agent.core.turn(100.0)
    agent.core.turn(200.0)
    assert numbers(agent) == numbers(lived(FORWARDS))


def test_a_recording_has_them() -> None:
    rows = sorted(numbers(lived(FORWARDS)), key=str)
    agent = lived(BACKWARDS, rows)
    agent.end()
    writer = Writer()
    for event, now in agent.calls:
        writer.append(event, now)
    result = replay(io.BytesIO(MAGIC + Packer().block(writer.buffer)))
    assert result.faithful
    assert result.ended
    assert (result.crashes, result.problem) == (0, None)


def shell(agent: Life, folder: Path, idle: int, meter: FileMeter | None = None) -> BackupShell:
    text = f"[RESTART]\nbackup_enable = 1\nbackup_dir = {folder}\nbackup_idle_timeout = {idle}\n"
    return BackupShell(agent.core, parse(text), meter)


async def test_they_are_written_when_nothing_changes_any_more(tmp_path: Path) -> None:
    agent = begun()
    one = shell(agent, tmp_path, 1)
    agent.plug("red1")
    one.follow()
    async with asyncio.timeout(10):
        while not list(tmp_path.glob("vrouter_agent_numbers-*")):
            await asyncio.sleep(0.001)
    await one.close()
    assert set(BackupDirectory(tmp_path, 2).read()) == numbers(agent)


async def test_what_waits_is_written_at_the_end(tmp_path: Path) -> None:
    agent = begun()
    one = shell(agent, tmp_path, 3_600_000)
    agent.plug("red1")
    one.follow()
    assert not list(tmp_path.iterdir())
    await one.close()
    again = Life()
    two = shell(again, tmp_path, 3_600_000)
    await two.restore()
    assert numbers(again) == numbers(agent)
    await two.close()


async def test_what_could_not_be_written_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_RETRY", 0.001)
    meter, folder, agent = FileMeter(), tmp_path / "backup", begun()
    folder.touch()
    one = shell(agent, folder, 1, meter)
    agent.plug("red1")
    one.follow()
    async with asyncio.timeout(10):
        while meter.failures < 3:
            await asyncio.sleep(0.001)
        assert (meter.waiting, meter.reason) == (1, f"{folder}: File exists")
        folder.unlink()
        while meter.waiting:
            await asyncio.sleep(0.001)
    assert set(BackupDirectory(folder, 2).read()) == numbers(agent)
    await one.close()


async def test_the_end_tries_once_more(tmp_path: Path) -> None:
    meter, folder, agent = FileMeter(), tmp_path / "backup", begun()
    folder.touch()
    one = shell(agent, folder, 1, meter)
    agent.plug("red1")
    one.follow()
    async with asyncio.timeout(10):
        while not meter.failures:
            await asyncio.sleep(0.001)
    folder.unlink()
    await one.close()
    assert set(BackupDirectory(folder, 2).read()) == numbers(agent)
    assert meter.waiting == 0


@pytest.mark.parametrize("text", ["", "[RESTART]\nrestore_enable = 0\n"])
async def test_nothing_is_read_or_written_unasked(tmp_path: Path, text: str) -> None:
    BackupDirectory(tmp_path, 2).write([Numbered(Kind.VRF, 9, '"x"')], 1)
    agent = begun()
    settings = parse(f"{text or '[RESTART]'}\nbackup_dir = {tmp_path}\n")
    one = BackupShell(agent.core, settings)
    await one.restore()
    agent.plug("red1")
    one.follow()
    await one.close()
    assert len(list(tmp_path.iterdir())) == 1
    assert not any(row.number == 9 and row.kind is Kind.VRF for row in numbers(agent))
