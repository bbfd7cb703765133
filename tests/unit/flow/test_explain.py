"""Answers to questions about flows: which steps, which rule, which verdict."""

from __future__ import annotations

from ipaddress import ip_address
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.explain import lines
from agent.flow.question import Question, QuestionError, parse
from tests.unit.flow.glue_rig import fed, of, topics

POLICY = {
    "networks": {
        "red": {"subnet": "10.1.1.0/24", "policies": ["shop"]},
        "blue": {"subnet": "10.2.2.0/24"},
    },
    "policies": {
        "shop": [
            {"from": "any", "to": "any", "service": "tcp/8080"},
            {"from": "local", "to": "local", "service": "tcp/8081", "action": "deny"},
        ]
    },
}


def test_an_allowed_flow_names_the_rule_that_passes_it() -> None:
    told = fed(of(**POLICY)).explain("10.1.1.3", "10.1.1.4", "tcp", 40000, 8080)
    assert told.allowed
    assert told.verdict == "ALLOWED"
    assert told.question == "tcp from 10.1.1.3 port 40000 to 10.1.1.4 port 8080"
    (step,) = (step for step in told.steps if step.topic == "network policy")
    assert step.text.startswith("pass by rule ")
    assert step.text.endswith("tcp ports 8080 from anywhere to anywhere")
    expected = {"enters", "source route", "destination route", "leaves by", "forward flow"}
    assert expected <= set(topics(told))


def test_a_denied_flow_says_by_what() -> None:
    told = fed(of(**POLICY)).explain("10.1.1.3", "10.1.1.4", "tcp", 40000, 8081)
    assert not told.allowed
    assert told.verdict == "DROPPED: denied by network policy"
    (step,) = (step for step in told.steps if step.topic == "network policy")
    assert step.text.startswith("deny by rule ")
    assert step.data["list"]


def test_a_flow_whose_answers_are_denied_is_not_allowed() -> None:
    """Rules of a network's list for what goes one way: answers are packets of their own."""
    rules = [
        {"from": "10.1.1.3/32", "to": "10.1.1.4/32", "service": "tcp/8080"},
        {"from": "any", "to": "any", "action": "deny"},
    ]
    one_way = {"networks": POLICY["networks"], "policies": {"shop": rules}}
    told = fed(of(**one_way)).explain("10.1.1.3", "10.1.1.4", "tcp", 40000, 8080)
    assert not told.allowed
    assert told.verdict == "DROPPED on the way back: denied by network policy"


def test_a_flow_without_a_route_stops_there() -> None:
    told = fed(of()).explain("10.1.1.3", "10.2.2.3", "icmp")
    assert told.verdict == "DROPPED: no route to the destination"
    assert "network policy" not in topics(told)


def test_asking_changes_nothing() -> None:
    one = fed(of(**POLICY))
    one.world.drain()
    first = one.explain("10.1.1.3", "10.1.1.4", "tcp", 1, 8080)
    assert one.explain("10.1.1.3", "10.1.1.4", "tcp", 1, 8080) == first
    assert one.world.drain() == []


def test_text_numbers_the_steps() -> None:
    told = fed(of()).explain("10.1.1.3", "10.1.1.4", "udp", 5, 6)
    text = lines(told.record())
    assert text[0] == told.question
    assert text[-1] == told.verdict
    assert text[2].startswith("  1. enters ")
    assert len(text) == len(told.steps) + 4


def test_who_is_not_here_is_told_where_to_ask() -> None:
    with pytest.raises(QuestionError, match="ask on the host of one of them"):
        fed(of()).explain("192.0.2.1", "192.0.2.2", "tcp", 1, 2)


def test_an_address_of_several_ports_needs_the_port() -> None:
    twice = {
        "networks": {"red": {"subnet": "10.1.1.0/24"}, "blue": {"subnet": "10.1.1.0/24"}},
        "vms": {
            "red1": {"network": "red", "address": "10.1.1.3"},
            "blue1": {"network": "blue", "address": "10.1.1.3"},
        },
    }
    with pytest.raises(QuestionError, match=r"several ports have 10\.1\.1\.3: tap.*--port UUID"):
        fed(of(**twice)).explain("10.1.1.3", "10.1.1.1", "icmp")


def test_a_question_from_text() -> None:
    words = {"source": "10.0.0.1", "destination": "10.0.0.2", "protocol": "TCP"}
    ports = {"source_port": "1", "destination_port": "65535", "port": str(UUID(int=5))}
    expected = Question(ip_address("10.0.0.1"), ip_address("10.0.0.2"), 6, 1, 65535, UUID(int=5))
    assert parse(words | ports) == expected
    assert parse(words | {"protocol": "47"}).protocol == 47


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "10.0.0"}, "source '10.0.0': expected an IP address"),
        ({"destination": ""}, "destination '': expected an IP address"),
        ({"protocol": "256"}, "protocol '256': expected icmp, tcp"),
        ({"source_port": "65536"}, "source_port '65536': expected a number from 0 to 65535"),
        ({"port": "x"}, "port 'x': expected the UUID of a port"),
    ],
)
def test_a_wrong_question_is_told_what_was_expected(change: dict[str, str], said: str) -> None:
    words = {"source": "10.0.0.1", "destination": "10.0.0.2", "protocol": "tcp"}
    with pytest.raises(QuestionError) as error:
        parse(words | change)
    assert str(error.value).startswith(said)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=6))
def test_text_of_any_kind_gives_an_error_that_says_what_was_expected(words: dict[str, str]) -> None:
    with pytest.raises(QuestionError, match="expected"):
        parse(words | {"protocol": "none of them"})
