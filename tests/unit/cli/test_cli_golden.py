"""The tools print what the original tools printed for the same answers of a datapath.

Expected texts: facts vrouter-cli.md. The second run there kept its trailing blanks and is
compared exactly; where the first run's text is used, blanks at line ends are not.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from agent.cli import dropstats, flow, mpls, nh, rt, vif, vrfstats, vxlan
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrBridgeTableData,
    VrDropStatsReq,
    VrFlowTableData,
    VrInterfaceReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
    VrResponse,
    VrRouteReq,
    VrVrfStatsReq,
    VrVxlanReq,
)
from agent.shm import BridgeFlag, FlowAction, FlowFlag, FlowKey, TcpFlag
from tests.unit.cli.replay import Datapath, captured, done, dumped

VIF_HEADER = """\
Vrouter Interface Table

Flags: P=Policy, X=Cross Connect, S=Service Chain, Mr=Receive Mirror
       Mt=Transmit Mirror, Tc=Transmit Checksum Offload, L3=Layer 3, L2=Layer 2
       D=DHCP, Vp=Vhost Physical, Pr=Promiscuous, Vnt=Native Vlan Tagged
       Mnp=No MAC Proxy, Dpdk=DPDK PMD Interface, Rfl=Receive Filtering Offload, \
Mon=Interface is Monitored
       Uuf=Unknown Unicast Flood, Vof=VLAN insert/strip offload, Df=Drop New Flows, \
L=MAC Learning Enabled
       Proxy=MAC Requests Proxied Always, Er=Etree Root, Mn=Mirror without Vlan Tag, \
HbsL=HBS Left Intf
       HbsR=HBS Right Intf, Ig=Igmp Trap Enabled, Ml=MAC-IP Learning Enabled

"""
NOT_FOUND = "vRouter(Response): No such file or directory (2)\n"


@pytest.fixture
def datapath(tmp_path: Path) -> Iterator[Datapath]:
    listening = Datapath(tmp_path)
    yield listening
    listening.close()


@pytest.fixture
def here(tmp_path: Path) -> list[str]:
    return ["--sock-dir", str(tmp_path)]


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


VIF_4 = (
    VIF_HEADER
    + """\
vif0/4      PMD: tap11111111-11 NH: 25
            Type:Virtual HWaddr:00:00:5e:00:01:00 IPaddr:1.1.1.5
            Vrf:3 Mcast Vrf:3 Flags:PSMrMtL3L2 QOS:-1 Ref:10 Mirror index 1
            RX queue errors to lcore 0 0 0 0 0 0 0 0 0 0 0 0
            RX packets:0  bytes:0 errors:0
            TX packets:0  bytes:0 errors:0
            Drops:0
            Ingress Mirror Metadata: 1 2 3 ff 
            Egress Mirror Metadata: 0 1 2 3 4 5 6 7 8 9 a b c d e f 10 
                                    11 12 13 14 15 16 17 18 19 1a 1b 
                                    1c 1d 1e 1f 20 21 22 23 24 25 26 
                                    27 

            FatFlow rules: 
            \t6:80 
            \t17:53 
            \t1:*
            \t17:1812  - Sip

VRF table(vlan:vrf):
10:3, 20:2, """  # noqa: W291
)


def test_vif_get_of_a_service_interface(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.replay("vifget4")
    assert vif.main([*here, "--get", "4"]) == 0
    assert printed(capsys) == VIF_4


def test_vif_get_of_one_core(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.replay("vifcore")
    assert vif.main([*here, "--get", "3", "--core", "10"]) == 0
    assert printed(capsys) == (
        VIF_HEADER
        + """\
vif0/3      PMD: tap03eb4be8-d8 NH: 24
            Type:Virtual HWaddr:00:00:5e:00:01:00 IPaddr:1.1.1.3
            IP6addr:2001:db8::3
            Vrf:2 Mcast Vrf:2 Flags:PL3L2DL QOS:-1 Ref:69
            RX queue errors to lcore 0 0 0 0 0 0 0 0 0 0 0 0
            Core 10 RX packets:0  bytes:0 errors:0
            Core 10 TX packets:0  bytes:0 errors:0
            Drops:0

