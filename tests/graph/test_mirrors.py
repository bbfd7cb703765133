"""Mirrors: analyzers that ports and access lists name, their nexthops, the vifs that are copied."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from agent.inputs import ArpResolved, GraphLink, GraphNode
from agent.objects import Key, Kind
from agent.values import ip4_as_loaded
from tests.graph.lending import INSIDE_VRF, inside, port_of, with_property
from tests.graph.test_orders import check_ways
from tests.graph.test_restart import check_restarts
from tests.graph.test_routes import Site
from tests.graph.test_shared_addresses import site_of
from tests.graph.worlds import NIC, REMOTE, World, full, put, remove

PARSED = inside(vms=2)
VM, OTHER = PARSED.vms.values()
BASE = full(PARSED)
FAR = IPv4Address("10.0.0.77")
NEIGHBOUR = ArpResolved(0, FAR, REMOTE, 0)
UDP, SIP_COPY, VALID, ROOT, VXLAN = 0x10, 0x20000, 0x1, 0x200000, 0x80
RX, TX = 0x8, 0x10
DYNAMIC, ASSISTED = 1, 4
NAME = "default-domain:default-project:analyzer"
FABRIC: dict[str, Any] = {
    "analyzer-name": NAME,
    "analyzer-ip-address": str(FAR),
    "udp-port": 8100,
}
INSIDE: dict[str, Any] = {
    "analyzer-name": NAME,
    "analyzer-ip-address": str(OTHER.address),
    "routing-instance": INSIDE_VRF,
}
STATIC: dict[str, Any] = {
    "analyzer-name": NAME,
    "nh-mode": "static",
    "static-nh-header": {
        "vtep-dst-ip-address": str(FAR),
        "vtep-dst-mac-address": "02:00:00:00:00:99",
        "vni": 77,
    },
}
NIC_MADE: dict[str, Any] = {
    "analyzer-name": NAME,
    "nic-assisted-mirroring": True,
    "nic-assisted-mirroring-vlan": 10,
}


def mirrored(to: Any, direction: str = "both", vm: Any = VM) -> World:
    said = {"interface-mirror": {"traffic-direction": direction, "mirror-to": to}}
    return with_property(BASE, port_of(vm), virtual_machine_interface_properties=said)


def entry(site: Site) -> Any:
    return site[Key(Kind.MIRROR, NAME)]


def vif(site: Site, vm: Any = VM) -> Any:
    return site[Key(Kind.VIF, (str(vm.port), vm.tap))]


def way(site: Site) -> Any:
    return site.nexthops(3)[entry(site).mirr_nhid]


def test_copies_go_over_the_fabric_once_the_way_is_known() -> None:
    site = site_of(mirrored(FABRIC))
    assert (0, FAR) in site.compiler.wanted_arp()
    made = way(site)
    assert (made.nhr_flags, made.nhr_family, made.nhr_vrf) == (ROOT | UDP, 2, 0)
    assert (made.nhr_tun_sip, made.nhr_tun_dip) == (
        ip4_as_loaded(IPv4Address("10.0.0.1")),
        ip4_as_loaded(FAR),
    )
    # Network order: 8097 is 0x1fa1, 8100 is 0x1fa4.
    assert (made.nhr_tun_sport & 0xFFFF, made.nhr_tun_dport & 0xFFFF) == (0xA11F, 0xA41F)
    assert made.nhr_encap == bytes(6) + bytes(NIC) + b"\x08\x00"
    site.learn(NEIGHBOUR)
    made = way(site)
    assert made.nhr_flags == ROOT | UDP | VALID
    assert (made.nhr_encap, made.nhr_encap_oif_id) == (
        bytes(REMOTE) + bytes(NIC) + b"\x08\x00",
        (0,),
    )
    assert (entry(site).mirr_index, entry(site).mirr_flags, entry(site).mirr_vni) == (0, DYNAMIC, 0)


@pytest.mark.parametrize(
    ("direction", "flags"), [("ingress", RX), ("egress", TX), ("both", RX | TX), ("", RX | TX)]
)
def test_the_vif_says_what_is_copied(direction: str, flags: int) -> None:
    site = site_of(mirrored(FABRIC, direction))
    made, plain = vif(site), vif(Site(PARSED))
    assert made.vifr_flags == plain.vifr_flags | flags
    assert made.vifr_mir_id == entry(site).mirr_index
    name = b"default-domain:default-project:net1"
    assert made.vifr_in_mirror_md == bytes([3, len(name)]) + name + b"\xff\x00"
    assert made.vifr_out_mirror_md == bytes([4, len(name)]) + name + b"\xff\x00"
    key = Key(Kind.VIF, (str(VM.port), VM.tap))
    assert Key(Kind.MIRROR, NAME) in site.datapath.objects[key].refs


def test_without_a_header() -> None:
    assert entry(site_of(mirrored(FABRIC | {"juniper-header": False}))).mirr_flags == 0


def test_an_analyzer_that_is_a_vm_of_this_host() -> None:
    site = site_of(mirrored(INSIDE))
    made = way(site)
    assert made.nhr_flags == ROOT | UDP | VALID | SIP_COPY
    assert made.nhr_vrf == site[Key(Kind.VRF, INSIDE_VRF)].vrf_idx
    assert made.nhr_encap[:6] == bytes(OTHER.mac)
    assert made.nhr_encap_oif_id == (vif(site, OTHER).vifr_idx,)
    assert made.nhr_tun_dport & 0xFFFF == 0xA31F, "8099 where no port is said"
    [port] = [row for row in BASE.inputs.values() if getattr(row, "uuid", None) == OTHER.port]
    remove(site.compiler, port)
    site.turn()
    assert not way(site).nhr_flags & VALID
    put(site.compiler, port)
    site.turn()
    assert way(site).nhr_flags & VALID


def test_an_analyzer_is_not_mirrored_itself() -> None:
    """Its vif would wait for the mirror, which waits for the vif; and copies never end."""
    site = site_of(mirrored(INSIDE, vm=OTHER))
    assert not vif(site, OTHER).vifr_flags & (RX | TX)
    assert way(site).nhr_encap_oif_id == (vif(site, OTHER).vifr_idx,)


def test_to_a_fixed_end_of_a_tunnel() -> None:
    site = site_of(mirrored(STATIC))
    made = way(site)
    assert made.nhr_flags & VXLAN
    assert made.nhr_tun_dip == ip4_as_loaded(FAR)
    assert made.nhr_rw_dst_mac == bytes.fromhex("020000000099")
    assert (entry(site).mirr_vni, entry(site).mirr_flags) == (77, 0)
    site.learn(NEIGHBOUR)
    assert way(site).nhr_flags & VALID


def test_by_the_nic() -> None:
    site = site_of(mirrored(NIC_MADE))
    made = entry(site)
    assert (made.mirr_flags, made.mirr_vlan, made.mirr_nhid) == (ASSISTED, 10, 0)


BAD: dict[str, Any] = {
    "no name": FABRIC | {"analyzer-name": ""},
    "no address": {"analyzer-name": NAME},
    "an address that is none": FABRIC | {"analyzer-ip-address": "10.0.0.300"},
    "an IPv6 address": FABRIC | {"analyzer-ip-address": "fd00::1"},
    "a port that is none": FABRIC | {"udp-port": 70000},
    "no VLAN of the NIC": NIC_MADE | {"nic-assisted-mirroring-vlan": 0},
    "no VNI": STATIC | {"static-nh-header": {"vtep-dst-ip-address": str(FAR)}},
    "nothing": "analyzer",
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_used_is_left_out(bad: str) -> None:
    site = site_of(mirrored(BAD[bad]))
    assert site.datapath.objects == Site(PARSED).datapath.objects


def test_rules_of_access_lists_name_analyzers_too() -> None:
    rule = {
        "match-condition": {"protocol": "any"},
        "action-list": {"mirror-to": FABRIC},
        "rule-uuid": "00000000-0000-0000-0000-0000000000aa",
        "direction": ">",
    }
    acl, vn = ("access-control-list", "mirrored"), ("virtual-network", INSIDE_VRF[:-5])
    entries = {"dynamic": True, "acl-rule": [rule]}
    perms = {"enable": True, "uuid": {"uuid-mslong": 1, "uuid-lslong": 2}}
    site = site_of(
        BASE
        | [
            GraphNode(*acl, {"access-control-list-entries": entries, "id-perms": perms}),
            GraphLink("virtual-network-access-control-list", vn, acl),
        ]
    )
    assert entry(site).mirr_flags == DYNAMIC
    assert vif(site).vifr_flags == vif(Site(PARSED)).vifr_flags, "flows are copied, not the vif"
    [named] = {one.mirror for one in site.compiler.acls()["mirrored"].rules}
    assert named == NAME


LISTED: dict[str, list[World]] = {
    "comes and goes": [BASE, mirrored(FABRIC), BASE],
    "another analyzer": [mirrored(FABRIC), mirrored(INSIDE)],
    "over the fabric": [mirrored(FABRIC) | [NEIGHBOUR]],
    "in a tunnel": [mirrored(STATIC) | [NEIGHBOUR]],
    "by the NIC": [mirrored(FABRIC), mirrored(NIC_MADE)],
}


@pytest.mark.parametrize("name", LISTED)
def test_the_way_does_not_matter(name: str) -> None:
    check_ways(LISTED[name], plain)


def plain(content: Any) -> Any:
    """Without the number of the mirror's nexthop, which its references name."""
    return {name: value for name, value in content.items() if name != "mirr_nhid"}


@pytest.mark.parametrize("name", LISTED)
def test_a_restart_knows_everything_again(name: str) -> None:
    check_restarts(LISTED[name][-1])
