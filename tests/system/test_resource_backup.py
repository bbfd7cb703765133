"""Agent and datapath are both lost: every object has the number that it had before."""

from __future__ import annotations

import base64
import binascii
import re
import time

import pytest

from agent.backup import decode
from agent.errors import WireError
from agent.lab.plan import BACKUPS
from tests.system.test_agent_restart import LIMIT, settled, tables, without_os_index

__all__ = ["tables"]  # the fixture


@pytest.fixture
def swapped(lab):
    """Ports are plugged against the order in which their files are read at start."""
    taps = {vm.name: vm.tap for vm in lab.state().vms if vm.network == "red"}
    names = sorted(taps, key=taps.__getitem__, reverse=True)
    for name in names:
        lab.command("unplug", name)
    for name in names:
        lab.command("plug", name)


def numbers(lab):
    """The numbers of the newest backup, as (kind, number) pairs."""
    script = f"cd {BACKUPS} && base64 $(ls -t vrouter_agent_numbers-* | head -1)"
    shown = lab.run("host1", "sh", "-c", script, check=False).stdout
    try:
        return {(row.kind.value, row.number) for row in decode(base64.b64decode(shown))}
    except (WireError, binascii.Error):
        return set()  # there is none, or it went while it was read


def written(lab, shown):
    """Wait until what is shown of labels and vifs is in a backup."""
    wanted = {("label", row["label"]) for row in shown["mpls --dump"]}
    wanted |= {("vif", row["index"]) for row in shown["vif --list"] if row["index"] > 2}
    deadline = time.monotonic() + LIMIT
    while not wanted <= numbers(lab):
        assert time.monotonic() < deadline, wanted - numbers(lab)
        time.sleep(0.05)


@pytest.mark.usefixtures("swapped")
def test_after_both_were_killed_every_object_has_its_number_again(lab, tables):
    shown = settled(tables)
    written(lab, shown)
    for role in ("agent", "forwarder"):
        lab.command("kill", "host1", role)
    for role in ("forwarder", "agent"):
        lab.command("start", "host1", role)
    deadline = time.monotonic() + LIMIT
    programmed = without_os_index(shown)
    while (now := without_os_index(tables())) != programmed:  # VMs are probed anew
        assert time.monotonic() < deadline, now
    assert "5 received" in lab.run("red1", "ping", "-c5", "-i0.2", "-W2", "10.1.1.4").stdout
    log = lab.log("host1-agent")
    since = log[log.rindex('event="backup read"') :]
    assert re.search(r'event="datapath read" .*objects=[0-9]\b', since), since  # all was lost
