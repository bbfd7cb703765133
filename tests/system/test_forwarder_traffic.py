"""Real frames through real forwarders: guests in namespaces, fabric on a veth."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq
from tests.system import compute
from tests.system.compute import GRE, MPLS_UDP, VXLAN, Guest, Host
from tests.system.conftest import Sandbox

pytestmark = pytest.mark.timeout(180)
LEFT, RIGHT = "172.30.0.1/24", "172.30.0.2/24"


@pytest.fixture
def one_host(sandbox: Sandbox, tmp_path: Path) -> Host:
    """A host with two guests of one subnet and one of another."""
    host = Host(sandbox, "one", tmp_path / "one")
    compute.Node(sandbox, "fabric")
    sandbox.veth("one", "fab0", "fabric", "port1")
    for vif, address in ((3, "10.1.1.3/24"), (4, "10.1.1.4/24"), (5, "10.1.2.5/24")):
        host.plug(address, vif)
    host.start()
    host.program(*host.base(), *host.guest_ports())
    return host


def test_guests_of_one_subnet(one_host: Host) -> None:
    first, second, _ = one_host.guests
    assert first.ping("10.1.1.4") == 0
    assert second.ping("10.1.1.3") == 0


def test_guests_of_two_subnets_are_routed(one_host: Host) -> None:
    first, _, other = one_host.guests
    assert first.ping("10.1.2.5") == 0
    assert other.ping("10.1.1.3") == 0
    shown = first.node.run("ping", "-n", "-c", "1", "10.1.2.5").stdout
    assert "ttl=63" in shown


def test_guests_speak_ipv6(one_host: Host) -> None:
    first, second, _ = one_host.guests
    for guest, address in ((first, "fd00:1::3/64"), (second, "fd00:1::4/64")):
        guest.node.run("ip", "address", "add", address, "dev", "eth0", "nodad")
    assert first.ping("fd00:1::4") == 0


def test_no_route_no_answer(one_host: Host) -> None:
    assert one_host.guests[0].ping("10.9.9.9", count=2) == 100


def test_an_interface_that_is_deleted_and_made_anew(one_host: Host) -> None:
    first = one_host.guests[0]
    assert first.ping("10.1.1.4") == 0
    one_host.unwire(first)
    one_host.until("vif 3: interface tap3 went away")
    assert link_is_up(one_host, 3) is False
    one_host.wire(first)
    one_host.until("vif 3: attached to tap3")
    assert link_is_up(one_host, 3) is True
    assert first.ping("10.1.1.4") == 0


def test_an_interface_that_comes_after_its_message(one_host: Host) -> None:
    late = one_host.expect("10.1.1.6/24", 6)
    one_host.program(*one_host.guest_ports())
    assert link_is_up(one_host, 6) is False
    one_host.wire(late)
    one_host.until("vif 6: attached to tap6")
    assert late.ping("10.1.1.3") == 0


def link_is_up(host: Host, idx: int) -> bool:
    with host.client() as client:
        request = VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=idx)
        return bool(client.get(request.encode(), VrInterfaceReq).vifr_intf_status)


def test_an_interface_that_goes_down_and_up(one_host: Host) -> None:
    first = one_host.guests[0]
    assert first.ping("10.1.1.4") == 0
    one_host.node.run("ip", "link", "set", "tap3", "down")
    assert first.ping("10.1.1.4", count=2) == 100
    one_host.node.run("ip", "link", "set", "tap3", "up")
    assert first.ping("10.1.1.4", count=1) in (0, 100)  # the link needs a moment
    assert first.ping("10.1.1.4") == 0
    assert link_is_up(one_host, 3) is True


def test_vhost0_reaches_the_fabric_while_there_is_no_agent(one_host: Host) -> None:
    """Host and fabric are cross-connected until an agent's interface is added."""
    one_host.node.run("ip", "address", "add", LEFT, "dev", "vhost0")
    one_host.sandbox.run("ip", "address", "add", RIGHT, "dev", "port1", netns="fabric")
    one_host.program(VrInterfaceReq(h_op=SandeshOp.DEL, vifr_idx=compute.AGENT))
    shown = one_host.node.run("ping", "-n", "-c", "3", "-i", "0.1", "172.30.0.2")
    assert " 0% packet loss" in shown.stdout


def test_trapped_packets_find_an_agent_that_was_restarted(one_host: Host) -> None:
    """A packet to the gateway goes to whoever is bound to agent_pkt0 now."""
    first = one_host.guests[0]
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as agent:
            agent.bind(str(one_host.run_dir / "agent_pkt0"))
            agent.settimeout(10)
            # The agent says nothing. A first packet may be lost while it is looked for.
            assert first.ping("10.1.1.1", count=3) == 100
            trapped = agent.recv(2048)
            while struct.unpack_from(">HHH", trapped, 14) != (3, 1, TRAP_NEXTHOP):
                trapped = agent.recv(2048)  # guests also solicit routers
            assert trapped[44 + 6 : 44 + 12] == first.mac
            agent.sendto(switched(3, trapped[44:]), str(one_host.run_dir / "dpdk_pkt0"))
        (one_host.run_dir / "agent_pkt0").unlink()
    assert counters(one_host, 3)[1] >= 2


