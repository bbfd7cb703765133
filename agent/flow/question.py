"""A question about a flow, as people ask it, and the packet that would begin that flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol
from uuid import UUID

from agent._fast.flow_world import Packet
from agent.errors import ConfigError
from agent.oper.flow_rows import FlowPort
from agent.oper.rows import Fabric, Vmi
from agent.values import VRRP_MAC, Address

ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132
PROTOCOLS = {"icmp": ICMP, "tcp": TCP, "udp": UDP, "icmp6": ICMP6, "sctp": SCTP}
WITH_PORTS = frozenset({TCP, UDP, SCTP})
_ECHO_REQUEST6 = 129
_MPLS_UDP = 2


class QuestionError(ConfigError):
    """A question that has no single answer; the text says what to ask instead."""


@dataclass(frozen=True, slots=True)
class Question:
    """Would a packet from `source` to `destination` pass, and why? Ports in host order.

    `port` is the UUID of the port that it is about, where addresses are not enough.
    """

    source: Address
    destination: Address
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    port: UUID | None = None


def parse(words: Mapping[str, str]) -> Question:
    """A question from text: source, destination, protocol, source_port, destination_port, port.

    The last three may be missing. QuestionError says what is wrong and what was expected.
    """
    return Question(
        _address(words, "source"),
        _address(words, "destination"),
        _protocol(words.get("protocol", "")),
        _number(words, "source_port"),
        _number(words, "destination_port"),
        _uuid(words.get("port", "")),
    )


def _address(words: Mapping[str, str], name: str) -> Address:
    try:
        return ip_address(words.get(name, ""))
    except ValueError:
        raise QuestionError(f"{name} {words.get(name, '')!r}: expected an IP address") from None


def _protocol(word: str) -> int:
    if word.isascii() and word.isdigit() and int(word) < 256:
        return int(word)
    try:
        return PROTOCOLS[word.lower()]
    except KeyError:
        known = ", ".join(PROTOCOLS)
        raise QuestionError(f"protocol {word!r}: expected {known} or 0 to 255") from None


def _number(words: Mapping[str, str], name: str) -> int:
    text = words.get(name, "") or "0"
    if text.isascii() and text.isdigit() and int(text) <= 0xFFFF:
        return int(text)
    raise QuestionError(f"{name} {text!r}: expected a number from 0 to 65535")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise QuestionError(f"port {text!r}: expected the UUID of a port") from None


class Ports(Protocol):
    """The ports that a flow may begin or end at."""

    def vmis(self) -> Iterable[Vmi]: ...
    def flow_ports(self) -> Mapping[UUID, FlowPort]: ...
    def fabric(self) -> Fabric | None: ...


class Landings(Protocol):
    """How a port is named in keys and by what label the fabric reaches it."""

    def key_nexthop(self, vif: int) -> int: ...
    def label(self, nexthop: int) -> int | None: ...


def packet(question: Question, ports: Ports, landings: Landings) -> Packet:
    """The first packet of the flow, where it enters this host. QuestionError."""
    if question.source.version != question.destination.version:
        raise QuestionError("source and destination are of different address families")
    sources = _holders(ports, question.source, question.port)
    if sources:
        return _from_vm(question, _single(sources, question.source), landings)
    targets = _holders(ports, question.destination, question.port)
    if not targets:
        raise QuestionError(
            f"neither {question.source} nor {question.destination} is the address of a port of "
            "this host; ask on the host of one of them"
        )
    return _from_fabric(question, _single(targets, question.destination), ports, landings)


def _holders(ports: Ports, address: Address, only: UUID | None) -> list[Vmi]:
    settings = ports.flow_ports()
    rows = [row for row in ports.vmis() if only in (None, row.uuid)]
    return [row for row in rows if address in _addresses(row, settings.get(row.uuid))]


def _addresses(row: Vmi, flow: FlowPort | None) -> set[Address]:
    found: set[Address | None] = {row.ip, row.ip6, *row.others}
    if flow is not None:
        found |= {one.address for one in flow.translations.floating}
        found |= {one.address for one in flow.translations.aliases}
    return {one for one in found if one is not None}


def _single(rows: list[Vmi], address: Address) -> Vmi:
    if len(rows) > 1:
        known = ", ".join(f"{row.name} ({row.uuid})" for row in rows)
        raise QuestionError(f"several ports have {address}: {known}; name one with --port UUID")
    return rows[0]


def _key_ports(question: Question) -> tuple[int, int]:
    if question.protocol == ICMP6:
        return question.source_port, _ECHO_REQUEST6
    if question.protocol == ICMP:
        return question.source_port, 0
    if question.protocol in WITH_PORTS:
        return question.source_port, question.destination_port
    return 0, 0


def _from_vm(question: Question, row: Vmi, landings: Landings) -> Packet:
    sport, dport = _key_ports(question)
    return Packet(
        row.vif_index,
        row.vrf.index if row.vrf else 0,
        landings.key_nexthop(row.vif_index),
        question.protocol,
        question.source.packed,
        question.destination.packed,
        sport,
        dport,
        source_mac=bytes(row.mac),
        destination_mac=bytes(VRRP_MAC),
    )


def _from_fabric(question: Question, row: Vmi, ports: Ports, landings: Landings) -> Packet:
    fabric = ports.fabric()
    nexthop = landings.key_nexthop(row.vif_index)
    label = landings.label(nexthop)
    if fabric is None or label is None:
        raise QuestionError(f"port {row.name} has no label: {row.reason or 'it is not active'}")
    sport, dport = _key_ports(question)
    return Packet(
        fabric.vif_index,
        0,
        nexthop,
        question.protocol,
        question.source.packed,
        question.destination.packed,
        sport,
        dport,
        tunnel=_MPLS_UDP,
        label=label,
    )
