"""The store of plugged ports: changes, file actions, resync epochs, replay, tap conflicts."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.inputs import ContainerPort, PluggedPort, SimpleGateway
from agent.rest import Change, PortStore, Rejected, RemoveFile, Row, StoredFile, WriteFile, ports
from agent.rest.files import Stamp, write_port
from agent.rest.validate import NIL
from agent.values import Mac

STAMP = Stamp("agent", 0.0)
VM, VN = UUID(int=0xA), UUID(int=0xB)
REMOTE = 2


def a_port(number: int = 1, **members: object) -> PluggedPort:
    port = PluggedPort(
        uuid=UUID(int=number),
        instance_uuid=VM,
        vn_uuid=VN,
        project_uuid=NIL,
        display_name="vm",
        system_name=f"tap{number}",
        mac=Mac(b"\x02" * 6),
        ip=IPv4Address("10.1.1.3"),
        ip6=IPv6Address(0),
    )
    return replace(port, **members)  # type: ignore[arg-type]


def a_container(number: int = 1, **members: object) -> ContainerPort:
    port = ContainerPort(VM, VN, UUID(int=number), "pod", f"veth{number}")
    return replace(port, **members)  # type: ignore[arg-type]


def plug(store: PortStore, *rows: PluggedPort | ContainerPort) -> list[Change]:
    store.plug(rows, STAMP)
    return store.changes()


def test_a_port_comes_changes_and_goes() -> None:
    store = PortStore()
    port = a_port()
    assert store.plug([port], STAMP) == [write_port(port, STAMP)]
    assert store.changes() == [Change(None, port)]
    assert store.changes() == []
    moved = a_port(ip=IPv4Address("10.1.1.4"))
    (action,) = store.plug([moved], STAMP)
    assert isinstance(action, WriteFile)
    assert json.loads(action.text)["ip-address"] == "10.1.1.4"
    assert store.changes() == [Change(port, moved)]
    assert RemoveFile(str(port.uuid)) in store.unplug(port.uuid)
    assert store.changes() == [Change(moved, None)]
    assert store.ports() == []


def test_changes_between_two_looks_are_one() -> None:
    store = PortStore()
    plug(store, a_port())
    store.unplug(a_port().uuid)
    store.plug([a_port()], STAMP)
    assert store.changes() == []
    store.plug([a_port(2)], STAMP)
    store.unplug(UUID(int=2))
    assert store.changes() == []


def test_unknown_ports_lose_only_their_file() -> None:
    store = PortStore()
    assert store.unplug(UUID(int=9)) == [RemoveFile(str(UUID(int=9)))]
    assert store.unplug(NIL) == []
    assert store.unplug_vm(VM) == []
    assert store.changes() == []


def test_link_state_of_remote_ports_only() -> None:
    store = PortStore()
    port = a_port(port_type=REMOTE, link_state=False)
    plug(store, port, a_port(2))
    (action,) = store.set_link_state(port.uuid, True, STAMP)
    assert isinstance(action, WriteFile)
    assert json.loads(action.text)["link-state"] == 1
    assert store.changes() == [Change(port, replace(port, link_state=True))]
    assert store.set_link_state(port.uuid, True, STAMP) == []
    assert store.changes() == []
    with pytest.raises(Rejected, match=r"^Incorrect Port type for "):
        store.set_link_state(UUID(int=2), True, STAMP)
    with pytest.raises(Rejected, match=r"^Port Not found "):
        store.set_link_state(UUID(int=3), True, STAMP)


class TestResync:
    def test_what_is_not_posted_again_goes(self) -> None:
        store = PortStore(stale_timeout=60)
        plug(store, a_port(1), a_port(2), a_port(3, port_type=1), a_container(4))
        assert store.next_deadline() is None
        store.sync(now=100.0)
        assert store.next_deadline() == 160.0
        store.plug([a_port(2)], STAMP)
        assert store.expire(159.9) == []
        assert {action.path for action in store.expire(160.0)} == {
            str(UUID(int=1)),
            f"vm/pod/{UUID(int=4)}",
        }
        assert store.changes() == [Change(a_port(1), None), Change(a_container(4), None)]
        assert [store.epoch_of(row) for row in store.ports()] == [1, 0]
        assert store.counters.stale_removed == 2

    def test_each_round_has_its_own_time(self) -> None:
        store = PortStore(stale_timeout=60)
        store.sync(0.0)
        store.plug([a_port()], STAMP)
        store.sync(30.0)
        assert store.expire(60.0) == []
        assert store.next_deadline() == 90.0
        assert store.expire(90.0) == [RemoveFile(str(UUID(int=1)))]

    def test_endless_rounds_stay_bounded_and_still_clean(self) -> None:
        store = PortStore(stale_timeout=60)
        plug(store, a_port())
        for round_ in range(10_000):
            store.sync(round_ / 1000)
        assert store.next_deadline() == 60.0
        store.expire(60.0)
        assert store.ports() == []
        store.expire(1000.0)
        assert store.next_deadline() is None


class TestReplay:
    def test_ports_come_back_in_epoch_0(self) -> None:
        store = PortStore()
        rows = [a_port(1), a_container(2), a_port(3, port_type=REMOTE)]
        store.replay(
            [StoredFile(write.path, write.text) for write in (write_port(r, STAMP) for r in rows)],
            lambda name: name != "tap3",
        )
        assert [change.after for change in store.changes()] == [
            rows[0], rows[1], replace(rows[2], link_state=True),
        ]  # fmt: skip
        assert [store.epoch_of(row) for row in store.ports()] == [0, 0, 0]
        assert store.counters.replayed == 3

    def test_files_of_the_reference_agent_and_its_clients_are_taken(self) -> None:
        """Facts rest-api.md 9.2: as the agent, an old port-control and the CNI write them."""
        members = {
            "id": str(UUID(int=1)), "instance-id": str(VM), "display-name": "vm",
            "ip-address": "10.1.1.3", "ip6-address": "::", "vn-id": str(VN),
            "vm-project-id": str(NIL), "mac-address": "02:02:02:02:02:02", "system-name": "tap1",
            "type": 0, "rx-vlan-id": 65535, "tx-vlan-id": 65535, "vhostuser-mode": 0,
            "author": "contrail-vrouter-agent", "time": "498680:56:30.545489",
        }  # fmt: skip
        client = {
            **members, "id": str(UUID(int=2)), "system-name": "tap2", "ip6-address": "None",
            "rx-vlan-id": -1, "tx-vlan-id": -1, "vhostuser-mode": None, "more": [{}],
        }  # fmt: skip
        cni = {
            "time": "2018-06-13 07:04:22.157336 +0000 UTC", "vm-id": "c0ffee", "vm-uuid": str(VM),
            "vm-name": "k8s__default__pod", "host-ifname": "veth3", "vm-ifname": "eth0",
            "vm-namespace": "/proc/1/ns/net", "vn-uuid": str(VN), "vmi-uuid": str(UUID(int=3)),
        }  # fmt: skip
        store = PortStore()
        store.replay(
            [
                StoredFile(members["id"], json.dumps(members, indent=4).encode()),
                StoredFile(client["id"], json.dumps(client).encode()),
                StoredFile("vm/k8s__default__pod/3", json.dumps(cni, indent="\t").encode()),
            ],
            lambda name: True,
        )
        assert list(store.notices) == []
        assert store.ports() == [
            a_port(1),
            a_port(2),
            a_container(
                3, vm_name="k8s__default__pod", vm_id="c0ffee", vm_ifname="eth0",
                vm_namespace="/proc/1/ns/net",
            ),
        ]  # fmt: skip

    def test_bad_files_are_skipped_and_noted(self) -> None:
        store = PortStore()
        good = write_port(a_port(1), STAMP)
        store.replay(
            [
                StoredFile("a", b"junk"),
                StoredFile("b", b"[]"),
                StoredFile("vm/pod/c", b"{}"),
                StoredFile("d", good.text.replace(b"tap1", b"gone")),
                StoredFile(good.path, good.text),
            ],
            lambda name: name == "tap1",
        )
        assert store.ports() == [a_port(1)]
        assert store.counters.skipped_files == 4
        assert len(store.notices) == 4
        assert "Interface does not exist in OS" in store.notices[-1]

    def test_a_file_of_another_name_goes_with_its_port(self) -> None:
        store = PortStore()
        other = str(UUID(int=77))
        store.replay([StoredFile(other, write_port(a_port(1), STAMP).text)], None)
        assert store.unplug(UUID(int=1)) == [RemoveFile(other), RemoveFile(str(UUID(int=1)))]

    def test_a_new_post_replaces_a_file_of_another_name(self) -> None:
        store = PortStore()
        other = str(UUID(int=77))
        store.replay([StoredFile(other, write_port(a_port(1), STAMP).text)], None)
        assert store.plug([a_port(1)], STAMP) == [
            RemoveFile(other),
            write_port(a_port(1), STAMP),
        ]

    def test_a_file_that_became_anothers_is_left_alone(self) -> None:
        store = PortStore()
        other = str(UUID(int=77))
        store.replay([StoredFile(other, write_port(a_port(1), STAMP).text)], None)
        store.plug([a_port(77)], STAMP)
        assert RemoveFile(other) not in store.unplug(UUID(int=1))


class TestContainers:
    def test_found_by_interface_or_waiting_for_its_network(self) -> None:
        store = PortStore()
        waiting = a_container(vmi_uuid=NIL, host_ifname="w")
        plug(store, a_container(1), waiting)
        assert store.container(VM, VN, UUID(int=1)) == a_container(1)
        assert store.container(VM, VN, UUID(int=2)) == waiting
        assert store.container(VM, UUID(int=5), UUID(int=2)) is None
        assert store.container(UUID(int=5), VN, UUID(int=1)) is None

    def test_delete_takes_all_of_the_vm(self) -> None:
        store = PortStore()
        mine, alien = [a_container(1), a_container(2)], a_container(3, vm_uuid=UUID(int=5))
        plug(store, *mine, alien)
        assert [action.path for action in store.unplug_vm(VM)] == [
            f"vm/pod/{UUID(int=1)}",
            f"vm/pod/{UUID(int=2)}",
        ]
        assert store.changes() == [Change(row, None) for row in mine]
        assert store.ports() == [alien]

    def test_a_new_vm_name_moves_the_file(self) -> None:
        store = PortStore()
        plug(store, a_container(1))
        renamed = a_container(1, vm_name="pod2")
        assert store.plug([renamed], STAMP) == [
            RemoveFile(f"vm/pod/{UUID(int=1)}"),
            write_port(renamed, STAMP),
        ]

    def test_port_delete_does_not_know_it(self) -> None:
        store = PortStore()
        plug(store, a_container(1))
        store.unplug(UUID(int=1))
        assert store.ports() == [a_container(1)]


class TestTapConflict:
    def test_the_first_port_keeps_the_tap(self) -> None:
        store = PortStore()
        first, second = a_port(1, system_name="tap"), a_port(2, system_name="tap")
        assert plug(store, first, second) == [Change(None, first)]
        assert store.counters.tap_conflicts == 1
        assert "tap is plugged by another port" in store.notices[0]
        store.unplug(first.uuid)
        assert store.changes() == [Change(first, None), Change(None, second)]

    def test_moving_away_frees_the_tap(self) -> None:
        store = PortStore()
        plug(store, a_port(1, system_name="tap"), a_port(2, system_name="tap"))
        assert plug(store, a_port(1)) == [
            Change(a_port(1, system_name="tap"), a_port(1)),
            Change(None, a_port(2, system_name="tap")),
        ]

    def test_one_interface_plugged_both_ways_is_no_conflict(self) -> None:
        store = PortStore()
        rows = [a_port(1, system_name="tap"), a_container(1, host_ifname="tap")]
        assert plug(store, *rows) == [Change(None, row) for row in rows]
        assert store.counters.tap_conflicts == 0


def test_gateways_come_change_and_go() -> None:
    store = PortStore()
    gateway = SimpleGateway("vgw1", "vrf", (IPv4Network("1.2.3.0/24"),), ())
    changed = replace(gateway, routing_instance="vrf2")
    store.add_gateways([gateway])
    assert store.changes() == [Change(None, gateway)]
    store.add_gateways([changed])
    assert store.changes() == [Change(gateway, changed)]
    store.remove_gateways(["vgw1", "vgw9"])
    assert store.changes() == [Change(changed, None)]


def test_the_number_of_ports_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_MAX_ENTRIES", 2)
    store = PortStore()
    plug(store, a_port(1), a_port(2))
    with pytest.raises(Rejected, match="Too many ports"):
        store.plug([a_port(2), a_port(3)], STAMP)
    assert store.changes() == []
    assert plug(store, a_port(2, display_name="new")) != []
    file = write_port(a_port(3), STAMP)
    store.replay([StoredFile(file.path, file.text)], None)
    assert len(store.ports()) == 2
    store.add_gateways([SimpleGateway(name, "vrf", (), ()) for name in "ab"])
    with pytest.raises(Rejected, match="Too many gateways"):
        store.add_gateways([SimpleGateway("c", "vrf", (), ())])


class Daemon(RuleBasedStateMachine):
    """Whatever happens: what the daemon was told equals the store, the files equal the store."""

    numbers = st.integers(1, 4)
    taps = st.sampled_from(["tap1", "tap2"])

    def __init__(self) -> None:
        super().__init__()
        self.store = PortStore(stale_timeout=5)
        self.now = 0.0
        self.known: list[Row] = []
        self.files: dict[str, bytes] = {}

    def carry_out(self, actions: list[WriteFile | RemoveFile]) -> None:
        for action in actions:
            if isinstance(action, WriteFile):
                self.files[action.path] = action.text
            else:
                self.files.pop(action.path, None)

    @rule(number=numbers, tap=taps, port_type=st.integers(0, 2), name=st.sampled_from("ab"))
    def plug(self, number: int, tap: str, port_type: int, name: str) -> None:
        port = a_port(number, system_name=tap, port_type=port_type, display_name=name)
        self.carry_out(self.store.plug([port], STAMP))

    @rule(number=numbers, tap=taps, name=st.sampled_from("ab"))
    def plug_container(self, number: int, tap: str, name: str) -> None:
        port = a_container(number, host_ifname=tap, vm_name=name)
        self.carry_out(self.store.plug([port], STAMP))

    @rule(number=numbers)
    def unplug(self, number: int) -> None:
        self.carry_out(self.store.unplug(UUID(int=number)))

    @rule()
    def unplug_vm(self) -> None:
        self.carry_out(self.store.unplug_vm(VM))

    @rule()
    def sync(self) -> None:
        self.store.sync(self.now)

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.carry_out(self.store.expire(self.now))

    @rule()
    def restart(self) -> None:
        """What a new agent loads is what the old one had."""
        fresh = PortStore(stale_timeout=5)
        fresh.replay([StoredFile(path, text) for path, text in self.files.items()], None)
        assert set(fresh.ports()) == {
            replace(row, link_state=True)
            if isinstance(row, PluggedPort) and row.port_type != REMOTE
            else row
            for row in self.store.ports()
        }

    @invariant()
    def the_daemon_knows_one_port_a_tap(self) -> None:
        for change in self.store.changes():
            assert change.before != change.after
            if change.before is not None:
                self.known.remove(change.before)
            if change.after is not None:
                self.known.append(change.after)
        taps: dict[str, set[UUID]] = {}
        for row in self.known:
            if isinstance(row, PluggedPort):
                taps.setdefault(row.system_name, set()).add(row.uuid)
            elif isinstance(row, ContainerPort):
                taps.setdefault(row.host_ifname, set()).add(row.vmi_uuid)
        assert all(len(owners) == 1 for owners in taps.values())
        claimed = {
            row.system_name if isinstance(row, PluggedPort) else row.host_ifname
            for row in self.store.ports()
        }
        assert set(taps) == claimed


TestDaemon = Daemon.TestCase
