"""`vrouter-agent status` of a real agent: well, without its datapath, stopped, and gone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli.status import DEGRADED, DOWN, OK
from tests.system.conftest import Completed, Sandbox
from tests.system.controlled import HOST, Site, until


class Watched(Site):
    """A site whose agent is asked how it is."""

    def command(self, *words: str) -> Completed:
        """A command of the agent, where it runs."""
        argv = (sys.executable, "-m", "agent", *words)
        return self.box.run(*argv, netns=HOST, check=False)

    def status(self) -> tuple[int, dict[str, Any]]:
        """Exit code and record."""
        words = ("status", "--json", "--timeout", "1", "--run-dir", str(self.run_dir))
        done = self.command(*words)
        return done.returncode, json.loads(done.stdout)

    def becomes(self, code: int, words: str = "") -> dict[str, Any]:
        """Wait until the exit code is this one, and the reason has these words."""
        found: list[tuple[int, dict[str, Any]]] = []

        def is_so() -> bool:
            found[:] = [self.status()]
            return found[0][0] == code and words in str(found[0][1]["reason"])

        until(is_so, lambda: f"{code} {words}: {found}", limit=30.0)
        return found[0][1]


@pytest.fixture
def site(sandbox: Sandbox, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(sandbox, tmp_path)
    try:
        made.up()
        yield made
    finally:
        made.close()


def test_what_status_says_of_an_agent(site: Watched) -> None:
    record = site.becomes(OK)
    assert record["ready"] is True
    parts = {part["part"] for part in record["parts"]}
    assert {"configuration", "controller", "datapath", "flows", "interfaces", "loop"} <= parts

    site.controllers[0].process.kill()
    record = site.becomes(DEGRADED, "controller ")
    assert record["state"] == "degraded"

    site.forwarder.kill()
    record = site.becomes(DOWN, "datapath: the datapath closed the connection")
    assert (record["state"], record["ready"]) == ("down", False)
    site.forwarder.start()
    site.controllers[0].start()
    site.becomes(OK)

    mark = site.agent.mark()
    site.agent.signal("STOP")
    record = site.becomes(DOWN, "stands still (stopped by a signal)")
    assert record["heartbeat_age"] >= 5.0
    assert f"stacks in {site.run_dir / 'stacks.log'}" in record["reason"]
    site.agent.signal("CONT")
    site.becomes(DEGRADED, "loop: stood still for ")
    site.agent.says('event="the loop stood still"', mark)

    done = site.command("log-level", "xmpp", "SYS_DEBUG")
    assert "agent.xmpp: SYS_DEBUG" in done.stdout
    done = site.command("trace", "--prefix", "10.1.1.8/32", "--for", "0")
    assert done.stdout == "following prefix 10.1.1.8/32; Ctrl-C ends it\n"

    site.agent.kill("TERM")
    code, record = site.status()
    assert code == DOWN
    assert record["reason"].endswith(f"no agent runs on {site.run_dir}")
