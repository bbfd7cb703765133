"""Interfaces by message: codes, changes, counters, dumps."""

from __future__ import annotations

import pytest

from agent.sandesh.vrouter import (
    VrDropStatsReq,
    VrInterfaceReq,
    VrResponse,
)
from tests.unit.forwarder.requests import (
    DEL,
    DUMP,
    DUMP_INCOMPLETE,
    EINVAL,
    ENODEV,
    ENOENT,
    EOPNOTSUPP,
    GET,
    MAC,
    RESET,
    VM,
    dump,
    stage,
    vif,
)
from tests.unit.forwarder.stage import SMALL, Stage

__all__ = ["stage"]  # the fixture

# --- interfaces


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (vif(3), 0),
        (vif(-1), EINVAL),
        (vif(SMALL.interfaces), EINVAL),
        (vif(3, vifr_type=10), EINVAL),
        (vif(3, vifr_type=-1), EINVAL),
        (vif(3, vifr_mtu=-1), EINVAL),
        (vif(3, vifr_mac=MAC[:5]), EINVAL),
        (vif(3, vifr_mac=b""), EINVAL),
        (vif(1, vifr_type=0), ENODEV),
        (vif(3, vifr_transport=9), 0),
        (vif(3, vifr_type=6, vifr_parent_vif_idx=77), EINVAL),
        (vif(3).replace(h_op=99), EOPNOTSUPP),
        (vif(77).replace(h_op=DEL), ENODEV),
        (vif(77).replace(h_op=DEL, vifr_name="nobody"), ENODEV),
        (vif(77).replace(h_op=GET), ENOENT),
    ],
)
def test_interface_codes(stage: Stage, request_: VrInterfaceReq, code: int) -> None:
    assert stage.code(request_) == code


def test_an_unknown_transport_is_answered_0_and_does_nothing(stage: Stage) -> None:
    assert stage.code(vif(3, vifr_transport=9)) == 0
    assert stage.code(vif(3).replace(h_op=GET)) == ENOENT


def test_a_second_add_changes_only_what_may_change(stage: Stage) -> None:
    assert stage.code(vif(3, vifr_vrf=1, vifr_mcast_vrf=1, vifr_mtu=1400, vifr_flags=0x41)) == 0
    change = vif(
        3, vifr_type=2, vifr_name="other", vifr_mac=VM, vifr_transport=2, vifr_vrf=-1,
        vifr_mcast_vrf=-1, vifr_mtu=0, vifr_flags=0x81, vifr_nh_id=7,
    )  # fmt: skip
    assert stage.code(change) == 0
    found = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3))
    assert isinstance(found, VrInterfaceReq)
    assert (found.vifr_type, found.vifr_name, found.vifr_mac) == (3, "tap3", MAC)
    assert (found.vifr_transport, found.vifr_vrf, found.vifr_mtu) == (1, 1, 1400)
    assert (found.vifr_mcast_vrf, found.vifr_nh_id) == (1, 7)
    assert found.vifr_flags & 0xFF == 0x81


def test_an_interface_that_does_not_exist_is_there_with_its_link_down(stage: Stage) -> None:
    assert stage.code(vif(3)) == 0
    found = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3))
    assert isinstance(found, VrInterfaceReq)
    assert found.vifr_intf_status == 0
    assert [wanted.name for wanted in stage.opener.asked] == ["tap3"]


def test_interfaces_by_name_and_by_os_index(stage: Stage) -> None:
    for idx in (3, 4):
        assert stage.code(vif(idx, vifr_os_idx=40 + idx)) == 0
    found = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=-1, vifr_os_idx=44))
    assert isinstance(found, VrInterfaceReq)
    assert found.vifr_idx == 4
    assert stage.code(VrInterfaceReq(h_op=DEL, vifr_idx=0, vifr_name="tap4")) == 0
    assert stage.code(VrInterfaceReq(h_op=DEL, vifr_idx=0, vifr_name="vif0/3")) == 0
    assert stage.code(VrInterfaceReq(h_op=DEL, vifr_idx=3)) == ENODEV


def test_interface_get_with_drop_statistics(stage: Stage) -> None:
    assert stage.code(vif(3)) == 0
    ((response, found, drops),) = stage.ask(VrInterfaceReq(h_op=GET, vifr_idx=3, vifr_flags=1))
    assert response == VrResponse(h_op=4)
    assert isinstance(found, VrInterfaceReq)
    assert drops == VrDropStatsReq()


