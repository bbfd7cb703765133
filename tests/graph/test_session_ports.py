"""What is told of a port's sessions: its tags by name, and which rules are logged how often."""

from __future__ import annotations

from typing import Any

from agent.inputs import GraphLink
from agent.oper.session_port import LoggingObject, SessionPort, TagName
from tests.graph.policies import (
    GLOBAL,
    firewall_policy,
    firewall_rule,
    node,
    tag,
    tied,
    uuid,
)
from tests.graph.test_access_lists import FULL, NET1, PORT, VM
from tests.graph.worlds import World, run

SLO = "security-logging-object"
POLICY = ("firewall-policy", "default-policy-management:web")


def told(*more: Any) -> SessionPort:
    world: World = FULL
    for each in more:
        world = world | (each if isinstance(each, list) else [each])
    compiler, _ = run([world])
    row = compiler.session_port(VM.port)
    assert row is not None
    return row


def slo(name: str, bearer: tuple[str, str] | None, rate: Any = 100, **rates: Any) -> list[Any]:
    """A logging object and the link to who bears it; `rates` are of rules by name."""
    listed = [{"rule-uuid": str(uuid(rule)), "rate": each} for rule, each in rates.items()]
    made: list[Any] = [
        node(
            SLO,
            name,
            security_logging_object_rate=rate,
            security_logging_object_rules={"rule": listed},
        )
    ]
    if bearer:
        made.append(GraphLink(f"{bearer[0]}-{SLO}", bearer, (SLO, name)))
    return made


def of(**rates: int) -> dict[str, int]:
    return {str(uuid(rule)): rate for rule, rate in rates.items()}


def test_a_port_without_anything_has_nothing_to_tell() -> None:
    assert told() == SessionPort()


def test_tags_have_the_names_that_people_gave_them() -> None:
    row = told(
        tag(PORT, "tier", "web", 2 << 32 | 5), tag(NET1, "application", "hr", 1 << 32 | 1)
    )  # fmt: skip
    assert set(row.tags) == {
        TagName("tier", "tier=web", 2 << 32 | 5),
        TagName("application", "application=hr", 1 << 32 | 1),
    }


def test_objects_of_the_port_its_network_and_the_globe_are_asked_in_this_order() -> None:
    row = told(slo("c", PORT, r=1), slo("b", NET1, r=2), slo("a", GLOBAL, r=3), node(*GLOBAL))
    assert [one.name for one in row.logging] == ["c", "b", "a"]
    assert row.logging[0] == LoggingObject("c", uuid("c"), of(r=1))


def test_a_rule_without_a_rate_has_that_of_its_object_and_below_one_there_is_none() -> None:
    [made] = told(slo("s", PORT, 7, r=None, s=-1, t=0, u=3)).logging
    assert made.rates == of(r=7, s=7, u=3)


def test_an_object_without_rules_or_switched_off_logs_nothing() -> None:
    off = node(SLO, "off", security_logging_object_rate=1)
    off.properties["id-perms"]["enable"] = False
    links = [GraphLink(f"{PORT[0]}-{SLO}", PORT, (SLO, "off"))]
    assert told(slo("empty", PORT), [off, *links]).logging == ()


def test_rules_of_linked_firewall_policies_and_linked_rules_are_logged() -> None:
    rules = [("1", firewall_rule("one")), ("2", firewall_rule("two"))]
    [made] = told(
        slo("s", PORT, 9),
        firewall_policy(POLICY[1], *rules),
        tied(f"firewall-policy-{SLO}", POLICY, (SLO, "s"), {"rate": -1}),
        tied(f"firewall-rule-{SLO}", ("firewall-rule", "two"), (SLO, "s"), {"rate": 4}),
    ).logging
    assert made.rates == of(one=9, two=4)


def test_what_is_no_list_of_rules_logs_nothing() -> None:
    bad = node(SLO, "s", security_logging_object_rules={"rule": "all"})
    assert told([bad, GraphLink(f"{PORT[0]}-{SLO}", PORT, (SLO, "s"))]).logging == ()


def test_it_is_known_whether_anything_is_logged_at_all() -> None:
    logged, plain = FULL | slo("s", PORT, r=1), FULL
    for states, expected in (([plain], False), ([logged], True), ([logged, plain], False)):
        compiler, _ = run(states)
        assert compiler.has_logging() is expected
