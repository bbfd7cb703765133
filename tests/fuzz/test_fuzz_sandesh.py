"""A short run of the Sandesh fuzz target."""

from __future__ import annotations

from tests.fuzz import fuzz_sandesh


def test_damaged_messages_and_frames() -> None:
    assert fuzz_sandesh.run(20_000, seed=20) > 1_000
