"""Whose labels a datapath's broadcast trees have."""

from __future__ import annotations

import pytest

from agent.oper.tree_labels import builder_of, tree_labels


@pytest.mark.parametrize(("labels", "vrfs"), [(5120, 4096), (20000, 4096), (4098 + 9, 4)])
def test_the_builder_is_known_by_its_labels(labels: int, vrfs: int) -> None:
    ranges = [tree_labels(slot, labels, vrfs) for slot in (0, 1)]
    for slot, found in enumerate(ranges):
        assert found is not None
        for label in found:
            assert builder_of([16, label, 4000], labels, vrfs) == slot
    one, two = (found[0] for found in ranges if found)
    assert builder_of([one, one + 1, two], labels, vrfs) == 0
    assert builder_of([one, two, two + 1], labels, vrfs) == 1


@pytest.mark.parametrize("used", [[], [16, 17, 4097], [5120, 9999]])
def test_without_trees_there_was_no_builder(used: list[int]) -> None:
    assert builder_of(used, 5120, 4096) is None


def test_where_trees_have_no_labels_there_is_no_builder() -> None:
    assert builder_of(range(16, 4000), 4000, 4096) is None
