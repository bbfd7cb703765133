"""Sessions made by hand."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from agent.telemetry.sessions import Aggregate, Direction, Endpoint, Session, Tags
from agent.telemetry.sessions.making import flow_uuid

RUN = UUID("11111111-2222-4333-8444-555555555555")
RED, BLUE = "default-domain:demo:red", "default-domain:demo:blue"
GROUP_RULE, RULE = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
STARTED, ENDED = 1_700_000_000.25, 1_700_000_060.5

ENDPOINT = Endpoint(
    vmi="default-domain:demo:vmi1",
    vn=RED,
    remote_vn=BLUE,
    tags=Tags(tier="tier=web", labels=("label=a", "label=b")),
    remote_tags=Tags(application="application=hr", custom=("zone=1",)),
    client=True,
    service_instance=False,
    rule=RULE,
    prefix="10.2.0.0/16",
    router=ip_address("10.0.0.1"),
)


def session(
    number: int = 0, *, local: str = "10.1.1.3", remote: str = "10.2.2.4", **changes: Any
) -> Session:
    """A TCP session of vmi1 to port 8080, which has ended; of each `number` another one."""
    made = Session(
        endpoint=ENDPOINT,
        aggregate=Aggregate(ip_address(local), 8080, 6),
        remote=ip_address(remote),
        port=40000 + number,
        forward=Direction(flow_uuid(RUN, number + 1, 0), 600, 6, 1600, 16, 0x29),
        reverse=Direction(flow_uuid(RUN, number + 1, 1), 9000, 7, 19000, 17, 0x28),
        started=STARTED,
        ended=ENDED,
        why="closed",
        action="pass",
        drop_reason="",
        sg_rule=GROUP_RULE,
        policy_rule=RULE,
        vm="vm1",
        peer=ip_address("10.0.0.2"),
        tunnel=2,
        vif=3,
        vrf=2,
        scale=1.0,
        logged=False,
    )
    return replace(made, **changes)
