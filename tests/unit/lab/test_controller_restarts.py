"""The lab controller: ends of RIB, restarts, rules, and faults by command."""

from __future__ import annotations

import re

import pytest

from agent.errors import UsageError
from agent.lab.controller import wire
from agent.lab.controller.messages import (
    Delay,
    Flap,
    Kind,
    Release,
    Reload,
    Repeat,
    Status,
    Withhold,
    command_of,
    line,
    read_command,
)
from tests.unit.lab.controller_scene import MARKER, RED, Lab, lab, parsed

__all__ = ["lab"]  # the fixture

# End of RIB, restarts


def test_a_quiet_channel_is_told_the_end_of_rib_once(lab):
    one = lab.agent("one").vrf(RED)
    lab.wait(5)
    one.inet(RED, "10.1.1.3/32")
    one.take()
    lab.wait(5)
    assert one.told() == []
    lab.wait(1.1)
    assert one.told() == [MARKER]
    lab.wait(60)
    assert one.told() == []


def test_a_channel_that_is_never_quiet_is_told_in_the_end():
    lab = Lab(end_of_rib=20.0)
    one = lab.agent("one").vrf(RED)
    for step in range(21):
        one.inet(RED, "10.1.1.3/32", 17 + step)
        lab.wait(1)
    assert MARKER in one.told()


def test_routes_of_an_agent_that_left_are_retracted_at_once(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    two.take()
    one.lose()
    assert two.told() == [(f"1/1/{RED}", "10.1.1.3/32")]


def test_graceful_restart_keeps_routes_for_its_time():
    lab = Lab(parsed(graceful_restart={"restart_time": 30}))
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    two.take()
    one.lose()
    lab.wait(29)
    assert two.told() == [MARKER]
    assert lab.state().stale == ["one"]
    lab.wait(1.1)
    assert two.told() == [(f"1/1/{RED}", "10.1.1.3/32")]
    assert lab.state().stale == []


def test_an_agent_that_comes_back_sweeps_what_it_does_not_say_again():
    lab = Lab(stale=60.0)
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    one.inet(RED, "10.1.1.9/32", 18)
    two.take()
    one.lose()
    lab.wait(1)
    again = lab.agent("one").vrf(RED)
    again.inet(RED, "10.1.1.3/32", 17)
    assert two.told() == []
    lab.wait(7)
    assert two.told() == [MARKER, (f"1/1/{RED}", "10.1.1.9/32")]


# Rules


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (lambda agent: agent.inet(RED, "10.1.1.3/32"), "no subscription"),
        (lambda agent: agent.vrf(RED).vrf(RED), "subscribed twice"),
        (lambda agent: agent.vrf(RED, verb="unsubscribe"), "not subscribed"),
        (
            lambda agent: agent.vrf(RED).vrf(RED, verb="unsubscribe").inet(RED, "10.1.1.3/32"),
            "no subscription",
        ),
    ],
)
def test_what_closes_a_channel(say, why):
    strict, lenient = Lab(), Lab(strict=False)
    for one in (strict, lenient):
        say(one.agent("one"))
        assert why in one.state().violations[0]
    assert why in strict.agents[0].session.closed
    assert not lenient.agents[0].session.closed


@pytest.mark.parametrize(
    "say",
    [
        lambda agent: agent.inet(RED, "10.1.1.3/32", label="x"),
        lambda agent: agent.inet(RED, "10.1.1.3/33"),
        lambda agent: agent.tree(RED, 0, 0),
        lambda agent: agent.inet(RED, "10.1.1.3/32", verb="dissociate"),
    ],
)
def test_a_bad_item_is_counted_and_the_channel_stays(lab, say):
    one = lab.agent("one").vrf(RED)
    say(one)
    assert not one.session.closed
    assert lab.state().violations
    assert one.told() == []


def test_a_collection_without_its_publish_does_nothing(lab):
    one = lab.agent("one").vrf(RED)
    one.ask(
        "bgp-peer", f'<collection node="{RED}"><associate node="1/1/x/1.1.1.1/32" /></collection>'
    )
    assert one.told() == []
    assert not one.session.closed


# Faults by command


