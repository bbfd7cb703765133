"""How the tools fail: clear words, a status, never a traceback, never a hang."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.cli import mpls, nh, rt, vif
from agent.cli.datapath_client import DatapathClient
from agent.errors import DatapathError, UsageError, WireError
from agent.sandesh.framing import reply_frame
from agent.sandesh.vrouter import SandeshOp, VrMplsReq, VrResponse
from tests.unit.cli.replay import Datapath, done

GET = VrMplsReq(h_op=SandeshOp.GET, mr_label=1).encode()


def speaking(said: bytes, *, then_close: bool) -> DatapathClient:
    """A client whose datapath says this, whatever it is asked."""
    ours, theirs = socket.socketpair()
    theirs.sendall(said)
    if then_close:
        theirs.shutdown(socket.SHUT_WR)
    client = DatapathClient(ours, timeout=0.2)
    client.keep_open = theirs  # type: ignore[attr-defined]
    return client


def test_no_datapath(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vif.main(["--sock-dir", str(tmp_path), "--list"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        f"error: no datapath at {tmp_path}/dpdk_netlink: start vrouter-forwarder or pass "
        "--sock-dir\n"
    )


def test_a_socket_that_nobody_serves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dpdk_netlink"))
    assert nh.main(["--sock-dir", str(tmp_path), "--list"]) == 1
    assert "no datapath at" in capsys.readouterr().err


def test_a_path_that_is_too_long() -> None:
    with pytest.raises(UsageError, match="cannot connect"):
        DatapathClient.connect(Path("/" + "x" * 200))


@pytest.mark.parametrize(
    ("said", "then_close", "reason"),
    [
        (b"", False, "did not answer within"),
        (b"", True, "closed the connection without an answer"),
        (b"\x36\0\0\0", False, "did not answer within"),
        (b"\xff\xff\xff\xff" + bytes(20), False, "can be"),
        (reply_frame(b"", family=32, seq=0, more=False), False, "without a vr_response"),
        (reply_frame(b"\0\0\0\x05bogus\0", family=32, seq=0, more=False), False, "unknown"),
        (reply_frame(GET, family=32, seq=0, more=False), False, "without a vr_response"),
    ],
    ids=["silent", "closed", "half a header", "length", "empty", "unknown", "no response"],
)
def test_bad_answers_are_wire_errors(said: bytes, then_close: bool, reason: str) -> None:
    with speaking(said, then_close=then_close) as client, pytest.raises(WireError, match=reason):
        client.request(GET)


def test_an_answer_may_arrive_byte_by_byte() -> None:
    ours, theirs = socket.socketpair()
    said = reply_frame(VrResponse(h_op=4, resp_code=3).encode(), family=32, seq=0, more=True)
    said += reply_frame(GET, family=32, seq=0, more=False)

    def trickle() -> None:
        for byte in said:
            theirs.send(bytes((byte,)))

    speaker = threading.Thread(target=trickle)
    speaker.start()
    with DatapathClient(ours, timeout=5) as client:
        code, objects = client.request(GET)
    speaker.join()
    assert code == 3
    assert [type(found) for found in objects] == [VrMplsReq]


def test_a_refusal_carries_its_number() -> None:
    said = reply_frame(VrResponse(h_op=4, resp_code=-22).encode(), family=32, seq=0, more=False)
    with speaking(said, then_close=False) as client, pytest.raises(DatapathError) as caught:
        client.get(GET, VrMplsReq)
    assert caught.value.errno == 22


def test_more_objects_announced_than_sent() -> None:
    said = reply_frame(
        VrResponse(h_op=4, resp_code=0x40000001).encode(), family=32, seq=0, more=False
    )
    with speaking(said, then_close=False) as client, pytest.raises(WireError, match="sent none"):
        list(client.dump(lambda _: GET, VrMplsReq))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--get", "10.0.0.300/32", "--vrf", "1"],
        ["--get", "10.0.0.1/33", "--vrf", "1"],
        ["--get", "10.0.0.1", "--vrf", "1", "--family", "inet6"],
        ["--get", "02:00", "--vrf", "1", "--family", "bridge"],
    ],
)
def test_a_prefix_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    datapath = Datapath(tmp_path)
    datapath.answer(lambda _: done())
    assert rt.main(["--sock-dir", str(tmp_path), *arguments]) == 1
    datapath.close()
    assert f"--get {arguments[1]}" in capsys.readouterr().err
    assert datapath.requests == []


@pytest.mark.parametrize(
    ("text", "family"),
    [("2:3:eb:4b:e8:d8", 7), ("1:2::3:4:5", 10), ("::1:2:3:4:5", 10), ("1:2:3:4:5:6:7:8", 10)],
)
def test_what_a_route_is_asked_by(tmp_path: Path, text: str, family: int) -> None:
    datapath = Datapath(tmp_path)
    datapath.answer(lambda _: done())
    rt.main(["--sock-dir", str(tmp_path), "--get", text, "--vrf", "1"])
    datapath.close()
    assert [request.rtr_family for request in datapath.requests] == [family]  # type: ignore[attr-defined]


@pytest.mark.parametrize("arguments", [[], ["--dump", "--get", "1"], ["--get", "x"], ["--bogus"]])
def test_wrong_options_end_with_the_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        mpls.main(arguments)
    assert ended.value.code == 1


@pytest.mark.parametrize("text", ["-1", "2147483648", "1.5"])
def test_numbers_that_no_field_holds_are_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        nh.main(["--get", text])
    assert ended.value.code == 234
    assert f"--get: '{text}' is no whole number from 0 to 2147483647" in capsys.readouterr().err


def test_a_refusal_leaves_the_output_free_for_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datapath = Datapath(tmp_path)
    datapath.answer(lambda _: [[VrResponse(h_op=4, resp_code=-2)]])
    assert nh.main(["--sock-dir", str(tmp_path), "--get", "9", "--json"]) == 1
    datapath.close()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "vRouter(Response): No such file or directory (2)\n"


def test_an_output_that_is_full_is_said(tmp_path: Path) -> None:
    datapath = Datapath(tmp_path)
    datapath.answer(lambda _: done(VrMplsReq(mr_label=1, mr_nhid=2)))
    run = "from agent.cli.mpls import main; import sys; sys.exit(main(sys.argv[1:]))"
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", run, "--sock-dir", str(tmp_path), "--get", "1"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=Path(__file__).parents[3],
        )
    datapath.close()
    assert (ended.returncode, ended.stderr) == (
        1,
        "error: cannot write the output: No space left on device\n",
    )


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`mpls --dump | head -0`"""
    datapath = Datapath(tmp_path)
    rows = [VrMplsReq(mr_label=label) for label in range(16, 60)]
    datapath.answer(
        lambda _: [[VrResponse(h_op=4, resp_code=len(rows))], list(rows)],
    )
    run = "from agent.cli.mpls import main; import sys; sys.exit(main(sys.argv[1:]))"
    tool = subprocess.Popen(
        [sys.executable, "-c", run, "--sock-dir", str(tmp_path), "--dump"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert tool.stdout is not None
    tool.stdout.close()
    assert tool.stderr is not None
    assert tool.stderr.read() == b""
    tool.stderr.close()
    assert tool.wait(10) == 0
    datapath.close()


def test_the_tools_start_without_heavy_libraries() -> None:
    heavy = {"asyncio", "uvloop", "falcon", "pyroute2", "structlog", "click", "yaml"}
    code = "import sys, json, agent.cli.vif; print(json.dumps(sorted(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert heavy.isdisjoint(json.loads(shown.stdout))
