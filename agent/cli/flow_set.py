"""What `flow` changes: one entry's action, its end, the end of all (facts sandesh-ksync.md 4.7).

The agent that made a flow is not told; it notices in its own time. Meant for the laboratory and
for emergencies.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.errors import DatapathError
from agent.sandesh.vrouter import FlowOp, VrFlowReq, VrFlowResponse
from agent.shm import FlowAction, FlowEntry, FlowFlag

GONE = (2, 9)
"""ENOENT, EBADF: somebody else has ended the flow, or it is another one now."""
FORCE_EVICT = 1
_ENDING = FlowFlag.EVICTED | FlowFlag.DELETE_MARKED
_DATAPATHS_OWN = FlowFlag.MODIFIED | FlowFlag.NEW_FLOW | FlowFlag.EVICT_CANDIDATE | FlowFlag.EVICTED


def _named(flow: FlowEntry) -> VrFlowReq:
    """A request that names an entry: by itself it deletes it."""
    source, destination = flow.key.source.packed, flow.key.destination.packed
    return VrFlowReq(
        fr_op=FlowOp.FLOW_SET,
        fr_index=flow.index,
        fr_rindex=-1,
        fr_gen_id=_signed(flow.gen_id, 8),
        fr_family=flow.key.family,
        fr_flow_sip_u=_upper(source),
        fr_flow_sip_l=_lower(source),
        fr_flow_dip_u=_upper(destination),
        fr_flow_dip_l=_lower(destination),
        fr_flow_sport=_swapped(flow.key.sport),
        fr_flow_dport=_swapped(flow.key.dport),
        fr_flow_proto=_signed(flow.key.proto, 8),
        fr_flow_nh_id=flow.key.nh_id,
        fr_flow_vrf=flow.vrf,
    )


def _upper(packed: bytes) -> int:
    return int.from_bytes(packed[:8], "little") if len(packed) == 16 else 0


def _lower(packed: bytes) -> int:
    return int.from_bytes(packed[-8:], "little")


def _swapped(port: int) -> int:
    return int.from_bytes(port.to_bytes(2, "big"), "little")


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def changed(flow: FlowEntry, action: FlowAction, mirror: int | None) -> VrFlowReq:
    """The entry as it is, with another action and, if given, a mirror."""
    flags = flow.flags & ~_DATAPATHS_OWN | FlowFlag.ACTIVE
    if mirror is not None:
        flags |= FlowFlag.MIRROR
    return _named(flow).replace(
        fr_flags=_signed(int(flags), 16),
        fr_flags1=_signed(flow.flags1, 16),
        fr_action=action,
        fr_rindex=-1 if flow.rflow is None else flow.rflow,
        fr_flow_dvrf=flow.dvrf,
        fr_mir_id=flow.mirror_id if mirror is None else mirror,
        fr_sec_mir_id=flow.sec_mirror_id,
        fr_ecmp_nh_index=flow.ecmp_nh_index & 0xFFFFFFFF,
        fr_underlay_ecmp_index=flow.underlay_ecmp_index,
        fr_src_nh_index=flow.src_nh_index,
        fr_qos_id=flow.qos_id & 0xFFFF,
        fr_ttl=_signed(flow.ttl, 8),
        fr_drop_reason=flow.drop_reason,
    )


def deleted(flow: FlowEntry) -> VrFlowReq:
    """The end of an entry."""
    return _named(flow)


def evicted(flow: FlowEntry) -> VrFlowReq:
    """Take a closed TCP flow out, as the datapath would by itself."""
    return _named(flow).replace(fr_flags=FlowFlag.ACTIVE, fr_extflags=FORCE_EVICT)


def send(client: DatapathClient, request: VrFlowReq) -> None:
    """Have it done. DatapathError with the datapath's code."""
    client.get(request.encode(), VrFlowResponse)


def flush(client: DatapathClient, flows: Iterable[FlowEntry], *, json: bool) -> None:
    """Delete each, and tell how many that were and how many the datapath would not delete."""
    _tell("Scanning flow table", json)
    started = time.monotonic()
    requests = [deleted(flow) for flow in flows if not flow.flags & _ENDING]
    _tell(f"Found {len(requests)} entries in {_since(started)} msec", json)
    _tell(f"Deleting {len(requests)} entries in flow-table", json)
    started = time.monotonic()
    done = refused = 0
    for request in requests:
        try:
            send(client, request)
            done += 1
        except DatapathError as error:
            refused += error.errno not in GONE
    _tell(f"Deleted {done} entries in {_since(started)} msec", json)
    if json:
        tool.print_json({"deleted": done, "refused": refused})
    elif refused:
        print(f"Refused: {refused} entries")


def _tell(line: str, json: bool) -> None:
    if not json:
        print(line, flush=True)


def _since(started: float) -> int:
    return round(1000 * (time.monotonic() - started))
