"""Hosts with a forwarder, and guests plugged into them, programmed without an agent."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from agent.cli.datapath_client import DatapathClient
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrInterfaceReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
    VrRouteReq,
    VrVxlanReq,
    encode_many,
)
from tests.system.conftest import Completed, Sandbox

GATEWAY_MAC = bytes.fromhex("00005e000100")
BROADCAST = b"\xff" * 6
INET, BRIDGE = 2, 7
FABRIC, VHOST, AGENT = 0, 1, 2
L2_RECEIVE, RECEIVE, TO_AGENT, TUNNEL = 1, 2, 3, 4
ENCAPS, FLOOD = 5, 6
VALID, MULTICAST = 0x1, 0x20
GRE, MPLS_UDP, VXLAN = 0x8, 0x40, 0x80
PROXY, LABEL_VALID = 0x2, 0x1
BRIDGE_LABEL_VALID = 0x2
LAYERS = 0xC0
VNI = 4242


def loaded(address: bytes) -> int:
    """An IPv4 address as messages carry it."""
    return int.from_bytes(address, "little")


@dataclass
class Node:
    """A network namespace of a sandbox."""

    sandbox: Sandbox
    name: str

    def __post_init__(self) -> None:
        self.sandbox.netns(self.name)

    def run(self, *command: str, check: bool = True) -> Completed:
        """Run to its end in here."""
        return self.sandbox.run(*command, netns=self.name, check=check)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start in here; ended with the sandbox at the latest."""
        return self.sandbox.popen(*command, netns=self.name)


def mac_of(node: Node, name: str) -> bytes:
    """The address of an interface."""
    words = node.run("ip", "-o", "link", "show", name).stdout.split()
    return bytes.fromhex(words[words.index("link/ether") + 1].replace(":", ""))


@dataclass
class Guest:
    """A namespace that plays a virtual machine."""

    node: Node
    vif: int
    address: IPv4Interface
    mac: bytes

    @property
    def encap(self) -> int:
        """Its L3 nexthop."""
        return 100 + self.vif

    @property
    def bridge_encap(self) -> int:
        """Its L2 nexthop."""
        return 200 + self.vif

    @property
    def label(self) -> int:
        """The label of its L3 nexthop."""
        return 300 + self.vif

    def ping(self, target: str, count: int = 5) -> int:
        """Per cent lost."""
        shown = self.node.run(
            "ping", "-n", "-c", str(count), "-i", "0.1", "-W", "2", target, check=False
        )
        found = re.search(r"(\d+)% packet loss", shown.stdout)
        assert found, shown.stdout
        return int(found.group(1))