"""
    )


def test_vif_get_of_an_unknown_interface(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.replay("vifbad")
    assert vif.main([*here, "--get", "99"]) == 0
    assert printed(capsys) == VIF_HEADER + NOT_FOUND


VIF_LIST = """\
vif0/0      PCI: Mock
            Type:Physical HWaddr:00:1b:21:bb:f9:48 IPaddr:0.0.0.0
            Vrf:0 Mcast Vrf:65535 Flags:L3L2Vp QOS:0 Ref:11
            RX queue errors to lcore 0 0 0 0 0 0 0 0 0 0 0 0
            RX packets:0  bytes:0 errors:0
            TX packets:0  bytes:0 errors:0
            Drops:0

vif0/1      PMD: vhost0 Mock
            Type:Host HWaddr:00:1b:21:bb:f9:48 IPaddr:8.0.0.2
            Vrf:0 Mcast Vrf:65535 Flags:L3D QOS:0 Ref:7
            RX queue errors to lcore 0 0 0 0 0 0 0 0 0 0 0 0
            RX packets:0  bytes:0 errors:0
            TX packets:0  bytes:0 errors:0
            Drops:0

vif0/2      Socket: unix Mock
            Type:Agent HWaddr:00:00:5e:00:01:00 IPaddr:0.0.0.0
            Vrf:65535 Mcast Vrf:65535 Flags:L3 QOS:0 Ref:7
            RX queue errors to lcore 0 0 0 0 0 0 0 0 0 0 0 0
            RX packets:0  bytes:0 errors:0
            TX packets:0  bytes:0 errors:0
            Drops:0

"""


def three_vifs() -> list[VrInterfaceReq]:
    mock = 0x4000000
    common = {
        "vifr_mcast_vrf": 65535,
        "vifr_parent_vif_idx": -1,
        "vifr_speed": -1,
        "vifr_queue_ierrors_to_lcore": (0,) * 12,
    }
    nic = bytes.fromhex("001b21bbf948")
    return [
        VrInterfaceReq(
            vifr_idx=0, vifr_type=2, vifr_transport=2, vifr_mac=nic, vifr_ref_cnt=11,
            vifr_flags=mock | 0x2C0, **common,
        ),
        VrInterfaceReq(
            vifr_idx=1, vifr_type=0, vifr_transport=2, vifr_name="vhost0", vifr_mac=nic,
            vifr_ip=int.from_bytes(ip_address("8.0.0.2").packed, "little"), vifr_ref_cnt=7,
            vifr_flags=mock | 0x140, **common,
        ),
        VrInterfaceReq(
            vifr_idx=2, vifr_type=1, vifr_transport=3, vifr_name="unix", vifr_vrf=65535,
            vifr_mac=bytes.fromhex("00005e000100"), vifr_ref_cnt=7, vifr_flags=mock | 0x40,
            **common,
        ),
    ]  # fmt: skip


def test_vif_list(datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    datapath.answer(lambda _: dumped(*three_vifs()))
    assert vif.main([*here, "--list"]) == 0
    assert printed(capsys) == VIF_HEADER + VIF_LIST


def test_a_dump_goes_on_after_the_last_object_of_a_page(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(request: Message) -> list[list[Message]]:
        assert isinstance(request, VrInterfaceReq)
        rest = [row for row in three_vifs() if row.vifr_idx > request.vifr_marker]
        more = 0x40000000 if len(rest) > 1 else 0
        return [[VrResponse(h_op=4, resp_code=1 | more)], rest[:1]]

    datapath.answer(answer)
    assert vif.main([*here, "--list", "--json"]) == 0
    assert [row["index"] for row in json.loads(printed(capsys))] == [0, 1, 2]
    assert [request.vifr_marker for request in datapath.requests] == [-1, 0, 1]  # type: ignore[attr-defined]


NH_40 = """\
Id:40         Type:Composite      Fmly: AF_INET  Rid:0  Ref_cnt:2          Vrf:2
              Flags:Valid, Policy, Ecmp, 
              Valid Hash Key Parameters: Proto,SrcIP,SrcPort,DstIp,DstPort
              Sub NH(label): 24 22(23) -1 20(17)

