"""A real agent without needless privileges: as root, and as another user.

Where systemd is installed, agent and forwarder run with no more system calls, sockets and
kinds of memory than their units leave them.
"""

from __future__ import annotations

import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.io.privileges import NAMES
from tests.system import unit_filter
from tests.system.conftest import REPOSITORY, Sandbox
from tests.system.controlled import HOST, Process, Site, until

NET = 1 << NAMES.index("NET_ADMIN") | 1 << NAMES.index("NET_RAW")
UNITS = REPOSITORY / "deploy/systemd"
AGENT, FORWARDER = (UNITS / f"vrouter-{name}.service" for name in ("agent", "forwarder"))
SYSTEMD = shutil.which("systemd-analyze") is not None
PAGES = ("metrics", "status", "healthz", "readyz", "Snh_ItfReq", "Snh_PageReq", "log-level", "")
# The run directory of the test is root's.
AS_NOBODY = ("--DEFAULT.user", "nobody", "--DEFAULT.further_capabilities", "DAC_OVERRIDE")


@pytest.fixture
def site(sandbox: Sandbox, tmp_path: Path) -> Iterator[Site]:
    made = Site(sandbox, tmp_path, controllers=1)
    for process, unit in ((made.agent, AGENT), (made.forwarder, FORWARDER)):
        process.command = (*confined(unit), *process.command)
    try:
        made.up()
        yield made
    finally:
        made.close()


def status(site: Site) -> dict[str, list[str]]:
    """What /proc tells of the agent, as the sandbox sees it."""
    lock = (site.run_dir / "agent.lock").read_text().strip()
    lines = site.box.run("cat", f"/proc/{lock}/status", netns=HOST).stdout.splitlines()
    return {name: text.split() for name, _, text in (line.partition(":") for line in lines)}


def works(site: Site) -> bool:
    """Ports are plugged, the datapath is programmed and VMs are answered."""
    site.unplug(site.vms["red2"])
    until(lambda: site.vms["red2"].tap not in site.taps(), "red2 unplugged")
    site.plug(site.vms["red2"])
    site.ready()
    return site.ping() and "lease of 10.1.1.3 obtained" in site.lease()


def confined(unit: Path) -> tuple[str, ...]:
    """What a command is started with; nothing where systemd does not tell what is allowed."""
    return (sys.executable, unit_filter.__file__, str(unit)) if SYSTEMD else ()


def asked(site: Site) -> None:
    """All that an operator may want of it."""
    for path in PAGES:
        site.box.run("curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:8085/{path}", netns=HOST)
    mark = site.agent.mark()
    for signal in ("USR2", "HUP"):
        site.agent.signal(signal)
    site.agent.says('event="configuration reloaded"', mark)
    site.agent.kill("TERM")
    assert site.agent.code == 0, site.agent.log[-2000:]


@pytest.mark.skipif(not SYSTEMD, reason="systemd-analyze knows the groups of system calls")
@pytest.mark.parametrize(
    ("unit", "deed"),
    [
        (AGENT, "os.setuid(0)"),
        (AGENT, "socket.socket(31, socket.SOCK_RAW)"),
        (AGENT, "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)"),
        (FORWARDER, "os.chroot('/')"),
    ],
)
def test_what_a_unit_forbids_ends_a_process(unit: Path, deed: str) -> None:
    """So nothing of it goes unseen where a whole agent works."""
    program = f"import mmap, os, socket\nprint('begun', flush=True)\n{deed}"
    command = [*confined(unit), sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("begun\n", -31), done.stderr


def test_an_agent_works_without_needless_privileges(site: Site) -> None:
    found = status(site)
    kept = {name: int(found[name][0], 16) for name in found if name.startswith("Cap")}
    assert kept == {"CapInh": 0, "CapPrm": NET, "CapEff": NET, "CapBnd": NET, "CapAmb": 0}
    assert found["NoNewPrivs"] == ["1"]
    assert works(site)
    asked(site)

    words = ("--config", str(site.directory / "agent.conf"), "--run-dir", str(site.run_dir))
    command = (sys.executable, "-m", "agent", *words, *AS_NOBODY)
    site.agent = Process(site.box, HOST, site.directory, "as-nobody", *command)
    site.agent.start()
    said = site.agent.says("event=privileges")
    if "missing=" in said or "cannot change" in said:
        pytest.skip(f"this sandbox has no such user: {said}")
    assert f"user={pwd.getpwnam('nobody').pw_uid}" in said
    # Root's forwarder does not serve it; controllers and the port API do.
    site.agent.says('event="controller up"')
    site.unplug(site.vms["red2"])
    found = status(site)
    with_files = NET | 1 << NAMES.index("DAC_OVERRIDE")
    assert {int(found[name][0], 16) for name in ("CapPrm", "CapEff", "CapBnd")} == {with_files}
    assert "0" not in found["Uid"] + found["Gid"]
