"""How far the inputs have come since the start: when to write after a restart, when to sweep."""

from __future__ import annotations

from agent.settings import Server

_MOST_QUIETS = 4


class Progress:
    """Watches configuration and routes become whole for the first time. `now`: monotonic seconds.

    An end-of-RIB marker may come before we joined the VRFs that only the configuration
    tells. So routes count as settled when none came for `quiet` seconds since the
    configuration was complete; where they never cease, four times as long must do.
    """

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._standalone = False
        self._configured_at: float | None = None
        self._routes_at = 0.0
        self._ended: dict[Server, bool] = {}

    # What happens

    def standalone(self) -> None:
        """There is nothing to wait for: no controllers are used."""
        self._standalone = True

    def configuration_complete(self, now: float) -> None:
        """The configuration came whole."""
        if self._configured_at is None:
            self._configured_at = now

    def up(self, server: Server) -> None:
        """A session is established; its routes come now."""
        self._ended[server] = False

    def down(self, server: Server) -> None:
        """The session is gone."""
        self._ended.pop(server, None)

    def routes(self, now: float) -> None:
        """Some came."""
        self._routes_at = now

    def ended(self, server: Server) -> None:
        """The controller has sent all its routes."""
        self._ended[server] = True

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
        whole = bool(self._ended) and all(self._ended.values())
        return self._standalone or (whole and self.settled(now))

    def deadline(self, now: float) -> float | None:
        """When time alone changes an answer, if it does."""
        at = self._settled_at()
        return at if not self._standalone and at is not None and at > now else None

    def _settled_at(self) -> float | None:
        since = self._configured_at
        if since is None:
            return None
        return min(max(since, self._routes_at) + self._quiet, since + _MOST_QUIETS * self._quiet)
