"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests import netns


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
