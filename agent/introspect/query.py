"""The fields of a request: from the query of an address to texts, and from texts to values."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import parse_qsl
from uuid import UUID

from agent.errors import UsageError
from agent.introspect.request import Query
from agent.sandesh.schema import schema
from agent.values import Address

_MOST_FIELDS = 64


def parse(request: str, text: str) -> Query:
    """What a query gives to the fields of a request; names that it does not have are ignored.

    `x=value` gives the value to its first field. UsageError: there are too many.
    """
    try:
        given = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise UsageError(f"the query has too many fields: {error}") from None
    names = [field.name for field in schema()[request].fields]
    query = dict.fromkeys(names, "")
    for name, value in given:
        if name in query:
            query[name] = value
        elif name == "x" and names:
            query[names[0]] = value
    return query


def number(query: Query, name: str, least: int = 0, most: int = (1 << 32) - 1) -> int | None:
    """A field that is a whole number; None when it was not given."""
    text = query[name].strip()
    if not text:
        return None
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= 20 and least <= int(text) <= most:
        return int(text)
    raise UsageError(f"{name}: {text!r} is not a number from {least} to {most}")


def flag(query: Query, name: str) -> bool:
    """A field that is `true` or `false`; false when it was not given."""
    text = query[name].strip().lower()
    if text not in ("", "0", "1", "true", "false"):
        raise UsageError(f"{name}: {query[name]!r} is neither true nor false")
    return text in ("1", "true")


def address(query: Query, name: str) -> Address | None:
    """A field that is an IPv4 or IPv6 address; None when it was not given."""
    text = query[name].strip()
    if not text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        raise UsageError(f"{name}: {text!r} is not an address") from None


def uuid(query: Query, name: str) -> UUID | None:
    """A field that is a UUID; None when it was not given."""
    text = query[name].strip()
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(f"{name}: {text!r} is not a UUID") from None
