"""What is told, judged by a strict control node that keeps books."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.routes import RouteFamily
from tests.unit.xmpp.conversation import S1, S2, World, route

_WORDS = re.compile(
    rb'<(?P<verb>subscribe|unsubscribe) node="(?P<vrf>vn1|vn2)">'
    rb"<options><instance-id>(?P<index>\d+)|\[(?P<sign>[+-])(?P<host>\d+) (?P<label>\d+)\]"
)


class Strict:
    """A control node's books of one session; breaks where a real one would close."""

    def __init__(self) -> None:
        self.vrfs: dict[str, int] = {}
        self.routes: dict[int, int] = {}

    def hear(self, data: bytes) -> None:
        for word in _WORDS.finditer(data):
            if word["verb"] == b"subscribe":
                vrf = word["vrf"].decode()
                assert vrf not in self.vrfs, "subscribed twice"
                self.vrfs[vrf] = int(word["index"])
            elif word["verb"]:
                assert self.vrfs.pop(word["vrf"].decode()) == int(word["index"])
            else:
                self.item(word["sign"] == b"+", int(word["host"]), int(word["label"]))

    def item(self, add: bool, host: int, label: int) -> None:
        assert "vn1" in self.vrfs, "a route of a VRF that was not joined"
        if add:
            assert self.routes.get(host) != label, "said twice"
            self.routes[host] = label
        else:
            assert self.routes.pop(host) == label, "not what was published"


ACTIONS = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 4), st.integers(16, 18)),
    st.tuples(st.just("withdraw"), st.integers(1, 4), st.just(0)),
    st.tuples(st.just("join"), st.integers(1, 2), st.integers(0, 2)),
    st.tuples(st.just("leave"), st.integers(1, 2), st.just(0)),
    st.tuples(st.just("hear"), st.integers(1, 2), st.just(0)),
    st.tuples(st.just("flap"), st.integers(1, 2), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_books_agree_whatever_happens(actions: list[tuple[str, int, int]]) -> None:
    world = World(S1, S2)
    world.controllers.hold_time(0, world.now)  # while one is dialled the other may be silent
    books = {S1: Strict(), S2: Strict()}
    wished: dict[int, int] = {}
    vrfs: dict[str, int] = {}
    for server in books:
        books[server].hear(world.up(server))
    for action, what, value in actions:
        server = S1 if what == 1 else S2
        match action:
            case "publish":
                world.controllers.publish(route(what, value))
                wished[what] = value
            case "withdraw":
                world.controllers.withdraw(RouteFamily.INET, "vn1", route(what).key)
                wished.pop(what, None)
            case "join":
                world.controllers.subscribe_vrf(f"vn{what}", value)
                vrfs[f"vn{what}"] = value
            case "leave":
                world.controllers.unsubscribe_vrf(f"vn{what}")
                vrfs.pop(f"vn{what}", None)
                if what == 1:
                    wished.clear()
            case "hear":
                books[server].hear(world.said(server))
            case _:
                world.down(server)
                books[server] = Strict()
                books[server].hear(world.up(server))
    for server, book in books.items():
        book.hear(world.said(server))
        assert book.vrfs == vrfs
        assert book.routes == (wished if "vn1" in vrfs else {})
        assert world.said(server) == b""