def test_stop_forgets_and_start_serves_again(lab):
    one = lab.agent("one").vrf(RED)
    one.inet(RED, "10.1.1.3/32")
    lab.controller.stop()
    lab.pump()
    assert one.session.closed
    assert not lab.state().serving
    assert lab.state().routes == {}
    lab.controller.start()
    two = lab.agent("two").vrf(RED)
    assert lab.state().serving
    assert two.told() == []


def test_flapping_by_the_clock(lab):
    lab.controller.flap(2, 1.0, lab.now)
    seen = []
    for _ in range(5):
        lab.pump()
        seen.append(lab.controller.serving)
        lab.wait(1.0)
    assert seen == [False, True, False, True, True]


def test_delay_keeps_the_order(lab):
    one = lab.agent("one")
    one.take()
    lab.controller.delay = 0.5
    one.vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    lab.wait(0.1)
    lab.controller.delay = 0.0
    one.inet(RED, "10.1.1.3/32", 18)
    assert one.told() == []
    lab.wait(0.5)
    assert [row[2] for row in one.told()] == ["10.0.0.1 17", "10.0.0.1 18"]


def test_what_is_withheld_comes_with_its_release(lab):
    lab.controller.withheld = {Kind.ROUTES, Kind.CONFIG, Kind.END_OF_RIB}
    one = lab.agent("one").router().vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    lab.wait(10)
    assert re.sub(rb"<stream:stream[^>]*>|<\?xml[^>]*>|\xc8\x80|\n", b"", one.take()) == b""
    lab.controller.withheld = {Kind.END_OF_RIB}
    lab.pump()
    assert one.told() == [(f"1/1/{RED}", "10.1.1.3/32", "10.0.0.1 17")]
    assert lab.state().agents[0].nodes == 3
    lab.controller.withheld = set()
    lab.wait(7)
    assert one.told() == [MARKER]


def test_withheld_keepalives(lab):
    lab.controller.withheld = {Kind.KEEPALIVE}
    one = lab.agent("one")
    lab.wait(80)
    assert wire.KEEPALIVE not in one.take()


def test_the_last_stanzas_again(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    one.inet(RED, "10.1.1.4/32", 18)
    one.take()
    two.take()
    assert lab.controller.repeat(1, "one", lab.now) == 1
    lab.pump()
    assert one.told() == [(f"1/1/{RED}", "10.1.1.4/32", "10.0.0.1 18")]
    assert two.told() == []
    assert lab.controller.repeat(9, None, lab.now) == 4


def test_closing_one_agent(lab):
    one, two = lab.agent("one"), lab.agent("two")
    lab.controller.close("one")
    lab.pump()
    assert one.session.closed
    assert not two.session.closed
    with pytest.raises(UsageError, match="connected: two"):
        lab.controller.close("one")


def test_routes_for_the_operator(lab):
    lab.agent("one").vrf(RED).inet(RED, "10.1.1.3/32", 17)
    (route,) = lab.controller.routes(RED)
    assert (route.family, route.route, route.nexthops) == (
        "inet",
        "10.1.1.3/32",
        {"one": "10.0.0.1 17"},
    )
    assert lab.state().routes == {RED: {"inet": 1}}
    assert lab.controller.routes("nowhere") == []


# Commands


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("status", Status()),
        ("delay 250", Delay(250.0)),
        ("flap 3 0.5", Flap(3, 0.5)),
        ("withhold routes end-of-rib", Withhold([Kind.ROUTES, Kind.END_OF_RIB])),
        ("release", Release([])),
        ("repeat 5", Repeat(5)),
        ("repeat 5 one", Repeat(5, "one")),
        ("reload /x.yaml", Reload("/x.yaml")),
    ],
)
def test_commands_from_words_and_lines(words, command):
    assert command_of(words.split()) == command
    assert read_command(line(command)) == command


@pytest.mark.parametrize(
    "words", ["", "explode", "delay", "delay soon", "delay 1 2", "withhold air", "flap 1"]
)
def test_wrong_words_are_answered_with_the_usage(words):
    with pytest.raises(UsageError, match="delay MS"):
        command_of(words.split())
