"""Routes against a slow oracle, the shared tables against the layout vectors."""

from __future__ import annotations

import errno
import ipaddress
import json
import random
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent._fast.forwarding import Datapath
from agent.shm import BridgeTable
from agent.values import Mac
from tests.unit.forwarder.dataplane_rig import Rig, address, new_datapath

LAYOUT = json.loads((Path(__file__).parents[2] / "vectors" / "shm-layout.json").read_text())
NO_LABEL = 0xFFFFFF


# --- routes: an oracle that keeps every leaf of a small address space -----------------------


@dataclass
class LeafOracle:
    """The stride-8 trie as an array of addresses: each holds (stored length, nexthop).

    Addresses are 10.1.0.0/16 only, so that all of them can be listed.
    """

    leaves: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)] * 65536)

    def span(self, prefix: int, plen: int) -> range:
        inside = max(plen - 16, 0)
        size = 1 << (16 - inside)
        start = prefix & 0xFFFF & ~(size - 1)
        return range(start, start + size)

    def add(self, prefix: int, plen: int, nh: int) -> None:
        for at in self.span(prefix, plen):
            if self.leaves[at][0] <= plen:
                self.leaves[at] = (plen, nh)

    def delete(self, prefix: int, plen: int, nh: int, replace_plen: int) -> None:
        for at in self.span(prefix, plen):
            if self.leaves[at][0] == plen:
                self.leaves[at] = (replace_plen, nh)


def quad(offset: int) -> bytes:
    return bytes((10, 1, offset >> 8, offset & 0xFF))


plens = st.integers(12, 32)
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "delete", "delete", "lie"]),
        st.integers(0, 65535),
        plens,
        st.integers(1, 5),
        st.integers(0, 31),
    ),
    max_size=40,
)


def covering(routes: dict[tuple[int, int], int], prefix: int, plen: int) -> tuple[int, int]:
    """(length, nexthop) of the closest remaining shorter route, or (0, 0)."""
    for length in range(plen - 1, 0, -1):
        key = (prefix >> (32 - length) << (32 - length), length)
        if key in routes:
            return length, routes[key]
    return 0, 0


def play(datapath: Datapath, oracle: LeafOracle, moves: list[Any]) -> None:
    """The same moves on both; "lie" deletes with a replacement that is not the covering one."""
    routes: dict[tuple[int, int], int] = {}
    for what, offset, plen, nh, other in moves:
        prefix = (0x0A010000 | offset) >> (32 - plen) << (32 - plen)
        place = (1, 2, prefix.to_bytes(4, "big"), plen)
        if what == "add":
            routes[prefix, plen] = nh
            oracle.add(prefix, plen, nh)
            assert datapath.route_add(*place, nh=nh) == 0
            continue
        routes.pop((prefix, plen), None)
        length, replacement = covering(routes, prefix, plen)
        if what == "lie":
            length, replacement = min(other, plen - 1), nh
        oracle.delete(prefix, plen, replacement, length)
        answer = datapath.route_delete(*place, nh=replacement, replace_plen=length)
        assert answer in (0, -errno.ENOENT)
        assert answer == 0 or datapath.route_count(1, 2) == 0


@settings(max_examples=150, deadline=None)
@given(steps, st.lists(st.integers(0, 65535), min_size=20, max_size=20))
def test_routes_show_what_the_leaf_trie_shows(moves: list[Any], probes: list[int]) -> None:
    datapath, oracle = new_datapath(), LeafOracle()
    for nh in range(1, 6):
        datapath.nexthop_set(nh, type=5, flags=1)
    # The table exists from the first route on, as in the original.
    datapath.route_add(1, 2, bytes(4), 32, nh=1)
    play(datapath, oracle, moves)
    edges = [move[1] for move in moves]
    near = [max(edge - 1, 0) for edge in edges] + [min(edge + 1, 65535) for edge in edges]
    for offset in probes + edges + near:
        found = datapath.route_get(1, 2, quad(offset))
        assert (found.plen, found.nh) == oracle.leaves[offset]


