"""Transmission queues of a NIC by priority: IEEE 802.1Qaz and CEE over rtnetlink.

Traffic of a priority goes to one of eight groups; a group has a share of the bandwidth in
percent, or strict priority over those that have. Message layouts: linux/dcbnl.h.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from agent.cli import netlink
from agent.errors import UsageError, WireError
from agent.sandesh.framing import NLM_F_REQUEST, Frame

COUNT = 8
_GET, _SET = 78, 79  # RTM_GETDCB, RTM_SETDCB
_MESSAGE = struct.Struct("=IHHIIBBH")
_DCBMSG = 4
# DCB_CMD_*
_PGTX_GET, _PGTX_SET, _SET_ALL, _IEEE_SET, _IEEE_GET, _DCBX_GET, _DCBX_SET = 3, 4, 9, 20, 21, 22, 23
# DCB_ATTR_*
_IFNAME, _PG_CFG, _ALL, _IEEE, _DCBX = 1, 6, 7, 13, 14
_RESULTS = (_PG_CFG, _IEEE, _DCBX)
"""Attributes that say in an answer how it went, 0 well; of _ALL other numbers are good too."""
_IEEE_ETS = 1
_TC_0, _TC_ALL, _BW_0, _BW_ALL = 1, 10, 11, 20  # DCB_PG_ATTR_*
_TC_GROUP, _TC_PRIORITIES, _TC_STRICT, _TC_EVERYTHING = 1, 2, 3, 5  # DCB_TC_ATTR_PARAM_*
_LINK_STRICT = 2
_TSA_STRICT, _TSA_ETS = 0, 2
_ETS = struct.Struct("=3B" + "8s" * 7)
_BY_HOST = 1
MODES = {"cee": 0x04, "ieee": 0x08}


@dataclass(frozen=True, slots=True)
class Queues:
    """Groups of the eight priorities; bandwidth in percent and strictness of each group."""

    groups: tuple[int, ...]
    bandwidth: tuple[int, ...]
    strict: tuple[bool, ...]


def request(kind: int, command: int, interface: str, content: bytes = b"") -> bytes:
    """One DCB message about an interface."""
    body = netlink.attribute(_IFNAME, interface.encode() + b"\0") + content
    size = _MESSAGE.size + len(body)
    return _MESSAGE.pack(size, kind, NLM_F_REQUEST, 0, 0, 0, command, 0) + body


def set_messages(interface: str, mode: str, queues: Queues) -> list[bytes]:
    """What makes the queues of an interface so, in order."""
    how = netlink.attribute(_DCBX, bytes((MODES[mode] | _BY_HOST,)))
    messages = [request(_SET, _DCBX_SET, interface, how)]
    if mode == "ieee":
        ets = netlink.attribute(_IEEE_ETS, _ets(queues))
        return [*messages, request(_SET, _IEEE_SET, interface, netlink.attribute(_IEEE, ets))]
    groups = netlink.attribute(_PG_CFG, _priority_groups(queues))
    messages.append(request(_SET, _PGTX_SET, interface, groups))
    return [*messages, request(_SET, _SET_ALL, interface, netlink.attribute(_ALL, b"\1"))]


def _ets(queues: Queues) -> bytes:
    """struct ieee_ets."""
    bandwidth, groups = bytes(queues.bandwidth), bytes(queues.groups)
    order = bytes(_TSA_STRICT if strict else _TSA_ETS for strict in queues.strict)
    nothing = bytes(COUNT)
    return _ETS.pack(0, COUNT, 0, bandwidth, nothing, order, groups, bandwidth, order, groups)


def _priority_groups(queues: Queues) -> bytes:
    """A traffic class for each priority, and the bandwidth of each group."""
    classes = b"".join(
        netlink.attribute(
            _TC_0 + priority,
            netlink.attribute(_TC_GROUP, bytes((group,)))
            + netlink.attribute(_TC_PRIORITIES, bytes((1 << priority,)))
            + netlink.attribute(_TC_STRICT, bytes((_LINK_STRICT if queues.strict[group] else 0,))),
        )
        for priority, group in enumerate(queues.groups)
    )
    shares = b"".join(
        netlink.attribute(_BW_0 + group, bytes((share,)))
        for group, share in enumerate(queues.bandwidth)
    )
    return classes + shares


def parse_ets(content: bytes) -> Queues:
    """The queues in a DCB_ATTR_IEEE. WireError."""
    for kind, value in netlink.attributes(content):
        if kind == _IEEE_ETS and len(value) >= _ETS.size:
            _, _, _, bandwidth, _, order, groups, *_ = _ETS.unpack_from(value)
            strict = tuple(chosen == _TSA_STRICT for chosen in order)
            return Queues(tuple(groups), tuple(bandwidth), strict)
    raise WireError("the kernel described no queues")


def parse_groups(content: bytes) -> Queues:
    """The queues in a DCB_ATTR_PG_CFG."""
    groups, bandwidth, strict = [0] * COUNT, [0] * COUNT, [False] * COUNT
    for kind, value in netlink.attributes(content):
        if _TC_0 <= kind < _TC_0 + COUNT:
            inner = dict(netlink.attributes(value))
            group = _first(inner, _TC_GROUP) % COUNT
            groups[kind - _TC_0] = group
            strict[group] |= _first(inner, _TC_STRICT) == _LINK_STRICT
        elif _BW_0 <= kind < _BW_0 + COUNT and value:
            bandwidth[kind - _BW_0] = value[0]
    return Queues(tuple(groups), tuple(bandwidth), tuple(strict))


def _first(attributes: dict[int, bytes], kind: int) -> int:
    """The first byte of an attribute, 0 when there is none."""
    return int.from_bytes(attributes.get(kind, b"")[:1])


def ask(connected: socket.socket, message: bytes) -> dict[int, bytes]:
    """The attributes of the answer. DatapathError when the kernel refuses; OSError."""
    connected.send(message)
    data = connected.recv(netlink.READ_SIZE)
    if len(data) < _MESSAGE.size:
        raise WireError(f"the kernel answered with {len(data)} bytes")
    _, kind, flags, seq, pid, *_ = _MESSAGE.unpack_from(data)
    netlink.refuse(Frame(kind, flags, seq, pid, data[_MESSAGE.size - _DCBMSG :]))
    return dict(netlink.attributes(data[_MESSAGE.size :]))


def get(connected: socket.socket, interface: str) -> tuple[str, Queues]:
    """The mode and the queues of an interface. DatapathError, WireError."""
    answer = ask(connected, request(_GET, _DCBX_GET, interface))
    mode = _first(answer, _DCBX)
    if mode & MODES["ieee"]:
        ieee = ask(connected, request(_GET, _IEEE_GET, interface))
        return "ieee", parse_ets(ieee.get(_IEEE, b""))
    everything = netlink.attribute(_TC_ALL, netlink.attribute(_TC_EVERYTHING, b""))
    wanted = netlink.attribute(_PG_CFG, everything + netlink.attribute(_BW_ALL, b""))
    cee = ask(connected, request(_GET, _PGTX_GET, interface, wanted))
    return "cee", parse_groups(cee.get(_PG_CFG, b""))


def put(connected: socket.socket, interface: str, mode: str, queues: Queues) -> None:
    """Make the queues of an interface so. DatapathError; UsageError: the NIC says no."""
    for message in set_messages(interface, mode, queues):
        answer = ask(connected, message)
        refused = [code for kind in _RESULTS if (code := _first(answer, kind))]
        if refused:
            raise UsageError(f"{interface} does not take these queues (error {refused[0]})")
