"""Fixtures of the fault scenes."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from tests.fault.control_scene import Runner


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs a scene on each of the two loops."""
    return request.param
