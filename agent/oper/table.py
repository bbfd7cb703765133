"""Rows of one kind of input, told to the engine when they change."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from agent.oper.incremental import Engine, Source

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Table(Generic[K, V]):
    """Rows by key, read as `source`; `keys`, where given, is the source of the set of keys."""

    def __init__(
        self,
        engine: Engine,
        source: Source[K, V | None],
        keys: Source[None, tuple[K, ...]] | None = None,
    ) -> None:
        self.rows: dict[K, V] = {}
        self._engine, self._source, self._keys = engine, source, keys
        engine.attach(source, self.rows.get)
        if keys is not None:
            engine.attach(keys, lambda _: tuple(self.rows))

    def put(self, key: K, row: V) -> None:
        """Add or replace a row."""
        old = self.rows.get(key)
        if old != row:
            self.rows[key] = row
            self._engine.touch(self._source, key)
            if old is None:
                self._keys_changed()

    def drop(self, key: K) -> None:
        """Remove a row, if there is one."""
        if self.rows.pop(key, None) is not None:
            self._engine.touch(self._source, key)
            self._keys_changed()

    def _keys_changed(self) -> None:
        if self._keys is not None:
            self._engine.touch(self._keys, None)
