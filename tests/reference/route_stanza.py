"""Reads route stanzas the slow, clear way: the oracle of agent._fast.route_stanza.

ElementTree builds the whole tree; what facts xmpp-ifmap.md 5 to 7 say is then looked up in it.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    LoadBalanceField,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteKey,
    RouteNexthop,
    RouteUpdate,
    TreeNeighbour,
)
from agent.values import BROADCAST_MAC, Address, Mac
from agent.xmpp.routes import Published

WORD = 0xFFFFFFFF
LABEL = 0xFFFFFF
SPACE = " \t\r\n"
INET = {RouteFamily.INET, RouteFamily.INET6, RouteFamily.INET_MPLS}
TREES = {RouteFamily.ERMVPN, RouteFamily.MVPN}
BY_NUMBERS = {family.value: family for family in RouteFamily}
KEY_TEXT = 64
KEY_FIELDS = {
    RouteFamily.EVPN: ("af", "safi", "ethernet-tag", "mac", "address"),
    **dict.fromkeys(INET, ("af", "safi", "address")),
    **dict.fromkeys(TREES, ("af", "safi", "group", "source")),
}
NEXTHOP_FIELDS = (
    "af", "address", "mac", "label", "l3-label", "virtual-network", "is-new-tags-list",
    "local-sequence-number", "tag-list/tag", "tunnel-encapsulation-list/tunnel-encapsulation",
)  # fmt: skip
INET_FIELDS = (
    "virtual-network", "sequence-number", "security-group-list/security-group",
    "community-tag-list/community-tag", "local-preference", "med", "sub-protocol",
    "load-balance/load-balance-fields/load-balance-field-list",
    "load-balance/load-balance-decision",
)  # fmt: skip
EVPN_FIELDS = (
    "virtual-network", "sequence-number", "security-group-list/security-group",
    "local-preference", "med", "edge-replication-not-supported",
    "assisted-replication-supported", "replicator-address", "etree-leaf",
)  # fmt: skip
ENTRY_FIELDS = {
    RouteFamily.EVPN: EVPN_FIELDS,
    **dict.fromkeys(INET, INET_FIELDS),
    RouteFamily.ERMVPN: ("nlri/source-label", "nlri/source-address"),
    RouteFamily.MVPN: ("nlri/route-type",),
}
HOLDERS = {
    **dict.fromkeys(INET, ("next-hops",)),
    RouteFamily.EVPN: ("next-hops", "olist", "leaf-olist"),
    RouteFamily.ERMVPN: ("next-hops", "olist"),
    RouteFamily.MVPN: ("olist",),
}
GROUPS = {"message": ("event", ("items",)), "iq": ("pubsub", ("publish", "collection"))}


class Refused(Exception):
    """The whole of the bytes cannot be used."""


class Faulty(Exception):
    """One item cannot be used."""


def tree(data: bytes) -> Element:
    """The tree with names as they stand: controllers and agents know of no namespaces."""
    builder = TreeBuilder()
    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise Refused(str(error)) from error
    return builder.close()


def number(text: str, limit: int = WORD) -> int:
    text = text.strip(SPACE)
    if not text:
        return 0
    if not re.fullmatch("[0-9]+", text) or int(text) > limit:
        raise Faulty(text)
    return int(text)


def flag(text: str) -> bool:
    return text.strip(SPACE) in ("true", "1")


def inet4(text: str) -> IPv4Address:
    try:
        return IPv4Address(text.strip(SPACE))
    except ValueError as error:
        raise Faulty(text) from error


def mac(text: str) -> Mac:
    try:
        return Mac.parse(text.strip(SPACE))
    except ValueError as error:
        raise Faulty(text) from error


def prefix(text: str) -> tuple[Address, int]:
    address, slash, length = text.strip(SPACE).partition("/")
    if not slash or not re.fullmatch("[0-9]+", length) or address != address.strip(SPACE):
        raise Faulty(text)
    try:
        if ":" in address:
            packed = socket.inet_pton(socket.AF_INET6, address)
            network = ip_network((IPv6Address(packed), int(length)), strict=False)
        else:
            network = ip_network((inet4(address), int(length)), strict=False)
    except (OSError, ValueError) as error:
        raise Faulty(text) from error
    return network.network_address, int(length)


def inet_key(family: RouteFamily, text: str) -> InetKey:
    address, length = prefix(text)
    if address.version != (6 if family is RouteFamily.INET6 else 4):
        raise Faulty(text)
    return InetKey(address.packed, length)


def node(text: str | None) -> tuple[RouteFamily | None, str]:
    """Family and rest of `af/safi/REST`."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)/(.*)", text or "", re.DOTALL)
    if not match or int(match[1]) > 0xFFFF or int(match[2]) > 0xFFFF:
        return None, text or ""
    return BY_NUMBERS.get((int(match[1]), int(match[2]))), match[3]


