"""The compiled way of plain routes, judged by the rules of `oper` for single routes."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.objects import Key, Kind
from agent.oper.direction import way_spec
from agent.oper.leads import Leads
from agent.oper.territory import Local, Territory
from agent.oper.vrf_facts import VrfFacts
from agent.routes import Encapsulation, InetKey, RouteAttributes, RouteNexthop

NEXTHOP = Key(Kind.NEXTHOP, "tunnel")
GRE = (Encapsulation.GRE,)


class Direction:
    """As much of a direction as leads look at."""

    labelled, own, composite = True, False, False

    class nexthop:
        key, index = NEXTHOP, 20


def lengths(size: int) -> st.SearchStrategy[int]:
    return st.sampled_from([0, 1, 7, 8, 9, 23, 24, 25, 8 * size - 1, 8 * size])


def inet_keys() -> st.SearchStrategy[InetKey]:
    """Prefixes near each other, of both families."""

    def build(size: int, number: int, length: int) -> InetKey:
        spare = 8 * size - length
        high = (10 << 8 * (size - 1)) | number
        return InetKey((high >> spare << spare).to_bytes(size, "big"), length)

    sizes = st.sampled_from([4, 16])
    near = st.sampled_from([0, 1, 0x80, 0x100, 0x8000, 0x10000])
    return sizes.flatmap(lambda n: st.builds(build, st.just(n), near, lengths(n)))


def facts(l2: bool, l3: bool, subnets: list[InetKey]) -> VrfFacts:
    rows = []
    for prefix, length in subnets:
        bits = 8 * len(prefix) - length
        rows.append((len(prefix), bits, int.from_bytes(prefix, "big") >> bits))
    return VrfFacts("red", 7, "net", l2, l3, tuple(rows))


def path(network: str, label: int) -> RouteAttributes:
    return RouteAttributes((RouteNexthop(IPv4Address("10.0.0.2"), label, GRE, network),))


def territory(of: VrfFacts) -> Territory:
    leads = Leads(lambda: None)
    made = Territory(of, leads, Local(lambda key: None, lambda label: None), {})
    via = leads.hold(way_spec(path("", 1).nexthops[0]))
    leads.directed(via.spec, Direction)  # type: ignore[arg-type]
    return made


@given(
    st.booleans(),
    st.booleans(),
    st.lists(inet_keys(), max_size=3),
    st.dictionaries(inet_keys(), st.sampled_from(["net", "other"]), min_size=1, max_size=8),
)
def test_plain_routes_are_made_as_single_ones(
    l2: bool, l3: bool, subnets: list[InetKey], routes: dict[InetKey, str]
) -> None:
    of = facts(l2, l3, subnets)
    both = []
    for one_by_one in (False, True):
        there, made = territory(of), {}
        there.take_inets([(InetKey(bytes(4), 32), path("net", 17))])
        there.make({})  # the references to the nexthop are known from now on
        changes: list[Any] = [
            (key, path(net, 30 + at)) for at, (key, net) in enumerate(routes.items())
        ]
        if one_by_one:
            for key, best in changes:
                there.take_inet(key, best)
            there._network = None  # nothing is plain
        else:
            there.take_inets(changes)
        there.make(made)
        both.append((made, there.inet_made))
    assert both[0] == both[1]
    assert len(both[0][0]) >= len(routes) - 1
