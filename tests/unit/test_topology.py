"""The topology file: derived names, and errors that say where they are."""

from __future__ import annotations

import copy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.topology import parse, uuid_of

ONE_HOST = Path(__file__).parents[2] / "agent/lab/topologies/one-host.yaml"


def content() -> Any:
    return yaml.safe_load(ONE_HOST.read_text())


def test_the_shipped_topology() -> None:
    topology = parse(content())
    assert [vm.name for vm in topology.on_host("host1")] == ["red1", "red2", "blue1", "blue2"]
    red1 = topology.vms["red1"]
    assert red1.uuid == uuid_of("virtual-machine", "red1")
    assert len(red1.tap) <= 15, "a Linux interface name"
    assert not red1.mac[0] & 1, "a unicast address"
    subnet = topology.networks["red"].subnets[0]
    assert (subnet.gateway, subnet.dns) == (ip_address("10.1.1.1"), ip_address("10.1.1.2"))
    macs = {vm.mac for vm in topology.vms.values()}
    assert len(macs) == 4


def test_controllers_by_number_or_by_name() -> None:
    assert parse(content()).controllers == {}
    counted = parse({**content(), "controllers": 2}).controllers
    assert {name: str(one.address) for name, one in counted.items()} == {
        "control1": "10.0.0.253/24",
        "control2": "10.0.0.252/24",
    }
    named = parse({**content(), "controllers": {"c1": {"address": "10.0.0.9", "port": 5270}}})
    assert (str(named.controllers["c1"].address.ip), named.controllers["c1"].port) == (
        "10.0.0.9",
        5270,
    )


def test_what_controllers_are_to_do() -> None:
    topology = parse({**content(), "connect": [["red", "blue"]], "graceful_restart": True})
    assert topology.connect == (frozenset({"red", "blue"}),)
    assert topology.graceful_restart is not None
    assert topology.graceful_restart.restart_time == 60
    assert parse(content()).graceful_restart is None


