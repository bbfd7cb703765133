"""Route stanzas as controllers and agents send them, decoded."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import islice, product
from string import ascii_letters

import pytest

from agent.errors import StanzaError
from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    LoadBalanceField,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
    TreeNeighbour,
)
from agent.values import BROADCAST_MAC, Mac
from agent.xmpp.routes import PublicationDecoder, Published, RouteDecoder
from tests.reference.route_stanza import Reader
from tests.unit.xmpp.stanza_vectors import AGENT_FILES, CONTROLLER_FILES, stanzas, vector

VN1, VRF = "default-domain:demo:vn1", "default-domain:demo:vn1:vn1"
GRE, UDP, VXLAN = Encapsulation.GRE, Encapsulation.UDP, Encapsulation.VXLAN
HOST2, HOST3 = IPv4Address("192.0.2.2"), IPv4Address("192.0.2.3")


def inet_key(text: str) -> InetKey:
    address, _, length = text.partition("/")
    return InetKey(IPv4Address(address).packed, int(length))


def entry(inner: str = "", *, address: str = "10.1.1.4/32", hop: str = "", nlri: str = "") -> str:
    return (
        f'<item id="x"><entry><nlri><af>1</af><safi>1</safi><address>{address}</address>{nlri}'
        f"</nlri><next-hops><next-hop><af>1</af><address>192.0.2.2</address><label>21</label>{hop}"
        f"</next-hop></next-hops>{inner}</entry></item>"
    )


def message(inner: str, node: str = f"1/1/{VRF}") -> bytes:
    return f'<message><event><items node="{node}">{inner}</items></event></message>'.encode()


def only(data: bytes) -> RouteAttributes:
    """The attributes of the only route of a message."""
    ((_, _, ((_, attributes),), _),) = RouteDecoder().decode(data)
    assert attributes is not None
    return attributes


class TestVectors:
    def test_updates(self) -> None:
        (batch,) = RouteDecoder().decode(vector("12"))
        assert batch[:2] == (RouteFamily.INET, VRF)
        first, second = batch.updates
        hop = RouteNexthop(HOST2, 21, (GRE, UDP), VN1)
        assert first == RouteUpdate(
            inet_key("10.1.1.4/32"),
            RouteAttributes(
                nexthops=(hop,),
                virtual_network=VN1,
                sequence=3,
                local_preference=200,
                med=100,
                security_groups=(8000001,),
            ),
        )
        assert second.attributes is not None
        assert second.attributes.communities == ("65000:100",)
        assert second.attributes.nexthops[0].tags == (0x0001_0000_0007,)
        assert second.attributes.nexthops[0].virtual_network == "default-domain:demo:vn2"

    def test_ecmp(self) -> None:
        attributes = only(vector("13"))
        assert [(str(hop.address), hop.label) for hop in attributes.nexthops] == [
            ("192.0.2.1", 17),
            ("192.0.2.2", 23),
            ("192.0.2.3", 30),
        ]
        assert attributes.load_balance == {
            LoadBalanceField.SOURCE_ADDRESS,
            LoadBalanceField.DESTINATION_ADDRESS,
        }

    def test_retracts_of_all_families(self) -> None:
        inet, inet6, evpn, tree = RouteDecoder().decode(vector("14"))
        assert inet.updates == [
            (inet_key("10.1.1.4/32"), None),
            (inet_key("10.2.2.4/32"), None),
        ]
        prefix = bytes.fromhex("20010db8000100000000000000000004")
        assert inet6 == RouteBatch(
            RouteFamily.INET6, VRF, [RouteUpdate(InetKey(prefix, 128), None)]
        )
        assert [key for key, _ in evpn.updates] == [
            EvpnKey(0, Mac.parse("02:aa:bb:00:00:04"), IPv4Address("10.1.1.4"), 32),
            EvpnKey(4, Mac.parse("02:aa:bb:00:00:05"), IPv4Address("10.1.1.5"), 32),
        ]
        key = GroupKey(IPv4Address("255.255.255.255"), IPv4Address(0))
        assert tree == RouteBatch(RouteFamily.ERMVPN, VRF, [RouteUpdate(key, None)])

    def test_evpn(self) -> None:
        hosts, flood = RouteDecoder().decode(vector("15"))
        key, attributes = hosts.updates[1]
        assert key == EvpnKey(4, Mac.parse("02:aa:bb:00:00:05"), IPv4Address("10.1.1.5"), 32)
        assert attributes is not None
        assert attributes.nexthops == (RouteNexthop(HOST3, 4, (VXLAN,)),)
        key, attributes = flood.updates[0]
        assert key == EvpnKey(0, BROADCAST_MAC, IPv4Address(0), 32)
        assert attributes is not None
        assert attributes.nexthops == ()
        assert attributes.neighbours == (
            TreeNeighbour(HOST2, 40, (GRE, UDP)),
            TreeNeighbour(HOST3, 41, (UDP,)),
        )

    def test_tree(self) -> None:
        attributes = only(vector("16"))
        assert attributes.source_label == 4100
        assert attributes.source_address is None
        assert attributes.neighbours == (
            TreeNeighbour(HOST2, 8200, (GRE, UDP)),
            TreeNeighbour(HOST3, 8300, (GRE, UDP)),
        )

    def test_end_of_rib(self) -> None:
        marker = RouteBatch(RouteFamily.INET, "", [], True)
        assert RouteDecoder().decode(vector("17")) == [marker, marker]
        assert PublicationDecoder().decode(vector("17")) == ([], True)

    @pytest.mark.parametrize("content", ["", "<event></event>", "<event><other /></event>"])
    def test_a_message_without_items_ends_the_rib_too(self, content: str) -> None:
        marker = RouteBatch(RouteFamily.INET, "", [], True)
        data = f'<message from="c" to="compute-1/bgp-peer">{content}</message>'.encode()
        assert RouteDecoder().decode(vector("14") + data)[-1] == marker
        assert RouteDecoder().decode(data + data) == Reader().read(data + data) == [marker, marker]
        items = (
            b'<message to="compute-1/bgp-peer"><event><items node="1/1/vn1" /></event></message>'
        )
        assert RouteDecoder().decode(items) == []

    @pytest.mark.parametrize("number", CONTROLLER_FILES)
    def test_as_the_reference_reads_them(self, number: str) -> None:
        assert RouteDecoder().decode(vector(number)) == Reader().read(vector(number))

    @pytest.mark.parametrize("number", AGENT_FILES)
    def test_publications_as_the_reference_reads_them(self, number: str) -> None:
        oracle = Reader(published=True).read_published(vector(number))
        assert PublicationDecoder().decode(vector(number)) == oracle

    def test_publications(self) -> None:
        decoder = PublicationDecoder()
        ((vrf, node, family, key, attributes),), end = decoder.decode(vector("10"))
        assert (vrf, node) == (VRF, f"1/241/{VRF}/255.255.255.255")
        assert (family, end) == (RouteFamily.ERMVPN, False)
        assert key == GroupKey(IPv4Address("255.255.255.255"), IPv4Address(0))
        assert attributes is not None
        assert attributes.label_range == (4100, 8195)
        (route,), _ = decoder.decode(vector("11"))
        assert route.attributes is not None
        assert route.attributes.route_type == 7
        (route,), _ = decoder.decode(vector("05"))
        assert route == Published(
            VRF, f"1/1/{VRF}/10.1.1.3/32", RouteFamily.INET, inet_key("10.1.1.3/32"), None
        )
        assert decoder.counters.skipped == 0


class TestPairs:
    def test_in_two_calls(self) -> None:
        decoder = PublicationDecoder()
        publish, collect = stanzas("04")
        assert decoder.decode(publish) == ([], False)
        assert len(decoder.decode(collect)[0]) == 1
        assert decoder.decode(collect) == ([], False)
        assert decoder.counters.skipped == 1

    def test_another_node_drops_both(self) -> None:
        decoder = PublicationDecoder()
        publish, collect = stanzas("04")
        other = collect.replace(b'associate node="1/1/', b'associate node="1/1/x')
        assert decoder.decode(publish + other + collect) == ([], False)
        assert decoder.counters.skipped == 2
        assert "follows no publish" in decoder.counters.last_fault

    def test_of_a_faulty_publish(self) -> None:
        decoder = PublicationDecoder()
        data = vector("04").replace(b"<label>17<", b"<label>-17<")
        assert decoder.decode(data) == ([], False)
        assert decoder.counters.skipped == 2

    def test_subscriptions_are_passed_over(self) -> None:
        assert PublicationDecoder().decode(vector("03")) == ([], False)

    def test_vxlan_of_inet_is_kept_for_other_agents(self) -> None:
        data = vector("04").replace(b">gre<", b">vxlan<")
        ((*_, attributes),), _ = PublicationDecoder().decode(data)
        assert attributes is not None
        assert attributes.nexthops[0].encapsulations == (VXLAN, UDP)


class TestSharing:
    def test_equal_entries_have_the_same_attributes(self) -> None:
        decoder = RouteDecoder()
        data = message(entry(address="10.0.0.1/32") + entry(address="10.0.0.2/32"))
        ((_, _, (first, second), _),) = decoder.decode(data)
        assert first.key != second.key
        assert first.attributes is second.attributes
        ((_, _, (third, _), _),) = decoder.decode(data)
        assert third.attributes is first.attributes
        counters = decoder.counters
        assert (counters.built, counters.shared, counters.remembered) == (1, 3, 1)

    def test_white_space_and_unknown_elements_do_not_matter(self) -> None:
        plain = entry("<med>1</med>")
        odd = entry("\n<new><af>9</af></new><!-- no --><med>1</med>\t<peers><peer>x</peer></peers>")
        ((_, _, (first, second), _),) = RouteDecoder().decode(message(plain + odd))
        assert first.attributes is second.attributes

    def test_differing_entries_have_not(self) -> None:
        data = message(entry("<med>1</med>") + entry("<med>12</med>"))
        ((_, _, (first, second), _),) = RouteDecoder().decode(data)
        assert first.attributes is not None
        assert second.attributes is not None
        assert (first.attributes.med, second.attributes.med) == (1, 12)

    def test_families_do_not_mix(self) -> None:
        inet = vector("12").replace(b">gre<", b">vxlan<")
        labelled = inet.replace(b'"1/1/', b'"1/4/').replace(b"<safi>1<", b"<safi>4<")
        batches = RouteDecoder().decode(inet + labelled)
        assert [batch.family for batch in batches] == [RouteFamily.INET, RouteFamily.INET_MPLS]

    def test_memory_is_bounded(self) -> None:
        decoder = RouteDecoder(capacity=64)
        for med in range(1000):
            attributes = (
                decoder.decode(message(entry(f"<med>{med}</med>")))[0].updates[0].attributes
            )
            assert attributes is not None
            assert attributes.med == med
        assert 32 <= decoder.counters.remembered <= 64
        assert decoder.counters.built == 1000

    def test_long_entries_are_not_remembered(self) -> None:
        decoder = RouteDecoder()
        communities = "<community-tag>65000:100</community-tag>" * 1000
        data = message(entry(f"<community-tag-list>{communities}</community-tag-list>"))
        assert decoder.decode(data) == decoder.decode(data)
        assert decoder.counters.remembered == 0

    @pytest.mark.parametrize("capacity", [0, 1 << 21])
    def test_capacity_out_of_range(self, capacity: int) -> None:
        with pytest.raises(ValueError, match="capacity"):
            RouteDecoder(capacity)

    def test_like_those_that_python_builds(self) -> None:
        attributes = only(vector("12").split(b"</item>")[0] + b"</item></items></event></message>")
        same = RouteAttributes(
            **{name: getattr(attributes, name) for name in RouteAttributes.__slots__}
        )
        assert attributes == same
        assert hash(attributes) == hash(same)
        assert repr(attributes) == repr(same)


class TestValues:
    def test_defaults(self) -> None:
        attributes = only(message(entry()))
        hop = RouteNexthop(HOST2, 21)
        assert attributes == RouteAttributes(nexthops=(hop,), load_balance=ALL_FIELDS)

    def test_escaped_text(self) -> None:
        data = message(
            entry("<virtual-network>a&amp;b&#x20AC;<![CDATA[<c>]]></virtual-network>"),
            node="1/1/dom:p:v&quot;n/1:vn",
        )
        (batch,) = RouteDecoder().decode(data)
        assert batch.vrf == 'dom:p:v"n/1:vn'
        assert batch.updates[0].attributes is not None
        assert batch.updates[0].attributes.virtual_network == "a&b€<c>"

    def test_host_bits_are_cleared(self) -> None:
        (batch,) = RouteDecoder().decode(message(entry(address="10.1.2.3/20")))
        assert batch.updates[0].key == inet_key("10.1.0.0/20")
        (batch,) = RouteDecoder().decode(message('<retract id="10.1.2.3/20" />'))
        assert batch.updates[0].key == inet_key("10.1.0.0/20")

    def test_the_last_of_repeated_values_counts(self) -> None:
        assert only(message(entry("<med>1</med><med>2</med>"))).med == 2

    def test_old_tags_become_new_ones_and_are_sorted(self) -> None:
        tags = "<tag-list><tag>131075</tag><tag>65543</tag></tag-list>"
        attributes = only(message(entry(hop=tags)))
        assert attributes.nexthops[0].tags == (0x0001_0000_0007, 0x0002_0000_0003)

    def test_unknown_encapsulations_and_vxlan_of_inet_are_ignored(self) -> None:
        names = ("nvgre", "vxlan", "udp", "udp", "native", "gre", "unspecified", "GRE")
        inner = "".join(f"<tunnel-encapsulation>{x}</tunnel-encapsulation>" for x in names)
        hop = f"<tunnel-encapsulation-list>{inner}</tunnel-encapsulation-list>"
        attributes = only(message(entry(hop=hop)))
        assert attributes.nexthops[0].encapsulations == (UDP, Encapsulation.NATIVE, GRE)

    def test_trees_know_gre_and_udp_only(self) -> None:
        data = vector("16").replace(b">gre<", b">vxlan<")
        assert only(data).neighbours[0].encapsulations == (UDP,)

    def test_nexthops_of_ipv6_are_passed_over(self) -> None:
        one = "<next-hop><af>1</af><address>192.0.2.3</address><label>1</label></next-hop>"
        six = "<next-hop><af>2</af><address>192.0.2.9</address></next-hop>"
        text = "<next-hop><af>1</af><address>2001:db8::1</address></next-hop>"
        attributes = only(message(entry(f"<next-hops>{six}{text}{one}</next-hops>")))
        assert [hop.address for hop in attributes.nexthops] == [HOST2, HOST3]

    @pytest.mark.parametrize("address", ["0.0.0.0", "224.0.0.1", "255.255.255.255"])
    def test_nexthops_that_are_no_host_are_passed_over(self, address: str) -> None:
        hop = f"<next-hop><af>1</af><address>{address}</address><label>9</label></next-hop>"
        data = message(entry(f"<next-hops>{hop}</next-hops>"))
        assert [hop.address for hop in only(data).nexthops] == [HOST2]
        assert Reader().read(data) == RouteDecoder().decode(data)

    def test_at_most_128_nexthops(self) -> None:
        one = "<next-hop><af>1</af><address>192.0.2.3</address><label>{}</label></next-hop>"
        many = "".join(one.format(label) for label in range(16, 216))
        assert len(only(message(entry(f"<next-hops>{many}</next-hops>"))).nexthops) == 128

    @pytest.mark.parametrize(("text", "sticky"), [("true", True), ("1", True), ("yes", False)])
    def test_flags(self, text: str, sticky: bool) -> None:
        assert only(message(entry(f'<mobility seqno="7" sticky="{text}" />'))).sticky is sticky

    def test_sequence_number_is_the_authority(self) -> None:
        inner = '<mobility sticky="false" seqno="9" /><sequence-number>4</sequence-number>'
        assert only(message(entry(inner))).sequence == 4


FAULTY = {
    "prefix too long": entry(address="10.0.0.0/33"),
    "no length": entry(address="10.0.0.0"),
    "no address": entry(address="/8"),
    "other family's address": entry(address="2001:db8::/32"),
    "leading zero": entry(address="10.01.0.0/16"),
    "endless address": entry(address="1" * 100 + "/8"),
    "other family": entry().replace("<safi>1<", "<safi>4<"),
    "no entry": '<item id="x" />',
    "no key": '<item id="x"><entry /></item>',
    "label out of range": entry(hop="<label>16777216</label>"),
    "negative label": entry(hop="<label>-1</label>"),
    "label no number": entry(hop="<label>0x11</label>"),
    "label range": entry(hop="<label>1-2</label>"),
    "no nexthop": entry().replace("<address>192.0.2.2</address>", ""),
    "MAC": entry(hop="<mac>02:aa:bb:00:00</mac>"),
    "tag": entry(hop="<tag-list><tag>281474976710656</tag></tag-list>"),
    "security group": entry("<security-group-list><security-group>a</security-group>"
                            "</security-group-list>"),
    "sequence": entry("<sequence-number>4294967296</sequence-number>"),
    "element in a value": entry("<med>1<b>2</b></med>"),
    "element in the key": entry(nlri="<address>10.0.0.0<b/>/8</address>"),
}  # fmt: skip


class TestFaultyItems:
    @pytest.mark.parametrize("name", FAULTY)
    def test_are_left_out_and_counted(self, name: str) -> None:
        decoder = RouteDecoder()
        good = entry(address="10.9.9.9/32")
        (batch,) = decoder.decode(message(good + FAULTY[name] + good))
        assert [key for key, _ in batch.updates] == [inet_key("10.9.9.9/32")] * 2
        assert decoder.counters.skipped == 1
        assert decoder.counters.last_fault.startswith(f"x of {VRF}: ")

    @pytest.mark.parametrize("name", FAULTY)
    def test_in_the_reference(self, name: str) -> None:
        oracle = Reader()
        assert oracle.read(message(FAULTY[name])) == []
        assert oracle.skipped == 1

    @pytest.mark.parametrize(
        "retract",
        ["<retract />", '<retract id="" />', '<retract id="10.0.0.0" />', '<retract id="::/0" />'],
    )
    def test_retracts(self, retract: str) -> None:
        decoder = RouteDecoder()
        good = '<retract id="10.9.9.9/32" />'
        (batch,) = decoder.decode(message(good + retract + good))
        assert len(batch.updates) == 2
        assert decoder.counters.skipped == 1

    @pytest.mark.parametrize(
        "text",
        [
            "02:aa:bb:00:00:05",
            "-02:aa:bb:00:00:05,10.1.1.5/32",
            "a-02:aa:bb:00:00:05,10.1.1.5/32",
            "4294967296-02:aa:bb:00:00:05,10.1.1.5/32",
            "02:aa:bb:00:00,10.1.1.5/32",
            "02:aa:bb:00:00:05,10.1.1.5/32/,",
        ],
    )
    def test_ids_of_evpn(self, text: str) -> None:
        decoder = RouteDecoder()
        assert decoder.decode(message(f'<retract id="{text}" />', f"25/242/{VRF}")) == []
        assert decoder.counters.skipped == 1

    @pytest.mark.parametrize("node", ["", "1/1", "1/1/", "1/128/vrf", "x/1/vrf", "70000/1/vrf"])
    def test_nodes(self, node: str) -> None:
        decoder = RouteDecoder()
        assert decoder.decode(message(entry() + entry(), node)) == []
        assert decoder.counters.skipped == 2

    def test_beside_retracts(self) -> None:
        decoder = RouteDecoder()
        (batch,) = decoder.decode(message(entry() + '<retract id="10.9.9.9/32" />'))
        assert batch.updates == [(inet_key("10.9.9.9/32"), None)]
        assert decoder.counters.skipped == 1

    def test_of_the_other_direction(self) -> None:
        decoder, publications = RouteDecoder(), PublicationDecoder()
        assert decoder.decode(vector("04")) == []
        assert decoder.counters.skipped == 2
        assert publications.decode(vector("12")) == ([], False)
        assert publications.counters.skipped == 2


class TestRefusals:
    def refused(self, data: bytes) -> StanzaError:
        """By both decoders for the same reason."""
        with pytest.raises(StanzaError) as caught:
            RouteDecoder().decode(data)
        with pytest.raises(StanzaError) as other:
            PublicationDecoder().decode(data)
        assert str(other.value) == str(caught.value)
        return caught.value

    def test_says_where(self) -> None:
        data = vector("12")
        at = data.index(b"<safi>")
        error = self.refused(data[:at] + b"<1>" + data[at:])
        assert at <= error.offset <= at + 3
        assert "not well-formed" in str(error)
        text = "<x>é€\n</x>".encode()
        assert self.refused(text + b"<").offset >= len(text)
        assert self.refused(b"</message>").offset <= 10

    def test_entities(self) -> None:
        bomb = b'<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        self.refused(bomb + message(entry()))
        self.refused(message(entry("<virtual-network>&lol;</virtual-network>")))
        self.refused(b"<?xml version='1.0' encoding='utf-16'?>" + message(entry()))

    def test_invalid_utf8(self) -> None:
        self.refused(message(entry("<virtual-network>@</virtual-network>")).replace(b"@", b"\xff"))

    @pytest.mark.parametrize("depth", [200, 1_000_000])
    def test_nesting(self, depth: int) -> None:
        error = self.refused(message(entry("<x>" * depth + "</x>" * depth)))
        assert "nested too deeply" in str(error)
        assert error.offset < 1000

    def test_size(self) -> None:
        assert "8 MiB" in str(self.refused(b" " * (8 << 20) + b" "))

    def test_items(self) -> None:
        assert "items" in str(self.refused(message('<retract id="x"/>' * 70_000)))

    def test_attributes_without_number(self) -> None:
        attributes = " ".join(f'a{i}=""' for i in range(200_000))
        data = message(entry(f"<x {attributes} />"))
        assert len(RouteDecoder().decode(data)) == 1, "the bound on expat's memory is too low"

    def test_names_without_number(self) -> None:
        """Expat keeps every name that it meets."""
        names = islice(product(ascii_letters, repeat=4), 1_100_000)
        data = message("".join(f"<{''.join(name)}/>" for name in names))
        assert "memory" in str(self.refused(data))
        assert RouteDecoder().decode(vector("12")) == Reader().read(vector("12"))

    @pytest.mark.parametrize("number", CONTROLLER_FILES)
    def test_cut_anywhere(self, number: str) -> None:
        data = vector(number).rstrip()
        ends = {0, *(end for end in range(len(data) + 1) if data[:end].endswith(b"</message>"))}
        decoder = RouteDecoder()
        for end in range(len(data) + 1):
            if data[:end].strip() == b"" or data[:end].rstrip().endswith(b"</message>"):
                assert len(decoder.decode(data[:end])) == len(Reader().read(data[:end]))
                continue
            with pytest.raises(StanzaError) as caught:
                decoder.decode(data[:end])
            assert caught.value.offset <= end
        assert len(ends) > 1

    def test_nothing_of_the_refused_is_kept(self) -> None:
        decoder = RouteDecoder()
        self.refused(vector("12") + b"<")
        with pytest.raises(StanzaError):
            decoder.decode(vector("12") + b"<")
        assert decoder.decode(vector("14")) == Reader().read(vector("14"))
        assert decoder.counters.built == 0


def test_several_stanzas_and_filler_in_one_call() -> None:
    data = b"\xc8\x80\n".join(part for number in CONTROLLER_FILES for part in stanzas(number))
    assert RouteDecoder().decode(data) == Reader().read(data)


def test_large_stanzas_go_through_in_pieces() -> None:
    items = "".join(entry(address=f"10.0.{i >> 8}.{i & 255}/32") for i in range(2000))
    data = message(items)
    assert len(data) > 300_000
    assert RouteDecoder().decode(data) == Reader().read(data)
