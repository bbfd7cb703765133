"""The port API over real sockets: recorded clients, documented commands, files, any input."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.inputs import PluggedPort, SimpleGateway
from agent.io import portfiles
from agent.rest import Change
from tests.fake.rest_server import RestServer, rest_server
from tests.system.rest_scene import PORT, M, N, U, server

__all__ = ["server"]  # the fixture

# Clients


RECORDED: dict[str, dict[str, Any]] = {
    "library-plain": {
        "ip-address": "0.0.0.0", "ip6-address": "", "vn-id": "", "display-name": "",
        "vm-project-id": "", "type": 1, "vhostuser-mode": None,
    },
    "library-full": {"ip6-address": "fd00::3", "display-name": "my vm one"},
    "library-remote": {"type": 2, "rx-vlan-id": 101, "tx-vlan-id": 100, "vhostuser-mode": None},
    "library-lost-project": {"vm-project-id": "", "vhostuser-mode": None},
    "library-none-address": {"ip6-address": "None", "vhostuser-mode": None},
    "nova": {},
    "integration-tests": {"ip6-address": "", "rx-vlan-id": 0, "tx-vlan-id": 0},
    "netns": {
        "ip-address": "10.2.0.4", "display-name": f"NetNS-{M}-int-11111111-2-interface",
        "ip6-address": "", "system-name": "veth11111111-2", "vn-id": "", "vm-project-id": "",
        "type": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("client", RECORDED)
def test_recorded_clients(server: RestServer, client: str) -> None:
    """The requests of facts rest-api.md 18, with the library that those clients use."""
    url = f"http://localhost:{server.port}"
    record = PORT | RECORDED[client]
    if client == "netns":
        del record["vhostuser-mode"]
    headers = {"content-type": "application/json"}
    added = requests.post(f"{url}/port", json.dumps(record), headers=headers, timeout=20)
    assert (added.status_code, added.json()) == (200, {})
    (change,) = server.told
    assert isinstance(change.after, PluggedPort)
    assert str(change.after.uuid) == U
    assert change.after.system_name == record["system-name"]
    assert server.stored(U)["display-name"] == record["display-name"]
    for verb in ("enable", "disable"):
        answer = requests.put(f"{url}/{verb}-port/{U}", headers=headers, timeout=20)
        assert answer.status_code == (200 if record["type"] == 2 else 500)
    deleted = requests.delete(f"{url}/port/{U}", headers=headers, timeout=20)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert server.told[-1].after is None
    assert not (server.directory / U).exists()


def test_request_without_the_needed_members(server: RestServer) -> None:
    answer = server.request("POST", "/port", PORT | {"instance-id": None})
    assert answer.status == 500
    assert answer.text == '{"error":"{ Invalid or missing data for <instance-id> }"}'


def test_gateway_provisioning(server: RestServer) -> None:
    subnets, routes = ([{"ip-address": ip, "prefix-len": 24}] for ip in ("1.2.3.0", "8.8.8.0"))
    gateway = {"interface": "vgw1", "routing-instance": "vrf", "subnets": subnets, "routes": routes}
    assert server.request("POST", "/gateway", [gateway]).status == 200
    assert server.request("DELETE", "/gateway", [{"interface": "vgw1"}]).status == 200
    added, removed = server.told
    assert isinstance(added.after, SimpleGateway)
    assert removed == Change(added.after, None)
    answer = server.request("DELETE", "/gateway", [{}])
    assert answer.json["error"].startswith("{Json string does not have all required members, inter")


# The commands of the two documents, with only host and port changed.


DOCUMENTED_ADD = """
curl -X POST -H "Content-Type: application/json" -d '
{
    "id": "6eaf76b9-8b14-467d-a6ca-df39b3b0b54b",
    "type": 2,
    "instance-id": "707b51cf-a656-4f14-9b15-b583e809e5ad",
    "ip-address": "15.0.0.8",
    "display-name": "mc1",
    "plen": 24,
    "ip6-address": "::",
    "vn-id": "00a24d18-7ae7-4cd6-adc1-67005b13cdaf",
    "vm-project-id": "00000000-0000-0000-0000-000000000000",
    "mac-address": "32:6b:ea:7f:9a:24",
    "system-name": "enp2s0",
    "rx-vlan-id": -1,
    "tx-vlan-id": -1,
    "vhostuser-mode": 0,
    "dns-server": "15.0.0.2",
    "gateway": "15.0.0.1",
    "author": "/usr/bin/contrail-vrouter-agent",
    "time": ""
}'  http://192.168.6.240:9091/port
"""
DOCUMENTED_DELETE = (
    "curl -X DELETE http://192.168.6.240:9091/port/6eaf76b9-8b14-467d-a6ca-df39b3b0b54b"
)
DOCUMENTED_GET = "curl -X GET http://192.168.6.240:9091/port/6eaf76b9-8b14-467d-a6ca-df39b3b0b54b"
DOCUMENTED_TOOL_ADD = (
    "vrouter-port-control --oper=add --vm_project_uuid=0281c3a7df464eb28130c88beaedf5d7 "
    " --instance_uuid=a2a2b0f3-890b-496f-8cbd-05bbd979c689  --vm_name=mc1  "
    " --uuid=a77fd887-a523-47ea-b149-aeffe524a0e7  "
    " --vn_uuid=e12140ca-cdb7-4759-b3d7-8e5f867f1b15  --port_type=NovaVMPort "
    " --tap_name=enp132s0 --mac=02:a7:7f:d8:87:a5 --ip_address=15.0.0.3   --ipv6_address=  "
    " --tx_vlan_id=-1  --rx_vlan_id=-1"
)
DOCUMENTED_TOOL_DELETE = (
    "vrouter-port-control --oper=delete --uuid=a77fd887-a523-47ea-b149-aeffe524a0e7"
)


def curl(server: RestServer, command: str) -> str:
    if not any(os.access(f"{path}/curl", os.X_OK) for path in os.get_exec_path()):
        pytest.skip("curl is not installed")
    moved = command.replace("192.168.6.240:9091", f"127.0.0.1:{server.port}")
    words = ["curl", "-sS", "--noproxy", "*", *shlex.split(moved)[1:]]
    return subprocess.run(words, capture_output=True, check=True, text=True, timeout=30).stdout


def port_control(server: RestServer, command: str) -> int:
    tool = [sys.executable, "-m", "agent.cli.port_control"]
    words = [f"--agent_port={server.port}", f"--port_json_path={server.directory}/"]
    return subprocess.run([*tool, *shlex.split(command)[1:], *words], timeout=30).returncode


def test_documented_curl_commands(server: RestServer) -> None:
    uuid = "6eaf76b9-8b14-467d-a6ca-df39b3b0b54b"
    assert curl(server, DOCUMENTED_ADD) == "{}"
    (change,) = server.told
    assert isinstance(change.after, PluggedPort)
    assert str(change.after.mac) == "32:6b:ea:7f:9a:24"
    assert json.loads(curl(server, DOCUMENTED_GET)) == {"error": "{ Not Found }"}
    server.view.config = {
        "vn": {
            "uuid": "00a24d18-7ae7-4cd6-adc1-67005b13cdaf",
            "fq_name": "default-domain:demo:vn1",
            "ipam": [{"subnet": "15.0.0.0/24", "gateway": "15.0.0.1", "dns": "15.0.0.2"}],
        },
        "vm": {"uuid": "707b51cf-a656-4f14-9b15-b583e809e5ad", "name": "mc1"},
        "vmi": {
            "uuid": uuid,
            "vm": "707b51cf-a656-4f14-9b15-b583e809e5ad",
            "mac": "32:6b:ea:7f:9a:24",
            "instance_ip": "15.0.0.8",
        },
    }
    text = curl(server, DOCUMENTED_GET)
    assert text.startswith(
        '{\n    "id": "6eaf76b9-8b14-467d-a6ca-df39b3b0b54b",\n    "instance-id"'
    )
    answer = json.loads(text)
    assert list(answer) == [
        "id", "instance-id", "vn-id", "vm-project-id", "mac-address", "system-name",
        "rx-vlan-id", "tx-vlan-id", "vhostuser-mode", "ip-address", "plen", "dns-server",
        "gateway", "author", "time",
    ]  # fmt: skip
    assert (answer["plen"], answer["dns-server"], answer["gateway"]) == (24, "15.0.0.2", "15.0.0.1")
    assert curl(server, DOCUMENTED_DELETE) == "{}"
    assert server.told[-1] == Change(change.after, None)


def test_documented_tool_commands(server: RestServer) -> None:
    uuid = "a77fd887-a523-47ea-b149-aeffe524a0e7"
    assert port_control(server, DOCUMENTED_TOOL_ADD) == 0
    (change,) = server.told
    assert isinstance(change.after, PluggedPort)
    assert str(change.after.project_uuid) == "0281c3a7-df46-4eb2-8130-c88beaedf5d7"
    assert server.stored(uuid)["ip-address"] == "15.0.0.3"
    assert port_control(server, DOCUMENTED_TOOL_DELETE) == 0
    assert server.told[-1] == Change(change.after, None)
    assert not (server.directory / uuid).exists()


def test_tool_reports_refusals(server: RestServer) -> None:
    uuid = "a77fd887-a523-47ea-b149-aeffe524a0e7"
    assert port_control(server, f"x --oper=add --uuid={uuid} --no_persist=1") == 4
    assert port_control(server, f"x --oper=enable --uuid={uuid}") == 1
    assert port_control(server, f"x --oper=delete --uuid={uuid}") == 0
    assert server.told == []


def test_tool_enables_a_remote_port(server: RestServer) -> None:
    server.request("POST", "/port", PORT | {"type": 2})
    for verb, state in (("enable", 1), ("disable", 0)):
        assert port_control(server, f"x --oper={verb} --uuid={U}") == 0
        assert server.stored(U)["link-state"] == state
        change = server.told[-1].after
        assert isinstance(change, PluggedPort)
        assert change.link_state is bool(state)


# Files and restarts


def test_ports_survive_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "ports"
    with rest_server(directory) as server:
        assert server.request("POST", "/port", PORT | {"system-name": "lo"}).status == 200
        remote = PORT | {"id": U.replace("1", "2"), "type": 2, "link-state": 1}
        assert server.request("POST", "/port", remote).status == 200
        gone = PORT | {"id": U.replace("1", "3"), "system-name": "no-such-if0"}
        assert server.request("POST", "/port", gone).status == 200
        container = {
            "vm-uuid": M, "vm-name": "pod", "host-ifname": "lo", "vn-uuid": N, "vmi-uuid": U,
        }  # fmt: skip
        assert server.request("POST", "/vm", container).status == 200
        before = server.on_loop(server.api.store.ports)
    (directory / "backup.json").write_text("not a port's name")
    (directory / ("44444444" + U[8:])).write_text("{}")
    files = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    with rest_server(directory) as server:
        assert server.on_loop(server.api.store.ports) == [before[0], before[1], before[3]]
        assert server.api.store.counters.skipped_files == 2
        assert server.request("PUT", f"/disable-port/{remote['id']}").status == 200
        files[directory / str(remote["id"])] = (directory / str(remote["id"])).read_bytes()
        assert {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()} == files
        assert server.request("DELETE", f"/vm/{M}").status == 200
        assert not (directory / "vm" / "pod").exists()
    with rest_server(directory, check_interfaces=False) as server:
        ports = server.on_loop(server.api.store.ports)
        assert [str(port.uuid)[:8] for port in ports if isinstance(port, PluggedPort)] == [
            "11111111", "22222222", "33333333",
        ]  # fmt: skip


def test_odd_things_in_the_directory_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "vm" / "pod" / U).mkdir(parents=True)
    (tmp_path / "vm" / "file").touch()
    os.mkfifo(tmp_path / U)
    (tmp_path / U.replace("1", "2")).symlink_to("/dev/zero")
    (tmp_path / U.replace("1", "3")).write_bytes(b"\0" * (3 << 20))
    (tmp_path / "00000000-0000-0000-0000-000000000000").write_text(json.dumps(PORT))
    with rest_server(tmp_path) as server:
        assert server.on_loop(server.api.store.ports) == []
        assert server.api.store.counters.skipped_files == 1


def test_a_port_whose_file_cannot_be_written_still_works(server: RestServer) -> None:
    (server.directory / U).mkdir()
    (server.directory / U / "in-the-way").touch()
    assert server.request("POST", "/port", PORT).status == 200
    assert len(server.told) == 1
    assert (server.meter.failures, server.meter.waiting) == (1, 1)
    assert server.meter.reason == f"{server.directory}/{U}: Is a directory"
    assert sorted(path.name for path in server.directory.iterdir()) == [U, "vm"]
    assert server.request("DELETE", f"/port/{U}").status == 200


def test_a_file_that_could_not_be_written_is_so_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portfiles, "_RETRY", 0.01)
    with rest_server(tmp_path) as server:
        (tmp_path / U).mkdir()
        assert server.request("POST", "/port", PORT).status == 200
        assert server.meter.waiting == 1
        (tmp_path / U).rmdir()
        deadline = time.monotonic() + 10
        while server.meter.waiting:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert server.stored(U)["system-name"] == PORT["system-name"]


def test_the_end_writes_what_could_not_be_written(tmp_path: Path) -> None:
    with rest_server(tmp_path) as server:
        (tmp_path / U).mkdir()
        assert server.request("POST", "/port", PORT).status == 200
        (tmp_path / U).rmdir()
    assert server.stored(U)["system-name"] == PORT["system-name"]


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=r"port directory .*/file/ports: Not a directory"),
        rest_server(tmp_path / "file" / "ports"),
    ):
        pass


def test_deletes_and_adds_keep_their_order_on_disk(server: RestServer) -> None:
    """Many clients at once on one port: the file tells what the store has."""

    def client(number: int) -> None:
        for _ in range(10):
            server.request("POST", "/port", PORT | {"display-name": str(number)})
            server.request("DELETE", f"/port/{U}")
            server.request("POST", "/port", PORT | {"display-name": str(number)})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    port = server.on_loop(lambda: server.api.store.port(UUID(U)))
    assert port is not None
    assert server.stored(U)["display-name"] == port.display_name


# Any input


NAMES = st.sampled_from(list(PORT)) | st.text(max_size=8)
VALUES = st.sampled_from([*PORT.values(), "", "x", U, 2, -1, 2**40]) | st.text() | st.none()
BODIES = st.binary(max_size=300) | st.one_of(
    st.dictionaries(NAMES, VALUES, max_size=14).map(lambda members: PORT | members),
    st.lists(st.dictionaries(NAMES, VALUES, max_size=14), max_size=3),
    st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)),
).map(lambda value: json.dumps(value).encode())
ROUTES = st.sampled_from(
    [("POST", "/port"), ("POST", "/vm"), ("POST", "/gateway"), ("DELETE", "/gateway"),
     ("POST", "/syncports"), ("DELETE", f"/port/{U}"), ("PUT", f"/enable-port/{U}"),
     ("GET", f"/port/{U}"), ("DELETE", f"/vm/{M}"), ("GET", f"/vm/{M}"), ("GET", "/vm-cfg/x")]
)  # fmt: skip


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(route=ROUTES, body=BODIES)
def test_any_body_gets_a_documented_answer(
    server: RestServer, route: tuple[str, str], body: bytes
) -> None:
    answer = server.request(*route, raw=body)
    assert answer.status in (200, 404, 500)
    if answer.status != 200:
        assert answer.json.keys() == {"error"}
        assert answer.json["error"] != "{ Internal error }"
    outside = [path.name for path in server.directory.parent.iterdir()]
    assert outside == ["ports"]
