"""When what was learned is whole enough to be written, and to sweep what is left over."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from agent.daemon.progress import Progress
from agent.settings import Server

ONE, TWO, THREE = (Server(IPv4Address(f"192.0.2.{number}"), 5269) for number in (1, 2, 3))
QUIET = 2.5


SOON = 0.1
"""Later than the second look, which makes sure."""


def settles(progress: Progress, now: float) -> bool:
    """Whether it is settled by two looks shortly after each other."""
    progress.settled(now)
    return progress.settled(now + SOON)


def configured(progress: Progress, now: float) -> None:
    """The configuration is complete, and a turn sees it."""
    progress.configuration_complete(now)
    progress.turn(now, lambda: False)


def completes(progress: Progress, now: float) -> bool:
    progress.complete(now)
    return progress.complete(now + SOON)


@pytest.fixture
def progress() -> Progress:
    made = Progress(QUIET)
    made.use([ONE, TWO])
    return made


def test_nothing_is_awaited_without_controllers() -> None:
    progress = Progress(QUIET)
    progress.standalone()
    assert progress.configured
    assert progress.settled(0)
    assert progress.complete(0)
    assert progress.deadline(0) is None


def test_a_silent_start_completes_nothing(progress: Progress) -> None:
    progress.silent(ONE)
    progress.silent(TWO)
    assert not progress.configured
    assert not progress.settled(1e9)
    assert not progress.complete(1e9)


def test_both_must_have_told_all(progress: Progress) -> None:
    progress.up(ONE, 0)
    progress.up(TWO, 1)
    configured(progress, 5)
    assert progress.deadline(5) == 5 + QUIET
    progress.routes(6)
    assert not settles(progress, 6 + QUIET - SOON - 0.01)
    assert settles(progress, 6 + QUIET)
    assert not completes(progress, 20)
    progress.whole(ONE)
    assert not completes(progress, 20)
    progress.whole(TWO)
    assert completes(progress, 20)


def test_an_early_end_marker_is_not_enough(progress: Progress) -> None:
    """It came before the configuration told which VRFs to join."""
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
    assert not progress.complete(4)
    configured(progress, 5)
    assert not completes(progress, 5)
    assert completes(progress, 5 + QUIET)


def test_configuration_of_ports_is_waited_for(progress: Progress) -> None:
    """A slow controller is silent at times; but it may be right, so not for ever."""
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
    progress.configuration_complete(5)
    progress.turn(5, lambda: True)
    assert not progress.configured
    assert progress.deadline(5) == 5 + 12 * QUIET
    progress.turn(9, lambda: True)
    assert not completes(progress, 9 + 4 * QUIET)
    progress.turn(20, lambda: False)
    assert progress.configured
    assert settles(progress, 20 + QUIET)


def test_configuration_of_ports_that_never_comes_is_not_waited_for(progress: Progress) -> None:
    progress.configuration_complete(5)
    progress.turn(5 + 12 * QUIET - 0.1, lambda: True)
    assert not progress.configured
    progress.turn(5 + 12 * QUIET, lambda: True)
    assert progress.configured


def test_a_long_turn_is_no_silence(progress: Progress) -> None:
    """What came while the agent was busy is read before the second look."""
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
    configured(progress, 5)
    busy_until = 5 + 3 * QUIET
    assert not progress.settled(busy_until)
    assert not progress.complete(busy_until)
    assert progress.deadline(busy_until) == pytest.approx(busy_until + 0.05)
    progress.routes(busy_until)
    assert not progress.complete(busy_until + SOON), "they had been waiting in the socket"
    assert completes(progress, busy_until + QUIET)
    assert progress.deadline(busy_until + QUIET + SOON) is None


def test_routes_are_waited_for_from_when_vrfs_were_joined(progress: Progress) -> None:
    """The turn that joins may take longer than silence lasts."""
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
    configured(progress, 5)
    progress.joined()
    assert not settles(progress, 100)
    assert progress.deadline(5.5) == 5.5
    told = 5 + 3 * QUIET
    progress.turn(told, lambda: False)
    assert not settles(progress, told)
    assert progress.deadline(told + SOON) == told + QUIET
    assert settles(progress, told + QUIET)
    assert completes(progress, told + QUIET)


def test_routes_without_end_are_not_waited_for(progress: Progress) -> None:
    progress.up(ONE, 0)
    progress.up(TWO, 0)
    configured(progress, 0)
    progress.whole(ONE)
    progress.whole(TWO)
    progress.routes(4 * QUIET - 0.1)
    assert settles(progress, 4 * QUIET)
    assert not completes(progress, 4 * QUIET), "nothing is dropped while routes come"
    for tenth in range(600):
        progress.routes(tenth / 10)
    assert completes(progress, 60)


def test_the_other_is_waited_for_until_it_proves_silent(progress: Progress) -> None:
    progress.up(ONE, 0)
    progress.whole(ONE)
    configured(progress, 1)
    assert not settles(progress, 1 + QUIET), "the other one may still be connecting"
    assert settles(progress, 1 + 4 * QUIET)
    assert not completes(progress, 100)
    progress.silent(TWO)
    assert completes(progress, 100)


def test_one_that_is_lost_meanwhile_is_waited_for(progress: Progress) -> None:
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
    configured(progress, 0)
    progress.down(TWO)
    assert not completes(progress, 100)
    progress.use([ONE, THREE])
    assert not completes(progress, 100), "the one in its place has told nothing yet"
    progress.use([ONE])
    assert completes(progress, 100)
    progress.down(TWO)  # of no concern any more
    assert completes(progress, 100)


def test_with_all_lost_nothing_completes(progress: Progress) -> None:
    configured(progress, 0)
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
        progress.down(server)
        progress.silent(server)
    assert not completes(progress, 100)
