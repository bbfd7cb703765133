"""Routes by message: codes, lookups, what a delete shows again, dumps."""

from __future__ import annotations

import pytest

from agent.sandesh.vrouter import (
    VrRouteReq,
)
from tests.unit.forwarder.requests import (
    DEL,
    DUMP,
    EINVAL,
    ENOENT,
    GET,
    VM,
    bridge,
    discard,
    dump,
    fabric,
    inet,
    stage,
    tunnel,
)
from tests.unit.forwarder.stage import SMALL, Stage

__all__ = ["stage"]  # the fixture

# --- routes


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (inet("10.0.0.0/24", 0), 0),
        (inet("10.0.0.0/24", 99), ENOENT),
        (inet("10.0.0.0/33", 0), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_prefix=b""), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_prefix=bytes(16)), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_vrf_id=SMALL.vrfs), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_vrf_id=-1), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_family=99), ENOENT),
        (inet("10.0.0.0/24", 22), EINVAL),
        (inet("10.0.0.0/24", 22, rtr_label_flags=1, rtr_label=20), 0),
        (inet("10.0.0.1/32", 0, rtr_mac=VM), ENOENT),
        (inet("10.0.0.1/32", 0, rtr_mac=VM[:3]), EINVAL),
        (inet("10.0.0.0/24", 99, h_op=DEL), ENOENT),
        (bridge(VM, 0), 0),
        (bridge(VM, 99), ENOENT),
        (bridge(VM[:5], 0), EINVAL),
        (bridge(bytes(6), 0), EINVAL),
        (bridge(VM, 0, h_op=GET), ENOENT),
        (bridge(VM, 0, h_op=DEL), ENOENT),
        (bridge(bytes(6), 0, h_op=GET), ENOENT),
        (bridge(b"", 0, h_op=DUMP), EINVAL),
        (inet("10.0.0.0/24", 0, h_op=DUMP, rtr_marker=bytes(3)), EINVAL),
    ],
)
def test_route_codes(stage: Stage, request_: VrRouteReq, code: int) -> None:
    for there in (fabric(), tunnel(22)):
        assert stage.code(there) == 0
    assert stage.code(request_) == code


def test_route_get_is_the_longest_match_and_never_fails(stage: Stage) -> None:
    for nh_id in (5, 6):
        assert stage.code(discard(nh_id)) == 0
    assert stage.code(bridge(VM, 5)) == 0
    assert stage.code(inet("10.1.0.0/16", 5, rtr_label_flags=4)) == 0
    assert stage.code(inet("10.1.2.3/32", 6, rtr_label_flags=2, rtr_mac=VM)) == 0

    def get(prefix: str) -> VrRouteReq:
        found = stage.get(inet(prefix, 0, h_op=GET))
        assert isinstance(found, VrRouteReq)
        return found

    exact = get("10.1.2.3/32")
    assert (exact.rtr_nh_id, exact.rtr_label_flags, exact.rtr_mac) == (6, 2, VM)
    assert exact.rtr_index >= 0
    covered = get("10.1.2.4/32")
    assert (covered.rtr_nh_id, covered.rtr_label_flags, covered.rtr_mac) == (5, 4, b"")
    nothing = get("11.0.0.1/32")
    assert (nothing.rtr_nh_id, nothing.rtr_label, nothing.rtr_replace_plen) == (0, 0xFFFFFF, 0)


def test_the_covering_route_given_with_a_delete_shows_again(stage: Stage) -> None:
    for nh_id in (5, 6):
        assert stage.code(discard(nh_id)) == 0
    assert stage.code(inet("10.1.0.0/16", 5, rtr_label_flags=2)) == 0
    assert stage.code(inet("10.1.2.3/32", 6)) == 0
    delete = inet("10.1.2.3/32", 5, h_op=DEL, rtr_label_flags=2, rtr_replace_plen=16)
    assert stage.code(delete) == 0
    found = stage.get(inet("10.1.2.3/32", 0, h_op=GET))
    assert isinstance(found, VrRouteReq)
    assert (found.rtr_nh_id, found.rtr_label_flags) == (5, 2)


def programmed(rows: list[VrRouteReq]) -> set[tuple[bytes, int, int]]:
    """(prefix, length, nexthop) of the routes that the leaves show."""
    routes = set()
    for row in rows:
        if row.rtr_replace_plen or row.rtr_nh_id:
            bits = 8 * len(row.rtr_prefix)
            mask = ((1 << bits) - 1) ^ ((1 << (bits - row.rtr_replace_plen)) - 1)
            network = int.from_bytes(row.rtr_prefix, "big") & mask
            routes.add((network.to_bytes(bits // 8, "big"), row.rtr_replace_plen, row.rtr_nh_id))
    return routes


@pytest.mark.parametrize("family", [2, 10])
def test_route_dump_shows_every_route(stage: Stage, family: int) -> None:
    assert stage.code(discard(5)) == 0
    size = 4 if family == 2 else 16
    added = {
        (bytes((10, second)) + bytes(size - 2), length, 5)
        for second, length in ((2, 15), (4, 16), (8, 24), (9, 8 * size), (200, 13))
    }
    for prefix, length, nexthop in added:
        route = VrRouteReq(
            rtr_vrf_id=1, rtr_family=family, rtr_prefix=prefix, rtr_prefix_len=length,
            rtr_nh_id=nexthop,
        )  # fmt: skip
        assert stage.code(route) == 0
    rows = dump(
        stage,
        VrRouteReq(h_op=DUMP, rtr_vrf_id=1, rtr_family=family),
        VrRouteReq,
        lambda row: {"rtr_marker": row.rtr_prefix, "rtr_marker_plen": row.rtr_prefix_len},
    )
    assert programmed(rows) == added
    keys = [row.rtr_prefix for row in rows]
    assert keys == sorted(set(keys))


def test_bridge_dump_shows_every_entry_of_its_vrf_once(stage: Stage) -> None:
    macs = {b"\x02" + number.to_bytes(5, "big") for number in range(300)}
    for mac in macs:
        assert stage.code(bridge(mac, 0)) == 0
        assert stage.code(bridge(mac, 0).replace(rtr_vrf_id=2)) == 0
    rows = dump(
        stage,
        bridge(bytes(6), 0, h_op=DUMP),
        VrRouteReq,
        lambda row: {"rtr_mac": row.rtr_mac},
    )
    assert len(rows) == 300
    assert {row.rtr_mac for row in rows} == macs
    assert {row.rtr_vrf_id for row in rows} == {1}
