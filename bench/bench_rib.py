"""Routes of a controller from received bytes into the rib, and from there to desired objects.

The way into the rib is measured whole: messages cut out of the stream, decoded, taken over
by the compiler. Beside it stands the bound (expat tokenises the same bytes, without handlers)
and the ordinary way (slixmpp's stream, stanza objects and a Callback, into the same rib).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import cache
from pathlib import Path
from typing import Any
from xml.parsers import expat

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_route_stanza import HEADER, ROUTES, cut, inet, slixmpp_stream

from agent.lab.controller.downstream import messages
from agent.oper import Compiler
from agent.routes import RouteBatch, RouteFamily, RouteUpdate
from agent.sandesh.vrouter import VrRouteReq
from agent.xmpp.framing import Framer, Part
from agent.xmpp.routes import RouteDecoder
from tests.graph.test_routes import NET1, ONE, TOPOLOGY
from tests.graph.worlds import SETTINGS, World, full, move

AIM = 1e9 / 150_000
KINDS = {"64 different attributes": 64, "all attributes different": ROUTES}
each_kind = pytest.mark.parametrize("kind", KINDS)


@cache
def table(kind: str) -> RouteBatch:
    return inet(KINDS[kind])._replace(vrf=NET1)


@cache
def received(kind: str) -> list[bytes]:
    """The table in pieces as a socket gives them."""
    stanzas = [stanza.rstrip() for stanza in messages("compute-1", table(kind), "192.0.2.1:3")]
    return cut(HEADER + b"".join(stanzas))


def compiler() -> Compiler:
    """One with a VM in the table's VRF, and nothing left to do."""
    made = Compiler(SETTINGS)
    move(made, World(), full(TOPOLOGY))
    made.commit()
    return made


def filled(kind: str) -> Compiler:
    made = compiler()
    made.routes(ONE, table(kind))
    return made


def group(kind: str) -> str:
    return f"rib: a route from bytes, {kind}"


def whole(made: Compiler, kind: str) -> bool:
    found = made.rib.table(NET1, RouteFamily.INET)
    return found is not None and dict(found) == dict(table(kind).updates)


@each_kind
def test_from_bytes(contest: Any, kind: str) -> None:
    def run(made: Compiler) -> None:
        framer, decoder = Framer(), RouteDecoder()
        for piece in received(kind):
            for part, stanza in framer.feed(piece):
                if part is Part.ROUTES:
                    for batch in decoder.decode(stanza):
                        made.routes(ONE, batch)

    made = compiler()
    run(made)
    assert whole(made, kind)
    contest(group(kind), "vrouter", per=ROUTES, aim_ns=AIM, aim_ratio=("slixmpp", 0.125)).pedantic(
        run, setup=lambda: ((compiler(),), {}), rounds=10, iterations=1
    )


@each_kind
def test_from_bytes_decoded_and_held(contest: Any, kind: str) -> None:
    """Without the cutting, as the bound gets whole messages too."""
    stanzas = [stanza.rstrip() for stanza in messages("compute-1", table(kind), "192.0.2.1:3")]

    def run(made: Compiler) -> None:
        decoder = RouteDecoder()
        for stanza in stanzas:
            for batch in decoder.decode(stanza):
                made.routes(ONE, batch)

    contest(group(kind), "vrouter, whole messages", per=ROUTES, aim_ratio=("expat", 1.6)).pedantic(
        run, setup=lambda: ((compiler(),), {}), rounds=10, iterations=1
    )


@each_kind
def test_from_bytes_expat(contest: Any, kind: str) -> None:
    stanzas = [stanza.rstrip() for stanza in messages("compute-1", table(kind), "192.0.2.1:3")]

    def run() -> None:
        for stanza in stanzas:
            expat.ParserCreate().Parse(stanza, True)

    contest(group(kind), "expat", per=ROUTES).pedantic(run, rounds=10, iterations=1)


@each_kind
def test_from_bytes_slixmpp(contest: Any, peer: Any, kind: str) -> None:
    peer("slixmpp")
    told: list[RouteBatch] = []
    logging.getLogger("slixmpp").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        stream = slixmpp_stream(told)
        stream.init_parser()
        stream.data_received(HEADER)
        pieces = cut(b"".join(received(kind))[len(HEADER) :])

        def run(made: Compiler) -> None:
            told.clear()
            for piece in pieces:
                stream.data_received(piece)
            for batch in told:
                made.routes(ONE, batch)

        made = compiler()
        run(made)
        assert whole(made, kind)
        contest(group(kind), "slixmpp", per=ROUTES).pedantic(
            run, setup=lambda: ((compiler(),), {}), rounds=5, iterations=1
        )
    finally:
        asyncio.set_event_loop(None)
        loop.close()


PROGRAMME = "oper: a route from the rib to its desired object"


def commit(made: Compiler) -> int:
    count = 0
    while made.pending:
        count += len(made.commit().changed)
    return count


@each_kind
def test_programme(contest: Any, kind: str) -> None:
    assert commit(filled(kind)) >= ROUTES
    contest(f"{PROGRAMME}, {kind}", "vrouter", per=ROUTES).pedantic(
        commit, setup=lambda: ((filled(kind),), {}), rounds=10, iterations=1
    )


@each_kind
def test_programme_messages(contest: Any, kind: str) -> None:
    """What remains when all is known: making the messages."""
    keys = [key for key, _ in table(kind).updates]

    def run() -> list[VrRouteReq]:
        return [
            VrRouteReq(
                rtr_family=2,
                rtr_vrf_id=2,
                rtr_prefix=prefix,  # type: ignore[misc]
                rtr_prefix_len=length,
                rtr_nh_id=20,
                rtr_label=17,
                rtr_label_flags=3,
            )
            for prefix, length in keys  # type: ignore[misc]
        ]

    contest(f"{PROGRAMME}, {kind}", "messages alone", per=ROUTES)(run)


CHANGE = "oper: a route with another label"


def test_change(contest: Any) -> None:
    made = compiler()
    old = table("all attributes different")
    shifted = [update.attributes for update in old.updates]
    moved = [
        RouteUpdate(update.key, other)
        for update, other in zip(old.updates, [*shifted[50:], *shifted[:50]], strict=True)
    ]
    batches = [old, old._replace(updates=moved)]

    def run() -> int:
        batches.reverse()
        made.routes(ONE, batches[0])
        return commit(made)

    run()
    assert run() == ROUTES
    contest(CHANGE, "vrouter", per=ROUTES).pedantic(run, rounds=6, iterations=1)
