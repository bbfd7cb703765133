"""Access lists: which there are, and the rules of one."""

from __future__ import annotations

from agent.flow.words import rule_text
from agent.introspect.pages import links
from agent.introspect.pages.asked import PAGE, Asked, NotThere, address
from agent.introspect.pages.shown import Cell, Facts, Field, Form, Grid, Section, Shown, Text, Tone
from agent.oper.flow_rows import Acl, Action, FlowPort, Rule
from agent.telemetry import Node

_ROLES = (
    ("network", "policy of the network"),
    ("egress", "security group, what the VM sends"),
    ("ingress", "security group, what the VM gets"),
    ("firewall", "firewall policy"),
    ("fwaas", "FWaaS"),
    ("vrf_assign", "VRF assignment"),
    ("mirror", "mirroring"),
)


async def show(node: Node, asked: Asked) -> Shown:
    """All access lists in use."""
    words, start = asked.text("filter").lower(), asked.number("start")
    lists = sorted(node.compiler.acls().values(), key=lambda one: one.name)
    lists = [one for one in lists if words in one.name.lower()]
    problems = node.compiler.policy_problems()
    rows = [_row(one, problems) for one in lists[start : start + PAGE]]
    more = None
    if len(lists) > start + PAGE:
        more = Text("Next lists", address("/access-lists", filter=words, start=start + PAGE))
    form = Form("/access-lists", "Show", (Field("filter", "Name", words),))
    columns = ("Access list", "State", "Rules")
    table = Grid("Access lists", columns, rows, numeric=frozenset((2,)), more=more)
    return Shown("Policy", [Section("lists", "Access lists in use", [form, table])])


def _row(acl: Acl, problems: dict[str, str]) -> list[Cell]:
    state: Cell = Text("complete", tone=Tone.GOOD)
    if acl.name in problems or acl.problems:
        state = (Text("partly left out", tone=Tone.BAD), problems.get(acl.name, acl.problems[0]))
    return [links.access_list(acl.name), state, len(acl.rules)]


async def one(node: Node, asked: Asked) -> Shown:
    """The rules of a list."""
    name, start = asked.text("name"), asked.number("start")
    acl = node.compiler.acls().get(name)
    if acl is None:
        raise NotThere(f"No port of this host uses an access list {name!r}.")
    following = None
    if len(acl.rules) > start + PAGE:
        query = address("/access-lists/rules", name=name, start=start + PAGE)
        following = Text("Next rules", query)
    left_out = [Section("problems", "Left out", [_problems(acl)])] if acl.problems else []
    return Shown(
        links.short(acl.name),
        [
            Section("rules", "Rules", [rules(acl, start, following)]),
            *left_out,
            Section("ports", "Ports that it decides for", [_ports(node, name)]),
            Section("facts", "Properties", [_facts(acl)]),
        ],
        what="Access list",
    )


def rules(acl: Acl, start: int = 0, more: Text | None = None, most: int = PAGE) -> Grid:
    """Rules in the order in which they are asked."""
    rows = [_rule(place, rule) for place, rule in enumerate(acl.rules, 1)]
    columns = ("Place", "Does", "With", "Rule")
    caption = f"Rules of {links.short(acl.name)}"
    part = rows[start : start + most]
    return Grid(caption, columns, part, numeric=frozenset((0,)), more=more)


def _rule(place: int, rule: Rule) -> list[Cell]:
    family = {4: "IPv4: ", 6: "IPv6: "}.get(rule.ethertype, "")
    tone = Tone.BAD if rule.actions & Action.DENY else Tone.GOOD
    does = ", ".join(str(one.name).lower() for one in Action if rule.actions & one)
    return [
        place,
        Text(does or "nothing", tone=tone),
        family + rule_text(rule).replace(links.DOMAIN, ""),
        _uuid(rule),
    ]


def _uuid(rule: Rule) -> Text:
    return Text(str(rule.uuid), code=True)


def _problems(acl: Acl) -> Grid:
    return Grid("Rules that cannot be used", ("Why",), [[text] for text in acl.problems[:PAGE]])


def _facts(acl: Acl) -> Facts:
    return Facts((("Name", acl.name), ("UUID", Text(str(acl.uuid), code=True))))


def _ports(node: Node, name: str) -> Grid:
    rows: list[list[Cell]] = []
    left = 0
    for uuid, flow in node.compiler.flow_ports().items():
        roles = [text for role, text in _ROLES if name in names(flow, role)]
        row = node.compiler.vmi_by_uuid(uuid) if roles else None
        if row is not None and len(rows) < PAGE:
            rows.append([links.port(row), ", ".join(roles)])
        elif row is not None:
            left += 1
    note = f"{PAGE} of {PAGE + left} are shown" if left else ""
    return Grid("Ports", ("Port", "As"), rows, note=note)


def names(flow: FlowPort, role: str) -> tuple[str, ...]:
    """The lists that a port has in a role of PortPolicy, by name."""
    value = getattr(flow.policy, role)
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(value)


def roles(flow: FlowPort) -> list[tuple[str, str]]:
    """(name, role in words) of every list of a port, in the order in which they are asked."""
    return [(name, text) for role, text in _ROLES for name in names(flow, role)]
