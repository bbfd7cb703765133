"""The questions that open a connection: limits, tables, and a dump of everything.

Each generator yields one request and is sent the answer, so that the order of questions
reads as plain code (facts sandesh-ksync.md 3.4 and 4.6, datapath-behaviour.md 2 and 8).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple, TypeVar

from agent._fast.records import routes_of_leaves
from agent.errors import DatapathError
from agent.ksync.bulk import Desync
from agent.ksync.compare import is_ours, single_classes
from agent.ksync.events import Dumped
from agent.ksync.objects import AF_BRIDGE, AF_INET, AF_INET6
from agent.objects import DatapathMessage
from agent.sandesh.answers import DUMP_INCOMPLETE
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrBridgeTableData,
    VrFcMapReq,
    VrFlowTableData,
    VrHugepageConfig,
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
    VrQosMapReq,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVxlanReq,
)

M = TypeVar("M")
R = TypeVar("R")

_NO_VRF = 0xFFFF
_NO_DEVICE = 0xFFFF
"""ftable_dev of a datapath without tables."""
_NO_MEMORY = 0xFFFFFFFF
"""-1 in the u32 that vhp_resp is."""
# An empty table, a datapath without the feature, one that does not know the message.
_NOTHING_THERE = frozenset(
    {errno.ENOENT, errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}
)
_DUMP = SandeshOp.DUMP
_GET = SandeshOp.GET


class Answer(NamedTuple):
    """The result of one question: vr_response's code and the objects after it."""

    code: int
    objects: tuple[DatapathMessage, ...]


Questions = Generator[DatapathMessage, Answer, R]


def _dump(first: M, resume: Callable[[M], M]) -> Questions[list[M]]:
    """All pages of one dump; `resume` makes the next request from the last object.

    Some refusals mean that there is nothing of the kind (`_NOTHING_THERE`); others raise
    DatapathError. Raises Desync when the count does not fit or a page brings nothing new.
    """
    objects: list[M] = []
    request = first
    while True:
        answer = yield request  # type: ignore[misc]
        if -answer.code in _NOTHING_THERE:
            return objects
        if answer.code < 0:
            raise DatapathError(-answer.code, f"a dump of {type(first).__name__}")
        page = [each for each in answer.objects if isinstance(each, type(first))]
        if len(page) != answer.code & ~DUMP_INCOMPLETE or len(page) != len(answer.objects):
            raise Desync(f"a dump announced {answer.code:#x} objects and gave {len(page)}")
        objects += page
        if not answer.code & DUMP_INCOMPLETE:
            return objects
        following = resume(page[-1]) if page else request
        if following == request:
            raise Desync("a dump does not advance")
        request = following


def _vifs() -> Questions[list[VrInterfaceReq]]:
    def after(marker: int) -> VrInterfaceReq:
        return VrInterfaceReq(h_op=_DUMP, vifr_marker=marker)

    return (yield from _dump(after(-1), lambda last: after(last.vifr_idx)))


def _nexthops() -> Questions[list[VrNexthopReq]]:
    def after(marker: int) -> VrNexthopReq:
        return VrNexthopReq(h_op=_DUMP, nhr_marker=marker)

    found = yield from _dump(after(-1), lambda last: after(last.nhr_id))
    return (yield from _whole(found))


def _whole(found: list[VrNexthopReq]) -> Questions[list[VrNexthopReq]]:
    """Composite nexthops with all their members: a dump shows 16, a GET all of them."""
    for at, one in enumerate(found):
        if one.nhr_nh_count > len(one.nhr_nh_list):
            whole = yield from _get(VrNexthopReq(h_op=_GET, nhr_id=one.nhr_id))
            if whole is not None and whole.nhr_id == one.nhr_id:
                found[at] = whole
    return found


def _labels() -> Questions[list[VrMplsReq]]:
    def after(marker: int) -> VrMplsReq:
        return VrMplsReq(h_op=_DUMP, mr_marker=marker)

    return (yield from _dump(after(-1), lambda last: after(last.mr_label)))


