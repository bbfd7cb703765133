"""The sessions with control nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.introspect.request import Query, Row, Table
from agent.telemetry import Node
from agent.telemetry.health import stamp
from agent.xmpp import PeerView, State


def controllers(node: Node, query: Query) -> Iterator[Row]:
    """The controllers in use."""
    secured = node.settings.get("DEFAULT", "xmpp_auth_enable", bool)
    parts = (part for part in node.health.report().parts if part.name == "controller")
    since = {part.instance: stamp(part.since) for part in parts}
    for view in node.controllers.views():
        yield _controller(view, since.get(str(view.server), ""), secured=secured)


def _controller(view: PeerView, since: str, *, secured: bool) -> dict[str, Any]:
    """`since` is when the session came to where it stands."""
    ready, messages = view.state is State.ESTABLISHED, view.messages
    return {
        "controller_ip": str(view.server.address),
        "state": view.state.value,
        "peer_name": "network-control@contrailsystems.com" if ready else "",
        "peer_address": str(view.server),
        "cfg_controller": "Yes" if view.config else "No",
        "mcast_controller": "Yes" if view.tree_builder else "No",
        "last_state": view.state.value,
        "last_event": view.last_fault,
        "last_state_at": since,
        "last_ready_time": since if ready else "",
        "flap_count": view.flaps,
        "flap_time": since if view.flaps else "",
        "rx_proto_stats": {"update": messages.received, "keepalive": messages.keepalives},
        "tx_proto_stats": {"update": messages.sent},
        "xmpp_auth_type": "TLS" if secured else "NIL",
        "sequence_number": view.sequence,
        "end_of_rib_stats": {
            "rx": {
                "end_of_rib_reason": "received" if view.end_of_rib_received else "",
                "running": ready and not view.end_of_rib_received,
            },
            "tx": {
                "end_of_rib_reason": "sent" if view.end_of_rib_sent else "",
                "running": ready and not view.end_of_rib_sent,
            },
        },
    }


def dns_servers(node: Node, query: Query) -> Iterator[Row]:
    """This agent has no session with a DNS node: records of VMs are looked up nowhere else."""
    yield from ()


SERVED = (
    Table("AgentXmppConnectionStatusReq", "AgentXmppConnectionStatus", "peer", controllers),
    Table("AgentDnsXmppConnectionStatusReq", "AgentDnsXmppConnectionStatus", "peer", dns_servers),
)
