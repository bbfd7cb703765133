"""vrouter-port-control against a recording agent, and against none (facts rest-api.md 11, 18)."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.cli.port_control import Waits, main

U = "11111111-2222-3333-4444-555555555555"
M = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
N = "99999999-8888-7777-6666-555555555555"
P = "b02a3bfb-7946-4b1c-8cc4-bf8cedcbc48d"


@dataclass
class Recorder:
    """A stub agent: answers every request with `status`, keeps what it got."""

    port: int = 0
    status: int = 200
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the last request, without the members that differ from run to run."""
        members = json.loads(self.requests[-1][3])
        assert members.pop("author")
        assert members.pop("time")
        return members


@pytest.fixture
def agent() -> Iterator[Recorder]:
    recorder = Recorder()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            recorder.requests.append((self.command, self.path, dict(self.headers), body))
            reply = b"{}" if recorder.status == 200 else b'{"error":"{ no }"}'
            self.send_response(recorder.status)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        do_POST = do_PUT = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        recorder.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield recorder
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A TCP port on which nobody listens, kept from others while the test runs."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def nova_arguments(directory: Path, port: int, *more: str) -> list[str]:
    return [
        "--oper=add", f"--uuid={U}", f"--instance_uuid={M}", f"--vn_uuid={N}",
        f"--vm_project_uuid={P.replace('-', '')}", "--ip_address=10.1.1.3",
        "--ipv6_address=None", "--vm_name=web 01", "--mac=02:11:22:33:44:55",
        "--tap_name=tap11111111-22", "--port_type=NovaVMPort", "--vif_type=Vrouter",
        "--tx_vlan_id=-1", "--rx_vlan_id=-1",
        f"--agent_port={port}", f"--port_json_path={directory}/", *more,
    ]  # fmt: skip


def quoted_arguments(directory: Path, port: int, oper: str = "add", **values: str) -> list[str]:
    """A call as `contrail_vrouter_api` composes it: every value in double quotes."""
    defaults = {
        "instance_uuid": M, "vn_uuid": "", "vm_project_uuid": "", "ip_address": "0.0.0.0",
        "ipv6_address": "", "vm_name": "", "mac": "02:11:22:33:44:55", "tap_name": "tap1111",
        "port_type": "NameSpacePort", "vif_type": "Vrouter", "tx_vlan_id": "-1",
        "rx_vlan_id": "-1",
    }  # fmt: skip
    options = {"oper": oper, "uuid": U} | defaults | values
    return [
        *(f'--{name}="{value}"' for name, value in options.items()),
        f"--agent_port={port}",
        f"--port_json_path={directory}/",
    ]


NOVA_BODY = {
    "id": U, "instance-id": M, "ip-address": "10.1.1.3", "ip6-address": "None", "vn-id": N,
    "display-name": "web 01", "vm-project-id": P, "mac-address": "02:11:22:33:44:55",
    "system-name": "tap11111111-22", "type": 0, "rx-vlan-id": -1, "tx-vlan-id": -1,
    "vhostuser-mode": 0,
}  # fmt: skip
LIBRARY_BODY = {
    "id": U, "instance-id": M, "ip-address": "0.0.0.0", "ip6-address": "", "vn-id": "",
    "display-name": "", "vm-project-id": "", "mac-address": "02:11:22:33:44:55",
    "system-name": "tap1111", "type": 1, "rx-vlan-id": -1, "tx-vlan-id": -1,
    "vhostuser-mode": None,
}  # fmt: skip


def test_nova_call_sends_the_recorded_body_in_order(agent: Recorder, tmp_path: Path) -> None:
    assert main(nova_arguments(tmp_path, agent.port)) == 0
    method, path, headers, raw = agent.requests[-1]
    assert (method, path) == ("POST", "/port")
    assert headers["content-type"] == "application/json"
    assert list(agent.body.items()) == list(NOVA_BODY.items())
    assert (tmp_path / U).read_bytes() == raw
    assert b"\n" not in raw


def test_arguments_split_by_a_shell_are_joined_again(agent: Recorder, tmp_path: Path) -> None:
    arguments = " ".join(nova_arguments(tmp_path, agent.port)).split(" ")
    assert main(arguments) == 0
    assert agent.body == NOVA_BODY


def test_values_may_follow_their_option_as_words(agent: Recorder, tmp_path: Path) -> None:
    arguments = [argument.replace("=", " ", 1) for argument in nova_arguments(tmp_path, agent.port)]
    assert main([word for argument in arguments for word in argument.split(" ")]) == 0
    assert agent.body == NOVA_BODY


