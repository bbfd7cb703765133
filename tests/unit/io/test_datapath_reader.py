"""Questions to the datapath: a real forwarder, and one that misbehaves."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from agent.errors import DatapathError, WireError
from agent.io.datapath import StreamAddress
from agent.io.datapath_reader import QUEUE, DatapathReader
from agent.sandesh.framing import NLMSG_ERROR, FrameReader, reply_frame, request_frame
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrDropStatsReq,
    VrInterfaceReq,
    VrNexthopReq,
    VrouterOps,
    VrResponse,
)
from tests.unit.io.forwarders import forwarder, reading

LIMITS = VrouterOps(h_op=SandeshOp.GET)


def nexthops(last: VrNexthopReq | None) -> VrNexthopReq:
    return VrNexthopReq(h_op=SandeshOp.DUMP, nhr_marker=-1 if last is None else last.nhr_id)


# --- a real datapath


async def test_a_forwarder_answers_gets_dumps_over_pages_and_refusals(tmp_path: Path) -> None:
    async with forwarder(tmp_path), reading(StreamAddress(tmp_path / "dpdk_netlink")) as reader:
        limits, drops = await asyncio.gather(
            reader.get(LIMITS, VrouterOps),
            reader.get(VrDropStatsReq(h_op=SandeshOp.GET), VrDropStatsReq),
        )
        assert limits.vo_flow_entries == 1024
        assert drops.vds_discard == 0
        for number in range(1, 60):
            _, objects = await reader._answer(VrNexthopReq(nhr_id=number, nhr_type=5, nhr_flags=1))
            assert objects == []
        found = [row.nhr_id async for row in reader.dump(nexthops, VrNexthopReq)]
        assert found == list(range(60))
        with pytest.raises(DatapathError) as refusal:
            await reader.get(VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=77), VrInterfaceReq)
        assert refusal.value.errno in (errno.ENOENT, errno.ENODEV)


async def test_it_finds_a_datapath_that_began_anew(tmp_path: Path) -> None:
    reader = DatapathReader(StreamAddress(tmp_path / "dpdk_netlink"), jitter=lambda: 0.0)
    reader.start()
    try:
        with pytest.raises(WireError, match="there is no datapath at"):
            await reader.get(LIMITS, VrouterOps)
        for round_ in (1, 2):
            async with forwarder(tmp_path) as process, asyncio.timeout(20):
                while not reader.connected:
                    await asyncio.sleep(0.01)
                assert reader.tries.made == round_
                assert (await reader.get(LIMITS, VrouterOps)).vo_flow_entries == 1024
                process.kill()
                while reader.connected:
                    await asyncio.sleep(0.01)
    finally:
        await reader.close()


def test_it_works_on_the_loop_that_the_agent_has(tmp_path: Path) -> None:
    async def asked() -> int:
        async with forwarder(tmp_path), asyncio.timeout(20):
            reader = DatapathReader(StreamAddress(tmp_path / "dpdk_netlink"), jitter=lambda: 0.0)
            reader.start()
            try:
                while not reader.connected:
                    await asyncio.sleep(0.01)
                return (await reader.get(LIMITS, VrouterOps)).vo_flow_entries
            finally:
                await reader.close()

    assert uvloop.run(asked()) == 1024


# --- a datapath that misbehaves

Behaviour = Callable[[int, Callable[..., None]], Awaitable[None]]
"""What it does with the question of this sequence number, and how it writes frames."""


@asynccontextmanager
async def misbehaving(
    path: Path, *behaviours: Behaviour, timeout: float = 10.0
) -> AsyncIterator[DatapathReader]:
    """One behaviour a question; the last one for all that follow."""
    left = list(behaviours)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader()

        def write(*payloads: bytes, sequence: int, more: bool = False) -> None:
            for place, payload in enumerate(payloads):
                last = place == len(payloads) - 1
                writer.write(reply_frame(payload, family=32, seq=sequence, more=more or not last))

        try:
            while data := await reader.read(65536):
                frames.feed(data)
                for frame in frames:
                    behaviour = left.pop(0) if len(left) > 1 else left[0]
                    await behaviour(frame.seq, lambda *a, **k: write(*a, **k))
                    if writer.is_closing():
                        return
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        async with reading(StreamAddress(path), timeout=timeout) as reader:
            yield reader
    finally:
        server.close()


def response(code: int) -> bytes:
    return VrResponse(h_op=SandeshOp.RESPONSE, resp_code=code).encode()


async def honest(sequence: int, write: Callable[..., None]) -> None:
    write(response(0) + VrouterOps(vo_vrfs=7).encode(), sequence=sequence)


async def silent(sequence: int, write: Callable[..., None]) -> None:
    del sequence, write


async def answers(reader: DatapathReader) -> bool:
    return (await reader.get(LIMITS, VrouterOps)).vo_vrfs == 7


async def again(reader: DatapathReader) -> bool:
    """Whether it answers after it has connected again."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await answers(reader)
            except WireError:
                await asyncio.sleep(0.01)


async def test_silence_ends_in_an_error_and_a_new_connection(tmp_path: Path) -> None:
    async with misbehaving(tmp_path / "s", silent, honest, timeout=0.2) as reader:
        with pytest.raises(WireError, match=r"did not answer within 0\.2 s"):
            await reader.get(LIMITS, VrouterOps)
        assert reader.counters.late == 1
        assert await again(reader)
        assert reader.tries.made == 2


