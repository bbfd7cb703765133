"""What the datapath holds, as introspect shows it."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from agent.sandesh.vrouter import (
    SandeshOp,
    VrDropStatsReq,
    VrFcMapReq,
    VrMirrorReq,
    VrNexthopReq,
    VrQosMapReq,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfStatsReq,
)
from agent.shm import FlowTable
from tests.unit.introspect.asking import Asker, texts
from tests.unit.telemetry.link_reader import LinkReader
from tests.unit.telemetry.node_world import NodeWorld

LAYOUT = json.loads((Path(__file__).parents[2] / "vectors/shm-layout.json").read_text())
SAMPLES = {row["name"]: row for row in LAYOUT["flow_entry_samples"]}
ENTRIES = 1024
Rows = list[dict[str, str]]


@pytest.fixture
def world() -> NodeWorld:
    world = NodeWorld()
    world.plug("red1", "blue1")
    world.node.datapath = LinkReader(world.datapath)
    return world


def shown(world: NodeWorld, request: str, struct: str) -> Rows:
    return [texts(row) for row in Asker(world.node).rows(request, struct)]


def add(world: NodeWorld, *messages: Any) -> None:
    reader = world.node.datapath
    assert isinstance(reader, LinkReader)
    for message in messages:
        assert reader._ask(message) == (0, [])


def test_interfaces_all_of_them_or_one(world: NodeWorld) -> None:
    rows = shown(world, "KInterfaceReq", "KInterfaceInfo")
    tap = world.topology.vms["red1"].tap
    assert {"vhost0", "fabric0", tap} <= {row["name"] for row in rows}
    port = next(row for row in rows if row["name"] == tap)
    assert port["type"] == "VIRTUAL"
    assert "POLICY | " in port["flags"]
    assert int(port["vrf"]) > 1
    (one,) = shown(world, f"KInterfaceReq?if_id={port['idx']}", "KInterfaceInfo")
    assert one["name"] == tap
    assert shown(world, "KInterfaceReq?if_id=-1", "KInterfaceInfo") == rows


def test_what_is_not_there_is_an_empty_list(world: NodeWorld) -> None:
    assert shown(world, "KInterfaceReq?if_id=4000", "KInterfaceInfo") == []
    assert shown(world, "KNHReq?nh_id=60000", "KNHInfo") == []


def test_numbers_that_are_none_are_refused(world: NodeWorld) -> None:
    assert Asker(world.node).get("/Snh_KInterfaceReq?if_id=tap0").status_code == 400


def test_without_a_datapath_the_answer_says_so() -> None:
    answer = Asker(NodeWorld().node).get("/Snh_KInterfaceReq")
    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_nexthops_with_what_their_type_has(world: NodeWorld) -> None:
    root = Asker(world.node).xml("KNHReq")
    rows = {row["id"]: row for row in map(texts, root.iter("KNHInfo"))}
    types = {row["type"] for row in rows.values()}
    assert {"DISCARD", "ENCAP", "RCV", "COMPOSITE"} <= types
    encap = next(row for row in rows.values() if row["type"] == "ENCAP")
    assert encap["flags"].startswith("VALID")
    assert encap["encap_family"] == "0x0800"
    assert len(encap["encap"].split()) == int(encap["encap_len"]) >= 14
    assert "tun_sip" not in encap
    assert any(list(row.iter("KComponentNH")) for row in root.iter("KNHInfo"))


def test_tunnels_have_ends_and_ports(world: NodeWorld) -> None:
    tunnel = VrNexthopReq(
        h_op=SandeshOp.ADD, nhr_id=900, nhr_type=3, nhr_family=2, nhr_flags=0x11,
        nhr_tun_sip=0x0100000A, nhr_tun_dip=0x0200000A, nhr_tun_sport=0x5000,
        nhr_encap=bytes(14), nhr_encap_len=14, nhr_encap_oif_id=(0,),
    )  # fmt: skip
    add(world, tunnel)
    (row,) = shown(world, "KNHReq?nh_id=900", "KNHInfo")
    assert (row["type"], row["flags"]) == ("TUNNEL", "VALID | TUNNEL_UDP")
    assert (row["tun_sip"], row["tun_dip"], row["tun_sport"]) == ("10.0.0.1", "10.0.0.2", "80")


def test_labels_vxlans_and_vrfs(world: NodeWorld) -> None:
    labels = shown(world, "KMplsReq", "KMplsInfo")
    assert labels
    assert all(int(row["label"]) >= 16 and int(row["nhid"]) for row in labels)
    wanted = labels[0]["label"]
    assert shown(world, f"KMplsReq?mpls_label={wanted}", "KMplsInfo") == labels[:1]
    assert {row["vxlanid"] for row in shown(world, "KVxLanReq", "KVxLanInfo")} >= {"1", "2"}
    indexes = [row["vrf_idx"] for row in shown(world, "KVrfReq", "KVrfInfo")]
    assert len(indexes) >= 3


def test_routes_of_a_vrf_by_family(world: NodeWorld) -> None:
    vrf = next(vmi.vrf for vmi in world.node.compiler.vmis() if vmi.vrf is not None)
    inet = shown(world, f"KRouteReq?vrf_id={vrf.index}&family=inet", "KRouteInfo")
    assert {row["family"] for row in inet} == {"AF_INET"}
    prefixes = [(row["prefix"], int(row["prefix_len"])) for row in inet]
    assert len(prefixes) == len(set(prefixes))
    messages: list[Any] = [each.message for each in world.node.compiler.desired().values()]
    assert set(prefixes) == {
        (str(ip_address(route.rtr_prefix)), route.rtr_prefix_len)
        for route in messages
        if isinstance(route, VrRouteReq) and (route.rtr_vrf_id, route.rtr_family) == (vrf.index, 2)
    }
    bridge = shown(world, f"KRouteReq?vrf_id={vrf.index}&family=bridge", "KRouteInfo")
    assert {row["family"] for row in bridge} == {"AF_BRIDGE"}
    assert all(row["rtr_mac"] for row in bridge)
    assert any("VALID" in row["label_flags"] for row in bridge)
    assert Asker(world.node).get("/Snh_KRouteReq?vrf_id=0&family=ipx").status_code == 400


def test_the_route_that_an_address_takes(world: NodeWorld) -> None:
    reader = world.node.datapath
    assert isinstance(reader, LinkReader)
    answer = VrRouteReq(
        rtr_vrf_id=2, rtr_family=2, rtr_prefix=bytes((10, 1, 0, 0)), rtr_prefix_len=16,
        rtr_label_flags=1, rtr_label=77, rtr_nh_id=5,
    )  # fmt: skip
    reader.scripted = {VrRouteReq: [answer]}
    (row,) = shown(world, "KRouteGetReq?vrf_id=2&prefix=10.1.2.3&prefix_len=32", "KRouteInfo")
    assert (row["prefix"], row["prefix_len"], row["label"]) == ("10.1.0.0", "16", "77")
    assert (row["label_flags"], row["nh_id"]) == ("LABEL_VALID", "5")
    (asked,) = reader.asked
    assert (asked.rtr_prefix, asked.rtr_prefix_len) == (bytes((10, 1, 2, 3)), 32)
    assert Asker(world.node).get("/Snh_KRouteGetReq?prefix=red1").status_code == 400


def test_long_tables_come_in_several_messages(world: NodeWorld) -> None:
    add(
        world,
        *(
            VrNexthopReq(h_op=SandeshOp.ADD, nhr_id=number, nhr_type=5, nhr_family=2, nhr_flags=1)
            for number in range(1000, 1250)
        ),
    )
    root = Asker(world.node).xml("KNHReq")
    assert root.tag == "__KNHResp_list"
    assert len(list(root)) >= 3
    numbers = [int(row["id"]) for row in map(texts, root.iter("KNHInfo"))]
    assert numbers == sorted(numbers)
    assert set(range(1000, 1250)) <= set(numbers)


def test_mirrors_qos_and_vlans(world: NodeWorld) -> None:
    vif = next(row["idx"] for row in shown(world, "KInterfaceReq", "KInterfaceInfo"))
    add(
        world,
        VrMirrorReq(h_op=SandeshOp.ADD, mirr_index=3, mirr_nhid=1, mirr_flags=1, mirr_vni=-1),
        VrFcMapReq(
            h_op=SandeshOp.ADD, fmr_id=(4,), fmr_dscp=b"\x2e", fmr_mpls_qos=b"\5",
            fmr_dotonep=b"\6", fmr_queue_id=b"\7",
        ),
        VrQosMapReq(h_op=SandeshOp.ADD, qmr_id=2, qmr_dscp=b"\x0a\x0b", qmr_dscp_fc_id=b"\4\4"),
        VrVrfAssignReq(
            h_op=SandeshOp.ADD, var_vif_index=int(vif), var_vif_vrf=2, var_vlan_id=100, var_nh_id=1
        ),
    )  # fmt: skip
    (mirror,) = shown(world, "KMirrorReq", "KMirrorInfo")
    assert (mirror["mirr_index"], mirror["mirr_flags"]) == ("3", "DYNAMIC")
    (found,) = shown(world, "KForwardingClassReq", "KForwardingClass")
    assert found == {
        "id": "4", "dscp": "46", "vlan_priority": "6", "mpls_exp": "5", "qos_queue": "7", "rid": "0"
    }  # fmt: skip
    pairs = shown(world, "KQosConfigReq", "kQosIdFowardingClassPair")
    assert pairs == [{"qos": "10", "fc_id": "4"}, {"qos": "11", "fc_id": "4"}]
    (rule,) = shown(world, f"KVrfAssignReq?vif_index={vif}", "KVrfAssignInfo")
    assert (rule["vlan_id"], rule["vif_vrf"]) == ("100", "2")
    assert shown(world, "KVrfAssignReq", "KVrfAssignInfo") == [rule]


def test_drops_and_counters_of_vrfs(world: NodeWorld) -> None:
    reader = world.node.datapath
    assert isinstance(reader, LinkReader)
    reader.scripted = {
        VrDropStatsReq: [VrDropStatsReq(vds_discard=5, vds_flow_evict=7)],
        VrVrfStatsReq: [
            VrVrfStatsReq(vsr_vrf=2, vsr_family=2, vsr_encaps=9, vsr_vrf_translates=3),
        ],
    }
    drops = texts(Asker(world.node).xml("KDropStatsReq"))
    assert (drops["ds_discard"], drops["ds_flow_evict"], drops["ds_pull"]) == ("5", "7", "0")
    (row,) = shown(world, "KVrfStatsReq", "KVrfStatsInfo")
    assert (row["vrf_id"], row["vrf_family"]) == ("2", "AF_INET")
    assert (row["vrf_encaps"], row["vrf_translates"], row["vrf_gros"]) == ("9", "3", "0")


# --- flows


def table(entries: int) -> FlowTable:
    """A table with that many copies of the sample flow, every second index."""
    raw = bytearray(256 * ENTRIES)
    sample = bytes.fromhex(SAMPLES["inet-tcp-forward"]["hex"])
    for number in range(entries):
        at = 256 * 2 * number
        raw[at : at + 256] = sample
        raw[at + 8 : at + 12] = (2 * number).to_bytes(4, "little")
        raw[at + 84 : at + 88] = (-1).to_bytes(4, "little", signed=True)
    return FlowTable(bytes(raw), ENTRIES)


def test_flows_come_a_hundred_at_a_time_with_a_token_for_the_rest(world: NodeWorld) -> None:
    world.node.flows.open(table(250), 0.0, anew=True)
    ask = Asker(world.node)
    request, seen = "KFlowReq", []
    for _ in range(4):
        root = ask.xml(request)
        seen += [int(row["index"]) for row in map(texts, root.iter("KFlowInfo"))]
        (token,) = [each.text or "" for each in root.iter("flow_handle")]
        if not token:
            break
        (link,) = [each.get("link") for each in root.iter("flow_handle")]
        request = f"{link}?x={token}"
    assert seen == list(range(0, 500, 2))


def test_a_flow_is_shown_as_the_datapath_holds_it(world: NodeWorld) -> None:
    world.node.flows.open(table(3), 0.0, anew=True)
    (row,) = shown(world, "KFlowReq?flow_idx=4", "KFlowInfo")
    expected = {
        "index": "4", "rflow": "-1", "sip": "10.1.1.3", "sport": "34567", "dip": "10.1.1.4",
        "dport": "80", "proto": "6", "vrf_id": "3", "action": "FORWARD", "nhid": "20",
        "bytes": "1024", "oflow_bytes": "2", "pkts": "9", "oflow_packets": "1", "gen_id": "7",
        "drop_reason": "UNKNOWN", "underlay_udp_sport": "51234",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["flags"] == "ACTIVE | RFLOW_VALID"
    assert "SYN" in row["tcp_flags"]
    assert shown(world, "KFlowReq?flow_idx=5", "KFlowInfo") == []
    assert shown(world, "KFlowReq?flow_idx=99999", "KFlowInfo") == []


def test_without_a_table_there_are_no_flows(world: NodeWorld) -> None:
    root = Asker(world.node).xml("KFlowReq")
    assert (list(root.iter("KFlowInfo")), root.findtext("flow_handle")) == ([], "")
    for token in ("", "x", "1:all", "9" * 11):
        assert Asker(world.node).get(f"/Snh_NextKFlowReq?x={token}").status_code == 400


def test_a_refusal_that_is_a_fault_is_not_an_empty_list(world: NodeWorld) -> None:
    world.datapath.fail("vr_nexthop_req", 12)
    assert Asker(world.node).get("/Snh_KNHReq").status_code == 503
