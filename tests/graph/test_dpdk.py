"""A host whose datapath is DPDK's: vhost-user ports, and a fabric interface by its PCI device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.inputs import Link
from agent.objects import Key, Kind
from agent.values import Mac
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
