"""Policy as a controller sends it (vector 19): two networks with a policy, a security group."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from uuid import UUID

from agent.ifmap.parser import ConfigParser, apply
from agent.inputs import PluggedPort
from agent.oper import Compiler
from agent.oper.flow_rows import Acl, Action, Endpoint, PortPolicy, Service
from agent.values import Mac
from tests.graph.worlds import SETTINGS
from tests.unit.ifmap.test_parser import stanzas

NIL = UUID(int=0)
DEMO = "default-domain:demo"
PORT1 = UUID(int=34359754752 << 64 | 9223372036854775809)
HTTP, ALL = (80, 80), (0, 65535)


def received() -> Compiler:
    """The configuration, with its first port plugged."""
    compiler, parser = Compiler(SETTINGS), ConfigParser()
    for stanza in stanzas("19-config-2vn-3vm-policy-sg-fip.xml"):
        apply(parser.read(stanza), compiler.graph)
    address = IPv4Address("10.1.1.3"), IPv6Address("::")
    mac = Mac.parse("02:aa:bb:00:00:01")
    compiler.put_port(PluggedPort(PORT1, NIL, NIL, NIL, "vm1", "tap1", mac, *address))
    compiler.commit()
    assert compiler.failures() == {}
    return compiler


COMPILER = received()


def listed(name: str) -> Acl:
    row = COMPILER.acls()[f"{DEMO}:{name}"]
    assert row.problems == ()
    assert {rule.ethertype for rule in row.rules} == {4}
    return row


def test_what_decides_on_the_port() -> None:
    assert COMPILER.flow_ports()[PORT1].policy == PortPolicy(
        network=f"{DEMO}:vn1:vn1",
        egress=(f"{DEMO}:default:egress-access-control-list",),
        ingress=(f"{DEMO}:default:ingress-access-control-list",),
        groups=(8000001,),
    )
    assert len(COMPILER.acls()) == 3, "the other network's list is of no use here"


def test_the_networks_list() -> None:
    one, two = (Endpoint(network=f"{DEMO}:{name}") for name in ("vn1", "vn2"))
    rules = listed("vn1:vn1").rules
    assert [(rule.source, rule.destination, rule.services) for rule in rules] == [
        (one, one, (Service(),)),
        (one, two, (Service((6, 6), ALL, HTTP),)),
        (two, one, (Service((6, 6), HTTP, ALL),)),
        (one, two, (Service(),)),
    ]
    assert [rule.actions for rule in rules] == [Action.PASS] * 3 + [Action.DENY]
    assert [rule.uuid.int & 0xFF for rule in rules] == [0x0B, 0x15, 0x15, 0x1F]


def test_the_groups_lists() -> None:
    [out] = listed("default:egress-access-control-list").rules
    assert (out.source, out.destination) == (Endpoint(), Endpoint((ip_network("0.0.0.0/0"),)))
    own, ssh = listed("default:ingress-access-control-list").rules
    assert (own.source, own.destination) == (Endpoint(group=8000001), Endpoint())
    assert ssh.source == Endpoint((ip_network("0.0.0.0/0"),))
    assert ssh.services == (Service((6, 6), ALL, (22, 22)),)
