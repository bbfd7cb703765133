"""A short run of the flows' fuzzer; `make asan` runs it with a sanitized kernel."""

from __future__ import annotations

import pytest

from tests.fuzz import fuzz_flows

EVERY_STAGE = {
    "flow_action_drop", "flow_action_invalid", "flow_nat_no_rflow", "flow_unusable",
    "flow_queue_limit_exceeded", "invalid_source", "icmp_error", "fragments", "no_frag_entry",
}  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_wild_decisions_about_damaged_frames(seed: int) -> None:
    seen = fuzz_flows.run(10_000, seed)
    assert set(seen) >= EVERY_STAGE, EVERY_STAGE - set(seen)