def test_drop_counts_are_those_of_core_0_and_of_no_other(stage: Stage) -> None:
    assert stage.code(vif(3)) == 0
    stage.datapath.inject(3, b"short")
    counts = []
    for core in (0, 1, 2):
        found = stage.get(VrDropStatsReq(h_op=GET, vds_core=core))
        assert isinstance(found, VrDropStatsReq)
        counts.append((found.vds_core, found.vds_pull))
    assert counts == [(0, 1), (1, 1), (2, 0)]


def test_interface_counters_and_their_reset(stage: Stage) -> None:
    assert stage.code(vif(3, vifr_vrf=1, vifr_flags=0xC0)) == 0
    stage.datapath.inject(3, b"\xff" * 6 + VM + b"\x88\xb5" + bytes(46))
    found = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3))
    assert isinstance(found, VrInterfaceReq)
    assert (found.vifr_ipackets, found.vifr_dpackets) == (1, 1)
    of_another_core = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3, vifr_core=2))
    assert isinstance(of_another_core, VrInterfaceReq)
    assert (of_another_core.vifr_ipackets, of_another_core.vifr_core) == (0, 1)
    ((response, echoed),) = stage.ask(VrInterfaceReq(h_op=RESET, vifr_idx=3, vifr_core=1))
    assert response == VrResponse(h_op=4)
    name = vif(3).vifr_name
    assert echoed == VrInterfaceReq(h_op=RESET, vifr_idx=3, vifr_core=1, vifr_name=name)
    cleared = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3))
    assert isinstance(cleared, VrInterfaceReq)
    assert (cleared.vifr_ipackets, cleared.vifr_dpackets) == (0, 0)


def test_counters_of_all_interfaces_are_reset_at_once(stage: Stage) -> None:
    for idx in (3, 4):
        assert stage.code(vif(idx, vifr_vrf=1, vifr_flags=0xC0)) == 0
        stage.datapath.inject(idx, b"\xff" * 6 + VM + b"\x88\xb5" + bytes(46))
    ((response, echoed),) = stage.ask(VrInterfaceReq(h_op=RESET, vifr_idx=-1))
    assert response == VrResponse(h_op=4)
    assert echoed == VrInterfaceReq(h_op=RESET, vifr_idx=-1)
    for idx in (3, 4):
        cleared = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=idx))
        assert isinstance(cleared, VrInterfaceReq)
        assert cleared.vifr_ipackets == 0


@pytest.mark.parametrize(("idx", "core", "code"), [(9, 0, ENODEV), (3, 2, EINVAL), (-2, 0, ENODEV)])
def test_counters_that_are_not_there_cannot_be_reset(
    stage: Stage, idx: int, core: int, code: int
) -> None:
    assert stage.code(vif(3)) == 0
    assert stage.code(VrInterfaceReq(h_op=RESET, vifr_idx=idx, vifr_core=core)) == code


def test_interface_dump(stage: Stage) -> None:
    indices = [0, 3, 4, 5, 9, 200, 299]
    for idx in reversed(indices):
        assert stage.code(vif(idx)) == 0
    request = VrInterfaceReq(h_op=DUMP, vifr_marker=-1)
    rows = dump(stage, request, VrInterfaceReq, lambda row: {"vifr_marker": row.vifr_idx})
    assert [row.vifr_idx for row in rows] == indices


def test_interface_dump_with_drop_statistics(stage: Stage) -> None:
    for idx in range(7):
        assert stage.code(vif(idx)) == 0
        for _ in range(idx):
            stage.datapath.inject(idx, b"short")
    found: list[tuple[int, int]] = []
    marker = -1
    code = DUMP_INCOMPLETE
    while code & DUMP_INCOMPLETE:
        pages = stage.ask(VrInterfaceReq(h_op=DUMP, vifr_marker=marker, vifr_flags=1))
        ((response,), rows) = pages
        assert isinstance(response, VrResponse)
        code = response.resp_code
        assert code & ~DUMP_INCOMPLETE == len(rows)
        for one, drops in zip(rows[::2], rows[1::2], strict=True):
            assert isinstance(one, VrInterfaceReq)
            assert isinstance(drops, VrDropStatsReq)
            found.append((one.vifr_idx, drops.vds_pull))
        marker = found[-1][0]
    assert found == [(idx, idx) for idx in range(7)]