TRAP_NEXTHOP = 4


def switched(vif: int, frame: bytes) -> bytes:
    """The datagram with which an agent sends a frame out of a vif."""
    return bytes(12) + b"\x08\x00" + struct.pack(">HHH24x", vif, 0, 0) + frame


def counters(host: Host, idx: int) -> tuple[int, int]:
    """Packets that came in on and went out of a vif."""
    with host.client() as client:
        request = VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=idx)
        found = client.get(request.encode(), VrInterfaceReq)
        return found.vifr_ipackets, found.vifr_opackets


def test_an_agent_behind_an_interface(one_host: Host) -> None:
    """As on a kernel datapath: the agent's frames on a device instead of datagrams."""
    one_host.sandbox.veth("one", "pkt0", "fabric", "agent")
    one_host.program(VrInterfaceReq(h_op=SandeshOp.DEL, vifr_idx=compute.AGENT))
    one_host.program(compute.vif(compute.AGENT, 1, "pkt0", compute.GATEWAY_MAC, vifr_vrf=65535))
    one_host.until("vif 2: attached to pkt0")
    gateway_trap = "ether[0:4] = 0x5e00 and ether[18:2] = 4"
    seen = one_host.sandbox.popen(
        "tcpdump", "--immediate-mode", "-c", "1", "-xx", "-ni", "agent", "-Q", "in", gateway_trap,
        netns="fabric",
    )  # fmt: skip
    assert seen.stdout is not None
    while "listening" not in (line := seen.stdout.readline()):
        assert line
    one_host.guests[0].ping("10.1.1.1", count=1)
    shown, _ = seen.communicate(timeout=20)
    words = "".join(re.findall(r"^\s+0x\w+:  (.*)$", shown, re.MULTILINE)).replace(" ", "")
    assert words[28:40] == "000300010004"  # vif, VRF and command behind the outer header


def test_a_forwarder_that_is_restarted(one_host: Host) -> None:
    first = one_host.guests[0]
    assert first.ping("10.1.1.4") == 0
    assert one_host.stop() == 0
    assert first.ping("10.1.1.4", count=2) == 100
    one_host.start()
    one_host.program(*one_host.base(), *one_host.guest_ports())
    assert first.ping("10.1.1.4") == 0


def test_a_forwarder_that_was_killed_starts_again(one_host: Host) -> None:
    one_host.stop("KILL")
    one_host.start()
    one_host.program(*one_host.base(), *one_host.guest_ports())
    assert one_host.guests[0].ping("10.1.1.4") == 0


def test_forwarding_goes_on_without_any_client(one_host: Host) -> None:
    with one_host.client():
        pass
    assert one_host.guests[0].ping("10.1.1.4") == 0


def test_nothing_is_left_after_the_end(one_host: Host) -> None:
    shown = one_host.node.run("ip", "-br", "link").stdout
    assert "vhost0" in shown
    assert sorted(os.listdir(one_host.run_dir)) == [
        "bridge.shmem",
        "dpdk_netlink",
        "dpdk_pkt0",
        "flow.shmem",
    ]
    assert one_host.stop() == 0
    assert os.listdir(one_host.run_dir) == []
    assert "vhost0" not in one_host.node.run("ip", "-br", "link").stdout


def test_modes_of_what_is_shared(one_host: Host) -> None:
    modes = {
        path.name: oct(path.stat().st_mode & 0o777)
        for path in (one_host.run_dir, *one_host.run_dir.iterdir())
    }
    assert modes == {
        "one": "0o750",
        "dpdk_netlink": "0o660",
        "dpdk_pkt0": "0o660",
        "flow.shmem": "0o640",
        "bridge.shmem": "0o640",
    }


# --- two hosts


@pytest.fixture
def two_hosts(sandbox: Sandbox, tmp_path: Path) -> tuple[Host, Host]:
    """Two hosts joined by their fabric interfaces, without guests, not yet programmed."""
    left, right = (Host(sandbox, name, tmp_path / name) for name in ("left", "right"))
    sandbox.veth("left", "fab0", "right", "fab0")
    for host in (left, right):
        host.node.run("ip", "link", "set", "fab0", "mtu", "1600")
        host.start()
    return left, right


def join(left: Host, right: Host, kind: int) -> tuple[Guest, Guest]:
    """Program both hosts for one guest each, over tunnels of a kind."""
    if kind == VXLAN:
        here, there = left.plug("10.1.1.3/24", 3), right.plug("10.1.1.4/24", 4)
        remote = compute.remote_over_vxlan
    else:
        here, there = left.plug("10.1.1.3/24", 3), right.plug("10.1.2.4/24", 4)
        remote = compute.remote_over_mpls
    for host, own, peer, other, guest in (
        (left, LEFT, right, RIGHT, there),
        (right, RIGHT, left, LEFT, here),
    ):
        host.program(*host.base(), *host.guest_ports())
        host.program(*compute.underlay(host, own, peer, other, kind), *remote(guest))
    return here, there


