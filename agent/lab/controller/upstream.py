"""What agents say after the stream header, read from their stanzas (facts xmpp-ifmap.md 6)."""

from __future__ import annotations

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
class Publish:
    """First half of a route: the entry. A publish without entry is an end of RIB."""

    node: str
    entry: Element | None


@dataclass(frozen=True, slots=True)
class Collection:
    """Second half of a route: the VRF, and whether it is added or withdrawn."""

    vrf: str
    node: str
    associate: bool


@dataclass(frozen=True, slots=True)
class EndOfRib:
    """The agent has published all that it has."""


Request = ConfigSubscription | VrfSubscription | Publish | Collection | EndOfRib


def requests(data: bytes) -> Iterator[Request]:
    """What a stanza asks for; WireError when it is not XML or not of the dialect."""
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
    node = verb.get("node", "")
    match local(verb):
        case "subscribe" | "unsubscribe":
            return VrfSubscription(
                node,
                number(text(verb, "options", "instance-id"), 0, 2**31),
                text(verb, "options", "no-ribout") != "true",
                local(verb) == "subscribe",
            )
        case "publish":
            item = child(verb, "item")
            return Publish(node, None if item is None else child(item, "entry"))
        case "collection":
            for action in verb:
                if local(action) in ("associate", "dissociate"):
                    return Collection(node, action.get("node", ""), local(action) == "associate")
    raise WireError(f"{local(verb)} is nothing that an agent asks of bgp-peer")


def child(element: Element | None, name: str) -> Element | None:
    """The first child of that name."""
    if element is None:
        return None
    return next((one for one in element if local(one) == name), None)


def text(element: Element | None, *path: str) -> str:
    """The text of a descendant; empty when there is none."""
    for name in path:
        element = child(element, name)
    return (element.text or "").strip() if element is not None else ""


def number(value: str, low: int, high: int) -> int:
    """A whole number; an empty one is 0. WireError outside of the bounds."""
    if not value.isascii() or (value and not value.isdigit()) or len(value) > 20:
        raise WireError(f"{value!r} is not a number")
    result = int(value or "0")
    if not low <= result <= high:
        raise WireError(f"{result} is not within {low} to {high}")
    return result
