"""Checks of request bodies that the vectors do not reach."""

from __future__ import annotations

import contextlib
import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.inputs import PluggedPort, SimpleGateway
from agent.rest.body import Rejected, decode
from agent.rest.files import Stamp, write_port
from agent.rest.validate import (
    NIL,
    container_port,
    gateway_names,
    gateways,
    parse_uuid,
    plugged_port,
    plugged_ports,
    stored_port,
)
from agent.values import Mac

U = "11111111-2222-4333-8444-555555555501"
PORT: dict[str, Any] = {
    "id": U,
    "instance-id": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeee01",
    "vn-id": "99999999-8888-4777-8666-555555555501",
    "vm-project-id": "b02a3bfb-7946-4b1c-8cc4-bf8cedcbc48d",
    "display-name": "vm1",
    "ip-address": "10.1.1.3",
    "ip6-address": "fd00::3",
    "type": 0,
    "system-name": "tap0",
    "mac-address": "02:11:22:33:44:55",
    "rx-vlan-id": -1,
    "tx-vlan-id": -1,
}
ORDER = [
    "id", "instance-id", "vn-id", "vm-project-id", "display-name", "ip-address", "ip6-address",
    "type", "system-name", "mac-address", "rx-vlan-id", "tx-vlan-id",
]  # fmt: skip
CONTAINER: dict[str, Any] = {
    "vm-uuid": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeee01",
    "vm-name": "k8s__default__web-0",
    "host-ifname": "tapeth0-aaaaaa",
    "vn-uuid": "",
    "vmi-uuid": U,
}
GATEWAY: dict[str, Any] = {
    "interface": "vgw1",
    "routing-instance": "default-domain:admin:vn1:vn1",
    "subnets": [{"ip-address": "1.2.3.0", "prefix-len": 24}],
    "routes": [{"ip-address": "8.8.8.9", "prefix-len": 24}],
}


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def rejection(**members: Any) -> str:
    with pytest.raises(Rejected) as error:
        plugged_port(PORT | members)
    return str(error.value)


def test_every_member_arrives() -> None:
    assert plugged_port(PORT) == PluggedPort(
        uuid=UUID(U),
        instance_uuid=UUID(PORT["instance-id"]),
        vn_uuid=UUID(PORT["vn-id"]),
        project_uuid=UUID(PORT["vm-project-id"]),
        display_name="vm1",
        system_name="tap0",
        mac=Mac.parse("02:11:22:33:44:55"),
        ip=IPv4Address("10.1.1.3"),
        ip6=IPv6Address("fd00::3"),
    )


def test_the_first_failing_member_decides() -> None:
    for name in ORDER:
        what = "data" if name in ORDER[:4] else "field"
        broken = PORT | {later: None for later in ORDER[ORDER.index(name) :]}
        with pytest.raises(Rejected, match=f"^Invalid or missing {what} for <{name}>$"):
            plugged_port(broken)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (U, U),
        (U.upper(), U),
        (f"  {U}", U),
        (f"{U} and more", U),
        (U.replace("-", ""), None),
        (f"{{{U}}}", None),
        (U[:-1], None),
        ("", None),
    ],
)
def test_uuid_reading(text: str, expected: str | None) -> None:
    assert parse_uuid(text) == (UUID(expected) if expected else NIL)


def test_an_id_that_is_no_uuid_is_refused() -> None:
    assert rejection(id="junk") == "Invalid or missing data for <id>"


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 1.0, True, "1", [1]])
def test_numbers_are_signed_32_bit_integers(number: object) -> None:
    assert rejection(type=number) == "Invalid or missing field for <type>"


@pytest.mark.parametrize(
    ("port_type", "link_state", "expected"),
    [
        (0, None, True),
        (1, "0", True),
        (2, None, False),
        (2, True, False),
        (2, 1, True),
        (0, 0, False),
    ],
)
def test_link_state(port_type: int, link_state: object, expected: bool) -> None:
    port = plugged_port(PORT | {"type": port_type, "link-state": link_state})
    assert port.link_state is expected


def test_vlans_are_cut_to_16_bits() -> None:
    port = plugged_port(PORT | {"rx-vlan-id": 65536 + 7, "tx-vlan-id": -3})
    assert (port.rx_vlan_id, port.tx_vlan_id) == (7, 65533)


def test_scope_of_an_ipv6_address_is_dropped() -> None:
    port = plugged_port(PORT | {"ip6-address": "fe80::1%eth0"})
    assert port.ip6 == IPv6Address("fe80::1")


def test_first_of_duplicate_members_counts() -> None:
    body = as_json(PORT)[:-1] + b', "display-name": "other"}'
    assert plugged_ports(body)[0].display_name == "vm1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} x",
        b"\xff",
        b'\xef\xbb\xbf{"a":1}',
        b"NaN",
        b"[Infinity]",
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
        b"1" * 5000,
        b"{'a': 1}",
    ],
)
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(Rejected, match=r"^Invalid Json string ==> "):
        decode(body)


