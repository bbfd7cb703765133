"""The engine: results of pure functions, kept right by the reads that they recorded.

A function `f(view, *args)` reads inputs with `view.read(SOURCE, key)` and other results
with `view(g, *args)`; each read is recorded. When inputs change, `commit` recomputes
exactly the results that read them, and stops where a result came out equal (the method is
that of build systems that verify their traces). What nobody demands any more is dropped.

A function that raises loses only its own result: it becomes a `Failure` with the reason,
which spreads to its readers until the inputs that it read change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeAlias, TypeVar, cast

from agent.errors import BugError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
R = TypeVar("R")
P = ParamSpec("P")


class Source(Generic[K, V]):
    """Names a kind of input: rows of type V under keys of type K. Compared by identity."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Source({self.name!r})"


class Call(NamedTuple):
    """A function with its arguments: names one result."""

    function: Callable[..., Any]
    args: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{_name(self.function)}({', '.join(map(str, self.args))})"


@dataclass(frozen=True, slots=True)
class Failure:
    """Stands for a result whose function raised."""

    reason: str


@dataclass(frozen=True, slots=True)
class InputRead:
    """A recorded read of an input."""

    source: str
    key: Hashable

    def __str__(self) -> str:
        return f"{self.source}[{self.key}]"


class Changed(NamedTuple):
    """A demanded result that is new or different, or one that is no longer demanded."""

    call: Call
    value: Any
    gone: bool = False


class _Input:
    __slots__ = ("changed", "key", "readers", "source")

    def __init__(self, source: Source[Any, Any], key: Hashable) -> None:
        self.source = source
        self.key = key
        self.changed = 0
        self.readers: dict[_Cell, None] = {}


class _Cell:
    __slots__ = (
        "busy",
        "call",
        "changed",
        "demanded",
        "dirty",
        "readers",
        "reads",
        "value",
        "verified",
    )

    def __init__(self, call: Call) -> None:
        self.call = call
        self.value: Any = None
        self.reads: dict[_Cell | _Input, None] = {}
        self.readers: dict[_Cell, None] = {}
        self.changed = 0
        self.verified = 0  # revision 0: never computed
        self.dirty = True
        self.busy = False
        self.demanded = False


_Read: TypeAlias = _Cell | _Input
Enumerate: TypeAlias = "Callable[[View], tuple[Call, ...]]"


