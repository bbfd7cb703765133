"""What happened, in words: one line an event."""

from __future__ import annotations

import errno

from agent._fast.packet import Packet
from agent._fast.records import Record
from agent.inputs import ContainerPort, PluggedPort
from agent.ksync import Dumped, InSync, LinkChanged, Lost, Refused
from agent.ksync.events import Event as DatapathEvent
from agent.objects import DatapathMessage, Desired
from agent.oper.rows import Vmi
from agent.pkt import DhcpType
from agent.rest.ports import Change, Row
from agent.routes import (
    EvpnKey,
    GroupKey,
    PublishedRoute,
    RouteAttributes,
    RouteKey,
    RouteUpdate,
)
from agent.sandesh.vrouter import Message
from agent.xmpp import (
    ConfigComplete,
    ConfigServer,
    EndOfRib,
    PeerDown,
    PeerTimedOut,
    PeerUp,
    Routes,
    SweepConfig,
    SweepRoutes,
    TreeBuilder,
)
from agent.xmpp import Event as ControlEvent

_DHCP_TYPES = frozenset(map(int, DhcpType))
_CONFIG = (ConfigServer, ConfigComplete, SweepConfig)


def control_part(event: ControlEvent) -> str:
    """The buffer that it belongs to."""
    return "Config" if isinstance(event, _CONFIG) else "Xmpp"


def control(event: ControlEvent) -> str:
    """Of anything but routes and configuration itself."""
    match event:
        case PeerUp():
            return f"{event.peer} up, session {event.sequence}"
        case PeerDown():
            return f"{event.peer} down: {event.reason}"
        case PeerTimedOut():
            more = ", another takes its place" if event.replaced else ""
            return f"{event.peer} did not answer {event.attempts} times: {event.reason}{more}"
        case EndOfRib():
            return f"{event.peer} has sent all routes" + ("" if event.told else ", it is assumed")
        case SweepRoutes():
            return f"{event.peer}: routes of before session {event.below} are dropped"
        case ConfigServer():
            return f"configuration {event.sequence} comes from {event.peer or 'nobody'}"
        case ConfigComplete():
            return f"configuration {event.sequence} is complete"
        case SweepConfig():
            return f"what configuration {event.sequence} did not bring is dropped"
        case TreeBuilder():
            return f"{event.peer or 'nobody'} builds multicast trees"
        case _:
            return type(event).__name__


def datapath(event: DatapathEvent) -> str:
    """Of what ksync tells; "" for what there is too much of."""
    match event:
        case Dumped():
            return f"the datapath holds {len(event.messages)} objects"
        case InSync():
            return "in sync"
        case Lost():
            return f"lost: {event.reason}"
        case Refused():
            return f"refused: {event.key or event.identity} ({_error(event.errno)})"
        case LinkChanged():
            return f"vif {event.vif_index} is {'up' if event.up else 'down'}"
        case _:
            return ""


def _error(number: int) -> str:
    return errno.errorcode.get(number, str(number))


def port(change: Change) -> str:
    """Of the port API."""
    before, after = change.before, change.after
    verb = "changed" if before and after else "plugged" if after else "unplugged"
    row = after or before
    return f"{verb}: {_row(row)}" if row is not None else verb


def _row(row: Row) -> str:
    if isinstance(row, PluggedPort):
        return f"port {row.uuid} of VM {row.instance_uuid}, device {row.system_name}"
    if isinstance(row, ContainerPort):
        return f"container port {row.vmi_uuid} of VM {row.vm_uuid}"
    return f"gateway {row.interface}"


def vmi(row: Vmi) -> str:
    """How a port is after a change."""
    state = "is active" if row.active else f"is not active: {row.reason}"
    vrf = row.vrf.name if row.vrf else "none"
    addresses = ", ".join(map(str, row.addresses)) or "none"
    return f"port {row.uuid} ({row.name}, vif {row.vif_index}) {state}; VRF {vrf}, {addresses}"


def desired(one: Desired) -> str:
    """What the datapath shall hold now."""
    needs = f", needs {', '.join(map(str, one.refs))}" if one.refs else ""
    return f"wanted: {one.key}{needs}; {message(one.message)}"


def message(one: DatapathMessage) -> str:
    """A message with its fields that are not empty."""
    if not isinstance(one, Message):
        return str(one)
    fields = ((name, getattr(one, name)) for name in one.FIELDS)
    told = (f"{name}={_value(value)}" for name, value in fields if value)
    return f"{one.NAME} {' '.join(told)}"


def _value(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def sent(record: Record) -> str:
    """Of what leaves to the datapath."""
    if record.deleting:
        return f"delete {_slot(record)}"
    verb = "add" if record.programmed is None else "change"
    told = message(record.sent) if record.sent is not None else ""
    return f"{verb} {_slot(record)}; {told}"


def answered(record: Record, code: int) -> str:
    """Of the datapath's answer."""
    verb = "deleted" if record.deleting else "accepted"
    return f"{verb}: {_slot(record)}" if code >= 0 else f"{_error(-code)}: {_slot(record)}"


def _slot(record: Record) -> str:
    key = record.key or record.programmed_key
    return f"{key} at {record.identity}"


def served(service: str, packet: Packet, replies: int) -> str:
    """Of a packet that a service got."""
    mac = packet.src_mac
    what = service
    if service == "DHCP":
        kind = packet.dhcp_kind(mac)
        what = f"DHCP {DhcpType(kind).name}" if kind in _DHCP_TYPES else "DHCP message"
    end = "answered" if replies else "not answered"
    return f"{what} of vif {packet.ifindex} from {mac.hex(':')}: {end}"


def routes(event: Routes) -> str:
    """Of a whole message."""
    batch = event.batch
    gone = sum(update.attributes is None for update in batch.updates)
    count = len(batch.updates)
    return (
        f"{event.peer} tells {batch.family.name} of {batch.vrf}: {count} routes, {gone} retracted"
    )


def route(event: Routes, update: RouteUpdate) -> str:
    """Of one route in a message."""
    batch = event.batch
    what = f"{batch.family.name} {_key(update.key)} of {batch.vrf}"
    if update.attributes is None:
        return f"{event.peer} retracts {what}"
    return f"{event.peer} tells {what}{_attributes(update.attributes)}"


def published(word: str, one: PublishedRoute) -> str:
    """Of a route of ours."""
    return f"{word}: {one.family.name} {_key(one.key)} of {one.vrf}{_attributes(one.attributes)}"


def _key(key: RouteKey) -> str:
    if isinstance(key, EvpnKey):
        return f"{key.mac} {key.ip}/{key.length} tag {key.tag}"
    if isinstance(key, GroupKey):
        return f"{key.group} from {key.source}"
    return repr(key)


def _attributes(one: RouteAttributes) -> str:
    ways = [
        f"{way.address} label {way.label} {'/'.join(each.value for each in way.encapsulations)}"
        for way in one.nexthops
    ]
    told = [f"by {' and '.join(ways)}"] if ways else []
    told += [f"network {one.virtual_network}"] if one.virtual_network else []
    told += [f"preference {one.local_preference}", f"sequence {one.sequence}"]
    return f", {', '.join(told)}"
