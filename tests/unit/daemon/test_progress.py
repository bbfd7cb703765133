"""When what was learned is whole enough to be written, and to sweep what is left over."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from agent.daemon.progress import Progress
from agent.settings import Server

ONE, TWO, THREE = (Server(IPv4Address(f"192.0.2.{number}"), 5269) for number in (1, 2, 3))
QUIET = 2.5


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
    progress.configuration_complete(5)
    assert progress.deadline(5) == 5 + QUIET
    progress.routes(6)
    assert not progress.settled(6 + QUIET - 0.1)
    assert progress.settled(6 + QUIET)
    assert not progress.complete(20)
    progress.whole(ONE)
    assert not progress.complete(20)
    progress.whole(TWO)
    assert progress.complete(20)


def test_an_early_end_marker_is_not_enough(progress: Progress) -> None:
    """It came before the configuration told which VRFs to join."""
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
    assert not progress.complete(4)
    progress.configuration_complete(5)
    assert not progress.complete(5)
    assert progress.complete(5 + QUIET)


def test_routes_without_end_are_not_waited_for(progress: Progress) -> None:
    progress.up(ONE, 0)
    progress.up(TWO, 0)
    progress.configuration_complete(0)
    progress.routes(4 * QUIET - 0.1)
    assert progress.settled(4 * QUIET)


def test_the_other_is_waited_for_until_it_proves_silent(progress: Progress) -> None:
    progress.up(ONE, 0)
    progress.whole(ONE)
    progress.configuration_complete(1)
    assert not progress.settled(1 + QUIET), "the other one may still be connecting"
    assert progress.settled(1 + 4 * QUIET)
    assert not progress.complete(100)
    progress.silent(TWO)
    assert progress.complete(100)


def test_one_that_is_lost_meanwhile_is_waited_for(progress: Progress) -> None:
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
    progress.configuration_complete(0)
    progress.down(TWO)
    assert not progress.complete(100)
    progress.use([ONE, THREE])
    assert not progress.complete(100), "the one in its place has told nothing yet"
    progress.use([ONE])
    assert progress.complete(100)
    progress.down(TWO)  # of no concern any more
    assert progress.complete(100)


def test_with_all_lost_nothing_completes(progress: Progress) -> None:
    progress.configuration_complete(0)
    for server in (ONE, TWO):
        progress.up(server, 0)
        progress.whole(server)
        progress.down(server)
        progress.silent(server)
    assert not progress.complete(100)
