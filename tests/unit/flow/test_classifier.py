"""The classifier against its oracle, over random lists and packets."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent._fast.classifier import OUTCOMES, Classifier, End, Line, Place, Probe, Verdict
from agent.flow.acl import AclTable, Numbers
from agent.oper.flow_rows import Acl, Action, Endpoint, Rule, Service
from tests.reference.classifier import SlowEnd, SlowPacket, holding, miss, walk

NETWORKS = ("red", "green", "blue")
GROUPS = (1, 7, 8_000_001)
TAGS = (1 << 32 | 1, 1 << 32 | 2, 2 << 32 | 1, 2 << 32 | 5)
PREFIXES = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/31", "10.1.2.3/32"),
            *("255.255.255.255/32", "128.0.0.0/1"),
            *("::/0", "fd00::/8", "fd00::1/128", "fd00::/127", "ffff::/16"),
        ),
    )
)
ADDRESSES = tuple(
    map(
        ip_address,
        (
            *("10.1.2.3", "10.1.2.2", "10.1.9.9", "192.0.2.1", "255.255.255.255", "0.0.0.0"),
            *("fd00::1", "fd00::2", "ffff::1", "::", "2001:db8::1"),
        ),
    )
)
PROTOCOLS = (0, 1, 6, 17, 58, 132, 255)
PORTS = (0, 1, 53, 79, 80, 81, 443, 65534, 65535)
KNOWN = {"vrf-a": 3, "vrf-b": 9, "mirror-a": 1, "mirror-b": 2, "mirror-c": 4, "qos-a": 5}


def bounds(values: tuple[int, ...]) -> st.SearchStrategy[tuple[int, int]]:
    pair = st.tuples(st.sampled_from(values), st.sampled_from(values))
    return pair.map(lambda two: (min(two), max(two)))


def several(values: tuple, most: int = 3) -> st.SearchStrategy[tuple]:
    return st.lists(st.sampled_from(values), max_size=most).map(tuple)


def usually(default, strategy):
    return st.one_of(st.just(default), st.just(default), strategy)


endpoints = st.builds(
    Endpoint,
    prefixes=usually((), several(PREFIXES, 12)),
    network=usually("", st.sampled_from(NETWORKS)),
    group=usually(None, st.sampled_from((-1, *GROUPS))),
    tags=usually((), several(TAGS, 2)),
    tag_sets=usually((), st.lists(several(TAGS, 2), max_size=2).map(tuple)),
)
services = st.builds(
    Service,
    protocols=usually((0, 255), bounds(PROTOCOLS)),
    source_ports=usually((0, 65535), bounds(PORTS)),
    destination_ports=usually((0, 65535), bounds(PORTS)),
)
rules = st.builds(
    Rule,
    uuid=st.integers(100, 120).map(lambda number: UUID(int=number)),
    actions=st.one_of(
        st.sampled_from((Action.PASS, Action.DENY, Action.REJECT | Action.LOG, Action.MIRROR)),
        st.integers(0, 511).map(Action),
    ),
    source=endpoints,
    destination=endpoints,
    services=usually((Service(),), st.lists(services, max_size=11).map(tuple)),
    ethertype=st.sampled_from((0, 0, 4, 6)),
    match_tag_types=usually((), several((1, 2, 3), 2)),
    mirror=st.sampled_from(("", "mirror-a", "mirror-b", "mirror-c", "unknown")),
    vrf=st.sampled_from(("", "vrf-a", "vrf-b", "unknown")),
    qos=st.sampled_from(("", "qos-a", "unknown")),
    ignore_acl=st.booleans(),
)
lists = st.lists(st.lists(rules, max_size=12), max_size=3).map(
    lambda found: tuple(Acl(f"acl-{at}", UUID(int=at), tuple(of)) for at, of in enumerate(found))
)


def ends(version: int) -> st.SearchStrategy[SlowEnd]:
    return st.builds(
        SlowEnd,
        address=st.sampled_from([each for each in ADDRESSES if each.version == version]),
        networks=st.frozensets(st.sampled_from((*NETWORKS, "elsewhere"))),
        groups=st.frozensets(st.sampled_from((*GROUPS, 99))),
        tags=st.frozensets(st.sampled_from((*TAGS, 3 << 32 | 9))),
    )


packets = st.sampled_from((4, 6)).flatmap(
    lambda version: st.builds(
        SlowPacket,
        source=ends(version),
        destination=ends(version),
        protocol=st.sampled_from(PROTOCOLS),
        source_port=st.sampled_from(PORTS),
        destination_port=st.sampled_from(PORTS),
    )
)


def table_of(classifier: Classifier) -> AclTable:
    return AclTable(classifier, Numbers(KNOWN.get, KNOWN.get, KNOWN.get))


def fast_end(classifier: Classifier, end: SlowEnd) -> End:
    return End(
        end.address.packed,
        classifier.networks(end.networks),
        classifier.groups(end.groups),
        classifier.tags(end.tags),
    )


def probe_of(classifier: Classifier, packet: SlowPacket) -> Probe:
    return Probe(
        fast_end(classifier, packet.source),
        fast_end(classifier, packet.destination),
        packet.protocol,
        packet.source_port,
        packet.destination_port,
    )


def assert_equal(
    classifier: Classifier, table: AclTable, acls: tuple[Acl, ...], packet: SlowPacket
) -> None:
    slow = walk(acls, packet, KNOWN)
    numbers = [table.number(acl.name) for acl in acls]
    fast = classifier.match(numbers, probe_of(classifier, packet))
    assert OUTCOMES[fast.outcome] == slow.outcome
    assert Action(fast.actions) == slow.actions
    assert classifier.rule_uuid(fast.rule) == slow.rule
    assert (None if fast.list is None else table.name(fast.list)) == slow.acl
    assert (fast.vrf, fast.ignore_acl) == (slow.vrf, slow.ignore_acl)
    assert (fast.mirrors, fast.qos) == (slow.mirrors, slow.qos)


@settings(max_examples=150, deadline=None)
@given(lists, st.lists(packets, min_size=1, max_size=8))
def test_decides_as_the_oracle(acls: tuple[Acl, ...], seen: list[SlowPacket]) -> None:
    classifier = Classifier()
    table = table_of(classifier)
    for acl in acls:
        table.put(acl)
        assert not table.problem(acl.name)
    for packet in seen:
        assert_equal(classifier, table, acls, packet)


@settings(max_examples=100, deadline=None)
@given(st.lists(rules, max_size=12), packets)
def test_explains_as_the_oracle(lines: list[Rule], packet: SlowPacket) -> None:
    classifier = Classifier()
    table = table_of(classifier)
    acl = Acl("acl", UUID(int=1), tuple(lines))
    number = table.put(acl)
    told = list(table.explain(number, probe_of(classifier, packet)))
    assert [each.miss for each in told] == [miss(each.rule, packet) for each in told]
    assert [each.rule for each in told] == lines[: len(told)]
    held = holding((acl,), packet)
    assert [each.rule for each in told if not each.miss] == [rule for _, rule in held]
    verdict = walk((acl,), packet)
    assert verdict.outcome == "decided" or len(told) == len(lines)


@settings(max_examples=30, deadline=None)
@given(st.lists(rules, min_size=1, max_size=12), st.lists(packets, min_size=4, max_size=12))
def test_long_lists_go_on_behind_their_first_block(
    lines: list[Rule], seen: list[SlowPacket]
) -> None:
    """The rules at the end decide, behind 1100 that hold for nothing or only log."""
    never = Rule(UUID(int=9), Action.PASS, services=())
    logs = Rule(UUID(int=10), Action.LOG, services=(Service((6, 6)),))
    acl = Acl("acl", UUID(int=1), (*[never] * 700, logs, *[never] * 400, *lines))
    classifier = Classifier()
    table = table_of(classifier)
    table.put(acl)
    for packet in seen:
        assert_equal(classifier, table, (acl,), packet)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(rules, max_size=4)), max_size=10), packets)
def test_replacing_and_removing_leaves_the_others_alone(
    steps: list[tuple[int, list[Rule]]], packet: SlowPacket
) -> None:
    classifier = Classifier()
    table = table_of(classifier)
    model: dict[str, Acl] = {}
    for which, lines in steps:
        name = f"acl-{which}"
        if lines:
            model[name] = Acl(name, UUID(int=which), tuple(lines))
            table.put(model[name])
        else:
            assert (table.remove(name) is not None) == (model.pop(name, None) is not None)
        assert len(table) == len(model)
        for acl in model.values():
            assert_equal(classifier, table, (acl,), packet)


def anything(**fields: object) -> Line:
    made: dict = dict(
        uuid=UUID(int=77),
        actions=1,
        source=Place(),
        destination=Place(),
        services=(((0, 255), (0, 65535), (0, 65535)),),
    )
    return Line(**{**made, **fields})


def plain(protocol: int = 6, port: int = 80) -> Probe:
    return Probe(End(bytes((10, 0, 0, 1))), End(bytes((10, 0, 0, 2))), protocol, 1024, port)


def matched(lines: list[Line], probe: Probe) -> Verdict:
    classifier = Classifier()
    classifier.put(0, lines)
    return classifier.match([0], probe)


def test_no_list_an_unknown_list_and_a_list_without_rules() -> None:
    classifier = Classifier()
    classifier.put(3, ())
    assert classifier.match([], plain()).rule == 1
    for lists in ([0], [3], [2**32 - 1], [0, 3]):
        verdict = classifier.match(lists, plain())
        assert OUTCOMES[verdict.outcome] == "unmatched"
        assert (verdict.rule, verdict.list, verdict.actions) == (2, None, 0)


def test_a_number_that_is_no_set_matches_nothing() -> None:
    classifier = Classifier()
    classifier.put(0, [anything(source=Place(group=5))])
    group = classifier.groups([5])
    networks = classifier.networks(["5"])
    ten = bytes((10, 0, 0, 1))
    held = [
        classifier.match([0], Probe(End(ten, groups=number), End(ten), 6)).actions
        for number in (group, networks, 99, 2**32 - 1, 0)
    ]
    assert held == [1, 0, 0, 0, 0]


def test_equal_sets_have_one_number_until_the_last_reference_goes() -> None:
    classifier = Classifier()
    one = classifier.networks(["a", "b"])
    assert classifier.networks(iter(["b", "a", "b"])) == one
    assert classifier.networks(["a"]) != one
    assert classifier.groups([]) == classifier.tags([]) == classifier.networks([]) == 0
    classifier.release(one)
    classifier.hold(one)
    classifier.release(one)
    classifier.put(0, [anything(destination=Place(network="b"))])
    ten = bytes((10, 0, 0, 1))
    probe = Probe(End(ten), End(ten, networks=one), 6)
    assert classifier.match([0], probe).actions == 1
    classifier.release(one)
    assert classifier.match([0], probe).actions == 0
    classifier.release(one)  # one too many is nothing
    again = classifier.networks(["b"])
    assert classifier.match([0], Probe(End(ten), End(ten, networks=again), 6)).actions == 1


def test_memory_goes_with_lists_and_sets() -> None:
    classifier = Classifier()
    lines = [anything(uuid=UUID(int=at), source=Place(network=f"n{at}")) for at in range(100, 400)]

    def fill() -> None:
        classifier.put(1, lines)
        numbers = [classifier.groups([at, at + 1]) for at in range(1000)]
        classifier.remove(1)
        for number in numbers:
            classifier.release(number)

    fill()
    before = classifier.memory
    for _ in range(20):
        fill()
    assert classifier.memory == before
    assert classifier.rules(1) == 0


def test_a_rule_keeps_its_number_and_an_unused_one_is_forgotten_late() -> None:
    classifier = Classifier()
    first = UUID(int=1000)
    classifier.put(0, [anything(uuid=first)])
    number = classifier.rule_number(first)
    assert number is not None
    assert number >= 8
    classifier.put(1, [anything(uuid=first), anything(uuid=first)])
    classifier.remove(0)
    classifier.remove(1)
    assert classifier.rule_uuid(number) == first
    classifier.put(0, [anything(uuid=first)])
    assert classifier.match([0], plain()).rule == number
    classifier.remove(0)
    for block in range(2):
        spare = range(2000 + block * 40_000, 2000 + (block + 1) * 40_000)
        classifier.put(1, [anything(uuid=UUID(int=at)) for at in spare])
        classifier.remove(1)
    assert classifier.rule_uuid(number) is None
    assert classifier.rule_number(first) is None
    classifier.put(0, [anything(uuid=first)])
    assert classifier.match([0], plain()).rule > number + 80_000


def test_the_reserved_rules_have_the_uuids_of_the_facts() -> None:
    classifier = Classifier()
    assert [classifier.rule_uuid(number) for number in range(8)] == [
        UUID(int=number) for number in range(8)
    ]
    assert classifier.rule_uuid(8) is None
    assert classifier.rule_uuid(-1) is None


@pytest.mark.parametrize("protocol", [6, 17, 132])
def test_ports_count_for_protocols_with_ports(protocol: int) -> None:
    web = [anything(services=(((0, 255), (0, 65535), (80, 80)),))]
    assert matched(web, plain(protocol, 80)).actions == 1
    assert matched(web, plain(protocol, 81)).actions == 0


@pytest.mark.parametrize("protocol", [1, 58, 47, 50, 0])
def test_ports_do_not_count_for_other_protocols(protocol: int) -> None:
    web = [anything(services=(((0, 255), (9, 9), (80, 80)),))]
    assert matched(web, plain(protocol, 81)).actions == 1


def test_the_first_vrf_and_qos_count_and_two_mirrors() -> None:
    lines = [
        anything(actions=64 | 128 | 32, vrf=4, qos=2, mirror=7, ignore_acl=True),
        anything(actions=64 | 128 | 32, vrf=5, qos=3, mirror=7),
        anything(actions=32, mirror=8),
        anything(actions=32, mirror=9),
        anything(actions=2 | 8, uuid=UUID(int=78)),
        anything(actions=1),
    ]
    verdict = matched(lines, plain())
    assert (verdict.vrf, verdict.qos, verdict.mirrors) == (4, 2, (7, 8))
    assert verdict.ignore_acl
    assert verdict.actions == 2 | 8 | 32 | 64 | 128


def test_a_name_that_is_not_known_leaves_its_flag() -> None:
    verdict = matched([anything(actions=64 | 32 | 128)], plain())
    assert verdict.actions == 64 | 32 | 128
    assert (verdict.vrf, verdict.mirrors, verdict.qos) == (None, (), None)
    assert OUTCOMES[verdict.outcome] == "held"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (anything(actions=512), "actions 512"),
        (anything(ethertype=5), "ethertype 5"),
        (anything(services=(((0, 256), (0, 1), (0, 1)),)), "protocol 256"),
        (anything(services=(((0, 1), (0, 65536), (0, 1)),)), "port 65536"),
        (anything(services=(((0, 1), (2, 1), (0, 1)),)), "2-1 ends before"),
        (anything(source=Place(group=2**32)), "group"),
        (anything(source=Place(group=-2)), "group -2"),
        (anything(source=Place(tags=(2**48,))), "tag"),
        (anything(match_tag_types=(65536,)), "tag type 65536"),
        (anything(destination=Place(network="x" * 5000)), "5000 bytes"),
        (anything(destination=Place(prefixes=("10.0.0.0/8",))), "not a prefix"),  # type: ignore
        (anything(mirror=255), "mirror 255"),
        (anything(qos=-1), "QoS"),
        (anything(vrf=-1), "VRF"),
    ],
)
def test_what_no_list_can_say_is_refused_and_the_old_list_stays(line: Line, said: str) -> None:
    classifier = Classifier()
    good = anything(uuid=UUID(int=500))
    classifier.put(0, [good])
    before = classifier.memory
    with pytest.raises(ValueError, match=said):
        classifier.put(0, [anything(source=Place(network="new")), line])
    assert classifier.rule_uuid(classifier.match([0], plain()).rule) == good.uuid
    assert classifier.memory == before


def test_bounds_of_numbers_sets_and_probes() -> None:
    classifier = Classifier()
    for number in (-1, 1 << 20):
        with pytest.raises(ValueError, match="access list"):
            classifier.put(number, ())
    with pytest.raises(ValueError, match="65537 rules"):
        classifier.put(0, [anything()] * 65_537)
    with pytest.raises(ValueError, match="5000 members"):
        classifier.groups(range(5000))
    with pytest.raises(ValueError, match="member -1"):
        classifier.groups([-1])
    with pytest.raises(ValueError, match="4 or 16 bytes"):
        classifier.match([0], Probe(End(b"123"), End(b"1234"), 6))
    with pytest.raises(ValueError, match="different families"):
        classifier.match([0], Probe(End(b"1234"), End(bytes(16)), 6))
    with pytest.raises(ValueError, match="protocol 256"):
        classifier.match([0], Probe(End(b"1234"), End(b"1234"), 256))


def test_the_largest_list_and_the_largest_sets() -> None:
    classifier = Classifier()
    last = anything(uuid=UUID(int=999), source=Place(group=4095))
    never = anything(source=Place(group=5000))
    classifier.put(0, [*[never] * 65_535, last])
    everyone = classifier.groups(range(4096))
    ten = bytes((10, 0, 0, 1))
    verdict = classifier.match([0], Probe(End(ten, groups=everyone), End(ten), 6))
    assert classifier.rule_uuid(verdict.rule) == last.uuid
