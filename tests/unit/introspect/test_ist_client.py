"""The public introspect client: its requests, and all that it reads of the answers.

A small client of our own reads as it does (facts introspect-client.md): elements anywhere in the
answer, columns by name, other pages by one request for all, further batches by their token.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from agent.inputs import GraphNode
from tests.unit.introspect.asking import Asker
from tests.unit.introspect.rich_world import FAR, ONE, TWO, RichWorld
from tests.unit.telemetry.node_world import NodeWorld


class Ist:
    """What `ist.py vr` does between a command and its output."""

    def __init__(self, world: NodeWorld) -> None:
        self._ask = Asker(world.node)
        self.asked: list[str] = []

    def get(self, request: str) -> list[ET.Element]:
        """The documents of an answer: all of a table, every batch."""
        documents: list[ET.Element] = []
        while True:
            self.asked.append(request)
            documents.append(self._ask.xml(request))
            if request.startswith("PageReq?x="):
                return documents
            page = documents[-1].find(".//Pagination/req/PageReqData")
            if page is not None and page.findtext("next_page"):
                request = f"PageReq?x={page.findtext('all')}"
                documents.clear()
                continue
            batch = documents[-1].find(".//next_batch")
            if page is not None or batch is None or not batch.text:
                return documents
            request = f"{batch.attrib['link']}?x={batch.text}"

    def rows(self, request: str, element: str) -> list[ET.Element]:
        return [row for one in self.get(request) for row in one.iter(element)]


@pytest.fixture(scope="module")
def world() -> RichWorld:
    return RichWorld()


@pytest.fixture
def ist(world: RichWorld) -> Ist:
    return Ist(world)


TABLES = {
    "ItfReq?name=&type=&uuid=&vn=&mac=&ipv4_address=": (
        "ItfSandeshData", "index name active mac_addr ip_addr mdata_ip_addr vm_name vn_name"),
    "VnListReq?name=&uuid=": (
        "VnSandeshData", "name uuid layer2_forwarding ipv4_forwarding enable_rpf bridging"),
    "VrfListReq?name=": (
        "VrfSandeshData", "name ucindex mcindex brindex evpnindex vxlan_id vn"),
    "SgListReq": ("SgSandeshData", "sg_uuid sg_id ingress_acl_uuid egress_acl_uuid"),
    "AclReq?uuid=": ("AclSandeshData", "uuid name dynamic_acl"),
    "HealthCheckSandeshReq?uuid=": (
        "HealthCheckSandeshData",
        "uuid name monitor_type http_method url_path expected_codes delay timeout max_retries"),
    "BgpAsAServiceSandeshReq": ("BgpAsAServiceSandeshList", "vm_bgp_peer_ip vmi_uuid"),
    "AgentXmppConnectionStatusReq": (
        "AgentXmppData",
        "controller_ip state peer_name peer_address cfg_controller flap_count flap_time"),
    "ServiceInstanceReq?uuid=": (
        "ServiceInstanceSandeshData",
        "uuid service_type virtualization_type instance_id vmi_inside vmi_outside"),
    "NhListReq?type=&nh_index=&policy_enabled=": (
        "NhSandeshData", "type nh_index policy valid ref_count"),
    "VmListReq?uuid=": ("VmSandeshData", "uuid"),
    "MplsReq?type=&label=": ("MplsSandeshData", "label nh"),
    "LinkLocalServiceInfo": ("LinkLocalServiceData", "linklocal_service_name"),
    "VxLanReq?vxlan_id=": ("VxLanSandeshData", "vxlan_id nh"),
    "VxLanConfigReq?vxlan_id=&vn=&active=": ("VxLanConfigEntry", "vxlan_id vn_uuid vrf active"),
    "IntfMirrorCfgDisplayReq?handle=": ("IntfMirrorCfgSandesh", "handle intf_uuid ip udp_port"),
    "ShowGratuitousArpCache": ("ArpSandeshData", "ip vrf mac state interface_name"),
    "CpuLoadInfoReq": ("CpuLoadInfo", "num_cpu cpu_share"),
    "SandeshTraceBufferListRequest": ("SandeshTraceBufInfo", "trace_buf_name"),
    "SandeshUVETypesReq": ("SandeshUVETypeInfo", "type_name seq_num"),
    "SandeshUVECacheReq?tname=NodeStatus": ("NodeStatus", "name process_status"),
}  # fmt: skip


@pytest.mark.parametrize("request_", TABLES)
def test_every_column_of_a_table_is_there(ist: Ist, request_: str) -> None:
    element, columns = TABLES[request_]
    rows = ist.rows(request_, element)
    assert rows
    for row in rows:
        assert [name for name in columns.split() if row.find(name) is None] == []


EMPTY = {
    "AgentDnsXmppConnectionStatusReq": "AgentDnsXmppConnectionStatus",
    "ShowArpCache": "ArpCacheResp",
    "InterfaceArpStatsReq": "InterfaceArpStatsResponse",
    "InterfaceIcmpv6StatsReq": "InterfaceIcmpv6StatsResponse",
    "VmVdnsListReq": "VmVdnsListResponse",
    "VrfAssignReq?uuid=": "VrfAssignResp",
    "MirrorCfgVnInfoReq?vn_name=": "MirrorCfgVnInfoResp",
}


@pytest.mark.parametrize("request_", EMPTY)
def test_what_there_is_nothing_of_is_an_empty_table(ist: Ist, request_: str) -> None:
    [document] = ist.get(request_)
    assert document.tag == EMPTY[request_]


SERVICES = ["Icmp", "Icmpv6", "Dhcp", "Dhcpv6", "Dns", "Arp"]


@pytest.mark.parametrize("name", SERVICES)
def test_counters_of_a_service(ist: Ist, name: str) -> None:
    [stats] = ist.rows(f"{name}Info", f"{name}Stats")
    assert len(stats) > 4


def test_counters_of_all_services(ist: Ist) -> None:
    [document] = ist.get("ShowAllInfo")
    told = {each.tag for each in document}
    assert told == {f"{name}Stats" for name in (*SERVICES, "Pkt")} | {"MetadataResponse"}
    assert ist.rows("MetadataInfo", "MetadataResponse")


def test_statistics_of_the_agent(ist: Ist) -> None:
    [document] = ist.get("AgentStatsReq")
    names = ("IpcStatsResp", "PktTrapStatsResp", "FlowStatsResp", "SandeshStatsResp")
    assert [name for name in names if document.find(name) is None] == []
    assert list(document.iter("XmppStatsInfo"))
    assert ist.rows("ShowIFMapAgentStatsReq", "ShowIFMapAgentStatsResp")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("table_name=virtual-network&node_sub_string=red&link_type_sub_string=", "red"),
        # As the client sends it: an ampersand is missing.
        ("table_name=tag&link_type_sub_string=policylink_node_sub_string=aps", "web"),
    ],
)  # fmt: skip
def test_configuration_as_text(ist: Ist, query: str, found: str) -> None:
    texts = [row.text or "" for row in ist.rows(f"ShowIFMapAgentReq?{query}", "element")]
    assert texts
    assert all(found in text.splitlines()[0] for text in texts)


def test_uves_by_their_type(ist: Ist) -> None:
    documents = ist.get("SandeshUVECacheReq?x=NodeStatus")
    assert [each for one in documents for each in one.findall(".//*[@type='sandesh']/data/*")]


# --- Routes


def _routes(ist: Ist, request: str, element: str) -> Iterator[tuple[str, list[ET.Element]]]:
    for row in ist.rows(request, element):
        if element == "RouteUcSandeshData":
            name = f"{_text(row, 'src_ip')}/{_text(row, 'src_plen')}"
        else:
            name = _text(row, "mac")
        yield name, list(row.iter("PathSandeshData"))


def _text(row: ET.Element, path: str) -> str:
    """The text of an element that the client insists on."""
    found = row.find(path)
    assert found is not None, path
    return found.text or ""


NEEDED = {
    "interface": ("mac", "itf"),
    "tunnel": ("tunnel_type", "dip", "sip"),
    "receive": ("itf",),
    "arp": ("mac", "itf"),
    "vlan": ("mac", "itf"),
}


def _read(path: ET.Element) -> str:
    """A path as the client reads it; the type of its nexthop."""
    for name in ("peer", "label", "active_label", "vxlan_id"):
        _text(path, name)
    assert _text(path, "path_preference_data/PathPreferenceSandeshData/preference")
    nexthop = path.find("nh/NhSandeshData")
    assert nexthop is not None
    kind = _text(nexthop, "type")
    assert _text(nexthop, "nh_index")
    for name in NEEDED.get(kind, ()):
        _text(nexthop, name)
    return kind


ROUTES = {
    "Inet4UcRouteReq": "RouteUcSandeshData",
    "Inet6UcRouteReq": "RouteUcSandeshData",
    "BridgeRouteReq": "RouteL2SandeshData",
    "Layer2RouteReq": "RouteL2SandeshData",
    "EvpnRouteReq": "RouteEvpnSandeshData",
}


@pytest.mark.parametrize("request_", ROUTES)
def test_every_path_can_be_read(ist: Ist, world: RichWorld, request_: str) -> None:
    kinds: dict[str, str] = {}
    for vrf in (0, world.red):
        query = f"{request_}?vrf_index={vrf}"
        if request_.startswith("Inet"):
            query += "&src_ip=&prefix_len=32&stale="  # as the client asks for all
        for name, paths in _routes(ist, query, ROUTES[request_]):
            assert paths, name
            kinds |= {_read(path): name for path in paths}
    if request_ == "Inet4UcRouteReq":
        assert set(kinds) >= {"interface", "tunnel", "receive", "arp", "resolve", "discard"}
        assert kinds["ECMP Composite"] == "10.9.0.0/16"


def test_one_route_with_all_its_paths(ist: Ist, world: RichWorld) -> None:
    query = f"Inet4UcRouteReq?vrf_index={world.red}&src_ip=10.1.1.9&prefix_len=32&stale="
    [(name, [first, second])] = _routes(ist, query, "RouteUcSandeshData")
    assert name == "10.1.1.9/32"
    assert [_text(path, "peer") for path in (first, second)] == [ONE, TWO]
    assert [_text(path, "active_label") for path in (first, second)] == ["25", "28"]
    assert _text(first, "nh/NhSandeshData/dip") == "10.0.0.2"
    assert first.findtext("nh/NhSandeshData/mac/list/element") == str(FAR)
    assert first.findtext("communities/list/element") == "64512:1"
    assert first.findtext("sg_list/list/element") == "8000001"
    assert first.findtext("dest_vn_list/list/element") == "default-domain:default-project:red"
    assert _text(second, "nh/NhSandeshData/valid") == "false"  # not in force


# --- Long tables


def test_a_long_table_is_asked_for_in_two_requests() -> None:
    world = NodeWorld()
    world.plug()
    compiler = world.node.compiler
    names = [f"tag{at:03}" for at in range(250)]
    for name in names:
        compiler.graph.put_node(GraphNode("tag", name, {"id-perms": {}}))
    ist = Ist(world)
    rows = ist.rows("TagSandeshReq?uuid=&name=tag", "TagSandeshData")
    assert [row.findtext("name") for row in rows] == names
    assert ist.asked == ["TagSandeshReq?uuid=&name=tag", "PageReq?x=TagSandeshReq,all,name=tag"]