Id:24         Type:Encap          Fmly: AF_INET  Rid:0  Ref_cnt:7          Vrf:2
              Flags:Valid, Policy, 
              EncapFmly:0800 Oif:3 Len:14
              Encap Data: 02 03 eb 4b e8 d8 00 00 5e 00 01 00 08 00 

Id:22         Type:Tunnel         Fmly: AF_INET  Rid:0  Ref_cnt:1554       Vrf:0
              Flags:Valid, MPLSoUDP, 
              Oif:0 Len:14 Data:00 1b 21 bb f9 46 00 1b 21 bb f9 48 08 00 
              Sip:8.0.0.2 Dip:8.0.0.3

Id:20         Type:Tunnel         Fmly: AF_INET  Rid:0  Ref_cnt:3          Vrf:0
              Flags:Valid, MPLSoGRE, 
              Oif:0 Len:14 Data:00 1b 21 bb f9 46 00 1b 21 bb f9 48 08 00 
              Sip:8.0.0.2 Dip:8.0.0.3

"""  # noqa: W291


def test_nh_get_of_a_composite(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.replay("nhget40")
    assert nh.main([*here, "--get", "40"]) == 0
    assert printed(capsys) == NH_40


def test_nh_asks_byte_for_byte_what_the_original_asks(datapath: Datapath, here: list[str]) -> None:
    datapath.replay("nhget40")
    nh.main([*here, "--get", "40"])
    asked = [data for direction, data in captured("nhget40") if direction == "tx"]
    assert datapath.frames == asked


NH_LIST = """\
Id:0          Type:Drop           Fmly: AF_INET  Rid:0  Ref_cnt:1021       Vrf:0
              Flags:Valid, 

Id:3          Type:L2 Receive     Fmly: AF_INET  Rid:0  Ref_cnt:2          Vrf:2
              Flags:Valid, Etree Root, 

Id:14         Type:Tunnel         Fmly: AF_INET  Rid:0  Ref_cnt:2          Vrf:0
              Flags:Valid, Vxlan, 
              Oif:0 Len:14 Data:00 1b 21 bb f9 46 00 1b 21 bb f9 48 08 00 
              Sip:8.0.0.2 Dip:8.0.0.3

