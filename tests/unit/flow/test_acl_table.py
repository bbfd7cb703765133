"""Access lists by name: numbers, references, and names that lead elsewhere later."""

from __future__ import annotations

from uuid import UUID

import pytest

from agent._fast.classifier import Classifier, End, Probe, Verdict
from agent.flow.acl import AclTable, Numbers
from agent.oper.flow_rows import Acl, Action, Endpoint, Rule, Service

PROBE = Probe(End(bytes((10, 0, 0, 1))), End(bytes((10, 0, 0, 2))), 6, 1024, 80)


class World:
    """A classifier, its lists, and where names lead."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.classifier = Classifier()
        known = self.known.get
        self.table = AclTable(self.classifier, Numbers(known, known, known))

    def match(self, *lists: int) -> Verdict:
        return self.classifier.match(lists, PROBE)


@pytest.fixture
def world() -> World:
    return World()


def acl(name: str, *rules: Rule) -> Acl:
    return Acl(name, UUID(int=1), rules)


def rule(actions: Action = Action.PASS, **fields) -> Rule:
    return Rule(UUID(int=100), actions, **fields)


def test_a_name_has_its_number_before_its_list_comes(world: World) -> None:
    number = world.table.number("web")
    assert world.match(number).actions == 0
    assert world.table.put(acl("web", rule())) == number
    assert world.match(number).actions == Action.PASS.value
    assert world.table.name(number) == "web"


def test_a_number_stays_while_it_is_referred_to(world: World) -> None:
    number = world.table.number("web")
    assert world.table.number("web") == number
    world.table.put(acl("web", rule()))
    assert world.table.remove("web") == number
    assert world.match(number).actions == 0
    world.table.release("web")
    assert world.table.number("other") != number
    assert world.table.put(acl("web", rule())) == number
    world.table.remove("web")
    world.table.release("web")
    assert world.table.name(number) == ""
    assert world.table.number("third") == number


def test_a_list_without_references_frees_its_number_when_it_goes(world: World) -> None:
    number = world.table.put(acl("a", rule()))
    world.table.number("b")
    assert world.table.remove("a") == number
    assert world.table.remove("a") is None
    assert world.table.put(acl("c", rule())) == number


def test_one_release_too_many_is_told(world: World) -> None:
    world.table.put(acl("web", rule()))
    with pytest.raises(KeyError):
        world.table.release("web")
    with pytest.raises(KeyError):
        world.table.release("unknown")


def test_names_are_looked_up_when_the_list_is_put(world: World) -> None:
    world.known.update({"left": 4, "tap": 3, "gold": 2})
    line = rule(
        Action.PASS | Action.VRF | Action.MIRROR | Action.QOS, vrf="left", mirror="tap", qos="gold"
    )
    verdict = world.match(world.table.put(acl("web", line)))
    assert (verdict.vrf, verdict.mirrors, verdict.qos) == (4, (3,), 2)


def test_a_name_that_leads_elsewhere_changes_just_its_lists(world: World) -> None:
    left = rule(Action.PASS | Action.VRF, vrf="left")
    number = world.table.put(acl("assign", left))
    other = world.table.put(acl("other", rule(), rule(Action.VRF, vrf="right")))
    assert world.match(number).vrf is None
    world.known["left"] = 4
    assert world.table.resolve("left") == (number,)
    assert world.table.resolve("left") == ()
    assert world.match(number).vrf == 4
    world.known["right"] = 6
    assert world.table.resolve("right") == (other,)
    del world.known["left"]
    assert world.table.resolve("left") == (number,)
    assert world.match(number).vrf is None
    world.table.put(acl("assign", rule()))
    assert world.table.resolve("left") == ()
    assert world.table.resolve("unheard") == ()


def test_a_name_is_read_only_for_its_action(world: World) -> None:
    world.known["left"] = 4
    verdict = world.match(world.table.put(acl("web", rule(Action.PASS, vrf="left", mirror="left"))))
    assert (verdict.vrf, verdict.mirrors) == (None, ())


def test_a_list_that_cannot_be_applied_denies_and_says_why(world: World) -> None:
    number = world.table.put(acl("web", rule()))
    bad = rule(services=(Service((0, 300)),))
    assert world.table.put(acl("web", rule(), bad)) == number
    assert world.match(number).actions == 0
    assert world.table.problem("web") == (
        "access list web cannot be applied: protocol 300 is not in 0 to 255"
    )
    world.table.put(acl("web", rule()))
    assert world.table.problem("web") == ""
    assert world.match(number).actions == Action.PASS.value
    assert world.table.problem("unknown") == ""


def test_explains_each_rule_that_it_looks_at(world: World) -> None:
    lines = (
        rule(Action.DENY, services=(Service((17, 17)),)),
        rule(Action.DENY, services=(Service((6, 6), destination_ports=(443, 443)),)),
        rule(Action.LOG),
        rule(Action.PASS, source=Endpoint(network="red")),
        rule(Action.DENY, ethertype=4),
        rule(Action.PASS),
    )
    number = world.table.put(acl("web", *lines))
    told = [(each.rule, each.miss) for each in world.table.explain(number, PROBE)]
    assert told == [
        (lines[0], "protocol"),
        (lines[1], "destination port"),
        (lines[2], ""),
        (lines[3], "source network"),
        (lines[4], ""),
    ]
    assert list(world.table.explain(number + 1, PROBE)) == []


def test_a_rule_is_found_by_its_list_and_uuid(world: World) -> None:
    line = rule(Action.DENY)
    number = world.table.put(acl("web", line))
    assert world.table.rule(number, line.uuid) == line
    assert world.table.rule(number, UUID(int=101)) is None
    assert world.table.rule(number, None) is None
    assert world.table.rule(number + 1, line.uuid) is None