@dataclass
class Host:
    """A namespace with a forwarder, its guests, and the messages that program it."""

    sandbox: Sandbox
    name: str
    run_dir: Path
    node: Node = field(init=False)
    guests: list[Guest] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    pid: str = ""
    log: queue.Queue[str] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        self.node = Node(self.sandbox, self.name)

    # --- the forwarder

    def start(self) -> None:
        """Start the forwarder and wait until it says that it serves."""
        self.process = self.node.start(
            sys.executable, "-m", "agent.forwarder", "--run-dir", str(self.run_dir),
            "--flow-entries", "4096", "--bridge-entries", "4096",
        )  # fmt: skip
        assert self.process.stdout is not None
        self.log = queue.Queue()
        reader = threading.Thread(target=self._read_log, args=(self.process.stdout, self.log))
        reader.start()
        found = re.search(r"process (\d+)", self.until("serves"))
        assert found
        self.pid = found.group(1)

    def until(self, text: str, timeout: float = 20) -> str:
        """Wait for a line of the forwarder's log."""
        said = []
        while True:
            try:
                line = self.log.get(timeout=timeout)
            except queue.Empty:
                line = ""
            said.append(line)
            if text in line:
                return line
            assert line, f"{self.name}: no {text!r} in {''.join(said)}"

    def _read_log(self, lines: Iterable[str], into: queue.Queue[str]) -> None:
        for line in lines:
            into.put(line)
        into.put("")

    def stop(self, signal: str = "TERM") -> int:
        """End the forwarder; its exit status."""
        assert self.process is not None
        self.sandbox.run("env", "kill", f"-{signal}", self.pid)
        self.process.wait(20)
        return int(self.process.returncode)

    def client(self) -> DatapathClient:
        """A connection to the control socket."""
        return DatapathClient.connect(self.run_dir)

    def program(self, *messages: Message) -> None:
        """Send requests one by one; each must be accepted."""
        with self.client() as client:
            for message in messages:
                code, _ = client.request(encode_many([message]))
                assert code == 0, f"{self.name}: {os.strerror(-code)}: {message!r}"

    # --- what is on it

    def plug(self, address: str, vif: int) -> Guest:
        """A new guest on a veth."""
        guest = self.expect(address, vif)
        self.wire(guest)
        return guest

    def expect(self, address: str, vif: int) -> Guest:
        """A guest whose interface does not exist yet."""
        node = Node(self.sandbox, f"{self.name}-vm{vif}")
        mac = bytes((2, 0xA7, 0, 0, len(self.guests) + 1, vif))
        self.guests.append(Guest(node, vif, IPv4Interface(address), mac))
        return self.guests[-1]

    def wire(self, guest: Guest) -> None:
        """(Re)make the veth of a guest and set up its end."""
        self.sandbox.veth(self.name, f"tap{guest.vif}", guest.node.name, "eth0")
        inside = guest.node.run
        inside("ip", "link", "set", "eth0", "address", guest.mac.hex(":"))
        inside("ip", "address", "add", str(guest.address), "dev", "eth0")
        gateway = str(next(guest.address.network.hosts()))
        inside("ip", "route", "add", "default", "via", gateway)

    def unwire(self, guest: Guest) -> None:
        """Take the veth away."""
        self.node.run("ip", "link", "del", f"tap{guest.vif}")

    # --- messages

    def base(self) -> list[Message]:
        """Fabric, vhost0, agent; nexthops for what is for the router itself."""
        fabric_mac = mac_of(self.node, "fab0")
        return [
            VrouterOps(h_op=SandeshOp.RESET),
            vif(FABRIC, 2, "fab0", fabric_mac),
            vif(VHOST, 0, "vhost0", GATEWAY_MAC),
            vif(AGENT, 1, "unix", GATEWAY_MAC, vifr_transport=3, vifr_vrf=65535),
            nexthop(L2_RECEIVE, 8, nhr_vrf=1),
            nexthop(RECEIVE, 1, nhr_encap_oif_id=(VHOST,)),
            encap(TO_AGENT, AGENT, GATEWAY_MAC),
        ]

    def guest_ports(self) -> list[Message]:
        """Interfaces, nexthops, labels and routes of the guests here, in VRF 1."""
        messages: list[Message] = []
        for guest in self.guests:
            messages += [
                vif(guest.vif, 3, f"tap{guest.vif}", GATEWAY_MAC, vifr_vrf=1,
                    vifr_mcast_vrf=1, vifr_nh_id=guest.encap),
                encap(guest.encap, guest.vif, guest.mac, nhr_vrf=1),
                encap(guest.bridge_encap, guest.vif, guest.mac, nhr_vrf=1, nhr_family=BRIDGE),
                VrMplsReq(mr_label=guest.label, mr_nhid=guest.encap),
                bridge_route(guest.mac, guest.bridge_encap),
                host_route(guest, guest.encap, mac=guest.mac),
            ]  # fmt: skip
        members = tuple(guest.bridge_encap for guest in self.guests)
        none = (-1,) * len(members)
        return [
            *messages,
            nexthop(ENCAPS, 6, nhr_family=BRIDGE, nhr_flags=VALID | 0x2000, nhr_vrf=1,
                    nhr_nh_list=members, nhr_label_list=none),
            nexthop(FLOOD, 6, nhr_family=BRIDGE, nhr_flags=VALID | MULTICAST, nhr_vrf=1,
                    nhr_nh_list=(ENCAPS,), nhr_label_list=(-1,)),
            bridge_route(BROADCAST, FLOOD),
            bridge_route(GATEWAY_MAC, L2_RECEIVE),
            *(gateway_route(guest) for guest in self.guests),
        ]  # fmt: skip


