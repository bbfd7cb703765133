"""Sessions as flat JSON documents, one a line: for files that are shipped, and for syslog.

docs/analytics.md describes each member for users. Counters are what passed since the session was
last told; those of a sample are scaled already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from agent.telemetry.sessions.model import Session


class Document(msgspec.Struct, omit_defaults=True, rename={"timestamp": "@timestamp"}):
    """One line. What is empty or 0 is left out, but for what comes first."""

    timestamp: datetime
    host: str
    kind: str
    vmi: str
    vn: str
    remote_vn: str
    role: str
    local_ip: str
    remote_ip: str
    protocol: int
    service_port: int
    client_port: int
    action: str
    forward_bytes: int
    forward_packets: int
    reverse_bytes: int
    reverse_packets: int
    start_time: datetime
    session_id: UUID
    end_time: datetime | None = None
    end_reason: str = ""
    total_forward_bytes: int = 0
    total_forward_packets: int = 0
    total_reverse_bytes: int = 0
    total_reverse_packets: int = 0
    forward_tcp_flags: int = 0
    reverse_tcp_flags: int = 0
    drop_reason: str = ""
    sampling_scale: float = 1.0
    vm: str = ""
    vrouter_ip: str = ""
    other_vrouter_ip: str = ""
    underlay: str = ""
    remote_prefix: str = ""
    firewall_rule: str = ""
    policy_rule: str = ""
    security_group_rule: str = ""
    service_instance: bool = False
    application: str = ""
    tier: str = ""
    deployment: str = ""
    site: str = ""
    labels: tuple[str, ...] = ()
    custom_tags: tuple[str, ...] = ()
    remote_application: str = ""
    remote_tier: str = ""
    remote_deployment: str = ""
    remote_site: str = ""
    remote_labels: tuple[str, ...] = ()
    remote_custom_tags: tuple[str, ...] = ()


_UNDERLAY = ("", "MPLSoGRE", "MPLSoUDP", "VXLAN")
_ENCODER = msgspec.json.Encoder()


def lines(sessions: Iterable[Session], host: str, wall: float) -> bytes:
    """Documents with a line feed after each; `wall` is the time of day in seconds."""
    return _ENCODER.encode_lines(list(documents(sessions, host, wall)))


def encoded(sessions: Iterable[Session], host: str, wall: float) -> list[bytes]:
    """The same, each document for itself."""
    return list(map(_ENCODER.encode, documents(sessions, host, wall)))


def documents(sessions: Iterable[Session], host: str, wall: float) -> Iterator[Document]:
    """A document for each session; two for one that is logged and a sample: sums of either
    kind are then right for themselves."""
    now = datetime.fromtimestamp(wall, UTC)
    for one in sessions:
        if one.sampled:
            yield _document(one, host, now, "sample", one.scale)
        if one.logged:
            yield _document(one, host, now, "slo", 1.0)


def iso(seconds: float) -> str:
    """A time of day in UTC to the millisecond (RFC 3339)."""
    told = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return told[:-6] + "Z"


def _document(one: Session, host: str, now: datetime, kind: str, scale: float) -> Document:
    forward, reverse, endpoint = one.forward, one.reverse, one.endpoint
    tags, remote = endpoint.tags, endpoint.remote_tags
    made = Document(
        timestamp=now,
        host=host,
        kind=kind,
        vmi=endpoint.vmi,
        vn=endpoint.vn,
        remote_vn=endpoint.remote_vn,
        role="client" if endpoint.client else "server",
        local_ip=str(one.aggregate.local),
        remote_ip=str(one.remote),
        protocol=one.aggregate.protocol,
        service_port=one.aggregate.port,
        client_port=one.port,
        action=one.action,
        forward_bytes=round(forward.bytes * scale),
        forward_packets=round(forward.packets * scale),
        reverse_bytes=round(reverse.bytes * scale),
        reverse_packets=round(reverse.packets * scale),
        start_time=datetime.fromtimestamp(one.started, UTC),
        session_id=forward.flow,
        forward_tcp_flags=forward.tcp_flags,
        reverse_tcp_flags=reverse.tcp_flags,
        drop_reason=one.drop_reason,
        sampling_scale=round(scale, 6),
        vm=one.vm,
        vrouter_ip=str(endpoint.router),
        other_vrouter_ip=str(one.peer) if one.peer else "",
        underlay=_UNDERLAY[one.tunnel] if one.tunnel < len(_UNDERLAY) else "",
        remote_prefix=endpoint.prefix,
        firewall_rule=endpoint.rule,
        policy_rule=one.policy_rule,
        security_group_rule=one.sg_rule,
        service_instance=endpoint.service_instance,
        application=tags.application,
        tier=tags.tier,
        deployment=tags.deployment,
        site=tags.site,
        labels=tags.labels,
        custom_tags=tags.custom,
        remote_application=remote.application,
        remote_tier=remote.tier,
        remote_deployment=remote.deployment,
        remote_site=remote.site,
        remote_labels=remote.labels,
        remote_custom_tags=remote.custom,
    )
    if one.ended is not None:
        _end(made, one, one.ended)
    return made


def _end(made: Document, one: Session, ended: float) -> None:
    made.end_time, made.end_reason = datetime.fromtimestamp(ended, UTC), one.why
    made.total_forward_bytes = one.forward.total_bytes
    made.total_forward_packets = one.forward.total_packets
    made.total_reverse_bytes = one.reverse.total_bytes
    made.total_reverse_packets = one.reverse.total_packets