TUNNELS = {"mplsoudp": MPLS_UDP, "mplsogre": GRE, "vxlan": VXLAN}
OUTER_FIELDS = {
    "mplsoudp": ["ip.proto", "udp.dstport", "mpls.label"],
    "mplsogre": ["ip.proto", "gre.proto", "mpls.label"],
    "vxlan": ["ip.proto", "udp.dstport", "vxlan.vni"],
}
OUTER_TO_RIGHT = {
    "mplsoudp": ["17,1", "6635", "304"],
    "mplsogre": ["47,1", "0x8847", "304"],
    "vxlan": ["17,1", "4789", "4242"],
}


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_guests_of_two_hosts(two_hosts: tuple[Host, Host], tunnel: str, tmp_path: Path) -> None:
    here, there = join(*two_hosts, TUNNELS[tunnel])
    with recorded(two_hosts[0], tmp_path / "fabric.pcap"):
        assert here.ping(str(there.address.ip)) == 0
        assert there.ping(str(here.address.ip)) == 0
    rows = outer_headers(tmp_path / "fabric.pcap", OUTER_FIELDS[tunnel])
    to_right = [row[3:] for row in rows if row[0].startswith("172.30.0.1,10.1.1.3")]
    assert to_right
    assert to_right == [OUTER_TO_RIGHT[tunnel]] * len(to_right)
    assert {row[1].split(",")[0] for row in rows} == {"64"}  # outer TTL
    assert {row[2] for row in rows} == {"1,1"}  # outer and inner checksum are right


@contextmanager
def recorded(host: Host, path: Path) -> Iterator[None]:
    """What crosses a host's fabric interface while the block runs, in a file."""
    if shutil.which("tcpdump") is None or shutil.which("tshark") is None:
        pytest.skip("tcpdump and tshark are not installed")
    script = 'echo $$ && exec tcpdump -Z root -i fab0 --immediate-mode -U -w "$1" ip'
    child = host.node.start("sh", "-c", script, "sh", str(path))
    assert child.stdout is not None
    pid = child.stdout.readline().strip()
    while "listening" not in (line := child.stdout.readline()):
        assert line, "tcpdump ended"
    yield
    host.sandbox.run("env", "kill", "-INT", pid)
    child.communicate(timeout=20)


def outer_headers(path: Path, fields: list[str]) -> list[list[str]]:
    """Rows of tshark: source addresses, TTLs, checksum verdicts, then `fields`."""
    asked = ["ip.src", "ip.ttl", "ip.checksum.status", *fields]
    command = ["tshark", "-n", "-r", str(path), "-o", "ip.check_checksum:TRUE", "-T", "fields"]
    for name in asked:
        command += ["-e", name]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in shown.stdout.splitlines() if "10.1." in line]


def test_the_fabric_vif_is_as_large_as_its_interface(two_hosts: tuple[Host, Host]) -> None:
    left, _ = two_hosts
    left.program(*left.base())
    assert mtu_of(left, compute.FABRIC) == 1614
    left.node.run("ip", "link", "set", "fab0", "mtu", "9000")
    deadline = time.monotonic() + 10
    while mtu_of(left, compute.FABRIC) != 9014:
        assert time.monotonic() < deadline
    left.node.run("ip", "link", "del", "fab0")
    left.until("vif 0: interface fab0 went away")
    left.sandbox.veth("left", "fab0", "right", "fab0")
    left.until("vif 0: attached to fab0")
    assert mtu_of(left, compute.FABRIC) == 1514


def mtu_of(host: Host, idx: int) -> int:
    with host.client() as client:
        request = VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=idx)
        return client.get(request.encode(), VrInterfaceReq).vifr_mtu


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_tcp_between_hosts(two_hosts: tuple[Host, Host], tunnel: str) -> None:
    here, there = join(*two_hosts, TUNNELS[tunnel])
    assert here.ping(str(there.address.ip), count=1) == 0
    assert throughput(here, there) > 20e6


def test_tcp_within_a_host(one_host: Host) -> None:
    first, second, other = one_host.guests
    assert throughput(first, second) > 100e6
    assert throughput(first, other) > 100e6


def throughput(client: Guest, server: Guest) -> float:
    """Bits a second that iperf3 moves in two seconds; also that they arrived."""
    if shutil.which("iperf3") is None:
        pytest.skip("iperf3 is not installed")
    child = server.node.start("iperf3", "-s", "-1")
    deadline = time.monotonic() + 10
    while ":5201" not in server.node.run("ss", "-ltnH").stdout:
        assert time.monotonic() < deadline, "iperf3 does not listen"
        time.sleep(0.05)
    shown = client.node.run("iperf3", "-c", str(server.address.ip), "-t", "2", "-J")
    child.communicate(timeout=20)
    result = json.loads(shown.stdout)
    received = result["end"]["sum_received"]
    assert received["bytes"] > 0
    return float(received["bits_per_second"])
