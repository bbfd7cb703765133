"""`nh`: rules of its text that no recorded output has, what it follows, its misuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import nh
from agent.cli.nh_json import as_json
from agent.cli.render_nh import text
from agent.sandesh.vrouter import Message, VrNexthopReq
from tests.unit.cli.replay import Datapath, done

PAD = " " * 14
TUNNEL: dict[str, Any] = {
    "nhr_type": 3, "nhr_family": 2, "nhr_encap_oif_id": (0,), "nhr_encap": b"\x01\x02",
    "nhr_encap_len": 2, "nhr_tun_sip": 0x02000008, "nhr_tun_dip": 0x03000008,
}  # fmt: skip
PATH, ENDS = f"{PAD}Oif:0 Len:2 Data:01 02 \n", f"{PAD}Sip:8.0.0.2 Dip:8.0.0.3"
COMPOSITE: dict[str, Any] = {"nhr_type": 6, "nhr_family": 2, "nhr_nh_list": (24, -1)}


def flags_of(kind: int, flags: int) -> str:
    return text(VrNexthopReq(nhr_type=kind, nhr_flags=flags)).splitlines()[1].partition("Flags:")[2]


@pytest.mark.parametrize(
    ("kind", "flags", "expected"),
    [
        (5, 0, "None"),
        (5, 0x8, ""),
        (5, 0x1, "Valid, "),
        (3, 0x59, "Valid, MPLSoGRE, Udp, MPLSoUDP, "),
        (2, 0x59, "Valid, "),
        (3, 0x4000048, "MPLSoMPLSoGRE, MPLSoMPLSoUDP, "),
        (6, 0x7E00, "Fabric, Ecmp, Evpn, Encap, Tor, "),
        (3, 0x7E00, ""),
        (
            2, 0x13FF81A2 | 0x2000000,
            "Policy, Multicast, Vxlan, Policy(R), RouteLookup, Unicast Flood, Copy SIP, "
            "Flow Lookup, Pbb, Mac Learn, Etree Root, Indirect, Evpn Control Word, "
            "Encrypt Traffic, l3_vxlan, Underlay Ecmp, ",
        ),
    ],
)  # fmt: skip
def test_flags(kind: int, flags: int, expected: str) -> None:
    assert flags_of(kind, flags) == expected


def test_the_first_line_has_room_for_large_numbers() -> None:
    shown = text(VrNexthopReq(nhr_id=1234567890, nhr_type=7, nhr_ref_cnt=1234567890, nhr_family=1))
    assert shown == (
        "Id:1234567890  Type:Vrf_Translate  Fmly:     N/A  Rid:0  Ref_cnt:1234567890 Vrf:0\n"
        f"{PAD}Flags:None\n{PAD}Vrf:0\n\n"
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"nhr_flags": 0x9}, f"{PATH}{ENDS}\n\n"),
        (
            {"nhr_flags": 0x11, "nhr_tun_sport": 0x3930, "nhr_tun_dport": 0x22BD},
            f"{PATH}{ENDS}\n{PAD}Sport:12345 Dport:48418\n\n\n",
        ),
        (
            {"nhr_flags": 0x4000049, "nhr_transport_label": 30},
            f"{PATH}{ENDS} Transport Label:30\n\n",
        ),
        (
            {"nhr_flags": 0x2000081, "nhr_rw_dst_mac": bytes(range(6))},
            f"{PATH}{ENDS} L3_Vxlan_Mac: 00:01:02:03:04:05\n\n",
        ),
        (
            {"nhr_flags": 0x9, "nhr_encap_crypt_oif_id": 7},
            f"{PATH}{ENDS}\n{PAD}CryptOif:7\n\n\n",
        ),
        (
            {
                "nhr_flags": 0x10000009, "nhr_encap_oif_id": (0, 5, -1),
                "nhr_encap": b"\x01\x02\x03\x04", "nhr_encap_valid": (1, 1, 0),
            },
            f"{PAD}Oif:0 EncapValid:1 Len:2 Data:01 02 \n"
            f"{PAD}Oif:5 EncapValid:1 Len:2 Data:03 04 \n"
            f"{PAD}Oif:-1 EncapValid:0 Len:0 Data:NULL\n{ENDS}\n\n",
        ),
        (
            {
                "nhr_flags": 0x480001, "nhr_pbb_mac": bytes(range(6)), "nhr_nh_list": (22,),
                "nhr_label_list": (16,),
            },
            f"{PAD}Direct NH(label): 22(16)\n{PAD}Bmac:00:01:02:03:04:05 Label:16\n\n",
        ),
        ({"nhr_flags": 0x480001}, f"{PAD}Bmac: Label:-1\n\n"),
    ],
    ids=["gre", "udp", "over mpls", "l3 vxlan", "crypt", "ways", "pbb", "pbb without"],
)  # fmt: skip
def test_tunnels(fields: dict[str, Any], expected: str) -> None:
    shown = text(VrNexthopReq(**TUNNEL | fields))
    assert shown.split("\n", 2)[2] == expected


def test_an_encap_without_an_interface() -> None:
    shown = text(VrNexthopReq(nhr_type=2, nhr_flags=1, nhr_encap_family=-1))
    assert f"{PAD}EncapFmly:ffff Oif:-1 Len:0\n{PAD}Encap Data: \n\n" in shown


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, f"{PAD}Sub NH(label): 24 -1\n\n"),
        ({"nhr_label_list": (-1, 7)}, f"{PAD}Sub NH(label): 24 -1(7)\n\n"),
        ({"nhr_ecmp_config_hash": 1}, f"{PAD}Sub NH(label): 24 -1\n\n"),
        (
            {"nhr_flags": 0x401, "nhr_ecmp_config_hash": 0x25},
            f"{PAD}Valid Hash Key Parameters: Proto,SrcPort,\n{PAD}Sub NH(label): 24 -1\n\n",
        ),
        ({"nhr_nh_count": 2}, f"{PAD}Sub NH(label): 24 -1\n\n"),
        ({"nhr_nh_count": 40}, f"{PAD}Sub NH(label): 24 -1 and 38 more components...\n\n\n"),
        (
            {"nhr_nh_list": tuple(range(1001, 1020)), "nhr_label_list": (16,) * 19},
            f"{PAD}Sub NH(label): 1001(16) 1002(16) 1003(16) 1004(16) 1005(16) 1006(16) 1007(16)\n"
            f"{PAD}{PAD} 1008(16) 1009(16) 1010(16) 1011(16) 1012(16) 1013(16) 1014(16)\n"
            f"{PAD}{PAD} 1015(16) 1016(16) 1017(16) 1018(16) 1019(16)\n\n",
        ),
    ],
)
def test_composites(fields: dict[str, Any], expected: str) -> None:
    shown = text(VrNexthopReq(**COMPOSITE | fields))
    assert shown.split("\n", 2)[2] == expected


def test_components_for_programs() -> None:
    shown = as_json(VrNexthopReq(**COMPOSITE | {"nhr_label_list": (16,), "nhr_nh_count": 9}))
    assert shown["components"] == [{"nexthop": 24, "label": 16}, {"nexthop": -1, "label": -1}]
    assert shown["component_count"] == 9
    assert "hash" not in shown
    ecmp = as_json(VrNexthopReq(**COMPOSITE | {"nhr_flags": 0x401, "nhr_ecmp_config_hash": 0x1F}))
    assert ecmp["hash"] == ["Proto", "SrcIP", "SrcPort", "DstIp", "DstPort"]


def test_tunnels_for_programs() -> None:
    ways = as_json(
        VrNexthopReq(
            **TUNNEL | {
                "nhr_flags": 0x12000081, "nhr_encap_oif_id": (0, 5), "nhr_encap_valid": (1, 0),
                "nhr_rw_dst_mac": bytes(range(6)),
            }
        )
    )  # fmt: skip
    assert ways["ways"] == [
        {"interface": 0, "valid": True, "encap": "0102"},
        {"interface": 5, "valid": False, "encap": ""},
    ]
    assert ways["l3_vxlan_mac"] == "00:01:02:03:04:05"
    pbb = as_json(VrNexthopReq(**TUNNEL | {"nhr_flags": 0x480001, "nhr_nh_list": (22,)}))
    assert (pbb["bmac"], pbb["direct"]) == ("", {"nexthop": 22, "label": -1})


@pytest.fixture
def datapath(tmp_path: Path) -> Iterator[Datapath]:
    listening = Datapath(tmp_path)
    yield listening
    listening.close()


def test_what_an_indirect_one_stands_for_is_shown_too(
    datapath: Datapath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(request: Message) -> list[list[Message]]:
        assert isinstance(request, VrNexthopReq)
        indirect = {"nhr_flags": 0x480001, "nhr_nh_list": (22,)} if request.nhr_id == 30 else {}
        return done(VrNexthopReq(**TUNNEL | {"nhr_id": request.nhr_id, **indirect}))

    datapath.answer(answer)
    assert nh.main(["--sock-dir", str(tmp_path), "--get", "30"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("Id:")] == [
        "Id:30", "Id:22",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "one of the arguments"),
        (["--list", "--get", "1"], "not allowed with"),
        (["--get", "x"], "no whole number"),
        (["--create", "9"], "--create needs --type --vrf"),
        (["--create", "9", "--type", "9"], "invalid choice"),
        (["--create", "9", "--type", "1", "--vrf", "0"], "--create needs --oif"),
        (["--create", "9", "--type", "2", "--vrf", "0", "--l2"], "--create needs --oif"),
        (["--create", "9", "--type", "3", "--vrf", "0", "--pbb"], "needs --cni --lbl --dmac"),
        (["--create", "9", "--type", "6", "--vrf", "0", "--cevpn"], "needs --cni --lbl"),
        (["--create", "9", "--smac", "x"], "not a MAC address"),
        (["--create", "9", "--oif", "1,2,3,4"], "more than 3 parts"),
        (["--create", "9", "--sip", "x"], "argument --sip"),
        (["--create", "9", "--dport", "65536"], "is no port"),
    ],
)
def test_misuse(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        nh.main(arguments)
    assert ended.value.code == 234
    assert says in capsys.readouterr().err


def test_the_options_of_changes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        nh.main(["--cmd"])
    assert ended.value.code == 234
    assert "--uucf" in capsys.readouterr().out


def test_a_pbb_tunnel_is_asked_for(datapath: Datapath, tmp_path: Path) -> None:
    datapath.answer(lambda _: done())
    options = ["--create", "9", "--type", "3", "--vrf", "2", "--pbb", "--ind", "--cni", "22"]
    more = ["--lbl", "16", "--dmac", "00:01:02:03:04:05"]
    assert nh.main(["--sock-dir", str(tmp_path), *options, *more]) == 0
    (asked,) = datapath.requests
    assert asked == VrNexthopReq(
        nhr_id=9, nhr_type=3, nhr_family=7, nhr_vrf=2, nhr_flags=0x480001, nhr_nh_list=(22,),
        nhr_label_list=(16,), nhr_pbb_mac=bytes(range(6)),
    )  # fmt: skip
