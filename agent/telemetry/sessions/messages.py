"""Sessions as collectors are told of them: SessionEndpointObject, in three levels.

Facts oper-db.md 6.3: endpoints hold aggregates (by local address, service port and protocol), these
hold sessions (by remote address and client port), with a limit on each level; what is beyond
it comes in a further message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.settings import Settings
from agent.telemetry.sessions.model import Aggregate, Direction, Endpoint, Session, Tags
from agent.values import Address

MESSAGE = "SessionEndpointObject"
Values = Mapping[str, Any]
_Key = tuple[Address, int]
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of each level, 1 at least."""

    endpoints: int = 5
    """In a message."""
    aggregates: int = 8
    """Of an endpoint."""
    sessions: int = 100
    """Of an aggregate."""


def limits(settings: Settings) -> Limits:
    """Those of [FLOWS]."""
    names = (
        "max_endpoints_per_session_msg",
        "max_aggregates_per_session_endpoint",
        "max_sessions_per_aggregate",
    )
    return Limits(*(max(settings.get("FLOWS", name, int), 1) for name in names))


class Entries:
    """A map whose keys are structs, as `agent.sandesh.xml` takes it."""

    def __init__(self, entries: Sequence[tuple[Values, Values]]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> Sequence[tuple[Values, Values]]:
        """The entries in their order."""
        return self._entries


def messages(sessions: Iterable[Session], most: Limits) -> Iterator[Values]:
    """The fields of as few messages as the limits and equal keys allow."""
    endpoints: dict[Endpoint, dict[Aggregate, list[Session]]] = {}
    for one in sessions:
        endpoints.setdefault(one.endpoint, {}).setdefault(one.aggregate, []).append(one)
    told = [
        _endpoint(endpoint, part)
        for endpoint, aggregates in endpoints.items()
        for part in _parts(aggregates, most)
    ]
    for at in range(0, len(told), most.endpoints):
        yield {"session_data": told[at : at + most.endpoints]}


_Part = list[tuple[Aggregate, dict[_Key, Session]]]


def _parts(aggregates: Mapping[Aggregate, list[Session]], most: Limits) -> Iterator[_Part]:
    """What of an endpoint goes together: no aggregate twice, and not too many."""
    rounds: list[_Part] = []
    for aggregate, sessions in aggregates.items():
        for at, piece in enumerate(_pieces(sessions, most.sessions)):
            if at == len(rounds):
                rounds.append([])
            rounds[at].append((aggregate, piece))
    for part in rounds:
        for at in range(0, len(part), most.aggregates):
            yield part[at : at + most.aggregates]


def _pieces(sessions: Iterable[Session], most: int) -> list[dict[_Key, Session]]:
    """Sessions of an aggregate, no key twice in a piece: a port may soon be used again."""
    pieces: list[dict[_Key, Session]] = [{}]
    for one in sessions:
        key = (one.remote, one.port)
        if len(pieces[-1]) == most or key in pieces[-1]:
            pieces.append({})
        pieces[-1][key] = one
    return pieces


# --- Fields -------------------------------------------------------------------------------


def _endpoint(endpoint: Endpoint, part: _Part) -> Values:
    aggregates = [(_aggregate_key(key), _aggregate(list(found.values()))) for key, found in part]
    values: dict[str, Any] = {
        "vmi": endpoint.vmi,
        "vn": endpoint.vn,
        "remote_vn": endpoint.remote_vn,
        "security_policy_rule": endpoint.rule or None,
        "is_client_session": endpoint.client,
        "is_si": endpoint.service_instance,
        "remote_prefix": endpoint.prefix or None,
        "vrouter_ip": endpoint.router,
        "sess_agg_info": Entries(aggregates),
    }
    return values | _tags("", endpoint.tags) | _tags("remote_", endpoint.remote_tags)


def _tags(prefix: str, tags: Tags) -> dict[str, Any]:
    return {
        f"{prefix}deployment": tags.deployment or None,
        f"{prefix}tier": tags.tier or None,
        f"{prefix}application": tags.application or None,
        f"{prefix}site": tags.site or None,
        f"{prefix}labels": tags.labels or None,
        f"{prefix}custom_tags": tags.custom or None,
    }


def _aggregate_key(key: Aggregate) -> Values:
    return {"local_ip": key.local, "service_port": key.port, "protocol": key.protocol}


def _aggregate(sessions: list[Session]) -> Values:
    values: dict[str, Any] = {}
    for kind, chosen in (
        ("sampled", [(one, one.scale) for one in sessions if one.sampled]),
        ("logged", [(one, 1.0) for one in sessions if one.logged]),
    ):
        if not chosen:
            continue
        for side in ("forward", "reverse"):
            ways = [(getattr(one, side), scale) for one, scale in chosen]
            values[f"{kind}_{side}_bytes"] = sum(round(way.bytes * scale) for way, scale in ways)
            values[f"{kind}_{side}_pkts"] = sum(round(way.packets * scale) for way, scale in ways)
    entries = [({"ip": one.remote, "port": one.port}, _session(one)) for one in sessions]
    return values | {"sessionMap": Entries(entries)}


def _session(one: Session) -> Values:
    return {
        "forward_flow_info": _direction(one, one.forward),
        "reverse_flow_info": _direction(one, one.reverse),
        "vm": one.vm or None,
        "other_vrouter_ip": one.peer,
        "underlay_proto": one.tunnel or None,
    }


def _direction(one: Session, way: Direction) -> Values:
    values: dict[str, Any] = {
        "flow_uuid": way.flow,
        "tcp_flags": way.tcp_flags or None,
        "setup_time": round(one.started * _MICRO),
        "action": one.action,
        "sg_rule_uuid": one.sg_rule or None,
        "nw_ace_uuid": one.policy_rule or None,
        "drop_reason": one.drop_reason or None,
    }
    if one.sampled:
        values["sampled_bytes"] = round(way.bytes * one.scale)
        values["sampled_pkts"] = round(way.packets * one.scale)
    if one.logged:
        values |= {"logged_bytes": way.bytes, "logged_pkts": way.packets}
    if one.ended is not None:
        values["teardown_time"] = round(one.ended * _MICRO)
        values |= {"teardown_bytes": way.total_bytes, "teardown_pkts": way.total_packets}
    return values
