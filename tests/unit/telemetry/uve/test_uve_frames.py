"""Frames and the answer to the handshake: what is written, and what is understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WireError
from agent.telemetry.uve import Hint, Identity, Level, Type
from agent.telemetry.uve.answer import MOST_DEPTH, read
from agent.telemetry.uve.frames import FrameReader, Header, frame
from tests.fake.collector import answer
from tests.fake.collector import read as checked

ME = Identity("compute-1", 77, http_port=8085, address="10.0.0.1")


def test_a_frame() -> None:
    header = Header(1_500_000, 7, Type.UVE, Level.UVE, Hint.KEY)
    text = frame(ME, header, '<X type="sandesh"></X>')
    assert text.decode() == (
        '<sandesh length="0000000870"><SandeshHeader>'
        '<Namespace type="string" identifier="1"></Namespace>'
        '<Timestamp type="i64" identifier="2">1500000</Timestamp>'
        '<Module type="string" identifier="3">contrail-vrouter-agent</Module>'
        '<Source type="string" identifier="4">compute-1</Source>'
        '<Context type="string" identifier="5"></Context>'
        '<SequenceNum type="i32" identifier="6">7</SequenceNum>'
        '<VersionSig type="i32" identifier="7">0</VersionSig>'
        '<Type type="i32" identifier="8">6</Type>'
        '<Hints type="i32" identifier="9">1</Hints>'
        '<Level type="i32" identifier="10">100</Level>'
        '<Category type="string" identifier="11"></Category>'
        '<NodeType type="string" identifier="12">Compute</NodeType>'
        '<InstanceId type="string" identifier="13">0</InstanceId>'
        '<IPAddress type="string" identifier="14">10.0.0.1</IPAddress>'
        '<Pid type="i32" identifier="15">77</Pid>'
        '</SandeshHeader><X type="sandesh"></X></sandesh>'
    )
    assert len(text) == 870
    assert ME.generator == "compute-1:Compute:contrail-vrouter-agent:0"


def test_the_length_counts_bytes() -> None:
    header = Header(0, 1, Type.SYSTEM, Level.NOTICE)
    assert checked(frame(ME, header, '<X type="sandesh">é€</X>')).message.text == "é€"


def test_a_header_is_of_its_sender() -> None:
    header = Header(1, 2, Type.OBJECT, Level.ERR, Hint.NONE, 'identifier="6">0<', "<&>")
    found = checked(frame(Identity('identifier="6">0<', 0), header, "<X type='sandesh'/>")).header
    assert (found["Source"], found["Context"], found["Category"]) == (
        'identifier="6">0<',
        'identifier="6">0<',
        "<&>",
    )
    assert (found["Timestamp"], found["SequenceNum"], found["Type"]) == ("1", "2", "7")
    assert found["Pid"] == "0"
    assert "IPAddress" not in found


@given(st.lists(st.integers(0, 5), max_size=5), st.integers(1, 200))
def test_frames_are_found_in_any_cut(sizes: list[int], step: int) -> None:
    frames = [answer({f"type{n}": n for n in range(size)}) for size in sizes]
    stream = b"".join(frames)
    reader = FrameReader()
    found = [
        one for at in range(0, len(stream), step) for one in reader.feed(stream[at : at + step])
    ]
    assert found == frames


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"<",
        b"<sandesh length=",
        b'<sandesh length="0000000038"></sandesh>',
        b'<sandesh length="00000000x9"></sandesh>',
        b'<sandesh length="9999999999">',
        b'<sandesh length="0000000045">      </sandesi>',
        b"\0",
    ],
)
def test_what_is_no_frame(data: bytes) -> None:
    reader = FrameReader()
    whole = data not in (b"<", b"<sandesh length=")
    if not whole:
        assert list(reader.feed(data)) == []
        data = b"?"
    with pytest.raises(WireError):
        list(reader.feed(data))


def test_a_frame_that_is_too_long_is_not_waited_for() -> None:
    with pytest.raises(WireError, match="1001 bytes"):
        list(FrameReader(most=1000).feed(b'<sandesh length="0000001001">'))


def test_an_answer() -> None:
    name, found = read(answer({"UVEVMITags": 7, "NodeStatusUVE": 0}))
    assert name == "SandeshCtrlServerToClient"
    assert found is not None
    assert found.success
    assert found.sequences == {"UVEVMITags": 7, "NodeStatusUVE": 0}
    _, refusal = read(answer({}, success=False))
    assert refusal is not None
    assert not refusal.success


def test_another_message_is_named() -> None:
    header = Header(0, 1, Type.REQUEST, Level.DEBUG)
    assert read(frame(ME, header, "<SandeshTraceRequest/>")) == ("SandeshTraceRequest", None)


def _wrapped(inner: str) -> bytes:
    return frame(ME, Header(0, 0, Type.REQUEST, Level.DEBUG), inner)


ANSWER = "SandeshCtrlServerToClient"
LONG = "a" * 40


@pytest.mark.parametrize(
    "data",
    [
        _wrapped(""),
        _wrapped("<a/><b/>"),
        _wrapped(f"<{ANSWER}/>"),
        _wrapped(f"<{ANSWER}><success>yes</success></{ANSWER}>"),
        answer({"x": 5}).replace(b">5<", b">-5<"),
        answer({"x": 5}).replace(b">5<", b">5e3<"),
        answer({"x": 5}).replace(b">5<", b"><"),
        answer({"x": 5}).replace(b">5<", ">५<".encode()),
        answer({"x": 5}).replace(b">5<", b">99999999999<"),
        answer({}).replace(b"<sandesh", b"<sandesy"),
        b'<!DOCTYPE s [<!ENTITY a "b">]><sandesh>&a;</sandesh>',
        b"<sandesh>&a;</sandesh>",
        b"<sandesh>\xff</sandesh>",
        b"",
        ("<a>" * (MOST_DEPTH + 1) + "</a>" * (MOST_DEPTH + 1)).encode(),
        _wrapped("<a>" + "<b/>" * 20_000 + "</a>"),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(WireError):
        read(data)


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 400))
def test_garbage_is_refused_or_understood(junk: bytes, start: int, end: int) -> None:
    data = answer({"UVEVMITags": 7})
    data = data[: min(start, end)] + junk + data[max(start, end) :]
    try:
        name, found = read(data)
    except WireError:
        return
    assert name
    assert found is None or found.success in (True, False)
