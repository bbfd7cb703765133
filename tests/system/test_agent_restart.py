"""The agent dies and comes back: traffic never notices, the datapath is not touched."""

from __future__ import annotations

import json
import re
import subprocess
import time

import pytest

from tests.system.pings import counted

INTERVAL = "0.02"
TABLES = (
    ("vif", "--list"),
    ("nh", "--list"),
    ("mpls", "--dump"),
    ("vxlan", "--dump"),
)
COUNTERS = {"rx", "tx", "drops", "ref", "device", "port", "queue"}
LIMIT = 10.0


@pytest.fixture
def tables(lab):
    """Everything programmed, without what traffic changes."""

    def read():
        shown = {" ".join(words): _json(lab, *words) for words in TABLES}
        vrfs = sorted({vif["vrf"] for vif in shown["vif --list"] if 0 <= vif["vrf"] < 0xFFFF})
        for vrf in vrfs:
            for family in ("inet", "inet6", "bridge"):
                words = ("rt", "--dump", str(vrf), "--family", family)
                shown[" ".join(words)] = _json(lab, *words)
        return shown

    return read


def _json(lab, *words):
    rows = json.loads(lab.run("host1", *words, "--json").stdout)
    return [_still(row) for row in rows] if isinstance(rows, list) else rows


def _still(row):
    return {name: value for name, value in row.items() if name not in COUNTERS}


def settled(tables):
    """The tables once every VM has answered the agent's probe: no route traps ARP any more."""
    deadline = time.monotonic() + LIMIT
    while _traps_arp(shown := tables()):
        assert time.monotonic() < deadline, shown
    return shown


def _traps_arp(shown):
    return any("T" in row.get("flags", ()) for rows in shown.values() for row in rows)


def without_os_index(shown):
    """The forwarder's own vhost0 is a new one."""
    vifs = [{**vif, "os_index": 0} for vif in shown["vif --list"]]
    return {**shown, "vif --list": vifs}


def ping_during(lab, act):
    """Ping from red1 to red2 while `act` runs: (sent, received) and what ping printed."""
    ping = lab.popen("red1", "sh", "-c", f"echo $$; exec ping -n -i {INTERVAL} 10.1.1.4")
    try:
        pid = ping.stdout.readline().strip()
        first = [ping.stdout.readline() for _ in range(3)]
        assert "icmp_seq=2" in first[-1], first
        act()
        lab.run("red1", "sh", "-c", f"kill -INT {pid}")
        output, _ = ping.communicate(timeout=20)
    finally:
        ping.kill()
        ping.wait()
    sent, received = counted(output)
    return sent, received, output


class Resynced:
    """Waits until the agent has read the datapath anew and has made it as desired."""

    def __init__(self, lab):
        log = lab.run_dir / "logs" / "host1-agent.log"
        start = f"+{log.stat().st_size + 1}"
        words = ["tail", "-c", start, "-F", str(log)]
        self._log = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._log.kill()
        self._log.communicate()

    def wait(self):
        """The line that says "in sync"."""
        self._until('event="datapath read"')
        return self._until('event="in sync"')

    def _until(self, text):
        while text not in (line := self._log.stdout.readline()):
            assert line, f"the log ended before {text}"
        return line


def test_kill_9_of_the_agent_loses_no_packet_and_writes_nothing(lab, tables):
    programmed = settled(tables)
    lines = []

    def act():
        with Resynced(lab) as resynced:
            lab.command("kill", "host1", "agent")
            lab.command("start", "host1", "agent")
            lines.append(resynced.wait())

    sent, received, output = ping_during(lab, act)
    assert sent > 20, output
    assert received == sent, output
    assert re.search(r"\bswept=0\b", lines[0]), lines
    assert int(re.search(r"\badopted=(\d+)", lines[0])[1]) > 100, lines
    assert tables() == programmed
    log = lab.log("host1-agent")
    since = log[log.rindex('event="datapath read"') :]
    assert set(re.findall(r"\bwrites=(\d+)", since)) == {"0"}, since


def test_after_the_restart_vms_are_served(lab):
    """The new agent answers ARP and DHCP: pkt0 was taken over."""
    lab.run("red1", "ip", "neigh", "flush", "all")
    lab.command("unplug", "red2")
    lab.command("plug", "red2")
    assert "1 received" in lab.run("red1", "ping", "-c1", "-W5", "10.1.1.4").stdout


def test_the_forwarder_dies_and_is_programmed_again(lab, tables):
    """Nothing survives in the datapath; the agent writes all of it, and VMs talk again."""
    programmed = without_os_index(settled(tables))
    with Resynced(lab) as resynced:
        lab.command("restart", "host1", "forwarder")
        resynced.wait()
    deadline = time.monotonic() + LIMIT
    while (now := without_os_index(tables())) != programmed:  # VMs are probed anew
        assert time.monotonic() < deadline, now
    done = lab.run("red1", "ping", "-c5", "-i0.2", "-W2", "10.1.1.4")
    assert "5 received" in done.stdout