class View:
    """What a function sees: inputs and other results, each read being recorded."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, fn: Callable[Concatenate[View, P], R], *args: P.args, **_: P.kwargs) -> R:
        """The result of `fn(view, *args)`; BugError when it failed or is being computed."""
        value = self._engine.read_call(fn, args)
        if isinstance(value, Failure):
            raise BugError(value.reason)
        return cast(R, value)

    def attempt(
        self, fn: Callable[Concatenate[View, P], R], *args: P.args, **_: P.kwargs
    ) -> R | Failure:
        """As a call, but a failed result is told, not raised: for joins over many."""
        return cast("R | Failure", self._engine.read_call(fn, args))

    def read(self, source: Source[K, V], key: K) -> V:
        """The input of `source` under `key`."""
        return self._engine.read_input(source, key)


class Engine:
    """Results, their recorded reads, and the calls demanded by enumerations."""

    def __init__(self) -> None:
        self.recomputed: Counter[str] = Counter()
        self._view = View(self)
        self._readers: dict[Source[Any, Any], Callable[[Any], Any]] = {}
        self._unread: dict[Source[Any, Any], Callable[[Any], None]] = {}
        self._inputs: dict[Source[Any, Any], dict[Hashable, _Input]] = {}
        self._cells: dict[Call, _Cell] = {}
        self._enumerations: dict[_Cell, dict[Call, None]] = {}
        self._touched: dict[_Input, None] = {}
        self._abandoned: dict[_Read, None] = {}
        self._failed: dict[_Cell, None] = {}
        self._stack: list[_Cell] = []
        self._revision = 1

    # Inputs

    def attach(
        self,
        source: Source[K, V],
        read: Callable[[K], V],
        unread: Callable[[K], None] | None = None,
    ) -> None:
        """Read inputs of `source` with `read`; `unread(key)` follows the last reader."""
        self._readers[source] = read
        self._inputs[source] = {}
        if unread:
            self._unread[source] = unread

    def touch(self, source: Source[K, V], key: K) -> None:
        """Say that the input under `key` changed; takes effect at the next commit."""
        node = self._inputs[source].get(key)
        if node is not None:
            self._touched[node] = None

    # Demands

    def enumerate(self, fn: Enumerate) -> None:
        """Demand every call that `fn(view)` lists, from the next commit on."""
        cell = self._cell(Call(fn, ()))
        self._enumerations[cell] = {}

    def commit(self) -> list[Changed]:
        """Make every demanded result right; what changed, in a deterministic order."""
        self._revision += 1
        changes: list[Changed] = []
        while True:
            dirty = self._mark()
            for cell in self._enumerations:
                changes += self._follow(cell)
            changes += self._renew(dirty)
            self._collect()
            if not self._touched:
                return changes
            self._revision += 1  # collecting freed an input that someone waits for

    def _follow(self, enumeration: _Cell) -> Iterator[Changed]:
        old = self._enumerations[enumeration]
        if not enumeration.dirty:
            return
        self._refresh(enumeration)
        if isinstance(enumeration.value, Failure):
            return  # keep what was demanded: the batch is not lost
        new = dict.fromkeys(enumeration.value)
        self._enumerations[enumeration] = new
        for call in _missing(old, new):
            cell = self._cells[call]
            cell.demanded = False
            self._abandon(cell)
            yield Changed(call, None, gone=True)
        for call in _missing(new, old):
            cell = self._cell(call)
            cell.demanded = True
            self._refresh(cell)
            yield Changed(call, cell.value)

    def _renew(self, dirty: list[_Cell]) -> Iterator[Changed]:
        for cell in dirty:
            if cell.demanded:
                self._refresh(cell)
                if cell.changed == self._revision:
                    yield Changed(cell.call, cell.value)

    # Reading

    def read_input(self, source: Source[K, V], key: K) -> V:
        """For View: read and record."""
        nodes = self._inputs[source]
        node = nodes.get(key)
        if node is None:
            node = nodes[key] = _Input(source, key)
        self._stack[-1].reads[node] = None
        return cast(V, self._readers[source](key))

    def read_call(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """For View: read and record, computing first what is not up to date."""
        cell = self._cells.get((fn, args)) or self._cell(Call(fn, args))  # type: ignore[call-overload]
        self._stack[-1].reads[cell] = None
        if cell.dirty:
            if cell.busy:
                raise BugError(self._cycle(cell))
            self._refresh(cell)
        return cell.value

    def why(self, fn: Callable[..., Any], *args: Any) -> list[Call | InputRead]:
        """What the result of `fn(view, *args)` read, in order; empty when there is none."""
        cell = self._cells.get(Call(fn, args))
        return [
            read.call if isinstance(read, _Cell) else InputRead(read.source.name, read.key)
            for read in (cell.reads if cell else ())
        ]

    def value(self, fn: Callable[..., Any], *args: Any) -> Any:
        """The present result of a live call (may be a Failure); KeyError when nobody demands it."""
        return self._cells[Call(fn, args)].value

    def demanded(self, fn: Enumerate) -> tuple[Call, ...]:
        """The calls that an enumeration demands at present."""
        cell = self._cells.get(Call(fn, ()))
        return tuple(self._enumerations.get(cell, ())) if cell else ()

    def failures(self) -> dict[str, str]:
        """The live calls that failed, with their reasons."""
        return {str(cell.call): cell.value.reason for cell in self._failed}

    def __len__(self) -> int:
        return len(self._cells)

    # Computing

    def _cell(self, call: Call) -> _Cell:
        cell = self._cells.get(call)
        if cell is None:
            cell = self._cells[call] = _Cell(call)
        return cell

    def _refresh(self, cell: _Cell) -> None:
        if not cell.dirty:
            return
        cell.busy = True
        self._stack.append(cell)
        try:
            if cell.verified == 0 or self._reads_changed(cell):
                self._compute(cell)
        finally:
            self._stack.pop()
            cell.busy = False
        cell.verified = self._revision
        cell.dirty = False

    def _reads_changed(self, cell: _Cell) -> bool:
        """Whether something that `cell` read changed since, looking in the order of the reads."""
        for read in cell.reads:
            if isinstance(read, _Cell):
                if read.busy:
                    return True  # a cycle: computing anew reports it
                self._refresh(read)
            if read.changed > cell.verified:
                return True
        return False

    def _compute(self, cell: _Cell) -> None:
        old_reads, cell.reads = cell.reads, {}
        value = self._run(cell.call)
        for read in cell.reads:
            read.readers[cell] = None
        for read in old_reads:
            if read not in cell.reads:
                del read.readers[cell]
                self._abandon(read)
        self.recomputed[_name(cell.call.function)] += 1
        if cell.verified == 0 or value != cell.value:
            cell.value = value
            cell.changed = self._revision
            if isinstance(value, Failure):
                self._failed[cell] = None
            else:
                self._failed.pop(cell, None)

    def _run(self, call: Call) -> Any:
        try:
            return call.function(self._view, *call.args)
        except BugError as error:
            return Failure(str(error))
        except Exception as error:
            return Failure(f"{call}: {type(error).__name__}: {error}")

    def _cycle(self, cell: _Cell) -> str:
        """The path of a cycle, the same whichever member was asked first."""
        names = [str(member.call) for member in self._stack[self._stack.index(cell) :]]
        start = names.index(min(names))
        return "cycle: " + " -> ".join([*names[start:], *names[:start], names[start]])

    # Marking and collecting

    def _mark(self) -> list[_Cell]:
        """Mark everything that may depend on the touched inputs; the demanded results among it."""
        pending: list[_Cell] = []
        for node in self._touched:
            node.changed = self._revision
            pending += node.readers
        self._touched.clear()
        dirty: dict[_Cell, None] = {}
        while pending:
            cell = pending.pop()
            if not cell.dirty:
                cell.dirty = True
                pending += cell.readers
                if cell.demanded:
                    dirty[cell] = None
        return list(reversed(dirty))

    def _abandon(self, read: _Read) -> None:
        if not read.readers:
            self._abandoned[read] = None

    def _collect(self) -> None:
        while self._abandoned:
            read, _ = self._abandoned.popitem()
            if read.readers:
                continue
            if isinstance(read, _Input):
                self._forget_input(read)
            elif not read.demanded and read not in self._enumerations:
                self._cells.pop(read.call, None)
                self._failed.pop(read, None)
                for inner in read.reads:
                    inner.readers.pop(read, None)
                    self._abandon(inner)

    def _forget_input(self, node: _Input) -> None:
        if self._inputs[node.source].pop(node.key, None) is not None:
            self._touched.pop(node, None)
            unread = self._unread.get(node.source)
            if unread:
                unread(node.key)


def _missing(calls: dict[Call, None], others: dict[Call, None]) -> list[Call]:
    """The calls that are not among the others, in their order."""
    missing = set(calls).difference(others)
    return [call for call in calls if call in missing] if missing else []


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
