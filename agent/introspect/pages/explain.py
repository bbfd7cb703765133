"""Would a flow pass, and why: a question, and the steps of the decision."""

from __future__ import annotations

from typing import Any

from agent.errors import ConfigError
from agent.flow.question import PROTOCOLS, parse
from agent.introspect.pages import links
from agent.introspect.pages.asked import Asked
from agent.introspect.pages.shown import (
    Cell,
    Field,
    Form,
    Note,
    Part,
    Section,
    Shown,
    Steps,
    Text,
    Tone,
    run,
)
from agent.objects import Identity, Kind
from agent.shm import FlowKey
from agent.telemetry import Node

_NAMED = (("vif", Kind.VIF), ("vrf", Kind.VRF), ("label", Kind.LABEL), ("nexthop", Kind.NEXTHOP))
_NAMES = {number: name for name, number in PROTOCOLS.items()}


def form(asked: Asked) -> Form:
    """The question, filled with what was asked."""
    return Form(
        "/explain",
        "Explain",
        (
            Field("source", "From address", asked.text("source"), "10.1.1.3"),
            Field("destination", "To address", asked.text("destination"), "10.1.1.4"),
            Field("protocol", "Protocol", asked.text("protocol") or "tcp", "tcp"),
            Field("source_port", "From port", asked.text("source_port"), "40000"),
            Field("destination_port", "To port", asked.text("destination_port"), "80"),
            Field("port", "UUID of the port (if several have the address)", asked.text("port")),
        ),
    )


async def show(node: Node, asked: Asked) -> Shown:
    """The form and, once something was asked, the answer."""
    hint = (
        "Ask what would happen to the first packet of a connection of a port of this host. "
        "The answer comes from the code that decides; nothing is changed by asking."
    )
    sections = [Section("question", "Question", [Note(hint), form(asked)])]
    state = None
    if asked.text("source") or asked.text("destination"):
        words = {field.name: asked.text(field.name) for field in form(asked).fields}
        words["protocol"] = words["protocol"] or "tcp"
        try:
            record = node.flows.explain(parse(words))
        except ConfigError as error:
            state = Text("no answer", tone=Tone.BUSY)
            sections.append(Section("answer", "Answer", [Note(str(error))]))
        else:
            state = verdict(record)
            sections.append(Section("answer", "Answer", answer(record)))
    return Shown("Explain a flow", sections, state=state)


def verdict(record: Any) -> Text:
    """The end of an explanation as a badge."""
    if record["allowed"]:
        return Text("allowed", tone=Tone.GOOD)
    return Text("dropped", tone=Tone.BAD)


def answer(record: Any) -> list[Part]:
    """An explanation: the question, its steps, the verdict."""
    steps = Steps([(step["topic"], _step(step)) for step in record["steps"]])
    return [Note(str(record["question"])), steps, Note(str(record["verdict"]))]


def _step(step: Any) -> Cell:
    """A step in words, and links to the objects that it names."""
    text = str(step["text"]).replace(links.DOMAIN, "")
    named = [links.identity(Identity(kind, step[name])) for name, kind in _NAMED if name in step]
    return (text, run(*named)) if named else text


def words_of(one: FlowKey) -> dict[str, str]:
    """The question about a flow, as the form has it."""
    return {
        "source": str(one.source),
        "destination": str(one.destination),
        "protocol": _NAMES.get(one.proto, str(one.proto)),
        "source_port": str(one.sport),
        "destination_port": str(one.dport),
    }
