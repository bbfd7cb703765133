"""The upper end of the label space, which controllers hand out in broadcast trees.

Facts xmpp-ifmap.md 6.3: each of the two controllers has a range of its own there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_LOCAL = 4098
_CONTROLLERS = 2


def _size(labels: int, vrfs: int) -> int:
    if _CONTROLLERS * vrfs + _LOCAL < labels:
        return vrfs
    return max(labels - _LOCAL, 0) // _CONTROLLERS


def tree_labels(slot: int, labels: int, vrfs: int) -> tuple[int, int] | None:
    """First and last label for the controller in `slot`; None where there is no room."""
    size = _size(labels, vrfs)
    if not size:
        return None
    return labels - (slot + 1) * size, labels - slot * size - 1


def builder_of(used: Iterable[int], labels: int, vrfs: int) -> int | None:
    """The slot of the controller whose labels are in use, of both the one with more of them."""
    found: Counter[int] = Counter()
    size = _size(labels, vrfs)
    for label in used:
        if size and local_labels(labels, vrfs) <= label < labels:
            found[(labels - 1 - label) // size] += 1
    return max(found, key=lambda slot: (found[slot], -slot), default=None)


def local_labels(labels: int, vrfs: int) -> int:
    """How many labels are left, from 0, for this host's own use."""
    return labels - _CONTROLLERS * _size(labels, vrfs)


def tree_space(labels: int, vrfs: int) -> range:
    """The labels of both controllers' ranges."""
    return range(local_labels(labels, vrfs), labels)