"""  # noqa: W291


def test_nh_list(datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        VrNexthopReq(nhr_id=0, nhr_type=5, nhr_family=2, nhr_ref_cnt=1021, nhr_flags=1),
        VrNexthopReq(
            nhr_id=3, nhr_type=8, nhr_family=2, nhr_ref_cnt=2, nhr_vrf=2, nhr_flags=0x200001
        ),
        VrNexthopReq(
            nhr_id=14, nhr_type=3, nhr_family=2, nhr_ref_cnt=2, nhr_flags=0x81,
            nhr_encap=bytes.fromhex("001b21bbf946001b21bbf9480800"), nhr_encap_len=14,
            nhr_encap_oif_id=(0,), nhr_tun_sip=0x02000008, nhr_tun_dip=0x03000008,
        ),
    ]  # fmt: skip
    datapath.answer(lambda _: dumped(*rows))
    assert nh.main([*here, "--list"]) == 0
    assert printed(capsys) == NH_LIST


def test_nh_of_an_ipv6_tunnel(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tunnel = VrNexthopReq(
        nhr_id=15, nhr_type=3, nhr_family=10, nhr_flags=0x11, nhr_encap_oif_id=(0,),
        nhr_tun_sip6=ip_address("2001:db8::1").packed, nhr_tun_sport=0x3930,
        nhr_tun_dip6=ip_address("2001:db8::2").packed, nhr_tun_dport=0xBD22 - 0x10000,
    )  # fmt: skip
    datapath.answer(lambda _: done(tunnel))
    assert nh.main([*here, "--get", "15"]) == 0
    text = printed(capsys)
    assert "Sip: 2001:db8::1 Dip: 2001:db8::2\n" in text
    assert "Sport:12345 Dport:8893\n" in text
    datapath.answer(lambda _: done(tunnel))
    assert nh.main([*here, "--get", "15", "--json"]) == 0
    (row,) = json.loads(printed(capsys))
    assert (row["source"], row["sport"]) == ("2001:db8::1", 12345)
    assert (row["destination"], row["dport"]) == ("2001:db8::2", 8893)


def test_nh_of_a_composite_that_holds_itself_ends(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {40: (41, 41), 41: (40,)}

    def answer(request: Message) -> list[list[Message]]:
        number = request.nhr_id  # type: ignore[attr-defined]
        return done(VrNexthopReq(nhr_id=number, nhr_type=6, nhr_nh_list=parts[number]))

    datapath.answer(answer)
    assert nh.main([*here, "--get", "40", "--json"]) == 0
    assert [row["id"] for row in json.loads(printed(capsys))] == [40, 41, 41]


def test_nh_get_of_an_unknown_nexthop(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.replay("nhbad")
    assert nh.main([*here, "--get", "999"]) == 0
    assert printed(capsys) == NOT_FOUND


INET_LEGEND = """\
Flags: L=Label Valid, P=Proxy ARP, T=Trap ARP, F=Flood ARP, Ml=MAC-IP learnt route
vRouter inet4 routing table 0/2/unicast
Destination           PPL        Flags        Label         Nexthop    Stitched MAC(Index)
"""


def test_rt_get_inet(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.replay("rtg4")
    assert rt.main([*here, "--get", "2.2.2.3/32", "--vrf", "2"]) == 0
    assert printed(capsys) == (
        "Match 2.2.2.3/32 in vRouter inet4 table 0/2/unicast\n\n"
        + INET_LEGEND
        + "2.2.2.3/32              0           LP         23             22        -\n"
    )


BRIDGE_LEGEND = """\
Flags: L=Label Valid, Df=DHCP flood, Mm=Mac Moved, L2c=L2 Evpn Control Word, N=New Entry, \
Ec=EvpnControlProcessing
vRouter bridge table 0/2
Index       DestMac                  Flags           Label/VNID      Nexthop           Stats
"""


def bridge_answer(request: Message) -> list[list[Message]]:
    assert isinstance(request, VrRouteReq)
    return done(request.replace(rtr_label_flags=1, rtr_nh_id=24, rtr_index=48964))


def test_rt_get_bridge(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.answer(bridge_answer)
    assert rt.main([*here, "--get", "02:03:eb:4b:e8:d8", "--vrf", "2", "--family", "bridge"]) == 0
    assert printed(capsys) == (
        "Match 2:3:eb:4b:e8:d8 in vRouter bridge table 0/2/unicast\n\n"
        + BRIDGE_LEGEND
        + "48964       2:3:eb:4b:e8:d8                                   -           24"
        "               0\n"
    )


def leaf(prefix: str, length: int, ppl: int, nexthop: int, **fields: int) -> VrRouteReq:
    return VrRouteReq(
        rtr_vrf_id=2,
        rtr_family=2,
        rtr_prefix=ip_address(prefix).packed,
        rtr_prefix_len=length,
        rtr_replace_plen=ppl,
        rtr_nh_id=nexthop,
        rtr_index=-1,
        **{"rtr_label": 0xFFFFFF, **fields},
    )


LEAVES = [
    leaf("0.0.0.0", 8, 0, 0),
    leaf("1.0.0.0", 8, 7, 30),
    leaf("2.2.2.2", 32, 24, 1, rtr_label_flags=4),
    leaf("2.2.2.3", 32, 32, 22, rtr_label_flags=3, rtr_label=23),
    leaf("2.2.2.4", 32, 24, 1, rtr_label_flags=4),
    leaf("2.2.3.0", 24, 0, 0),
]


def test_rt_dump_shows_each_leaf(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.answer(lambda _: dumped(*LEAVES))
    assert rt.main([*here, "--dump", "2"]) == 0
    assert printed(capsys) == INET_LEGEND + (
        "0.0.0.0/8               0                       -              0        -\n"
        "1.0.0.0/8               7                       -             30        -\n"
        "2.2.2.2/32             24            T          -              1        -\n"
        "2.2.2.3/32             32           LP         23             22        -\n"
        "2.2.2.4/32             24            T          -              1        -\n"
        "2.2.3.0/24              0                       -              0        -\n"
    )


def test_rt_dump_shows_each_route_once_on_request(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.answer(lambda _: dumped(*LEAVES))
    assert rt.main([*here, "--dump", "2", "--routes", "--json"]) == 0
    assert [(row["destination"], row["nexthop"]) for row in json.loads(printed(capsys))] == [
        ("0.0.0.0/7", 30),
        ("2.2.2.0/24", 1),
        ("2.2.2.3/32", 22),
    ]


def test_rt_dump_asks_for_what_follows_the_last_leaf(datapath: Datapath, here: list[str]) -> None:
    def answer(request: Message) -> list[list[Message]]:
        assert isinstance(request, VrRouteReq)
        if not request.rtr_marker:
            return [[VrResponse(h_op=4, resp_code=0x40000001)], [LEAVES[2]]]
        return dumped(LEAVES[3])

    datapath.answer(answer)
    assert rt.main([*here, "--dump", "2"]) == 0
    _, second = datapath.requests
    assert isinstance(second, VrRouteReq)
    assert (second.rtr_marker, second.rtr_marker_plen) == (bytes((2, 2, 2, 2)), 32)


def test_rt_dump_of_the_bridge_family_reads_the_shared_table(
    datapath: Datapath, here: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bridge.shmem"
    table = bytearray(64 * 1280)
    for index, vrf in ((7, 2), (9, 3)):
        struct.pack_into("<8xIIIB", table, index * 64, index, 0xFFFFFFFF, 0xFFFFFFFF, 1)
        struct.pack_into(
            "<6sH8xQIiH", table, index * 64 + 21, b"\x02\x03\xeb\x4b\xe8\xd8", vrf, 12, 100, 22,
            BridgeFlag.VALID | BridgeFlag.LABEL_VALID,
        )  # fmt: skip
    path.write_bytes(table)

    def answer(request: Message) -> list[list[Message]]:
        if isinstance(request, VrBridgeTableData):
            return done(request.replace(btable_file_path=str(path), btable_size=len(table)))
        return done(VrouterOps(vo_bridge_entries=256))

    datapath.answer(answer)
    assert rt.main([*here, "--dump", "2", "--family", "bridge"]) == 0
    assert printed(capsys) == BRIDGE_LEGEND + (
        "7           2:3:eb:4b:e8:d8              L                  100           22"
        "              12\n"
    )


MPLS_HEADER = """\
MPLS Input Label Map

   Label    NextHop