async def test_an_answer_for_one_who_has_gone_is_not_another_ones(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def late(sequence: int, write: Callable[..., None]) -> None:
        await release.wait()
        write(response(0) + VrouterOps(vo_vrfs=1).encode(), sequence=sequence)

    async with misbehaving(tmp_path / "s", late, honest) as reader:
        gone = asyncio.ensure_future(reader.get(LIMITS, VrouterOps))
        while reader.counters.asked == 0:
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        release.set()
        assert await answers(reader)
        assert reader.tries.made == 1


async def test_more_questions_than_may_wait_are_refused_at_once(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow(sequence: int, write: Callable[..., None]) -> None:
        await release.wait()
        await honest(sequence, write)

    async with misbehaving(tmp_path / "s", slow) as reader:
        asked = [asyncio.ensure_future(answers(reader)) for _ in range(QUEUE)]
        while reader.waiting < QUEUE:
            await asyncio.sleep(0)
        with pytest.raises(WireError, match="wait already"):
            await reader.get(LIMITS, VrouterOps)
        assert reader.counters.refused == 1
        release.set()
        assert all(await asyncio.gather(*asked))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "without a vr_response"),
        (VrouterOps(vo_vrfs=7).encode(), "without a vr_response"),
        (response(0), "without a VrouterOps"),
        (response(0) + b"\x01\x02nonsense", "at byte"),
    ],
)
async def test_answers_that_are_none(tmp_path: Path, reply: bytes, reason: str) -> None:
    async def wrong(sequence: int, write: Callable[..., None]) -> None:
        write(reply, sequence=sequence)

    async with misbehaving(tmp_path / "s", wrong, honest) as reader:
        with pytest.raises(WireError, match=reason):
            await reader.get(LIMITS, VrouterOps)
        assert await answers(reader)


async def test_an_answer_without_end_closes_the_connection(tmp_path: Path) -> None:
    async def endless(sequence: int, write: Callable[..., None]) -> None:
        for _ in range(40):
            write(response(0) * 1000, sequence=sequence, more=True)
            await asyncio.sleep(0)

    async with misbehaving(tmp_path / "s", endless, honest) as reader:
        with pytest.raises(WireError, match="more than 1048576 bytes"):
            await reader.get(LIMITS, VrouterOps)
        assert await again(reader)


async def test_a_stream_that_has_lost_its_step_is_closed(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"\xff" * 64)

    server = await asyncio.start_unix_server(serve, tmp_path / "s")
    async with reading(StreamAddress(tmp_path / "s")) as reader:
        with pytest.raises(WireError, match="says it has"):
            await reader.get(LIMITS, VrouterOps)
    server.close()


async def test_a_request_that_the_datapath_cannot_read(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (frame,) = _frames(await reader.read(65536))
        writer.write(request_frame(bytes(20), family=NLMSG_ERROR, seq=frame, pid=0))

    def _frames(data: bytes) -> list[int]:
        frames = FrameReader()
        frames.feed(data)
        return [frame.seq for frame in frames]

    server = await asyncio.start_unix_server(serve, tmp_path / "s")
    async with reading(StreamAddress(tmp_path / "s")) as reader:
        with pytest.raises(WireError, match="could not read the request"):
            await reader.get(LIMITS, VrouterOps)
    server.close()


INCOMPLETE = 0x40000000


async def test_dumps_that_do_not_advance_or_hold_nothing_end(tmp_path: Path) -> None:
    same = VrNexthopReq(nhr_id=5).encode()

    async def stuck(sequence: int, write: Callable[..., None]) -> None:
        write(response(1 | INCOMPLETE), same, sequence=sequence)

    async def empty(sequence: int, write: Callable[..., None]) -> None:
        write(response(INCOMPLETE), sequence=sequence)

    async with misbehaving(tmp_path / "s", stuck) as reader:
        with pytest.raises(WireError, match="does not advance"):
            _ = [row async for row in reader.dump(nexthops, VrNexthopReq)]
        assert reader.counters.asked == 2
    async with misbehaving(tmp_path / "t", empty) as reader:
        with pytest.raises(WireError, match="sent none"):
            _ = [row async for row in reader.dump(nexthops, VrNexthopReq)]


async def test_a_dump_of_several_kinds_gives_them_in_order(tmp_path: Path) -> None:
    """Interfaces with their drops: two messages each."""

    async def both(sequence: int, write: Callable[..., None]) -> None:
        rows = (VrInterfaceReq(vifr_idx=2), VrDropStatsReq(vds_discard=3))
        write(response(2), b"".join(row.encode() for row in rows), sequence=sequence)

    async with misbehaving(tmp_path / "s", both) as reader:
        request = VrInterfaceReq(h_op=SandeshOp.DUMP, vifr_marker=-1, vifr_flags=1)
        found: list[Message] = [row async for row in reader.dump(lambda _: request, Message)]
    assert found == [VrInterfaceReq(vifr_idx=2), VrDropStatsReq(vds_discard=3)]


async def test_closing_fails_what_waits(tmp_path: Path) -> None:
    async with misbehaving(tmp_path / "s", silent) as reader:
        asked = asyncio.ensure_future(answers(reader))
        while reader.counters.asked == 0:
            await asyncio.sleep(0)
        await reader.close()
        with pytest.raises(WireError, match="the agent ends"):
            await asked
