"""The sessions with control nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.introspect.request import Query, Row, Table
from agent.telemetry import Node
from agent.xmpp import PeerView, State


def controllers(node: Node, query: Query) -> Iterator[Row]:
    """The controllers in use."""
    secured = node.settings.get("DEFAULT", "xmpp_auth_enable", bool)
    for view in node.controllers.views():
        yield _controller(view, secured=secured)


def _controller(view: PeerView, *, secured: bool) -> dict[str, Any]:
    ready = view.state is State.ESTABLISHED
    return {
        "controller_ip": str(view.server.address),
        "state": view.state.value,
        "peer_name": "network-control@contrailsystems.com" if ready else "",
        "peer_address": str(view.server),
        "cfg_controller": "Yes" if view.config else "No",
        "mcast_controller": "Yes" if view.tree_builder else "No",
        "last_state": view.state.value,
        "last_event": view.last_fault,
        "flap_count": view.flaps,
        "flap_time": "",
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