def test_large_table_answers_like_a_dictionary() -> None:
    """Enough routes for the jump table; half are deleted again."""
    datapath = new_datapath()
    for nh in range(1, 9):
        datapath.nexthop_set(nh, type=5, flags=1)
    choose = random.Random(7)
    routes: dict[ipaddress.IPv4Network, int] = {}
    for _ in range(30_000):
        plen = choose.choice([4, 8, 12, 15, 16, 17, 20, 24, 24, 24, 28, 32])
        raw = choose.getrandbits(32) >> (32 - plen) << (32 - plen)
        routes[ipaddress.IPv4Network((raw, plen))] = choose.randint(1, 8)
    for network, nh in routes.items():
        assert (
            datapath.route_add(0, 2, network.network_address.packed, network.prefixlen, nh=nh) == 0
        )
    assert datapath.route_count(0, 2) == len(routes)
    for network in choose.sample(sorted(routes), len(routes) // 2):
        del routes[network]
        above = best(routes, network)
        answer = datapath.route_delete(
            0,
            2,
            network.network_address.packed,
            network.prefixlen,
            nh=routes[above] if above else 0,
            replace_plen=above.prefixlen if above else 0,
        )
        assert answer == 0
    assert datapath.route_count(0, 2) == len(routes)
    for _ in range(5_000):
        host = ipaddress.IPv4Network((choose.getrandbits(32), 32))
        above = best(routes, host)
        found = datapath.route_get(0, 2, host.network_address.packed)
        assert found.nh == (routes[above] if above else 0)
        assert found.plen == (above.prefixlen if above else 0)


def best(
    routes: dict[ipaddress.IPv4Network, int], inside: ipaddress.IPv4Network
) -> ipaddress.IPv4Network | None:
    for plen in range(inside.prefixlen, -1, -1):
        candidate = inside.supernet(new_prefix=plen)
        if candidate in routes:
            return candidate
    return None


def test_inet6_longest_match_and_limits() -> None:
    datapath = new_datapath()
    for nh in (1, 2, 3):
        datapath.nexthop_set(nh, type=5, flags=1)
    wide, narrow = ipaddress.ip_network("fd00::/8"), ipaddress.ip_network("fd00:1::5/128")
    assert datapath.route_add(1, 10, bytes(16), 0, nh=1) == 0
    for network, nh in ((wide, 2), (narrow, 3)):
        packed = network.network_address.packed
        assert datapath.route_add(1, 10, packed, network.prefixlen, nh=nh) == 0
    look = {
        text: datapath.route_get(1, 10, ipaddress.ip_address(text).packed).nh
        for text in ("fd00:1::5", "fd00:1::6", "2001::1")
    }
    assert look == {"fd00:1::5": 3, "fd00:1::6": 2, "2001::1": 1}
    packed = narrow.network_address.packed
    assert datapath.route_delete(1, 10, packed, 128, nh=2, replace_plen=8) == 0
    assert datapath.route_get(1, 10, packed).plen == 8
    leaves = datapath.route_dump(1, 10, b"", 0, 300)
    assert len(leaves) == 256
    assert {leaf.plen for leaf in leaves} == {8}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"family": 5}, errno.ENOENT),
        ({"prefix": b""}, errno.EINVAL),
        ({"prefix": bytes(16)}, errno.EINVAL),
        ({"plen": 33}, errno.EINVAL),
        ({"vrf": 4096}, errno.EINVAL),
        ({"nh": 77}, errno.ENOENT),
        ({"nh": 6}, errno.EINVAL),
        ({"mac": bytes.fromhex("020000000077")}, errno.ENOENT),
    ],
)
def test_route_add_refusals(call: dict[str, Any], code: int) -> None:
    rig = Rig().build()
    values = {"vrf": 1, "family": 2, "prefix": bytes((15, 0, 0, 7)), "plen": 32, "nh": 2} | call
    place = [values.pop(name) for name in ("vrf", "family", "prefix", "plen")]
    assert rig.dp.route_add(*place, **values) == -code
    assert rig.dp.route_get(1, 2, bytes((15, 0, 0, 7))).nh == 0


def test_route_delete_refusals() -> None:
    rig = Rig().build()
    prefix = bytes((15, 0, 0, 3))
    assert rig.dp.route_delete(9, 2, prefix, 32) == -errno.ENOENT
    assert rig.dp.route_delete(1, 10, bytes(16), 128) == -errno.ENOENT  # no inet6 table here
    assert rig.dp.route_delete(1, 2, prefix, 32, nh=99) == -errno.ENOENT
    assert rig.dp.route_delete(1, 2, bytes((99, 0, 0, 0)), 8) == 0
    assert rig.dp.route_get(1, 2, prefix).nh == 2


