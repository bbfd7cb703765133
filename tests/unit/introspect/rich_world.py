"""A node with something in every table of introspect."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any
from uuid import UUID, uuid5

from agent.ifmap import Identity
from agent.ifmap.from_topology import network_name, vrf_name
from agent.inputs import ArpResolved, GraphLink, GraphNode, SimpleGateway
from agent.routes import (
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
    TreeNeighbour,
)
from agent.settings import Server
from agent.values import Mac, prefix
from tests.unit.telemetry.node_world import HOST, NodeWorld

RED, BLUE = vrf_name("red"), vrf_name("blue")
VN_RED = network_name("red")
ONE, TWO = "10.0.0.250:5269", "10.0.0.251:5269"
FAR = Mac.parse("02:bb:00:00:00:09")
OFFERED = (Encapsulation.GRE, Encapsulation.UDP)
CHECK, SLO, BGPAAS = (UUID(int=0xC0 + at) for at in range(3))


def inet(text: str) -> InetKey:
    found = prefix(text)
    return InetKey(found.network_address.packed, found.prefixlen)


def via(host: str, label: int, *offered: Encapsulation, **more: Any) -> RouteAttributes:
    way = RouteNexthop(IPv4Address(host), label, offered or OFFERED, VN_RED)
    return RouteAttributes((way,), VN_RED, **more)


def _node(kind: str, name: str, uuid: UUID | None = None, **values: Any) -> GraphNode:
    properties = {key.replace("_", "-"): value for key, value in values.items()}
    found = uuid or uuid5(CHECK, f"{kind} {name}")
    halves = {"uuid-mslong": found.int >> 64, "uuid-lslong": found.int & (1 << 64) - 1}
    properties["id-perms"] = {"enable": True, "uuid": halves}
    return GraphNode(kind, name, properties)


class RichWorld(NodeWorld):
    """All ports plugged, routes of two controllers, and configuration of every kind."""

    def __init__(self) -> None:
        super().__init__(HOST + "[CONTROL-NODE]\nservers = 10.0.0.250\n")
        self.plug()
        self.core.controllers.configure([Server(IPv4Address("10.0.0.250"), 5269)], 0.0)
        self._configure()
        self.core.compiler.put_gateway(
            SimpleGateway("vgw", BLUE, (prefix("10.2.2.0/24"),), ())  # type: ignore[arg-type]
        )
        self.core.compiler.learned(ArpResolved(0, IPv4Address("10.0.0.2"), FAR, 0))
        self.turn()
        self._route()

    @property
    def red(self) -> int:
        """The index of the VRF of network red."""
        return next(row.index for row in self.node.compiler.vrfs() if row.name == RED)

    def _configure(self) -> None:
        graph = self.core.compiler.graph
        port = self.topology.vms["red1"].port
        vmi = graph.by_uuid(Identity("virtual-machine-interface", port))
        assert vmi is not None
        check = {"monitor-type": "HTTP", "http-method": "GET", "url-path": "/", "delay": 3}
        check |= {"timeout": 5, "max-retries": 2, "expected-codes": "200"}
        objects = [
            _node("service-health-check", "hc", CHECK, service_health_check_properties=check),
            _node("bgp-as-a-service", "baas", BGPAAS, bgpaas_shared=True),
            _node("bgp-router", "bgp1", bgp_router_parameters={"address": "9.9.9.9", "port": 179}),
            _node("control-node-zone", "zone1"),
            _node("service-instance", "si1"),
            _node("multicast-policy", "mp1", multicast_source_groups={
                "multicast-source-group": [{"source-address": "1.1.1.1", "action": "pass"}]}),
            _node("security-logging-object", "slo1", SLO, security_logging_object_rate=10),
            _node("tag", "tier=web", tag_type_name="tier", tag_id="0x000200000001"),
            _node("application-policy-set", "aps1", all_applications=False),
            _node("qos-queue", "q1", qos_queue_identifier=3),
            _node("forwarding-class", "fc1", forwarding_class_id=2, forwarding_class_dscp=10),
            _node("qos-config", "qc1", qos_config_type="project", default_forwarding_class_id=2,
                  dscp_entries={"qos-id-forwarding-class-pair": [
                      {"key": 5, "forwarding-class-id": 2}]}),
            GraphNode("global-system-config", "default-global-system-config",
                      {"bgpaas-parameters": {"port-start": 50000, "port-end": 50512}}),
            GraphNode("global-vrouter-config",
                      "default-global-system-config:default-global-vrouter-config", {
                "linklocal-services": {"linklocal-service-entry": [{
                    "linklocal-service-name": "metadata", "linklocal-service-ip":
                    "169.254.169.254", "linklocal-service-port": 80}]},
                "encryption-tunnel-endpoints": {
                    "endpoint": [{"tunnel-remote-ip-address": "10.0.0.7"}]}}),
        ]  # fmt: skip
        for each in objects:
            graph.put_node(each)
        links = [
            ("bgpaas-virtual-machine-interface", ("bgp-as-a-service", "baas"), vmi),
            ("bgpaas-health-check", ("bgp-as-a-service", "baas"), ("service-health-check", "hc")),
            ("bgp-router-control-node-zone", ("bgp-router", "bgp1"),
             ("control-node-zone", "zone1")),
            ("virtual-machine-interface-tag", vmi, ("tag", "tier=web")),
            ("virtual-machine-interface-qos-config", vmi, ("qos-config", "qc1")),
            ("application-policy-set-tag", ("application-policy-set", "aps1"), ("tag", "tier=web")),
            ("forwarding-class-qos-queue", ("forwarding-class", "fc1"), ("qos-queue", "q1")),
            ("virtual-machine-interface-security-logging-object", vmi,
             ("security-logging-object", "slo1")),
            ("virtual-machine-interface-virtual-machine", vmi, ("virtual-machine", "waited for")),
        ]  # fmt: skip
        for metadata, left, right in links:
            graph.put_link(GraphLink(metadata, left, right))
        self._mirror(vmi)

    def _mirror(self, vmi: Any) -> None:
        graph = self.core.compiler.graph
        found = graph.node(vmi)
        assert found is not None
        target = {"analyzer-name": "probe", "analyzer-ip-address": "10.0.0.2", "udp-port": 8099}
        said = {"interface-mirror": {"traffic-direction": "both", "mirror-to": target}}
        name = "virtual-machine-interface-properties"
        graph.put_node(GraphNode(found.type, found.name, {**found.properties, name: said}))

    def _route(self) -> None:
        guest, secured = inet("10.1.1.9/32"), {"security_groups": (8000001,)}
        far = via("10.0.0.2", 25, communities=("64512:1",), **secured)  # type: ignore[arg-type]
        two_ways = RouteAttributes(
            tuple(RouteNexthop(IPv4Address(f"10.0.0.{at}"), 30 + at, OFFERED) for at in (2, 3)),
            VN_RED,
        )
        station = EvpnKey(0, FAR, IPv4Address("10.1.1.9"), 32)
        flood = EvpnKey(0, Mac(b"\xff" * 6), IPv4Address("10.0.0.2"), 32)
        member = TreeNeighbour(IPv4Address("10.0.0.2"), 77, OFFERED)
        group = GroupKey(IPv4Address("255.255.255.255"), IPv4Address(0))
        tree = RouteAttributes(source_label=4000, neighbours=(member,))
        six = inet("fd00::9/128")
        self.routes(ONE, [
            RouteBatch(RouteFamily.INET, RED, [
                RouteUpdate(guest, far), RouteUpdate(inet("10.9.0.0/16"), two_ways)]),
            RouteBatch(RouteFamily.INET6, RED, [RouteUpdate(six, via("10.0.0.2", 26))]),
            RouteBatch(RouteFamily.EVPN, RED, [
                RouteUpdate(station, via("10.0.0.2", 27)),
                RouteUpdate(flood, RouteAttributes(neighbours=(member,)))]),
            RouteBatch(RouteFamily.ERMVPN, RED, [RouteUpdate(group, tree)]),
            RouteBatch(RouteFamily.INET, RED, [
                RouteUpdate(inet("10.8.0.0/16"), via("10.0.0.2", 0))]),
        ])  # fmt: skip
        self.routes(TWO, [
            RouteBatch(RouteFamily.INET, RED, [
                RouteUpdate(guest, via("10.0.0.3", 28)),
                RouteUpdate(inet("10.1.1.4/32"), self._told_back("red2"))]),
        ])  # fmt: skip

    def _told_back(self, name: str) -> RouteAttributes:
        """The route of a port of ours as controllers send it back."""
        to = inet(f"{self.topology.vms[name].address}/32")
        published = self.core.compiler.publications()
        [own] = [one for one in published if one.vrf == RED and one.key == to]
        return own.attributes


__all__ = ["BLUE", "FAR", "ONE", "RED", "TWO", "VN_RED", "RichWorld", "inet", "via"]
