"""Links, files and requests computed from a topology."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from agent import settings, topology
from agent.errors import ConfigError
from agent.lab.plan import agent_config, make_plan, port_request

TWO_HOSTS = """
hosts:
  left: {fabric: 10.0.0.1/24, gateway: 10.0.0.254}
  right: {fabric: 10.0.0.2/24, interface: eth7}
controllers: {control: {address: 10.0.0.9, port: 6000}}
fabric_mtu: 1600
networks:
  red: {subnet: 10.1.1.0/24}
vms:
  one: {host: left, network: red, address: 10.1.1.3, mac: "02:00:00:00:00:01"}
  two: {host: right, network: red, address: 10.1.1.4}
"""


@pytest.fixture
def plan():
    return make_plan(topology.parse(yaml.safe_load(TWO_HOSTS)))


def lines_of(plan, node):
    return [line for batch in plan.batches if batch.node == node for line in batch.lines]


def test_hosts_meet_on_the_fabric_bridge(plan):
    lines = lines_of(plan, None)
    assert "link add fabric-0 type veth peer name fabric0 netns left" in lines
    assert "link add fabric-1 type veth peer name eth7 netns right" in lines
    assert "link set fabric-0 mtu 1600 master fabric up" in lines
    assert "link set fabric-1 mtu 1600 master fabric up" in lines
    assert "link set eth7 mtu 1600 up" in lines_of(plan, "right")
    assert "addr replace 10.0.0.254/24 dev fabric" in lines


def test_a_vm_hangs_on_its_own_host_with_its_mac(plan):
    tap = plan.topology.vms["one"].tap
    link = f"link add {tap} type veth peer name eth0 address 02:00:00:00:00:01 netns one"
    assert link in lines_of(plan, "left")
    assert link not in lines_of(plan, "right")
    assert f"link set {tap} up" in lines_of(plan, "left")


def test_a_controller_has_its_address_on_the_fabric(plan):
    assert "link add fabric-2 type veth peer name eth0 netns control" in lines_of(plan, None)
    assert lines_of(plan, "control") == [
        "link set lo up",
        "addr add 10.0.0.9/24 dev eth0",
        "link set eth0 mtu 1600 up",
    ]


def test_links_are_made_before_they_are_needed(plan):
    """Batches run in order: the fabric, then hosts, controllers, VMs."""
    nodes = [batch.node for batch in plan.batches]
    assert nodes == [None, "left", "right", "control", "one", "two"]


@pytest.mark.parametrize("taken", ["left", "control"])
def test_names_of_nodes_must_differ(taken):
    content = yaml.safe_load(TWO_HOSTS)
    content["vms"][taken] = content["vms"].pop("one")
    with pytest.raises(ConfigError, match=rf"vms\.{taken}.*names must differ"):
        make_plan(topology.parse(content))


def test_unknown_names_are_answered_with_the_known(plan):
    with pytest.raises(ConfigError, match=r"no VM 'three'.*one, two"):
        plan.vm("three")
    with pytest.raises(ConfigError, match=r"no host 'one'.*left, right"):
        plan.host("one")
    with pytest.raises(ConfigError, match=r"no controller 'left'.*there are: control"):
        plan.controller("left")


def test_an_agent_lives_from_controllers_where_there_are_some(plan):
    values = settings.parse(agent_config(plan.host("left"), plan.topology))
    assert str(values.get("VIRTUAL-HOST-INTERFACE", "ip", object)) == "10.0.0.1/24"
    assert values.get("DEFAULT", "rest_port", int) == 9091
    assert [str(one) for one in values.get("CONTROL-NODE", "servers", tuple)] == ["10.0.0.9:6000"]
    assert values.get("STANDALONE", "topology", str) == ""


def test_an_agent_alone_reads_the_topology(plan):
    alone = replace(plan.topology, controllers={})
    values = settings.parse(agent_config(plan.host("left"), alone))
    assert values.get("CONTROL-NODE", "servers", tuple) == ()
    assert values.get("STANDALONE", "host", str) == "left"
    assert values.get("STANDALONE", "topology", str) == "/run/vrouter/topology.yaml"


def test_a_port_request_names_the_objects_of_the_topology(plan):
    vm = plan.vm("one")
    request = port_request(vm, str(plan.topology.networks["red"].uuid))
    assert request["id"] == str(vm.port)
    assert request["instance-id"] == str(vm.uuid)
    assert request["vn-id"] == str(topology.uuid_of("virtual-network", "red"))
    assert request["system-name"] == vm.tap
    assert request["mac-address"] == "02:00:00:00:00:01"
    assert (request["ip-address"], request["ip6-address"]) == ("10.1.1.3", "::")
    assert (request["rx-vlan-id"], request["tx-vlan-id"], request["type"]) == (-1, -1, 0)
