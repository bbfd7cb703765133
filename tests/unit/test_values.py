"""MAC addresses and the byte order of addresses in vrouter messages."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.values import Mac, ip4_as_loaded, ip6_as_loaded, prefix


def test_mac_text() -> None:
    assert str(Mac.parse("2:0:5E:00:01:0a")) == "02:00:5e:00:01:0a"


@pytest.mark.parametrize("text", ["", "02:00", "02-00-5e-00-01-0a", "02:00:5e:00:01:0g", "1:" * 6])
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a MAC address"):
        Mac.parse(text)


def test_a_mac_has_six_bytes() -> None:
    with pytest.raises(ValueError, match="6 bytes"):
        Mac(b"12345")


@given(st.binary(min_size=6, max_size=6))
def test_mac_text_round_trip(octets: bytes) -> None:
    assert Mac.parse(str(Mac(octets))) == octets


def test_addresses_travel_as_the_integer_whose_memory_is_network_order() -> None:
    assert ip4_as_loaded(IPv4Address("10.0.0.1")) == 0x0100000A
    assert ip6_as_loaded(IPv6Address("fd00::3")) == (0xFD, 0x0300000000000000)


def test_prefix_clears_host_bits() -> None:
    assert str(prefix("10.1.1.3/24")) == "10.1.1.0/24"
