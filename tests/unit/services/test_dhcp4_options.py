"""Configured DHCP options: names, value types, encodings, nonsense."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import DHCPOptions

from agent.oper.rows import DhcpOption, HostRoute
from agent.services import dhcp4_options as opt


def value(name: str, text: str, value_bytes: str = "") -> bytes | None:
    definition = opt.find(name)
    return opt.value_of(definition, DhcpOption(name, text, value_bytes)) if definition else None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("tftp-server-name", 66),
        ("bootfile-name", 67),
        ("interface-mtu", 26),
        ("classless-static-routes", 121),
        ("domain-search", 119),
        ("ntp-servers", 42),
        ("routers", 3),
        ("67", 67),
        (" 67 ", 67),
        ("tag:x,67", 67),
        ("tag:efi,bootfile-name", 67),
        ("230", 230),
    ],
)
def test_names(name: str, code: int) -> None:
    definition = opt.find(name)
    assert definition is not None
    assert definition.code == code


@pytest.mark.parametrize("name", ["", "0", "255", "256", "99999", "-3", "no-such", "tag:x", "²"])
def test_no_option(name: str) -> None:
    assert opt.find(name) is None


def test_every_option_of_the_rfc_is_there_once() -> None:
    known = set(range(1, 82)) | {119, 121, 150}
    assert known <= set(opt.BY_CODE)
    assert len(opt.BY_NAME) >= len(opt.BY_CODE)
    assert all(definition.code == code for code, definition in opt.BY_CODE.items())


def test_names_agree_with_another_table() -> None:
    """scapy's table has other words for some; where it has ours, the number is the same."""
    theirs = {
        (entry if isinstance(entry, str) else entry.name).replace("_", "-"): code
        for code, entry in DHCPOptions.items()
    }
    shared = set(theirs) & set(opt.BY_NAME)
    assert len(shared) > 30
    assert {name: opt.BY_NAME[name].code for name in shared} == {n: theirs[n] for n in shared}


@pytest.mark.parametrize(
    ("name", "text", "wire"),
    [
        ("ip-forwarding", "1", "01"),
        ("ip-forwarding", "True", "01"),
        ("default-ip-ttl", "64", "40"),
        ("interface-mtu", "9000", "2328"),
        ("path-mtu-plateau-table", "68 296, 508", "0044012801fc"),
        ("time-offset", "-3600", "fffff1f0"),
        ("dhcp-lease-time", "4294967295", "ffffffff"),
        ("swap-server", " 10.0.0.1 ", "0a000001"),
        ("ntp-servers", "10.0.0.1,10.0.0.2", "0a0000010a000002"),
        ("static-routes", "10.0.0.0 10.1.1.1", "0a0000000a010101"),
        ("tftp-server-name", "host", "686f7374"),
        ("vendor-encapsulated-options", "1 2 0xff", "0102ff"),
        ("vendor-encapsulated-options", "01 08 010", "01080a"),
        ("dhcp-client-identifier", "1 abc", "01616263"),
        ("slp-directory-agent", "1 10.0.0.1", "010a000001"),
        ("240", "text", "74657874"),
        ("domain-search", "a.example.org", "0161076578616d706c65036f726700"),
    ],
)
def test_values(name: str, text: str, wire: str) -> None:
    assert value(name, text) == bytes.fromhex(wire)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ip-forwarding", "256"),
        ("ip-forwarding", "maybe"),
        ("default-ip-ttl", "-1"),
        ("default-ip-ttl", ""),
        ("interface-mtu", "65536"),
        ("path-mtu-plateau-table", ""),
        ("time-offset", "4294967296"),
        ("swap-server", "10.0.0"),
        ("swap-server", "10.0.0.1 10.0.0.2"),
        ("ntp-servers", " , "),
        ("ntp-servers", "10.0.0.1 fd00::1"),
        ("static-routes", "10.0.0.0"),
        ("tftp-server-name", ""),
        ("vendor-encapsulated-options", "256"),
        ("dhcp-client-identifier", "abc"),
        ("domain-search", "a..b"),
        ("domain-search", "x" * 64),
        ("classless-static-routes", "10.1.1.1"),
        ("classless-static-routes", "10.0.0.0/8 10.1.1.1 10.1.1.2"),
    ],
)
def test_nonsense_is_no_value(name: str, text: str) -> None:
    assert value(name, text) is None


def test_value_bytes_stand_for_strings_only() -> None:
    assert value("bootfile-name", "x", "1 2 3") == b"\x01\x02\x03"
    assert value("240", "", "255") == b"\xff"
    assert value("domain-search", "a.b", "1") == b"\x01"
    assert value("interface-mtu", "1400", "1 2 3") == (1400).to_bytes(2)
    assert value("bootfile-name", "x", "1 999") is None


def expand(wire: bytes) -> list[str]:
    """Read compressed names with dpkt."""
    names, at = [], 0
    while at < len(wire):
        name, at = dpkt.dns.unpack_name(wire, at)
        names.append(name)
    return names


def test_shared_suffixes_are_sent_once() -> None:
    wire = opt.domain_names("eng.example.org example.org mkt.example.org example.org")
    assert expand(wire) == ["eng.example.org", "example.org", "mkt.example.org", "example.org"]
    assert wire.count(b"example") == 1


LABEL = st.text("abcxyz019", min_size=1, max_size=5)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@given(st.lists(NAME, min_size=1, max_size=8))
def test_domain_names_can_be_read_back(names: list[str]) -> None:
    assert expand(opt.domain_names(" ".join(names))) == names


def decode_routes(wire: bytes) -> list[tuple[str, str]]:
    routes, at = [], 0
    while at < len(wire):
        length = wire[at]
        octets = (length + 7) // 8
        address = wire[at + 1 : at + 1 + octets].ljust(4, b"\0")
        gateway = wire[at + 1 + octets : at + 5 + octets]
        routes.append((f"{IPv4Address(address)}/{length}", str(IPv4Address(gateway))))
        at += 5 + octets
    return routes


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=10))
def test_routes_can_be_read_back(pairs: list[tuple[int, int]]) -> None:
    networks = [IPv4Network((address, length), strict=False) for address, length in pairs]
    routes = [HostRoute(network, IPv4Address("10.1.1.9")) for network in networks]
    wire = opt.encode_routes(routes, 0)
    assert decode_routes(wire) == [(str(network), "10.1.1.9") for network in networks]


def test_routes_in_text() -> None:
    routes = opt.parse_routes("10.0.0.0/8 10.1.1.1, 20.1.2.3/16 0.0.0.0/0 10.1.1.2")
    assert decode_routes(opt.encode_routes(routes, int(IPv4Address("10.1.1.254")))) == [
        ("10.0.0.0/8", "10.1.1.1"),
        ("20.1.0.0/16", "10.1.1.254"),
        ("0.0.0.0/0", "10.1.1.2"),
    ]


@given(st.integers(1, 254), st.binary(max_size=600))
def test_long_values_are_split_and_join_again(code: int, content: bytes) -> None:
    wire = opt.encode(code, content)
    joined, at = b"", 0
    while at < len(wire):
        assert wire[at] == code
        joined += wire[at + 2 : at + 2 + wire[at + 1]]
        at += 2 + wire[at + 1]
    assert joined == content
    assert at == len(wire)


@given(st.sampled_from(sorted(opt.BY_NAME)), st.text(max_size=40), st.text(max_size=20))
def test_any_text_is_a_value_or_none(name: str, text: str, value_bytes: str) -> None:
    assert isinstance(value(name, text, value_bytes), bytes | None)
