"""The recording of one port's life on a real module, replayed whole, flows included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.sandesh import decode
from tests.unit.forwarder.dataplane_rig import apply, new_datapath
from tests.unit.forwarder.test_dataplane_vectors import CODES, masked, masked_expectation

SCENARIO = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "vectors" / "kernel-scenario.jsonl").open()
]
NETLINK_HEADERS, PKT0_HEADERS = 24, 44
FABRIC, AGENT, VM = 0, 2, 3
FLOW_ENTRIES, FLOW_OVERFLOW = 524288, 105472
LEFT_OPEN = ["outer.ip.id", "outer.ip.checksum", "outer.udp.sport"]
OS_INDEX_ONLY = 8
"""The step that the module refused for a number of the host's, which means nothing here."""


class Replay:
    """A router that gets what the module got; keeps what it sent, by vif."""

    def __init__(self) -> None:
        self.dp = new_datapath(
            flow_entries=FLOW_ENTRIES,
            flow_overflow=FLOW_OVERFLOW,
            flow_table=bytearray((FLOW_ENTRIES + FLOW_OVERFLOW) * 256),
        )
        self.sent: dict[int, list[bytes]] = {FABRIC: [], AGENT: [], VM: []}

    def inject(self, vif: int, frame: bytes) -> None:
        assert self.dp.inject(vif, frame) == 0
        self.collect()

    def collect(self) -> None:
        for vif, frame, _ in self.dp.captured():
            self.sent[vif].append(frame)

    def request(self, payload: bytes) -> list[dict[str, Any]]:
        """The answers to the messages of a request, as the recording has them decoded."""
        messages = decode(payload)
        if messages[0][0] == "vr_flow_req":
            answer = self.dp.flow_request(payload)
            assert answer is not None
            self.collect()
            return [fields for _, fields in decode(answer)]
        return [{"resp_code": apply(self.dp, name, fields)} for name, fields in messages]


def recorded_answers(line: int) -> list[dict[str, Any]]:
    """The answers that follow a request; of several datagrams, the last has them all."""
    answers: list[dict[str, Any]] = []
    for later in SCENARIO[line + 1 :]:
        if later.get("dir") != "rx":
            break
        answers = [message["fields"] for message in later.get("decoded") or []] or answers
    return answers


def shown(answers: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Of each answer what must be alike."""
    names = ("resp_code", "fresp_index", "fresp_gen_id", "fresp_bytes", "fresp_packets")
    return [tuple(answer.get(name, 0) for name in names) for answer in answers]


@pytest.fixture(scope="module")
def replay() -> Replay:
    """After the last step; every step's answer was that of the module."""
    replay = Replay()
    for number, line in enumerate(SCENARIO):
        match line:
            case {"what": "vm sends"}:
                replay.inject(VM, bytes.fromhex(line["hex"]))
            case {"what": "fabric sends"}:
                replay.inject(FABRIC, bytes.fromhex(line["hex"]))
            case {"dir": "pkt0", "what": what} if what.startswith("at pkt0 after"):
                # What the host's own stack sent meanwhile.
                replay.inject(VM, bytes.fromhex(line["hex"])[PKT0_HEADERS:])
            case {"dir": "tx"}:
                step(replay, number)
    return replay


def step(replay: Replay, number: int) -> None:
    payload = bytes.fromhex(SCENARIO[number]["hex"])[NETLINK_HEADERS:]
    name = decode(payload)[0][0]
    if name not in CODES | {"vr_flow_req"}:
        return
    answers = replay.request(payload)
    if number != OS_INDEX_ONLY:
        assert shown(answers) == shown(recorded_answers(number)), SCENARIO[number]["what"]


def recorded_frames(what: str) -> list[bytes]:
    (line,) = [line for line in SCENARIO if line["what"] == what]
    return [bytes.fromhex(text) for text in line["out"].split()]


def test_the_agent_sees_what_it_saw(replay: Replay) -> None:
    """The hold entry's trap, byte for byte: index, key nexthop, generation, frame."""
    assert replay.sent[AGENT] == [
        bytes.fromhex(line["hex"]) for line in SCENARIO if line.get("dir") == "pkt0"
    ]


def test_the_fabric_gets_the_held_and_the_second_packet(replay: Replay) -> None:
    assert [masked(frame, LEFT_OPEN) for frame in replay.sent[FABRIC]] == [
        masked_expectation(frame, LEFT_OPEN) for frame in recorded_frames("fabric received")
    ]
    ports = {frame[34:36] for frame in replay.sent[FABRIC]}
    assert len(ports) == 1, "one outer source port a flow"


def test_the_vm_gets_what_it_got(replay: Replay) -> None:
    assert replay.sent[VM] == recorded_frames("vm received")