def vif(idx: int, kind: int, name: str, mac: bytes, **fields: Any) -> VrInterfaceReq:
    return VrInterfaceReq(
        **{
            "vifr_idx": idx, "vifr_type": kind, "vifr_name": name, "vifr_mac": mac,
            "vifr_transport": 1, "vifr_flags": LAYERS, "vifr_mcast_vrf": 65535,
            "vifr_os_idx": -1, "vifr_parent_vif_idx": -1, "vifr_qos_map_index": -1, **fields,
        }
    )  # fmt: skip


def nexthop(nh_id: int, kind: int, **fields: Any) -> VrNexthopReq:
    return VrNexthopReq(
        **{"nhr_id": nh_id, "nhr_type": kind, "nhr_family": INET, "nhr_flags": VALID, **fields}
    )


def encap(nh_id: int, oif: int, mac: bytes, **fields: Any) -> VrNexthopReq:
    head = mac + GATEWAY_MAC + b"\x08\x00"
    return nexthop(nh_id, 2, nhr_encap_oif_id=(oif,), nhr_encap=head, **fields)


def bridge_route(mac: bytes, nh_id: int, **fields: Any) -> VrRouteReq:
    return VrRouteReq(rtr_vrf_id=1, rtr_family=BRIDGE, rtr_mac=mac, rtr_nh_id=nh_id, **fields)


def inet_route(address: bytes, nh_id: int, vrf: int = 1, **fields: Any) -> VrRouteReq:
    return VrRouteReq(
        rtr_vrf_id=vrf, rtr_family=INET, rtr_prefix=address, rtr_prefix_len=32, rtr_nh_id=nh_id,
        **fields,
    )  # fmt: skip


def host_route(guest: Guest, nh_id: int, *, mac: bytes = b"", label: int = -1) -> VrRouteReq:
    flags = PROXY | (LABEL_VALID if label >= 0 else 0)
    return inet_route(
        guest.address.ip.packed, nh_id, rtr_label_flags=flags, rtr_label=max(label, 0),
        rtr_mac=mac,
    )  # fmt: skip


def gateway_route(guest: Guest) -> VrRouteReq:
    gateway = next(guest.address.network.hosts())
    return inet_route(gateway.packed, TO_AGENT, rtr_label_flags=PROXY)


def underlay(host: Host, own: str, peer: Host, other: str, kind: int) -> list[Message]:
    """The tunnel to a peer, and the route that makes our own address ours."""
    ours, theirs = IPv4Interface(own).packed, IPv4Interface(other).packed
    head = mac_of(peer.node, "fab0") + mac_of(host.node, "fab0") + b"\x08\x00"
    return [
        inet_route(ours, RECEIVE, vrf=0),
        nexthop(
            TUNNEL, 3, nhr_flags=VALID | kind, nhr_encap_oif_id=(FABRIC,), nhr_encap=head,
            nhr_tun_sip=loaded(ours), nhr_tun_dip=loaded(theirs),
        ),
    ]  # fmt: skip


def remote_over_mpls(guest: Guest) -> list[Message]:
    """A guest of the peer, routed."""
    return [host_route(guest, TUNNEL, label=guest.label)]


def remote_over_vxlan(guest: Guest) -> list[Message]:
    """A guest of the peer, bridged; frames of the VNI belong to VRF 1."""
    return [
        nexthop(7, 7, nhr_family=BRIDGE, nhr_vrf=1),
        VrVxlanReq(vxlanr_vnid=VNI, vxlanr_nhid=7),
        bridge_route(guest.mac, TUNNEL, rtr_label=VNI, rtr_label_flags=BRIDGE_LABEL_VALID),
        host_route(guest, TUNNEL, mac=guest.mac, label=VNI),
    ]
