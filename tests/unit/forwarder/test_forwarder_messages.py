"""All other messages to a forwarder, several together, and any bytes."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.forwarder.dispatcher import HANDLERS, answer
from agent.forwarder.handlers.stats import DROP_FIELDS
from agent.sandesh.vrouter import (
    FlowOp,
    Message,
    VrBridgeTableData,
    VrDropStatsReq,
    VrFcMapReq,
    VrFlowReq,
    VrFlowResponse,
    VrFlowTableData,
    VrHugepageConfig,
    VrInfoReq,
    VrInterfaceReq,
    VrMemStatsReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
    VrPktDropLogReq,
    VrQosMapReq,
    VrResponse,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVrfStatsReq,
    VrVxlanReq,
    decode_messages,
)
from tests.unit.forwarder.requests import (
    ADD,
    DEL,
    DUMP,
    EEXIST,
    EINVAL,
    ENOENT,
    EOPNOTSUPP,
    GET,
    RESET,
    VM,
    bridge,
    discard,
    encap,
    fabric,
    inet,
    stage,
    vif,
)
from tests.unit.forwarder.stage import SMALL, Stage

__all__ = ["stage"]  # the fixture

# --- the rest


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (VrMirrorReq(mirr_index=1), 0),
        (VrMirrorReq(mirr_index=255), EINVAL),
        (VrMirrorReq(mirr_index=-1), EINVAL),
        (VrMirrorReq(mirr_index=1, mirr_nhid=99), EINVAL),
        (VrMirrorReq(h_op=DEL, mirr_index=1), EINVAL),
        (VrMirrorReq(h_op=GET, mirr_index=1), ENOENT),
        (VrVrfReq(vrf_idx=1, vrf_flags=1), 0),
        (VrVrfReq(vrf_idx=SMALL.vrfs), EINVAL),
        (VrVrfReq(vrf_idx=1, vrf_flags=2, vrf_hbfl_vif_idx=77), EINVAL),
        (VrVrfReq(h_op=DEL, vrf_idx=1), EINVAL),
        (VrVrfReq(h_op=GET, vrf_idx=1), ENOENT),
        (VrVrfAssignReq(var_vif_index=77, var_vlan_id=5, var_vif_vrf=1), EINVAL),
        (VrVrfAssignReq(var_vif_index=3, var_vlan_id=1024, var_vif_vrf=1), EINVAL),
        (VrVrfAssignReq(var_vif_index=3, var_vlan_id=5, var_vif_vrf=1), 0),
        (VrVrfAssignReq(h_op=GET, var_vif_index=3), EINVAL),
        (VrVrfAssignReq(h_op=DUMP, var_vif_index=77), EINVAL),
        (VrVrfAssignReq(h_op=99), EINVAL),
        (VrQosMapReq(qmr_id=4096), EINVAL),
        (VrQosMapReq(qmr_id=1, qmr_dscp=b"\1"), EINVAL),
        (VrQosMapReq(qmr_id=1, qmr_dscp=b"\1", qmr_dscp_fc_id=b"\2"), 0),
        (VrQosMapReq(h_op=GET, qmr_id=1), ENOENT),
        (VrQosMapReq(h_op=DEL, qmr_id=1), 0),
        (VrQosMapReq(h_op=99), EINVAL),
        (VrFcMapReq(fmr_id=(1,)), EINVAL),
        (VrFcMapReq(h_op=GET, fmr_id=(1,)), ENOENT),
        (VrFcMapReq(h_op=GET), ENOENT),
        (VrFcMapReq(h_op=99), EINVAL),
        (VrFlowReq(fr_op=FlowOp.FLOW_LIST), EINVAL),
        (VrouterOps(h_op=DEL), EOPNOTSUPP),
        (VrPktDropLogReq(h_op=DEL), EOPNOTSUPP),
        (VrInfoReq(h_op=DEL), EOPNOTSUPP),
        (VrHugepageConfig(vhp_op=GET), EOPNOTSUPP),
        (VrResponse(h_op=4), -1),
        (VrFlowResponse(), -1),
        (VrVrfStatsReq(h_op=GET, vsr_vrf=SMALL.vrfs), ENOENT),
    ],
)
def test_other_codes(stage: Stage, request_: Message, code: int) -> None:
    assert stage.code(vif(3)) == 0
    assert stage.code(request_) == code


@pytest.mark.parametrize("kind", [VrRouteReq, VrMplsReq, VrVxlanReq, VrMirrorReq, VrVrfReq])
@pytest.mark.parametrize("operation", [4, 5, 99, -1])
def test_unknown_operations_that_get_no_answer(
    stage: Stage, kind: type[Message], operation: int
) -> None:
    assert stage.ask(kind(h_op=operation)) == []


def test_unknown_vrf_statistics_operations_get_no_answer(stage: Stage) -> None:
    assert stage.ask(VrVrfStatsReq(h_op=ADD)) == []


@pytest.mark.parametrize("kind", [VrDropStatsReq, VrMemStatsReq])
def test_statistics_with_a_wrong_operation_answer_twice(stage: Stage, kind: type[Message]) -> None:
    ((refused,), (response, stats)) = stage.ask(kind(h_op=DUMP))
    assert refused == VrResponse(h_op=4, resp_code=EOPNOTSUPP)
    assert response == VrResponse(h_op=4)
    assert isinstance(stats, kind)


def test_objects_come_back_as_they_were_given(stage: Stage) -> None:
    assert stage.code(vif(3)) == 0
    there: list[tuple[Message, dict[str, Any], dict[str, Any]]] = [
        (VrMirrorReq(mirr_index=4, mirr_vni=9), {"mirr_index": 4}, {"mirr_users": 1}),
        (VrVrfReq(vrf_idx=4, vrf_flags=1), {"vrf_idx": 4}, {"h_op": 0}),
        (
            VrQosMapReq(qmr_id=4, qmr_dscp=b"\1\2", qmr_dscp_fc_id=b"\3\4"),
            {"qmr_id": 4},
            {"h_op": 0},
        ),
    ]
    for request, key, filled in there:
        assert stage.code(request) == 0
        found = stage.get(type(request)(h_op=GET, **key))
        assert found == request.replace(**{"h_op": GET, **filled})


def test_forwarding_classes_come_in_lists_and_go_out_one_by_one(stage: Stage) -> None:
    add = VrFcMapReq(
        fmr_id=(1, 2), fmr_dscp=b"\x0a\x0b", fmr_mpls_qos=b"\1\2", fmr_dotonep=b"\3\4",
        fmr_queue_id=b"\5\6",
    )  # fmt: skip
    assert stage.code(add) == 0
    second = stage.get(VrFcMapReq(h_op=GET, fmr_id=(2,)))
    assert isinstance(second, VrFcMapReq)
    assert (second.fmr_id, second.fmr_dscp, second.fmr_queue_id) == ((2,), b"\x0b", b"\6")
    (_, rows) = stage.ask(VrFcMapReq(h_op=DUMP, fmr_marker=-1))
    assert len(rows) == 2
    assert stage.code(VrFcMapReq(h_op=DEL, fmr_id=(1, 2))) == 0
    assert stage.code(VrFcMapReq(h_op=DUMP, fmr_marker=-1)) == 0


def test_limits(stage: Stage) -> None:
    found = stage.get(VrouterOps(h_op=GET))
    assert isinstance(found, VrouterOps)
    assert (found.vo_interfaces, found.vo_vrfs, found.vo_nexthops) == (300, 64, 4096)
    assert (found.vo_mpls_labels, found.vo_mirror_entries) == (5120, 255)
    assert (found.vo_flow_entries, found.vo_oflow_entries) == (1024, 1024)
    assert (found.vo_bridge_entries, found.vo_oflow_bridge_entries) == (1024, 1024)
    assert found.vo_flow_hold_limit == 8192
    assert "build-version" in found.vo_build_info


def test_tunables_change_unless_they_are_minus_1(stage: Stage) -> None:
    unchanged = {name: -1 for name in VrouterOps.FIELDS[15:29] if name.startswith("vo_")}
    tune = VrouterOps(h_op=ADD, **{**unchanged, "vo_flow_hold_limit": 77, "vo_packet_dump": -1})
    assert stage.code(tune.replace(vo_priority_tagging=1)) == 0
    found = stage.get(VrouterOps(h_op=GET))
    assert isinstance(found, VrouterOps)
    assert (found.vo_flow_hold_limit, found.vo_perfr, found.vo_priority_tagging) == (77, 1, 1)
    assert stage.code(tune) == 0
    found = stage.get(VrouterOps(h_op=GET))
    assert isinstance(found, VrouterOps)
    assert found.vo_priority_tagging == 0


def test_the_mss_tunable_reaches_the_data_plane(stage: Stage) -> None:
    guests = (vif(3, vifr_vrf=1), vif(4, vifr_vrf=1))
    for message in (fabric(), *guests, encap(5, 4, nhr_family=7), bridge(VM, 5)):
        assert stage.code(message) == 0
    options = bytes.fromhex("020405b4")
    tcp = struct.pack(">HHIIBBHHH", 1000, 80, 1, 0, 0x60, 2, 65535, 0, 0) + options
    packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0) + bytes(8) + tcp
    syn = VM + bytes((2, 0, 0, 0, 0, 9)) + b"\x08\0" + packet
    stage.datapath.set_capture(True)
    lowered = []
    for value in (0, -1, 1):
        assert stage.code(VrouterOps(h_op=ADD, vo_from_vm_mss_adj=value)) == 0
        stage.datapath.inject(3, syn)
        ((_, sent, _),) = stage.datapath.captured()
        lowered.append(sent != syn)
    assert lowered == [False, False, True]


def test_reset_forgets_every_object(stage: Stage) -> None:
    for message in (fabric(), vif(3), discard(5), bridge(VM, 5), inet("10.0.0.0/24", 5)):
        assert stage.code(message) == 0
    assert stage.code(VrouterOps(h_op=RESET)) == 0
    assert stage.code(VrInterfaceReq(h_op=DUMP, vifr_marker=-1)) == 0
    assert stage.code(VrNexthopReq(h_op=GET, nhr_id=5)) == ENOENT
    assert stage.code(bridge(VM, 0, h_op=GET)) == ENOENT
    found = stage.get(inet("10.0.0.0/24", 0, h_op=GET))
    assert isinstance(found, VrRouteReq)
    assert found.rtr_nh_id == 0
    assert stage.code(vif(3)) == 0


def test_huge_pages_come_too_late(stage: Stage) -> None:
    ((response, found),) = stage.ask(VrHugepageConfig(vhp_op=ADD))
    assert response == VrResponse(h_op=4, resp_code=EEXIST)
    assert isinstance(found, VrHugepageConfig)
    assert found.vhp_resp == 0xFFFFFFFC


def test_table_requests_with_a_wrong_operation_are_refused_and_echoed(stage: Stage) -> None:
    for request in (VrBridgeTableData(btable_op=2), VrFlowTableData(ftable_op=1)):
        ((response, found),) = stage.ask(request)
        assert response == VrResponse(h_op=4, resp_code=EINVAL)
        assert found == request


def test_every_reason_but_the_first_has_its_counter() -> None:
    assert DROP_FIELDS[0] is None
    named = [field for field in DROP_FIELDS if field is not None]
    assert len(named) == len(set(named)) >= 53


def flow(**fields: Any) -> VrFlowReq:
    return VrFlowReq(
        **{
            "fr_op": FlowOp.FLOW_SET,
            "fr_index": -1,
            "fr_family": 2,
            "fr_flow_proto": 6,
            "fr_flow_sip_l": 0x0300000F,
            "fr_flow_dip_l": 0x0900000F,
            "fr_flow_sport": 0x5000,
            "fr_flow_dport": 0xBB01,
            "fr_flow_nh_id": 24,
            "fr_flags": 1,
            "fr_action": 2,
            "fr_mir_id": 255,
            "fr_sec_mir_id": 255,
            "fr_ecmp_nh_index": 0xFFFFFFFF,
            "fr_rindex": -1,
            **fields,
        }
    )


def test_flow_set_change_and_delete(stage: Stage) -> None:
    ((response, added),) = stage.ask(flow())
    assert response == VrResponse(h_op=4)
    assert isinstance(added, VrFlowResponse)
    known = {"fr_index": added.fresp_index, "fr_gen_id": added.fresp_gen_id}
    ((response, again),) = stage.ask(flow(**known, fr_action=0))
    assert response == VrResponse(h_op=4)
    assert isinstance(again, VrFlowResponse)
    assert (again.fresp_index, again.fresp_gen_id) == (added.fresp_index, added.fresp_gen_id)
    ((wrong, _),) = stage.ask(flow(**{**known, "fr_gen_id": 77}))
    assert wrong == VrResponse(h_op=4, resp_code=-errno.EBADF)
    ((wrong, _),) = stage.ask(flow(**known, fr_flow_sport=1))
    assert wrong == VrResponse(h_op=4, resp_code=-errno.EFAULT)
    ((response, deleted),) = stage.ask(flow(**known, fr_flags=0))
    assert response == VrResponse(h_op=4)
    assert isinstance(deleted, VrFlowResponse)
    assert deleted.fresp_flags == 1


def test_several_requests_are_executed_in_order_and_a_refused_one_stops_nothing(
    stage: Stage,
) -> None:
    replies = stage.ask(
        discard(5),
        VrMplsReq(mr_label=61, mr_nhid=5),
        VrMplsReq(mr_label=62, mr_nhid=4001),
        VrMplsReq(mr_label=63, mr_nhid=5),
    )
    assert replies == [[VrResponse(h_op=4, resp_code=code)] for code in (0, 0, EINVAL, 0)]


def test_what_follows_bytes_that_are_no_message_is_not_executed(stage: Stage) -> None:
    payload = discard(5).encode() + b"\0\0\0\x05bogus\0" + discard(6).encode()
    codes = [decode_messages(reply)[0] for reply in answer(stage.control, payload)]
    assert codes == [VrResponse(h_op=4), VrResponse(h_op=4, resp_code=-1)]
    assert stage.code(VrNexthopReq(h_op=GET, nhr_id=6)) == ENOENT


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_get_an_answer(stage: Stage, payload: bytes) -> None:
    for reply in answer(stage.control, payload):
        assert decode_messages(reply)


NUMBERS = st.sampled_from(
    [-(1 << 63), -(1 << 31), -(1 << 15), -128, -1, 0, 1, 3, 7, 127, 255, 4096, 65535, 1 << 24,
     (1 << 31) - 1, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1]
)  # fmt: skip
LISTS = st.lists(st.integers(-128, 127), max_size=20)


@given(st.data())
@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_fields_get_an_answer(stage: Stage, data: st.DataObject) -> None:
    """Whatever numbers a message carries, it gets a code, and the process lives on."""
    kind = data.draw(st.sampled_from(sorted(HANDLERS, key=lambda kind: kind.NAME)))
    message = kind()
    for name in kind.FIELDS:
        held = getattr(message, name)
        if isinstance(held, str):
            value: Any = data.draw(st.text(max_size=20))
        elif isinstance(held, int):
            value = data.draw(NUMBERS | st.integers(0, 8))
        else:
            value = data.draw(LISTS)
        try:
            message = message.replace(**{name: value})
        except Exception:
            continue  # a number that this field cannot hold
    if kind in (VrInterfaceReq,) and message.vifr_type == 0:  # type: ignore[attr-defined]
        message = message.replace(vifr_type=3)
    requests = [message]
    if "h_op" in kind.FIELDS:
        requests += [message.replace(h_op=operation) for operation in (ADD, GET, DUMP)]
    for request in requests:
        for reply in answer(stage.control, request.encode()):
            response = decode_messages(reply)[0]
            assert getattr(response, "resp_code", 0) != -errno.EIO
