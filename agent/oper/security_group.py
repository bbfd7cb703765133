"""Security groups: the numbers that a port's addresses carry, and the lists that decide for it.

Facts oper-db.md 4.1, xmpp-ifmap.md 10.4. Egress is what comes from the VM.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.flow_rows import UNNUMBERED
from agent.oper.incremental import View
from agent.oper.world import BY_UUID, BadConfig, member, neighbours, node, number

_VMI = "virtual-machine-interface"
_GROUP = "security-group"
_ACL = "access-control-list"


class GroupLists(NamedTuple):
    """The access lists of security groups."""

    egress: tuple[NodeRef, ...] = ()
    ingress: tuple[NodeRef, ...] = ()


def attached_groups(view: View, uuid: UUID) -> tuple[int, ...]:
    """The numbers of all groups of a VMI; `UNNUMBERED` for those that have none.

    A port with such a group is not one without groups: nothing that it may do is known.
    """
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    ends = neighbours(view, ref, f"{_VMI}-{_GROUP}", _GROUP) if ref else ()
    return tuple(sorted({view(group_number, end) for end in ends}))


def security_groups(view: View, uuid: UUID) -> tuple[int, ...]:
    """The numbers that the routes to a VMI carry."""
    return tuple(one for one in view(attached_groups, uuid) if one != UNNUMBERED)


def group_number(view: View, ref: NodeRef) -> int:
    """The number of a group, `UNNUMBERED` where configuration has no good one."""
    found = node(view, ref)
    try:
        value = number(member(found and found.properties, "security-group-id"), "")
    except BadConfig:
        return UNNUMBERED
    return value if value > 0 else UNNUMBERED


def group_lists(view: View, uuid: UUID) -> GroupLists:
    """The lists of all groups of a VMI by name; their name says the direction."""
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    groups = neighbours(view, ref, f"{_VMI}-{_GROUP}", _GROUP) if ref else ()
    lists = [end for group in groups for end in neighbours(view, group, f"{_GROUP}-{_ACL}", _ACL)]
    return GroupLists(_directed(lists, "egress-"), _directed(lists, "ingress-"))


def _directed(lists: list[NodeRef], prefix: str) -> tuple[NodeRef, ...]:
    return tuple(ref for ref in lists if ref.name.rpartition(":")[2].startswith(prefix))
