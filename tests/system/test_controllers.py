"""An agent with two controllers: real processes on real sockets, and what happens to traffic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import Sandbox
from tests.system.controlled import TUNNEL, Before, ControlNode, Site, site, until

IN_SYNC = 'event="in sync"'


@pytest.fixture
def there(sandbox: Sandbox, tmp_path: Path) -> Iterator[Site]:
    yield from site(sandbox, tmp_path)


def config_server(there: Site) -> tuple[ControlNode, ControlNode]:
    """The controller that serves the configuration, and the other one."""
    one, two = there.controllers
    agent = until(one.agent, "a session")
    return (one, two) if agent.machines is not None else (two, one)


def test_configuration_and_routes_arrive(there: Site) -> None:
    one, two = there.controllers
    assert there.ping()
    assert "10.1.1.3" in there.lease()
    far = there.far_agent()
    far.publish("10.1.1.9")
    route = until(lambda: there.route("10.1.1.9"), "the route of the other host")
    assert (route.kind, route.far, route.label) == (TUNNEL, "10.0.0.2", 77)
    for controller in (one, two):
        assert {"10.1.1.3/32", "10.1.1.4/32"} <= controller.ours()
        assert controller.state.violations == []
    far.withdraw("10.1.1.9")
    until(lambda: there.route("10.1.1.9") is None, "the route gone")


def test_an_unplugged_port_is_forgotten_everywhere(there: Site) -> None:
    serving, other = config_server(there)
    red1, red2 = there.vms["red1"], there.vms["red2"]
    assert set(serving.agent().machines) == {str(red1.uuid), str(red2.uuid)}
    there.unplug(red2)
    until(lambda: serving.agent().machines == [str(red1.uuid)], lambda: serving.state)
    for controller in (serving, other):
        until(lambda one=controller: f"{red2.address}/32" not in one.ours(), controller.ours)
        assert f"{red1.address}/32" in controller.ours()
    until(lambda: red2.tap not in there.taps(), "the interface gone")
    assert there.route(str(red2.address)) is None


def test_a_killed_controller_costs_nothing(there: Site) -> None:
    serving, other = config_server(there)
    far = there.far_agent()
    far.publish("10.1.1.9")
    there.far_route("10.1.1.9")
    before = Before(there)
    with there.pinging():
        serving.process.kill()
        there.agent.says('event="configuration complete"', before.mark)
        there.agent.says('event="stale configuration dropped"', before.mark)
        before.assert_untouched()
        serving.start()
        until(lambda: serving.knows(), lambda: serving.state)
        there.agent.says('event="routes complete"', before.mark)
    assert until(other.agent, "session").machines is not None
    assert until(serving.agent, "session").machines is None
    before.assert_untouched()


def test_without_controllers_everything_goes_on(there: Site) -> None:
    """Headless: what was known stays, and is dropped only once a new set is complete."""
    one, two = there.controllers
    far = there.far_agent()
    far.publish("10.1.1.8")
    far.publish("10.1.1.9")
    there.far_route("10.1.1.8")
    there.far_route("10.1.1.9")
    before = Before(there)
    with there.pinging():
        one.process.kill()
        two.process.kill()
        until(
            lambda: len(there.agent.said('event="controller down"', before.mark)) == 2, "both lost"
        )
        assert "10.1.1.3" in there.lease()
        assert there.ping(3)
        before.assert_untouched()
        two.start()
        two.tell("withhold", "end-of-rib")
        there.far_agent(two).publish("10.1.1.9")
        until(lambda: two.knows(), lambda: two.state)
        there.agent.says('event="configuration complete"', before.mark)
        assert there.route("10.1.1.8"), "kept until the end of the routes"
        assert before.changes() == []
        two.tell("release")
        until(lambda: there.route("10.1.1.8") is None, "the stale route dropped")
        there.agent.says('event="routes complete"', before.mark)
    assert there.route("10.1.1.9")
    there.settled()
    [change] = before.changes()
    assert "10.1.1.8/32" in change, change


def test_a_changed_list_keeps_the_session_that_stays(there: Site) -> None:
    one, two = there.controllers
    seconds = until(one.agent, "a session").seconds
    before = Before(there)
    there.configure(one)
    there.agent.signal("HUP")
    until(lambda: two.agent() is None, "the session that is not used any more ends")
    there.agent.says('event="configuration reloaded"', before.mark)
    there.configure(one, two)
    there.agent.signal("HUP")
    until(lambda: two.knows(), lambda: two.state)
    assert until(one.agent, "a session").seconds > seconds, "a new session"
    assert f"{one.address}" not in "".join(there.agent.said('event="controller', before.mark))
    before.assert_untouched()


def test_an_agent_that_restarts_writes_nothing(there: Site) -> None:
    far = there.far_agent()
    far.publish("10.1.1.8")
    far.publish("10.1.1.9")
    there.far_route("10.1.1.8")
    there.far_route("10.1.1.9")
    before = Before(there)
    with there.pinging():
        there.agent.kill()
        there.agent.start()
        there.agent.says(IN_SYNC, before.mark)
    until(
        lambda: len(there.agent.said('event="routes complete"', before.mark)) == 2, "both complete"
    )
    assert before.changes() == []
    assert there.writes() == 0, "not even trees: who built them before builds them again"
    assert "10.1.1.3" in there.lease()


def test_an_agent_that_starts_without_controllers_touches_nothing(there: Site) -> None:
    one, two = there.controllers
    far = there.far_agent()
    far.publish("10.1.1.9")
    there.far_route("10.1.1.9")
    before = Before(there)
    with there.pinging():
        there.agent.kill()
        one.process.kill()
        two.process.kill()
        there.agent.start()
        there.agent.says('event="datapath read"', before.mark)
        there.agent.says("replayed=2", before.mark)
        for _ in range(20):
            assert before.changes() == []
        for controller in (one, two):
            controller.start()
        there.far_agent(two).publish("10.1.1.9")
        there.agent.says(IN_SYNC, before.mark)
    before.assert_restarted()


def test_an_address_follows_the_newer_sequence_number(there: Site) -> None:
    far = there.far_agent()
    local = there.route("10.1.1.4")
    assert local is not None
    assert local.far == ""
    there.quiet("red2", True)  # it has moved away: nobody here answers for it
    far.publish("10.1.1.4", sequence=50, preference=200)
    there.far_route("10.1.1.4")
    there.quiet("red2", False)
    assert there.box.run("arping", "-c1", "-w5", "-I", "eth0", "10.1.1.3", netns="red2")
    until(lambda: there.route("10.1.1.4") == local, lambda: there.route("10.1.1.4"))
    there.quiet("red2", True)
    far.publish("10.1.1.4", sequence=20, preference=200)  # older than where it is now
    far.publish("10.1.1.9")
    there.far_route("10.1.1.9")
    assert there.route("10.1.1.4") == local
