"""IPFIX, read back by a tool that others wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import dpkt
import pytest

from agent.telemetry.sessions import Session
from agent.telemetry.sessions.ipfix import Exporter
from tests.unit.telemetry.sessions.told import ENDED, ENDPOINT, session

NOW = ENDED + 1


def decoded(datagrams: list[bytes], folder: Path) -> list[dict[str, Any]]:
    """What tshark makes of datagrams: the fields of each, lists where there are more."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    capture = folder / "ipfix.pcap"
    with capture.open("wb") as file:
        writer = dpkt.pcap.Writer(file, linktype=dpkt.pcap.DLT_RAW)
        for datagram in datagrams:
            udp = dpkt.udp.UDP(sport=50000, dport=4739, data=datagram)
            udp.ulen = len(udp)
            packet = dpkt.ip.IP(src=b"\x0a\0\0\1", dst=b"\x0a\0\0\2", p=17, data=udp)
            packet.len = len(packet)
            writer.writepkt(bytes(packet), ts=NOW)
    command = ["tshark", "-r", str(capture), "-d", "udp.port==4739,cflow", "-T", "ek"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [one["layers"]["cflow"] for one in found if "layers" in one]


def only(made: list[dict[str, Any]], name: str) -> Any:
    values = [one[f"cflow_cflow_{name}"] for one in made if f"cflow_cflow_{name}" in one]
    flat: list[Any] = []
    for value in values:
        flat += value if isinstance(value, list) else [value]
    return flat


def packets(sessions: list[Session]) -> list[bytes]:
    return [made for made, _ in Exporter(0x0A000001).packets(sessions, 0.0, NOW)]


def test_tshark_reads_addresses_ports_times_and_counters(tmp_path: Path) -> None:
    six = session(
        1, local="fd00::3", remote="fd00::4", ended=None, scale=4.0,
        endpoint=replace(ENDPOINT, client=False), action="deny",
    )  # fmt: skip
    made = decoded(packets([session(), six]), tmp_path)
    assert only(made, "srcaddr") == ["10.1.1.3"]
    assert only(made, "dstaddr") == ["10.2.2.4"]
    assert only(made, "srcaddrv6") == ["fd00::4"]
    assert only(made, "dstaddrv6") == ["fd00::3"]
    assert only(made, "srcport") == ["40000", "40001"]
    assert only(made, "dstport") == ["8080", "8080"]
    assert only(made, "protocol") == ["6", "6"]
    assert only(made, "octets") == ["600", "9000", "600", "9000"], "there and back"
    assert only(made, "packets") == ["6", "7", "6", "7"]
    assert only(made, "inputint") == ["3", "3"]
    assert only(made, "flow_end_reason") == ["3", "2"]
    assert only(made, "sampling_probability") == ["1", "0.25"]


def test_every_record_is_read_whatever_their_number(tmp_path: Path) -> None:
    made = packets([session(at) for at in range(100)])
    assert all(len(one) <= 1400 for one in made)
    assert only(decoded(made, tmp_path), "srcport") == [str(40000 + at) for at in range(100)]


def test_the_sequence_counts_records_and_templates_come_again() -> None:
    exporter = Exporter(7)
    three = [session(at) for at in range(3)]
    first = list(exporter.packets(three, 0.0, NOW))
    second = list(exporter.packets(three, 59.0, NOW))
    third = list(exporter.packets(three, 60.0, NOW))
    assert [records for _, records in first + second + third] == [0, 3, 3, 0, 3]
    sequences = [int.from_bytes(made[8:12]) for made, _ in first + second + third]
    assert sequences == [0, 0, 3, 6, 6]
    for made, _ in first + second + third:
        assert int.from_bytes(made[:2]) == 10
        assert int.from_bytes(made[2:4]) == len(made)
        assert int.from_bytes(made[12:16]) == 7


def test_nothing_to_tell_is_only_the_templates() -> None:
    exporter = Exporter(7)
    assert len(list(exporter.packets([], 0.0, NOW))) == 1
    assert list(exporter.packets([], 1.0, NOW)) == []
