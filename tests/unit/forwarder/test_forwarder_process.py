"""The real process on a real socket in a directory of the test's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.datapath_client import DatapathClient
from agent.forwarder.__main__ import main
from agent.sandesh.framing import request_frame
from agent.sandesh.vrouter import (
    SandeshOp,
    VrBridgeTableData,
    VrFlowTableData,
    VrInterfaceReq,
    VrNexthopReq,
    VrouterOps,
    VrRouteReq,
)
from agent.shm import BridgeTable, FlowTable
from agent.values import Mac

ROOT = Path(__file__).parents[3]
SMALL = ["--flow-entries", "1024", "--bridge-entries", "1024", "--nexthops", "4096"]
VM = Mac.parse("02:a7:7f:d8:87:a5")


def start(run_dir: Path) -> subprocess.Popen[str]:
    """A forwarder that serves."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.forwarder", "--run-dir", str(run_dir), *SMALL],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "serves" not in (line := process.stderr.readline()):
        assert line, "the forwarder ended"
    return process


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    process.communicate(timeout=20)
    return process.returncode


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """The run directory of a forwarder that serves."""
    process = start(tmp_path / "run")
    yield tmp_path / "run"
    if process.poll() is None:
        assert end(process) == 0


def ask(run_dir: Path, payload: bytes) -> int:
    with DatapathClient.connect(run_dir) as client:
        return client.request(payload)[0]


def test_it_answers_and_ends_cleanly(tmp_path: Path) -> None:
    process = start(tmp_path)
    with DatapathClient.connect(tmp_path) as client:
        limits = client.get(VrouterOps(h_op=SandeshOp.GET).encode(), VrouterOps)
    assert limits.vo_flow_entries == 1024
    assert end(process) == 0
    assert os.listdir(tmp_path) == []


def test_what_one_client_adds_the_next_one_finds(run_dir: Path) -> None:
    assert ask(run_dir, VrNexthopReq(nhr_id=5, nhr_type=5, nhr_flags=1).encode()) == 0
    with DatapathClient.connect(run_dir) as client:
        request = VrNexthopReq(h_op=SandeshOp.GET, nhr_id=5).encode()
        assert client.get(request, VrNexthopReq).nhr_type == 5


def test_the_shared_tables_show_what_was_added(run_dir: Path) -> None:
    add = VrRouteReq(rtr_vrf_id=2, rtr_family=7, rtr_mac=VM, rtr_nh_id=0)
    assert ask(run_dir, add.encode()) == 0
    with DatapathClient.connect(run_dir) as client:
        request = VrBridgeTableData(btable_op=SandeshOp.GET).encode()
        told = client.get(request, VrBridgeTableData)
        flows = client.get(VrFlowTableData(ftable_op=2).encode(), VrFlowTableData)
        get = VrRouteReq(h_op=SandeshOp.GET, rtr_vrf_id=2, rtr_family=7, rtr_mac=VM)
        route = client.get(get.encode(), VrRouteReq)
    with BridgeTable.open(told.btable_file_path) as table:
        assert table.geometry.size == told.btable_size
        entry = table.lookup(2, VM)
        assert entry is not None
        assert (entry.index, entry.nh_id) == (route.rtr_index, 0)
        assert list(table) == [entry]
    with FlowTable.open(flows.ftable_file_path) as table:
        assert (table.geometry.main, table.geometry.size) == (1024, flows.ftable_size)
        assert list(table) == []
        assert int.from_bytes(table.raw(700)[8:12], "little") == 700


def test_garbage_closes_that_client_only(run_dir: Path) -> None:
    with DatapathClient.connect(run_dir) as good:
        for garbage in (b"\xff" * 100, bytes(100), os.urandom(100)):
            with socket.socket(socket.AF_UNIX) as bad:
                bad.connect(str(run_dir / "dpdk_netlink"))
                bad.sendall(garbage)
                bad.shutdown(socket.SHUT_WR)
                bad.settimeout(10)
                while bad.recv(65536):
                    pass
        assert good.request(VrouterOps(h_op=SandeshOp.GET).encode())[0] == 0


def test_bytes_that_are_no_message_get_an_answer(run_dir: Path) -> None:
    assert ask(run_dir, b"garbage") == -1


def test_a_client_that_never_reads_does_not_stop_another(run_dir: Path) -> None:
    dump = VrNexthopReq(h_op=SandeshOp.DUMP, nhr_marker=-1).encode()
    for nh_id in range(1, 200):
        ask(run_dir, VrNexthopReq(nhr_id=nh_id, nhr_type=5, nhr_flags=1).encode())
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(run_dir / "dpdk_netlink"))
        deaf.setblocking(False)
        frame = request_frame(dump, family=24, seq=0, pid=0)
        try:
            for _ in range(100_000):
                deaf.send(frame)
        except BlockingIOError:
            pass  # the forwarder reads no more from us
        else:
            pytest.fail("the forwarder reads without end")
        assert ask(run_dir, VrouterOps(h_op=SandeshOp.GET).encode()) == 0


def test_pkt0_appears_with_the_agent_vif_and_goes_with_it(run_dir: Path) -> None:
    add = VrInterfaceReq(
        vifr_idx=2, vifr_type=1, vifr_transport=3, vifr_name="unix", vifr_mac=VM, vifr_os_idx=-1
    )
    assert not (run_dir / "dpdk_pkt0").exists()
    assert ask(run_dir, add.encode()) == 0
    assert (run_dir / "dpdk_pkt0").is_socket()
    assert ask(run_dir, VrouterOps(h_op=SandeshOp.RESET).encode()) == 0
    assert not (run_dir / "dpdk_pkt0").exists()
    assert ask(run_dir, add.encode()) == 0
    assert ask(run_dir, VrInterfaceReq(h_op=SandeshOp.DEL, vifr_idx=2).encode()) == 0
    assert not (run_dir / "dpdk_pkt0").exists()


def test_a_second_forwarder_refuses_the_directory(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run-dir", str(run_dir), *SMALL]) == 1
    assert "another vrouter-forwarder serves it" in capsys.readouterr().err
    assert ask(run_dir, VrouterOps(h_op=SandeshOp.GET).encode()) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--flow-entries", "1001"], "not a multiple of 4"),
        (["--bridge-entries", "0"], "is not in 4 to"),
        (["--labels", "9999999"], "labels: 9999999 is not in"),
        (["--vrfs", "65536"], "vrfs: 65536 is not in 1 to 65535"),
        (["--flow-entries", "16777216"], "told in 32 bits"),
        (["--run-dir", "/dev/null/x"], "run directory /dev/null/x"),
    ],
)
def test_options_that_cannot_be(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--run-dir", str(tmp_path), *options]) == 1
    assert says in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_after_sigkill_it_starts_again(tmp_path: Path) -> None:
    end(start(tmp_path), signal.SIGKILL)
    assert "dpdk_netlink" in os.listdir(tmp_path)
    process = start(tmp_path)
    assert ask(tmp_path, VrouterOps(h_op=SandeshOp.GET).encode()) == 0
    assert end(process) == 0
    assert os.listdir(tmp_path) == []
