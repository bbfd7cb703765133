"""How `rt` prints routes. Facts: vrouter-cli.md."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from agent.cli.render import flag_names, mac, mac_unpadded
from agent.errors import WireError
from agent.sandesh.vrouter import VrRouteReq
from agent.shm import BridgeEntry
from agent.values import Prefix

INET, BRIDGE, INET6 = 2, 7, 10
INET_FLAGS = ((0x1, "L"), (0x2, "P"), (0x4, "T"), (0x8, "F"), (0x10, "Ml"))
BRIDGE_FLAGS = (
    (0x2, "L"), (0x4, "Df"), (0x8, "Mm"), (0x10, "L2c"), (0x20, "N"), (0x40, "Ec"), (0x10, "Ml"),
)  # fmt: skip
"""The last is an inet route's flag; the original prints it here too, with the bit of L2c."""
INET_LABEL_VALID, BRIDGE_LABEL_VALID = 0x1, 0x2

_INET_LEGEND = "Flags: L=Label Valid, P=Proxy ARP, T=Trap ARP, F=Flood ARP, Ml=MAC-IP learnt route"
_BRIDGE_LEGEND = (
    "Flags: L=Label Valid, Df=DHCP flood, Mm=Mac Moved, L2c=L2 Evpn Control Word, N=New Entry, "
    "Ec=EvpnControlProcessing"
)


def table_name(family: int, vrf: int) -> str:
    """As in `Match 2.2.2.3/32 in vRouter inet4 table 0/2/unicast`."""
    word = {INET: "inet4", INET6: "inet6", BRIDGE: "bridge"}[family]
    return f"vRouter {word} table 0/{vrf}/unicast"


def header(family: int, vrf: int) -> list[str]:
    """Legend, table and column titles."""
    if family == BRIDGE:
        return [
            _BRIDGE_LEGEND,
            f"vRouter bridge table 0/{vrf}",
            "Index       DestMac                  Flags           Label/VNID      Nexthop"
            "           Stats",
        ]
    return [
        _INET_LEGEND,
        f"vRouter {'inet4' if family == INET else 'inet6'} routing table 0/{vrf}/unicast",
        "Destination           PPL        Flags        Label         Nexthop    "
        "Stitched MAC(Index)",
    ]


def destination(route: VrRouteReq) -> str:
    """address/length of an inet or inet6 route. WireError when it has no address."""
    try:
        return f"{ip_address(bytes(route.rtr_prefix))}/{route.rtr_prefix_len}"
    except ValueError as error:
        raise _no_route(error) from None


def network(route: VrRouteReq, length: int) -> Prefix:
    """The prefix of this length that an inet or inet6 route is in. WireError."""
    try:
        return ip_network((bytes(route.rtr_prefix), length), strict=False)
    except ValueError as error:
        raise _no_route(error) from None


def _no_route(error: ValueError) -> WireError:
    return WireError(f"the datapath answered with a route that is none: {error}")


def route_line(route: VrRouteReq, ppl: int) -> str:
    """One inet or inet6 row. `ppl`: length of the prefix that was programmed."""
    flags = "".join(flag_names(route.rtr_label_flags, INET_FLAGS))
    label = str(route.rtr_label) if route.rtr_label_flags & INET_LABEL_VALID else "-"
    stitched = f"{mac_unpadded(route.rtr_mac)}({route.rtr_index})" if any(route.rtr_mac) else "-"
    return (
        f"{destination(route):<21}{ppl:4}        {flags:>5}      {label:>5}        "
        f"{route.rtr_nh_id:7}        {stitched}"
    )


def bridge_line(index: int, octets: bytes, flags: int, label: int, nh_id: int, packets: int) -> str:
    """One bridge row."""
    letters = "".join(flag_names(flags, BRIDGE_FLAGS))
    shown = str(label) if flags & BRIDGE_LABEL_VALID else "-"
    return (
        f"{index:<12}{mac_unpadded(octets):<20} {letters:>9}{'':11} {shown:>9}      {nh_id:7}"
        f"    {packets:12}"
    )


def entry_line(entry: BridgeEntry) -> str:
    """One row of the shared bridge table."""
    nh_id = -1 if entry.nh_id is None else entry.nh_id
    return bridge_line(entry.index, entry.mac, entry.flags, entry.label, nh_id, entry.packets)


def route_json(route: VrRouteReq, ppl: int) -> dict[str, Any]:
    """One inet or inet6 route for programs."""
    return {
        "destination": destination(route),
        "ppl": ppl,
        "flags": flag_names(route.rtr_label_flags, INET_FLAGS),
        "label": route.rtr_label if route.rtr_label_flags & INET_LABEL_VALID else None,
        "nexthop": route.rtr_nh_id,
        "mac": mac(route.rtr_mac) if any(route.rtr_mac) else None,
    }


def bridge_json(
    index: int, octets: bytes, flags: int, label: int, nh_id: int, packets: int
) -> dict[str, Any]:
    """One bridge route for programs."""
    return {
        "index": index,
        "mac": mac(octets),
        "flags": flag_names(flags, BRIDGE_FLAGS[:-1]),
        "label": label if flags & BRIDGE_LABEL_VALID else None,
        "nexthop": nh_id,
        "packets": packets,
    }


def entry_json(entry: BridgeEntry) -> dict[str, Any]:
    """One row of the shared bridge table for programs."""
    nh_id = -1 if entry.nh_id is None else entry.nh_id
    return bridge_json(entry.index, entry.mac, entry.flags, entry.label, nh_id, entry.packets)
