"""The reference agent's backup (facts oper-db.md 5), read as numbers of our own keys.

It writes down the interfaces' indexes, the VRFs' and the labels, never nexthops: those are
known again by their content while the datapath lives, and may change when it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any, NamedTuple, TypeAlias

from agent.backup import resources
from agent.errors import SandeshError, WireError
from agent.objects import Key, Kind, Numbered
from agent.sandesh.runtime import STRING, Reader, Record
from agent.values import Mac

# Flags of interface nexthops (facts oper-db.md 1.4): INET4 1, BRIDGE 2, MULTICAST 4.
_PARTS = {
    (True, 1): "l3-policy",
    (False, 1): "l3",
    (False, 5): "l3-multicast",
    (False, 2): "l2",
    (True, 2): "l2-policy",
}
_BROADCAST = "ff:ff:ff:ff:ff:ff"


class Restored(NamedTuple):
    """What a file of the reference agent gives: numbers, and what of it has no use here.

    `message` is the name of the message that it is.
    """

    message: str
    rows: list[Numbered]
    left_out: list[str]


_Reader: TypeAlias = "Callable[[Mapping[int, Any]], Iterator[tuple[int, Key | str]]]"
"""Of each number the keys that it may belong to, or what it is that none does."""


def restored(content: bytes) -> Restored:
    """The numbers in the content of a file. WireError for bytes that are no such file.

    The name of the message tells what is in it: those of some files are not known.
    """
    try:
        name = STRING.read(Reader(content))
        kind = resources.MESSAGES.get(name)
        reader = _READERS.get(kind) if kind else None
        if kind is None or reader is None:
            raise WireError(f"{name!r} is no message of a backup")
        record: Any = kind.decode(content)
    except SandeshError as error:
        raise WireError(f"not a backup of numbers: {error}") from None
    rows: list[Numbered] = []
    left_out: list[str] = []
    for index, key in reader(record.index_map):
        if isinstance(key, str):
            left_out.append(f"{index}: {key}")
        else:
            rows.append(Numbered(key.kind, index, key.text))
    return Restored(name, rows, left_out)


def _label(*name: Hashable) -> Key:
    return Key(Kind.LABEL, name)


def _vifs(found: Mapping[int, Any]) -> Iterator[tuple[int, Key | str]]:
    for index, one in found.items():
        yield index, Key(Kind.VIF, (one.uuid, one.interface_name))


def _vrfs(found: Mapping[int, Any]) -> Iterator[tuple[int, Key | str]]:
    for index, one in found.items():
        yield index, Key(Kind.VRF, one.vrf_name)


def _interfaces(found: Mapping[int, Any]) -> Iterator[tuple[int, Key | str]]:
    """The labels of ports. The first of each part is for the VM's own MAC address."""
    seen: set[tuple[Hashable, ...]] = set()
    for index, one in sorted(found.items()):
        part = _PARTS.get((one.policy, one.flags))
        if part is None or not one.uuid.strip("0-"):
            yield index, f"a label of {one.name}, policy {one.policy}, flags {one.flags}"
            continue
        name = ("interface", one.uuid, one.name, part)
        if name not in seen:
            seen.add(name)
            yield index, _label(*name)
        try:
            yield index, _label(*name, bytes(Mac.parse(one.mac)))
        except ValueError:
            yield index, f"the MAC address {one.mac!r} of {one.name}"


def _networks(found: Mapping[int, Any]) -> Iterator[tuple[int, Key | str]]:
    for index, one in found.items():
        if one.bridge_nh:
            yield index, _label("vrf", one.name)
        else:
            yield index, f"a label into the routes of VRF {one.name}"


def _services(found: Mapping[int, Any]) -> Iterator[tuple[int, Key | str]]:
    for index, one in found.items():
        yield index, f"a label of tag {one.tag} at port {one.uuid}, whose device is not told"


def _routes(found: Mapping[int, Any]) -> Iterator[tuple[int, Key | str]]:
    """The labels of a VRF's broadcast, and of addresses that several ports share."""
    for index, one in found.items():
        if _BROADCAST in one.route_prefix:
            yield index, _label("broadcast", one.vrf_name)
            continue
        try:
            to = ip_network(one.route_prefix)
        except ValueError:
            yield index, f"a label of route {one.route_prefix!r} of VRF {one.vrf_name}"
        else:
            place = (to.network_address.packed, to.prefixlen)
            yield index, _label("ecmp", "local", one.vrf_name, place)


def _mirrors(found: Mapping[int, Any]) -> Iterator[tuple[int, Key | str]]:
    for index, one in found.items():
        yield index, Key(Kind.MIRROR, one.analyzer_name)


def _unknown(what: str) -> _Reader:
    def left_out(found: Mapping[int, Any]) -> Iterator[tuple[int, Key | str]]:
        for index, one in found.items():
            yield index, f"{what} {one.uuid}"

    return left_out


_READERS: Mapping[type[Record], _Reader] = {
    resources.InterfaceIndexResourceMapSandesh: _interfaces,
    resources.VrfMplsResourceMapSandesh: _networks,
    resources.VlanMplsResourceMapSandesh: _services,
    resources.RouteMplsResourceMapSandesh: _routes,
    resources.VmInterfaceIndexResourceMapSandesh: _vifs,
    resources.VrfIndexResourceMapSandesh: _vrfs,
    resources.QosIndexResourceMapSandesh: _unknown("QoS map"),
    resources.BgpAsServiceIndexResourceMapSandesh: _unknown("BGP as a service"),
    resources.MirrorIndexResourceMapSandesh: _mirrors,
}