@pytest.mark.parametrize(
    ("values", "members"),
    [
        ({}, {}),
        (
            {
                "ip_address": "10.1.1.3", "vn_uuid": N, "vm_name": "my vm one",
                "vm_project_uuid": P.replace("-", ""), "port_type": "NovaVMPort",
                "ipv6_address": "fd00::3",
            },
            {
                "ip-address": "10.1.1.3", "vn-id": N, "display-name": "my vm one",
                "vm-project-id": P, "type": 0, "ip6-address": "fd00::3",
            },
        ),
        (
            {"port_type": "ESXiPort", "tx_vlan_id": "100", "rx_vlan_id": "101"},
            {"type": 2, "tx-vlan-id": 100, "rx-vlan-id": 101},
        ),
        ({"vm_project_uuid": P}, {"vm-project-id": ""}),
        ({"ipv6_address": "None"}, {"ip6-address": "None"}),
    ],
    ids=["plain", "full", "remote", "dashed-project", "none-address"],
)  # fmt: skip
def test_library_calls_in_quoted_mode(
    agent: Recorder, tmp_path: Path, values: dict[str, str], members: dict[str, Any]
) -> None:
    assert main(quoted_arguments(tmp_path, agent.port, **values)) == 0
    assert list(agent.body.items()) == list((LIBRARY_BODY | members).items())


def test_quoted_mode_drops_unquoted_defaults(agent: Recorder, tmp_path: Path) -> None:
    arguments = quoted_arguments(tmp_path, agent.port)
    assert main([word for word in arguments if "port_type" not in word]) == 1
    assert main([word for word in arguments if "vif_type" not in word]) == 1
    assert agent.requests == []


def test_absent_options_are_null(agent: Recorder, tmp_path: Path) -> None:
    arguments = ["--oper=add", f"--uuid={U}", "--mac=02:11:22:33:44:55"]
    agent.status = 500
    assert main([*arguments, f"--agent_port={agent.port}", f"--port_json_path={tmp_path}/"]) == 4
    assert agent.body == {
        "id": U, "instance-id": None, "ip-address": None, "ip6-address": None, "vn-id": None,
        "display-name": None, "vm-project-id": "", "mac-address": "02:11:22:33:44:55",
        "system-name": None, "type": 0, "rx-vlan-id": None, "tx-vlan-id": None,
        "vhostuser-mode": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("oper", "method", "path"),
    [
        ("delete", "DELETE", f"/port/{U}"),
        ("enable", "PUT", f"/enable-port/{U}"),
        ("disable", "PUT", f"/disable-port/{U}"),
    ],
)
def test_other_operations(
    agent: Recorder, tmp_path: Path, oper: str, method: str, path: str
) -> None:
    arguments = [f"--oper={oper}", f"--uuid={U}", "--tap_name=x", f"--agent_port={agent.port}"]
    arguments.append(f"--port_json_path={tmp_path}/")
    assert main(arguments) == 0
    assert agent.requests[-1][:2] == (method, path)
    assert agent.requests[-1][2]["Content-Length"] == "0"
    agent.status = 500
    assert main(arguments) == 1


def test_delete_removes_the_file(agent: Recorder, tmp_path: Path) -> None:
    main(nova_arguments(tmp_path, agent.port))
    assert (tmp_path / U).exists()
    main(
        [
            "--oper=delete",
            f"--uuid={U}",
            f"--agent_port={agent.port}",
            f"--port_json_path={tmp_path}/",
        ]
    )
    assert not (tmp_path / U).exists()


def test_enable_and_disable_keep_the_state_of_a_remote_port(
    agent: Recorder, tmp_path: Path
) -> None:
    common = [f"--uuid={U}", f"--agent_port={agent.port}", f"--port_json_path={tmp_path}/"]
    main(quoted_arguments(tmp_path, agent.port, port_type="ESXiPort"))
    main(["--oper=enable", *common])
    assert json.loads((tmp_path / U).read_text())["link-state"] == 1
    main(["--oper=disable", *common])
    assert "link-state" not in json.loads((tmp_path / U).read_text())


def test_enable_leaves_other_files_alone(agent: Recorder, tmp_path: Path) -> None:
    common = [f"--uuid={U}", f"--agent_port={agent.port}", f"--port_json_path={tmp_path}/"]
    for text in ("not json", "[]", '{"type": 0}'):
        (tmp_path / U).write_text(text)
        assert main(["--oper=enable", *common]) == 0
        assert (tmp_path / U).read_text() == text


