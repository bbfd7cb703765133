"""What each request tells, against a node with something in every table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.introspect import paging
from agent.introspect.catalogue import catalogue
from agent.introspect.request import Table
from agent.sandesh.schema import schema
from tests.unit.introspect.asking import Asker
from tests.unit.introspect.rich_world import BLUE, FAR, ONE, RED, TWO, VN_RED, RichWorld

HANDSHAKE = {"SandeshCtrlClientToServer", "SandeshCtrlServerToClient"}
"""Requests of the connection to a collector: nobody asks for them over HTTP."""
ASKED = sorted(name for name, each in schema().items() if each.kind == "request")


@pytest.fixture(scope="module")
def world() -> RichWorld:
    return RichWorld()


@pytest.fixture(scope="module")
def ask(world: RichWorld) -> Asker:
    return Asker(world.node)


def rows(ask: Asker, request: str) -> list[dict[str, Any]]:
    """The rows of a table that fits one page."""
    table = catalogue()[request.partition("?")[0]]
    assert isinstance(table, Table)
    [message] = ask.json(request)
    found = message[table.response][table.field]
    assert isinstance(found, list)
    return found


def only(ask: Asker, request: str) -> dict[str, Any]:
    [row] = rows(ask, request)
    return row


# --- All of them


def test_every_request_is_served() -> None:
    assert set(ASKED) - HANDSHAKE - {paging.REQUEST} == set(catalogue())


@given(data=st.data())
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_query_is_an_error_of_ours(ask: Asker, data: st.DataObject) -> None:
    request = data.draw(st.sampled_from(sorted(set(ASKED) - HANDSHAKE)))
    names = [field.name for field in schema()[request].fields]
    name = st.sampled_from([*names, "x"])
    value = st.one_of(
        st.text(max_size=20),
        st.sampled_from(["0", "1", "-1", "2", "99999999999", "true", "10.1.1.9", "fd00::9", "red"]),
        st.integers().map(str),
    )
    pairs = data.draw(st.lists(st.tuples(name, value), max_size=4))
    found = ask.request(f"/Snh_{request}", dict(pairs))
    assert found.status_code in (200, 400, 503), found.text
    assert not ask.errors


@given(st.text(max_size=40))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_is_an_error_of_ours(ask: Asker, path: str) -> None:
    assert ask.request(f"/{path}", {}).status_code < 500


# --- Interfaces


def test_a_port(ask: Asker, world: RichWorld) -> None:
    port = world.topology.vms["red1"]
    row = only(ask, f"ItfReq?uuid={port.port}")
    assert (row["name"], row["vm_name"], row["active"]) == (port.tap, "red1", "Active")
    assert (row["ip_addr"], row["mac_addr"]) == (str(port.address), str(port.mac))
    assert (row["vn_name"], row["vrf_name"]) == (VN_RED, RED)
    assert row["mdata_ip_addr"] == f"169.254.0.{row['index']}"
    assert row["analyzer_name"] == "probe"
    [tag] = row["vmi_tag_list"]
    assert (tag["name"], tag["id"]) == ("tier=web", 0x200000001)
    [label] = rows(ask, f"MplsReq?label={row['label']}")
    assert (label["nh"]["itf"], label["nh"]["policy"]) == (port.tap, "enabled")
    [nexthop] = rows(ask, f"NhListReq?nh_index={row['flow_key_idx']}")
    assert (nexthop["itf"], nexthop["mac"]) == (port.tap, [str(port.mac)])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("type=eth", ["fabric0"]),
        ("type=vhost", ["vhost0"]),
        ("type=gateway", ["vgw"]),
        ("name=unix", ["unix"]),
        ("ipv4_address=10.1.1.4", ["red2"]),
        ("vn=blue", ["blue1", "blue2"]),
        ("vn=blue&l2_active=Active&name=nothing", []),
    ],
)
def test_which_interfaces(ask: Asker, query: str, names: list[str]) -> None:
    found = rows(ask, f"ItfReq?{query}")
    assert [row["vm_name"] or row["name"] for row in found] == names


def test_an_interface_that_does_not_forward_says_why(ask: Asker) -> None:
    row = only(ask, "ItfReq?type=gateway")
    assert row["active"] == "Inactive < interface vgw not found on this host >"


# --- Networks and VRFs


def test_a_network_its_vrf_and_its_vm(ask: Asker, world: RichWorld) -> None:
    network = only(ask, f"VnListReq?name={VN_RED}")
    assert network["vrf_name"] == RED
    [subnet] = network["ipam_data"]
    assert (subnet["ip_prefix"], subnet["prefix_len"], subnet["gateway"]) == (
        "10.1.1.0", 24, "10.1.1.1",
    )  # fmt: skip
    assert subnet["ipam_name"]
    vrf = only(ask, f"VrfListReq?name={RED}")
    assert (vrf["vn"], vrf["ucindex"], vrf["RD"]) == (VN_RED, world.red, f"10.0.0.1:{world.red}")
    assert only(ask, f"AclReq?uuid={network['acl_uuid']}")["entries"]
    vm = world.topology.vms["red1"].uuid
    [group] = only(ask, f"VmListReq?uuid={vm}")["sg_uuid_list"]
    assert group["sg_uuid"] in [row["sg_uuid"] for row in rows(ask, "SgListReq")]


def test_a_vni_and_who_claims_it(ask: Asker) -> None:
    claim = next(row for row in rows(ask, "VxLanConfigReq?active=true") if row["vrf"] == BLUE)
    row = only(ask, f"VxLanReq?vxlan_id={claim['vxlan_id']}")
    assert (row["vrf_name"], row["nh"]["type"], row["nh"]["vrf"]) == (BLUE, "vrf", BLUE)
    assert rows(ask, "VxLanConfigReq?active=false") == []


# --- Routes


def route(ask: Asker, world: RichWorld, prefix: str) -> dict[str, Any]:
    ip, _, length = prefix.partition("/")
    family = 6 if ":" in ip else 4
    query = f"vrf_index={world.red}&src_ip={ip}&prefix_len={length}"
    return only(ask, f"Inet{family}UcRouteReq?{query}")


def test_the_path_in_force_comes_first(ask: Asker, world: RichWorld) -> None:
    paths = route(ask, world, "10.1.1.9/32")["path_list"]
    assert [path["peer"] for path in paths] == [ONE, TWO]
    assert paths[0]["nh"]["valid"] == "true"
    assert paths[0]["path_preference_data"]["preference"] == 100
    assert paths[0]["supported_tunnel_type"] == "MPLSoGRE MPLSoUDP"


@pytest.mark.parametrize(
    ("prefix", "peer", "kind", "subnet", "host"),
    [
        ("10.1.1.0/24", "Local", "discard", True, False),
        ("10.1.1.1/32", "Local", "interface", False, True),
        ("10.1.1.3/32", "LocalVmPort", "interface", False, True),
        ("10.9.0.0/16", ONE, "ECMP Composite", False, False),
        ("fd00::9/128", ONE, "tunnel", False, False),
    ],
)
def test_where_routes_come_from(
    ask: Asker, world: RichWorld, prefix: str, peer: str, kind: str, subnet: bool, host: bool
) -> None:
    row = route(ask, world, prefix)
    path = row["path_list"][0]
    assert (path["peer"], path["nh"]["type"]) == (peer, kind)
    assert (row["ipam_subnet_route"], row["ipam_host_route"]) == (subnet, host)


def test_our_own_route_told_back_leads_to_our_port(ask: Asker, world: RichWorld) -> None:
    local, told = route(ask, world, "10.1.1.4/32")["path_list"]
    assert [path["peer"] for path in (local, told)] == ["LocalVmPort", TWO]
    assert told["nh"] == local["nh"]
    assert told["label"] == local["label"]


def test_a_prefix_that_is_no_route(ask: Asker, world: RichWorld) -> None:
    assert rows(ask, f"Inet4UcRouteReq?vrf_index={world.red}&src_ip=10.1.1.9&prefix_len=31") == []


def test_a_route_that_leads_nowhere(ask: Asker) -> None:
    row = only(ask, "UnresolvedRoute")
    assert (row["src_ip"], row["src_plen"], row["src_vrf"]) == ("10.8.0.0", 16, RED)


@pytest.mark.parametrize(
    "query", ["vrf_index=77", "vrf_index=x", "src_ip=fd00::1", "src_ip=10.0.0.1&prefix_len=33"]
)
def test_questions_about_routes_that_make_no_sense(ask: Asker, query: str) -> None:
    assert ask.get(f"/Snh_Inet4UcRouteReq?{query}").status_code == 400


def test_a_station_elsewhere(ask: Asker, world: RichWorld) -> None:
    row = only(ask, f"BridgeRouteReq?vrf_index={world.red}&mac={FAR}")
    [path] = row["path_list"]
    assert (path["peer"], path["label"], path["nh"]["dip"]) == (ONE, 27, "10.0.0.2")
    told = only(ask, f"EvpnRouteReq?vrf_index={world.red}&mac={FAR}")
    assert (told["ip_addr"], told["path_list"][0]["label"]) == ("10.1.1.9/32", 27)
    assert rows(ask, f"Layer2RouteReq?vrf_index={world.red}&mac={FAR}") == [row]


def test_broadcast(ask: Asker, world: RichWorld) -> None:
    row = only(ask, f"BridgeRouteReq?vrf_index={world.red}&mac=ff:ff:ff:ff:ff:ff")
    nexthop = row["path_list"][0]["nh"]
    assert nexthop["type"] == "L2 Composite"
    assert [part["itf"] for part in nexthop["interface_comp"]["mc_list"]] == [
        world.topology.vms[name].tap for name in ("red1", "red2")
    ]
    [far] = nexthop["fabric_comp"]["mc_list"]
    assert (far["dip"], far["label"]) == ("10.0.0.2", 77)
    assert nexthop["evpn_comp"]["mc_list"] == [far]
    group = only(ask, f"Inet4McRouteReq?vrf_index={world.red}")
    assert (group["grp"], group["nh"]["nh_index"]) == ("255.255.255.255", nexthop["nh_index"])


def test_our_own_evpn_routes(ask: Asker, world: RichWorld) -> None:
    port = world.topology.vms["red1"]
    found = rows(ask, f"EvpnRouteReq?vrf_index={world.red}&mac={port.mac}")
    assert [row["ip_addr"] for row in found] == ["0.0.0.0/32", f"{port.address}/32"]
    assert {row["path_list"][0]["nh"]["itf"] for row in found} == {port.tap}


def test_stale_routes() -> None:
    world = RichWorld()
    ask = Asker(world.node)
    assert rows(ask, f"Inet4UcRouteReq?vrf_index={world.red}&stale=true") == []
    world.core.compiler.begin_routes(TWO, 1)
    world.turn()
    found = rows(ask, f"Inet4UcRouteReq?vrf_index={world.red}&stale=true")
    assert [row["src_ip"] for row in found] == ["10.1.1.4", "10.1.1.9"]
    assert [path["stale"] for path in found[1]["path_list"]] == [False, True]


def test_routes_may_change_while_they_are_shown(world: RichWorld) -> None:
    table = catalogue()["Inet4UcRouteReq"]
    assert isinstance(table, Table)
    other = RichWorld()
    shown = table.answers(other.node, {
        "vrf_index": str(other.red), "src_ip": "", "prefix_len": "", "stale": ""})  # fmt: skip
    first = next(row for row in shown if row is not None)
    other.core.compiler.remove_controller(ONE)
    other.core.compiler.remove_controller(TWO)
    for name in other.topology.vms:
        other.core.store.unplug(other.topology.vms[name].port)
    other.turn()
    made = [row() if callable(row) else row for row in (first, *shown) if row is not None]
    assert [row for row in made if row["path_list"]] == []


# --- Policy, configuration, controllers


def test_rules_in_words(ask: Asker) -> None:
    network = next(row for row in rows(ask, "AclReq") if row["name"].endswith("red:red"))
    first = network["entries"][0]
    assert first["rule_type"] == "Terminal"
    assert [one["action"] for one in first["action_l"]] == ["pass"]
    assert (first["src_type"], first["dst_type"]) == ("network", "network")


def test_qos(ask: Asker) -> None:
    config = only(ask, "AgentQosConfigSandeshReq?name=qc1")
    assert config["dscp_list"] == [{"qos_value": 5, "forwarding_class_id": 2}]
    assert config["default_forwarding_class"] == 2
    assert rows(ask, f"AgentQosConfigSandeshReq?id={config['id']}") == [config]
    forwarding = only(ask, "ForwardingClassSandeshReq?id=2")
    assert (forwarding["name"], forwarding["dscp"], forwarding["qos_queue"]) == ("fc1", 10, 3)
    assert only(ask, "QosQueueSandeshReq?id=3")["name"] == "q1"


def test_bgp_as_a_service(ask: Asker, world: RichWorld) -> None:
    port = str(world.topology.vms["red1"].port)
    row = only(ask, f"BgpAsAServiceSandeshReq?vmi_uuid={port}")
    assert (row["vmi_uuid"], row["is_shared"], row["health_check_retries"]) == (port, True, 2)
    assert row["health_check_delay_usecs"] == 3_000_000
    router = only(ask, "BgpRouterSandeshReq")
    assert (router["name"], router["ipv4_address_port"]) == ("bgp1", "9.9.9.9:179")
    assert only(ask, "ControlNodeZoneSandeshReq")["bgp_router_list"] == [router]


def test_the_system(ask: Asker) -> None:
    [message] = ask.json("GlobalSystemConfigReq")
    found = message["GlobalSystemConfigResp"]
    assert found["bgp_parameters"] == {"port_start": 50000, "end_port": 50512}
    service = only(ask, "LinkLocalServiceInfo")
    assert (service["linklocal_service_ip"], service["linklocal_service_port"]) == (
        "169.254.169.254", 80,
    )  # fmt: skip
    assert only(ask, "CryptTunnelReq")["remote"] == "10.0.0.7"


def test_a_mirror(ask: Asker) -> None:
    entry = only(ask, "MirrorEntryReq?analyzer_name=probe")
    assert (entry["dip"], entry["dport"], entry["nh"]["type"]) == ("10.0.0.2", 8099, "mirror")
    assert only(ask, "IntfMirrorCfgDisplayReq?handle=probe")["ip"] == "10.0.0.2"


def test_a_controller(ask: Asker) -> None:
    row = only(ask, "AgentXmppConnectionStatusReq")
    assert (row["controller_ip"], row["peer_address"]) == ("10.0.0.250", ONE)
    assert (row["state"], row["flap_count"], row["cfg_controller"]) == ("Active", 0, "No")


def test_links_that_wait(ask: Asker) -> None:
    row = only(ask, "ShowIFMapAgentDefLinkReq")
    assert row["metadata"] == "virtual-machine-interface-virtual-machine"
    assert "virtual-machine:waited for" in (row["left_node"], row["right_node"])


def test_what_ksync_asked_for(ask: Asker, world: RichWorld) -> None:
    port = world.topology.vms["red1"]
    vif = next(row for row in rows(ask, "KSyncItfReq") if row["interface_name"] == port.tap)
    assert (vif["mac"], vif["policy_enabled"], vif["vrf_id"]) == (str(port.mac), "true", world.red)
    nexthop = next(
        row for row in rows(ask, "KSyncNhListReq") if row["nh_id"] == vif["flow_key_nh_id"]
    )
    assert (nexthop["valid"], nexthop["policy"], nexthop["defer"]) == ("true", "true", "false")
    own = only(ask, f"ItfReq?uuid={port.port}")
    assert nexthop["label"] == own["label"]


def test_what_was_plugged(ask: Asker, world: RichWorld) -> None:
    port = world.topology.vms["blue1"]
    row = only(ask, f"FetchVmiPortSubscriptionReq?vmi_uuid={port.port}")
    assert (row["ifname"], row["ip4_addr"], row["vm_name"]) == (
        port.tap,
        str(port.address),
        "blue1",
    )
    joined = only(ask, f"FetchVmiToVmVnUuidReq?vmi_uuid={port.port}")
    assert (joined["vm_uuid"], joined["mac"]) == (str(port.uuid), str(port.mac))
    back = only(ask, f"FetchVmVnToVmiUuidReq?vm_uuid={port.uuid}")
    assert back["vmi_uuid"] == str(port.port)
