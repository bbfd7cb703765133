"""How a tool finds the datapath, and how it speaks with one in the kernel.

The kernel's part is played over real netlink sockets, with the frames that a real module
sent (tests/vectors/kernel-captures.jsonl).
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import genetlink, locate, mpls, netlink, tool, vif
from agent.cli.datapath_client import DatapathClient
from agent.cli.locate import Place, find, platform
from agent.errors import DatapathError, UsageError, WireError
from agent.sandesh.framing import kernel_reply_frames
from agent.sandesh.genetlink import family_description
from agent.sandesh.vrouter import (
    SandeshOp,
    VrFlowTableData,
    VrInterfaceReq,
    VrMplsReq,
    VrResponse,
    VrRouteReq,
)

CAPTURES = Path(__file__).parents[2] / "vectors" / "kernel-captures.jsonl"
FAMILY = 32
CONTROLLER = "nlctrl"
"""A family that every kernel has; its number is 16."""


def captured(what: str) -> tuple[bytes, list[bytes]]:
    """The request and the datagrams of the answer."""
    rows = [json.loads(line) for line in CAPTURES.read_text().splitlines()]
    frames = [(row["dir"], bytes.fromhex(row["hex"])) for row in rows if row["what"] == what]
    (asked,) = [data for direction, data in frames if direction == "tx"]
    return asked, [data for direction, data in frames if direction == "rx"]


class Kernel:
    """A user-space netlink socket that answers like the module."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.GENERIC)
        self._socket.bind((0, 0))
        self.port: int = self._socket.getsockname()[0]
        self._thread: threading.Thread | None = None

    def answer(self, *rounds: list[bytes]) -> None:
        """Answer one request with each list of datagrams, after its sequence number is put in."""
        self._thread = threading.Thread(target=self._serve, args=(rounds,), daemon=True)
        self._thread.start()

    def _serve(self, rounds: tuple[list[bytes], ...]) -> None:
        for datagrams in rounds:
            request, source = self._socket.recvfrom(1 << 16)
            self.requests.append(request)
            for data in datagrams:
                self._socket.sendto(data[:8] + request[8:12] + data[12:], source)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join(5)
        self._socket.close()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    try:
        with genetlink.connect(made.port) as trial:
            trial.send(bytes(16))
        made._socket.recv(16)
    except PermissionError:
        made.close()
        pytest.skip("netlink between processes needs CAP_NET_ADMIN")
    yield made
    made.close()


def client(kernel: Kernel, timeout: float = 5) -> DatapathClient:
    return DatapathClient(genetlink.connect(kernel.port), timeout, family=FAMILY)


def from_tool(frame: bytes) -> bytes:
    """A captured request as a tool sends it: number 0, no process id."""
    return frame[:8] + bytes(8) + frame[16:]


# --- generic netlink


def test_the_request_for_a_family_is_the_captured_one() -> None:
    asked, (answered,) = captured("getfamily")
    _, _, _, seq, pid = struct.unpack_from("=IHHII", asked)
    assert genetlink.family_request("vrouter", seq, pid) == asked
    assert genetlink.family_answer(answered[16:]) == FAMILY


def test_a_family_of_this_kernel() -> None:
    with genetlink.connect() as connected:
        connected.settimeout(5)
        assert genetlink.family_number(connected, CONTROLLER) == 16


def test_a_client_of_this_kernel() -> None:
    with DatapathClient.connect_kernel(CONTROLLER) as connected:
        assert connected.kernel
        with pytest.raises((WireError, DatapathError)):
            connected.request(VrMplsReq(h_op=SandeshOp.GET).encode())


def test_no_module() -> None:
    with pytest.raises(UsageError) as refused:
        DatapathClient.connect_kernel("no-such-family")
    assert str(refused.value) == (
        "no datapath: there is neither /run/vrouter/dpdk_netlink nor "
        "/var/run/vrouter/dpdk_netlink, nor the kernel module no-such-family; start "
        "vrouter-forwarder, pass --sock-dir, or load the module (modprobe no-such-family)"
    )


@given(st.binary(max_size=80))
def test_any_description_of_a_family_is_read_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert 0 <= genetlink.family_answer(data) <= 0xFFFF


def test_a_dump_of_labels(kernel: Kernel) -> None:
    asked, answer = captured("dump mpls")
    kernel.answer(answer)
    with client(kernel) as connected:
        rows = list(
            connected.dump(
                lambda _: VrMplsReq(h_op=SandeshOp.DUMP, mr_marker=-1).encode(), VrMplsReq
            )
        )
    assert rows
    assert [row.mr_label for row in rows] == sorted(row.mr_label for row in rows)
    assert kernel.requests == [from_tool(asked)]


