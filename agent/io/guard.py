"""Stands before an HTTP application: who may ask, how often, and from which web page.

Three things are looked at, in this order: how much the address has asked (429), whether the
client is known where the door wants that (401), and whether a browser asks in the name of
another site (403), by DNS rebinding or by a link, form or script there.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from agent.io.doors import Door
from agent.io.rates import PeerRates

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Changes = Callable[[str], bool]
"""Whether a GET of this path changes something."""

CERTIFIED = "agent.certified"
"""Of a scope: the client has shown a certificate that was verified."""
_BURST_SECONDS = 2.0
_WRONG_COST = 10.0
"""Requests that one with wrong credentials counts as."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"", "none", "same-origin"})
_BEARER = b"bearer "


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status and its reason, as the client sees it."""

    status: int
    reason: str


_TOO_MANY = Refusal(429, "Too many requests from this address")
_UNKNOWN = Refusal(401, "This port wants a bearer token or a client certificate")
_TWO_NAMES = Refusal(400, "A request names one host")
_OTHER_NAME = Refusal(403, "This host is asked by a name that is not its own")
_OTHER_SITE = Refusal(403, "Another web site may not ask this")


class Guard:
    """`app` behind `door`. `refused` is told the client's address and what it was told."""

    def __init__(
        self,
        app: AsgiApp,
        door: Door,
        refused: Callable[[str, Refusal], None],
        changes: Changes = lambda path: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._door = door
        self._refused = refused
        self._changes = changes
        self._clock = clock
        self._rates = PeerRates(door.rate, door.rate * _BURST_SECONDS) if door.rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        peer = scope["client"][0] if scope.get("client") else ""
        refusal = self._judge(scope, peer)
        if refusal is None:
            return await self._app(scope, receive, send)
        self._refused(peer, refusal)
        await answer(send, refusal)

    def _judge(self, scope: Scope, peer: str) -> Refusal | None:
        headers = {name: value for name, value in scope["headers"]}
        limited = None if self._rates is None or _is_local(peer) else self._rates
        now = self._clock()
        if limited is not None and not limited.take(peer, now):
            return _TOO_MANY
        if not self._known(scope, headers):
            if limited is not None:
                limited.take(peer, now, _WRONG_COST - 1.0)
            return _UNKNOWN
        if sum(name == b"host" for name, _ in scope["headers"]) > 1:
            return _TWO_NAMES
        changes = scope["method"] not in _SAFE or self._changes(scope["path"])
        return self._foreign(headers, changes)

    def _known(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the client may enter: by its certificate, or by its token."""
        if not self._door.guarded or scope.get(CERTIFIED):
            return True
        given = headers.get(b"authorization", b"")
        if given[: len(_BEARER)].lower() != _BEARER or not self._door.token:
            return False
        return hmac.compare_digest(given[len(_BEARER) :].strip(), self._door.token)

    def _foreign(self, headers: Mapping[bytes, bytes], changes: bool) -> Refusal | None:
        """What a browser would send only for another site; programs send none of it."""
        host = _text(headers, b"host").lower()
        # A name that was made to point here is no way around credentials.
        if not self._door.guarded and not self._own_name(host):
            return _OTHER_NAME
        origin = _text(headers, b"origin")
        if origin and _netloc(origin) != host:
            return _OTHER_SITE
        if _text(headers, b"sec-fetch-site") not in _OWN_SITE:
            followed = _text(headers, b"sec-fetch-dest") == "document"
            return None if followed and not changes else _OTHER_SITE
        referrer = _text(headers, b"referer")
        if changes and referrer and _netloc(referrer) != host:
            return _OTHER_SITE
        return None

    def _own_name(self, host: str) -> bool:
        name = _netloc(f"//{host}", port=False)
        return not name or _is_address(name) or name in self._door.names


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1").strip()


def _netloc(url: str, *, port: bool = True) -> str:
    """The host of a URL, with its port if wanted; "?" for what is none."""
    try:
        parts = urlsplit(url)
        return parts.netloc.lower() if port else (parts.hostname or "").rstrip(".")
    except ValueError:
        return "?"


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(peer: str) -> bool:
    return _is_address(peer) and ip_address(peer).is_loopback


async def answer(send: Send, refusal: Refusal) -> None:
    """Tell the client."""
    body = f'{{"error":"{refusal.reason}"}}'.encode()
    headers = [
        (b"content-type", b"application/json; charset=UTF-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    if refusal is _UNKNOWN:
        headers.append((b"www-authenticate", b"Bearer"))
    elif refusal is _TOO_MANY:
        headers += [(b"retry-after", b"1"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
