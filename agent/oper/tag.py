"""Tags: what a port is labelled with by itself and by what it belongs to (facts oper-db.md 4.1).

A tag is a type and a value. Its number in the 48-bit form has the type in the upper 16 bits
(facts xmpp-ifmap.md 5.2).
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.incremental import View
from agent.oper.world import BY_UUID, member, neighbours, node

_VMI = "virtual-machine-interface"
_VM = "virtual-machine"
_PARENT = f"{_VMI}-sub-interface"
_LABEL = "label"
_MOST = (1 << 48) - 1


class Tag(NamedTuple):
    """A tag with the name of its type; `number` is None where configuration has no good one."""

    ref: NodeRef
    kind: str
    number: int | None


def tag(view: View, ref: NodeRef) -> Tag:
    """A tag of configuration."""
    found = node(view, ref)
    properties = found.properties if found else {}
    kind = str(member(properties, "tag-type-name") or "")
    try:
        number = int(str(member(properties, "tag-id")), 16)
    except ValueError:
        return Tag(ref, kind, None)
    return Tag(ref, kind, number if 0 < number <= _MOST else None)


def port_tags(view: View, uuid: UUID) -> tuple[Tag, ...]:
    """The tags of a VMI: its own and those of what it belongs to, the nearest first.

    Of one type the nearest bearer counts: the VMI itself, then its VM, network and project.
    Labels add up. A tag without a number is none.
    """
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    found: dict[Tag, None] = {}
    taken: set[str] = set()
    for bearer in _bearers(view, ref) if ref else ():
        own = [view(tag, end) for end in neighbours(view, bearer, f"{bearer.type}-tag", "tag")]
        own = [one for one in own if one.number is not None and one.kind not in taken]
        found |= dict.fromkeys(own)
        taken |= {one.kind for one in own} - {_LABEL}
    return tuple(found)


def tags(view: View, uuid: UUID) -> tuple[int, ...]:
    """The numbers of the tags of a VMI, each once."""
    numbers = {one.number for one in view(port_tags, uuid)}
    return tuple(sorted(number for number in numbers if number is not None))


def _bearers(view: View, ref: NodeRef) -> list[NodeRef]:
    """The VMI and what it belongs to, the nearest first.

    A sub-interface that has no VM belongs to that of its parent.
    """
    machines = neighbours(view, ref, f"{_VMI}-{_VM}", _VM)
    for parent in () if machines else neighbours(view, ref, _PARENT, _VMI):
        machines += neighbours(view, parent, f"{_VMI}-{_VM}", _VM)
    networks = neighbours(view, ref, f"{_VMI}-virtual-network", "virtual-network")
    return [ref, *machines, *networks, *neighbours(view, ref, f"project-{_VMI}", "project")]