def test_a_dump_of_interfaces(kernel: Kernel) -> None:
    _, answer = captured("dump vif")
    kernel.answer(answer)
    with client(kernel) as connected:
        rows = list(
            connected.dump(
                lambda _: VrInterfaceReq(h_op=SandeshOp.DUMP, vifr_marker=-1).encode(),
                VrInterfaceReq,
            )
        )
    assert {row.vifr_name for row in rows} >= {"fab0", "pkt0", "tap1"}


def test_a_dump_in_parts(kernel: Kernel) -> None:
    _, first = captured("dump route vrf1")
    last = kernel_reply_frames(
        [VrResponse(h_op=4, resp_code=1).encode(), VrRouteReq(rtr_prefix=b"\xff\0\0\0").encode()],
        family=FAMILY, seq=0, pid=0,
    )  # fmt: skip
    kernel.answer(first, last)
    with client(kernel) as connected:
        rows = list(
            connected.dump(
                lambda last: VrRouteReq(
                    h_op=SandeshOp.DUMP, rtr_marker=last.rtr_prefix if last else b""
                ).encode(),
                VrRouteReq,
            )
        )
    assert len(rows) == 34
    assert [frame[8:12] for frame in kernel.requests] == [bytes(4), b"\1\0\0\0"]


def test_an_answer_in_one_datagram(kernel: Kernel) -> None:
    _, answer = captured("flow table get")
    kernel.answer(answer)
    with client(kernel) as connected:
        found = connected.get(VrFlowTableData().encode(), VrFlowTableData)
    assert found.ftable_size == 161218560


def test_what_the_module_refuses(kernel: Kernel) -> None:
    _, answer = captured("get vif 99")
    kernel.answer(answer)
    with client(kernel) as connected, pytest.raises(DatapathError) as refused:
        connected.get(VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=99).encode(), VrInterfaceReq)
    assert refused.value.errno == 2


def test_an_acknowledgement_of_two_datagrams(kernel: Kernel) -> None:
    _, answer = captured("bridge add vmac")
    kernel.answer(answer)
    with client(kernel) as connected:
        assert connected.request(VrRouteReq().encode()) == (0, [])


def test_no_answer(kernel: Kernel) -> None:
    kernel.answer([])
    with (
        client(kernel, timeout=0.2) as connected,
        pytest.raises(WireError, match=r"did not answer within 0\.2 s"),
    ):
        connected.request(VrMplsReq(h_op=99).encode())


def test_a_late_answer_is_not_taken_for_the_next(kernel: Kernel) -> None:
    late = kernel_reply_frames(
        [VrResponse(h_op=4, resp_code=-22).encode()], family=FAMILY, seq=0, pid=0
    )[0]

    def stale(data: bytes) -> bytes:
        return data[:8] + b"\x63\0\0\0" + data[12:]

    good = kernel_reply_frames([VrResponse(h_op=4).encode()], family=FAMILY, seq=0, pid=0)
    with client(kernel) as connected:
        our_port = connected._socket.getsockname()[0]
        kernel._socket.sendto(stale(late), (our_port, 0))
        kernel.answer(good)
        assert connected.request(VrMplsReq().encode()) == (0, [])


def netlink_error(code: int) -> bytes:
    return struct.pack("=IHHIIi", 36, 2, 0, 0, 0, code) + bytes(16)


def test_a_netlink_error_is_a_refusal(kernel: Kernel) -> None:
    kernel.answer([netlink_error(-22)])
    with client(kernel) as connected, pytest.raises(DatapathError) as refused:
        connected.request(VrMplsReq().encode())
    assert refused.value.errno == 22


def test_who_may_use_the_module(kernel: Kernel) -> None:
    kernel.answer([netlink_error(-1)])
    with client(kernel) as connected, pytest.raises(UsageError, match="run as root"):
        connected.request(VrMplsReq().encode())


def test_strangers_are_not_listened_to(kernel: Kernel) -> None:
    """A connected netlink socket takes messages from its peer alone."""
    with client(kernel) as connected:
        our_port = connected._socket.getsockname()[0]
        stranger = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.GENERIC)
        with stranger, pytest.raises(ConnectionRefusedError):
            stranger.sendto(bytes(32), (our_port, 0))


@given(st.binary(max_size=64))
def test_any_attributes_are_read_or_an_error(data: bytes) -> None:
    try:
        found = list(netlink.attributes(data))
    except WireError:
        return
    assert sum(4 + len(value) for _, value in found) <= len(data)


