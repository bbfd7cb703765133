"""The DaemonSets that are shipped: what they start, what they may, and how they are asked."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.daemon import check_config

FOLDER = Path(__file__).parents[3] / "deploy/kubernetes"
CONTAINERFILE = FOLDER.parent / "container/Containerfile"
OBJECTS: list[dict[str, Any]] = [
    found
    for path in sorted(FOLDER.glob("*.yaml"))
    for found in yaml.safe_load_all(path.read_text())
]
DAEMON_SETS = {
    found["metadata"]["name"]: found["spec"] for found in OBJECTS if found["kind"] == "DaemonSet"
}
MODULES = {"vrouter-agent": "agent.__main__", "vrouter-forwarder": "agent.forwarder.__main__"}


def container(name: str) -> dict[str, Any]:
    (found,) = DAEMON_SETS[name]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("name", MODULES)
def test_pods_are_found_and_start_a_command_with_options_that_it_has(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = DAEMON_SETS[name]
    labels = spec["template"]["metadata"]["labels"].items()
    assert spec["selector"]["matchLabels"].items() <= labels
    command = container(name)["command"]
    assert command[0] == name
    with pytest.raises(SystemExit):
        importlib.import_module(MODULES[name]).main(["--help"])
    known = capsys.readouterr().out
    assert all(option.partition("=")[0] in known for option in command[1:])


@pytest.mark.parametrize("name", MODULES)
def test_pods_get_the_network_of_the_node_and_two_capabilities(name: str) -> None:
    pod = DAEMON_SETS[name]["template"]["spec"]
    assert pod["hostNetwork"] is True
    assert pod["tolerations"] == [{"operator": "Exists"}]
    security = container(name)["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    mounted = {mount["name"] for mount in container(name)["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_probes_ask_what_the_agent_answers() -> None:
    agent = container("vrouter-agent")
    asked = {name: agent[name]["httpGet"] for name in agent if name.endswith("Probe")}
    where = {"host": "127.0.0.1", "port": 8085}
    assert asked == {
        "startupProbe": {**where, "path": "/healthz"},
        "livenessProbe": {**where, "path": "/healthz"},
        "readinessProbe": {**where, "path": "/readyz"},
    }


def test_nothing_is_wrong_with_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (configuration,) = (found["data"] for found in OBJECTS if found["kind"] == "ConfigMap")
    ((name, text),) = configuration.items()
    assert f"--config=/etc/contrail/{name}" in container("vrouter-agent")["command"]
    (tmp_path / name).write_text(text)
    for variable in container("vrouter-agent")["env"]:
        value = variable.get("value", "192.0.2.21").replace("$(NODE_ADDRESS)", "192.0.2.21")
        monkeypatch.setenv(variable["name"], value)
    assert check_config.main([str(tmp_path / name)]) == check_config.OK, capsys.readouterr().out


def test_the_image_is_built_of_what_is_there() -> None:
    root = FOLDER.parents[1]
    text = CONTAINERFILE.read_text()
    for name in ("requirements/build.txt", "requirements/run.txt"):
        assert name in text
        assert (root / name).is_file()
    assert '"--config", "/etc/contrail/contrail-vrouter-agent.conf"' in text
