"""Configured DHCP options: names, value types and encodings (facts pkt0-services.md 6).

The numbers and value types are those of RFC 2132 and its successors; the names are those that
operators know from `dhcp-options(5)`, plus the ones that orchestrators send.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network

from agent.oper.rows import DhcpOption, HostRoute

SUBNET_MASK, ROUTER, DNS_SERVERS, HOST_NAME, DOMAIN_NAME, BROADCAST = 1, 3, 6, 12, 15, 28
LEASE_TIME, MESSAGE_TYPE, SERVER_ID, MESSAGE, TFTP_SERVER = 51, 53, 54, 56, 66
RELAY_AGENT, CLASSLESS_ROUTES = 82, 121

RESERVED = frozenset({SUBNET_MASK, BROADCAST, MESSAGE_TYPE, SERVER_ID, RELAY_AGENT})
"""Options that the server alone decides on: a configured one is not sent."""


class Kind(Enum):
    """The value types; the value is the word of the table below."""

    BOOL = "bool"
    BYTE = "byte"
    BYTES = "bytes"
    BYTE_STRING = "byte-string"
    BYTE_IPS = "byte-ips"
    INT16 = "uint16"
    INT16_LIST = "uint16s"
    INT32 = "int32"
    IP = "ip"
    IPS = "ips"
    IP_PAIRS = "ip-pairs"
    STRING = "string"
    NAMES = "names"
    ROUTES = "routes"


_TABLE = """
1 ip subnet-mask|2 int32 time-offset|3 ips routers|4 ips time-servers|5 ips name-servers
6 ips domain-name-servers dns-servers|7 ips log-servers|8 ips quote-servers cookie-servers
9 ips lpr-servers|10 ips impress-servers|11 ips resource-location-servers|12 string host-name
13 uint16 boot-size|14 string merit-dump|15 string domain-name|16 ip swap-server
17 string root-path|18 string extension-path extensions-path|19 bool ip-forwarding
20 bool non-local-source-routing|21 ip-pairs policy-filter
22 uint16 max-dgram-reassembly max-datagram-reassembly|23 byte default-ip-ttl
24 int32 path-mtu-aging-timeout|25 uint16s path-mtu-plateau-table|26 uint16 interface-mtu mtu
27 bool all-subnets-local|28 ip broadcast-address|29 bool perform-mask-discovery
30 bool mask-supplier|31 bool router-discovery|32 ip router-solicitation-address
33 ip-pairs static-routes|34 bool trailer-encapsulation|35 int32 arp-cache-timeout
36 bool ieee802-3-encapsulation|37 byte default-tcp-ttl|38 int32 tcp-keepalive-interval
39 bool tcp-keepalive-garbage|40 string nis-domain|41 ips nis-servers|42 ips ntp-servers
43 bytes vendor-encapsulated-options|44 ips netbios-name-servers|45 ips netbios-dd-server
46 byte netbios-node-type|47 string netbios-scope|48 ips font-servers
49 ips x-display-manager|50 ip dhcp-requested-address|51 int32 dhcp-lease-time lease-time
52 byte dhcp-option-overload|53 byte dhcp-message-type|54 ip dhcp-server-identifier
55 bytes dhcp-parameter-request-list|56 string dhcp-message
57 uint16 dhcp-max-message-size|58 int32 dhcp-renewal-time|59 int32 dhcp-rebinding-time
60 string vendor-class-identifier class-id|61 byte-string dhcp-client-identifier client-id
62 string nwip-domain|63 bytes nwip-suboptions|64 string nisplus-domain-name nisplus-domain
65 ips nisplus-servers|66 string tftp-server-name|67 string bootfile-name
68 ips mobile-ip-home-agent|69 ips smtp-server|70 ips pop-server|71 ips nntp-server
72 ips www-server|73 ips finger-server|74 ips irc-server|75 ips streettalk-server
76 ips streettalk-directory-assistance-server|77 string user-class
78 byte-ips slp-directory-agent|79 byte-string slp-service-scope|80 bytes rapid-commit
81 bytes client-fqdn fqdn|82 bytes relay-agent-information|85 ips nds-servers
86 string nds-tree-name|87 string nds-context|88 names bcms-controller-names
89 ips bcms-controller-address|90 bytes dhcp-auth|91 int32 dhcp-client-last-time
92 ips associated-ip|93 uint16s system-architecture|94 bytes interface-id
95 string ldap-servers|97 bytes machine-id|98 string user-auth uap-servers
99 bytes geoconf-civic|100 string ieee-1003-1-tz pcode|101 string ref-tz-db tcode
112 ips netinfo-server-address|113 string netinfo-server-tag|114 string default-url
116 byte auto-configure|117 uint16s name-search|118 ip subnet-selection
119 names domain-search|120 byte-string sip-servers|121 routes classless-static-routes
122 bytes dhcp-ccc|123 bytes dhcp-geoconf|124 bytes vendor-class|125 bytes vivso
136 ips pana-agent|137 names lost-server|138 ips capwap-ac-v4|141 names sip-ua-cs-domains
150 ips tftp-server-address tftp-server|208 bytes pxelinux-magic
209 string pxelinux-configfile config-file|210 string pxelinux-pathprefix path-prefix
211 int32 pxelinux-reboottime reboot-time|249 routes classless-static-routes-ms
252 string wpad-url wpad
"""


@dataclass(frozen=True, slots=True)
class Definition:
    """An option's code and the type of its value."""

    code: int
    kind: Kind


