"""Tokens: what a client hands back to get the rest of an answer.

A token is a text that tells all by itself, so nothing is kept for it. Clients put it into an
address as it is, so it has only letters that need no escape there.
"""

from __future__ import annotations

import re

from agent.errors import UsageError

_SPECIAL = re.compile(rb"[^A-Za-z0-9._:/=-]")
_ESCAPED = re.compile(r"~([0-9a-f]{2})")
_TOKEN = re.compile(r"(?:[A-Za-z0-9._:/=,-]|~[0-9a-f]{2})*")
_MOST = 4096


def join(*parts: object) -> str:
    """The token of these parts, as texts."""
    return ",".join(_escape(str(part)) for part in parts)


def split(token: str) -> list[str]:
    """The parts of a token, as texts. UsageError: it is none of ours."""
    if len(token) > _MOST or not _TOKEN.fullmatch(token):
        raise UsageError(f"{token[:80]!r} is no token of an answer: take it over as it was given")
    return [_unescape(part) for part in token.split(",")]


def _escape(part: str) -> str:
    data = part.encode("utf-8", "surrogateescape")
    return _SPECIAL.sub(lambda found: b"~%02x" % found[0][0], data).decode()


def _unescape(part: str) -> str:
    if "~" not in part:
        return part
    data = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), part).encode("latin-1")
    return data.decode("utf-8", "surrogateescape")
