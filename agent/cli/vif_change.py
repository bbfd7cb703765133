"""What `vif` changes: interfaces added and deleted, a tag's VRF, counters. Facts: vrouter-cli.md.

An agent that runs knows nothing of it; at its next start it makes the datapath its own again.
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from typing import Any

from agent.cli import changes, tool, vhost_link
from agent.cli.datapath_client import DatapathClient
from agent.cli.locate import find
from agent.errors import AgentError, DatapathError, UsageError
from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq, VrVrfAssignReq
from agent.values import VRRP_MAC, Mac

TYPES = {
    "vhost": 0, "agent": 1, "physical": 2, "virtual": 3, "xenll": 4, "gateway": 5,
    "virtual-vlan": 6, "stats": 7, "monitoring": 9,
}  # fmt: skip
TRANSPORTS = {"virtual": 0, "eth": 1, "pmd": 2, "socket": 3}
HOST, MONITORING = TYPES["vhost"], TYPES["monitoring"]
POLICY, SERVICE, DHCP, VHOST_PHYS, DPDK_DEVICE = 0x1, 0x4, 0x100, 0x200, 0x2000
NO_VRF = 65535
_MONITORING_MAC = Mac(bytes.fromhex("020000000000"))
_COUNTED = ("packets", "bytes", "errors", "nombufs", "syscalls", "errors_to_lcore")


def add_options(made: argparse.ArgumentParser) -> None:
    """The options that say what `--add` and `--create` make."""
    group = made.add_argument_group("with --add (--mac, --vrf and --type are needed)")
    group.add_argument("--mac", type=changes.mac, metavar="MAC", help="its MAC address")
    group.add_argument("--type", choices=TYPES, help="what it is")
    group.add_argument("--transport", choices=TRANSPORTS, help="how it is reached")
    group.add_argument(
        "--xconnect", metavar="NAME", help="the physical interfaces of a vhost, with commas between"
    )
    group.add_argument("--policy", action="store_true", help="with policy")
    group.add_argument("--vhost-phys", action="store_true", help="the vhost's physical interface")
    group.add_argument("--dhcp-enable", action="store_true", help="the datapath traps DHCP")
    group.add_argument("--pmd", action="store_true", help="NAME is the number of a DPDK port")
    group.add_argument("--pci", action="store_true", help="NAME is the number of a PCI device")


def wrong(options: argparse.Namespace) -> str | None:
    """What is missing or does not go together, in words; None when all is well."""
    if options.add is not None:
        return _wrong_addition(options)
    if options.set is not None and (options.vlan is None or options.vrf is None):
        return "--set needs --vlan and --vrf"
    if options.create is not None and options.mac is None:
        return "--create needs --mac"
    return None


def _wrong_addition(options: argparse.Namespace) -> str | None:
    if options.type is None:
        return "--add needs --type"
    kind = TYPES[options.type]
    if kind == MONITORING:
        return "a monitoring interface needs --vif" if options.vif is None else None
    if options.mac is None or options.vrf is None:
        return "--add needs --mac and --vrf"
    if kind == HOST and options.xconnect is None:
        return "a vhost interface needs --xconnect"
    return None


# --- making an interface


def add(client: DatapathClient, options: argparse.Namespace) -> None:
    """Add an interface, or change the one that there is already for the host's interface."""
    kind = TYPES[options.type]
    os_index = _os_index(options)
    index = _index(client, options, os_index)
    monitoring = kind == MONITORING
    changes.order(
        client,
        VrInterfaceReq(
            h_op=SandeshOp.ADD,
            vifr_idx=index,
            vifr_type=kind,
            vifr_name=options.add,
            vifr_os_idx=os_index,
            vifr_mac=options.mac or (_MONITORING_MAC if monitoring else VRRP_MAC),
            vifr_vrf=options.vrf or 0,
            vifr_mcast_vrf=NO_VRF,
            vifr_flags=_flags(options),
            vifr_transport=TRANSPORTS[options.transport or "virtual"],
            vifr_cross_connect_idx=_cross_connect(options) if kind == HOST else (),
        ),
    )
    changes.done(options, {"added": index})


def _flags(options: argparse.Namespace) -> int:
    chosen = (
        (options.policy, POLICY),
        (options.dhcp_enable, DHCP),
        (options.vhost_phys, VHOST_PHYS),
        (options.pmd, DPDK_DEVICE),
    )
    return sum(bit for wanted, bit in chosen if wanted)


def _os_index(options: argparse.Namespace) -> int:
    """What the datapath knows the interface by: the host's index, or as told. 0: nothing."""
    if options.vif is not None:
        return int(options.vif)
    if options.pmd or options.pci:
        return _port(options.add)
    try:
        return socket.if_nametoindex(options.add)
    except OSError:
        return 0