def test_dump_shows_buckets_of_256_leaves_in_order() -> None:
    """A /24 and a host in it open the buckets 1.*, 1.1.* and 1.1.1.*."""
    rig = Rig().build()
    rig.dp.nexthop_set(13, type=5, flags=1)
    rig.route("1.1.1.0/24", 13, flags=4, vrf=2)
    rig.dp.bridge_add(2, bytes.fromhex("020000000055"), nh=1)
    rig.route("1.1.1.3/32", 2, flags=2, mac=bytes.fromhex("020000000055"), vrf=2)
    rows = []
    marker, plen = b"", 0
    while True:
        page = rig.dp.route_dump(2, 2, marker, plen, 33)
        rows += page
        if len(page) < 33:
            break
        marker, plen = page[-1].prefix, 0
    assert len(rows) == 4 * 255 + 1
    assert [row.prefix for row in rows] == sorted(row.prefix for row in rows)
    by_prefix = {row.prefix: row for row in rows}
    assert by_prefix[bytes((0, 0, 0, 0))][1:4] == (8, 0, NO_LABEL)
    assert by_prefix[bytes((1, 1, 0, 0))].plen == 24
    subnet, host = by_prefix[bytes((1, 1, 1, 2))], by_prefix[bytes((1, 1, 1, 3))]
    assert (subnet.plen, subnet.nh, subnet.replace_plen, subnet.mac) == (32, 13, 24, b"")
    assert (host.plen, host.nh, host.replace_plen) == (32, 2, 32)
    entry = rig.dp.bridge_get(2, host.mac)
    assert entry is not None
    assert host.bridge_index == entry.position
    assert rig.dp.route_dump(3, 2, b"", 0, 33) == []


# --- the bridge table ----------------------------------------------------------------------


def bridge_vectors() -> list[dict[str, Any]]:
    return [row for row in LAYOUT["hash_vectors"] if row["table"] == "bridge"]


def test_bridge_entries_lie_where_the_vectors_say() -> None:
    rows = [row for row in bridge_vectors() if row["entries"] == 262144]
    table = bytearray((262144 + 53248) * 64)
    datapath = new_datapath(bridge_table=table, bridge_entries=262144)
    datapath.nexthop_set(15, type=5, flags=1)
    for row in rows:
        key = bytes.fromhex(row["key_hex"])
        vrf = int.from_bytes(key[6:], "little")
        answer = datapath.bridge_add(vrf, key[:6], nh=15, label=33, flags=2)
        if vrf >= 4096 or not any(key[:6]):
            assert answer == -errno.EINVAL
            continue
        assert answer == 0
        entry = datapath.bridge_get(vrf, key[:6])
        assert entry is not None
        assert entry.position in row["bucket_indices"]
        raw = table[entry.position * 64 : entry.position * 64 + 64]
        assert raw[8:12] == entry.position.to_bytes(4, "little")
        assert raw[12:20] == b"\xff" * 8
        assert raw[20] == 1
        assert raw[21:29] == key
        assert struct.unpack_from("<QIiH", raw, 37) == (0, 33, 15, 3)


def test_bridge_overflow_chain_fills_and_empties() -> None:
    """8 entries of main and overflow each: 12 MACs do not all fit their buckets."""
    table = bytearray(16 * 64)
    datapath = new_datapath(bridge_table=table, bridge_entries=8)
    datapath.nexthop_set(1, type=5, flags=1)
    macs = [bytes((2, 0, 0, 0, 0, number)) for number in range(40)]
    answers = [datapath.bridge_add(1, mac, nh=1) for mac in macs]
    held = [mac for mac, answer in zip(macs, answers, strict=True) if answer == 0]
    assert set(answers) == {0, -errno.ENOMEM}
    assert sum(table[index * 64 + 20] & 1 for index in range(16)) == len(held)
    assert all(datapath.bridge_get(1, mac) for mac in held)
    reader = BridgeTable(memoryview(table).toreadonly(), 8)
    assert {row.mac for row in reader} == {Mac(mac) for mac in held}
    for mac in held[::2]:
        assert datapath.bridge_delete(1, mac) == 0
    for number, mac in enumerate(held):
        assert (datapath.bridge_get(1, mac) is None) == (number % 2 == 0)
    assert all(datapath.bridge_add(1, mac, nh=1) == 0 for mac in held[::2])
    assert all(datapath.bridge_get(1, mac) for mac in held)
    assert datapath.bridge_delete(1, bytes((2, 9, 9, 9, 9, 9))) == -errno.ENOENT
    assert datapath.bridge_delete(1, bytes(6)) == -errno.EINVAL


