"""How far the inputs have come since the start: when to write after a restart, when to sweep."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum, auto

from agent.settings import Server

_MOST_QUIETS = 4
_MOST_QUIETS_FOR_PORTS = 12
_MOST_SECONDS_TO_SWEEP = 60.0
"""What is swept is out of use for good, while a full table may take its time to come."""
_PAUSE = 0.05
"""Seconds between the two looks at a time that is over."""


class _Is(Enum):
    EXPECTED = auto()
    """In use, and a session is not there yet or not there again."""
    TELLING = auto()
    """A session is established and not all routes are here."""
    WHOLE = auto()
    """All its routes are here."""
    SILENT = auto()
    """Several attempts to connect failed: nobody waits for it."""


class _Look:
    """Whether a time is over. Found so twice: what came during a long turn is read in between."""

    def __init__(self) -> None:
        self._first = float("-inf")

    def over(self, at: float | None, now: float) -> bool:
        """Look; to be asked again at `deadline`."""
        if at is None or now < at:
            return False
        if self._first < at:
            self._first = now
        return now >= self._first + _PAUSE

    def deadline(self, at: float | None, now: float) -> float | None:
        """When to look (again), if that is still to come."""
        if at is None:
            return None
        wanted = at if self._first < at else self._first + _PAUSE
        return wanted if wanted > now else None


class Progress:
    """Watches configuration and routes become whole for the first time. `now`: monotonic seconds.

    An end-of-RIB marker may come before we joined the VRFs that only the configuration
    tells. So routes count as settled when none came for `quiet` seconds since the
    configuration was complete, VRFs were joined, and all controllers were heard of; four
    times as long is the most before anything is written, as routes may never cease to come.
    To sweep, silence is waited for longer. So it is for configuration of ports that lack it:
    a slow controller is silent at times, and a port without configuration is taken down.
    """

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._most_to_sweep = max(_MOST_SECONDS_TO_SWEEP, 2 * _MOST_QUIETS * quiet)
        self._standalone = False
        self._told_at: float | None = None
        self._configured_at: float | None = None
        self._routes_at = 0.0
        self._joining = False
        self._joined_at = 0.0
        self._write, self._sweep = _Look(), _Look()
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
        """The configuration came whole, as far as silence tells."""
        if self._told_at is None:
            self._told_at = now

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

    def joined(self) -> None:
        """VRFs are joined with what leaves after this turn: their routes come then."""
        self._joining = True

    def turn(self, now: float, lacks_ports: Callable[[], bool]) -> None:
        """A turn begins: all that the one before said has left, however long that one took.

        `lacks_ports()` says whether some port has no configuration.
        """
        if self._joining:
            self._joined_at, self._joining = now, False
        if self._told_at is None or self._configured_at is not None:
            return
        if now >= self._told_at + _MOST_QUIETS_FOR_PORTS * self._quiet or not lacks_ports():
            self._configured_at = now

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
        return self._standalone or self._write.over(self._quiet_at(_MOST_QUIETS * self._quiet), now)

    def complete(self, now: float) -> bool:
        """Whether leftovers may be swept: some controller has sent all, none still has to."""
        if self._standalone:
            return True
        states = set(self._controllers.values())
        whole = _Is.WHOLE in states and states <= {_Is.WHOLE, _Is.SILENT}
        settled = self.settled(now)
        quiet = self._sweep.over(self._quiet_at(self._most_to_sweep), now)
        return whole and settled and quiet

    def deadline(self, now: float) -> float | None:
        """When time alone changes an answer, if it does."""
        if self._standalone:
            return None
        if self._joining:
            return now
        if self._configured_at is None:
            return self._told_at and self._told_at + _MOST_QUIETS_FOR_PORTS * self._quiet
        times = (
            self._write.deadline(self._quiet_at(_MOST_QUIETS * self._quiet), now),
            self._sweep.deadline(self._quiet_at(self._most_to_sweep), now),
        )
        return min((one for one in times if one is not None), default=None)

    def _quiet_at(self, most: float) -> float | None:
        """When it was quiet for long enough, or that has been waited for `most` seconds."""
        if self._configured_at is None or self._joining:
            return None
        since = max(self._configured_at, self._joined_at)
        latest = since + most
        if _Is.EXPECTED in self._controllers.values():
            return latest
        return min(max(since, self._routes_at) + self._quiet, latest)
