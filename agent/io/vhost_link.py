"""vhost0, the host's own interface on a kernel datapath: the module's link kind, by rtnetlink.

Once, before the agent, outside of any event loop: pyroute2's calls run a loop of their own.
"""

from __future__ import annotations

import errno
import os
from ipaddress import IPv4Interface

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

KIND = "vhost"
"""As the module calls it."""


def make(name: str, fabric: str, address: IPv4Interface | None, kind: str = KIND) -> list[str]:
    """Make the interface, unless it is there, with the fabric interface's MAC address, and up.

    Gives it `address` if no interface of the host has that yet. What was done, for people.
    OSError: there is no fabric interface; the kernel refuses, EOPNOTSUPP without the module.
    """
    with IPRoute() as route:
        try:
            return _made(route, name, fabric, address, kind)
        except NetlinkError as error:
            raise OSError(error.code, f"{name}: {_reason(error.code, kind)}") from None


def _made(
    route: IPRoute, name: str, fabric: str, address: IPv4Interface | None, kind: str
) -> list[str]:
    if route.link_lookup(ifname=name):
        return []
    under = route.link_lookup(ifname=fabric)
    if not under:
        raise OSError(errno.ENODEV, f"{name}: there is no interface {fabric}, whose MAC it has")
    (link,) = route.get_links(under[0])
    mac = link.get_attr("IFLA_ADDRESS")
    route.link("add", ifname=name, kind=kind, address=mac)
    (index,) = route.link_lookup(ifname=name)
    route.link("set", index=index, state="up")
    done = [f"{name}: made, with the MAC address of {fabric}, {mac}"]
    taken = {one.get_attr("IFA_ADDRESS") for one in route.get_addr()}
    if address is not None and str(address.ip) not in taken:
        route.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
        done.append(f"{name}: has {address}")
    return done


def _reason(number: int, kind: str) -> str:
    if number == errno.EOPNOTSUPP:
        return f"the kernel has no links of kind {kind}: load the module (modprobe vrouter)"
    return os.strerror(number)
