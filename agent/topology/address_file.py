"""Reading what a topology file says of addresses that ports have beside their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import TypeVar

from agent.topology.address_rows import (
    Addresses,
    AliasAddress,
    AllowedPair,
    FatFlowRule,
    FloatingAddress,
    LinkLocal,
    RouteTable,
)
from agent.topology.reader import (
    Reader,
    TopologyError,
    cidr,
    converted,
    listed,
    mapping,
    number,
    one_of,
    sequence,
    station,
    text,
)
from agent.topology.rows import Network, Vm
from agent.values import Address, Prefix

R = TypeVar("R")
KEYS = "floating_ips alias_ips allowed_address_pairs route_tables fat_flows link_local_services"
"""The keys of the file that are read here."""
_port = number("a port", 1, 65535)
_OWN_SERVICE = "metadata"
"""What agents themselves serve: it needs no server."""
_MODES = ("active-standby", "active-active")


def addresses(file: Reader, networks: Mapping[str, Network], vms: Mapping[str, Vm]) -> Addresses:
    """What the file says under `KEYS`; TopologyError says what is wrong."""
    known = _Known(networks, vms)
    return Addresses(
        _rows(file, "floating_ips", known.floating),
        _rows(file, "alias_ips", known.alias),
        _rows(file, "allowed_address_pairs", known.pair),
        _rows(file, "route_tables", known.table),
        _rows(file, "fat_flows", known.fat_flow),
        _rows(file, "link_local_services", _link_local),
    )


def _rows(file: Reader, key: str, read: Callable[[str, object], R]) -> dict[str, R]:
    return {name: read(name, content) for name, content in file.named(key)}


def _address(value: object) -> Address:
    found = ip_address(text(value))
    if found.is_unspecified or found.is_multicast:
        raise ValueError(f"{found} is not the address of one host")
    return found


class _Known:
    """The networks and VMs that rows may name."""

    def __init__(self, networks: Mapping[str, Network], vms: Mapping[str, Vm]) -> None:
        self._networks = networks
        self._vms = vms

    def floating(self, name: str, content: object) -> FloatingAddress:
        known = "network address vm vms fixed direction ports"
        reader = Reader(content, ("floating_ips", name), known)
        network, public = self._lent(reader)
        fixed = reader.get("fixed", _address)
        if fixed is not None and fixed.version != public.version:
            raise reader.error("fixed", f"{fixed} is not of the family of {public}")
        ports = reader.get("ports", lambda value: value)
        return FloatingAddress(
            name,
            network,
            public,
            self._holders(reader),
            fixed,
            reader.get("direction", one_of("both", "ingress", "egress"), "both"),
            None if ports is None else tuple(_mappings(ports, (*reader.place, "ports"))),
        )

    def alias(self, name: str, content: object) -> AliasAddress:
        reader = Reader(content, ("alias_ips", name), "network address vm vms")
        return AliasAddress(name, *self._lent(reader), self._holders(reader))

    def _lent(self, reader: Reader) -> tuple[str, Address]:
        """The network, and the address of it that is lent."""
        network, lent = reader.need("network", text), reader.need("address", _address)
        if network not in self._networks:
            raise self._unknown(reader, "network", network, self._networks)
        subnets = [subnet.prefix for subnet in self._networks[network].subnets]
        if not any(lent in subnet for subnet in subnets):
            raise reader.error("address", f"{lent} is in no subnet of {network!r}")
        return network, lent

    def pair(self, name: str, content: object) -> AllowedPair:
        reader = Reader(content, ("allowed_address_pairs", name), "vm vms prefix mac mode")
        return AllowedPair(
            name,
            self._holders(reader),
            reader.need("prefix", cidr),
            reader.get("mac", station),
            reader.get("mode", one_of(*_MODES), _MODES[0]),
        )

    def table(self, name: str, content: object) -> RouteTable:
        reader = Reader(content, ("route_tables", name), "vm vms routes")
        routes = reader.need("routes", mapping)
        place = (*reader.place, "routes")
        return RouteTable(
            name,
            self._holders(reader),
            tuple(
                (converted((*place, str(to)), cidr, to), _texts((*place, str(to)), named))
                for to, named in routes.items()
            ),
        )

    def fat_flow(self, name: str, content: object) -> FatFlowRule:
        known = "vm vms networks protocol port ignore source destination"
        reader = Reader(content, ("fat_flows", name), known)
        networks = self._named(reader, "networks", self._networks)
        holders = self._holders(reader, needed=not networks)
        source, destination = (_cut(reader, key) for key in ("source", "destination"))
        if source and destination and source[0].version != destination[0].version:
            raise reader.error("destination", "is not of the family of 'source'")
        return FatFlowRule(
            name,
            holders,
            networks,
            reader.need("protocol", one_of("tcp", "udp", "sctp", "icmp")),
            reader.get("port", number("a port, 0 for all", 0, 65535), 0),
            reader.get("ignore", one_of("none", "source", "destination"), "none"),
            source,
            destination,
        )

    def _holders(self, reader: Reader, *, needed: bool = True) -> tuple[str, ...]:
        """`vm`, or a list of `vms`."""
        if reader.content.get("vm") is not None:
            if reader.content.get("vms") is not None:
                raise reader.error("vm", "give either 'vm' or 'vms'")
            names: tuple[str, ...] = (reader.get("vm", text),)
            if names[0] not in self._vms:
                raise self._unknown(reader, "vm", names[0], self._vms)
            return names
        names = self._named(reader, "vms", self._vms)
        if needed and not names:
            raise TopologyError(reader.place, "'vm' is missing")
        return names

    def _named(self, reader: Reader, key: str, known: Iterable[str]) -> tuple[str, ...]:
        names = reader.get(key, sequence, [])
        for name in names:
            if not isinstance(name, str) or name not in known:
                raise self._unknown(reader, key, name, known)
        return tuple(dict.fromkeys(names))

    def _unknown(
        self, reader: Reader, key: str, name: object, known: Iterable[str]
    ) -> TopologyError:
        return reader.error(key, f"no {key.rstrip('s')} {name!r}; known: {', '.join(known)}")


def _mappings(content: object, place: tuple[str, ...]) -> Iterable[tuple[str, int, int]]:
    for reader in listed(content, place, "protocol public private"):
        yield (
            reader.get("protocol", one_of("tcp", "udp"), "tcp"),
            reader.need("public", _port),
            reader.need("private", _port),
        )


def _texts(place: tuple[str, ...], value: object) -> tuple[str, ...]:
    return tuple(converted(place, text, one) for one in converted(place, sequence, value or []))


def _cut(reader: Reader, key: str) -> tuple[Prefix, int] | None:
    """`{prefix: 10.0.0.0/16, length: 24}`."""
    content = reader.content.get(key)
    if content is None:
        return None
    inner = Reader(content, (*reader.place, key), "prefix length")
    prefix: Prefix = inner.need("prefix", cidr)
    lengths = number("a length", prefix.prefixlen, prefix.max_prefixlen)
    return prefix, inner.need("length", lengths)


def _link_local(name: str, content: object) -> LinkLocal:
    known = "address port servers server_name server_port"
    reader = Reader(content, ("link_local_services", name), known)
    place = (*reader.place, "servers")
    servers = tuple(converted(place, _address, one) for one in reader.get("servers", sequence, []))
    port, server_name = reader.need("port", _port), reader.get("server_name", text, "")
    if name != _OWN_SERVICE and not servers and not server_name:
        raise TopologyError(reader.place, "give 'servers', or a 'server_name'")
    return LinkLocal(
        name,
        reader.need("address", _address),
        port,
        servers,
        server_name,
        reader.get("server_port", _port, port),
    )