def test_refused_add_keeps_the_file_and_says_why(
    agent: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.status = 500
    assert main(nova_arguments(tmp_path, agent.port)) == 4
    assert 'Request failed: {"error":"{ no }"}' in capsys.readouterr().out
    assert (tmp_path / U).exists()


@pytest.mark.parametrize("text", ["True", "False", "0"])
def test_any_text_of_no_persist_means_no_file(agent: Recorder, tmp_path: Path, text: str) -> None:
    assert main(nova_arguments(tmp_path, agent.port, f"--no_persist={text}")) == 0
    assert list(tmp_path.iterdir()) == []


def test_nobody_listens(
    closed_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [f"--uuid={U}", f"--agent_port={closed_port}", f"--port_json_path={tmp_path}/"]
    assert main(nova_arguments(tmp_path, closed_port)) == 0
    assert json.loads((tmp_path / U).read_text())["id"] == U
    for oper in ("enable", "disable", "delete"):
        assert main([f"--oper={oper}", *common]) == 0
        assert "connection error" in capsys.readouterr().out
    assert main(nova_arguments(tmp_path, closed_port, "--no_persist=1")) == 1
    assert main(nova_arguments(tmp_path / "absent", closed_port)) == 1


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_a_host_name_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert main([*nova_arguments(tmp_path, 1), f"--agent_host={host}"]) == 0
    assert f"connection error: agent on {host} port 1: " in capsys.readouterr().out


def test_unwritable_directory_is_no_failure_while_the_agent_answers(
    agent: Recorder, tmp_path: Path
) -> None:
    assert main(nova_arguments(tmp_path / "absent", agent.port)) == 0


def test_agent_that_closes_without_an_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert main(nova_arguments(tmp_path, listener.getsockname()[1])) == 4
        thread.join()


@pytest.mark.parametrize(
    "argument",
    [
        "--oper=plug",
        "--port_type=Other",
        "--vif_type=Other",
        "--tx_vlan_id=one",
        "--rx_vlan_id=1.5",
        "--vhostuser_mode=x",
        "--vif_type=VhostUser",
        "--uuid=../../etc/passwd",
        "--agent_host=no host",
    ],
)
def test_bad_values_exit_1_and_touch_nothing(
    agent: Recorder, tmp_path: Path, argument: str
) -> None:
    assert main(nova_arguments(tmp_path, agent.port, argument)) == 1
    assert agent.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--oper=add"],
        [f"--uuid={U}"],
        ["--oper=add", f"--uuid={U}", "--colour=red"],
        ["--oper=delete", f"--uuid={U}", "--agent_port=nine"],
        ["--oper=delete", f"--uuid={U}", "--agent_port=74627"],
    ],
)
def test_bad_options_exit_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_offload_options_are_accepted(agent: Recorder, tmp_path: Path) -> None:
    more = ["--vnic_type=direct", "--pci_dev=0000:03:00.1"]
    assert main(nova_arguments(tmp_path, agent.port, *more)) == 0
    assert agent.body == NOVA_BODY


class TestVhostUser:
    @staticmethod
    def arguments(tmp_path: Path, port: int, *more: str) -> list[str]:
        vhost = f"--vhostuser_socket={tmp_path}/uvh"
        return nova_arguments(tmp_path, port, "--vif_type=VhostUser", vhost, *more)

    @staticmethod
    def waits(tmp_path: Path) -> Waits:
        (tmp_path / "dpdk_netlink").touch()
        return Waits(0.05, 0.05, 0.05, str(tmp_path / "dpdk_netlink"))

    def test_agent_never_listens(self, closed_port: int, tmp_path: Path) -> None:
        assert main(self.arguments(tmp_path, closed_port), self.waits(tmp_path)) == 2

    def test_the_agent_is_awaited_where_it_is_said_to_be(
        self, agent: Recorder, tmp_path: Path
    ) -> None:
        (tmp_path / "uvh").touch()
        host = "--agent_host=127.0.0.2"
        assert main(self.arguments(tmp_path, agent.port, host), self.waits(tmp_path)) == 2

    def test_datapath_is_absent(self, agent: Recorder, tmp_path: Path) -> None:
        waits = Waits(0.05, 0.05, 0.05, str(tmp_path / "no-datapath"))
        assert main(self.arguments(tmp_path, agent.port), waits) == 3

    def test_socket_does_not_appear(self, agent: Recorder, tmp_path: Path) -> None:
        assert main(self.arguments(tmp_path, agent.port), self.waits(tmp_path)) == 6

    def test_socket_is_there(self, agent: Recorder, tmp_path: Path) -> None:
        (tmp_path / "uvh").touch()
        assert main(self.arguments(tmp_path, agent.port), self.waits(tmp_path)) == 0

    def test_server_mode_waits_for_no_socket(self, agent: Recorder, tmp_path: Path) -> None:
        arguments = self.arguments(tmp_path, agent.port, "--vhostuser_mode=1")
        assert main(arguments, self.waits(tmp_path)) == 0
        assert agent.body["vhostuser-mode"] == 1


def test_runs_as_a_program(closed_port: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent.cli.port_control"]
    done = subprocess.run(
        command + nova_arguments(tmp_path, closed_port), capture_output=True, timeout=30
    )
    assert done.returncode == 0
    assert b"connection error" in done.stdout