def _load() -> tuple[dict[str, Definition], dict[int, Definition]]:
    names: dict[str, Definition] = {}
    codes: dict[int, Definition] = {}
    for entry in re.split(r"[|\n]", _TABLE.strip()):
        code, kind, *aliases = entry.split()
        definition = codes[int(code)] = Definition(int(code), Kind(kind))
        names |= dict.fromkeys(aliases, definition)
    return names, codes


BY_NAME, BY_CODE = _load()

_STRING_LIKE = frozenset({Kind.STRING, Kind.BYTES, Kind.BYTE_STRING, Kind.NAMES})


def find(name: str) -> Definition | None:
    """The option of a configured name: a name, a number, or `tag:x,` before either.

    A number that no table knows takes a string. None for what cannot be an option.
    """
    if name.startswith("tag:"):
        name = name.partition(",")[2]
    name = name.strip()
    if not (name.isascii() and name.isdigit()):
        return BY_NAME.get(name)
    code = int(name) if len(name) <= 3 else 0
    return BY_CODE.get(code, Definition(code, Kind.STRING)) if 0 < code < 255 else None


def _words(text: str) -> list[str]:
    words = text.replace(",", " ").split()
    if not words:
        raise ValueError("no value")
    return words


def _number(text: str, low: int, high: int) -> int:
    text = text.strip()
    number = int(text, 16 if text[:2] in ("0x", "0X") else 10)
    if not low <= number <= high:
        raise ValueError(f"{number} is not within {low} to {high}")
    return number


def _bool(text: str) -> bytes:
    known = {"true": 1, "false": 0}.get(text.strip().lower())
    return bytes([_number(text, 0, 255) if known is None else known])


def _byte(text: str) -> bytes:
    return bytes([_number(text, 0, 255)])


def _bytes(text: str) -> bytes:
    return bytes(_number(word, 0, 255) for word in _words(text))


def _byte_string(text: str) -> bytes:
    first, _, rest = text.strip().partition(" ")
    return bytes([_number(first, 0, 255)]) + rest.strip().encode()


def _int32(text: str) -> bytes:
    return (_number(text, -(1 << 31), (1 << 32) - 1) & 0xFFFFFFFF).to_bytes(4)


def _int16s(text: str) -> bytes:
    return b"".join(_number(word, 0, 0xFFFF).to_bytes(2) for word in _words(text))


def _addresses(words: Iterable[str]) -> bytes:
    return b"".join(IPv4Address(word).packed for word in words)


def _ip_pairs(text: str) -> bytes:
    words = _words(text)
    if len(words) % 2:
        raise ValueError("an odd number of addresses")
    return _addresses(words)


