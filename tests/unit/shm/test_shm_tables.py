"""The shared tables against the golden layout, entries and hashes of the original datapath."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from agent._fast import flow_table
from agent.errors import WireError
from agent.shm import (
    BridgeEntry,
    BridgeFlag,
    BridgeTable,
    FlowAction,
    FlowEntry,
    FlowFlag,
    FlowKey,
    FlowTable,
    overflow_entries,
)
from agent.shm.geometry import Geometry, main_entries
from agent.values import Mac

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "shm-layout.json").read_text())
MAIN = 4096
FLOW_TOTAL = MAIN + 1024


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector.get("name") or vector.get("hex") or vector["key_hex"] for vector in vectors]


def empty_flow_table(main: int = MAIN, total: int = FLOW_TOTAL) -> bytearray:
    table = bytearray(total * 256)
    for index in range(total):
        struct.pack_into("<I4xI", table, index * 256 + 8, index, 0xFFFFFFFF)
    return table


def empty_bridge_table(total: int = FLOW_TOTAL) -> bytearray:
    table = bytearray(total * 64)
    for index in range(total):
        struct.pack_into("<I4xI", table, index * 64 + 8, index, 0xFFFFFFFF)
    return table


def put_flow(table: bytearray, index: int, key: FlowKey, *, rflow: int = -1) -> None:
    """What a datapath writes for a live TCP flow."""
    packed = key.pack()
    at = index * 256
    struct.pack_into("<B", table, at + 20, 1)
    table[at + 24 : at + 24 + len(packed)] = packed
    struct.pack_into("<B", table, at + 68, len(packed))
    struct.pack_into("<iHHH", table, at + 84, rflow, FlowFlag.ACTIVE, 0, FlowAction.FORWARD)


KEY = FlowKey(24, ip_address("10.1.1.3"), ip_address("10.1.1.4"), 6, 33000, 80)


@pytest.mark.parametrize("vector", VECTORS["hash_vectors"], ids=ids(VECTORS["hash_vectors"]))
def test_key_hash_is_the_originals(vector: dict[str, Any]) -> None:
    assert flow_table.key_hash(bytes.fromhex(vector["key_hex"])) == vector["hash"]


@pytest.mark.parametrize(
    "vector", VECTORS["raw_hash_vectors"], ids=ids(VECTORS["raw_hash_vectors"])
)
def test_hash_of_raw_bytes_is_the_originals(vector: dict[str, Any]) -> None:
    assert flow_table.key_hash(bytes.fromhex(vector["hex"])) == vector["hash"]


@pytest.mark.parametrize(
    "vector", [v for v in VECTORS["hash_vectors"] if v["table"] != "bridge"], ids=lambda v: ""
)
def test_flow_keys_pack_to_the_hashed_bytes(vector: dict[str, Any]) -> None:
    fields = vector["key"]
    key = FlowKey(
        fields["nh"],
        ip_address(fields["sip"]),
        ip_address(fields["dip"]),
        fields["proto"],
        fields["sport"],
        fields["dport"],
    )
    assert key.pack().hex() == vector["key_hex"]
    assert FlowKey.unpack(key.pack().ljust(44, b"\0")) == key


@pytest.mark.parametrize(
    "sample",
    [s for s in VECTORS["flow_entry_samples"] if s["expect"]["active"]],
    ids=lambda s: s["name"],
)
def test_flow_entries_decode(sample: dict[str, Any]) -> None:
    expect = sample["expect"]
    row = FlowEntry.decode(bytes.fromhex(sample["hex"]))
    assert (row.key.nh_id, str(row.key.source), str(row.key.destination)) == (
        expect["key"]["nh"],
        expect["key"]["sip"],
        expect["key"]["dip"],
    )
    assert (row.key.proto, row.key.sport, row.key.dport, row.key_length) == (
        expect["key"]["proto"],
        expect["key"]["sport"],
        expect["key"]["dport"],
        expect["key"]["key_len"],
    )
    assert row.index == expect["hentry"]["index"]
    assert row.header_flags == expect["hentry"]["flags"]
    assert (row.bytes, row.packets) == (expect["stats"]["bytes48"], expect["stats"]["packets40"])
    assert FlowAction(row.action).name == expect["action"]
    assert -1 if row.rflow is None else row.rflow == expect.get("rflow", -1)
    plain = asdict(row)
    names = {"ttl", "qos_id", "gen_id", "tcp_flags", "tcp_seq", "tcp_ack", "flags", "vrf", "dvrf"}
    names |= {"mirror_id", "sec_mirror_id", "src_nh_index", "ecmp_nh_index", "drop_reason"}
    names |= {"type", "udp_src_port", "src_info", "underlay_ecmp_index"}
    compared = names & set(expect)
    assert {name: plain[name] for name in compared} == {name: expect[name] for name in compared}
    assert row.evicted == expect.get("evicted", False)


def test_an_entry_that_was_never_used_is_not_a_row() -> None:
    (sample,) = [s for s in VECTORS["flow_entry_samples"] if s["name"] == "never-used"]
    table = empty_flow_table()
    table[:256] = bytes.fromhex(sample["hex"])
    view = FlowTable(bytes(table))
    assert view.entry(0) is None
    assert view.corrupt == 0


@pytest.mark.parametrize("sample", VECTORS["bridge_entry_samples"], ids=lambda s: s["name"])
def test_bridge_entries_decode(sample: dict[str, Any]) -> None:
    expect = sample["expect"]
    row = BridgeEntry.decode(bytes.fromhex(sample["hex"]))
    assert (row.index, str(row.mac), row.vrf) == (expect["index"], expect["mac"], expect["vrf"])
    assert (row.packets, row.label, row.flags) == (
        expect["packets"],
        expect["label"],
        expect["flags"],
    )
    assert (-1 if row.nh_id is None else row.nh_id) == expect["nh_id"]
    assert bool(row.flags & BridgeFlag.VALID) == expect["valid"]


@pytest.mark.parametrize("vector", VECTORS["overflow_size_vectors"], ids=lambda v: "")
def test_the_overflow_part_and_its_inverse(vector: dict[str, int]) -> None:
    assert overflow_entries(vector["entries"]) == vector["overflow"]
    assert main_entries(vector["entries"] + vector["overflow"]) == vector["entries"]


@pytest.mark.parametrize("table", ["flow", "bridge"])
def test_default_geometry(table: str) -> None:
    facts = VECTORS["tables"][table]
    geometry = Geometry.of(facts["default_total_bytes"], facts["entry_size"])
    assert (geometry.main, geometry.overflow) == (
        facts["default_entries"],
        facts["default_overflow_entries"],
    )
    assert geometry.size == facts["default_total_bytes"]


@pytest.mark.parametrize(
    ("size", "main", "says"),
    [
        (0, None, "not a table"),
        (255, None, "not a table"),
        (4096 * 256 + 1, None, "not a table"),
        (1025 * 256, None, "not main"),
        (8 * 256, 16, "do not fit"),
        (8 * 256, 6, "do not fit"),
        (8 * 256, 0, "do not fit"),
    ],
)
def test_impossible_sizes_are_refused(size: int, main: int | None, says: str) -> None:
    with pytest.raises(WireError, match=says):
        Geometry.of(size, 256, main)


def test_open_maps_a_file_read_only(tmp_path: Path) -> None:
    path = tmp_path / "flow.shmem"
    table = empty_flow_table()
    put_flow(table, 17, KEY)
    path.write_bytes(table)
    with FlowTable.open(path) as view:
        assert len(view) == FLOW_TOTAL
        assert [row.index for row in view] == [17]
        with path.open("r+b") as writer:  # a datapath adds a flow while we look
            writer.seek(18 * 256)
            second = bytearray(table[17 * 256 : 18 * 256])
            struct.pack_into("<I", second, 8, 18)
            writer.write(second)
        assert [row.index for row in view] == [17, 18]


def test_open_refuses_what_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "odd").write_bytes(bytes(100))
    with pytest.raises(WireError, match="empty"):
        FlowTable.open(tmp_path / "empty")
    with pytest.raises(WireError, match="odd"):
        FlowTable.open(tmp_path / "odd")
    with pytest.raises(FileNotFoundError):
        BridgeTable.open(tmp_path / "absent")


def test_lookup_walks_the_bucket_and_its_chain() -> None:
    table = empty_flow_table()
    first = flow_table.key_hash(KEY.pack()) % MAIN & ~3
    last = MAIN + 1000
    struct.pack_into("<I", table, (first + 3) * 256 + 16, MAIN + 5)
    struct.pack_into("<I", table, (MAIN + 5) * 256 + 16, last)
    put_flow(table, last, KEY)
    view = FlowTable(table)
    found = view.lookup(KEY)
    assert found is not None
    assert (found.index, found.key) == (last, KEY)
    other = FlowKey(24, KEY.source, KEY.destination, 6, 33001, 80)
    assert view.lookup(other) is None


@pytest.mark.parametrize("target", [0, MAIN - 1, FLOW_TOTAL, 0xFFFFFFFE])
def test_a_chain_that_leaves_the_overflow_part_ends_there(target: int) -> None:
    table = empty_flow_table()
    first = flow_table.key_hash(KEY.pack()) % MAIN & ~3
    struct.pack_into("<I", table, (first + 3) * 256 + 16, target)
    assert FlowTable(table).index_of(KEY) is None


def test_a_chain_that_bites_its_tail_ends() -> None:
    table = empty_flow_table()
    first = flow_table.key_hash(KEY.pack()) % MAIN & ~3
    struct.pack_into("<I", table, (first + 3) * 256 + 16, MAIN)
    struct.pack_into("<I", table, MAIN * 256 + 16, MAIN + 1)
    struct.pack_into("<I", table, (MAIN + 1) * 256 + 16, MAIN)
    assert FlowTable(table).index_of(KEY) is None


@pytest.mark.parametrize("flags", [0, FlowFlag.ACTIVE | FlowFlag.DELETE_MARKED])
def test_lookup_skips_flows_that_are_going_away(flags: int) -> None:
    table = empty_flow_table()
    first = flow_table.key_hash(KEY.pack()) % MAIN & ~3
    put_flow(table, first, KEY)
    assert FlowTable(table).index_of(KEY) == first
    struct.pack_into("<H", table, first * 256 + 88, flags)
    assert FlowTable(table).index_of(KEY) is None


def test_bridge_lookup() -> None:
    mac = Mac.parse("02:03:eb:4b:e8:d8")
    table = empty_bridge_table()
    first = flow_table.key_hash(mac + b"\x02\x00") % MAIN & ~3
    at = (first + 1) * 64
    table[at + 20] = 1
    table[at + 21 : at + 29] = mac + b"\x02\x00"
    struct.pack_into("<QIiH", table, at + 37, 7, 100, 24, BridgeFlag.VALID)
    view = BridgeTable(table)
    row = view.lookup(2, mac)
    assert row is not None
    assert (row.index, row.mac, row.vrf, row.nh_id, row.packets) == (first + 1, mac, 2, 24, 7)
    assert view.lookup(3, mac) is None
    assert list(view) == [row]


@pytest.mark.parametrize(
    ("offset", "value"),
    [(8, b"\x12"), (24, b"\x03"), (68, b"\x15"), (92, b"\x09"), (84, b"\xff\xff\xff\x7f")],
    ids=["own index", "family", "key length", "action", "reverse flow"],
)
def test_corrupt_flow_entries_are_counted_and_passed_over(offset: int, value: bytes) -> None:
    table = empty_flow_table()
    put_flow(table, 40, KEY)
    put_flow(table, 41, KEY)
    at = 40 * 256 + offset
    table[at : at + len(value)] = value
    view = FlowTable(table)
    assert [row.index for row in view] == [41]
    assert view.corrupt == 1


def test_an_entry_that_never_stands_still_is_counted_as_torn() -> None:
    class Restless(bytearray):
        """A table whose generation grows at each read."""

        def __getitem__(self, item: Any) -> Any:
            self[40 * 256 + 69] = (super().__getitem__(40 * 256 + 69) + 1) % 256
            return super().__getitem__(item)

    table = Restless(empty_flow_table())
    put_flow(table, 40, KEY)
    view = FlowTable(table)
    assert view.entry(40) is None
    assert (view.torn, view.corrupt) == (1, 0)


def test_indices_outside_the_table_are_refused() -> None:
    view = FlowTable(empty_flow_table())
    for index in (-1, FLOW_TOTAL, 0xFFFFFFFF):
        with pytest.raises(IndexError):
            view.entry(index)
    with pytest.raises(ValueError, match="not in a table"):
        view.scan(FLOW_TOTAL + 1)


def test_scans_stop_at_their_limit_and_go_on() -> None:
    table = empty_flow_table()
    for index in range(0, 100, 2):
        put_flow(table, index, KEY)
        struct.pack_into("<IIHB", table, index * 256 + 104, 1000, 10, 1, 0)
    view = FlowTable(table)
    first = view.scan(0, 100, limit=30)
    rest = view.scan(first.next_index, 100 - first.next_index)
    assert list(first.picked) + list(rest.picked) == list(range(0, 100, 2))
    assert first.bytes + rest.bytes == 50 * (1000 + (1 << 32))
    assert first.packets + rest.packets == 500
    assert list(view.scan(action=FlowAction.HOLD).picked) == []
