"""The library that nova's plug-in calls, over the real command (facts rest-api.md 12)."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent.io.doors import Door
from contrail_vrouter_api import ContrailVRouterApi, vrouter_api
from tests.fake.rest_server import rest_server

ROOT = Path(__file__).parents[3]
U = "11111111-2222-3333-4444-555555555555"
M = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
N = "99999999-8888-7777-6666-555555555555"
P = "b02a3bfb-7946-4b1c-8cc4-bf8cedcbc48d"

COMMAND = """#!{python}
import sys
sys.path.insert(0, {root!r})
from agent.cli.port_control import main
sys.exit(main([*sys.argv[1:], "--agent_port={port}", "--port_json_path={ports}/"]))
"""


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the command in PATH stores ports; no agent runs. Not made: then commands fail."""
    folder = tmp_path / "ports"
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        install(tmp_path / "bin", holder.getsockname()[1], folder)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        yield folder


def install(folder: Path, port: int, ports: Path) -> None:
    """The command, for an agent on that port."""
    command = folder / "vrouter-port-control"
    folder.mkdir(exist_ok=True)
    command.write_text(
        COMMAND.format(python=sys.executable, root=str(ROOT), port=port, ports=ports)
    )
    command.chmod(0o755)


def stored(ports: Path) -> dict[str, Any]:
    members: dict[str, Any] = json.loads((ports / U).read_text())
    return {name: members[name] for name in members if name not in ("author", "time")}


def test_a_port_is_stored_as_the_command_does(ports: Path) -> None:
    ports.mkdir()
    api = ContrailVRouterApi(9090, doconnect=True)
    assert api.add_port(
        M, U, "tap11111111-22", "02:11:22:33:44:55", ip_address="10.1.1.3", vn_id=N,
        display_name='web --oper="delete" 01', vm_project_id=P, port_type=0, vlan=7,
        owner="ignored",
    )  # fmt: skip
    assert stored(ports) == {
        "id": U, "instance-id": M, "ip-address": "10.1.1.3", "ip6-address": "", "vn-id": N,
        "display-name": "web --oper='delete' 01", "vm-project-id": P,
        "mac-address": "02:11:22:33:44:55", "system-name": "tap11111111-22", "type": 0,
        "rx-vlan-id": -1, "tx-vlan-id": 7, "vhostuser-mode": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "sent"),
    [({}, 1), ({"port_type": 2}, 2), ({"port_type": "NovaVMPort"}, 0), ({"port_type": "other"}, 1)],
)
def test_kinds_of_ports(ports: Path, given: dict[str, Any], sent: int) -> None:
    ports.mkdir()
    assert ContrailVRouterApi().add_port(M, U, "tap1", "02:11:22:33:44:55", **given)
    assert stored(ports)["type"] == sent
    assert stored(ports)["ip-address"] == "0.0.0.0"


def test_what_failed_is_plugged_later(ports: Path) -> None:
    api = ContrailVRouterApi()
    assert not api.add_port(M, U, "tap1", "02:11:22:33:44:55")
    api.periodic_connection_check()
    ports.mkdir()
    assert not (ports / U).exists()
    api.periodic_connection_check()
    assert stored(ports)["system-name"] == "tap1"
    (ports / U).unlink()
    api.periodic_connection_check()
    assert not (ports / U).exists()  # once is enough


def test_a_port_that_was_never_plugged_is_forgotten(ports: Path) -> None:
    api = ContrailVRouterApi()
    assert not api.add_port(M, U, "tap1", "02:11:22:33:44:55")
    api.delete_port(U)
    ports.mkdir()
    api.periodic_connection_check()
    assert not (ports / U).exists()


def test_a_port_that_the_agent_refused_leaves_no_file(ports: Path, tmp_path: Path) -> None:
    """The command keeps the file of a port that is refused; the next agent would plug it."""
    ports.mkdir()
    with rest_server(tmp_path / "agent", door=Door(token=b"0123456789abcdef")) as server:
        install(tmp_path / "bin", server.port, ports)
        api = ContrailVRouterApi()
        assert not api.add_port(M, U, "tap1", "02:11:22:33:44:55", vn_id=N)
        assert (ports / U).exists()
        api.delete_port(U)
        assert not (ports / U).exists()
        api.periodic_connection_check()
        assert not (ports / U).exists()


def test_as_nova_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many threads plug and unplug, and look every few seconds; the agent has just the ports."""
    with rest_server(tmp_path / "ports") as server:
        install(tmp_path / "bin", server.port, tmp_path / "ports")
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        api = ContrailVRouterApi(doconnect=True, semaphore=threading.Semaphore())
        vifs = [f"{at:08x}{U[8:]}" for at in range(1, 5)]

        def plug(at: int) -> bool:
            vif = vifs[at]
            return api.add_port(
                M, vif, f"tap{at}", "02:11:22:33:44:55", ip_address=f"10.1.1.{at}", vn_id=N,
                display_name=f"web {at}", vm_project_id=P, port_type="NovaVMPort",
            )  # fmt: skip

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(plug, range(4)))
        api.periodic_connection_check()
        api.delete_port(vifs[0])
        plugged = server.on_loop(server.api.store.ports)
        assert {(str(port.uuid), port.display_name, port.port_type) for port in plugged} == {
            (vif, f"web {at}", 0) for at, vif in enumerate(vifs) if at
        }


def test_an_agent_that_does_not_answer_holds_nobody_up_for_each_port(
    ports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = ContrailVRouterApi()
    vifs = [f"{at:08x}{U[8:]}" for at in range(1, 4)]
    for vif in vifs:
        assert not api.add_port(M, vif, "tap1", "02:11:22:33:44:55")
    ports.mkdir()
    monkeypatch.setattr(vrouter_api, "_PATIENCE", -1.0)
    assert api.add_port(M, U, "tap1", "02:11:22:33:44:55"), "its own is always tried"
    assert [path.name for path in ports.iterdir()] == [U]


def test_delete_and_the_state_of_the_link(ports: Path) -> None:
    ports.mkdir()
    api = ContrailVRouterApi()
    assert api.add_port(M, U, "tap1", "02:11:22:33:44:55", port_type=2)
    assert api.enable_port(U)
    assert stored(ports)["link-state"] == 1
    assert api.disable_port(U)
    assert "link-state" not in stored(ports)
    api.delete_port(U)
    assert not (ports / U).exists()


def test_without_the_command_nothing_is_plugged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert not ContrailVRouterApi().add_port(M, U, "tap1", "02:11:22:33:44:55")
