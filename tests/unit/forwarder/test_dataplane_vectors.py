"""Golden frames: the computed vectors, and what a real module did with one port."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent._fast.forwarding import DROP_REASONS, Datapath, checksum
from agent.sandesh import decode
from tests.unit.forwarder.dataplane_rig import apply, new_datapath

VECTORS = Path(__file__).parents[2] / "vectors"
COMPUTED = [json.loads(line) for line in (VECTORS / "datapath.jsonl").open()]
SCENARIO = [json.loads(line) for line in (VECTORS / "kernel-scenario.jsonl").open()]
ETHERNET, IP, PARAMS = 14, 20, slice(14 + 14, 14 + 27)


def masked(frame: bytes, ignore: list[str]) -> bytes:
    """The frame without what a vector leaves open; the outer checksum must be right."""
    content = bytearray(frame)
    for what in ignore:
        if what == "outer.ip.id":
            content[18:20] = b"\0\0"
        elif what == "outer.ip.checksum":
            assert checksum(frame[ETHERNET : ETHERNET + IP]) == 0
            content[24:26] = b"\0\0"
        elif what == "outer.udp.sport":
            assert int.from_bytes(frame[34:36], "big") >= 49152
            content[34:36] = b"\0\0"
        else:
            assert what == "agent_hdr.param_2..5"
            content[PARAMS] = bytes(13)
    return bytes(content)


@pytest.mark.parametrize("vector", COMPUTED, ids=lambda vector: vector["name"])
def test_computed_vector(vector: dict[str, Any]) -> None:
    datapath = new_datapath()
    for message in vector["state"]:
        assert apply(datapath, message["struct"], message["fields"]) == 0, message
    assert datapath.inject(vector["in"]["vif"], bytes.fromhex(vector["in"]["hex"])) == 0
    ignore = vector["ignore"]
    expected = [
        (out.get("vif", 2), masked_expectation(bytes.fromhex(out["hex"]), ignore))
        for out in vector["out"]
    ]
    sent = [(vif, masked(frame, ignore)) for vif, frame, _ in datapath.captured()]
    assert sent == expected


def masked_expectation(frame: bytes, ignore: list[str]) -> bytes:
    """The same mask without its checks: the vector's own fields are placeholders."""
    content = bytearray(frame)
    spans = {
        "outer.ip.id": slice(18, 20),
        "outer.ip.checksum": slice(24, 26),
        "outer.udp.sport": slice(34, 36),
        "agent_hdr.param_2..5": PARAMS,
    }
    for what in ignore:
        span = spans[what]
        content[span] = bytes(span.stop - span.start)
    return bytes(content)


# --- the recording of a real module -------------------------------------------------------

NETLINK_HEADERS = 24
CODES = {"vr_interface_req", "vr_nexthop_req", "vr_route_req", "vr_mpls_req"}


def recorded_answers(line: int) -> list[int]:
    """resp_code of the datagrams that follow a request, one for each message in it."""
    codes: list[int] = []
    for later in SCENARIO[line + 1 :]:
        if later.get("dir") != "rx":
            break
        codes = [
            message["fields"].get("resp_code", 0)
            for message in later.get("decoded") or []
            if message["struct"] == "vr_response"
        ] or codes
    return codes


def program(datapath: Datapath, upto: str) -> list[tuple[str, list[int], list[int]]]:
    """Replays the requests before the step `upto`: (what, answers here, recorded)."""
    steps = []
    for number, line in enumerate(SCENARIO):
        if line["what"] == upto:
            break
        if line.get("dir") != "tx":
            continue
        messages = decode(bytes.fromhex(line["hex"])[NETLINK_HEADERS:])
        if messages[0][0] in CODES:
            answers = [apply(datapath, name, fields) for name, fields in messages]
            steps.append((line["what"], answers, recorded_answers(number)))
    return steps


@pytest.fixture
def recorded() -> Datapath:
    """The router as the recording's requests left it before the VM's first frame."""
    datapath = new_datapath()
    steps = program(datapath, "vm sends")
    # The kernel looks for the uplink by OS index; the first attempt named none.
    wrong = [step for step in steps if step[1] != step[2] and step[0] != "vif add vhost0"]
    assert wrong == []
    return datapath


def step(note: str, what: str) -> bytes:
    (line,) = [line for line in SCENARIO if line["what"] == what and line.get("note") == note]
    return bytes.fromhex(line["hex"])


def frames(what: str) -> list[bytes]:
    (line,) = [line for line in SCENARIO if line["what"] == what]
    return [bytes.fromhex(text) for text in line["out"].split()]


ARP_NOTES = [
    "arp for the gateway, route flags P, encap nexthop of the vm itself",
    "arp for 15.0.0.9, route flags LP via tunnel",
    "arp for 15.0.0.7, covered by the subnet route, flags P, discard",
]


@pytest.mark.parametrize("number", range(3), ids=["gateway", "remote", "subnet"])
def test_recorded_arp_is_answered_alike(recorded: Datapath, number: int) -> None:
    recorded.inject(3, step(ARP_NOTES[number], "vm sends"))
    assert [(vif, frame) for vif, frame, _ in recorded.captured()] == [
        (3, frames("vm received")[number])
    ]


def test_recorded_gratuitous_arp_is_kept_quiet(recorded: Datapath) -> None:
    recorded.inject(3, step("gratuitous arp of the vm", "vm sends"))
    assert recorded.captured() == []


def test_recorded_router_solicitation_is_trapped(recorded: Datapath) -> None:
    expected = bytes.fromhex(
        next(line["hex"] for line in SCENARIO if line["what"].startswith("at pkt0 after: arp"))
    )
    recorded.inject(3, expected[44:])
    assert [(vif, frame) for vif, frame, _ in recorded.captured()] == [(2, expected)]


def test_recorded_unknown_label_is_dropped(recorded: Datapath) -> None:
    recorded.inject(0, step("MPLSoUDP, unknown label 999", "fabric sends"))
    assert recorded.captured() == []
    drops = dict(zip(DROP_REASONS, recorded.drop_stats(), strict=True))
    assert drops["invalid_label"] == 1


def test_recorded_deletes_answer_alike(recorded: Datapath) -> None:
    steps = program(new_datapath(), "end of the recording")
    deletes = [step for step in steps if "delete" in step[0]]
    assert [(what, here) for what, here, _ in deletes] == [
        (what, there) for what, _, there in deletes
    ]
    assert len(deletes) == 4
