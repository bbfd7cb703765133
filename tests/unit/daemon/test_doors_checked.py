"""check-config looks at the HTTP ports as an agent that starts does."""

from __future__ import annotations

from pathlib import Path

from agent.daemon.check_config import check
from agent.settings import Severity

FABRIC = "[CONTROL-NODE]\nservers = 10.0.0.1\n[VIRTUAL-HOST-INTERFACE]\nphysical_interface = eth0\n"


def told(path: Path, text: str) -> list[str]:
    path.write_text(f"{FABRIC}[DEFAULT]\n{text}\n")
    return [one.problem for one in check(path) if one.severity is Severity.ERROR]


def test_ports_that_let_everybody_in_are_found(tmp_path: Path) -> None:
    file = tmp_path / "agent.conf"
    assert told(file, "") == []
    (problem,) = told(file, "rest_ip = 0.0.0.0")
    assert "[DEFAULT] rest_ip = 0.0.0.0: port API would be open to the network" in problem
    (problem,) = told(file, "http_server_ip = ::")
    assert "[DEFAULT] http_server_ip = ::: introspect would be open to the network" in problem
    assert told(file, "rest_ip = 0.0.0.0\nhttp_server_ip = ::\nhttp_insecure = yes") == []


def test_a_token_that_others_know_is_found_and_not_shown(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    token.chmod(0o644)
    (problem,) = told(tmp_path / "agent.conf", f"rest_token_file = {token}")
    assert "chmod 600" in problem
    assert "0123456789abcdef" not in problem
