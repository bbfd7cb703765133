"""vr_pkt_drop_log_req: the last packets that were dropped."""

from __future__ import annotations

import struct
import time

from agent.forwarder.control import Control
from agent.forwarder.handlers.stats import CORES
from agent.forwarder.replies import (
    EINVAL,
    EOPNOTSUPP,
    PAGE_SIZE,
    Replies,
    ack,
    found,
)
from agent.sandesh.answers import DUMP_INCOMPLETE
from agent.sandesh.drop_log import DropNote, encode_notes, parse_note
from agent.sandesh.vrouter import SandeshOp, VrPktDropLogReq

_NOTE = struct.Struct("=QI5HBB16s16s")
"""As the data plane keeps them (agent._fast.forwarding.Datapath.drop_log)."""
_ROOM = 1024
_A_PAGE = (PAGE_SIZE - 512) // _NOTE.size
CONFIGURE_TYPE, CONFIGURE_BRIEF = 1, 2
"""What an ADD changes, in `vdl_pkt_droplog_config`: which reason is logged (0 every), and
whether without what is in the packet."""


def handle_drop_log(control: Control, request: VrPktDropLogReq) -> Replies:
    """GET and DUMP list packets from `vdl_log_idx` on, oldest first; RESET forgets them.

    ADD changes what is logged. Core 0 is every core, k is core k - 1.
    """
    match request.h_op:
        case SandeshOp.GET | SandeshOp.DUMP:
            return _page(control, request)
        case SandeshOp.RESET:
            control.datapath.drop_log_clear()
            return ack()
        case SandeshOp.ADD:
            return ack(_configure(control, request))
    return ack(EOPNOTSUPP)


def _page(control: Control, request: VrPktDropLogReq) -> Replies:
    if not 0 <= request.vdl_core <= CORES:
        return ack(EINVAL)
    start = max(request.vdl_log_idx, 0)
    rows = list(_NOTE.iter_unpack(control.datapath.drop_log(start)))
    # The log counts from the start of the machine; others from 1970.
    offset = time.time_ns() - time.monotonic_ns()
    notes = [_dated(parse_note(fields), offset) for fields in rows[:_A_PAGE]]
    answer = VrPktDropLogReq(
        vdl_core=request.vdl_core,
        vdl_log_idx=start + len(notes),
        vdl_max_num_cores=CORES,
        vdl_pkt_droplog_max_bufsz=_ROOM,
        vdl_pkt_droplog_en=1,
        vdl_pkt_droplog_sysctl_en=1,
        vdl_pkt_droplog_arr=encode_notes(notes),
    )
    more = len(rows) > len(notes)
    return found(answer, code=len(notes) | DUMP_INCOMPLETE if more else 0)


def _dated(note: DropNote, offset: int) -> DropNote:
    return DropNote(
        note.at + offset, note.vif, note.vrf, note.reason, note.ethertype, note.length,
        note.proto, note.source, note.destination, note.sport, note.dport,
    )  # fmt: skip


def _configure(control: Control, request: VrPktDropLogReq) -> int:
    if request.vdl_pkt_droplog_config == CONFIGURE_TYPE:
        control.datapath.drop_log_set(only=request.vdl_pkt_droplog_type)
        return 0
    if request.vdl_pkt_droplog_config == CONFIGURE_BRIEF:
        control.datapath.drop_log_set(brief=request.vdl_pkt_droplog_min_sysctl_en != 0)
        return 0
    return EINVAL
