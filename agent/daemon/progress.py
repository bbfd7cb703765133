"""How far the inputs have come since the start: when to write after a restart, when to sweep."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto

from agent.settings import Server

_MOST_QUIETS = 4


class _Is(Enum):
    EXPECTED = auto()
    """In use, and a session is not there yet or not there again."""
    TELLING = auto()
    """A session is established and not all routes are here."""
    WHOLE = auto()
    """All its routes are here."""
    SILENT = auto()
    """Several attempts to connect failed: nobody waits for it."""


class Progress:
    """Watches configuration and routes become whole for the first time. `now`: monotonic seconds.

    An end-of-RIB marker may come before we joined the VRFs that only the configuration
    tells. So routes count as settled when none came for `quiet` seconds since the
    configuration was complete and all controllers were heard of; four times as long is the
    most, as routes may never cease to come.
    """

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._standalone = False
        self._configured_at: float | None = None
        self._routes_at = 0.0
        self._controllers: dict[Server, _Is] = {}

    # What happens

    def standalone(self) -> None:
        """There is nothing to wait for: no controllers are used."""
        self._standalone = True

    def use(self, servers: Collection[Server]) -> None:
        """These are the controllers in use."""
        known = self._controllers
        self._controllers = {one: known.get(one, _Is.EXPECTED) for one in servers}

    def configuration_complete(self, now: float) -> None:
        """The configuration came whole."""
        if self._configured_at is None:
            self._configured_at = now

    def up(self, server: Server, now: float) -> None:
        """A session is established; its routes come now."""
        self._put(server, _Is.TELLING)
        self._routes_at = now

    def down(self, server: Server) -> None:
        """The session is gone."""
        self._put(server, _Is.EXPECTED)

    def silent(self, server: Server) -> None:
        """Several attempts to connect failed."""
        self._put(server, _Is.SILENT)

    def routes(self, now: float) -> None:
        """Some came."""
        self._routes_at = now

    def whole(self, server: Server) -> None:
        """The controller has sent all its routes."""
        self._put(server, _Is.WHOLE)

    def _put(self, server: Server, state: _Is) -> None:
        if server in self._controllers:
            self._controllers[server] = state

    # What follows

    @property
    def configured(self) -> bool:
        """Whether the configuration is whole."""
        return self._standalone or self._configured_at is not None

    def settled(self, now: float) -> bool:
        """Whether what is desired now is worth writing over what an agent before wrote."""
        at = self._settled_at()
        return self._standalone or (at is not None and now >= at)

    def complete(self, now: float) -> bool:
        """Whether leftovers may be swept: some controller has sent all, none still has to."""
        states = set(self._controllers.values())
        whole = _Is.WHOLE in states and states <= {_Is.WHOLE, _Is.SILENT}
        return self._standalone or (whole and self.settled(now))

    def deadline(self, now: float) -> float | None:
        """When time alone changes an answer, if it does."""
        at = self._settled_at()
        return at if not self._standalone and at is not None and at > now else None

    def _settled_at(self) -> float | None:
        since = self._configured_at
        if since is None:
            return None
        latest = since + _MOST_QUIETS * self._quiet
        if _Is.EXPECTED in self._controllers.values():
            return latest
        return min(max(since, self._routes_at) + self._quiet, latest)