def _vxlans() -> Questions[list[VrVxlanReq]]:
    def after(vnid: int) -> VrVxlanReq:
        return VrVxlanReq(h_op=_DUMP, vxlanr_vnid=vnid)

    return (yield from _dump(after(0), lambda last: after(last.vxlanr_vnid)))


def _vrfs() -> Questions[list[VrVrfReq]]:
    def after(marker: int) -> VrVrfReq:
        return VrVrfReq(h_op=_DUMP, vrf_marker=marker)

    return (yield from _dump(after(-1), lambda last: after(last.vrf_idx)))


def _mirrors() -> Questions[list[VrMirrorReq]]:
    def after(marker: int) -> VrMirrorReq:
        return VrMirrorReq(h_op=_DUMP, mirr_marker=marker)

    return (yield from _dump(after(-1), lambda last: after(last.mirr_index)))


def _vrf_assigns(vif: int) -> Questions[list[VrVrfAssignReq]]:
    def after(marker: int) -> VrVrfAssignReq:
        return VrVrfAssignReq(h_op=_DUMP, var_vif_index=vif, var_marker=marker)

    rules = yield from _dump(after(-1), lambda last: after(last.var_vlan_id))
    return [rule for rule in rules if rule.var_vif_vrf not in (-1, _NO_VRF)]


def _qos_maps() -> Questions[list[VrQosMapReq]]:
    def after(marker: int) -> VrQosMapReq:
        return VrQosMapReq(h_op=_DUMP, qmr_marker=marker)

    return (yield from _dump(after(-1), lambda last: after(last.qmr_id)))


def _forwarding_classes() -> Questions[list[VrFcMapReq]]:
    def after(marker: int) -> VrFcMapReq:
        return VrFcMapReq(h_op=_DUMP, fmr_marker=marker)

    def resume(last: VrFcMapReq) -> VrFcMapReq:
        return after(last.fmr_id[-1] if last.fmr_id else -1)

    pages = yield from _dump(after(-1), resume)
    return [each for page in pages for each in single_classes(page)]


def _inet_routes(vrf: int, family: int) -> Questions[list[VrRouteReq]]:
    anywhere = bytes(4 if family == AF_INET else 16)
    first = VrRouteReq(h_op=_DUMP, rtr_vrf_id=vrf, rtr_family=family, rtr_prefix=anywhere)

    def resume(last: VrRouteReq) -> VrRouteReq:
        return first.replace(
            rtr_prefix=last.rtr_prefix,
            rtr_marker=last.rtr_prefix,
            rtr_marker_plen=last.rtr_prefix_len,
        )

    leaves = yield from _dump(first, resume)
    fitting = [
        leaf
        for leaf in leaves
        if leaf.rtr_family == family and len(leaf.rtr_prefix) == len(anywhere)
    ]
    return routes_of_leaves(fitting)


def _bridge_routes(vrf: int) -> Questions[list[VrRouteReq]]:
    def after(mac: bytes) -> VrRouteReq:
        return VrRouteReq(h_op=_DUMP, rtr_vrf_id=vrf, rtr_family=AF_BRIDGE, rtr_mac=mac)

    routes = yield from _dump(after(bytes(6)), lambda last: after(last.rtr_mac))
    return [route for route in routes if route.rtr_family == AF_BRIDGE]


def _ask(request: M) -> Questions[Answer]:
    """One question that must be answered well: DatapathError otherwise."""
    answer = yield request  # type: ignore[misc]
    if answer.code < 0 and answer.code != -errno.EEXIST:
        raise DatapathError(-answer.code, f"{type(request).__name__}")
    return answer


def _get(request: M) -> Questions[M | None]:
    """The object that a GET brings; None if the datapath refuses or has none."""
    answer = yield request  # type: ignore[misc]
    if answer.code < 0:
        return None
    return next((each for each in answer.objects if isinstance(each, type(request))), None)


