"""Controllers that flap, hold back, repeat and delay: the agent keeps what it has, and waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import Sandbox
from tests.system.controlled import Before, Site, site, until

pytestmark = pytest.mark.system
COMPLETE = 'event="routes complete"'


@contextmanager
def brought_up(directory: Path, **options: Any) -> Iterator[Site]:
    box = Sandbox()
    try:
        yield from site(box, directory, **options)
    finally:
        box.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Site]:
    with brought_up(tmp_path) as made:
        yield made


@pytest.fixture
def graceful(tmp_path: Path) -> Iterator[Site]:
    with brought_up(tmp_path, graceful=True) as made:
        yield made


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Site]:
    with brought_up(tmp_path, llgr={"end_of_rib_rx_fallback_time": 2}) as made:
        yield made


def test_flapping_delayed_and_repeating_controllers_change_nothing(there: Site) -> None:
    one, two = there.controllers
    before = Before(there)
    with there.pinging():
        one.tell("delay", "200")
        one.tell("repeat", "50")
        one.tell("flap", "3", "0.3")
        two.tell("repeat", "50")
        there.agent.says('event="controller down"', before.mark)
        one.tell("delay", "0")
        two.tell("flap", "2", "0.2")
        there.back(before.mark)
    downs = there.agent.said('event="controller down"', before.mark)
    before.assert_untouched(builders=2 * len(downs))
    for controller in (one, two):
        assert controller.state.violations == []


def test_a_restarted_agent_waits_for_the_whole_configuration(there: Site) -> None:
    one, two = there.controllers
    before = Before(there)
    for controller in (one, two):
        controller.tell("withhold", "config")
    with there.pinging():
        there.agent.kill()
        there.agent.start()
        until(lambda: len(there.agent.said(COMPLETE, before.mark)) == 2, "the ends of the routes")
        assert there.agent.said('event="configuration complete"', before.mark) == []
        assert there.agent.said('event="in sync"', before.mark) == []
        assert before.changes() == []
    for controller in (one, two):
        controller.tell("release")
    there.agent.says('event="in sync"', before.mark)
    before.assert_restarted()


def test_an_end_of_routes_that_never_comes_is_waited_for_no_longer_than_told(
    impatient: Site,
) -> None:
    one, two = impatient.controllers
    far = impatient.far_agent()
    far.publish("10.1.1.9")
    impatient.far_route("10.1.1.9")
    before = Before(impatient)
    for controller in (one, two):
        controller.tell("stop")
        controller.tell("withhold", "end-of-rib")
    assert impatient.route("10.1.1.9")
    for controller in (one, two):
        controller.tell("start")
    line = impatient.agent.says(COMPLETE, before.mark)
    assert "told=false" in line
    until(lambda: impatient.route("10.1.1.9") is None, "the stale route dropped")
    assert one.state.withheld == ["end-of-rib"]


def test_with_graceful_restart_a_lost_controller_is_waited_for(graceful: Site) -> None:
    """Only one controller knows a route. It is kept until that one is back without it."""
    one, two = graceful.controllers
    graceful.far_agent(two).publish("10.1.1.8")
    far = graceful.far_agent(one)
    far.publish("10.1.1.9")
    graceful.far_route("10.1.1.8")
    graceful.far_route("10.1.1.9")
    before = Before(graceful)
    with graceful.pinging():
        one.process.kill()
        graceful.agent.says('event="controller down"', before.mark)
        far.close()
        assert two.agent()
        before.assert_untouched()
        one.start()
        one.tell("withhold", "end-of-rib")
        until(lambda: one.knows(), lambda: one.state)
        assert graceful.route("10.1.1.9")
        one.tell("release")
        until(lambda: graceful.route("10.1.1.9") is None, "the stale route dropped")
    [change] = before.changes()
    assert "route 10.1.1.9/32 " in change, change
