"""What can be followed: one port, one prefix, one flow; and what happens that is about it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from ipaddress import ip_network
from typing import Protocol
from uuid import UUID

from agent.errors import UsageError
from agent.flow.question import Question
from agent.flow.question import parse as parse_question
from agent.inputs import ContainerPort, PluggedPort
from agent.objects import Key, Kind
from agent.oper.rows import Vmi
from agent.rest.ports import Change
from agent.routes import EvpnKey, InetKey, RouteFamily, RouteKey
from agent.values import Prefix

_MOST_KEYS = 10_000
_NO_VIF = -1


class Subject:
    """Says of everything that happens whether it is about the subject; of itself, nothing is."""

    def port(self, change: Change) -> bool:
        """A change of the port API."""
        return False

    def vmi(self, row: Vmi) -> bool:
        """A port as it is after a change."""
        return False

    def vif(self, index: int) -> bool:
        """A packet of this interface of the datapath."""
        return False

    def object(self, key: Key, refs: Sequence[Key]) -> bool:
        """A desired object and what it refers to."""
        return False

    def route(self, vrf: str, family: RouteFamily, key: RouteKey) -> bool:
        """A route of a controller, or one of ours."""
        return False


class PortSubject(Subject):
    """A port by its UUID: its objects, and routes to its addresses in its VRF.

    `row`: the port as it is when one begins to follow it, if it is there.
    """

    def __init__(self, uuid: UUID, row: Vmi | None = None) -> None:
        self._uuid = uuid
        self._text = str(uuid)
        self._keys: dict[Key, None] = {}
        """Objects that were found to be its: what goes has no references any more."""
        self._vif = _NO_VIF
        self._vrf = ""
        self._addresses: frozenset[bytes] = frozenset()
        if row is not None:
            self.vmi(row)

    def __str__(self) -> str:
        return f"port {self._uuid}"

    def port(self, change: Change) -> bool:
        rows = (change.before, change.after)
        return any(
            (isinstance(row, PluggedPort) and row.uuid == self._uuid)
            or (isinstance(row, ContainerPort) and row.vmi_uuid == self._uuid)
            for row in rows
        )

    def vmi(self, row: Vmi) -> bool:
        if row.uuid != self._uuid:
            return False
        self._vif = row.vif_index
        self._vrf = row.vrf.name if row.vrf else ""
        known = (row.ip, row.ip6, *row.others)
        self._addresses = frozenset(one.packed for one in known if one is not None)
        return True

    def vif(self, index: int) -> bool:
        return index == self._vif

    def object(self, key: Key, refs: Sequence[Key]) -> bool:
        if key not in self._keys:
            if not self._owns(key) and not any(map(self._owns, refs)):
                return False
            if len(self._keys) >= _MOST_KEYS:
                del self._keys[next(iter(self._keys))]
            self._keys[key] = None
        return True

    def _owns(self, key: Key) -> bool:
        return _mentions(key.name, self._text)

    def route(self, vrf: str, family: RouteFamily, key: RouteKey) -> bool:
        return vrf == self._vrf and _address(key) in self._addresses


class PrefixSubject(Subject):
    """A prefix, in one VRF or in all."""

    def __init__(self, prefix: Prefix, vrf: str = "") -> None:
        self._prefix = prefix
        self._vrf = vrf
        self._key = InetKey(prefix.network_address.packed, prefix.prefixlen)

    def __str__(self) -> str:
        return f"prefix {self._prefix}" + (f" of {self._vrf}" if self._vrf else "")

    def object(self, key: Key, refs: Sequence[Key]) -> bool:
        if key.kind is not Kind.INET_ROUTE or not isinstance(key.name, tuple):
            return False
        vrf, at = key.name
        return at == self._key and self._vrf in ("", vrf)

    def route(self, vrf: str, family: RouteFamily, key: RouteKey) -> bool:
        if self._vrf not in ("", vrf):
            return False
        if isinstance(key, EvpnKey):
            return (key.ip.packed, key.length) == self._key
        return key == self._key


class FlowSubject(Subject):
    """A flow by its first packet; `agent.telemetry.trace_flow` looks at it from time to time."""

    def __init__(self, question: Question) -> None:
        self.question = question

    def __str__(self) -> str:
        one = self.question
        return (
            f"flow {one.source}:{one.source_port} to {one.destination}:{one.destination_port}, "
            f"protocol {one.protocol}"
        )


class Ports(Protocol):
    """Where the port of a UUID is looked up."""

    def vmi_by_uuid(self, uuid: UUID) -> Vmi | None: ...


def parse(said: Mapping[str, str], ports: Ports) -> Subject:
    """The subject that fields of a request name; UsageError.

    One of `port` (UUID), `prefix` (ADDRESS/LENGTH, with `vrf` if wished), or `source`,
    `destination`, `protocol` with `source_port`, `destination_port`, and then `port`, for a flow.
    """
    if said.get("source") or said.get("destination"):
        return FlowSubject(parse_question(said))
    if said.get("prefix"):
        return PrefixSubject(_prefix(said["prefix"]), said.get("vrf", ""))
    if said.get("port"):
        uuid = _uuid(said["port"])
        return PortSubject(uuid, ports.vmi_by_uuid(uuid))
    raise UsageError("name what to follow: port, prefix, or source, destination and protocol")


def _prefix(text: str) -> Prefix:
    try:
        return ip_network(text)
    except ValueError as error:
        raise UsageError(f"prefix {text}: {error}; expected ADDRESS/LENGTH") from None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(f"port {text}: expected the UUID of a port") from None


def _mentions(name: Hashable, text: str) -> bool:
    if isinstance(name, tuple):
        return any(_mentions(part, text) for part in name)
    return str(name) == text if isinstance(name, str | UUID) else False


def _address(key: RouteKey) -> bytes:
    if isinstance(key, InetKey):
        return key.prefix
    return key.ip.packed if isinstance(key, EvpnKey) else b""