# --- where the datapath is


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[DEFAULT]\nplatform=dpdk\n", "dpdk"),
        ("[DEFAULT]\n  platform = nic \nlog=x\n", "nic"),
        ("[DEFAULT]\n#platform=dpdk\nplatform=kernel\n", "kernel"),
        ("[DEFAULT]\n #platform=dpdk\n", "dpdk"),
        ("[DEFAULT]\nmy_platform=dpdk\n", "dpdk"),
        ("[OTHER]\nplatform=dpdk\n[DEFAULT]\nlog=1\n", ""),
        ("[DEFAULT]\nlog=1\n[OTHER]\nplatform=dpdk\n", ""),
        ("platform=dpdk\n", ""),
        ("", ""),
    ],
)
def test_the_platform_that_a_file_names(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "agent.conf"
    file.write_text(text)
    assert platform(file) == named


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert platform(tmp_path / "absent") == ""
    assert platform(tmp_path) == ""
    (tmp_path / "binary").write_bytes(b"[DEFAULT]\nplatform=\xff\n")
    assert platform(tmp_path / "binary") == "\ufffd"


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    first, second = tmp_path / "run", tmp_path / "var-run"
    for path in (first, second):
        path.mkdir()
    monkeypatch.setattr(locate, "DEFAULT_DIRECTORIES", (str(first), str(second)))
    monkeypatch.delenv(locate.ENVIRONMENT, raising=False)
    return first, second


def test_a_directory_that_is_given(
    directories: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(locate.ENVIRONMENT, "/from/environment")
    assert find("/from/option", tmp_path / "none") == Place((Path("/from/option"),))
    assert find(None, tmp_path / "none") == Place((Path("/from/environment"),))


def test_without_a_platform_sockets_come_before_the_kernel(
    directories: tuple[Path, Path], tmp_path: Path
) -> None:
    absent = tmp_path / "none"
    assert find(None, absent) == Place((), kernel=True)
    (directories[1] / "dpdk_netlink").touch()
    assert find(None, absent) == Place((directories[1],), kernel=True)
    (directories[0] / "dpdk_netlink").touch()
    assert find(None, absent) == Place(directories, kernel=True)
    (directories[0] / "dpdk_netlink").rename(directories[0] / "netlink_port")
    assert find(None, absent) == Place(directories, kernel=True)


def test_on_dpdk_there_is_no_kernel(directories: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "agent.conf"
    file.write_text("[DEFAULT]\nplatform = dpdk\n")
    assert find(None, file) == Place((directories[1],))
    (directories[0] / "dpdk_netlink").touch()
    assert find(None, file) == Place((directories[0],))


def test_a_dead_socket_is_passed_over(tmp_path: Path) -> None:
    dead, alive = tmp_path / "dead", tmp_path / "alive"
    for path in (dead, alive):
        path.mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead / "dpdk_netlink"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(alive / "dpdk_netlink"))
        listening.listen(1)
        with DatapathClient.open(Place((dead, alive))) as connected:
            assert not connected.kernel
    with pytest.raises(UsageError, match=f"no datapath at {dead}"):
        DatapathClient.open(Place((dead,), kernel=False))


def test_a_process_that_serves_netlink(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "netlink_port").write_text(f"{kernel.port}\n")
    described = family_description(FAMILY, 9, seq=0, pid=0)
    good = kernel_reply_frames([VrResponse(h_op=4).encode()], family=FAMILY, seq=0, pid=0)
    kernel.answer([described], good)
    with DatapathClient.connect(tmp_path) as connected:
        assert connected.request(VrMplsReq().encode()) == (0, [])


@pytest.mark.parametrize("port", ["4294967295", "none"])
def test_a_process_that_served_netlink(tmp_path: Path, port: str) -> None:
    (tmp_path / "netlink_port").write_text(port)
    with pytest.raises(
        UsageError, match=r"no datapath at the port in .*vrouter-forwarder --netlink"
    ):
        DatapathClient.connect(tmp_path)


def test_a_tool_without_any_datapath(
    directories: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(genetlink, "FAMILY_NAME", "no-such-family")
    monkeypatch.setattr(tool, "find", lambda _: Place((), kernel=True))
    assert vif.main(["--list"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "nor the kernel module" in shown.err


def test_a_tool_against_the_kernel(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, answer = captured("dump mpls")
    kernel.answer(answer)
    monkeypatch.setattr(DatapathClient, "open", classmethod(lambda *_: client(kernel)))
    assert mpls.main(["--dump"]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        "MPLS Input Label Map", "", "   Label    NextHop", "-" * 19,
    ]  # fmt: skip
