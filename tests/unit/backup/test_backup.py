"""What is written down of numbers can be read again; the reference agent's files too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.backup import checked, decode, encode, family, file_name, restored
from agent.backup.resources import NumbersSandesh
from agent.errors import WireError
from agent.objects import Key, Kind, Numbered
from agent.oper.datapath import vrf_key
from agent.oper.vmi import vif_key
from agent.sandesh.compiler import gen_python, load
from tests.unit.backup.reference_files import MAC, PAIR, PORT, VRF, labels, records

KINDS = (Kind.VIF, Kind.NEXTHOP, Kind.LABEL, Kind.VRF, Kind.MIRROR, Kind.QOS_MAP)
IDL = Path(__file__).parents[3] / "agent/backup/resources.sandesh"
rows = st.builds(Numbered, st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.text())


def test_the_records_are_those_of_the_idl() -> None:
    made = gen_python.generate(load(IDL), IDL.stem)
    assert list(made.values()) == [IDL.with_suffix(".py").read_text()]


@given(st.lists(rows, unique_by=lambda row: (row.kind, row.number)))
def test_numbers_come_back(some: list[Numbered]) -> None:
    assert sorted(decode(encode(some, 7)), key=str) == sorted(some, key=str)


def test_the_form_is_a_sandesh_message() -> None:
    content = encode([Numbered(Kind.VRF, 2, '"red"')], 258)
    assert content == (
        b"\0\0\0\x0eNumbersSandesh"
        + b"".join(b"\x0d\0" + bytes((number, 20, 11)) + bytes(4) for number in (1, 2, 3))
        + b"\x0d\0\x04\x14\x0b\0\0\0\x01" + b"\0\0\0\x02" + b"\0\0\0\x05" + b'"red"'
        + b"".join(b"\x0d\0" + bytes((number, 20, 11)) + bytes(4) for number in (5, 6))
        + NumbersSandesh.SPEC.by_id[7].codec.wire.to_bytes() + b"\0\x07" + (258).to_bytes(8)
        + b"\0"
    )  # fmt: skip


@given(st.binary(max_size=80))
def test_nonsense_is_refused(content: bytes) -> None:
    for read in (decode, restored):
        with pytest.raises(WireError):
            read(content)


def test_a_damaged_backup_is_refused() -> None:
    content = encode([Numbered(Kind.VRF, 2, '"red"'), Numbered(Kind.LABEL, 16, "[]")], 1)
    name = file_name(content)
    checked(name, content)
    for at in range(len(content)):
        with pytest.raises(WireError):
            checked(name, content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
        with pytest.raises(WireError):
            decode(content[:at])


def test_names_of_files() -> None:
    assert family(file_name(b"")) == "vrouter_agent_numbers"
    assert family("contrail_vrf_resource-123") == "contrail_"
    for name in ("contrail_vrf_resource", ".x.tmp", "other-1", "contrail_vrf_resource-1.tmp"):
        assert family(name) is None


def test_the_reference_agents_sums() -> None:
    """By hand: hash_range of one byte, before boost 1.56 and after, signed and unsigned."""
    checked("contrail_a-2654435770", b"\1")
    checked(f"contrail_a-{0x9E3779B9 - 1}", b"\xff")
    checked(f"contrail_a-{0x9E3779B9 + 255}", b"\xff")
    factor = 0xC6A4A7935BD1E995
    mixed = (factor ^ factor >> 47) * factor % 2**64
    checked(f"contrail_a-{(mixed * factor + 0xE6546B64) % 2**64}", b"\1")
    with pytest.raises(WireError):
        checked("contrail_a-1", b"\1")


def test_the_sums_are_those_of_boost() -> None:
    """What hash_range of boost 1.74 and 1.81 gives for unsigned and signed bytes (g++ 12)."""
    content = bytes((at * 37 + 200) & 255 for at in range(39))
    for told in (11847106132545937877, 11480084563085944451, 6391338683086774406):
        checked(f"contrail_a-{told}", content)
    checked("contrail_a-2364502868946632313", content[:7])
    checked("contrail_a-2220755840493918647", b"")


def of(name: str) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for row in restored(records()[name].encode()).rows:
        found.setdefault(row.number, set()).add(row.text)
    return found


def label(*name: object) -> str:
    return Key(Kind.LABEL, name).text


def test_indexes_of_the_reference_agent() -> None:
    assert of("contrail_vm_interface_index") == {3: {vif_key(PORT, "tap1").text}}
    assert of("contrail_vrf_index")[2] == {vrf_key(VRF).text}
    assert of("contrail_mirror_index") == {0: {Key(Kind.MIRROR, "spy").text}}


def test_labels_of_a_port_of_the_reference_agent() -> None:
    found = of("contrail_interface_resource")
    parts = ("l3-policy", "l3", "l3-multicast", "l2", "l2-policy")
    for number, part in enumerate(parts, 23):
        name = ("interface", PORT, "tap1", part)
        assert found[number] == {label(*name), label(*name, bytes.fromhex(MAC.replace(":", "")))}
    pair = bytes.fromhex(PAIR.replace(":", ""))
    assert found[31] == {label("interface", PORT, "tap1", "l3-policy", pair)}
    assert 16 not in found
    assert restored(labels().encode()).left_out == ["16: a label of vhost0, policy True, flags 1"]


def test_labels_of_networks_and_routes_of_the_reference_agent() -> None:
    assert of("contrail_vrf_resource") == {21: {label("vrf", VRF)}}
    shared = label("ecmp", "local", VRF, (bytes((15, 0, 0, 9)), 32))
    assert of("contrail_route_resource") == {22: {label("broadcast", VRF)}, 41: {shared}}


def test_what_has_no_use_is_told() -> None:
    told = restored(records()["contrail_vlan_resource"].encode())
    assert told.rows == []
    assert told.left_out == [f"40: a label of tag 7 at port {PORT}, whose device is not told"]
    assert restored(records()["contrail_qos_index"].encode()).left_out == [f"1: QoS map {PORT}"]