def test_bridge_dump_pages_in_table_order() -> None:
    datapath = new_datapath()
    datapath.nexthop_set(1, type=5, flags=1)
    macs = {bytes((2, 0, 0, 0, 1, number)) for number in range(100)}
    for mac in macs:
        datapath.bridge_add(3, mac, nh=1)
        datapath.bridge_add(4, mac, nh=1)
    seen, marker = [], bytes(6)
    while page := datapath.bridge_dump(3, marker, 7):
        seen += page
        marker = page[-1].mac
    assert {row.mac for row in seen} == macs
    assert [row.position for row in seen] == sorted(row.position for row in seen)
    datapath.bridge_delete(3, marker)
    rest = datapath.bridge_dump(3, marker, 1000)
    assert {row.mac for row in rest} <= macs - {marker}


def test_bridge_readd_confirms_a_learnt_entry() -> None:
    rig = Rig().build()
    rig.dp.vif_set(3, type=3, flags=0x1C0 | 0x80000, vrf=1)
    stranger = bytes.fromhex("020000000099")
    trapped = rig.send(3, rig_frame(bytes.fromhex("022222222222"), stranger))
    entry = rig.dp.bridge_get(1, stranger)
    assert entry is not None
    assert (entry.flags, entry.packets) == (0x21, 1)
    vif, learn = trapped[0]
    assert vif == 2
    assert (learn[18:20], learn[20:24]) == (b"\0\x11", entry.position.to_bytes(4, "big"))
    assert rig.dp.bridge_add(1, stranger, nh=1, flags=4) == 0
    confirmed = rig.dp.bridge_get(1, stranger)
    assert confirmed is not None
    assert confirmed.flags == 5
    moved = rig.send(4, rig_frame(bytes.fromhex("021111111111"), stranger))
    assert [frame[18:20] for vif, frame in moved if vif == 2] == []
    rig.dp.vif_set(4, type=3, flags=0x1C0 | 0x80000, vrf=1)
    moved = rig.send(4, rig_frame(bytes.fromhex("021111111111"), stranger))
    assert [frame[18:20] for vif, frame in moved if vif == 2] == [b"\0\x12"]


def rig_frame(dst: bytes, src: bytes) -> bytes:
    return dst + src + b"\x88\xb5" + bytes(46)


# --- the flow table ------------------------------------------------------------------------


def flow(**changes: Any) -> dict[str, Any]:
    """A TCP flow of the layout vectors' first key, as an ADD that lets the router choose."""
    values: dict[str, Any] = {
        "index": -1,
        "gen_id": 0,
        "family": 2,
        "proto": 6,
        "sport": int.from_bytes((1000).to_bytes(2, "big"), "little"),
        "dport": int.from_bytes((80).to_bytes(2, "big"), "little"),
        "nh_id": 20,
        "sip_l": address("1.1.1.1"),
        "dip_l": address("2.2.2.2"),
        "flags": 1,
        "action": 2,
        "vrf": 2,
    }
    return values | changes


