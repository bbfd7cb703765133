"""A small run of the fuzz target of the forwarder's control side."""

from __future__ import annotations

import logging

import pytest

from tests.fuzz.fuzz_forwarder import run


@pytest.mark.parametrize("seed", [1, 2])
def test_any_messages(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    assert run(3000, seed) > 2000
    assert caplog.records == []
