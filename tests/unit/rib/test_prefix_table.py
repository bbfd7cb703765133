"""Longest-prefix match against the slow oracle, and its refusals."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rib import NO_VALUE, PrefixTable
from tests.reference.lpm import Network, SlowTable


def network(family: int, number: int, length: int) -> Network:
    bits = 32 if family == 4 else 128
    shift = bits - length
    kind = IPv4Network if family == 4 else IPv6Network
    return kind((number % (1 << bits) >> shift << shift, length))


# Few distinct high bits, so that prefixes nest and share nodes.
Numbers = st.builds(
    lambda high, low, at: (high << 120 | low << at) & ((1 << 128) - 1),
    st.integers(0, 3),
    st.integers(0, 255),
    st.integers(0, 120),
)
Steps = st.lists(
    st.tuples(st.sampled_from(["insert", "remove"]), Numbers, st.integers(0, 128)), max_size=60
)


def play(family: int, steps: list[tuple[str, int, int]]) -> tuple[PrefixTable, SlowTable]:
    bits = 32 if family == 4 else 128
    table, slow = PrefixTable(family), SlowTable()
    for value, (verb, number, length) in enumerate(steps):
        prefix = network(family, number >> (128 - bits), length % (bits + 1))
        if verb == "insert":
            table.insert(prefix, value)
            slow.values[prefix] = value
        else:
            assert table.remove(prefix) == (slow.values.pop(prefix, None) is not None)
    return table, slow


def check(table: PrefixTable, slow: SlowTable, bits: int, numbers: list[int]) -> None:
    assert len(table) == len(slow.values)
    assert table.items() == sorted(slow.values.items())
    edges = [int(edge) for net in slow.values for edge in (net[0], net[-1])]
    outside = [(edge + step) % (1 << bits) for edge in edges for step in (-1, 1)]
    probes = [
        (number % (1 << bits)).to_bytes(bits // 8, "big") for number in numbers + edges + outside
    ]
    expected = [slow.lookup(probe) for probe in probes]
    assert [table.lookup(probe) for probe in probes] == expected
    many = table.lookup_many(b"".join(probes))
    assert list(many) == [NO_VALUE if value is None else value for value in expected]


@given(Steps, st.lists(st.integers(0, (1 << 128) - 1), max_size=10))
def test_ipv4_agrees_with_the_oracle(steps: list[tuple[str, int, int]], numbers: list[int]) -> None:
    table, slow = play(4, steps)
    check(table, slow, 32, numbers)


@given(Steps, st.lists(st.integers(0, (1 << 128) - 1), max_size=10))
def test_ipv6_agrees_with_the_oracle(steps: list[tuple[str, int, int]], numbers: list[int]) -> None:
    table, slow = play(6, steps)
    check(table, slow, 128, numbers)


@given(Steps, Numbers, st.integers(0, 128))
def test_covering_agrees_with_the_oracle(
    steps: list[tuple[str, int, int]], number: int, length: int
) -> None:
    table, slow = play(6, steps)
    prefix = network(6, number, length)
    assert table.covering(prefix) == slow.covering(prefix)


@pytest.mark.parametrize("family", [4, 6])
def test_a_large_table_filled_and_emptied_in_any_order(family: int) -> None:
    order = random.Random(7)
    bits = 32 if family == 4 else 128
    prefixes = list(
        {network(family, order.getrandbits(bits), order.randint(1, bits)) for _ in range(20_000)}
        | {network(family, 10 << (bits - 8) | host, bits) for host in range(5_000)}
    )
    table = PrefixTable(family)
    for value, prefix in enumerate(prefixes):
        table.insert(prefix, value)
    full = table.memory
    probes = order.sample(prefixes, 300)
    exact = {prefix: value for value, prefix in enumerate(prefixes)}
    assert [table.get(prefix) for prefix in probes] == [exact[prefix] for prefix in probes]
    order.shuffle(prefixes)
    for prefix in prefixes:
        assert table.remove(prefix)
    assert len(table) == 0
    assert set(table.lookup_many(bytes(bits // 8) + b"\x0a" * (bits // 8))) == {NO_VALUE}
    for value, prefix in enumerate(prefixes):
        table.insert(prefix, value)
    assert table.memory <= full * 1.5, "freed nodes are used again"


def test_host_routes_far_apart_stay_small() -> None:
    order = random.Random(1)
    table = PrefixTable(4)
    for value in range(50_000):
        table.insert((order.getrandbits(32), 32), value)
    assert table.memory / len(table) < 300


def test_every_form_of_address_and_prefix() -> None:
    table = PrefixTable(2)
    table.insert("10.1.1.0/24", 1)
    table.insert((IPv4Address("10.1.1.3"), 32), 2)
    table.insert((0x0A010104, 32), 3)
    table.insert((b"\x0a\x01\x01\x05", 32), 4)
    table.insert(ip_network("0.0.0.0/0"), 0)
    assert table.lookup("10.1.1.9") == 1
    assert table.lookup(IPv4Address("10.1.1.3")) == 2
    assert table.lookup(0x0A010104) == 3
    assert table.lookup(b"\x0a\x01\x01\x05") == 4
    assert table.lookup("192.0.2.1") == 0
    assert dict(table)[ip_network("10.1.1.0/24")] == 1
    assert PrefixTable(10).family == 6


@pytest.mark.parametrize(
    ("prefix", "value"),
    [
        ("10.1.1.1/24", 1),
        ("fd00::/8", 1),
        (("10.0.0.0", 33), 1),
        ((b"\x0a\0\0", 8), 1),
        ((b"\x0a\0\0\1", 8), 1),
        ("ten/8", 1),
        ("10.0.0.0/8", -1),
        ("10.0.0.0/8", NO_VALUE),
        ((ip_address("::1"), 32), 1),
    ],
)
def test_what_is_no_prefix_or_value_is_refused(prefix: object, value: int) -> None:
    table = PrefixTable(4)
    with pytest.raises(ValueError):  # noqa: PT011 - several texts, one meaning
        table.insert(prefix, value)  # type: ignore[arg-type]
    assert len(table) == 0


def test_broken_buffers_and_numbers_are_refused() -> None:
    table = PrefixTable(4)
    with pytest.raises(ValueError, match="whole number"):
        table.lookup_many(b"12345")
    with pytest.raises(OverflowError):
        table.lookup(1 << 32)
    with pytest.raises(ValueError, match="4 bytes"):
        table.lookup(b"12345")
    with pytest.raises(ValueError, match="family 5"):
        PrefixTable(5)
    assert list(table.lookup_many(b"")) == []
