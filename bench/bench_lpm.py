"""Longest-prefix match against pytricia and py-radix: lookups, inserts, memory."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest

from agent.rib import PrefixTable

SIZES = (100_000, 900_000)
# Shares of prefix lengths as in a full Internet table, in percent.
LENGTHS = [24] * 60 + [22] * 12 + [23] * 10 + [21] * 5 + [20] * 5 + [19] * 3 + [16] * 3 + [18, 17]
PROBES = 100_000
HOT = 1_000


@cache
def prefixes(size: int) -> list[tuple[int, int]]:
    order = random.Random(size)
    found: set[tuple[int, int]] = set()
    while len(found) < size:
        length = order.choice(LENGTHS)
        found.add((order.getrandbits(32) >> (32 - length) << (32 - length), length))
    return sorted(found, key=lambda _: order.random())


@cache
def packed(size: int) -> list[tuple[bytes, int]]:
    return [(number.to_bytes(4, "big"), length) for number, length in prefixes(size)]


@cache
def probes(size: int) -> list[bytes]:
    order = random.Random(1)
    return [
        (number | order.getrandbits(8)).to_bytes(4, "big")
        for number, _ in order.choices(prefixes(size), k=PROBES)
    ]


@cache
def ours(size: int) -> PrefixTable:
    table = PrefixTable(4)
    for value, prefix in enumerate(packed(size)):
        table.insert(prefix, value)
    return table


def text(size: int) -> list[str]:
    return [f"{key[0]}.{key[1]}.{key[2]}.{key[3]}/{length}" for key, length in packed(size)]


def dotted(addresses: list[bytes]) -> list[str]:
    return [".".join(map(str, address)) for address in addresses]


def each(function: Any, arguments: list[Any]) -> None:
    for argument in arguments:
        function(argument)


@pytest.mark.parametrize("size", SIZES)
def test_lookup_many(contest: Any, size: int) -> None:
    table = ours(size)
    buffer = b"".join(probes(size))
    assert table.lookup_many(buffer)[0] == table.lookup(probes(size)[0])
    contest(
        f"lpm: lookup_many, {size} prefixes",
        "vrouter",
        per=PROBES,
        aim_ns=15,
        memory_mb=round(table.memory / 1e6, 1),
    )(table.lookup_many, buffer)


@pytest.mark.parametrize("size", SIZES)
def test_lookup_vrouter(contest: Any, size: int) -> None:
    table = ours(size)
    hot = probes(size)[:HOT]
    contest(f"lpm: lookup, {size} prefixes", "vrouter", per=HOT, aim_ns=100)(
        each, table.lookup, hot
    )


@pytest.mark.parametrize("size", SIZES)
def test_lookup_pytricia(contest: Any, peer: Any, size: int) -> None:
    table = peer("pytricia").PyTricia(32)
    for value, prefix in enumerate(text(size)):
        table.insert(prefix, value)
    hot = dotted(probes(size)[:HOT])
    assert table.get(hot[0]) == ours(size).lookup(probes(size)[0])
    contest(f"lpm: lookup, {size} prefixes", "pytricia", per=HOT)(each, table.get, hot)


@pytest.mark.parametrize("size", SIZES)
def test_lookup_py_radix(contest: Any, peer: Any, size: int) -> None:
    table = peer("radix").Radix()
    for value, prefix in enumerate(text(size)):
        table.add(prefix).data["value"] = value
    hot = probes(size)[:HOT]
    found = table.search_best(packed=hot[0])
    assert found.data["value"] == ours(size).lookup(hot[0])
    contest(f"lpm: lookup, {size} prefixes", "py-radix", per=HOT)(
        each, lambda address: table.search_best(packed=address), hot
    )


def fill(table: PrefixTable, rows: list[tuple[bytes, int]]) -> None:
    insert = table.insert
    for prefix in rows:
        insert(prefix, 1)


def test_insert_vrouter(contest: Any) -> None:
    rows = packed(SIZES[0])
    contest(f"lpm: insert, {SIZES[0]} prefixes", "vrouter", per=len(rows)).pedantic(
        fill, setup=lambda: ((PrefixTable(4), rows), {}), rounds=5, iterations=1
    )


def test_insert_pytricia(contest: Any, peer: Any) -> None:
    pytricia = peer("pytricia")
    rows = text(SIZES[0])

    def fill_peer(table: Any) -> None:
        for prefix in rows:
            table.insert(prefix, 1)

    contest(f"lpm: insert, {SIZES[0]} prefixes", "pytricia", per=len(rows)).pedantic(
        fill_peer, setup=lambda: ((pytricia.PyTricia(32),), {}), rounds=5, iterations=1
    )


def test_insert_py_radix(contest: Any, peer: Any) -> None:
    radix = peer("radix")
    rows = text(SIZES[0])

    def fill_peer(table: Any) -> None:
        for prefix in rows:
            table.add(prefix)

    contest(f"lpm: insert, {SIZES[0]} prefixes", "py-radix", per=len(rows)).pedantic(
        fill_peer, setup=lambda: ((radix.Radix(),), {}), rounds=5, iterations=1
    )
