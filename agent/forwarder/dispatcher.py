"""From the bytes of a request to the payloads of its reply."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from agent.errors import SandeshError
from agent.forwarder.control import Control
from agent.forwarder.handlers import (
    drop_log,
    flow,
    label,
    mirror,
    nexthop,
    ops,
    qos,
    route,
    stats,
    vif,
    vrf,
)
from agent.forwarder.replies import EINVAL, EIO, UNDECODABLE, Replies, ack
from agent.sandesh import vrouter as messages
from agent.sandesh.vrouter import Message, iter_messages

log = logging.getLogger(__name__)

Handler = Callable[[Control, Any], Replies]

HANDLERS: dict[type[Message], Handler] = {
    messages.VrInterfaceReq: vif.handle,
    messages.VrNexthopReq: nexthop.handle,
    messages.VrRouteReq: route.handle,
    messages.VrMplsReq: label.handle_mpls,
    messages.VrVxlanReq: label.handle_vxlan,
    messages.VrMirrorReq: mirror.handle,
    messages.VrVrfReq: vrf.handle_vrf,
    messages.VrVrfAssignReq: vrf.handle_vrf_assign,
    messages.VrVrfStatsReq: stats.handle_vrf_stats,
    messages.VrDropStatsReq: stats.handle_drop_stats,
    messages.VrMemStatsReq: stats.handle_mem_stats,
    messages.VrPktDropLogReq: drop_log.handle_drop_log,
    messages.VrInfoReq: stats.handle_info,
    messages.VrQosMapReq: qos.handle_qos_map,
    messages.VrFcMapReq: qos.handle_fc_map,
    messages.VrFlowReq: flow.handle_flow,
    messages.VrFlowTableData: flow.handle_flow_table,
    messages.VrBridgeTableData: flow.handle_bridge_table,
    messages.VrouterOps: ops.handle_ops,
    messages.VrHugepageConfig: ops.handle_hugepages,
}
"""vr_response and vr_flow_response are answers: nobody sends them here as requests."""


def answer(control: Control, payload: bytes) -> Replies:
    """Execute the messages of one frame in order; every reply payload becomes a frame.

    A message that cannot be read ends the frame with code -1; those before it have
    been executed. A message that fails in an unforeseen way is answered -EIO and logged.
    """
    replies: Replies = []
    try:
        for message in iter_messages(payload):
            replies += _answer_one(control, message)
    except SandeshError as error:
        log.info("request that cannot be read: %s", error)
        replies += ack(UNDECODABLE)
    return replies


def _answer_one(control: Control, message: Message) -> Replies:
    handler = HANDLERS.get(type(message))
    if handler is None:
        return ack(UNDECODABLE)
    try:
        return handler(control, message)
    except (ValueError, OverflowError) as error:  # a number that no data plane can hold
        log.info("%s refused: %s", message.NAME, error)
        return ack(EINVAL)
    except Exception:
        log.exception("%.1000r failed", message)
        return ack(EIO)
