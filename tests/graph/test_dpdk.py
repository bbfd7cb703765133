"""A host whose datapath is DPDK's: vhost-user ports, and a fabric interface by its PCI device."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.inputs import Link, LinkTold
from agent.ksync import same
from agent.objects import Key, Kind
from agent.sandesh.framing import read_frames
from agent.sandesh.vrouter import VrInterfaceReq, decode_messages
from agent.values import VRRP_MAC, Mac
from tests.graph.worlds import (
    HOST_LINKS,
    NIC,
    SETTINGS,
    config_of,
    forms,
    ports_of,
    run,
    taps_of,
    worked,
)

CAPTURES = Path(__file__).parents[1] / "vectors" / "ksync-captures.jsonl"
TOPOLOGY = worked()
[VM] = TOPOLOGY.vms.values()
[PORT] = ports_of(TOPOLOGY)
OWN = Mac.parse("00:1b:21:bb:f9:48")
PCI = 4 << 8
DPDK = replace(
    SETTINGS,
    fabric_interface="0000:04:00.0",
    interface_transport=2,
    fabric_mac=OWN,
    fabric_device=PCI,
)
VHOST = Link("vhost0", 7, OWN, True)
VIF = Key(Kind.VIF, (str(VM.port), VM.tap))
FABRIC, HOST, PKT0 = (Key(Kind.VIF, name) for name in ("fabric", "vhost", "pkt0"))


def vifs(*rows: Any) -> dict[Key, Any]:
    """The messages of the vifs once these inputs are there."""
    found = forms(run([config_of(TOPOLOGY) | rows])[0])
    return {key: message for key, message in found.items() if key.kind is Kind.VIF}


def test_the_hosts_own_vifs_need_nothing_of_the_kernel() -> None:
    found = vifs(DPDK)
    fabric, vhost, pkt0 = found[FABRIC], found[HOST], found[PKT0]
    assert (fabric.vifr_idx, fabric.vifr_type, fabric.vifr_flags) == (0, 2, 0x2002C0)
    assert (fabric.vifr_name, fabric.vifr_os_idx) == ("0000:04:00.0", 0x400)
    assert (fabric.vifr_transport, fabric.vifr_mac) == (2, bytes(OWN))
    assert (vhost.vifr_idx, vhost.vifr_type, vhost.vifr_transport) == (1, 0, 2)
    assert (vhost.vifr_os_idx, vhost.vifr_cross_connect_idx) == (0, (0x400,))
    assert (pkt0.vifr_name, pkt0.vifr_transport) == ("unix", 3)


def test_vhost0_lies_on_the_fabric_whatever_its_number() -> None:
    """A DPDK datapath counts the entries (facts kernel-datapath.md); the kernel reads them."""
    unknown = replace(DPDK, fabric_device=0)
    assert vifs(unknown)[HOST].vifr_cross_connect_idx == (0,)
    assert vifs(unknown)[FABRIC].vifr_os_idx == 0


def test_without_a_configured_address_the_fabric_has_that_of_vhost0() -> None:
    unsaid = replace(DPDK, fabric_mac=None)
    assert FABRIC not in vifs(unsaid)
    assert vifs(unsaid, VHOST)[FABRIC].vifr_mac == bytes(OWN)


def test_on_other_platforms_vhost0_does_not_stand_for_the_fabric() -> None:
    assert FABRIC not in vifs(SETTINGS, VHOST)
    assert vifs(SETTINGS, *HOST_LINKS)[FABRIC].vifr_mac == bytes(NIC)


@pytest.mark.parametrize("mode", [0, 1])
def test_a_port_has_a_vhost_user_socket(mode: int) -> None:
    vif = vifs(DPDK, replace(PORT, vhostuser_mode=mode))[VIF]
    assert (vif.vifr_type, vif.vifr_transport, vif.vifr_name) == (3, 2, VM.tap)
    assert (vif.vifr_os_idx, vif.vifr_vhostuser_mode) == (0, mode)
    assert vif.vifr_flags == 0x2001C1
    assert (vif.vifr_vrf, vif.vifr_mcast_vrf) == (2, 2)


def test_a_network_interface_of_its_name_changes_nothing() -> None:
    port = replace(PORT, vhostuser_mode=1)
    alone, beside = vifs(DPDK, port), vifs(DPDK, port, *taps_of(TOPOLOGY))
    assert alone[VIF] == beside[VIF]


def test_a_port_whose_link_is_disabled_is_in_no_vrf() -> None:
    assert vifs(DPDK, replace(PORT, link_state=False))[VIF].vifr_vrf == 0xFFFF


def test_a_port_whose_socket_is_not_connected_is_in_no_vrf() -> None:
    compiler, datapath = run([config_of(TOPOLOGY) | [DPDK, PORT]])
    number = compiler.desired()[VIF].message.vifr_idx

    def vrf_after(up: bool) -> int:
        compiler.learned(LinkTold(number, up))
        datapath.apply(compiler.commit())
        return datapath.objects[VIF].message.vifr_vrf

    assert [vrf_after(up) for up in (False, False, True, False)] == [0xFFFF, 0xFFFF, 2, 0xFFFF]
    [row] = compiler.vmis()
    assert row.reason == "the datapath says that the vhost-user socket is not connected"
    compiler.remove_port(PORT.uuid)
    datapath.apply(compiler.commit())
    compiler.put_port(PORT)
    datapath.apply(compiler.commit())
    assert datapath.objects[VIF].message.vifr_vrf == 2


def test_what_is_told_of_a_tap_counts_nothing() -> None:
    world = config_of(TOPOLOGY) | [SETTINGS, *HOST_LINKS, PORT, *taps_of(TOPOLOGY)]
    compiler, _ = run([world])
    compiler.learned(LinkTold(compiler.desired()[VIF].message.vifr_idx, False))
    assert not compiler.commit().changed


def test_what_a_recorded_datapath_held_is_what_is_wanted() -> None:
    """The vif of a VM, as a real DPDK datapath showed it (ksync-captures.jsonl, vifget3)."""
    lines = map(json.loads, CAPTURES.read_text().splitlines())
    frames = [bytes.fromhex(one["hex"]) for one in lines if one["conversation"] == "vifget3"]
    [frame] = read_frames(frames[-1])
    [dumped] = [one for one in decode_messages(frame.payload) if isinstance(one, VrInterfaceReq)]
    wanted = vifs(DPDK, PORT)[VIF]
    own = ("vifr_name", "vifr_nh_id", "vifr_ip", "vifr_ip6_u", "vifr_ip6_l", "vifr_qos_map_index")
    alike = wanted.replace(**{name: getattr(dumped, name) for name in (*own, "vifr_flags")})
    assert (dumped.vifr_transport, dumped.vifr_os_idx, dumped.vifr_mac) == (2, 0, bytes(VRRP_MAC))
    assert same(dumped, alike)


def test_a_namespace_has_a_network_interface_on_every_platform() -> None:
    port = replace(PORT, port_type=1, vhostuser_mode=1)
    assert VIF not in vifs(DPDK, port)
    vif = vifs(DPDK, port, *taps_of(TOPOLOGY))[VIF]
    assert (vif.vifr_transport, vif.vifr_vhostuser_mode) == (1, 0)
    assert vif.vifr_os_idx != 0


def test_modes_mean_nothing_where_there_are_no_sockets() -> None:
    port = replace(PORT, vhostuser_mode=1)
    vif = vifs(SETTINGS, *HOST_LINKS, port, *taps_of(TOPOLOGY))[VIF]
    assert (vif.vifr_transport, vif.vifr_vhostuser_mode) == (1, 0)
