"""`rt --monitor`: routes as the kernel module announces them, one JSON object a line.

The module tells a multicast group of generic netlink, whose number vrouter_ops carries, of each
route that is added and deleted. A datapath on a socket tells nobody. Facts: vrouter-cli.md.
"""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

from agent.cli import netlink
from agent.cli.datapath_client import DatapathClient
from agent.cli.render import mac_unpadded
from agent.cli.render_route import BRIDGE, INET, INET6, INET_LABEL_VALID
from agent.errors import UsageError
from agent.sandesh.framing import read_frames
from agent.sandesh.vrouter import SandeshOp, VrouterOps, VrRouteReq, decode_messages

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_FIRST_FAMILY = 17
"""Smaller types are netlink's own."""
_OPERATIONS = {int(SandeshOp.ADD): "add", int(SandeshOp.DEL): "delete"}
_FAMILIES = {INET: "AF_INET", INET6: "AF_INET6", BRIDGE: "AF_BRIDGE"}
_FLAGS = (
    ("label_valid", 0x1), ("arp_proxy", 0x2), ("arp_trap", 0x4), ("arp_flood", 0x8),
    ("macip_learnt", 0x10),
)  # fmt: skip


def monitor(client: DatapathClient, _: argparse.Namespace) -> None:
    """Print changes until interrupted. UsageError when the datapath announces none."""
    if not client.kernel:
        raise UsageError(
            "rt --monitor: a datapath on a socket announces no changes, only the kernel module does"
        )
    limits = client.get(VrouterOps(h_op=SandeshOp.GET).encode(), VrouterOps)
    for route in announced(limits.vo_genetlink_group_id):
        print(json.dumps(described(route)), flush=True)


def announced(group: int) -> Iterator[VrRouteReq]:
    """The routes that are announced in this group from now on, for ever. UsageError, WireError."""
    try:
        with netlink.connect(netlink.GENERIC) as listening:
            listening.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
            while True:
                yield from routes_of(_next(listening.recv, group))
    except OSError as error:
        raise UsageError(f"cannot listen to group {group}: {netlink.reason(error)}") from None


def _next(receive: Callable[[int], bytes], group: int) -> bytes:
    """What comes next; what was lost on the way is said."""
    while True:
        try:
            return receive(netlink.READ_SIZE)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            print(f"error: announcements of group {group} were lost", file=sys.stderr, flush=True)


def routes_of(data: bytes) -> Iterator[VrRouteReq]:
    """The routes in one datagram of the kernel. WireError."""
    for frame in read_frames(data):
        if frame.type >= _FIRST_FAMILY:
            messages = decode_messages(frame.payload)
            yield from (found for found in messages if isinstance(found, VrRouteReq))


def described(route: VrRouteReq) -> dict[str, Any]:
    """A change in the words of the original."""
    told: dict[str, Any] = {
        "operation": _OPERATIONS.get(route.h_op, "unknown"),
        "family": _FAMILIES.get(route.rtr_family, "unknown"),
    }
    if route.rtr_family not in (INET, INET6):
        return told
    told["vrf_id"] = route.rtr_vrf_id
    if len(route.rtr_prefix) in (4, 16):
        told["prefix"] = route.rtr_prefix_len
        told["address"] = str(ip_address(bytes(route.rtr_prefix)))
        told["nh_id"] = route.rtr_nh_id
    told["flags"] = {name: bool(route.rtr_label_flags & bit) for name, bit in _FLAGS}
    if route.rtr_label_flags & INET_LABEL_VALID:
        told["label"] = route.rtr_label
    if route.rtr_mac:
        told["mac_address"] = mac_unpadded(route.rtr_mac)
        told["mac_index"] = route.rtr_index
    return told
