"""What the HTTP face needs of its surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from agent.rest.files import FileAction, Stamp
from agent.rest.ports import PortStore
from agent.rest.view import OperationalView


class Backend(Protocol):
    """The state behind the resources, and the shell that acts for it."""

    @property
    def store(self) -> PortStore: ...

    async def view(self) -> OperationalView:
        """The operational state. TimeoutError while the agent starts and has none yet."""
        ...

    def now(self) -> float:
        """Monotonic seconds."""

    def stamp(self) -> Stamp:
        """The program's name and the present time, for records."""

    async def apply(self, actions: Sequence[FileAction]) -> None:
        """The store changed: tell the daemon, carry out the file actions, then return.

        A file that cannot be written or removed is logged and counted, never raised: the
        port is in use either way.
        """

    async def explain(self, question: Mapping[str, str]) -> Mapping[str, object]:
        """Why the flow that `question` names is forwarded or dropped. ConfigError says what
        is wrong with the question; TimeoutError as of `view`."""
        ...

    def failed(self, error: BaseException) -> None:
        """Log an error that no handler expected."""
