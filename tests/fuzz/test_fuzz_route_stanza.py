"""A short run of the route stanzas' fuzz target."""

from __future__ import annotations

from tests.fuzz import fuzz_route_stanza


def test_damaged_stanzas() -> None:
    readable, routes = fuzz_route_stanza.run(3_000, seed=30)
    assert readable > 1_000
    assert routes > 1_000