def test_long_bodies_are_cut_in_errors() -> None:
    with pytest.raises(Rejected) as error:
        decode(b"x" * 1_000_000)
    assert len(str(error.value)) < 5000


@pytest.mark.parametrize("body", [b"5", b'"x"', b"null", b"true"])
def test_bodies_that_are_no_object(body: bytes) -> None:
    for read in (plugged_ports, container_port):
        with pytest.raises(Rejected, match=r"^Unexpected Json string ==> "):
            read(body)


def test_array_with_an_element_that_is_no_object() -> None:
    with pytest.raises(Rejected, match=r"^Json Array has invalid element ==> "):
        plugged_ports(as_json([PORT, 1]))


def test_stored_interfaces_must_exist_unless_remote() -> None:
    def absent(name: str) -> bool:
        return False

    for port_type in (0, 1):
        with pytest.raises(Rejected, match=r"^Interface does not exist in OS$"):
            stored_port(as_json(PORT | {"type": port_type}), absent)
    assert stored_port(as_json(PORT | {"type": 2}), absent).port_type == 2
    assert stored_port(as_json(PORT), None).uuid == UUID(U)
    with pytest.raises(Rejected, match=r"Unexpected"):
        stored_port(as_json([PORT]), None)
    with pytest.raises(Rejected, match=r"^Interface does not exist in OS$"):
        container_port(as_json(CONTAINER), absent)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "a\0b", "é" * 128])
def test_vm_names_that_are_no_directory(name: str) -> None:
    with pytest.raises(Rejected, match=r"^Invalid or missing field for <vm-name>$"):
        container_port(as_json(CONTAINER | {"vm-name": name}))


def test_container_without_optional_members() -> None:
    port = container_port(as_json(CONTAINER | {"vm-id": 5}))
    assert (port.vm_id, port.vm_ifname, port.vm_namespace, port.vn_uuid) == ("", "", "", NIL)


def test_gateway_members() -> None:
    assert gateways(as_json([GATEWAY])) == [
        SimpleGateway(
            "vgw1",
            "default-domain:admin:vn1:vn1",
            (IPv4Network("1.2.3.0/24"),),
            (IPv4Network("8.8.8.0/24"),),
        )
    ]
    assert gateways(b"[]") == []
    assert gateway_names(as_json([GATEWAY, {"interface": "b"}])) == ["vgw1", "b"]


@pytest.mark.parametrize(
    ("member", "value", "name"),
    [
        ("interface", 1, "interface"),
        ("routing-instance", None, "routing-instance"),
        ("subnets", {}, "subnets"),
        ("subnets", [1], "subnets value"),
        ("subnets", [{"ip-address": "x", "prefix-len": 24}], "subnets value"),
        ("routes", [{"ip-address": "1.2.3.4"}], "routes value"),
        ("routes", [{"ip-address": "1.2.3.4", "prefix-len": 33}], "routes value"),
    ],
)
def test_gateway_errors_name_the_member(member: str, value: object, name: str) -> None:
    body = as_json([GATEWAY | {member: value}])
    with pytest.raises(Rejected) as error:
        gateways(body)
    assert str(error.value) == (
        f"Json string does not have all required members, {name} is missing ==> {body.decode()}"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
NEAR_PORTS = st.fixed_dictionaries(
    {}, optional={name: st.just(PORT[name]) | st.text(max_size=40) | JSON for name in PORT}
)


@given(NEAR_PORTS | JSON)
def test_any_json_gives_rows_or_a_rejection(value: object) -> None:
    body = as_json(value)
    for read in (plugged_ports, container_port, gateways, gateway_names):
        with contextlib.suppress(Rejected):
            assert read(body) is not None


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_rejection(body: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert decode(body) == json.loads(body)


@given(
    st.fixed_dictionaries(
        {
            "display-name": st.text(max_size=20),
            "system-name": st.text(max_size=15),
            "ip-address": st.ip_addresses(v=4).map(str),
            "ip6-address": st.ip_addresses(v=6).map(str),
            "type": st.integers(-1, 3),
            "rx-vlan-id": st.integers(-1, 4095),
            "tx-vlan-id": st.integers(-1, 4095),
            "vhostuser-mode": st.integers(0, 1),
        }
    )
)
def test_a_stored_port_loads_as_it_was(members: dict[str, Any]) -> None:
    port = plugged_port(PORT | members)
    stored = write_port(port, Stamp("agent", 1.5))
    assert stored_port(stored.text, None) == port


def test_the_time_of_a_record_counts_hours_since_1970() -> None:
    members = Stamp("agent", 498680 * 3600 + 56 * 60 + 30.545489).members()
    assert members == {"author": "agent", "time": "498680:56:30.545489"}
