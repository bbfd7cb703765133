"""A world for the guarantees of ksync."""

from __future__ import annotations

import pytest

from agent.sandesh.vrouter import SandeshOp
from tests.unit.ksync import world as w

ADD, DEL = SandeshOp.ADD, SandeshOp.DEL
VIF, NH, LABEL, ROUTE, MIRROR = (
    "vr_interface_req",
    "vr_nexthop_req",
    "vr_mpls_req",
    "vr_route_req",
    "vr_mirror_req",
)


@pytest.fixture
def world():
    made = w.World()
    made.up()
    made.events.clear()
    return made
