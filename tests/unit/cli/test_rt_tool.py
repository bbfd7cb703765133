"""`rt`: rules of its rows that no recorded output has, and what it announces of the kernel."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from agent.cli import netlink, rt, rt_monitor
from agent.cli.render_route import bridge_line, route_line
from agent.errors import UsageError
from agent.sandesh.framing import request_frame
from agent.sandesh.vrouter import VrResponse, VrRouteReq
from tests.netns import own_network
from tests.unit.cli.replay import Datapath, done

MAC = bytes.fromhex("0203eb4be8d8")
ROOT = Path(__file__).parents[3]


def route(prefix: str, length: int, **fields: Any) -> VrRouteReq:
    address = ip_address(prefix)
    return VrRouteReq(
        rtr_vrf_id=2, rtr_family=2 if address.version == 4 else 10, rtr_prefix=address.packed,
        rtr_prefix_len=length, **fields,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("row", "ppl", "expected"),
    [
        (
            route("10.1.1.0", 24, rtr_label_flags=0x1F, rtr_label=1048575, rtr_nh_id=524287),
            24,
            "10.1.1.0/24            24        LPTFMl      1048575         524287        -",
        ),
        (
            route("10.1.1.3", 32, rtr_mac=MAC, rtr_index=48964, rtr_nh_id=24),
            32,
            "10.1.1.3/32            32                       -             24        "
            "2:3:eb:4b:e8:d8(48964)",
        ),
        (
            route("10.1.1.3", 32, rtr_mac=MAC, rtr_index=-1, rtr_nh_id=24),
            0,
            "10.1.1.3/32             0                       -             24        "
            "2:3:eb:4b:e8:d8(-1)",
        ),
        (
            route("2001:db8:1234:5678:9abc::1", 128, rtr_nh_id=1),
            128,
            "2001:db8:1234:5678:9abc::1/128 128                       -              1        -",
        ),
    ],
)
def test_rows(row: VrRouteReq, ppl: int, expected: str) -> None:
    assert route_line(row, ppl) == expected


@pytest.mark.parametrize(
    ("flags", "letters"),
    [(0x2, "L"), (0x4, "Df"), (0x8, "Mm"), (0x10, "L2cMl"), (0x20, "N"), (0x40, "Ec"),
     (0x7E, "LDfMmL2cNEcMl")],
)  # fmt: skip
def test_flags_of_bridge_rows(flags: int, letters: str) -> None:
    row = bridge_line(7, MAC, flags, 100, 22, 12)
    assert row.split()[2] == letters
    assert row.endswith("       22              12")


def test_an_answer_that_is_no_route(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    datapath = Datapath(tmp_path)
    datapath.answer(lambda _: done(VrRouteReq(rtr_family=2, rtr_prefix=b"\1\2")))
    assert rt.main(["--sock-dir", str(tmp_path), "--get", "1.1.1.1", "--vrf", "2"]) == 1
    datapath.close()
    assert "answered with a route that is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "one of the arguments"),
        (["--dump", "1", "--monitor"], "not allowed with"),
        (["--get", "1.1.1.1"], "--get needs --vrf"),
        (["--dump", "1", "--family", "ipx"], "invalid choice"),
    ],
)
def test_misuse(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        rt.main(arguments)
    assert ended.value.code == 1
    assert says in capsys.readouterr().err


ADDED = route("2.2.2.3", 32, rtr_label_flags=3, rtr_label=23, rtr_nh_id=22)
TOLD = {
    "operation": "add", "family": "AF_INET", "vrf_id": 2, "prefix": 32, "address": "2.2.2.3",
    "nh_id": 22,
    "flags": {
        "label_valid": True, "arp_proxy": True, "arp_trap": False, "arp_flood": False,
        "macip_learnt": False,
    },
    "label": 23,
}  # fmt: skip


def test_changes_in_the_words_of_the_original() -> None:
    assert rt_monitor.described(ADDED) == TOLD
    six = route("2001:db8::3", 128, h_op=2, rtr_mac=MAC, rtr_index=7)
    told = rt_monitor.described(six)
    assert (told["operation"], told["family"], told["address"]) == (
        "delete", "AF_INET6", "2001:db8::3",
    )  # fmt: skip
    assert (told["mac_address"], told["mac_index"]) == ("2:3:eb:4b:e8:d8", 7)
    assert "label" not in told
    bridge = VrRouteReq(rtr_family=7, rtr_mac=MAC)
    assert rt_monitor.described(bridge) == {"operation": "add", "family": "AF_BRIDGE"}


def announcement(*messages: VrRouteReq | VrResponse) -> bytes:
    payload = b"".join(message.encode() for message in messages)
    return request_frame(payload, family=33, seq=0, pid=0)


def test_announcements_are_read() -> None:
    data = announcement(VrResponse(h_op=4), ADDED)
    assert list(rt_monitor.routes_of(data)) == [ADDED]


LISTEN = """
import json
from agent.cli import rt_monitor
print("listens", flush=True)
print(json.dumps(rt_monitor.described(next(rt_monitor.announced(5)))))
"""


def test_a_group_is_listened_to() -> None:
    """Another program of the host speaks in the kernel's place, to a group of generic netlink."""
    with (
        own_network(),
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.GENERIC) as speaking,
    ):
        speaking.bind((0, 0))
        listening = subprocess.Popen(
            [sys.executable, "-c", LISTEN], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert listening.stdout is not None
        assert listening.stdout.readline() == "listens\n"
        for _ in range(400):
            speaking.sendto(announcement(ADDED), (0, 1 << 4))
            with contextlib.suppress(subprocess.TimeoutExpired):
                listening.wait(0.05)
                break
        assert json.loads(listening.communicate(timeout=20)[0]) == TOLD


def test_a_group_that_there_is_none_of() -> None:
    with pytest.raises(UsageError, match="cannot listen to group 0"):
        next(rt_monitor.announced(0))
