"""Frames, sequence numbers and the matching of replies."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from agent.errors import WireError
from agent.ksync.bulk import MAX_PAYLOAD, Accepted, Channel, Desync, Result, Told, pack
from agent.sandesh.framing import read_frames, reply_frame
from agent.sandesh.vrouter import (
    VrInterfaceReq,
    VrMplsReq,
    VrNexthopReq,
    VrResponse,
    decode_messages,
    encode_many,
)

FRAMES = Path(__file__).parents[2] / "vectors" / "sandesh-frames.jsonl"
ROWS = [json.loads(line) for line in FRAMES.read_text().splitlines()]


def channel(**options):
    return Channel(family=24, pid=4242, **options)


def sent(of, *tokens):
    """Send a frame with one request for each token; its sequence number."""
    payload = encode_many([VrMplsReq(mr_label=i) for i, _ in enumerate(tokens)])
    return read_frames(of.send(tokens, payload, 0.0))[0].seq


def reply(seq, *codes):
    last = len(codes) - 1
    return b"".join(
        reply_frame(VrResponse(h_op=4, resp_code=code).encode(), family=24, seq=seq, more=i < last)
        for i, code in enumerate(codes)
    )


def singly(given):
    """Results one by one, whether they came so or as a frame that succeeded."""
    for each in given:
        if isinstance(each, Accepted):
            yield from (Result(token, 0, ()) for token in each.tokens)
        else:
            yield each


def results(of, data):
    return [tuple(result) for result in singly(of.receive(data, 1.0))]


def test_requests_of_the_vectors_are_framed_byte_for_byte():
    for row in ROWS:
        if row["dir"] == "request":
            payload = read_frames(bytes.fromhex(row["frames"][0]))[0].payload
            one = Channel(family=row["family"], pid=row["pid"])
            while one._seq + 1 < row["seq"]:
                one.send((None,), b"", 0.0)
            assert one.send((None,), payload, 0.0).hex() == row["frames"][0]


@pytest.mark.parametrize("row", [r for r in ROWS if r["dir"] == "reply"], ids=lambda r: r["case"])
@pytest.mark.parametrize("chunk", [1, 7, 65536])
def test_replies_of_the_vectors_are_matched(row, chunk):
    responses = [m for m in row["messages"] if m["struct"] == "vr_response"]
    one = channel()
    one._seq = row["seq"] - 1
    tokens = [f"request {i}" for i, _ in enumerate(responses)]
    one.send(tokens, b"", 0.0)
    data = b"".join(bytes.fromhex(frame) for frame in row["frames"])
    chunks = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    got = [result for each in chunks for result in singly(one.receive(each, 1.0))]
    assert [r.token for r in got] == tokens
    assert [r.code for r in got] == [m["fields"]["resp_code"] for m in responses]
    objects = [m for m in row["messages"] if m["struct"] != "vr_response"]
    names = [each.NAME for r in got for each in r.objects]
    assert names == [m["struct"] for m in objects]
    assert len(one) == 0
    assert one.waiting_since is None


def test_results_come_in_order_with_their_codes():
    one = channel()
    first, second = sent(one, "a", "b", "c"), sent(one, "d")
    assert first != second
    data = reply(first, 0, -errno.EINVAL, 0) + reply(second, 7)
    expected = [("a", 0, ()), ("b", -22, ()), ("c", 0, ()), ("d", 7, ())]
    assert results(one, data) == expected


def test_a_result_waits_until_it_is_final():
    one = channel()
    seq = sent(one, "a", "b")
    data = reply(seq, 0, 0)
    half = len(data) // 2
    assert results(one, data[:half]) == []
    assert [token for token, *_ in results(one, data[half:])] == ["a", "b"]


def test_objects_belong_to_the_response_before_them():
    one = channel()
    seq = sent(one, "dump", "next")
    page = encode_many([VrMplsReq(mr_label=16), VrMplsReq(mr_label=17)])
    data = reply_frame(VrResponse(h_op=4, resp_code=2).encode(), family=24, seq=seq, more=True)
    data += reply_frame(page, family=24, seq=seq, more=True) + reply(seq, 0)
    dump, following = results(one, data)
    assert dump == ("dump", 2, (VrMplsReq(mr_label=16), VrMplsReq(mr_label=17)))
    assert following == ("next", 0, ())


@pytest.mark.parametrize(
    "data",
    [
        lambda seq: reply(seq, 0),
        lambda seq: reply(seq, 0, 0, 0),
        lambda seq: reply(seq + 1, 0, 0),
        lambda seq: reply_frame(VrMplsReq().encode(), family=24, seq=seq, more=False),
        lambda seq: reply_frame(b"\xff" * 30, family=24, seq=seq, more=False),
        lambda seq: reply_frame(b"", family=24, seq=seq, more=False),
        lambda seq: b"\x24\0\0\0\2\0\0\0" + seq.to_bytes(4, "little") + bytes(24),
        lambda seq: b"\3\0\0\0" + bytes(12),
        lambda seq: b"\xff" * 64,
    ],
    ids=[
        "missing", "extra", "sequence", "no response", "garbage", "empty", "error", "short", "huge"
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error(data):
    one = channel()
    seq = sent(one, "a", "b")
    with pytest.raises(WireError):
        results(one, data(seq))


def test_an_unawaited_reply_is_an_error():
    with pytest.raises(Desync, match="not awaited"):
        results(channel(), reply(1, 0))


def test_what_is_told_unasked_may_come_in_the_midst_of_a_reply():
    one, vif = channel(), VrInterfaceReq(vifr_idx=3, vifr_intf_status=1)
    seq = sent(one, "a", "b")
    part = reply_frame(VrResponse(h_op=4).encode(), family=24, seq=seq, more=True)
    told = reply_frame(encode_many([VrResponse(h_op=4), vif]), family=24, seq=0, more=False)
    given = list(one.receive(told + part + told + reply(seq, 0) + told, 1.0))
    assert [each for each in given if isinstance(each, Told)] == [Told((vif,))] * 3
    assert [each.token for each in given if isinstance(each, Result)] == ["a", "b"]
    assert len(one) == 0


def test_a_refusal_under_no_requests_number_is_an_error():
    refused = b"\x24\0\0\0\2\0\0\0" + bytes(8) + (-22 & 0xFFFFFFFF).to_bytes(4, "little")
    with pytest.raises(Desync, match="not awaited"):
        results(channel(), refused + bytes(16))


def test_kernel_done_ends_a_reply():
    one = channel()
    seq = sent(one, "a", "b")
    part = reply_frame(VrResponse(h_op=4).encode(), family=24, seq=seq, more=True)
    done = b"\x10\0\0\0\3\0\0\0" + seq.to_bytes(4, "little") + bytes(4)
    assert [token for token, *_ in results(one, part + part + done)] == ["a", "b"]


def test_the_window_counts_frames():
    one = channel(window=2)
    seq = sent(one, "a", "b", "c")
    assert one.has_room
    sent(one, "d")
    assert not one.has_room
    results(one, reply(seq, 0, 0, 0))
    assert one.has_room


def test_waiting_starts_anew_with_every_complete_reply():
    one = channel()
    assert one.waiting_since is None
    first = sent(one, "a")
    sent(one, "b")
    assert one.waiting_since == 0.0
    results(one, reply(first, 0))
    assert one.waiting_since == 1.0


def test_sequence_numbers_wrap_without_the_reserved_ones():
    one = channel()
    one._seq = 0xFFFFFFFD
    assert [sent(one, "a"), sent(one, "b")] == [0xFFFFFFFE, 1]


def test_reset_forgets_half_a_frame():
    one = channel()
    seq = sent(one, "a")
    results(one, reply(seq, 0)[:20])
    one.reset()
    assert len(one) == 0
    seq = sent(one, "b")
    assert results(one, reply(seq, 0)) == [("b", 0, ())]


def test_a_frame_that_succeeded_is_told_at_once():
    one = channel()
    first, second = sent(one, "a", "b"), sent(one, "c")
    data = reply(first, 0, 0) + reply(second, 0)
    assert list(one.receive(data, 1.0)) == [Accepted(("a", "b")), Accepted(("c",))]
    assert len(one) == 0
    assert one.waiting_since is None


@pytest.mark.parametrize("codes", [(0, 1), (0, -22), (3, 0)])
def test_a_frame_with_other_answers_is_told_one_by_one(codes):
    one = channel()
    seq = sent(one, "a", "b")
    got = list(one.receive(reply(seq, *codes), 1.0))
    assert got == [Result("a", codes[0], ()), Result("b", codes[1], ())]


def test_small_messages_share_a_payload():
    items = [(i, VrMplsReq(mr_label=i)) for i in range(16)]
    packed = pack(*zip(*items, strict=True))
    assert packed.refused == []
    ((tokens, payload),) = packed.payloads
    assert tokens == list(range(16))
    assert decode_messages(payload) == [message for _, message in items]


def huge(members):
    """A composite nexthop of 223 bytes and 8 for each member."""
    return VrNexthopReq(nhr_nh_list=range(members), nhr_label_list=range(members))


def test_no_payload_is_longer_than_the_attribute_can_say():
    items = [(i, huge(3000)) for i in range(7)]
    packed = pack(*zip(*items, strict=True))
    assert packed.refused == []
    assert [tokens for tokens, _ in packed.payloads] == [[0, 1], [2, 3], [4, 5], [6]]
    for tokens, payload in packed.payloads:
        assert len(payload) <= MAX_PAYLOAD
        assert decode_messages(payload) == [items[token][1] for token in tokens]


def test_a_message_that_fits_into_no_frame_is_refused_alone():
    packed = pack(["a", "big", "b"], [VrMplsReq(), huge(9000), VrMplsReq(mr_label=1)])
    assert packed.refused == [("big", errno.EMSGSIZE)]
    assert [tokens for tokens, _ in packed.payloads] == [["a", "b"]]


def test_the_largest_message_that_fits_is_sent():
    members = (MAX_PAYLOAD - len(VrNexthopReq().encode())) // 8
    exact = huge(members).replace(nhr_encap=bytes((MAX_PAYLOAD - 223) % 8))
    assert len(exact.encode()) == MAX_PAYLOAD
    assert pack(["a"], [exact]).refused == []
    over = exact.replace(nhr_encap=bytes((MAX_PAYLOAD - 223) % 8 + 1))
    assert pack(["a"], [over]).refused == [("a", errno.EMSGSIZE)]
