"""Sessions of real connections, as records in a file that users ship."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.system.conftest import VrouterLab
from tests.system.flow_lab import FlowLab, brought_up

pytestmark = pytest.mark.timeout(120)

RED1, RED2, PORT, SIZE = "10.1.1.3", "10.1.1.4", 8080, 1_000_000
LIMIT = 30.0
FILE = "/run/vrouter/sessions.json"
TOPOLOGY: dict[str, Any] = {
    "name": "sessions",
    "hosts": {"host1": {"fabric": "10.0.0.1/24"}},
    "networks": {"red": {"subnet": "10.1.1.0/24"}},
    "vms": {
        "red1": {"network": "red", "address": RED1},
        "red2": {"network": "red", "address": RED2},
    },
    "flow_export_rate": -1,
}
COLLECTOR = "127.0.0.1:8086"
CONFIG = f"""
[SESSION]
sample_destination = file collector
sessions_file = {FILE}
[FLOWS]
tcp_closed_timeout = 2
"""
_SERVER = """
import socket, sys
with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as listener:
    print("listening", flush=True)
    sock, _ = listener.accept()
    size = 0
    while data := sock.recv(1 << 16):
        size += len(data)
    sock.sendall(b"%d" % size)
    sock.close()
"""
_CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as sock:
    sock.sendall(bytes(int(sys.argv[3])))
    sock.shutdown(socket.SHUT_WR)
    print(sock.recv(99).decode())
"""


@pytest.fixture(scope="module")
def lab(vrouter_lab: VrouterLab) -> Iterator[FlowLab]:
    with brought_up(vrouter_lab, TOPOLOGY) as running:
        add = 'printf %s "$1" >> /run/vrouter/vrouter-agent.conf'
        path = "/run/vrouter/vrouter-agent.conf"
        running.run("host1", "sed", "-i", "s/^.DEFAULT.$/&\\ncollectors = " + COLLECTOR + "/", path)
        running.run("host1", "sh", "-c", add, "sh", CONFIG)
        running.configure(TOPOLOGY)
        yield running


def documents(lab: FlowLab) -> list[dict[str, Any]]:
    """The records so far of connections to the server's port."""
    done = lab.run("host1", "cat", FILE, check=False)
    if done.returncode:
        return []  # nothing was recorded so far
    whole = done.stdout[: done.stdout.rfind("\n") + 1]  # the last line may still be written
    found = [json.loads(line) for line in whole.splitlines()]
    return [one for one in found if one["service_port"] == PORT]


def ended(lab: FlowLab) -> list[dict[str, Any]]:
    """All records of the connection, once its end is among them for both ports."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        found = documents(lab)
        if {one["role"] for one in found if "end_time" in one} == {"client", "server"}:
            return found
        time.sleep(0.2)
    raise AssertionError(f"the session has no end: {documents(lab)}\n{lab.log('host1-agent')}")


@contextmanager
def collecting(lab: FlowLab) -> Iterator[subprocess.Popen[str]]:
    """A collector on the host that prints records of sessions, once the agent is connected."""
    words = ["-m", "agent.lab", "collector", "--listen", COLLECTOR, "--json"]
    wanted = ["SandeshCtrlClientToServer", "SessionEndpointObject"]
    collector = lab.popen("host1", "timeout", "100", sys.executable, *words, *wanted)
    try:
        assert "SandeshCtrlClientToServer" in next(told(collector))["message"]
        yield collector
    finally:
        collector.terminate()
        collector.wait()


def told(collector: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What the collector is told, from now on."""
    assert collector.stdout is not None
    for line in collector.stdout:
        if line.startswith("{"):
            yield json.loads(line)


def session_maps(message: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The services and sessions of a message to the collector, each with the port's side."""
    for endpoint in message["fields"]["session_data"]:
        for aggregate in endpoint["sess_agg_info"].values():
            for session in aggregate["sessionMap"].values():
                yield endpoint["is_client_session"], session


def transfer(lab: FlowLab) -> None:
    """red1 sends red2 SIZE bytes."""
    server = lab.popen("red2", sys.executable, "-c", _SERVER, str(PORT))
    assert server.stdout is not None
    assert server.stdout.readline().strip() == "listening"
    words = [RED2, str(PORT), str(SIZE)]
    answer = lab.run("red1", sys.executable, "-c", _CLIENT, *words).stdout
    assert int(answer) == SIZE
    assert server.wait(10) == 0


def test_a_transfer_is_one_session_with_its_bytes(lab: FlowLab) -> None:
    transfer(lab)
    found = ended(lab)
    assert len({one["session_id"] for one in found}) == 1
    for role, local, remote in (("client", RED1, RED2), ("server", RED2, RED1)):
        told = [one for one in found if one["role"] == role]
        [last] = [one for one in told if "end_time" in one]
        assert (last["local_ip"], last["remote_ip"], last["protocol"]) == (local, remote, 6)
        assert (last["action"], last["host"]) == ("pass", "host1")
        for way in ("forward", "reverse"):
            assert sum(one[f"{way}_bytes"] for one in told) == last[f"total_{way}_bytes"]
            assert sum(one[f"{way}_packets"] for one in told) == last[f"total_{way}_packets"]
        assert SIZE < last["total_forward_bytes"] < 1.1 * SIZE
        assert 0 < last["total_reverse_bytes"] < 0.1 * SIZE
        assert last["start_time"] < last["end_time"]


def test_a_collector_is_told_the_same(lab: FlowLab) -> None:
    with collecting(lab) as collector:
        transfer(lab)
        counted = dict.fromkeys(("0", "1"), 0)
        ends: dict[str, int] = {}
        for message in told(collector):
            for client, session in session_maps(message):
                forward = session["forward_flow_info"]
                if int(forward.get("teardown_bytes", 0)) > SIZE // 2:
                    ends[client] = int(forward["teardown_bytes"])
                counted[client] += int(forward["sampled_bytes"])
            if len(ends) == 2:
                break
    assert SIZE < ends["0"] == ends["1"] < 1.1 * SIZE
    assert all(count >= ends["1"] for count in counted.values())
