"""Cutting the stream: whole vectors, any cut of them, hostile bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WireError
from agent.xmpp.framing import MAX_OPEN_TAG, Framer, Part
from tests.unit.xmpp.conversation import (
    END_OF_RIB,
    HEADER,
    KEEPALIVE,
    config,
    routes,
    stanzas,
    vector,
)

CONTROLLER_VECTORS = (
    "12-controller-inet-update.xml",
    "13-controller-inet-ecmp.xml",
    "14-controller-retracts.xml",
    "15-controller-evpn-updates.xml",
    "16-controller-ermvpn-update.xml",
    "18-config-minimal-one-vm.xml",
    "19-config-2vn-3vm-policy-sg-fip.xml",
    "20-config-out-of-order-and-resync.xml",
)
CONVERSATION = b"".join(
    [
        HEADER,
        KEEPALIVE,
        config(),
        b"\n",
        routes(),
        END_OF_RIB,
        KEEPALIVE,
        b"</stream:stream>",
    ]
)


def pieces(*chunks: bytes) -> list[tuple[Part, bytes]]:
    framer = Framer()
    return [piece for chunk in chunks for piece in framer.feed(chunk)]


def without_filler(found: list[tuple[Part, bytes]]) -> list[tuple[Part, bytes]]:
    return [piece for piece in found if piece[0] is not Part.FILLER]


WHOLE = without_filler(pieces(CONVERSATION))


def test_a_conversation_in_one_piece() -> None:
    assert [part for part, _ in WHOLE] == [
        Part.HEADER,
        Part.STANZA,
        Part.ROUTES,
        Part.ROUTES,
        Part.END,
    ]
    assert WHOLE[1][1].startswith(b'<iq type="set"')
    assert WHOLE[2][1] == routes()


@pytest.mark.parametrize("name", CONTROLLER_VECTORS)
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_vectors_in_pieces(name: str, size: int) -> None:
    data = HEADER + vector(name)
    found = pieces(*(data[at : at + size] for at in range(0, len(data), size)))
    assert [text for _, text in without_filler(found)][1:] == stanzas(name)


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=12))
def test_any_cut_gives_the_same_pieces(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(CONVERSATION)]
    chunks = [CONVERSATION[a:b] for a, b in pairwise(ends)]
    assert without_filler(pieces(*chunks)) == WHOLE


def test_a_run_of_filler_is_one_keepalive() -> None:
    assert pieces(HEADER, KEEPALIVE + b" \n" + KEEPALIVE)[1:] == [
        (Part.FILLER, b"\xc8\x80 \n\xc8\x80")
    ]


def test_only_messages_to_the_resource_are_routes() -> None:
    def part(text: bytes) -> Part:
        return pieces(HEADER, text)[1][0]

    assert part(b"<message to='c/bgp-peer'>x</message>") is Part.ROUTES
    assert part(b'<iq to="c/bgp-peer"></iq>') is Part.STANZA
    assert part(b'<message to="bgp-peer.example/config"></message>') is Part.STANZA
    assert part(b"<message></message>") is Part.STANZA


def test_a_self_closed_stanza_does_not_swallow_the_next() -> None:
    found = pieces(HEADER, b'<iq to="c/config"/><iq></iq>')
    assert [text for _, text in found[1:]] == [b'<iq to="c/config"/>', b"<iq></iq>"]


def test_an_end_tag_may_have_blanks_and_a_longer_name_is_none() -> None:
    text = b'<iq a=">"><iqs></iqs></iq \n>'
    for size in (1, len(text)):
        cut = [text[at : at + size] for at in range(0, len(text), size)]
        assert pieces(HEADER, *cut)[1:] == [(Part.STANZA, text)]


def test_the_words_of_starttls() -> None:
    features = (
        b'<stream:features><starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required />'
        b"</starttls></stream:features>"
    )
    proceed = b'<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls" />'
    assert pieces(HEADER, features + proceed)[1:] == [
        (Part.FEATURES, features),
        (Part.PROCEED, proceed),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<iq></iq>", "does not belong"),
        (b"hello", "begins no stanza"),
        (b"\xff\xfe\x00", "begins no stanza"),
        (HEADER + HEADER[22:], "does not belong"),
        (HEADER + b"<presence/>", "begins no stanza"),
        (HEADER + b"text", "begins no stanza"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + HEADER, "begins no stanza"),
        (b"<?xml " + b" " * 200, "declaration"),
        (b"<stream:stream " + b"x" * MAX_OPEN_TAG, "start tag"),
        (HEADER + b"<iq " + b"x" * MAX_OPEN_TAG, "start tag"),
        (HEADER + b"<proceed " + b"x" * 2000, "within"),
        (HEADER + b"<stream:features>" + b"x" * 2000, "within"),
        (HEADER + b"<iq>" + b"<a>" * 300_000 + b"</iq>", "tags"),
    ],
)
def test_hostile_streams(data: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        pieces(data)


def test_a_stanza_past_the_limit_is_refused_before_it_is_whole() -> None:
    framer = Framer(limit=10_000)
    list(framer.feed(HEADER + b"<iq>"))
    list(framer.feed(b"x" * 9000))
    with pytest.raises(WireError, match="more than 10000 bytes"):
        list(framer.feed(b"x" * 1000))


@given(st.binary(max_size=300), st.integers(1, 300))
def test_no_bytes_do_harm(data: bytes, cut: int) -> None:
    framer = Framer()
    list(framer.feed(HEADER))
    try:
        for chunk in (data[:cut], data[cut:]):
            for part, text in framer.feed(chunk):
                assert part is not Part.HEADER
                assert text in data
    except WireError:
        pass
