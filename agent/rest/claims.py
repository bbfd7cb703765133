"""Which port has a tap when several name the same: the first one, until it lets go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Claims(Generic[K]):
    """Claims on taps in the order in which they came; claims of one owner never conflict."""

    def __init__(self) -> None:
        self._claim_of: dict[K, tuple[str, Hashable]] = {}
        self._owners: dict[str, OrderedDict[Hashable, dict[K, None]]] = {}

    def claim(self, key: K, tap: str, owner: Hashable) -> list[K]:
        """Let `key` of `owner` claim `tap` and give up its former one.

        Returns the keys that waited for the former tap and now have it.
        """
        if self._claim_of.get(key) == (tap, owner):
            return []
        freed = self.release(key)
        self._claim_of[key] = tap, owner
        self._owners.setdefault(tap, OrderedDict()).setdefault(owner, {})[key] = None
        return freed

    def release(self, key: K) -> list[K]:
        """Give up the tap of `key`; returns the keys that waited for it and now have it."""
        if key not in self._claim_of:
            return []
        tap, owner = self._claim_of.pop(key)
        owners = self._owners[tap]
        was_first = self._first(tap) == owner
        del owners[owner][key]
        if owners[owner]:
            return []
        del owners[owner]
        if not owners:
            del self._owners[tap]
            return []
        return list(owners[self._first(tap)]) if was_first else []

    def holds(self, key: K) -> bool:
        """Whether the owner of `key` was the first of those who claim its tap."""
        tap, owner = self._claim_of[key]
        return self._first(tap) == owner

    def _first(self, tap: str) -> Hashable:
        return next(iter(self._owners[tap]))
