"""What agents ask for, read from their stanzas (facts xmpp-ifmap.md 4, 6.1, 6.4).

Their routes are not among it: `carries_route` tells those stanzas from the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from agent.errors import WireError
from agent.lab.controller.wire import END_OF_RIB_NODE


@dataclass(frozen=True, slots=True)
class ConfigSubscription:
    """Asks for the configuration of an object, or no more."""

    kind: str
    name: str
    subscribe: bool


@dataclass(frozen=True, slots=True)
class VrfSubscription:
    """Asks for the routes of a VRF, or no more; `instance` is the agent's index of it."""

    vrf: str
    instance: int
    wants_routes: bool
    subscribe: bool


@dataclass(frozen=True, slots=True)
class EndOfRib:
    """The agent has published all that it has."""


Request = ConfigSubscription | VrfSubscription | EndOfRib


def carries_route(data: bytes) -> bool:
    """Whether a stanza is one of the pair that publishes or withdraws a route."""
    return b"<publish" in data or b"<collection" in data


def requests(data: bytes) -> Iterator[Request]:
    """What a stanza without routes asks for; WireError when it is not XML or not of the dialect."""
    try:
        stanza = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise WireError(f"a stanza is not well-formed: {error}") from None
    to = stanza.get("to", "")
    resource = to.rpartition("/")[2]
    if stanza.tag == "message":
        nodes = [node.get("node") for node in stanza.iter() if local(node) == "items"]
        if resource != "bgp-peer" or nodes != [END_OF_RIB_NODE]:
            raise WireError(f"a message to {to!r} that is no end of RIB")
        yield EndOfRib()
        return
    for pubsub in stanza:
        for verb in pubsub:
            yield _config(verb) if resource == "config" else _routes(verb, to)


def local(element: Element) -> str:
    """The tag without namespace: control nodes ignore namespaces."""
    return element.tag.rpartition("}")[2]


def _config(verb: Element) -> Request:
    kind, colon, name = verb.get("node", "").partition(":")
    if local(verb) not in ("subscribe", "unsubscribe") or not colon:
        raise WireError(f"{local(verb)} {verb.get('node')!r} is no configuration request")
    return ConfigSubscription(kind, name, local(verb) == "subscribe")


def _routes(verb: Element, to: str) -> Request:
    if not to.endswith("/bgp-peer"):
        raise WireError(f"an iq to {to!r}")
    if local(verb) not in ("subscribe", "unsubscribe"):
        raise WireError(f"{local(verb)} is nothing that an agent asks of bgp-peer")
    return VrfSubscription(
        verb.get("node", ""),
        _number(_text(verb, "options", "instance-id")),
        _text(verb, "options", "no-ribout") != "true",
        local(verb) == "subscribe",
    )


def _text(element: Element, *path: str) -> str:
    """The text of a descendant; empty when there is none."""
    for name in path:
        found = next((one for one in element if local(one) == name), None)
        if found is None:
            return ""
        element = found
    return (element.text or "").strip()


def _number(value: str) -> int:
    if not re.fullmatch("[0-9]{1,10}", value):
        raise WireError(f"{value!r} is not an instance")
    return int(value)
