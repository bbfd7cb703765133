"""Privileges that a process gives up, as the kernel tells of them; each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.io.privileges import NAMES, number

ROOT = Path(__file__).parents[3]
NET = 1 << NAMES.index("NET_ADMIN") | 1 << NAMES.index("NET_RAW")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs privileges to give up")

DROP = """
import json, sys
from agent.errors import AgentError
from agent.io.privileges import drop
try:
    missing = drop(sys.argv[2].split(), sys.argv[1])
except AgentError as error:
    sys.exit(f"{type(error).__name__}: {error}")
lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"missing": missing} | {name: text.split() for name, text in lines.items()}))
"""


def run(script: str, keep: str, user: str = "") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", script, user, keep]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def dropped(keep: str, user: str = "") -> dict[str, list[str]]:
    """What /proc tells of a process that has dropped the others."""
    done = run(DROP, keep, user)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def sets(found: dict[str, list[str]]) -> dict[str, int]:
    return {name: int(found[f"Cap{name}"][0], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}


@as_root
def test_root_keeps_what_it_was_told_and_nothing_comes_back() -> None:
    found = dropped("NET_ADMIN CAP_NET_RAW")
    assert sets(found) == {"Inh": 0, "Prm": NET, "Eff": NET, "Bnd": NET, "Amb": 0}
    assert found["NoNewPrivs"] == ["1"]
    assert found["missing"] == []
    assert found["Uid"] == ["0"] * 4


@as_root
def test_another_user_keeps_the_same() -> None:
    found = dropped("NET_ADMIN NET_RAW DAC_READ_SEARCH", "nobody")
    kept = NET | 1 << NAMES.index("DAC_READ_SEARCH")
    assert sets(found) == {"Inh": 0, "Prm": kept, "Eff": kept, "Bnd": kept, "Amb": 0}
    assert len(set(found["Uid"])) == 1
    assert found["Uid"] != ["0"] * 4
    assert "0" not in found["Gid"] + found["Groups"]


@as_root
def test_who_has_nothing_goes_on_without_and_only_root_can_be_another_user() -> None:
    """The process that has dropped once tries again."""
    again = DROP.replace("    missing =", "    drop(['DAC_READ_SEARCH'], 'nobody')\n    missing =")
    done = run(again, "NET_RAW NET_ADMIN")
    found = json.loads(done.stdout)
    assert found["missing"] == ["NET_ADMIN", "NET_RAW"]
    assert sets(found)["Eff"] == 0
    done = run(again, "NET_RAW", "root")
    assert "ConfigError: [DEFAULT] user = root: cannot change to it from user" in done.stderr


def test_wrong_names_are_told() -> None:
    with pytest.raises(ConfigError, match=r"NET_ALL is no capability; see capabilities\(7\)"):
        number("NET_ALL")
    done = run(DROP, "NET_RAW", "nobody-at-all")
    assert "ConfigError: [DEFAULT] user = nobody-at-all: there is no such user" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_the_numbers_are_the_kernels() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert number("cap_chown") == 0
    assert number("CAP_NET_ADMIN") == 12
    assert number("net_raw") == 13
    assert last >= number("CHECKPOINT_RESTORE") == 40