def _byte_ips(text: str) -> bytes:
    first, *addresses = _words(text)
    return bytes([_number(first, 0, 255)]) + _addresses(addresses)


def _string(text: str) -> bytes:
    if not text:
        raise ValueError("no value")
    return text.encode()


def _labels(name: str) -> tuple[bytes, ...]:
    labels = tuple(label.encode() for label in name.rstrip(".").split("."))
    if any(not 0 < len(label) < 64 for label in labels):
        raise ValueError(f"not a domain name: {name!r}")
    return labels


def domain_names(text: str) -> bytes:
    """Domain names as RFC 3397 wants them: DNS wire form, suffixes compressed."""
    out = bytearray()
    known: dict[tuple[bytes, ...], int] = {}
    for name in _words(text):
        labels = _labels(name)
        for at in range(len(labels)):
            if (pointer := known.get(labels[at:])) is not None:
                out += (0xC000 | pointer).to_bytes(2)
                break
            if len(out) < 0x4000:
                known[labels[at:]] = len(out)
            out += bytes([len(labels[at])]) + labels[at]
        else:
            out.append(0)
    return bytes(out)


def parse_routes(text: str) -> tuple[HostRoute, ...]:
    """`PREFIX [GATEWAY] PREFIX [GATEWAY] ...`, separated by blanks or commas."""
    routes: list[HostRoute] = []
    for word in _words(text):
        if "/" in word:
            routes.append(HostRoute(IPv4Network(word, strict=False), None))
        elif routes and routes[-1].gateway is None:
            routes[-1] = HostRoute(routes[-1].prefix, IPv4Address(word))
        else:
            raise ValueError(f"a gateway without a prefix: {word!r}")
    return tuple(routes)


def encode_routes(routes: Sequence[HostRoute], gateway: int) -> bytes:
    """Classless routes of RFC 3442; `gateway` is for routes without one."""
    out = bytearray()
    for route in routes:
        length = route.prefix.prefixlen
        out.append(length)
        out += route.prefix.network_address.packed[: (length + 7) // 8]
        via = int(route.gateway) if route.gateway else 0
        out += (via or gateway).to_bytes(4)
    return bytes(out)


_ENCODERS: dict[Kind, Callable[[str], bytes]] = {
    Kind.BOOL: _bool,
    Kind.BYTE: _byte,
    Kind.BYTES: _bytes,
    Kind.BYTE_STRING: _byte_string,
    Kind.BYTE_IPS: _byte_ips,
    Kind.INT16: lambda text: _number(text, 0, 0xFFFF).to_bytes(2),
    Kind.INT16_LIST: _int16s,
    Kind.INT32: _int32,
    Kind.IP: lambda text: IPv4Address(text.strip()).packed,
    Kind.IPS: lambda text: _addresses(_words(text)),
    Kind.IP_PAIRS: _ip_pairs,
    Kind.STRING: _string,
    Kind.NAMES: domain_names,
    Kind.ROUTES: lambda text: encode_routes(parse_routes(text), 0),
}


def value_of(definition: Definition, option: DhcpOption) -> bytes | None:
    """The encoded value of a configured option; None when its text does not fit its type."""
    try:
        if option.value_bytes and definition.kind in _STRING_LIKE:
            return _bytes(option.value_bytes)
        return _ENCODERS[definition.kind](option.value)
    except ValueError:
        return None


def encoded(option: DhcpOption) -> tuple[int, bytes]:
    """Code and value of a configured option; ValueError says why it cannot be sent."""
    definition = find(option.name)
    if definition is None:
        raise ValueError("no DHCP option has that name")
    if definition.code in RESERVED:
        raise ValueError(f"option {definition.code} is for the server to set")
    value = value_of(definition, option)
    if value is None:
        raise ValueError(f"{option.value!r} is no value of type {definition.kind.value}")
    return definition.code, value


def encode(code: int, value: bytes) -> bytes:
    """One option on the wire; values over 255 bytes are split as RFC 3396 says."""
    parts = [value[at : at + 255] for at in range(0, len(value), 255)] or [b""]
    return b"".join(bytes([code, len(part)]) + part for part in parts)
