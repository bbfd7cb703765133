"""Whatever a datapath answers, a tool shows it or says what is wrong; it never fails or hangs."""

from __future__ import annotations

import contextlib
import io
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.cli import dropstats, mirror, qosmap, vrfstats, vrftable, vrinfo, vrmemstats, vrouter
from agent.cli.datapath_client import DatapathClient
from agent.errors import WireError
from agent.sandesh.framing import reply_frame
from agent.sandesh.vrouter import (
    Message,
    SandeshOp,
    VrDropStatsReq,
    VrFcMapReq,
    VrInfoReq,
    VrMemStatsReq,
    VrMirrorReq,
    VrMplsReq,
    VrouterOps,
    VrPktDropLogReq,
    VrQosMapReq,
    VrResponse,
    VrVrfReq,
    VrVrfStatsReq,
)

MAINS: list[tuple[Callable[[list[str]], int], list[str], type[Message]]] = [
    (dropstats.main, [], VrDropStatsReq),
    (dropstats.main, ["--log", "0"], VrPktDropLogReq),
    (mirror.main, ["--dump"], VrMirrorReq),
    (qosmap.main, ["--dump-fc"], VrFcMapReq),
    (qosmap.main, ["--set-fc", "3"], VrFcMapReq),
    (qosmap.main, ["--dump-qos"], VrQosMapReq),
    (vrfstats.main, ["--dump"], VrVrfStatsReq),
    (vrftable.main, ["--dump"], VrVrfReq),
    (vrinfo.main, ["-v"], VrInfoReq),
    (vrmemstats.main, [], VrMemStatsReq),
    (vrouter.main, ["--info"], VrouterOps),
]


def values(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Messages with a few fields set to something."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, value in kind().to_dict().items():
        if name == "h_op":
            continue
        if isinstance(value, str):
            fields[name] = st.text(max_size=20)
        elif isinstance(value, int):
            fields[name] = st.sampled_from([0, 1, 7, 100])
        else:
            fields[name] = st.lists(st.integers(0, 100), max_size=4)
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: kind(**chosen))


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[bytes]], None]]:
    """Lets every client find a connection on which all answers already wait."""
    ends: list[socket.socket] = []
    waiting: list[bytes] = []

    def connected(*_: object) -> DatapathClient:
        ours, theirs = socket.socketpair()
        ends.append(theirs)
        for number, payload in enumerate(waiting):
            theirs.sendall(reply_frame(payload, family=32, seq=number, more=False))
        theirs.shutdown(socket.SHUT_WR)
        return DatapathClient(ours, timeout=2)

    def answers(payloads: list[bytes]) -> None:
        while ends:
            ends.pop().close()
        waiting[:] = payloads

    monkeypatch.setattr(DatapathClient, "open", connected)
    yield answers
    answers([])


@pytest.mark.parametrize(
    ("main", "words", "kind"),
    MAINS,
    ids=[" ".join((kind.NAME, *words)) for _, words, kind in MAINS],
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_answer(
    peer: Callable[[list[bytes]], None],
    main: Callable[[list[str]], int],
    words: list[str],
    kind: type[Message],
    data: st.DataObject,
) -> None:
    code = data.draw(st.sampled_from([0, 1, -2, 0x40000001]))
    objects = data.draw(st.lists(values(kind), max_size=2))
    whole = b"".join([VrResponse(h_op=4, resp_code=code).encode(), *(o.encode() for o in objects)])
    cut = data.draw(st.sampled_from([len(whole), len(whole) // 2]))
    peer([whole, whole[:cut], data.draw(st.binary(max_size=30))])
    as_json = data.draw(st.booleans())
    shown, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said):
        status = main([*words, "--json"] if as_json else words)
    assert status in (0, 1)
    assert bool(said.getvalue()) == (status == 1)
    if as_json and status == 0 and shown.getvalue():
        json.loads(shown.getvalue())


def test_a_datapath_that_does_not_get_on(peer: Callable[[list[bytes]], None]) -> None:
    more = VrResponse(h_op=4, resp_code=0x40000001).encode() + VrMplsReq(mr_label=5).encode()
    peer([more] * 3)

    def request(last: VrMplsReq | None) -> bytes:
        marker = -1 if last is None else last.mr_label
        return VrMplsReq(h_op=SandeshOp.DUMP, mr_marker=marker).encode()

    with (
        DatapathClient.open(None) as client,  # type: ignore[arg-type]
        pytest.raises(WireError, match="does not advance"),
    ):
        list(client.dump(request, VrMplsReq))
