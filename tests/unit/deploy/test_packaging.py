"""What packages are made from agrees with pyproject.toml, and their scripts do what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from agent import __version__

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = re.compile(r"^(\S+)==(\S+?)(?: ; .*?)? \\\n    --hash=sha256:[0-9a-f]{64}", re.M)


def pinned(name: str) -> dict[str, str]:
    """Versions by name of one file of requirements; all that have a hash."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    versions = {canonicalize_name(package): version for package, version in PINNED.findall(text)}
    assert len(versions) == sum("==" in line for line in text.splitlines())
    return versions


@pytest.mark.parametrize(
    ("name", "ranges"),
    [
        ("build", PROJECT["build-system"]["requires"]),
        ("run", PROJECT["project"]["dependencies"]),
        ("packaging", PROJECT["dependency-groups"]["packaging"]),
    ],
)
def test_what_is_pinned_is_what_is_needed(name: str, ranges: list[str]) -> None:
    versions = pinned(name)
    for words in ranges:
        requirement = Requirement(words)
        version = versions.get(canonicalize_name(requirement.name))
        assert version, f"{words}: not in requirements/{name}.txt; run make requirements"
        assert requirement.specifier.contains(version), f"{words}: {version} is pinned"


def test_every_command_is_tried() -> None:
    commands = re.search(r"for tool in (.*?); do", (ROOT / "tools/smoke").read_text(), re.S)
    assert commands
    assert set(commands[1].replace("\\\n", " ").split()) == set(PROJECT["project"]["scripts"])


def test_the_debian_package_has_this_version() -> None:
    first = (ROOT / "debian/changelog").read_text().partition("\n")[0]
    assert first.startswith(f"vrouter-agent ({__version__}) ")


def test_a_moved_environment_starts_its_own_python(tmp_path: Path) -> None:
    venv = tmp_path / "built"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"home = /usr/bin\ncommand = python -m venv {venv}\n")
    (venv / "bin/python3").symlink_to(sys.executable)
    (venv / "bin/vif").write_text(f"#!{venv}/bin/python3\nprint('a command')\n")
    (venv / "bin/shell").write_text("#!/bin/sh\n")
    relocate = ROOT / "tools/relocate-venv"
    subprocess.run([sys.executable, relocate, venv, "/usr/lib/vrouter-agent"], check=True)
    assert (venv / "bin/vif").read_text() == (
        "#!/usr/lib/vrouter-agent/bin/python3\nprint('a command')\n"
    )
    assert (venv / "bin/shell").read_text() == "#!/bin/sh\n"
    assert (venv / "bin/python3").readlink() == Path(sys.executable)
    assert (venv / "pyvenv.cfg").read_text() == "home = /usr/bin\n"


@pytest.mark.parametrize(("works", "expected"), [("true", "podman\n"), ("false", "")])
def test_only_an_engine_that_works_is_used(tmp_path: Path, works: str, expected: str) -> None:
    for name, status in (("docker", "false"), ("podman", works)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{status}\n")
        (tmp_path / name).chmod(0o755)
    shell = shutil.which("sh")
    assert shell
    done = subprocess.run(
        [shell, ROOT / "tools/container-engine"],
        env=os.environ | {"PATH": f"{tmp_path}:{Path(shell).parent}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == expected
    assert done.returncode == (0 if expected else 1)
    assert ("docker or podman" in done.stderr) == (not expected)


def test_port_control_is_one_file_that_needs_only_python(tmp_path: Path) -> None:
    made = tmp_path / "vrouter-port-control"
    subprocess.run([sys.executable, ROOT / "tools/port-control", made], check=True)
    assert made.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    assert made.stat().st_mode & 0o111 == 0o111
    words = [sys.executable, "-I", "-S", made, "--oper=add", "--uuid=U", "--port_type=other"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, "the command's exit codes are the file's"
    assert "other" in done.stdout + done.stderr
