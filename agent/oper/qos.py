"""Quality of service: the maps of QoS configurations in use, and the forwarding classes.

Facts oper-db.md 1.2, sandesh-ksync.md 4.2, 4.5, ifmap-schema.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.objects import Key, Kind
from agent.oper import ids
from agent.oper.acl import acl
from agent.oper.datapath import ForwardingClass, Output, QosMap
from agent.oper.incremental import Failure, View
from agent.oper.port_policy import lists_in_use
from agent.oper.ports import plugged
from agent.oper.world import BY_UUID, BadConfig, items, member, neighbours, node, number

_VMI, _CONFIG, _CLASS = "virtual-machine-interface", "qos-config", "forwarding-class"
_GLOBAL = NodeRef("global-qos-config", "default-global-system-config:default-global-qos-config")
_DSCP, _BITS = 64, 8
_MARKS = ("dscp", "mpls-exp", "vlan-priority")
_MOST_CLASS, _MOST_QUEUE = 255, 255


def qos_config(view: View, uuid: UUID) -> NodeRef | None:
    """The QoS configuration of a VMI: its own, else that of its network; None without one."""
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    holders = [ref] if ref else []
    holders += neighbours(view, ref, f"{_VMI}-virtual-network", "virtual-network") if ref else []
    for holder in holders:
        for found in neighbours(view, holder, f"{holder.type}-{_CONFIG}", _CONFIG):
            if node(view, found) is not None:
                return found
    return None


def qos_configs(view: View) -> tuple[NodeRef, ...]:
    """Those in use: of plugged VMIs, and those that rules of access lists name."""
    found: dict[NodeRef, None] = {}
    for uuid in view(plugged):
        ref = view.attempt(qos_config, uuid)
        if isinstance(ref, NodeRef):
            found[ref] = None
    for listed in view(lists_in_use)[0]:
        rows = view.attempt(acl, listed)
        names = {rule.qos for rule in rows.rules} if rows and not isinstance(rows, Failure) else ()
        found |= dict.fromkeys(NodeRef(_CONFIG, name) for name in sorted(names) if name)
    return tuple(ref for ref in found if node(view, ref) is not None)


def map_recognition(dscp: bytes, mpls: bytes, dotonep: bytes) -> tuple[object, ...]:
    """A map: by its content."""
    return "map", bytes(dscp), bytes(mpls), bytes(dotonep)


def qos_map(view: View, ref: NodeRef) -> QosMap | None:
    """The map of a configuration: the class of each mark, the default where none is said.

    None while it is not there, or its default is no class.
    """
    found = node(view, ref)
    if found is None:
        return None
    said = found.properties
    default = _class_number(said, f"default-{_CLASS}-id")
    if default is None:
        return None
    dscp = _filled(said, "dscp-entries", _DSCP, default)
    mpls = _filled(said, "mpls-exp-entries", _BITS, default)
    dotonep = _filled(said, "vlan-priority-entries", _BITS, default)
    key = Key(Kind.QOS_MAP, ref.name)
    index = ids.index(view, key, lambda: [map_recognition(dscp, mpls, dotonep)])
    return QosMap(key, index, dscp, mpls, dotonep)


def _filled(said: Any, name: str, count: int, default: int) -> bytes:
    """The class of each mark from 0; pairs that make no sense are left out."""
    classes = bytearray([default]) * count
    try:
        listed = items(said, name, "qos-id-forwarding-class-pair")
    except BadConfig:
        return bytes(classes)
    for pair in listed:
        mark, own = member(pair, "key"), _class_number(pair, f"{_CLASS}-id")
        if isinstance(mark, int) and 0 <= mark < count and own is not None:
            classes[mark] = own
    return bytes(classes)


def _class_number(value: Any, name: str) -> int | None:
    try:
        found = number(member(value, name), name)
    except BadConfig:
        return None
    return found if 0 <= found <= _MOST_CLASS else None


def map_output(view: View, ref: NodeRef) -> Output:
    """The map of a configuration."""
    made = view(qos_map, ref)
    return Output() if made is None else Output((made,))


def classes_output(view: View) -> Output:
    """All forwarding classes, while a map may name them; of one number the first by name."""
    if not view(qos_configs):
        return Output()
    found: dict[Key, ForwardingClass] = {}
    for one in _classes(view):
        found.setdefault(one.key, one)
    return Output(tuple(found.values()))


def _classes(view: View) -> Iterator[ForwardingClass]:
    for ref in neighbours(view, _GLOBAL, f"{_GLOBAL.type}-{_CLASS}", _CLASS):
        found = node(view, ref)
        said = found.properties if found else {}
        own = _class_number(said, f"{_CLASS}-id")
        marks = [member(said, f"{_CLASS}-{name}") or 0 for name in _MARKS]
        usable = all(
            isinstance(mark, int) and 0 <= mark < count
            for mark, count in zip(marks, (_DSCP, _BITS, _BITS), strict=True)
        )
        if found is not None and own is not None and usable:
            key = Key(Kind.FORWARDING_CLASS, own)
            yield ForwardingClass(key, own, marks[0], marks[1], marks[2], _queue(view, ref))


def _queue(view: View, ref: NodeRef) -> int:
    """The queue of a class; 0 for none."""
    for queue in neighbours(view, ref, f"{_CLASS}-qos-queue", "qos-queue"):
        found = node(view, queue)
        name = "qos-queue-identifier"
        try:
            own = number(member(found and found.properties, name), name)
        except BadConfig:
            continue
        if 0 <= own <= _MOST_QUEUE:
            return own
    return 0
