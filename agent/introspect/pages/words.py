"""What a datapath object is and how it stands, in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from agent.introspect.pages import links
from agent.introspect.pages.shown import Cell, Run, Text, Tone, run
from agent.ksync import State
from agent.ksync.record import RecordView
from agent.objects import Identity, Kind
from agent.oper.datapath import InetFlag, NexthopFlag, NexthopType, VifFlag, VifType
from agent.sandesh.vrouter import (
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrRouteReq,
    VrVrfAssignReq,
    VrVxlanReq,
)
from agent.telemetry import Node
from agent.values import ip4_from_loaded

_STATES = {
    State.SYNCED: ("in the datapath", Tone.GOOD),
    State.DUE: ("about to be sent", Tone.BUSY),
    State.SENT: ("sent, not yet answered", Tone.BUSY),
}
# Plain numbers: flags of enums are slow to combine, and a page has hundreds of them.
_POLICY, _MULTICAST = NexthopFlag.POLICY.value, NexthopFlag.MCAST.value
_TUNNELS = (
    (NexthopFlag.TUNNEL_GRE.value, "MPLS over GRE"),
    (NexthopFlag.TUNNEL_UDP_MPLS.value, "MPLS over UDP"),
    (NexthopFlag.TUNNEL_VXLAN.value, "VXLAN"),
    (NexthopFlag.TUNNEL_UDP.value, "UDP"),
)
_COMPOSITES = (
    (NexthopFlag.COMPOSITE_ECMP.value, "ECMP"),
    (NexthopFlag.COMPOSITE_EVPN.value, "flood to EVPN hosts"),
    (NexthopFlag.COMPOSITE_FABRIC.value, "flood to the fabric"),
    (NexthopFlag.COMPOSITE_ENCAP.value, "flood to ports"),
)
_LABEL_VALID = InetFlag.LABEL_VALID.value


def state(view: RecordView, *, connected: bool = True) -> Text:
    """How an object stands between what is wanted and the datapath."""
    if not connected:
        return Text("not known: no connection", tone=Tone.IDLE)
    if view.errno:
        return Text(f"refused: {error(view.errno)}", tone=Tone.BAD)
    if view.state is State.HELD:
        return Text("refused, waits for the next attempt", tone=Tone.BAD)
    if view.state is State.WAIT:
        return Text(f"waits for {view.waits_for or 'its turn'}", tone=Tone.BUSY)
    text, tone = _STATES[view.state]
    return Text("to be removed" if view.desired is None else text, tone=tone)


def error(number: int) -> str:
    """An error number by name and in words."""
    return f"{errno.errorcode.get(number, number)} ({os.strerror(number)})"


def describe(node: Node, view: RecordView) -> Run:
    """What an object does, with links to what it names."""
    message: Any = view.desired or view.programmed
    teller = _TELLERS.get(type(message))
    if teller is None:
        return run(links.short(str(view.key.name)) if view.key else "")
    return run(teller(node, message))


def is_route(view: RecordView) -> bool:
    """Whether an object is a route."""
    return view.identity.kind in (Kind.INET_ROUTE, Kind.BRIDGE_ROUTE)


def leads_to(node: Node, view: RecordView) -> Run:
    """What a route does, down to its nexthop."""
    message: Any = view.desired or view.programmed
    nexthop = node.session.look(Identity(Kind.NEXTHOP, message.rtr_nh_id))
    return run(describe(node, view), describe(node, nexthop) if nexthop else "")


def vif(node: Node, number: int) -> tuple[Text, ...]:
    """A vif, and the port that it is."""
    row = node.compiler.vmi(number)
    own = links.identity(Identity(Kind.VIF, number))
    return (own, links.port(row)) if row else (own,)


def _link(kind: Kind, number: int) -> Text:
    return links.identity(Identity(kind, number))


def _vif(node: Node, message: VrInterfaceReq) -> Cell:
    row = node.compiler.vmi(message.vifr_idx)
    kind = _name(VifType, message.vifr_type, "vif")
    return (f"{message.vifr_name} ({kind.lower()})", links.port(row) if row else "")


def _nexthop(node: Node, message: VrNexthopReq) -> Cell:
    flags = message.nhr_flags
    policy = " with policy" if flags & _POLICY else ""
    multicast = " multicast" if flags & _MULTICAST else ""
    if message.nhr_type == NexthopType.TUNNEL:
        return f"{_carrier(message)} tunnel to {ip4_from_loaded(message.nhr_tun_dip)}"
    if message.nhr_type == NexthopType.COMPOSITE:
        kind = next((name for bit, name in _COMPOSITES if flags & bit), "flood")
        count = sum(one >= 0 for one in message.nhr_nh_list)
        return f"{kind}: {count} member{'' if count == 1 else 's'}"
    if message.nhr_type == NexthopType.ENCAP and message.nhr_encap_oif_id:
        family = "L2" if message.nhr_family == 7 else "L3"
        return (f"{family} to", *vif(node, message.nhr_encap_oif_id[0]), policy + multicast)
    if message.nhr_type == NexthopType.VRF_TRANSLATE:
        return ("look up in", _link(Kind.VRF, message.nhr_vrf), policy)
    return _name(NexthopType, message.nhr_type, "nexthop").lower() + policy + multicast


def tunnel(view: RecordView) -> str:
    """What carries packets through a tunnel nexthop."""
    return _carrier(view.desired or view.programmed)


def _carrier(message: Any) -> str:
    return next((name for bit, name in _TUNNELS if message.nhr_flags & bit), "unknown")


def _label(node: Node, message: VrMplsReq) -> Cell:
    return _link(Kind.NEXTHOP, message.mr_nhid)


def _vxlan(node: Node, message: VrVxlanReq) -> Cell:
    return _link(Kind.NEXTHOP, message.vxlanr_nhid)


def _mirror(node: Node, message: VrMirrorReq) -> Cell:
    return _link(Kind.NEXTHOP, message.mirr_nhid)


def _vrf_assign(node: Node, message: VrVrfAssignReq) -> Cell:
    return (_link(Kind.VIF, message.var_vif_index), _link(Kind.VRF, message.var_vif_vrf))


def _route(node: Node, message: VrRouteReq) -> Cell:
    to = _link(Kind.NEXTHOP, message.rtr_nh_id)
    label = label_of(message)
    return to if label is None else (to, f"label {label}")


def label_of(message: VrRouteReq) -> int | None:
    """The label (or VNI) that a route's packets get; None where none goes along."""
    valid = 0x2 if message.rtr_family == 7 else _LABEL_VALID
    return message.rtr_label if message.rtr_label_flags & valid else None


_TELLERS: dict[type, Callable[[Node, Any], Cell]] = {
    VrInterfaceReq: _vif,
    VrNexthopReq: _nexthop,
    VrMplsReq: _label,
    VrVxlanReq: _vxlan,
    VrMirrorReq: _mirror,
    VrVrfAssignReq: _vrf_assign,
    VrRouteReq: _route,
}


def flags(message: Any) -> str:
    """The flags of a vif or nexthop by name."""
    if isinstance(message, VrInterfaceReq):
        return _flag_names(VifFlag, message.vifr_flags)
    if isinstance(message, VrNexthopReq):
        return _flag_names(NexthopFlag, message.nhr_flags)
    return ""


def _flag_names(kind: Any, value: int) -> str:
    names = [str(one.name).lower().replace("_", " ") for one in kind if one and value & one]
    return ", ".join(names) or "none"


def _name(kind: Any, value: int, default: str) -> str:
    try:
        return str(kind(value).name).replace("_", " ")
    except ValueError:
        return f"{default} type {value}"
