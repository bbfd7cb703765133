"""What the routes of a port carry beside the way to it: groups, tags, how flows are spread."""

from __future__ import annotations

from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.incremental import View
from agent.oper.vn import global_vrouter
from agent.oper.world import BY_UUID, BadConfig, member, neighbours, node, number
from agent.routes import ALL_FIELDS, LoadBalanceField

_VMI = "virtual-machine-interface"
_BEARERS = ("virtual-machine", "virtual-network")
_LABEL = "label"
_HASHING = "ecmp-hashing-include-fields"
_MOST_TAG = (1 << 48) - 1
_FIELDS = {
    "source-ip": LoadBalanceField.SOURCE_ADDRESS,
    "destination-ip": LoadBalanceField.DESTINATION_ADDRESS,
    "ip-protocol": LoadBalanceField.PROTOCOL,
    "source-port": LoadBalanceField.SOURCE_PORT,
    "destination-port": LoadBalanceField.DESTINATION_PORT,
}


def _configured(view: View, uuid: UUID) -> NodeRef | None:
    return view.read(BY_UUID, Identity(_VMI, uuid))


def security_groups(view: View, uuid: UUID) -> tuple[int, ...]:
    """The numbers of the security groups of a VMI, each once."""
    ref = _configured(view, uuid)
    found: set[int] = set()
    for end in neighbours(view, ref, f"{_VMI}-security-group", "security-group") if ref else ():
        group = node(view, end)
        try:
            found.add(number(member(group and group.properties, "security-group-id"), ""))
        except BadConfig:
            continue
    return tuple(sorted(found - {0}))


def tags(view: View, uuid: UUID) -> tuple[int, ...]:
    """The tags of a VMI in the 48-bit form: its own and those of what it belongs to.

    Of one type the nearest counts: the VMI's own, then those of its VM, network and
    project. Labels add up.
    """
    ref = _configured(view, uuid)
    found: set[int] = set()
    taken: set[str] = set()
    for bearer in _bearers(view, ref) if ref else ():
        kinds = set()
        for end in neighbours(view, bearer, f"{bearer.type}-tag", "tag"):
            kind, value = _tag(view, end)
            if value is not None and kind not in taken:
                found.add(value)
                kinds.add(kind)
        taken |= kinds - {_LABEL}
    return tuple(sorted(found))


def _bearers(view: View, ref: NodeRef) -> list[NodeRef]:
    """The VMI and what it belongs to, the nearest first."""
    found = [ref]
    for kind in _BEARERS:
        found += neighbours(view, ref, f"{_VMI}-{kind}", kind)
    return [*found, *neighbours(view, ref, f"project-{_VMI}", "project")]


def _tag(view: View, ref: NodeRef) -> tuple[str, int | None]:
    """The type's name and the number of a tag; no number where that is malformed."""
    found = node(view, ref)
    properties = found.properties if found else {}
    kind = str(member(properties, "tag-type-name") or "")
    try:
        value = int(str(member(properties, "tag-id")), 16)
    except ValueError:
        return kind, None
    return kind, value if 0 < value <= _MOST_TAG else None


def etree_leaf(view: View, network: str) -> bool:
    """Whether the ports of a network are leaves of an E-Tree: they reach its roots only."""
    found = node(view, NodeRef("virtual-network", network))
    return member(found and found.properties, "pbb-etree-enable") is True


def hash_fields(view: View, uuid: UUID) -> frozenset[LoadBalanceField]:
    """What of a packet chooses among several ways to a VMI: its own word, else that of its
    network, else the global one; everything where nothing is configured."""
    ref = _configured(view, uuid)
    if ref is None:
        return ALL_FIELDS
    for holder in (ref, *neighbours(view, ref, f"{_VMI}-virtual-network", "virtual-network")):
        found = node(view, holder)
        fields = _included(found.properties if found else None)
        if fields:
            return fields
    return _included(view(global_vrouter).properties) or ALL_FIELDS


def _included(properties: object) -> frozenset[LoadBalanceField]:
    said = member(properties, _HASHING)
    if member(said, "hashing-configured") is not True:
        return frozenset()
    return frozenset(field for name, field in _FIELDS.items() if member(said, name) in (True, None))
