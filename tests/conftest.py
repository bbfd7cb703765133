"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import netns


@pytest.fixture
def own_network() -> Iterator[None]:
    """A network namespace of the test's own, with its loopback up."""
    with netns.own_network():
        yield