def dump_all(vrfs: Iterable[int]) -> Questions[list[DatapathMessage]]:
    """Everything of ours in the datapath, as ADD messages.

    Routes are asked for in `vrfs`, VRF 0, and every VRF that a vif, nexthop or VRF object
    names.
    """
    vifs = yield from _vifs()
    nexthops = yield from _nexthops()
    vrf_objects = yield from _vrfs()
    found: list[Any] = [*vifs, *nexthops, *vrf_objects]
    for kind in (_labels, _vxlans, _mirrors, _qos_maps, _forwarding_classes):
        found += yield from kind()
    for vif in vifs:
        found += yield from _vrf_assigns(vif.vifr_idx)
    tables = {0, *vrfs}
    tables.update(vif.vifr_vrf for vif in vifs)
    tables.update(nexthop.nhr_vrf for nexthop in nexthops)
    tables.update(vrf.vrf_idx for vrf in vrf_objects)
    for vrf in sorted(each for each in tables if 0 <= each < _NO_VRF):
        found += yield from _inet_routes(vrf, AF_INET)
        found += yield from _inet_routes(vrf, AF_INET6)
        found += yield from _bridge_routes(vrf)
    return [
        each if each.h_op == SandeshOp.ADD else each.replace(h_op=SandeshOp.ADD)
        for each in found
        if is_ours(each)
    ]


class Opening(NamedTuple):
    """What is to be done once at the start of a connection.

    `priority_tagging` None leaves the datapath's setting alone. `hugepages` is what a kernel
    datapath is told once, if it has no tables yet; empty, it takes ordinary memory.
    """

    reset: bool = False
    priority_tagging: bool | None = None
    hugepages: VrHugepageConfig = VrHugepageConfig(vhp_op=SandeshOp.ADD)


def _tune(limits: VrouterOps, tagging: bool) -> Questions[None]:
    """Set priority tagging, leaving every other tunable as it is (-1)."""
    if bool(limits.vo_priority_tagging) == tagging:
        return
    tunables = (name for name in VrouterOps.FIELDS if name.startswith(("vo_perf", "vo_burst")))
    others = (
        "vo_from_vm_mss_adj",
        "vo_to_vm_mss_adj",
        "vo_udp_coff",
        "vo_flow_hold_limit",
        "vo_mudp",
        "vo_memory_alloc_checks",
        "vo_packet_dump",
        "vo_pkt_droplog_bufsz",
        "vo_pkt_droplog_buf_en",
        "vo_pkt_droplog_en",
        "vo_pkt_droplog_min_en",
        "vo_uncond_close_flow_on_tcp_rst",
    )
    unchanged: dict[str, Any] = dict.fromkeys((*tunables, *others), -1)
    yield from _ask(VrouterOps(h_op=SandeshOp.ADD, vo_priority_tagging=int(tagging), **unchanged))


def _flow_table(hugepages: VrHugepageConfig) -> Questions[VrFlowTableData | None]:
    """Where the flow table is, after the kernel's module was given memory for its tables.

    A module just loaded has neither flow nor bridge table, says so by a device that none can
    be, and refuses routes (facts kernel-datapath.md, start-up order). One that has tables is
    told nothing: it takes the message once in its life.
    """
    asked = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET)
    table = yield from _get(asked)
    if table is None or table.ftable_dev != _NO_DEVICE:
        return table
    answer = yield from _ask(hugepages)
    told = (each.vhp_resp for each in answer.objects if isinstance(each, VrHugepageConfig))
    if _NO_MEMORY in told:
        raise DatapathError(errno.ENOMEM, "memory for its flow and bridge tables")
    return (yield from _get(asked))


def open_datapath(opening: Opening, vrfs: Iterable[int]) -> Questions[Dumped]:
    """All questions of a new connection, in the order that the facts require.

    Raises DatapathError if the datapath refuses what it must be able to do, Desync if its
    answers do not fit.
    """
    answer = yield from _ask(VrouterOps(h_op=_GET))
    limits = next((each for each in answer.objects if isinstance(each, VrouterOps)), None)
    if limits is None:
        raise Desync("the datapath does not tell its limits")
    if opening.reset:
        yield from _ask(VrouterOps(h_op=SandeshOp.RESET))
    flow_table = yield from _flow_table(opening.hugepages)
    if opening.priority_tagging is not None:
        yield from _tune(limits, opening.priority_tagging)
    bridge_table = yield from _get(VrBridgeTableData(btable_op=_GET))
    messages = yield from dump_all(vrfs)
    return Dumped(tuple(messages), limits, flow_table, bridge_table)