def test_flow_entries_lie_where_the_vectors_say() -> None:
    row = LAYOUT["hash_vectors"][0]
    table = bytearray((524288 + 105472) * 256)
    datapath = new_datapath(flow_table=table, flow_entries=524288)
    answer = datapath.flow_set(**flow(src_nh_index=7, qos_id=3, ttl=9))
    assert (answer.code, answer.gen_id, answer.flags) == (0, 1, 0)
    assert answer.handle == row["bucket_first_index"]
    raw = table[answer.handle * 256 : answer.handle * 256 + 256]
    assert raw[8:21] == answer.handle.to_bytes(4, "little") + b"\xff" * 8 + b"\x01"
    assert (raw[21], struct.unpack_from("<h", raw, 22)[0]) == (9, 3)
    assert raw[24:44].hex() == row["key_hex"]
    assert (raw[68], raw[69]) == (20, 1)
    assert struct.unpack_from("<i4H", raw, 84) == (-1, 1, 0, 2, 2)
    assert (raw[98], raw[99], struct.unpack_from("<I", raw, 100)[0]) == (255, 255, 7)
    assert (raw[115], raw[117], raw[136]) == (255, 2, 255)


def test_recorded_reverse_flow_gets_the_recorded_index() -> None:
    """The kernel put {nh 24, 15.0.0.9 > 15.0.0.3, ICMP id 1} at 174212."""
    table = bytearray((524288 + 105472) * 256)
    datapath = new_datapath(flow_table=table, flow_entries=524288)
    key = {"proto": 1, "sport": 0x0100, "dport": 0, "nh_id": 24}
    there = datapath.flow_set(**flow(sip_l=address("15.0.0.9"), dip_l=address("15.0.0.3"), **key))
    back = datapath.flow_set(**flow(sip_l=address("15.0.0.3"), dip_l=address("15.0.0.9"), **key))
    assert (there.handle, back.handle) == (174212, 436592)


def test_flow_change_and_delete() -> None:
    datapath = new_datapath()
    made = datapath.flow_set(**flow(action=1))
    known = {"index": made.handle, "gen_id": made.gen_id}
    changed = datapath.flow_set(**flow(action=0, drop_reason=23, **known))
    assert (changed.code, changed.handle, changed.gen_id) == (0, made.handle, 1)
    stats = datapath.flow_table_stats()
    assert (stats.used, stats.added, stats.changed, stats.processed) == (1, 1, 1, 1)
    gone = datapath.flow_set(**flow(flags=0, **known))
    assert (gone.code, gone.flags, gone.gen_id) == (0, 1, 1)
    assert datapath.flow_set(**flow(flags=0, **known)).code == -errno.EINVAL
    assert datapath.flow_table_stats().deleted == 1
    datapath.advance(0.02)
    assert datapath.flow_set(**flow(flags=0, **known)).code == -errno.ENOENT
    again = datapath.flow_set(**flow())
    assert (again.handle, again.gen_id) == (made.handle, 2)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"gen_id": 77}, errno.EBADF),
        ({"gen_id": 77, "proto": 17}, errno.EBADF),
        ({"proto": 17}, errno.EFAULT),
        ({"family": 10, "sip_u": 1, "dip_u": 2}, errno.EFAULT),
        ({"flags": 0x4001, "dvrf": 5000}, errno.EINVAL),
        ({"flags": 0x2001, "mir_id": 300}, errno.EINVAL),
        ({"flags": 0x1001, "rindex": 3}, errno.EINVAL),
        ({"flags": 0x1001, "rflow_sip_l": 1}, errno.EINVAL),
        ({"extflags": 1}, errno.EINVAL),
        ({"index": 100_000}, errno.ENOENT),
        ({"index": -1}, errno.EEXIST),
        ({"index": -1, "flags": 0, "proto": 17}, errno.ENOENT),
        ({"index": -1, "family": 3}, errno.EINVAL),
    ],
)
def test_flow_refusals(changes: dict[str, Any], code: int) -> None:
    datapath = new_datapath()
    made = datapath.flow_set(**flow())
    answer = datapath.flow_set(**(flow(index=made.handle, gen_id=made.gen_id) | changes))
    assert answer.code == -code
    if code == errno.EEXIST:
        assert (answer.handle, answer.gen_id) == (made.handle, made.gen_id)
    else:
        assert answer.handle == changes.get("index", made.handle)
    assert datapath.flow_table_stats().used == 1


@pytest.mark.parametrize(
    ("bits", "code"),
    [(0x101, errno.EBUSY), (0x801, errno.EBUSY), (0x201, errno.EBUSY), (0x41, errno.EINVAL)],
)
def test_flow_in_the_routers_hands_is_refused(bits: int, code: int) -> None:
    table = bytearray(2048 * 256)
    datapath = new_datapath(flow_table=table)
    made = datapath.flow_set(**flow())
    struct.pack_into("<H", table, made.handle * 256 + 88, bits)
    answer = datapath.flow_set(**flow(index=made.handle, gen_id=made.gen_id))
    assert answer.code == -code


