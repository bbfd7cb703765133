"""Two controllers: configuration from one, routes from both, failover, markers, sweeps."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.inputs import GraphNode
from agent.routes import RouteFamily
from agent.settings import Server, parse
from agent.xmpp import (
    ConfigComplete,
    ConfigServer,
    ConfigUpdate,
    EndOfRib,
    GracefulRestart,
    PeerDown,
    PeerTimedOut,
    PeerUp,
    Routes,
    State,
    SweepConfig,
    SweepRoutes,
    Timings,
    TreeBuilder,
    hold_time,
)
from tests.unit.xmpp.conversation import (
    END_OF_RIB,
    HEADER,
    IDENTITY,
    KEEPALIVE,
    OPEN,
    S1,
    S2,
    S3,
    World,
    config,
    kinds,
    route,
    routes,
    vector,
)

MACHINE, PORT, PORT2 = UUID(int=1), UUID(int=2), UUID(int=3)
ROUTER = IDENTITY.virtual_router()


def both(*, graceful: bool = True) -> World:
    """Both up, complete, quiet."""
    world = World(S1, S2, graceful=graceful)
    for each in (S1, S2):
        world.up(each)
        world.hears(each, END_OF_RIB)
    world.hears(S1, config())
    world.after(60)
    for each in (S1, S2):
        world.hears(each, KEEPALIVE)
        world.said(each)
    world.happened()
    return world


# Configuration


def test_the_first_controller_gives_the_configuration() -> None:
    world = World(S1, S2)
    said = world.up(S1)
    assert said == OPEN + KEEPALIVE + ROUTER
    assert world.happened() == []
    assert world.log == [
        PeerUp(S1, 1),
        ConfigServer(S1, 1),
        TreeBuilder(S1, 0, 1),
    ]
    assert world.up(S2) == OPEN + KEEPALIVE + IDENTITY.end_of_rib()
    assert world.hears(S2, config()) == []
    assert world.controllers.counters == {"config of another server": 1}
    (update,) = world.hears(S1, config())
    assert isinstance(update, ConfigUpdate)
    assert update.sequence == 1
    assert update.stanza.tag == "iq"


def test_messages_are_counted_over_all_sessions() -> None:
    world = World(S1)
    said = len(world.up(S1))
    for data in (config(), routes(), END_OF_RIB, KEEPALIVE):
        world.hears(S1, data)
    world.down(S1)
    said += len(world.up(S1))
    (view,) = world.controllers.views()
    told = view.messages
    assert (told.received, told.config, told.routes) == (3, 1, 2)
    assert told.sent == 2  # both times who we are
    assert told.sent_bytes == said
    assert told.received_bytes > len(config()) + len(routes()) + len(END_OF_RIB)
    assert told.keepalives == 1


def test_configuration_is_complete_when_quiet_and_swept_later() -> None:
    world = World(S1)
    world.up(S1)
    world.after(20)
    world.hears(S1, config())
    world.happened()
    assert world.after(14) == []
    assert world.after(6) == [ConfigComplete(1)]
    world.hears(S1, KEEPALIVE)
    world.after(50)
    world.hears(S1, KEEPALIVE)
    assert SweepConfig(1) not in world.log
    world.after(51)
    assert SweepConfig(1) in world.log


def test_configuration_that_never_came_is_complete_only_after_the_fallback() -> None:
    world = World(S1)
    world.up(S1)
    for _ in range(15):
        world.after(59)
        world.hears(S1, KEEPALIVE)
    assert ConfigComplete(1) not in world.log
    world.after(20)
    assert ConfigComplete(1) in world.log


def test_configuration_without_end_is_complete_after_the_fallback() -> None:
    world = World(S1)
    world.up(S1)
    for _ in range(90):
        assert ConfigComplete(1) not in world.log
        world.after(10)
        world.hears(S1, config())
    world.after(1)
    assert ConfigComplete(1) in world.log


def test_without_graceful_restart_a_quiet_poll_is_enough() -> None:
    world = World(S1, graceful=False)
    world.up(S1)
    world.hears(S1, config())
    assert ConfigComplete(1) in world.after(5)


def test_configuration_that_waits_to_be_read_is_no_silence() -> None:
    world = World(S1, graceful=False)
    world.up(S1)
    world.hears(S1, config())
    world.now += 6
    world.controllers.tick(world.now, {S1})
    assert ConfigComplete(1) not in world.controllers.events()
    world.hears(S1, config())
    assert ConfigComplete(1) in world.after(6)


def test_the_configuration_itself_may_ask_for_more_patience() -> None:
    world = World(S1, graceful=False)
    world.up(S1)
    world.hears(S1, config())
    world.controllers.restart_policy(GracefulRestart(enabled=True))
    assert world.after(14) == []
    assert world.after(2) == [ConfigComplete(1)]


def test_failover_of_the_configuration() -> None:
    world = both()
    world.controllers.subscribe_vm(MACHINE, PORT)
    assert world.said(S1) == IDENTITY.virtual_machine(MACHINE, subscribe=True)
    assert world.said(S2) == b""
    events = world.down(S1)
    assert events == [
        PeerDown(S1, "connection reset"),
        ConfigServer(S2, 2),
        TreeBuilder(S2, 1, 2),
    ]
    assert world.said(S2) == ROUTER + IDENTITY.virtual_machine(MACHINE, subscribe=True)
    (update,) = world.hears(S2, config())
    assert isinstance(update, ConfigUpdate)
    assert update.sequence == 2
    assert ConfigComplete(2) in world.after(20)
    world.hears(S2, KEEPALIVE)
    # The one that returns gives routes only.
    assert ROUTER not in world.up(S1)


def test_configuration_waits_for_a_controller() -> None:
    world = both()
    world.down(S2)
    assert ConfigServer(None, 1) in world.down(S1)
    world.after(30)
    assert ROUTER in world.up(S2)
    assert ConfigServer(S2, 2) in world.log
    assert SweepConfig(1) not in world.log


def test_a_change_of_server_stops_the_clean_up_of_the_old() -> None:
    world = both()
    world.after(5)
    world.down(S1)
    for _ in range(3):
        world.hears(S2, config())
        world.after(10)
    assert SweepConfig(1) not in world.log
    assert SweepConfig(2) not in world.log


# Routes


def test_routes_of_both_with_their_sequence() -> None:
    world = both()
    for each in (S1, S2):
        (event,) = world.hears(each, routes())
        assert isinstance(event, Routes)
        assert (event.peer, event.sequence, event.batch.vrf) == (each, 1, "vn1")


def test_a_malformed_route_message_ends_the_session() -> None:
    world = both()
    events = world.hears(S2, b'<message to="c/bgp-peer"><event></message>' + routes())
    assert kinds(events) == ["PeerDown"]
    assert world.state(S2) is State.ACTIVE
    assert world.controllers.counters["malformed route messages"] == 1


def test_trees_come_from_the_builder_only() -> None:
    world = both()
    tree = routes("192.0.2.1:3:255.255.255.255,0.0.0.0", "1/241")
    assert kinds(world.hears(S1, tree)) == ["Routes"]
    assert world.hears(S2, tree) == []
    assert world.controllers.counters == {"trees of another server": 1}


def test_trees_are_left_to_who_built_them_before() -> None:
    world = World(S1, S2)
    world.up(S1)
    world.happened()
    world.controllers.leave_trees_to(1)
    assert TreeBuilder(S1, 0, 1) in world.log
    assert world.happened() == [], "it may still come"
    world.up(S2)
    assert world.log[-1] == TreeBuilder(S2, 1, 2)
    world.down(S2)
    assert world.log[-1] == TreeBuilder(S1, 0, 3)
    world.controllers.leave_trees_to(None)
    world.up(S2)
    assert world.log[-1] == PeerUp(S2, 2), "later it does not matter any more"
    world.controllers.leave_trees_to(1)
    assert world.happened() == [TreeBuilder(S2, 1, 4)], "it is there already"


def test_reconnect_within_graceful_restart_sweeps_only_when_complete() -> None:
    world = both()
    world.down(S2)
    world.after(20)
    world.up(S2)
    assert PeerUp(S2, 2) in world.log
    world.hears(S2, routes())
    assert not any(isinstance(event, SweepRoutes) for event in world.happened())
    assert world.hears(S2, END_OF_RIB) == [EndOfRib(S2, 2, True), SweepRoutes(S2, 2)]
    assert world.hears(S2, END_OF_RIB) == []


def test_the_end_of_rib_is_assumed_in_the_end() -> None:
    world = World(S1)
    world.up(S1)
    assert EndOfRib(S1, 1, False) not in world.after(59)
    assert EndOfRib(S1, 1, False) in world.after(2)
    assert SweepRoutes(S1, 1) in world.log


def test_the_configured_end_of_rib_timeout_wins() -> None:
    world = World(S1)
    world.controllers.restart_policy(GracefulRestart(True, end_of_rib_timeout=30))
    world.up(S1)
    assert EndOfRib(S1, 1, False) in world.after(31)


def test_graceful_restart_keeps_the_routes_of_one_for_the_stale_time() -> None:
    world = both()
    world.controllers.restart_policy(
        GracefulRestart(True, end_of_rib_timeout=30, long_lived_time=300)
    )
    world.down(S2)
    for _ in range(8):
        world.hears(S1, KEEPALIVE)
        world.after(40)
    assert SweepRoutes(S2, 2) not in world.log
    world.hears(S1, KEEPALIVE)
    world.after(11)
    assert SweepRoutes(S2, 2) in world.log


def test_without_graceful_restart_the_other_makes_up_at_once() -> None:
    world = both(graceful=False)
    assert SweepRoutes(S2, 2) in world.down(S2)


def test_headless_keeps_everything_until_the_stale_time() -> None:
    world = both(graceful=False)
    world.down(S2)
    events = world.down(S1)
    assert not any(isinstance(event, SweepRoutes | SweepConfig) for event in events)
    late = world.after(2592000 - 10)
    assert not any(isinstance(event, SweepRoutes | SweepConfig) for event in late)
    assert SweepRoutes(S1, 2) in world.after(20)


def test_after_headless_the_first_complete_controller_makes_up_for_all() -> None:
    world = both(graceful=False)
    world.down(S2)
    world.down(S1)
    world.after(100)
    world.up(S2)
    assert not any(isinstance(event, SweepRoutes) for event in world.happened())
    assert world.hears(S2, END_OF_RIB) == [
        EndOfRib(S2, 2, True),
        SweepRoutes(S2, 2),
        SweepRoutes(S1, 2),
    ]


# What controllers are told


def test_a_vrf_is_joined_before_its_routes_and_left_after_them() -> None:
    world = both()
    world.controllers.publish(route(3))
    assert world.said(S1) == b""
    world.controllers.subscribe_vrf("vn1", 3)
    joined = IDENTITY.vrf("vn1", 3, 0, subscribe=True)
    assert world.said(S1) == world.said(S2) == joined + b"[+3 21]"
    world.controllers.unsubscribe_vrf("vn1")
    left = IDENTITY.vrf("vn1", 3, 1, subscribe=False)
    assert world.said(S1) == b"[-3 21]" + left
    world.controllers.subscribe_vrf("vn1", 3)
    assert world.said(S1) == IDENTITY.vrf("vn1", 3, 2, subscribe=True)


def test_a_vrf_that_was_left_unsaid_is_joined_anew() -> None:
    """Its routes were dropped meanwhile: only a new subscription brings them again."""
    world = both()
    world.controllers.subscribe_vrf("vn1", 3)
    world.controllers.publish(route(3))
    world.said(S1)
    world.controllers.unsubscribe_vrf("vn1")
    world.controllers.subscribe_vrf("vn1", 3)
    world.controllers.publish(route(3))
    assert world.said(S1) == (
        b"[-3 21]"
        + IDENTITY.vrf("vn1", 3, 1, subscribe=False)
        + IDENTITY.vrf("vn1", 3, 2, subscribe=True)
        + b"[+3 21]"
    )
    world.controllers.subscribe_vrf("vn1", 3)
    assert world.said(S1) == b"", "still joined"


def test_a_vrf_with_another_index_is_joined_anew() -> None:
    world = both()
    world.controllers.subscribe_vrf("vn1", 3)
    world.controllers.publish(route(3))
    world.said(S1)
    world.controllers.subscribe_vrf("vn1", 4)
    assert world.said(S1) == (
        b"[-3 21]"
        + IDENTITY.vrf("vn1", 3, 1, subscribe=False)
        + IDENTITY.vrf("vn1", 4, 2, subscribe=True)
        + b"[+3 21]"
    )


def test_what_is_withdrawn_is_what_was_published() -> None:
    world = both()
    world.controllers.subscribe_vrf("vn1", 3)
    world.controllers.publish(route(3, label=21))
    world.said(S1)
    world.controllers.publish(route(3, label=22))
    world.controllers.withdraw(RouteFamily.INET, "vn1", route(3).key)
    assert world.said(S1) == b"[-3 21]"
    # The other was slower and never heard of it.
    assert world.said(S2) == IDENTITY.vrf("vn1", 3, 0, subscribe=True)


def test_equal_routes_are_not_said_twice() -> None:
    world = both()
    world.controllers.subscribe_vrf("vn1", 3)
    world.controllers.publish(route(3))
    world.said(S1)
    world.controllers.publish(route(3))
    world.controllers.publish(route(4))
    assert world.said(S1) == b"[+4 21]"


def test_a_new_session_is_told_everything_again() -> None:
    world = both()
    world.controllers.subscribe_vrf("vn1", 3)
    world.controllers.publish(route(3))
    world.said(S2)
    world.down(S2)
    world.controllers.publish(route(4))
    said = world.up(S2)
    joined = IDENTITY.vrf("vn1", 3, 1, subscribe=True)
    assert said == OPEN + KEEPALIVE + joined + b"[+3 21][+4 21]" + IDENTITY.end_of_rib()


def test_tree_routes_go_to_the_builder_only() -> None:
    world = both()
    world.controllers.subscribe_vrf("vn1", 3)
    world.controllers.publish(route(9, family=RouteFamily.ERMVPN))
    assert world.said(S1).endswith(b"[+9 21]")
    assert b"[+9" not in world.said(S2)
    world.down(S1)
    world.controllers.publish(route(9, label=22, family=RouteFamily.ERMVPN))
    assert world.said(S2).endswith(b"[+9 22]")


def test_a_vm_is_asked_for_while_it_has_ports() -> None:
    world = both()
    world.controllers.subscribe_vm(MACHINE, PORT)
    world.controllers.subscribe_vm(MACHINE, PORT2)
    assert world.said(S1) == IDENTITY.virtual_machine(MACHINE, subscribe=True)
    world.controllers.unsubscribe_vm(MACHINE, PORT)
    assert world.said(S1) == b""
    world.controllers.unsubscribe_vm(MACHINE, PORT2)
    assert world.said(S1) == IDENTITY.virtual_machine(MACHINE, subscribe=False)
    world.controllers.unsubscribe_vm(MACHINE, PORT2)
    assert world.said(S1) == world.said(S2) == b""


def test_the_end_of_rib_follows_the_routes_once_they_are_quiet() -> None:
    world = World(S1)
    world.up(S1)
    world.hears(S1, config())
    world.controllers.subscribe_vrf("vn1", 3)
    world.controllers.publish(route(3))
    world.said(S1)
    world.after(14)
    world.controllers.publish(route(4))
    assert IDENTITY.end_of_rib() not in world.said(S1)
    world.after(14)
    assert IDENTITY.end_of_rib() not in world.said(S1)
    world.after(7)
    assert world.said(S1).endswith(IDENTITY.end_of_rib())
    world.hears(S1, KEEPALIVE)
    world.after(60)
    assert IDENTITY.end_of_rib() not in world.said(S1)


def test_the_end_of_rib_without_any_route() -> None:
    world = World(S1)
    world.up(S1)
    world.hears(S1, config())
    world.after(55)
    assert IDENTITY.end_of_rib() not in world.said(S1)
    world.hears(S1, KEEPALIVE)
    world.after(10)
    assert IDENTITY.end_of_rib() in world.said(S1)


def test_much_is_said_in_portions() -> None:
    world = both()
    world.controllers.subscribe_vrf("v" * 4000, 1)
    for number in range(200):
        world.controllers.subscribe_vrf("v" * 4000 + str(number), number)
    portion = world.controllers.data_to_send(S1, world.now)
    assert 256 << 10 <= len(portion) < 280 << 10
    assert len(portion + world.said(S1)) > 800_000


# The list


def test_a_changed_list_reconnects_only_what_changed() -> None:
    world = both()
    world.controllers.configure([S3, S1], world.now)
    assert world.state(S1) is State.ESTABLISHED
    assert set(world.controllers.servers) == {S1, S3}
    assert world.happened() == [PeerDown(S2, "stopped")]
    view = {row.server: row for row in world.controllers.views()}
    assert view[S1].slot == 0
    assert view[S1].config
    assert view[S3].slot == 1
    # The replaced one's routes stay until the replacement is complete.
    world.up(S3)
    assert SweepRoutes(S2, 2) not in world.happened()
    assert SweepRoutes(S2, 2) in world.hears(S3, END_OF_RIB)


def test_the_same_servers_in_another_order_change_nothing() -> None:
    world = both()
    world.controllers.configure([S2, S1, S2], world.now)
    assert world.happened() == []
    assert [row.server for row in world.controllers.views()] == [S1, S2]


def test_an_empty_list_disconnects_and_keeps_what_is_known() -> None:
    world = both()
    world.controllers.configure([], world.now)
    assert kinds(world.happened()) == [
        "PeerDown",
        "ConfigServer",
        "TreeBuilder",
        "PeerDown",
        "ConfigServer",
        "TreeBuilder",
    ]
    assert not world.controllers.servers
    assert SweepRoutes(S1, 2) not in world.after(1000)


def test_a_server_without_replacement_is_made_up_for_by_the_other() -> None:
    world = both()
    world.controllers.configure([S1], world.now)
    assert world.happened() == [PeerDown(S2, "stopped"), SweepRoutes(S2, 2)]


def test_the_third_takes_the_place_of_one_that_cannot_be_reached() -> None:
    world = World(S1, S2, S3)
    world.up(S2)
    for _ in range(4):
        world.dial(S1)
        world.controllers.disconnected(S1, world.now, "refused")
    assert PeerTimedOut(S1, 4, "refused", True) in world.happened()
    assert set(world.controllers.servers) == {S2, S3}
    world.up(S3)
    assert world.controllers.views()[0].server == S3


def test_two_that_cannot_be_reached_are_tried_on_and_on() -> None:
    world = World(S1, S2)
    for _ in range(6):
        world.dial(S1)
        world.controllers.disconnected(S1, world.now, "refused")
    world.happened()
    found = [event for event in world.log if isinstance(event, PeerTimedOut) and event.peer == S1]
    assert [event.attempts for event in found] == [4, 5, 6]
    assert not any(event.replaced for event in found)


def test_the_hold_time_reaches_running_and_new_sessions() -> None:
    world = both()
    world.controllers.hold_time(9, world.now)
    world.controllers.configure([S1, S3], world.now)
    world.up(S3)
    assert kinds(world.after(9)).count("PeerDown") == 2


def test_timings_of_the_configuration_file() -> None:
    text = "[LLGR]\nstale_config_cleanup_time = 7\nend_of_rib_tx_inactivity_time = 3\n"
    timings = Timings.of(parse(text))
    assert timings.stale_config_cleanup == 7
    assert timings.end_of_rib_tx_inactivity == 3
    assert timings.llgr_stale == 2592000


def test_what_the_global_configuration_says() -> None:
    def system(**properties: object) -> GraphNode:
        named = {key.replace("_", "-"): value for key, value in properties.items()}
        return GraphNode("global-system-config", "default-global-system-config", named)

    values = {"enable": True, "end-of-rib-timeout": 30, "long-lived-restart-time": 300}
    node = system(graceful_restart_parameters=values | {"xmpp-helper-enable": True})
    assert GracefulRestart.of(node) == GracefulRestart(True, 30, 300)
    node = system(graceful_restart_parameters=values)
    assert not GracefulRestart.of(node).enabled
    assert GracefulRestart.of(None) == GracefulRestart.of(system()) == GracefulRestart()
    fast = {"enable": True, "xmpp-hold-time": 9}
    assert hold_time(system(fast_convergence_parameters=fast)) == 9
    assert hold_time(system(fast_convergence_parameters=fast | {"enable": False})) == 90
    assert hold_time(None) == hold_time(system()) == 90


ACTIONS = st.one_of(
    st.tuples(
        st.sampled_from(["up", "down", "end", "routes", "config"]), st.sampled_from([S1, S2, S3])
    ),
    st.tuples(st.just("after"), st.integers(0, 100)),
    st.tuples(st.just("list"), st.lists(st.sampled_from([S1, S2, S3]), max_size=3)),
)


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.lists(ACTIONS, max_size=25))
def test_promises_in_any_history(graceful: bool, actions: list[tuple[str, object]]) -> None:
    """Routes are swept only below a sequence that is over; configuration only once complete."""
    world = World(S1, S2, graceful=graceful)
    for action, argument in actions:
        server = argument if isinstance(argument, Server) else S1
        known = server in world.controllers.servers
        ready = known and world.controllers.channel(server).ready
        match action:
            case "after" if isinstance(argument, int):
                world.after(argument)
            case "list" if isinstance(argument, list):
                world.controllers.configure(argument, world.now)
            case "up" if known and not ready:
                world.up(server)
            case "down" if ready:
                world.down(server)
            case "end" | "routes" | "config" if ready:
                data = {"end": END_OF_RIB, "routes": routes(), "config": config()}[action]
                world.hears(server, data)
        world.happened()
    check_history(world)


def check_history(world: World) -> None:
    up: dict[Server, int] = {}
    complete: set[int] = set()
    sequence = 0
    for event in world.log:
        match event:
            case PeerUp(peer, number):
                assert peer not in up
                assert number > 0
                up[peer] = number
            case PeerDown(peer):
                del up[peer]
            case Routes(peer, number):
                assert up[peer] == number
            case SweepRoutes(peer, below):
                assert below <= up.get(peer, below)
            case ConfigServer(peer, number):
                assert (number == sequence + 1) == (peer is not None)
                assert peer is None or peer in up
                sequence = number
            case ConfigComplete(number) | ConfigUpdate(number):
                assert number == sequence
                if isinstance(event, ConfigComplete):
                    complete.add(number)
            case SweepConfig(number):
                assert number == sequence
                assert number in complete
            case TreeBuilder(peer):
                assert peer is None or peer in up


@pytest.mark.parametrize("size", [1, 13])
def test_a_session_in_small_pieces(size: int) -> None:
    world = World(S1)
    world.dial(S1)
    world.controllers.connected(S1, world.now)
    world.hears(S1, HEADER, size)
    world.hears(S1, vector("20-config-out-of-order-and-resync.xml"), size)
    world.hears(S1, KEEPALIVE + vector("12-controller-inet-update.xml") + END_OF_RIB, size)
    assert kinds(world.log) == [
        "PeerUp",
        "ConfigServer",
        "TreeBuilder",
        "ConfigUpdate",
        "ConfigUpdate",
        "ConfigUpdate",
        "Routes",
        "EndOfRib",
        "SweepRoutes",
    ]
