"""A short run of the data plane's fuzzer; `make asan` runs it with a sanitized kernel."""

from __future__ import annotations

import pytest

from tests.fuzz import fuzz_dataplane


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_frames(seed: int) -> None:
    seen = fuzz_dataplane.run(10_000, seed)
    # The frames got far enough to be refused for many reasons, at every stage.
    assert {"pull", "invalid_arp", "invalid_label", "l2_no_route", "cloned_original"} <= set(seen)
    assert len(seen) >= 15