def test_flow_reverse_is_found_by_key_and_by_index() -> None:
    table = bytearray(2048 * 256)
    datapath = new_datapath(flow_table=table)
    there = datapath.flow_set(**flow())
    key = flow()
    reverse = {
        "rflow_sip_l": key["sip_l"],
        "rflow_dip_l": key["dip_l"],
        "rflow_sport": key["sport"],
        "rflow_dport": key["dport"],
        "rflow_nh_id": key["nh_id"],
    }
    back = datapath.flow_set(**flow(proto=6, sport=1, flags=0x1001, **reverse))
    assert back.code == 0
    assert struct.unpack_from("<i", table, back.handle * 256 + 84)[0] == there.handle
    joined = datapath.flow_set(
        **flow(index=there.handle, gen_id=1, flags=0x1001, rindex=back.handle)
    )
    assert joined.code == 0
    assert struct.unpack_from("<i", table, there.handle * 256 + 84)[0] == back.handle


def test_evicted_flow_hands_its_counters_to_the_next_owner() -> None:
    table = bytearray(2048 * 256)
    datapath = new_datapath(flow_table=table)
    made = datapath.flow_set(**flow())
    at = made.handle * 256
    struct.pack_into("<IIHB", table, at + 104, 1000, 10, 2, 3)
    struct.pack_into("<H", table, at + 70, 0x8000)
    known = {"index": made.handle, "gen_id": made.gen_id}
    assert datapath.flow_set(**flow(extflags=1, **known)).code == 0
    assert struct.unpack_from("<H", table, at + 88)[0] == 0x801
    assert (table[at + 20], table[at + 68]) == (0, 0)
    assert datapath.flow_set(**flow(**known)).code == -errno.EBUSY
    taken = datapath.flow_set(**flow())
    assert (taken.handle, taken.gen_id) == (made.handle, 2)
    assert (taken.bytes, taken.packets, taken.oflow) == (1000, 10, 0x30002)
    assert struct.unpack_from("<IIHB", table, at + 104) == (0, 0, 0, 0)


def test_flow_table_full() -> None:
    datapath = new_datapath(flow_table=bytearray(8 * 256), flow_entries=4)
    answers = [datapath.flow_set(**flow(sport=port)) for port in range(9)]
    assert [answer.code for answer in answers] == [0] * 8 + [-errno.ENOSPC]
    assert datapath.flow_table_stats().oflow_entries == 4
    assert {answer.handle for answer in answers[:8]} == set(range(8))


def test_inet6_flow_key() -> None:
    table = bytearray(2048 * 256)
    datapath = new_datapath(flow_table=table)
    sip, dip = (ipaddress.ip_address(text).packed for text in ("fd00::1", "fd00::2"))
    words = {
        "sip_u": int.from_bytes(sip[:8], "little"),
        "sip_l": int.from_bytes(sip[8:], "little"),
        "dip_u": int.from_bytes(dip[:8], "little"),
        "dip_l": int.from_bytes(dip[8:], "little"),
    }
    made = datapath.flow_set(**(flow(family=10) | words))
    raw = table[made.handle * 256 : made.handle * 256 + 256]
    assert raw[24:36].hex() == "0a06000003e8005014000000"
    assert raw[36:68] == sip + dip
    assert (raw[68], raw[117]) == (44, 3)


def test_reset_keeps_the_generations_of_flow_entries() -> None:
    datapath = new_datapath(flow_table=bytearray(8 * 256), flow_entries=4)
    made = [datapath.flow_set(**flow(sport=port)) for port in range(6)]
    datapath.reset()
    assert datapath.flow_table_stats()[:2] == (0, 0)
    again = [datapath.flow_set(**flow(sport=port)) for port in range(8)]
    assert [answer.code for answer in again] == [0] * 8
    generations = {answer.handle: answer.gen_id for answer in again}
    assert {generations.pop(answer.handle) for answer in made} == {2}
    assert set(generations.values()) == {1}