def _port(text: str) -> int:
    """The number of a DPDK port or a PCI device. UsageError."""
    try:
        return int(text, 0)
    except ValueError:
        raise UsageError(f"--add {text}: with --pmd or --pci NAME is a number") from None


def _index(client: DatapathClient, options: argparse.Namespace, os_index: int) -> int:
    """As told; else that of the vif that stands for the host's interface; else its index."""
    if options.id is not None:
        return int(options.id)
    if os_index <= 0:
        raise UsageError(
            f"--add {options.add}: this host has no interface of that name: say --id as well"
        )
    request = VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=-1, vifr_os_idx=os_index)
    try:
        return client.get(request.encode(), VrInterfaceReq).vifr_idx
    except DatapathError:
        return os_index


def _cross_connect(options: argparse.Namespace) -> tuple[int, ...]:
    """Physical interfaces by number, or by name. UsageError."""
    indexes = []
    for name in options.xconnect.split(","):
        try:
            indexes.append(int(name) if name.isdecimal() else socket.if_nametoindex(name))
        except OSError:
            raise UsageError(f"--xconnect {name}: this host has no such interface") from None
    return tuple(indexes)


def create(options: argparse.Namespace) -> int:
    """Make the host's vhost interface: only the kernel module has one. The exit status."""
    try:
        place = find(options.sock_dir)
        if place.directories or not place.kernel:
            raise DatapathError(errno.EOPNOTSUPP, "vhost_create")
        vhost_link.create(options.create, options.mac)
    except DatapathError as error:
        text = f"vhost_create: {os.strerror(error.errno)}"
        print(text, file=sys.stderr if options.json else sys.stdout)
        return 1 if options.json else 0
    except (AgentError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    changes.done(options, {"created": options.create})
    return 0


# --- other changes


def delete(client: DatapathClient, options: argparse.Namespace) -> None:
    """Remove an interface by its index or, where the text is no number, by its name."""
    numbered = options.delete[:1].isdecimal()
    if numbered and not options.delete.isdecimal():
        raise UsageError(f"--delete {options.delete}: neither a number nor a name")
    changes.order(
        client,
        VrInterfaceReq(
            h_op=SandeshOp.DEL,
            vifr_idx=int(options.delete) if numbered else -1,
            vifr_name="" if numbered else options.delete,
        ),
    )
    changes.done(options, {"deleted": int(options.delete) if numbered else options.delete})


def set_vlan(client: DatapathClient, options: argparse.Namespace) -> None:
    """Frames with this tag on this interface belong to this VRF: it serves several VRFs.

    The interface stays as it is otherwise (the original takes its nexthop and flags away).
    """
    request = VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=options.set, vifr_os_idx=-1)
    vif = client.get(request.encode(), VrInterfaceReq)
    changes.order(
        client,
        _configuration(vif).replace(h_op=SandeshOp.ADD, vifr_flags=vif.vifr_flags | SERVICE),
        VrVrfAssignReq(
            h_op=SandeshOp.ADD,
            var_vif_index=options.set,
            var_vlan_id=options.vlan,
            var_vif_vrf=options.vrf,
            var_nh_id=vif.vifr_nh_id,
        ),
    )
    changes.done(options, {"set": options.set, "vlan": options.vlan, "vrf": options.vrf})


def _configuration(vif: VrInterfaceReq) -> VrInterfaceReq:
    """An interface without what the datapath counted."""
    counters = [name for name in vif.FIELDS if name.endswith(_COUNTED)]
    none: dict[str, Any] = {
        name: () if isinstance(getattr(vif, name), tuple) else 0 for name in counters
    }
    return vif.replace(vifr_core=0, vifr_ref_cnt=0, **none)


def clear(client: DatapathClient, options: argparse.Namespace) -> None:
    """Set the counters of an interface, or of all, to 0."""
    request = VrInterfaceReq(
        h_op=SandeshOp.RESET,
        vifr_idx=-1 if options.id is None else options.id,
        vifr_core=0 if options.core is None else options.core + 1,
    )
    answered = changes.order(client, request)
    cleared = next((vif for vif in answered if isinstance(vif, VrInterfaceReq)), request)
    if options.json:
        tool.print_json({"cleared": options.id, "core": options.core})
        return
    where = "all cores" if cleared.vifr_core == 0 else f"core {cleared.vifr_core - 1}"
    if cleared.vifr_idx == -1:
        print(f"\nVif stats cleared successfully on {where} for all interfaces \n")
    else:
        print(f"\nVif stats cleared successfully for {cleared.vifr_name} on {where} \n")
