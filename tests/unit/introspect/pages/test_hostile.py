"""Whatever is asked and whatever things are called: an answer, and no markup of theirs."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.introspect.pages.catalogue import PAGES
from agent.rest.files import Stamp
from tests.unit.introspect.pages.page_world import Answered, Links, PageWorld

EVIL = "<img src=x onerror=alert(1)>\"'&"
FIELDS = (
    "q", "filter", "state", "start", "table", "after", "prefix", "mac", "address", "from", "name",
    "flow", "source", "destination", "protocol", "source_port", "destination_port", "port",
)  # fmt: skip
LIKELY = (
    "", "0", "2", "-1", "17", "4294967295", "4294967296", "10.1.1.3", "10.0.0.0/8", "::/0",
    "fd00::1",
    "02:54:ba:f2:d9:2d", "red", "inet", "bridge", "tcp", "nexthop 17", "3.5", EVIL, "\0", "é", "%",
    "7b511967-3ab4-5619-9736-3ebf7c39ef1f", "nexthop", "vrf-assign", "active", "x" * 5000,
)  # fmt: skip
values = st.one_of(st.sampled_from(LIKELY), st.text(max_size=40))


@pytest.fixture(scope="module")
def world() -> PageWorld:
    made = PageWorld()
    made.remote(["20.0.0.1/32"])
    made.traffic(3)
    made.flow("red1", "10.1.1.4", 40000, 80)
    return made


def ask(world: PageWorld, path: str) -> Answered:
    """Errors of ours are raised by the world."""
    return asyncio.run(world.get(path))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(PAGES)),
    st.lists(values, min_size=2, max_size=2),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=5),
)
def test_every_question_has_an_answer(
    world: PageWorld, pattern: str, parts: list[str], query: dict[str, str]
) -> None:
    texts = iter(parts)
    path = re.sub(r"\{\w+\}", lambda _: quote(next(texts).replace("/", ""), safe=""), pattern)
    asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    answer = ask(world, f"{path}?{asked}")
    assert answer.status in (200, 400, 404)
    assert "<img" not in answer.text


def test_names_of_things_are_no_markup(world: PageWorld) -> None:
    known = world.node.store.ports()[0]
    stray = replace(known, uuid=type(known.uuid)(int=7), display_name=EVIL, system_name="tap<b>")
    world.core.store.plug([stray], Stamp("test", 0.0))
    world.turn()
    for path in ("/", "/ports"):
        text = ask(world, path).text
        assert "&lt;img src=x" in text, path
        assert [tag for tag, _ in Links(text).tags if tag in ("img", "b")] == []


def test_an_answer_has_a_bounded_length_whatever_was_asked(world: PageWorld) -> None:
    assert len(ask(world, f"/search?q={'x' * 60_000}").text) < 10_000
