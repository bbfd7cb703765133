"""What the demonstration accepts on the fabric, and what not."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import GRE, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet

from agent.lab.errors import LabError
from agent.lab.fabric import Flow, read, tunnelled
from agent.topology import parse

ONE, TWO = "10.0.0.1", "10.0.0.2"
LAB = parse(
    {
        "hosts": {"host1": {}, "host2": {}},
        "networks": {"red": {"subnet": "10.1.1.0/24"}},
        "vms": {
            "red1": {"host": "host1", "network": "red", "address": "10.1.1.3"},
            "red2": {"host": "host2", "network": "red", "address": "10.1.1.4"},
        },
        "encapsulations": ["MPLSoUDP"],
    }
)
ANNOUNCED = {"red1": {17, 27}, "red2": {27}}
GOOD = Counter({Flow(ONE, TWO, "MPLSoUDP", 27): 40, Flow(TWO, ONE, "MPLSoUDP", 17): 40})


def test_labels_in_both_directions_are_what_is_wanted():
    assert set(tunnelled(LAB, GOOD, ANNOUNCED, 20)) == set(GOOD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({Flow(ONE, TWO, "MPLSoUDP", 27): 39}, "red2: 39 frames in MPLSoUDP"),
        ({Flow(ONE, TWO, "MPLSoUDP", 27): 0, Flow(ONE, TWO, "MPLSoGRE", 27): 40}, "red2: 0 frames"),
        ({Flow(ONE, TWO, "MPLSoUDP", 27): 0, Flow(ONE, TWO, "MPLSoUDP", 28): 40}, r"label \(27\)"),
        ({Flow("10.1.1.3", "10.1.1.4", "", 0): 1}, "without a tunnel"),
    ],
)
def test_what_is_missing_or_in_the_clear_is_an_error(change, words):
    with pytest.raises(LabError, match=words):
        tunnelled(LAB, Counter({**GOOD, **change}), ANNOUNCED, 20)


def test_a_vm_that_nobody_announced_is_an_error():
    with pytest.raises(LabError, match=r"red1: 0 frames .* \(none\)"):
        tunnelled(LAB, GOOD, {**ANNOUNCED, "red1": set()}, 20)


INNER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.1.1.3") / ICMP()


@pytest.mark.parametrize(
    ("tunnel", "flow"),
    [
        (UDP(sport=50000, dport=6635) / MPLS(label=27, s=1) / INNER, ("MPLSoUDP", 27)),
        (GRE(proto=0x8847) / MPLS(label=28, s=1) / INNER, ("MPLSoGRE", 28)),
        (UDP(sport=50000, dport=4789) / VXLAN(vni=5, flags=8) / INNER, ("VXLAN", 5)),
        (UDP(sport=50000, dport=53), ("", 0)),
        (ICMP(), ("", 0)),
    ],
)
def test_tshark_tells_tunnels_by_their_outer_headers(tmp_path: Path, tunnel: Packet, flow) -> None:
    """Whatever is inside: a MAC that begins with a zero looks like a control word to it."""
    frame = bytes(Ether(src="02:00:00:00:00:0a") / IP(src=ONE, dst=TWO) / tunnel)
    file = tmp_path / "one.pcap"
    head = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    file.write_bytes(head + struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame)
    assert read(file) == Counter({Flow(ONE, TWO, *flow): 1})


def test_a_capture_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "broken.pcap"
    file.write_bytes(b"not a capture")
    with pytest.raises(LabError, match="tshark failed"):
        read(file)


def test_a_capture_on_no_interface_fails(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.lab.capture", "nothing0", str(tmp_path / "x.pcap")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert b"capturing" not in done.stdout
