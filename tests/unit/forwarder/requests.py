"""Requests to a forwarder, and a stage to ask them on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.forwarder.dispatcher import answer
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrInterfaceReq,
    VrNexthopReq,
    VrResponse,
    VrRouteReq,
    decode_messages,
)
from tests.unit.forwarder.stage import Stage

ADD, GET, DEL, DUMP, RESET = (
    SandeshOp.ADD,
    SandeshOp.GET,
    SandeshOp.DEL,
    SandeshOp.DUMP,
    SandeshOp.RESET,
)
EINVAL, ENOENT, ENODEV = -errno.EINVAL, -errno.ENOENT, -errno.ENODEV
EOPNOTSUPP, EEXIST = -errno.EOPNOTSUPP, -errno.EEXIST
MAC = bytes.fromhex("00005e000100")
VM = bytes.fromhex("02a77fd887a5")
DUMP_INCOMPLETE = 0x40000000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def vif(idx: int, **fields: Any) -> VrInterfaceReq:
    return VrInterfaceReq(
        **{
            "vifr_idx": idx,
            "vifr_type": 3,
            "vifr_name": f"tap{idx}",
            "vifr_mac": MAC,
            "vifr_transport": 1,
            "vifr_parent_vif_idx": -1,
            **fields,
        }
    )


def fabric() -> VrInterfaceReq:
    return vif(0, vifr_type=2, vifr_name="fab0")


def discard(nh_id: int) -> VrNexthopReq:
    return VrNexthopReq(nhr_id=nh_id, nhr_type=5, nhr_family=2, nhr_flags=1)


def encap(nh_id: int, oif: int, **fields: Any) -> VrNexthopReq:
    return VrNexthopReq(
        **{
            "nhr_id": nh_id,
            "nhr_type": 2,
            "nhr_family": 2,
            "nhr_flags": 1,
            "nhr_encap_oif_id": (oif,),
            "nhr_encap": VM + MAC + b"\x08\x00",
            **fields,
        }
    )


def tunnel(nh_id: int, **fields: Any) -> VrNexthopReq:
    return VrNexthopReq(
        **{
            "nhr_id": nh_id,
            "nhr_type": 3,
            "nhr_family": 2,
            "nhr_flags": 0x41,
            "nhr_encap_oif_id": (0,),
            "nhr_encap": VM + MAC + b"\x08\x00",
            "nhr_tun_sip": 0x0100000A,
            "nhr_tun_dip": 0x0200000A,
            **fields,
        }
    )


def inet(prefix: str, nexthop: int, **fields: Any) -> VrRouteReq:
    address, _, length = prefix.partition("/")
    return VrRouteReq(
        rtr_vrf_id=1,
        rtr_family=2,
        rtr_prefix=bytes(map(int, address.split("."))),
        rtr_prefix_len=int(length),
        rtr_nh_id=nexthop,
        **fields,
    )


def bridge(mac: bytes, nexthop: int, **fields: Any) -> VrRouteReq:
    return VrRouteReq(rtr_vrf_id=1, rtr_family=7, rtr_mac=mac, rtr_nh_id=nexthop, **fields)


def dump(
    stage: Stage, request: Message, kind: type[Message], after: Callable[[Any], dict[str, Any]]
) -> list[Any]:
    """Follow a dump to its end; every page is within the limit."""
    found: list[Any] = []
    while True:
        payloads = answer(stage.control, request.encode())
        (response,) = decode_messages(payloads[0])
        assert isinstance(response, VrResponse)
        page = decode_messages(payloads[1]) if len(payloads) > 1 else []
        assert all(len(payload) <= 3968 for payload in payloads)
        assert response.resp_code & ~DUMP_INCOMPLETE == len(page)
        assert {type(row) for row in page} <= {kind}
        found += page
        if not response.resp_code & DUMP_INCOMPLETE:
            return found
        request = request.replace(**after(page[-1]))
