"""What a datapath answers to a GET and to the pages of a DUMP (facts sandesh-ksync.md 3.3, 3.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from agent.errors import DatapathError, WireError

DUMP_INCOMPLETE = 0x40000000
"""Of a response code: more objects follow the last one."""

Question = TypeVar("Question")
Row = TypeVar("Row")


def got(code: int, objects: Sequence[object], kind: type[Row]) -> Row:
    """The one object that a GET answers with; DatapathError with the code, WireError."""
    if code < 0:
        raise DatapathError(-code, kind.__name__)
    for found in objects:
        if isinstance(found, kind):
            return found
    raise WireError(f"the datapath answered without a {kind.__name__}")


class Dump(Generic[Question, Row]):
    """A dump page by page: ask `question()`, hand the answer to `page`, until it is `whole`.

    `request(last)` is the DUMP that follows `last`; two questions that are equal would be
    answered alike for ever.
    """

    def __init__(self, request: Callable[[Row | None], Question], kind: type[Row]) -> None:
        self._request = request
        self._kind = kind
        self._asked: Question | None = None
        self._last: Row | None = None
        self.whole = False

    def question(self) -> Question:
        """The next one; WireError when the datapath does not get on."""
        asked = self._request(self._last)
        if asked == self._asked:
            raise WireError(f"a dump of {self._kind.__name__} does not advance")
        self._asked = asked
        return asked

    def page(self, code: int, objects: Sequence[object]) -> list[Row]:
        """The objects of an answer; DatapathError with its code, WireError."""
        if code < 0:
            raise DatapathError(-code, f"a dump of {self._kind.__name__}")
        page = [found for found in objects if isinstance(found, self._kind)]
        self.whole = not code & DUMP_INCOMPLETE
        if not page and not self.whole:
            raise WireError("the datapath announced more objects but sent none")
        self._last = page[-1] if page else None
        return page
