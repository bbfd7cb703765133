"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests import netns

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Programs that tests start end at Ctrl-C, and see terminals as they are.

    Whoever starts tests in the background has them ignore SIGINT, which programs inherit; and
    what one of the side-by-side processes knows of its own terminal the others inherit.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("LINES", "COLUMNS"):
        os.environ.pop(name, None)


@pytest.fixture
def own_network() -> Iterator[None]:
    """A network namespace of the test's own, with its loopback up."""
    with netns.own_network():
        yield


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands configure logging for their process; tests share one."""
    yield
    structlog.reset_defaults()
