"""VMs reach the outside through a device of the host: posted, used, and gone without a trace."""

from __future__ import annotations

import json
import re
import time

import pytest

TOPOLOGY = """
name: open
hosts:
  host1: {fabric: 10.0.0.1/24}
networks:
  red: {subnet: 10.1.1.0/24}
  blue: {subnet: 10.2.2.0/24}
security_groups:
  default: {ingress: [{from: any}]}
vms:
  red1: {network: red, address: 10.1.1.3}
  red2: {network: red, address: 10.1.1.4}
  blue1: {network: blue, address: 10.2.2.3}
"""
NETWORK = "default-domain:default-project:red:red"
OUTSIDE = "198.51.100.8"
GATEWAY = {
    "interface": "vgw1",
    "routing-instance": NETWORK,
    "subnets": [{"ip-address": "10.1.1.0", "prefix-len": 24}],
    "routes": [{"ip-address": "198.51.100.0", "prefix-len": 24}],
}
CALL = """
import sys, urllib.request
url, method, body = "http://127.0.0.1:9091/gateway", sys.argv[1], sys.argv[2].encode()
with urllib.request.urlopen(urllib.request.Request(url, body, method=method)) as answer:
    print(answer.status, answer.read().decode())
"""
LIMIT = 10.0


def call(lab, method, content):
    done = lab.run("host1", "python3", "-c", CALL, method, json.dumps(content))
    assert done.stdout == "200 {}\n"


def tool(lab, *words):
    return json.loads(lab.run("host1", *words, "--json").stdout)


def vif(lab):
    return next((row for row in tool(lab, "vif", "--list") if row["name"] == "vgw1"), None)


def until(found):
    deadline = time.monotonic() + LIMIT
    while not (row := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return row


def lost(lab, node, target):
    shown = lab.run(node, "ping", "-n", "-c", "5", "-i", "0.1", "-W", "2", target, check=False)
    found = re.search(r"(\d+)% packet loss", shown.stdout)
    assert found, shown.stdout
    return int(found.group(1))


@pytest.fixture
def gateway(lab):
    """A posted gateway whose device has the network's OS route, as an operator sets it up."""
    before = tool(lab, "nh", "--list")
    call(lab, "POST", [GATEWAY])
    until(lambda: (row := vif(lab)) and row["nexthop"])
    lab.run("host1", "ip", "route", "add", "10.1.1.0/24", "dev", "vgw1")
    lab.run("host1", "ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo")
    yield vif(lab)
    lab.run("host1", "ip", "address", "del", f"{OUTSIDE}/32", "dev", "lo")
    call(lab, "DELETE", [{"interface": "vgw1"}])
    until(lambda: vif(lab) is None)
    assert lab.run("host1", "ip", "link", "show", "vgw1", check=False).returncode != 0
    until(lambda: tool(lab, "nh", "--list") == before)


def test_a_vm_reaches_the_outside_and_the_outside_a_vm(lab, gateway):
    assert gateway["type"] == "Gateway"
    assert lost(lab, "red1", OUTSIDE) == 0
    assert lost(lab, "host1", "10.1.1.4") == 0
    assert lost(lab, "red1", "10.1.1.4") == 0, "the network itself is as it was"
    assert lost(lab, "blue1", OUTSIDE) == 100, "the gateway is the red network's"


def test_the_host_gets_what_comes_from_the_fabric_for_its_subnets(lab, gateway):
    rows = {row["destination"]: row for row in tool(lab, "rt", "--dump", "0")}
    received = {row["id"] for row in tool(lab, "nh", "--list") if row["type"] == "Receive"}
    assert rows["10.1.1.0/24"]["nexthop"] in received


FILE = f"""
[GATEWAY-0]
interface = vgw0
routing_instance = {NETWORK}
ip_blocks = 10.1.1.0/24
"""


def test_a_gateway_of_the_file_survives_the_agent(lab):
    """Without routes it is the way to everywhere; killing the agent loses no packet."""

    def restart():
        before = times_in_sync(lab)
        lab.command("kill", "host1", "agent")
        lab.command("start", "host1", "agent")
        until(lambda: times_in_sync(lab) > before)

    append = f"cat >> /run/vrouter/vrouter-agent.conf <<'END'{FILE}END"
    lab.run("host1", "sh", "-c", append)
    restart()
    until(
        lambda: any(row["name"] == "vgw0" and row["nexthop"] for row in tool(lab, "vif", "--list"))
    )
    lab.run("host1", "ip", "route", "replace", "10.1.1.0/24", "dev", "vgw0")
    lab.run("host1", "ip", "address", "add", "203.0.113.9/32", "dev", "lo")
    until(lambda: lost(lab, "red1", "203.0.113.9") == 0)
    ping = lab.popen("red1", "ping", "-n", "-c", "60", "-i", "0.05", "203.0.113.9")
    before = _settled(lab)
    restart()
    output, _ = ping.communicate(timeout=30)
    assert "60 received" in output, output
    assert _settled(lab) == before, "every object has the number that it had"


def times_in_sync(lab):
    return lab.log("host1-agent").count('event="in sync"')


def _settled(lab):
    vifs = [(row["index"], row["name"], row["nexthop"]) for row in tool(lab, "vif", "--list")]
    return vifs, tool(lab, "mpls", "--dump")