-------------------
"""


def test_mpls_dump(datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    datapath.replay("mplsd")
    assert mpls.main([*here, "--dump"]) == 0
    assert printed(capsys) == MPLS_HEADER + (
        "      16        25\n      48        24\n      49        45\n"
    )
    assert datapath.frames == [data for direction, data in captured("mplsd") if direction == "tx"]


def test_mpls_get(datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    datapath.answer(lambda _: done(VrMplsReq(h_op=SandeshOp.GET, mr_label=48, mr_nhid=24)))
    assert mpls.main([*here, "--get", "48"]) == 0
    assert printed(capsys) == MPLS_HEADER + "      48        24\n"


def test_vxlan_dump(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [VrVxlanReq(vxlanr_vnid=5, vxlanr_nhid=9), VrVxlanReq(vxlanr_vnid=100, vxlanr_nhid=8)]
    datapath.answer(lambda _: dumped(*rows))
    assert vxlan.main([*here, "--dump"]) == 0
    assert printed(capsys) == (
        "VXLAN Table\n\n VNID    NextHop\n----------------\n      5    9\n    100    8\n"
    )


FLOW_LIST = """\
Flow table(size 327680, entries 1280)

Entries: Created 0 Added 14 Deleted 0 Changed 7Processed 0 Used Overflow entries 0
(Created Flows/CPU: 0 0 0 0 0 0 0 0 0 0 0 0)(oflows 0)