def test_the_fabric_has_a_size() -> None:
    assert parse(content()).fabric_mtu == 1500
    assert parse({**content(), "fabric_mtu": 9000}).fabric_mtu == 9000


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("hosts",), {}, "names no host"),
        (("hosts", "host1", "fabric"), "10.0.0/24", "hosts.host1.fabric"),
        (("hosts", "host1", "colour"), "red", "unknown key 'colour'"),
        (("networks", "red", "subnet"), "ten", "networks.red"),
        (("networks", "red", "forwarding_mode"), "l4", "expected one of l2_l3, l2, l3, found 'l4'"),
        (("networks", "red", "dhcp"), "yes please", "networks.red.dhcp"),
        (("networks", "bad name"), {"subnet": "10.0.0.0/8"}, "bad name"),
        (("vms", "red1", "network"), "green", "vms.red1.network"),
        (("vms", "red1", "address"), "10.9.9.9", "in no subnet of 'red'"),
        (("vms", "red1", "host"), "host9", "known: host1"),
        (("vms", "red1", "mac"), "02:00", "vms.red1.mac"),
        (("vms", "red1", "mac"), 50000, "vms.red1.mac: expected text.*in quotes"),
        (("vms", "red1", "mac"), "03:00:00:00:00:01", "not the MAC address of one interface"),
        (("vms", "red1", "address"), 167837955, "vms.red1.address: expected text"),
        (("vms", "red1", "address"), "10.1.1.0", "not the address of one VM"),
        (("vms", "red1", "address"), "10.1.1.255", "not the address of one VM"),
        (("vms", "red1", "address6"), "fd00::1", "vms.red1.address6: fd00::1 is in no subnet"),
        (("vms", "red1"), 5, "expected a mapping"),
        (("hosts", "host1", "fabric"), "10.0.0.1", "expected ADDRESS/LENGTH"),
        (("hosts", "host1", "gateway"), "10.9.0.1", "is no other address of 10.0.0.0/24"),
        (("hosts", "host1", "gateway"), "10.0.0.1", "is no other address of 10.0.0.0/24"),
        (("hosts", "host1", "interface"), "sixteen-letters1", "cannot be the name"),
        (("hosts", "host2"), {"fabric": "10.0.0.1/24"}, "10.0.0.1 is the address of hosts.host1"),
        (("networks", "red", "subnet"), "10.1.1.0", "expected PREFIX/LENGTH"),
        (("networks", "red", "subnet"), "10.1.1.0/31", "has no room"),
        (("networks", "red", "subnets"), ["10.1.0.0/16"], "either 'subnet' or 'subnets'"),
        (("networks", "green"), {"subnets": "10.3.0.0/16"}, "green.subnets: expected a list"),
        (("networks", "green"), {"subnets": ["10.3.0.0/16", "10.3.1.0/24"]}, "overlaps"),
        (("networks", "red", "gateway"), "10.9.9.9", "10.9.9.9 is not in the subnet 10.1.1.0/24"),
        (("networks", "red", "dns"), "fd00::1", "fd00::1 is not in the subnet 10.1.1.0/24"),
        (("networks", "red", "vxlan_id"), 1 << 24, "expected a VNI, 0 to 16777215"),
        (("networks", "red", "vxlan_id"), "seven", "expected a VNI, 0 to 16777215"),
        (("networks", "red", "host_routes"), {"10.0.0.0/8": "red"}, "red.host_routes.10.0.0.0/8"),
        (("networks", "red", "host_routes"), {"10.0.0.1/8": "10.1.1.7"}, "host bits set"),
        (("networks", "red", "dhcp_options"), ["mtu"], "red.dhcp_options: expected a mapping"),
        (("encapsulations",), "MPLSoUDP", "encapsulations: expected a list"),
        (("controllers",), {"c1": {"port": 0}}, "controllers.c1.port: expected a TCP port"),
        (("graceful_restart",), {"restart_time": -1}, "restart_time: expected seconds"),
        (("encapsulations",), ["GENEVE"], "expected one of MPLSoUDP, .* found 'GENEVE'"),
        (("controllers",), 9, "controllers: expected 0 to 8"),
        (("controllers",), {"c1": {"address": "10.0.0.1"}}, "10.0.0.1 belongs to hosts.host1"),
        (("controllers",), {"c1": {"address": "10.9.0.1"}}, "is not of the fabric 10.0.0.0/24"),
        (("connect",), [["red", "green"]], "connect: no network 'green'"),
        (("connect",), ["red"], "connect: expected a list of networks"),
        (("graceful_restart",), {"time": 1}, r"graceful_restart\.time: unknown key 'time'"),
        (("fabric_mtu",), 100, "fabric_mtu: expected bytes, 576 to 65535"),
    ],
)
def test_errors_say_where(path: tuple[str, ...], value: object, words: str) -> None:
    broken = copy.deepcopy(content())
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ConfigError, match=words):
        parse(broken)


KEYS = ["name", "hosts", "networks", "vms", "subnet", "network", "address", "mac", "encapsulations"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_content_parses_or_is_a_configuration_error(value: object) -> None:
    try:
        topology = parse(value)
    except ConfigError:
        return
    assert topology.hosts


def test_a_few_lines_make_no_endless_message() -> None:
    """Each list has the one before nine times, as aliases of YAML make it."""
    value: object = ["x"] * 9
    for _ in range(30):
        value = [value] * 9
    for content in ({"hosts": {"one": value}}, {"hosts": value}, {"name": value}):
        with pytest.raises(ConfigError) as error:
            parse(content)
        assert len(str(error.value)) < 2000


def test_the_rate_of_recorded_sessions() -> None:
    content = yaml.safe_load(ONE_HOST.read_text())
    assert parse(content).flow_export_rate is None
    assert parse(content | {"flow_export_rate": -1}).flow_export_rate == -1
    with pytest.raises(ConfigError, match="flow_export_rate"):
        parse(content | {"flow_export_rate": -2})
