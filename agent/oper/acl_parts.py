"""The parts of a rule as configuration has them: addresses, protocols, ports, actions.

What cannot be used raises `BadConfig`: the rule is left out, and never becomes a wider one.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from agent.oper.flow_rows import ANY_PORTS, ANY_PROTOCOL, Action, Endpoint, Rule, Service
from agent.oper.world import BadConfig, items, member, number, subnet
from agent.values import Prefix

_PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmp6": 58,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
}
_WITH_PORTS = frozenset((6, 17, 132, 136))
_ICMP, _ICMP6 = 1, 58
_ETHERTYPES = {"": 0, "ipv4": 4, "ipv6": 6}
_ANYONE = ("", "any", "local", "-1")
# As bits: a list may have thousands of rules, and flags are slow to put together.
_PASS, _DENY = Action.PASS.value, Action.DENY.value
_MIRROR, _VRF, _QOS = Action.MIRROR.value, Action.VRF.value, Action.QOS.value
_SIMPLE = {"": 0, "pass": _PASS, "deny": _DENY, "reject": _DENY | Action.REJECT.value}
_FLAGS = (
    ("log", Action.LOG.value),
    ("alert", Action.ALERT.value),
    ("host-based-service", Action.HBS.value),
)
_MOST_GROUP = (1 << 32) - 1
_MOST_PORT, _MOST_PROTOCOL = ANY_PORTS[1], ANY_PROTOCOL[1]


def text(value: object, *path: str) -> str:
    """The text at `path`, "" when missing. BadConfig when it is something else."""
    found = member(value, *path)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise BadConfig(f"{path[-1]}: expected text, found {found!r}")
    return found.strip()


def ethertype(condition: object) -> int:
    """4, 6 or 0 for both."""
    name = text(condition, "ethertype")
    if name.lower() not in _ETHERTYPES:
        raise BadConfig(f"ethertype: {name!r} is neither IPv4 nor IPv6")
    return _ETHERTYPES[name.lower()]


def protocols(value: object, family: int = 0) -> tuple[int, int]:
    """A protocol by name or number, or `any`. ICMP by name is that of the rule's family."""
    name = str(value).strip().lower()
    if name == "any":
        return ANY_PROTOCOL
    known = _PROTOCOLS.get(name)
    if known is None and name.isascii() and name.isdigit() and len(name) <= 3:
        known = int(name)
    if known is None or known > _MOST_PROTOCOL:
        raise BadConfig(f"protocol: {value!r} is not known; use its number, 0 to {_MOST_PROTOCOL}")
    if known == _ICMP and name == "icmp" and family == 6:
        known = _ICMP6
    return known, known


def ports(value: object, place: str) -> tuple[int, int]:
    """A range of ports; -1 and nothing are all."""
    if value is None:
        return ANY_PORTS
    first, last = member(value, "start-port"), member(value, "end-port")
    low = 0 if first is None else number(first, place)
    high = _MOST_PORT if last is None else number(last, place)
    if low == -1 and high in (-1, 0, _MOST_PORT):
        return ANY_PORTS
    if not 0 <= low <= high <= _MOST_PORT:
        raise BadConfig(f"{place}: {low} to {high} is no range of ports")
    return low, high


def service(which: tuple[int, int], source: object, destination: object) -> Service:
    """A service of a protocol and PortTypes, which count where the protocol has ports."""
    if which != ANY_PROTOCOL and which[0] not in _WITH_PORTS:
        return Service(which)
    return Service(which, ports(source, "source ports"), ports(destination, "destination ports"))


def endpoint(address: object, place: str, local: str) -> Endpoint:
    """An AddressType; `local` is the network that a list belongs to, or ""."""
    if text(address, "network-policy"):
        raise BadConfig(f"{place}: a network policy is no address")
    name = text(address, "virtual-network")
    if name == "local":
        if not local:
            raise BadConfig(f"{place}: the list belongs to no network that could be the local one")
        name = local
    return Endpoint(
        prefixes(address, place),
        "" if name == "any" else name,
        _group(text(address, "security-group"), place),
    )


def prefixes(address: object, place: str) -> tuple[Prefix, ...]:
    """The subnets of an address: `subnet` and `subnet-list` together."""
    listed = items(address, "subnet-list")
    own = member(address, "subnet")
    if member(own, "ip-prefix") not in (None, ""):
        listed.append(own)
    return tuple(dict.fromkeys(subnet(one, place) for one in listed))


def _group(name: str, place: str) -> int | None:
    if name in _ANYONE:
        return None
    if not (name.isascii() and name.isdigit() and len(name) <= 10 and 0 < int(name) <= _MOST_GROUP):
        raise BadConfig(f"{place}: {name!r} is not the number of a security group")
    return int(name)


class Condition(NamedTuple):
    """What a packet must be for a rule to hold."""

    source: Endpoint
    destination: Endpoint
    services: tuple[Service, ...]
    ethertype: int

    @property
    def swapped(self) -> Condition:
        """The condition for the other direction: endpoints and ports change sides."""
        turned = (
            Service(one.protocols, one.destination_ports, one.source_ports) for one in self.services
        )
        return Condition(self.destination, self.source, tuple(turned), self.ethertype)


def condition(value: object, local: str) -> Condition:
    """A MatchConditionType; `local` is the network that its list belongs to, or ""."""
    family = ethertype(value)
    which = protocols(text(value, "protocol") or "any", family)
    return Condition(
        endpoint(member(value, "src-address"), "src-address", local),
        endpoint(member(value, "dst-address"), "dst-address", local),
        (service(which, member(value, "src-port"), member(value, "dst-port")),),
        family,
    )


class Actions(NamedTuple):
    """What a rule does, with the names that it does it by."""

    flags: Action
    mirror: str = ""
    vrf: str = ""
    qos: str = ""


def actions(value: object, *, decides: bool = True) -> Actions:
    """An ActionListType.

    A rule of a list that decides ends the walk: it passes what it does not deny. A rule that
    has nothing to do is none.
    """
    name = text(value, "simple-action")
    if name not in _SIMPLE:
        raise BadConfig(f"simple-action: {name!r} is neither pass nor deny")
    bits = _SIMPLE[name]
    mirror = text(value, "mirror-to", "analyzer-name")
    vrf, qos = text(value, "assign-routing-instance"), text(value, "qos-action")
    for given, bit in ((mirror, _MIRROR), (vrf, _VRF), (qos, _QOS)):
        bits |= bit if given else 0
    for flag, bit in _FLAGS:
        bits |= bit if member(value, flag) is True else 0
    if not bits and not items(value, "apply-service"):
        raise BadConfig("action-list: says nothing to do")
    if not decides:
        bits &= ~_PASS
    elif not bits & _DENY:
        bits |= _PASS
    return Actions(Action(bits), mirror, vrf, qos)


def rule(uuid: UUID, does: Actions, when: Condition) -> Rule:
    """The rule of both."""
    return Rule(uuid, does.flags, *when, mirror=does.mirror, vrf=does.vrf, qos=does.qos)
