"""Longest-prefix match against pytricia and py-radix: lookups, inserts, memory."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.rib import PrefixTable

HERE = Path(__file__).parent
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


def filled(kind: str, size: int) -> Any:
    """A peer's table with the same prefixes and values."""
    if kind == "pytricia":
        table = pytricia_table()
        for value, prefix in enumerate(text(size)):
            table.insert(prefix, value)
    else:
        table = radix_table()
        for value, prefix in enumerate(text(size)):
            table.add(prefix).data["value"] = value
    return table


def pytricia_table() -> Any:
    return importlib.import_module("pytricia").PyTricia(32)


def radix_table() -> Any:
    return importlib.import_module("radix").Radix()


MEASURE = """
import sys
sys.path[:0] = sys.argv[1:3]
import bench_lpm
size, kind = int(sys.argv[3]), sys.argv[4]
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
rows = bench_lpm.packed(size) if kind == "vrouter" else bench_lpm.text(size)
before = resident()
table = bench_lpm.ours(size) if kind == "vrouter" else bench_lpm.filled(kind, size)
print(resident() - before)
"""


@cache
def megabytes(kind: str, size: int) -> float:
    """What a filled table adds to a fresh process's resident memory."""
    command = [sys.executable, "-c", MEASURE, str(HERE), str(HERE.parent), str(size), kind]
    grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return round(int(grown) / 1e6, 1)


@pytest.mark.parametrize("size", SIZES)
def test_lookup_many_vrouter(contest: Any, size: int) -> None:
    table = ours(size)
    buffer = b"".join(probes(size))
    assert table.lookup_many(buffer)[0] == table.lookup(probes(size)[0])
    contest(
        f"lpm: lookup of many addresses, {size} prefixes",
        "vrouter",
        per=PROBES,
        aim_ns=15,
        memory_mb=megabytes("vrouter", size),
    )(table.lookup_many, buffer)


@pytest.mark.parametrize("size", SIZES)
def test_lookup_many_pytricia(contest: Any, peer: Any, size: int) -> None:
    peer("pytricia")
    table = filled("pytricia", size)
    addresses = dotted(probes(size))
    contest(
        f"lpm: lookup of many addresses, {size} prefixes",
        "pytricia",
        per=PROBES,
        memory_mb=megabytes("pytricia", size),
    )(each, table.get, addresses)


@pytest.mark.parametrize("size", SIZES)
def test_lookup_many_py_radix(contest: Any, peer: Any, size: int) -> None:
    peer("radix")
    search = filled("radix", size).search_best
    contest(
        f"lpm: lookup of many addresses, {size} prefixes",
        "py-radix",
        per=PROBES,
        memory_mb=megabytes("radix", size),
    )(each, lambda address: search(packed=address), probes(size))


@pytest.mark.parametrize("size", SIZES)
def test_lookup_vrouter(contest: Any, size: int) -> None:
    table = ours(size)
    hot = probes(size)[:HOT]
    contest(f"lpm: lookup, {size} prefixes", "vrouter", per=HOT, aim_ns=100)(
        each, table.lookup, hot
    )


@pytest.mark.parametrize("size", SIZES)
def test_lookup_pytricia(contest: Any, peer: Any, size: int) -> None:
    peer("pytricia")
    table = filled("pytricia", size)
    hot = dotted(probes(size)[:HOT])
    assert table.get(hot[0]) == ours(size).lookup(probes(size)[0])
    contest(f"lpm: lookup, {size} prefixes", "pytricia", per=HOT)(each, table.get, hot)


@pytest.mark.parametrize("size", SIZES)
def test_lookup_py_radix(contest: Any, peer: Any, size: int) -> None:
    peer("radix")
    search = filled("radix", size).search_best
    hot = probes(size)[:HOT]
    assert search(packed=hot[0]).data["value"] == ours(size).lookup(hot[0])
    contest(f"lpm: lookup, {size} prefixes", "py-radix", per=HOT)(
        each, lambda address: search(packed=address), hot
    )


def fill_ours(table: PrefixTable, rows: list[Any]) -> None:
    insert = table.insert
    for prefix in rows:
        insert(prefix, 1)


def fill_pytricia(table: Any, rows: list[Any]) -> None:
    insert = table.insert
    for prefix in rows:
        insert(prefix, 1)


def fill_radix(table: Any, rows: list[Any]) -> None:
    add = table.add
    for prefix in rows:
        add(prefix)


def insert_contest(contest: Any, impl: str, size: int, make: Any, fill: Any, rows: Any) -> None:
    contest(f"lpm: insert of {size} prefixes", impl, per=size).pedantic(
        fill, setup=lambda: ((make(), rows), {}), rounds=5 if size == SIZES[0] else 3, iterations=1
    )


@pytest.mark.parametrize("size", SIZES)
def test_insert_vrouter(contest: Any, size: int) -> None:
    insert_contest(contest, "vrouter", size, lambda: PrefixTable(4), fill_ours, packed(size))


@pytest.mark.parametrize("size", SIZES)
def test_insert_pytricia(contest: Any, peer: Any, size: int) -> None:
    peer("pytricia")
    insert_contest(contest, "pytricia", size, pytricia_table, fill_pytricia, text(size))


@pytest.mark.parametrize("size", SIZES)
def test_insert_py_radix(contest: Any, peer: Any, size: int) -> None:
    peer("radix")
    insert_contest(contest, "py-radix", size, radix_table, fill_radix, text(size))
