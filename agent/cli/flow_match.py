"""Which flows `flow` shows: the original's `--match` text and options of our own.

Facts vrouter-cli.md (`flow`): terms joined by `&`; an address term is `IP:PORT` or two of them
with a comma, IPv6 in brackets, `*` for any; the ends may match either way round.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network

from agent.errors import UsageError
from agent.shm import FlowAction, FlowEnd, FlowFilter
from agent.values import Prefix

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
PROTOCOL_NAMES = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}
_FAMILIES = {"icmp": 2, "icmp6": 10}
_END = re.compile(
    r"(?:\[(?P<ip6>[^\]]*)\]|(?P<ip>[^\[\]:]+|[^\[\]]*::[^\[\]]*))(?::(?P<port>\S+))?"
)
_MOST_PORT = 0xFFFF


def parse(text: str) -> FlowFilter:
    """The filter that `--match TEXT` asks for. UsageError names the term."""
    where = FlowFilter()
    for term in text.split("&"):
        words = term.split()
        if len(words) == 2 and words[0] in _WORDS:
            where = _WORDS[words[0]](where, words[1])
        else:
            where = _ends(where, term)
    return where


def _ends(where: FlowFilter, term: str) -> FlowFilter:
    ends = [end(part) for part in term.split(",")]
    if len(ends) > 2:
        raise UsageError(f"match {term.strip()!r}: a flow has two ends, not {len(ends)}")
    ends.append(FlowEnd())
    return replace(where, source=ends[0], destination=ends[1], either=True)


def end(text: str) -> FlowEnd:
    """`ADDRESS[/LENGTH][:PORT]`, IPv6 in brackets when there is a port, `*` for any. UsageError."""
    word = text.strip()
    bare = _ip6(word)
    if bare is not None:
        return FlowEnd(bare)
    found = _END.fullmatch(word)
    if found is None or not word:
        raise UsageError(f"match {word!r}: expected ADDRESS:PORT, [ADDRESS]:PORT or *:PORT")
    host = found["ip6"] if found["ip6"] is not None else found["ip"]
    return FlowEnd(None if host == "*" else prefix(host), _port(found["port"]))


def _ip6(word: str) -> Prefix | None:
    """An IPv6 address without brackets, so without a port."""
    if word.count(":") < 2 or "[" in word:
        return None
    return prefix(word)


def prefix(text: str) -> Prefix:
    """ADDRESS or ADDRESS/LENGTH. UsageError."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise UsageError(f"match {text!r}: not an address") from None


def _port(text: str | None) -> int | None:
    return None if text in (None, "*") else bounded("port", text, _MOST_PORT)


def bounded(what: str, text: str | None, most: int) -> int:
    """A number from 0 to `most`. UsageError."""
    if text is None or not text.isascii() or not text.isdigit() or int(text) > most:
        raise UsageError(f"{what} {text!r}: expected a number from 0 to {most}")
    return int(text)


def protocol(text: str) -> int:
    """A protocol by name or number. UsageError."""
    word = text.lower()
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    if not word.isdigit():
        raise UsageError(f"proto {text!r}: expected {', '.join(PROTOCOLS)} or a number")
    return bounded("proto", word, 255)


def _proto(where: FlowFilter, text: str) -> FlowFilter:
    family = _FAMILIES.get(text.lower(), where.family)
    return replace(where, proto=protocol(text), family=family)


def _vrf(where: FlowFilter, text: str) -> FlowFilter:
    return replace(where, vrf=bounded("vrf", text, _MOST_PORT))


def described(where: FlowFilter) -> str:
    """What `where` asks of ends, protocol and VRF, as the original says it; empty: nothing."""
    parts = [_described_end(end) for end in (where.source, where.destination) if end != FlowEnd()]
    if where.proto is not None:
        parts.append(f"Protocol {PROTOCOL_NAMES.get(where.proto, str(where.proto))}")
    if where.vrf is not None:
        parts.append(f"VRF {where.vrf}")
    return ", ".join(parts)


def _described_end(end: FlowEnd) -> str:
    port = "*" if end.port is None else end.port
    if end.prefix is None:
        return f"[*]:{port}"
    whole = end.prefix.prefixlen == end.prefix.max_prefixlen
    return f"[{end.prefix.network_address if whole else end.prefix}]:{port}"


_WORDS: dict[str, Callable[[FlowFilter, str], FlowFilter]] = {"proto": _proto, "vrf": _vrf}


def add_options(made: argparse.ArgumentParser) -> None:
    """The options that narrow what is listed."""
    group = made.add_argument_group("with -l: only flows that have")
    group.add_argument(
        "--address",
        action="append",
        metavar="A[/LENGTH][:PORT]",
        help="this end; twice: both ends, in either direction",
    )
    group.add_argument("--port", metavar="PORT", help="this port at one end")
    group.add_argument("--proto", metavar="P", help="this protocol, by name or number")
    group.add_argument("--vrf", metavar="VRF", help="this VRF")
    group.add_argument("--action", choices=[action.name.lower() for action in FlowAction])
    group.add_argument("--nexthop", metavar="ID", help="this nexthop in their key")
    group.add_argument("--vif", metavar="ID", help="the interface whose traffic they are")


def of_options(options: argparse.Namespace) -> FlowFilter:
    """The filter of `--match` narrowed by the options; `--vif` is the caller's. UsageError."""
    where = FlowFilter() if options.match is None else parse(options.match)
    where = _narrowed_ends(where, options.address or [], options.port)
    if options.proto is not None:
        where = _proto(where, options.proto)
    if options.vrf is not None:
        where = _vrf(where, options.vrf)
    if options.action is not None:
        where = replace(where, action=FlowAction[options.action.upper()])
    if options.nexthop is not None:
        where = replace(where, nexthop=bounded("nexthop", options.nexthop, 0xFFFFFFFF))
    return where


def _narrowed_ends(where: FlowFilter, addresses: list[str], port: str | None) -> FlowFilter:
    if not addresses and port is None:
        return where
    ends = [end(text) for text in addresses] or [FlowEnd()]
    if where.either or len(ends) > 2:
        raise UsageError("a flow has two ends: give --match, or --address at most twice")
    if port is not None:
        if ends[0].port is not None:
            raise UsageError("--port: --address names a port already")
        ends[0] = replace(ends[0], port=_port(port))
    ends.append(FlowEnd())
    return replace(where, source=ends[0], destination=ends[1], either=True)