def retract_key(family: RouteFamily, text: str | None) -> RouteKey:
    if text is None:
        raise Faulty("no id")
    if family is RouteFamily.EVPN:
        tag, dash, rest = text.partition("-") if "-" in text else ("", "", text)
        parts = rest.split(",")
        if len(parts) < 2 or (dash and not re.fullmatch("[0-9]+", tag)):
            raise Faulty(text)
        return EvpnKey(number(tag), mac(parts[0]), *prefix(parts[1]))
    if family in TREES:
        parts = text.split(":", 2)[-1].split(",", 1)
        if text.count(":") < 2 or len(parts) < 2:
            raise Faulty(text)
        return GroupKey(inet4(parts[0]), inet4(parts[1]))
    return inet_key(family, text)


def texts(element: Element, path: str) -> list[str]:
    return [found.text or "" for found in element.findall(path)]


def last(element: Element, path: str) -> str:
    return (texts(element, path) or [""])[-1]


def entry_key(family: RouteFamily, entry: Element) -> RouteKey:
    fields = {name: last(entry, f"nlri/{name}") for name in KEY_FIELDS[family]}
    for name, value in zip(("af", "safi"), family.value, strict=True):
        text = fields[name].strip(SPACE)
        if not re.fullmatch("[0-9]+", text) or int(text) != value:
            raise Faulty(name)
    if any(len(text.encode()) > KEY_TEXT for text in fields.values()):
        raise Faulty("long key")
    if family is RouteFamily.EVPN:
        tag = number(fields["ethernet-tag"])
        return EvpnKey(tag, mac(fields["mac"]), *prefix(fields["address"]))
    if family in TREES:
        source = inet4(fields["source"]) if fields["source"] else IPv4Address(0)
        return GroupKey(inet4(fields["group"]), source)
    return inet_key(family, fields["address"])


def sticky(entry: Element) -> bool:
    said = [found.get("sticky") for found in entry.findall("mobility")]
    return flag(([""] + [text for text in said if text is not None])[-1])


def neighbours(hops: list[RouteNexthop]) -> tuple[TreeNeighbour, ...]:
    return tuple(TreeNeighbour(hop.address, hop.label, hop.encapsulations) for hop in hops)


@dataclass
class Values:
    """The texts of an entry's fields by path; all must be good, the last one counts."""

    found: dict[str, list[str]]

    def texts(self, path: str) -> tuple[str, ...]:
        return tuple(self.found.get(path, []))

    def text(self, path: str) -> str:
        return ("", *self.texts(path))[-1]

    def numbers(self, path: str, limit: int = WORD) -> tuple[int, ...]:
        return tuple(number(text, limit) for text in self.texts(path))

    def number(self, path: str, limit: int = WORD) -> int:
        return (0, *self.numbers(path, limit))[-1]

    def flag(self, path: str) -> bool:
        return flag(self.text(path))

    def address(self, path: str) -> IPv4Address | None:
        return (None, *(inet4(text) if text else None for text in self.texts(path)))[-1]

    def load_balance(self) -> frozenset[LoadBalanceField]:
        chosen = set(self.texts("load-balance/load-balance-fields/load-balance-field-list"))
        known = frozenset(item for item in LoadBalanceField if item.value in chosen)
        hashed = self.text("load-balance/load-balance-decision") == "field-hash"
        return known if hashed and known else ALL_FIELDS


