"""From a pair of flows to the sessions that it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Protocol
from uuid import UUID, uuid5

from agent._fast.flow_sessions import ENDS
from agent.flow.feed import Behind
from agent.flow.words import ACTIONS, REASON_NAMES
from agent.oper.rows import Fabric
from agent.telemetry.sessions.model import Aggregate, Direction, Endpoint, Session, Tags
from agent.telemetry.sessions.ports import Port, Ports
from agent.telemetry.sessions.rows import (
    INGRESS,
    LOCAL,
    NO_ROUTE,
    Ends,
    Row,
    client_ends,
    server_ends,
)
from agent.values import Address

_LOW = (1 << 64) - 1
_VARIANT, _SERIAL = 0b10 << 62, (1 << 61) - 1
_PASSES = ("forward", "NAT")
_SPACE = UUID("6f0f6b1e-6f3c-4d0e-9a55-0c2a6f1f7b3d")
_NOWHERE = IPv4Address(0)


class Numbers(Protocol):
    """What numbers in rows stand for."""

    def rule(self, number: int) -> UUID | None: ...
    def behind(self, meta: int) -> Behind: ...


class View(Protocol):
    """Of this host."""

    def fabric(self) -> Fabric | None: ...


@dataclass(frozen=True, slots=True)
class _Remote:
    """The other end, as one end sees it."""

    vn: str
    tags: Tags
    prefix: str


def life(host: str, pid: int, started: float) -> UUID:
    """The name of one life of an agent; `started` is its wall time."""
    return uuid5(_SPACE, f"{host} {pid} {started!r}")


def flow_uuid(run: UUID, serial: int, side: int) -> UUID:
    """The name of a flow, unique over hosts and restarts if `run` is; side 1 is the reverse."""
    return UUID(int=run.int & ~_LOW | _VARIANT | (serial & _SERIAL) << 1 | side)


class Maker:
    """Makes sessions. What it read of ports and rules holds until `begin`.

    `run` names this life of the agent.
    """

    def __init__(self, view: View, ports: Ports, numbers: Numbers, run: UUID) -> None:
        self._view = view
        self._ports = ports
        self._numbers = numbers
        self._run = run
        self._router: Address = _NOWHERE
        self._endpoints: dict[tuple[object, ...], Endpoint] = {}
        self._rules: dict[int, str] = {}

    def begin(self) -> None:
        """Look at everything anew."""
        fabric = self._view.fabric()
        self._router = (fabric.router_id if fabric else None) or _NOWHERE
        self._endpoints.clear()
        self._rules.clear()
        self._ports.begin()

    def rule(self, number: int) -> str:
        """The UUID of a rule, "" for one that no list holds."""
        found = self._rules.get(number)
        if found is None:
            uuid = self._numbers.rule(number)
            found = self._rules[number] = "" if uuid is None else str(uuid)
        return found

    def parties(self, row: Row) -> tuple[Port | None, Port | None]:
        """The ports of this host that are its client and its server."""
        client = self._ports.at(row.from_vif) if row.flags & INGRESS else None
        serves = row.flags & LOCAL or not row.flags & INGRESS
        return client, self._ports.at(row.to_vif) if serves else None

    def sessions(self, row: Row, offset: float, logged: bool) -> Iterator[Session]:
        """One session for each port that it is of. `offset`: wall time less the pairs' clock."""
        client, server = self.parties(row)
        if client is not None:
            ends = client_ends(row.forward)
            yield self._session(row, client, server, ends, row.from_vif, offset, logged)
        if server is not None:
            ends = server_ends(row.forward, row.reverse)
            yield self._session(row, server, client, ends, row.to_vif, offset, logged)

    def _session(
        self,
        row: Row,
        port: Port,
        other: Port | None,
        ends: Ends,
        vif: int,
        offset: float,
        logged: bool,
    ) -> Session:
        passes = ACTIONS[row.action] in _PASSES
        forward, reverse = self._directions(row)
        return Session(
            endpoint=self._endpoint(row, port, other, ends, vif),
            aggregate=Aggregate(ends.local, ends.service_port, row.forward[1]),
            remote=ends.remote,
            port=ends.client_port,
            forward=forward,
            reverse=reverse,
            started=row.started / 1000 + offset,
            ended=row.ended / 1000 + offset if row.over else None,
            why=ENDS[row.end] if row.over else "",
            action="pass" if passes else "deny",
            drop_reason="" if passes and not row.reason else REASON_NAMES[row.reason],
            sg_rule=self.rule(row.sg_rule),
            policy_rule=self.rule(row.policy_rule),
            vm=port.vm,
            peer=IPv4Address(row.peer) if row.peer else None,
            tunnel=row.tunnel,
            vif=vif,
            vrf=row.vrf,
            scale=row.scale,
            logged=logged,
        )

    def _directions(self, row: Row) -> tuple[Direction, Direction]:
        """Forward and reverse."""
        forward = Direction(
            flow_uuid(self._run, row.serial, 0),
            row.forward_bytes,
            row.forward_packets,
            row.forward_total_bytes,
            row.forward_total_packets,
            row.forward_tcp_flags,
        )
        reverse = Direction(
            flow_uuid(self._run, row.serial, 1),
            row.reverse_bytes,
            row.reverse_packets,
            row.reverse_total_bytes,
            row.reverse_total_packets,
            row.reverse_tcp_flags,
        )
        return forward, reverse

    def _endpoint(self, row: Row, port: Port, other: Port | None, ends: Ends, vif: int) -> Endpoint:
        """Sessions of a port mostly have a few endpoints, so these are kept."""
        client = vif == row.from_vif
        meta = row.destination_meta if client else row.source_meta
        length = row.destination_length if client else row.source_length
        bits = ends.remote.max_prefixlen
        host = other is not None or length >= bits or length == NO_ROUTE
        network = None if host else int(ends.remote) >> (bits - length)
        peer = row.to_vif if client else row.from_vif
        key = (vif, client, other and peer, meta, row.policy_rule, network, length, bits)
        endpoint = self._endpoints.get(key)
        if endpoint is None:
            prefix = "" if network is None else _prefix(ends.remote, length)
            remote = self._remote(other, meta, prefix)
            endpoint = self._endpoints[key] = self._made(row, port, client, remote)
        return endpoint

    def _remote(self, other: Port | None, meta: int, prefix: str) -> _Remote:
        if other is not None:
            return _Remote(other.vn, other.tags, prefix)
        vn, tags = self._ports.behind(self._numbers.behind(meta))
        return _Remote(vn, tags, prefix)

    def _made(self, row: Row, port: Port, client: bool, remote: _Remote) -> Endpoint:
        uuid = self._numbers.rule(row.policy_rule)
        return Endpoint(
            vmi=port.vmi,
            vn=port.vn,
            remote_vn=remote.vn,
            tags=port.tags,
            remote_tags=remote.tags,
            client=client,
            service_instance=port.service_instance,
            rule=str(uuid) if uuid in port.firewall else "",
            prefix=remote.prefix,
            router=self._router,
        )


def _prefix(address: Address, length: int) -> str:
    bits = address.max_prefixlen
    network = int(address) >> (bits - length) << (bits - length)
    return f"{type(address)(network)}/{length}"
