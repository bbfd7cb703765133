"""A real DHCP client against the DHCP service."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(__file__).with_name("pkt0_harness.py")
MAC = "02:00:00:00:00:2a"
OPTIONS = "subnet router dns hostname domain mtu ntpsrv search staticroutes tftp bootfile lease"

pytestmark = pytest.mark.skipif(shutil.which("udhcpc") is None, reason="udhcpc is not installed")


@pytest.fixture
def guest(sandbox: Any) -> Any:
    """A namespace `guest` whose only link leads to the service; ready to be asked."""
    sandbox.netns("host")
    sandbox.netns("guest")
    sandbox.veth("host", "tap", "guest", "eth0", mac=MAC)
    server = sandbox.popen(sys.executable, str(HARNESS), "tap", MAC, netns="host")
    first = server.stdout.readline()
    assert first == "ready\n", first + server.stdout.read()
    return sandbox


def lease(guest: Any, script: Path, *arguments: str) -> dict[str, str]:
    """What udhcpc gives its script when it is bound."""
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && env\nexit 0\n')
    script.chmod(0o755)
    asked = [word for name in OPTIONS.split() for word in ("-O", name)]
    command = ("udhcpc", "-f", "-n", "-q", "-t5", "-T1", "-i", "eth0", "-s", str(script))
    output = guest.run(*command, *asked, *arguments, netns="guest").stdout
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def test_udhcpc_gets_its_lease_with_all_options(guest: Any, tmp_path: Path) -> None:
    got = lease(guest, tmp_path / "script")
    expected = {
        "ip": "10.1.1.3",
        "subnet": "255.255.255.0",
        "broadcast": "10.1.1.255",
        "router": "10.1.1.1",
        "dns": "10.1.1.2",
        "serverid": "10.1.1.2",
        "siaddr": "10.1.1.30",
        "lease": str(0xFFFFFFFF),
        "hostname": "vm1",
        "domain": "v.example.org",
        "mtu": "1400",
        "ntpsrv": "10.1.1.20 10.1.1.21",
        "search": "a.example.org example.org",
        "staticroutes": "172.16.0.0/12 10.1.1.9",
        "tftp": "10.1.1.30",
        "bootfile": "pxelinux.0",
    }
    # It asked for option 121, which then stands for the router as well (RFC 3442).
    del expected["router"]
    assert {name: got.get(name) for name in expected} == expected
    assert "router" not in got


def test_udhcpc_that_wants_broadcast_and_checks_by_arp(guest: Any, tmp_path: Path) -> None:
    got = lease(guest, tmp_path / "script", "-B", "-a")
    assert (got["ip"], got["serverid"]) == ("10.1.1.3", "10.1.1.2")


def test_the_gateway_answers_arp(guest: Any) -> None:
    guest.run("ip", "address", "add", "10.1.1.3/24", "dev", "eth0", netns="guest")
    guest.run("ping", "-c1", "-W1", "10.1.1.1", netns="guest", check=False)  # nobody pongs
    neighbour = guest.run("ip", "neigh", "show", "10.1.1.1", netns="guest").stdout
    assert "lladdr 00:00:5e:00:01:00" in neighbour
