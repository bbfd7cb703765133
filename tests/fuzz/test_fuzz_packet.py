"""A short run of the packet fuzz target."""

from __future__ import annotations

from tests.fuzz import fuzz_packet


def test_damaged_frames() -> None:
    assert fuzz_packet.run(10_000, seed=10) > 300
