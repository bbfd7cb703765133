"""Long lists in order, a little at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from typing import Any, TypeVar

T = TypeVar("T")
_CHUNK = 1024


def in_order(lists: Sequence[Sequence[T]], key: Callable[[T], Any]) -> Iterator[T | None]:
    """The members of all lists in order of their keys, equal ones once.

    None again and again while they are being sorted, so that others may work.
    """
    sorted_ones: list[list[T]] = []
    for each in lists:
        for at in range(0, len(each), _CHUNK):
            sorted_ones.append(sorted(each[at : at + _CHUNK], key=key))
            yield None
    last: T | None = None
    for one in merge(*sorted_ones, key=key):
        if one != last:
            last = one
            yield one