Action:F=Forward, D=Drop N=NAT(S=SNAT, D=DNAT, Ps=SPAT, Pd=DPAT, L=Link Local Port)
 Other:K(nh)=Key_Nexthop, S(nh)=RPF_Nexthop
 Flags:E=Evicted, Ec=Evict Candidate, N=New Flow, M=Modified Dm=Delete Marked
TCP(r=reverse):S=SYN, F=FIN, R=RST, C=HalfClose, E=Established, D=Dead

    Index                Source:Port/Destination:Port                      Proto(V)
-----------------------------------------------------------------------------------
       10<=>20           1.1.1.3:33000                                       6 (2)
                         2.2.2.3:80   
(Gen: 1, K(nh):24, Action:F, Flags:, TCP:, E:1, QOS:-1, S(nh):24,  Stats:0/0, 
 SPort 61221, TTL 64, Sinfo 0.0.0.0)

       11<=>21           1.1.1.3:51000                                       6 (2->0)
                         169.254.169.254:80   
(Gen: 1, K(nh):24, Action:N(SPsDPdL), Flags:, TCP:, QOS:-1, S(nh):24, 
 Stats:0/0,  SPort 61840, TTL 64, Sinfo 0.0.0.0)

       12<=>22           2001:db8::3:128                                    58 (2)
                         2001:db8:1::a:0        
(Gen: 1, K(nh):24, Action:D(Policy), Flags:, QOS:-1, S(nh):24,  Stats:0/0, 
 SPort 62987, TTL 64, Sinfo 0.0.0.0)

       13<=>23           2001:db8::3:1500                                   17 (2)
                         2001:db8:1::9:53       
(Gen: 1, K(nh):24, Action:F, Flags:, QOS:-1, S(nh):24,  Stats:0/0,  Mirror Index : 1, 2, 
 SPort 65152, TTL 64, Sinfo 0.0.0.0)

