from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from uuid import UUID, uuid4

import pytest

from agent.errors import AgentError, UsageError
from agent.objects import Key, Kind
from agent.oper.datapath import inet_key
from agent.rest.ports import Change
from agent.routes import (
    Encapsulation,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
)
from agent.settings import Server
from agent.telemetry.trace_flow import FlowLook
from agent.telemetry.trace_subjects import FlowSubject, PortSubject, PrefixSubject, parse
from agent.telemetry.traces import COSTLY, MOST_FOLLOWS, RARE, Traces
from agent.xmpp import ConfigComplete, Event, PeerDown, PeerUp, Routes
from tests.unit.services.test_dhcp4 import request
from tests.unit.services.world import feed
from tests.unit.telemetry.node_world import NodeWorld

PEER = Server(IPv4Address("10.0.0.5"), 5269)
WAY = RouteNexthop(IPv4Address("10.0.0.9"), 42, (Encapsulation.UDP,))


class Traced(NodeWorld):
    """A world whose traces are told of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.traces = Traces(self.node.wall, watching=self._watch)
        self.core.trace = self.traces
        self.watched: list[bool] = []

    def _watch(self, on: bool) -> None:
        self.watched.append(on)
        watcher = self.traces if on else None
        self.core.session.watcher = self.core.trapped.watcher = watcher

    def uuid(self, name: str) -> UUID:
        return self.topology.vms[name].port

    def texts(self, part: str) -> list[str]:
        return [line.text for line in self.traces.lines(part)]


@pytest.fixture
def world() -> Traced:
    return Traced()


def test_rare_events_are_kept_and_costly_ones_are_not(world: Traced) -> None:
    name = next(iter(world.topology.vms))
    world.plug(name)
    (port,) = world.texts("Port")
    assert port.startswith(f"plugged: port {world.uuid(name)} of VM ")
    assert any(f"port {world.uuid(name)}" in text for text in world.texts("Oper"))
    assert "in sync" in world.texts("KSync")
    assert [world.texts(part) for part in COSTLY] == [[]] * len(COSTLY)
    assert world.watched == []


def test_controllers_are_told_in_words(world: Traced) -> None:
    events: list[Event] = [PeerUp(PEER, 1), ConfigComplete(3), PeerDown(PEER, "no answer")]
    world.traces.controllers(events)
    assert world.texts("Xmpp") == [f"{PEER} up, session 1", f"{PEER} down: no answer"]
    assert world.texts("Config") == ["configuration 3 is complete"]


def test_costly_buffers_are_filled_while_they_are_on(world: Traced) -> None:
    name = next(iter(world.topology.vms))
    world.traces.switch("writes", True)
    world.traces.switch("Objects", True)
    world.plug(name)
    assert world.watched == [True]
    writes = len(world.texts("Writes"))
    assert any(text.startswith("add vif ") for text in world.texts("Writes"))
    assert any(text.startswith("accepted: vif ") for text in world.texts("Writes"))
    assert any(text.startswith("wanted: vif ") for text in world.texts("Objects"))
    world.traces.switch_all(True)
    world.core.compiler.remove_link(world.topology.vms[name].tap)
    world.turn()
    assert world.watched == [True, False]
    assert len(world.texts("Writes")) == writes


def test_buffers_are_bounded_as_configured(world: Traced) -> None:
    world.traces.resize({"xmpp": 2, "unknown buffer": 5})
    world.traces.controllers([PeerUp(PEER, session) for session in range(9)])
    assert world.texts("Xmpp") == [f"{PEER} up, session {at}" for at in (7, 8)]
    assert [line.text for line in world.traces.lines("Xmpp", 1)] == [f"{PEER} up, session 8"]
    world.traces.resize({"XMPP": 1})
    assert world.texts("Xmpp") == [f"{PEER} up, session 8"]
    with pytest.raises(UsageError, match=f"expected one of the buffers {sorted(RARE + COSTLY)[0]}"):
        world.traces.lines("nonsense")


def test_a_port_is_followed_through_all_parts(world: Traced) -> None:
    first, second = list(world.topology.vms)[:2]
    follow = world.traces.follow(PortSubject(world.uuid(first)))
    world.plug(second)
    assert follow.take() == []
    world.plug(first)
    lines = follow.take()
    parts = [line.part for line in lines]
    assert parts[0] == "Port"
    assert {"Port", "Oper", "Objects", "Writes"} <= set(parts)
    texts = "\n".join(line.text for line in lines)
    for words in ("wanted: vif ", "wanted: route ", "add vif ", "accepted: route "):
        assert words in texts
    assert f"vif {world.uuid(second)}" not in texts
    world.core.store.unplug(world.uuid(first))
    world.turn()
    texts = "\n".join(line.text for line in follow.take())
    for words in ("unplugged: port ", "no longer wanted: route ", "delete vif ", "deleted: vif "):
        assert words in texts
    world.traces.drop(follow)
    world.plug(first)
    assert follow.take() == []
    assert world.watched == [True, False]


def told(vrf: str, prefix: str) -> Routes:
    attributes = RouteAttributes((WAY,), "red", local_preference=100)
    update = RouteUpdate(inet_key(ip_network(prefix)), attributes)
    return Routes(PEER, 1, RouteBatch(RouteFamily.INET, vrf, [update]))


def test_a_prefix_is_followed_in_one_vrf_or_in_all(world: Traced) -> None:
    one = world.traces.follow(PrefixSubject(ip_network("10.9.0.0/16"), "red"))
    all_ = world.traces.follow(PrefixSubject(ip_network("10.9.0.0/16")))
    world.traces.controllers(
        [told("red", "10.9.0.0/16"), told("blue", "10.9.0.0/16"), told("red", "10.9.0.0/17")]
    )
    (line,) = one.take()
    assert line.text == (
        f"{PEER} tells INET 10.9.0.0/16 of red, by 10.0.0.9 label 42 udp, network red, "
        "preference 100, sequence 0"
    )
    assert len(all_.take()) == 2


def test_a_followed_port_sees_the_routes_to_its_address(world: Traced) -> None:
    name = next(iter(world.topology.vms))
    world.plug(name)
    row = world.core.compiler.vmi_by_uuid(world.uuid(name))
    assert row is not None
    assert row.vrf is not None
    follow = world.traces.follow(PortSubject(world.uuid(name), row))
    world.traces.controllers([told(row.vrf.name, f"{row.ip}/32"), told("other", f"{row.ip}/32")])
    assert [line.part for line in follow.take()] == ["Routes"]


def test_who_does_not_take_his_lines_loses_some(world: Traced) -> None:
    woken: list[None] = []
    follow = world.traces.follow(
        PrefixSubject(ip_network("10.9.0.0/16")), lambda: woken.append(None)
    )
    for _ in range(5100):
        world.traces.controllers([told("red", "10.9.0.0/16")])
    assert follow.lost == 100
    assert len(follow.take()) == 5000
    assert len(woken) == 1


def test_only_so_many_may_follow(world: Traced) -> None:
    subject = PrefixSubject(ip_network("10.9.0.0/16"))
    follows = [world.traces.follow(subject) for _ in range(MOST_FOLLOWS)]
    with pytest.raises(UsageError, match="end one first"):
        world.traces.follow(subject)
    world.traces.drop(follows[0])
    world.traces.follow(subject)


class TestSubjects:
    """Words of a request as subjects."""

    def test_each_kind(self, world: Traced) -> None:
        ports = world.core.compiler
        uuid = uuid4()
        flow = {"source": "10.0.0.1", "destination": "10.0.0.2", "protocol": "tcp"}
        assert isinstance(parse({"port": str(uuid)}, ports), PortSubject)
        assert str(parse({"prefix": "10.0.0.0/8", "vrf": "red"}, ports)) == (
            "prefix 10.0.0.0/8 of red"
        )
        assert isinstance(parse({**flow, "port": str(uuid)}, ports), FlowSubject)

    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"port": "tap1"},
            {"prefix": "10.0.0.1/8"},
            {"prefix": "x"},
            {"source": "10.0.0.1", "destination": "", "protocol": "tcp"},
        ],
    )
    def test_what_makes_no_sense(self, said: dict[str, str], world: Traced) -> None:
        with pytest.raises(AgentError):
            parse(said, world.core.compiler)

    def test_gateways_are_no_ports(self) -> None:
        subject = PortSubject(uuid4())
        assert not subject.port(Change(None, None))
        assert not subject.object(Key(Kind.VIF, "fabric"), ())


def test_a_flow_is_looked_at(world: Traced) -> None:
    world.plug()
    first, second = list(world.topology.vms.values())[:2]
    said = {
        "source": str(first.address),
        "destination": str(second.address),
        "protocol": "udp",
        "source_port": "1000",
        "destination_port": "53",
    }
    subject = parse(said, world.core.compiler)
    assert isinstance(subject, FlowSubject)
    look = FlowLook(subject, world.core.flows, world.core.compiler)
    verdict, entry = look.news()
    assert verdict.startswith("decision: ")
    assert entry == "no flow table"
    assert look.news() == []


def test_a_followed_port_sees_the_packets_that_services_get(world: Traced) -> None:
    world.plug()
    rows = [world.core.compiler.vmi_by_uuid(vm.port) for vm in world.topology.vms.values()]
    first, second = (row for row in rows[:2] if row is not None)
    follow = world.traces.follow(PortSubject(first.uuid, first))
    for row in (first, second):
        vif, mac = row.vif_index, bytes(row.mac)
        feed(world.core.trapped, request("discover", vif=vif, mac=mac))
    assert [str(line).split(" ", 1)[1] for line in follow.take()] == [
        f"Services: DHCP DISCOVER of vif {first.vif_index} from {first.mac}: answered"
    ]
    world.traces.switch("Services", True)
    feed(world.core.trapped, request("nak", vif=second.vif_index, mac=bytes(second.mac)))
    (text,) = world.texts("Services")
    assert text.startswith("DHCP ")
    assert text.endswith(f"of vif {second.vif_index} from {second.mac}: not answered")
