"""The inet route table of a vrouter: leaves that hold copies, not a set of routes.

Adding a route overwrites the leaves below it that show the same or a shorter route;
deleting one overwrites the leaves that show exactly its length with what the request
carries. Nothing is searched, so a wrong replacement stays (facts datapath-behaviour.md
section 2, "Covering prefix at delete").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Leaf:
    """What a leaf shows: the route of length `plen`. Nexthop 0 at length 0 is empty."""

    nh: int = 0
    label: int = 0
    flags: int = 0
    mac: bytes = b""
    plen: int = 0


Node = Leaf | list["Node"]


class InetTrie:
    """Binary trie over addresses of `bits` bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._root: Node = Leaf()

    def add(self, prefix: bytes, leaf: Leaf) -> None:
        def overwrite(old: Leaf) -> Leaf:
            return leaf if old.plen <= leaf.plen else old

        self._root = self._change(self._root, self._path(prefix, leaf.plen), overwrite)

    def delete(self, prefix: bytes, plen: int, shown: Leaf) -> None:
        def overwrite(old: Leaf) -> Leaf:
            return shown if old.plen == plen else old

        self._root = self._change(self._root, self._path(prefix, plen), overwrite)

    def _path(self, prefix: bytes, plen: int) -> list[int]:
        value = int.from_bytes(prefix, "big")
        return [value >> (self.bits - 1 - depth) & 1 for depth in range(plen)]

    def _change(self, node: Node, path: list[int], overwrite) -> Node:  # type: ignore[no-untyped-def]
        if not path:
            if isinstance(node, Leaf):
                return overwrite(node)
            return [self._change(child, [], overwrite) for child in node]
        children = [node, node] if isinstance(node, Leaf) else list(node)
        children[path[0]] = self._change(children[path[0]], path[1:], overwrite)
        return children

    def leaves(self) -> Iterator[tuple[bytes, int, Leaf]]:
        """(prefix, depth, leaf) in prefix order; equal neighbours are joined."""
        yield from self._walk(_joined(self._root, 0), 0, 0)

    def _walk(self, node: Node, value: int, depth: int) -> Iterator[tuple[bytes, int, Leaf]]:
        if isinstance(node, Leaf):
            prefix = (value << (self.bits - depth)).to_bytes(self.bits // 8, "big")
            yield prefix, depth, node
        else:
            yield from self._walk(node[0], value << 1, depth + 1)
            yield from self._walk(node[1], value << 1 | 1, depth + 1)


def _joined(node: Node, depth: int) -> Node:
    """The same table with halves joined where they show one route."""
    if isinstance(node, Leaf):
        return node
    left, right = (_joined(child, depth + 1) for child in node)
    if isinstance(left, Leaf) and left == right and left.plen <= depth:
        return left
    return [left, right]