"""  # noqa: W291


def write_flows(path: Path) -> None:
    """Four of the flows of the recorded listing, at other indices."""
    table = bytearray(256 * 1280)
    nat = FlowFlag.SNAT | FlowFlag.SPAT | FlowFlag.DNAT | FlowFlag.DPAT
    nat |= FlowFlag.LINK_LOCAL | FlowFlag.VRFT
    flows = [
        ("1.1.1.3", "2.2.2.3", 6, 33000, 80, 0, FlowAction.FORWARD, 0, 1, 61221),
        ("1.1.1.3", "169.254.169.254", 6, 51000, 80, nat, FlowAction.NAT, 0, -1, 61840),
        ("2001:db8::3", "2001:db8:1::a", 58, 128, 0, 0, FlowAction.DROP, 21, -1, 62987),
        ("2001:db8::3", "2001:db8:1::9", 17, 1500, 53, FlowFlag.MIRROR, FlowAction.FORWARD, 0,
         -1, 65152),
    ]  # fmt: skip
    for index, row in enumerate(flows, start=10):
        source, destination, proto, sport, dport, flags, action, reason, ecmp, outer = row
        key = FlowKey(24, ip_address(source), ip_address(destination), proto, sport, dport).pack()
        at = index * 256
        struct.pack_into("<8xIIIBBh", table, at, index, 0, 0xFFFFFFFF, 1, 64, -1)
        table[at + 24 : at + 24 + len(key)] = key
        struct.pack_into("<BBH", table, at + 68, len(key), 1, TcpFlag(0))
        struct.pack_into(
            "<iHHHHHBBI", table, at + 84, index + 10, FlowFlag.ACTIVE | flags, 0, action, 2, 0,
            1, 2, 24,
        )  # fmt: skip
        struct.pack_into("<bBBHI8xIb", table, at + 115, ecmp, reason, 2, outer, 0, 0, -1)
    path.write_bytes(table)


def flow_answer(path: Path) -> list[list[Message]]:
    return done(
        VrFlowTableData(
            ftable_op=2,
            ftable_size=path.stat().st_size,
            ftable_file_path=str(path),
            ftable_added=14,
            ftable_changed=7,
            ftable_hold_stat=(0,) * 12,
        )
    )


def serve_flows(datapath: Datapath, path: Path) -> None:
    write_flows(path)

    def answer(request: Message) -> list[list[Message]]:
        if isinstance(request, VrFlowTableData):
            return flow_answer(path)
        return done(VrouterOps(vo_flow_entries=256))

    datapath.answer(answer)


def test_flow_list(
    datapath: Datapath, here: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_flows(datapath, tmp_path / "flow.shmem")
    assert flow.main([*here, "-l"]) == 0
    assert printed(capsys) == FLOW_LIST


@pytest.mark.parametrize(
    ("index", "status", "says"),
    [
        (9, 0, "Flow index 9 is not active\n"),
        (1280, 255, "Flow index 1280 is greater than available indices (1279)\n"),
    ],
)
def test_flow_get_of_no_flow(
    datapath: Datapath,
    here: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    index: int,
    status: int,
    says: str,
) -> None:
    serve_flows(datapath, tmp_path / "flow.shmem")
    assert flow.main([*here, f"--get={index}"]) == status
    assert printed(capsys) == says


def test_flow_stats(
    datapath: Datapath, here: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_flows(datapath, tmp_path / "flow.shmem")
    assert flow.main([*here, "-s", "--json"]) == 0
    shown = json.loads(printed(capsys))
    assert (shown["flows"], shown["inet"], shown["inet6"]) == (4, 2, 2)
    assert shown["actions"] == {"forward": 2, "nat": 1, "drop": 1}
    assert shown["drop_reasons"] == {"POLICY": 1}


def test_dropstats_without_drops_prints_nothing(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.replay("drop")
    assert dropstats.main(here) == 0
    assert printed(capsys) == ""
    assert datapath.frames == [data for direction, data in captured("drop") if direction == "tx"]


def test_dropstats(datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    datapath.answer(lambda _: done(VrDropStatsReq(vds_invalid_label=3, vds_l2_no_route=12)))
    assert dropstats.main(here) == 0
    assert printed(capsys) == (
        "Invalid Label                 3\n\nNo L2 Route                   12\n\n"
    )


def test_every_drop_counter_is_shown(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in VrDropStatsReq.FIELDS if name.startswith("vds_")]
    names = [name for name in names if name not in ("vds_rid", "vds_core")]
    names.remove("vds_pcpu_stats_failure_status")
    numbered = {name: number for number, name in enumerate(names, start=1)}
    datapath.answer(lambda _: done(VrDropStatsReq(**numbered)))
    assert dropstats.main([*here, "--json"]) == 0
    shown = json.loads(printed(capsys))
    assert {f"vds_{name}": count for name, count in shown.items()} == numbered


def test_vrfstats_without_statistics_prints_nothing(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    datapath.replay("vrfsd")
    assert vrfstats.main([*here, "--dump"]) == 0
    assert printed(capsys) == ""
    assert datapath.frames == [data for direction, data in captured("vrfsd") if direction == "tx"]


def test_vrfstats_shows_every_counter(
    datapath: Datapath, here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name for name in VrVrfStatsReq.FIELDS if name.startswith("vsr_")]
    for other in ("vsr_rid", "vsr_family", "vsr_type", "vsr_vrf", "vsr_marker"):
        names.remove(other)
    numbered = {name: number for number, name in enumerate(names, start=1)}
    datapath.answer(lambda _: done(VrVrfStatsReq(vsr_vrf=7, **numbered)))
    assert vrfstats.main([*here, "--get", "7", "--json"]) == 0
    shown = json.loads(printed(capsys))
    assert shown.pop("vrf") == 7
    assert {f"vsr_{name}": count for name, count in shown.items()} == numbered


@pytest.mark.parametrize(
    ("conversation", "arguments"),
    [
        ("vifget4", ["--get", "4"]),
        ("vifcore", ["--get", "3", "--core", "10"]),
        ("vifbad", ["--get", "99"]),
    ],
)
def test_vif_asks_byte_for_byte_what_the_original_asks(
    datapath: Datapath, here: list[str], conversation: str, arguments: list[str]
) -> None:
    datapath.replay(conversation)
    vif.main([*here, *arguments])
    asked = [data for direction, data in captured(conversation) if direction == "tx"]
    assert datapath.frames == asked