@dataclass
class Reader:
    """The oracle of RouteReader; `published` as there."""

    published: bool = False
    skipped: int = 0
    pending: tuple[str, RouteFamily, RouteKey, RouteAttributes] | None = None
    label_range: tuple[int, int] | None = None

    # ---- attributes ----

    def encapsulations(self, family: RouteFamily, hop: Element) -> tuple[Encapsulation, ...]:
        found: list[Encapsulation] = []
        for text in texts(hop, "tunnel-encapsulation-list/tunnel-encapsulation"):
            known = {item.value: item for item in Encapsulation}.get(text)
            if known is None or known in found:
                continue
            if not self.published:
                if family in INET and known is Encapsulation.VXLAN:
                    continue
                if family in TREES and known not in (Encapsulation.GRE, Encapsulation.UDP):
                    continue
            found.append(known)
        return tuple(found)

    def label(self, family: RouteFamily, text: str) -> int:
        match = re.fullmatch(r"([0-9]+)-([0-9]+)", text.strip(SPACE))
        if family is not RouteFamily.ERMVPN or not match:
            return number(text, LABEL)
        first, final = number(match[1], LABEL), number(match[2], LABEL)
        if first > final:
            raise Faulty(text)
        self.label_range = (first, final) if final else None
        return 0

    def nexthop(self, family: RouteFamily, hop: Element) -> RouteNexthop | None:
        """One next-hop; None if it is no IPv4 host. All its labels are looked at, as they come."""
        label = 0
        for text in texts(hop, "label"):
            label = self.label(family, text)
        macs = [mac(text) if text else None for text in texts(hop, "mac")]
        tags = [number(text, (1 << 48) - 1) for text in texts(hop, "tag-list/tag")]
        if not flag(last(hop, "is-new-tags-list")):
            tags = [(tag & 0xFFFF0000) << 16 | (tag & 0xFFFF) for tag in tags]
        families = [number(text, 0xFFFF) for text in texts(hop, "af")]
        l3_labels = [number(text, LABEL) for text in texts(hop, "l3-label")]
        sequences = [number(text) for text in texts(hop, "local-sequence-number")]
        try:
            address = inet4(last(hop, "address"))
        except Faulty:
            return None
        if families and families[-1] > 1:
            return None
        if not self.published and not 0 < int(address) < int(IPv4Address("224.0.0.0")):
            return None
        return RouteNexthop(
            address=address,
            label=label,
            encapsulations=self.encapsulations(family, hop),
            virtual_network=last(hop, "virtual-network"),
            mac=macs[-1] if macs else None,
            tags=tuple(sorted(tags)),
            l3_label=l3_labels[-1] if l3_labels else 0,
            local_sequence=sequences[-1] if sequences else 0,
        )

    def hops(self, family: RouteFamily, entry: Element) -> dict[str, list[RouteNexthop]]:
        """The next-hops by the element that holds them, read in the order of the document."""
        found: dict[str, list[RouteNexthop]] = {"next-hops": [], "olist": [], "leaf-olist": []}
        for holder in entry:
            single = family is RouteFamily.MVPN and holder.tag == "next-hop"
            if single or holder.tag in HOLDERS[family]:
                for hop in [holder] if single else holder.findall("next-hop"):
                    read = self.nexthop(family, hop)
                    if read is not None:
                        found["next-hops" if single else holder.tag].append(read)
        return found

    def attributes(self, family: RouteFamily, entry: Element) -> RouteAttributes:
        self.label_range = None
        hops = self.hops(family, entry)
        values = Values({path: texts(entry, path) for path in ENTRY_FIELDS[family]})
        return RouteAttributes(
            nexthops=tuple(hops["next-hops"][:128]),
            virtual_network=values.text("virtual-network"),
            sequence=values.number("sequence-number"),
            sticky=family not in TREES and sticky(entry),
            local_preference=values.number("local-preference"),
            med=values.number("med"),
            security_groups=values.numbers("security-group-list/security-group"),
            communities=values.texts("community-tag-list/community-tag"),
            load_balance=values.load_balance(),
            sub_protocol=values.text("sub-protocol"),
            etree_leaf=values.flag("etree-leaf"),
            edge_replication_not_supported=values.flag("edge-replication-not-supported"),
            assisted_replication_supported=values.flag("assisted-replication-supported"),
            replicator_address=values.address("replicator-address"),
            neighbours=neighbours(hops["olist"]),
            leaf_neighbours=neighbours(hops["leaf-olist"]),
            source_label=values.number("nlri/source-label", LABEL),
            source_address=values.address("nlri/source-address"),
            route_type=values.number("nlri/route-type", 7),
            label_range=self.label_range,
        )

    # ---- items ----

    def values(self, family: RouteFamily, entry: Element) -> list[Element]:
        """All elements of the entry that hold a value."""
        paths = [f"nlri/{name}" for name in KEY_FIELDS[family]] + list(ENTRY_FIELDS[family])
        hops = [f"{holder}/next-hop" for holder in HOLDERS[family]]
        if family is RouteFamily.MVPN:
            hops.append("next-hop")
        paths += [f"{hop}/{name}" for hop in hops for name in NEXTHOP_FIELDS]
        return [element for path in paths for element in entry.findall(path)]

    def item(self, family: RouteFamily, item: Element) -> tuple[RouteKey, RouteAttributes]:
        entry = item.find("entry")
        if entry is None:
            raise Faulty("no entry")
        if any(len(value) for value in self.values(family, entry)):
            raise Faulty("an element inside of a value")
        key = entry_key(family, entry)
        attributes = self.attributes(family, entry)
        broadcast = isinstance(key, EvpnKey) and key.mac == BROADCAST_MAC
        if not attributes.nexthops and family not in TREES and not broadcast:
            raise Faulty("no next-hop")
        return key, attributes

    def update(self, family: RouteFamily, child: Element) -> RouteUpdate:
        if child.tag == "retract":
            return RouteUpdate(retract_key(family, child.get("id")), None)
        return RouteUpdate(*self.item(family, child))

    def batch(self, items: Element) -> RouteBatch | None:
        children = [child for child in items if child.tag in ("item", "retract")]
        if items.get("node") == "0/0/EndOfRib":
            self.skipped += len(children)
            return RouteBatch(RouteFamily.INET, "", [], True)
        family, vrf = node(items.get("node"))
        wanted = "retract" if any(child.tag == "retract" for child in children) else "item"
        updates = []
        for child in children:
            try:
                if child.tag != wanted or family is None or not vrf:
                    raise Faulty(child.tag)
                updates.append(self.update(family, child))
            except Faulty:
                self.skipped += 1
        return RouteBatch(family, vrf, updates) if family and updates else None

    # ---- stanzas ----

    def groups(self, data: bytes) -> list[Element]:
        """All `items`, `publish` and `collection` elements in the order of the document.

        A `message` without any stands for the end marker.
        """
        root = tree(b"<stanzas>" + data + b"</stanzas>")
        found = []
        for stanza in root:
            outer, inner = GROUPS.get(stanza.tag, ("", ()))
            boxes = stanza.findall(outer) if outer else []
            inside = [group for box in boxes for group in box if group.tag in inner]
            if stanza.tag == "message" and not inside:
                inside = [Element("items", node="0/0/EndOfRib")]
            found += inside
        return found

    def read(self, data: bytes) -> list[RouteBatch]:
        """As RouteReader.read; Refused instead of StanzaError."""
        batches = []
        for group in self.groups(data):
            if group.tag == "items":
                batch = self.batch(group)
                if batch is not None:
                    batches.append(batch)
            else:
                wanted = ("item",) if group.tag == "publish" else ("associate", "dissociate")
                self.skipped += sum(child.tag in wanted for child in group)
        return batches

    def publish(self, group: Element) -> None:
        family, _ = node(group.get("node"))
        for child in group.findall("item"):
            self.pending = None
            try:
                if family is None:
                    raise Faulty("family")
                self.pending = (group.get("node", ""), family, *self.item(family, child))
            except Faulty:
                self.skipped += 1

    def collect(self, group: Element) -> list[Published]:
        routes = []
        for child in group:
            if child.tag not in ("associate", "dissociate"):
                continue
            pending, self.pending = self.pending, None
            if not group.get("node") or not pending or pending[0] != child.get("node"):
                self.skipped += 1
                continue
            name, family, key, attributes = pending
            kept = attributes if child.tag == "associate" else None
            routes.append(Published(group.get("node", ""), name, family, key, kept))
        return routes

    def read_published(self, data: bytes) -> tuple[list[Published], bool]:
        """As RouteReader.read_published; Refused instead of StanzaError."""
        routes, end_of_rib = [], False
        for group in self.groups(data):
            if group.tag == "publish":
                self.publish(group)
            elif group.tag == "collection":
                routes += self.collect(group)
            else:
                end_of_rib |= group.get("node") == "0/0/EndOfRib"
                self.skipped += sum(child.tag in ("item", "retract") for child in group)
        return routes, end_of_rib
