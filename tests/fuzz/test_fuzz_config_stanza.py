"""A short run of the configuration stanzas' fuzz target."""

from __future__ import annotations

from tests.fuzz import fuzz_config_stanza


def test_damaged_sessions() -> None:
    made = fuzz_config_stanza.run(1_500, seed=40)
    assert made.kept > 100
    assert made.closed > 100
    assert made.edits > 1_000
