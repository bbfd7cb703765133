"""Reading a loaded YAML file piece by piece, with errors that say where they are."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Any, TypeVar

from agent.errors import ConfigError
from agent.values import Mac, Prefix, prefix

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """A value for a message, in brief: aliases of YAML make huge ones of a few lines."""
    return _SHORT.repr(value)


class TopologyError(ConfigError):
    """What is wrong in a topology file; `place` are the keys that lead there."""

    def __init__(self, place: tuple[str, ...], text: str) -> None:
        self.place = place
        super().__init__(f"{'.'.join(place) or 'topology'}: {text}")


class Reader:
    """A mapping of the file with its place, for errors that say where they are.

    `known` are the keys that it may have, separated by blanks. A converter takes a value of
    the file and raises ValueError with what is wrong with it.
    """

    def __init__(self, content: object, place: tuple[str, ...], known: str) -> None:
        self.place = place
        if not isinstance(content, Mapping):
            raise TopologyError(place, f"expected a mapping, found {shown(content)}")
        for key in content:
            if key not in known.split():
                raise TopologyError((*place, str(key)), f"unknown key {str(key)!r}; known: {known}")
        self.content = content

    def error(self, key: str, problem: object) -> TopologyError:
        """The error that says what is wrong with the value of a key."""
        return TopologyError((*self.place, key), str(problem))

    def named(self, key: str) -> list[tuple[str, Any]]:
        """The (name, value) pairs of a mapping of names; none when it is missing."""
        value = self.content.get(key) or {}
        if not isinstance(value, Mapping):
            raise self.error(key, f"expected a mapping of names, found {shown(value)}")
        for name in value:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise TopologyError(
                    (*self.place, key, str(name)),
                    f"bad name {shown(name)}; use letters, digits, - and _, at most 32",
                )
        return list(value.items())

    def get(self, key: str, convert: Callable[[Any], Any], default: Any = None) -> Any:
        """The converted value, or the default when it is missing."""
        value = self.content.get(key)
        if value is None:
            return default
        try:
            return convert(value)
        except ValueError as error:
            raise self.error(key, error) from None

    def need(self, key: str, convert: Callable[[Any], Any]) -> Any:
        """The converted value of a key that must be there."""
        if self.content.get(key) is None:
            raise TopologyError(self.place, f"{key!r} is missing")
        return self.get(key, convert)

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """The (name, value) pairs of a mapping, as texts."""
        return tuple((str(name), str(value)) for name, value in self.get(key, mapping, {}).items())


def converted(place: tuple[str, ...], convert: Callable[[Any], T], value: object) -> T:
    """A value of the file that has no reader of its own."""
    try:
        return convert(value)
    except ValueError as error:
        raise TopologyError(place, str(error)) from None


def listed(content: object, place: tuple[str, ...], known: str) -> list[Reader]:
    """A list of mappings; each has its place, counted from 1."""
    entries = converted(place, sequence, content)
    return [Reader(one, (*place, str(at)), known) for at, one in enumerate(entries, 1)]


def text(value: object) -> str:
    """YAML reads some addresses without quotes as numbers."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {shown(value)}; put the value in quotes")
    return value


def sequence(value: object) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise ValueError(f"expected a list, found {shown(value)}")
    return value


def mapping(value: object) -> Mapping[Any, Any]:
    """A mapping."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping, found {shown(value)}")
    return value


def flag(value: object) -> bool:
    """True or false; YAML has `on` and `off` too."""
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {shown(value)}")
    return value


def number(what: str, low: int, high: int) -> Callable[[object], int]:
    """A converter of whole numbers from `low` to `high`."""

    def convert(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"expected {what}, {low} to {high}, found {shown(value)}")
        return value

    return convert


def one_of(*words: str) -> Callable[[object], str]:
    """A converter of some words."""

    def convert(value: object) -> str:
        if value not in words:
            raise ValueError(f"expected one of {', '.join(words)}, found {shown(value)}")
        return str(value)

    return convert


def address4(value: object) -> IPv4Address:
    """An IPv4 address."""
    return IPv4Address(text(value))


def station(value: object) -> Mac:
    """The MAC address of one interface."""
    mac = Mac.parse(text(value))
    if mac[0] & 1 or not any(mac):
        raise ValueError(f"{mac} is not the MAC address of one interface")
    return mac


def device(value: object) -> str:
    """The name of a network interface."""
    if not _DEVICE.fullmatch(text(value)):
        raise ValueError(f"{shown(value)} cannot be the name of a network interface")
    return str(value)


def cidr(value: object) -> Prefix:
    """PREFIX/LENGTH."""
    if "/" not in text(value):
        raise ValueError(f"expected PREFIX/LENGTH, found {shown(value)}")
    return prefix(str(value))
