"""The audit of learnt addresses against a table that changes under it."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from agent.shm import BridgeFlag, BridgeTable, MacAudit
from agent.values import Mac

TOTAL = 64
NEW = BridgeFlag.VALID | BridgeFlag.MAC_NEW


def blank() -> bytearray:
    table = bytearray(TOTAL * 64)
    for index in range(TOTAL):
        struct.pack_into("<I4xI", table, index * 64 + 8, index, 0xFFFFFFFF)
    return table


def put(table: bytearray, index: int, last: int, flags: int = NEW, vrf: int = 1) -> Mac:
    mac = Mac(b"\x02\0\0\0\0" + bytes([last]))
    table[index * 64 + 21 : index * 64 + 29] = mac + vrf.to_bytes(2, "little")
    struct.pack_into("<QIiH", table, index * 64 + 37, 0, 0, -1, flags)
    return mac


def test_an_address_that_stays_new_is_given_out_once_a_walk() -> None:
    table = blank()
    put(table, 3, 1)
    put(table, 4, 2)
    put(table, 5, 3, flags=BridgeFlag.VALID)
    audit = MacAudit(BridgeTable(table, 64), period=10.0)
    assert audit.slice(100.0) == []
    assert audit.deadline == 110.0
    put(table, 4, 2, flags=BridgeFlag.VALID)  # the agent's route came
    assert audit.slice(104.9) == []
    assert [entry.index for entry in audit.slice(105.0)] == [3]
    assert [entry.index for entry in audit.slice(110.0)] == [3]


def test_an_address_that_took_anothers_place_has_its_own_time() -> None:
    table = blank()
    put(table, 3, 1)
    audit = MacAudit(BridgeTable(table, 64), period=10.0)
    audit.slice(100.0)
    put(table, 3, 9)
    assert audit.slice(105.0) == []
    assert [entry.mac for entry in audit.slice(110.0)] == [put(table, 3, 9)]


def test_what_does_not_fit_waits_for_a_later_walk() -> None:
    table = blank()
    for index in range(TOTAL):
        put(table, index, index + 1)
    audit = MacAudit(BridgeTable(table, 64), period=10.0, room=40)
    assert audit.slice(100.0) == []
    assert audit.postponed == 24
    assert len(audit.slice(105.0)) == 40


@given(st.lists(st.tuples(st.integers(0, TOTAL - 1), st.booleans()), max_size=30))
def test_what_is_given_out_is_new_now(changes: list[tuple[int, bool]]) -> None:
    table = blank()
    audit = MacAudit(BridgeTable(table, 64), period=3.0, delay=2.0, room=16)
    now = 10.0
    for index, new in changes:
        put(table, index, index + 1, flags=NEW if new else BridgeFlag.VALID)
        for entry in audit.slice(now):
            flags = struct.unpack_from("<H", table, entry.index * 64 + 53)[0]
            assert flags & NEW == NEW
        now += 1.0
