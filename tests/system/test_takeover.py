"""Our agent takes over a host that the reference agent has programmed, with traffic on it.

The forwarder is programmed by hand, message by message, as facts worked-example.md says; the
ports' files lie where the reference agent has put them. Then our agent is started. Two VMs are
without policy; two others talk through a pair of flows that the reference agent has let in.
"""

from __future__ import annotations

import json
import re
import sys
import time
from contextlib import contextmanager

from agent.lab.plan import BACKUPS
from tests.fake.worked_example import FIRST_PORT, PING, TOPOLOGY, VRF
from tests.system.conftest import REPOSITORY
from tests.system.pings import counted
from tests.system.test_agent_restart import Resynced, tables

__all__ = ["TOPOLOGY", "tables"]  # what the fixtures read

PROGRAM = """
import socket
import sys
from fcntl import ioctl
from ipaddress import IPv4Address
from socket import if_nametoindex as index

sys.path.insert(0, sys.argv[1])
from agent.cli.datapath_client import DatapathClient
from agent.lab.plan import RUN_DIR
from agent.sandesh.vrouter import SandeshOp, VrFlowResponse, VrouterOps
from tests.fake.worked_example import WITH_REVERSE, Example, Guest

def mac_of(name):
    with socket.socket() as any_socket:
        return ioctl(any_socket, 0x8927, name.encode().ljust(32, b"\\0"))[18:24]  # SIOCGIFHWADDR

guests = []
for words in sys.argv[2:]:
    tap, mac, address, policy = words.split(",")
    mac = bytes.fromhex(mac.replace(":", ""))
    guests.append(Guest(tap, index(tap), mac, IPv4Address(address), policy == "True"))
fabric = "fabric0", index("fabric0"), mac_of("fabric0")
with DatapathClient.connect(RUN_DIR) as client:
    def send(message):
        code, _ = client.request(message.encode())
        assert code == 0, (code, message)
    def let_in(flow, partner):
        partner = {"fr_rindex": partner.fresp_index, "fr_flags": flow.fr_flags | WITH_REVERSE}
        return client.get(flow.replace(**partner).encode(), VrFlowResponse)
    send(VrouterOps(h_op=SandeshOp.RESET))
    for message in Example(fabric, ("vhost0", 0), tuple(guests)).messages:
        send(message)
    # vhost0 may be a new one: its number is known once the datapath has made it.
    example = Example(fabric, ("vhost0", index("vhost0")), tuple(guests))
    for message in example.messages:
        if getattr(message, "vifr_idx", None) == 1:
            send(message)
    one, other = [guest for guest in guests if guest.policy]
    back, forth = example.ping(other, one), example.ping(one, other)
    answer = client.get(back.encode(), VrFlowResponse)
    forward = let_in(forth, answer)
    let_in(back.replace(fr_index=answer.fresp_index, fr_gen_id=answer.fresp_gen_id), forward)
"""


def still(shown):
    """Without what an agent that listens to pkt0 changes: the counters of that socket."""
    vifs = [{name: row[name] for name in row if name != "port"} for row in shown["vif --list"]]
    return {**shown, "vif --list": vifs}


@contextmanager
def pinging(lab, vm, to):
    """Ping until the block ends, which then has (sent, received) and what ping printed."""
    script = f"echo $$; exec ping -n -e {PING} -i 0.02 {to}"
    ping, told = lab.popen(vm, "sh", "-c", script), []
    try:
        pid = ping.stdout.readline().strip()
        while "icmp_seq=3 " not in (line := ping.stdout.readline()):
            assert line
        yield told
        lab.run(vm, "sh", "-c", f"kill -INT {pid}")
        output, _ = ping.communicate(timeout=20)
    finally:
        ping.kill()
        ping.wait()
    told += [*counted(output), output]


def flows(lab):
    """The pair of the ping: entries by index and generation, and how many packets they have."""
    found = json.loads(lab.run("host1", "flow", "--match", "proto icmp", "--json").stdout)
    return {
        (row["index"], row["gen_id"], row["reverse"]): row for row in found if row["sport"] == PING
    }


def test_not_one_packet_is_lost_and_nothing_is_written(lab, tables):
    vms = sorted(lab.state().vms, key=lambda vm: vm.name)
    addresses = [vm.lease.address.partition("/")[0] for vm in vms]
    words = [f"{vm.tap},{vm.mac},{addresses[at]},{at > 1}" for at, vm in enumerate(vms)]
    lab.command("kill", "host1", "agent")
    lab.run("host1", "rm", "-r", str(BACKUPS))
    lab.run("host1", sys.executable, "-c", PROGRAM, str(REPOSITORY), *words)
    programmed = tables()
    names = {row["name"]: (row["index"], row["vrf"]) for row in programmed["vif --list"]}
    assert [names[vm.tap] for vm in vms] == [(FIRST_PORT + at, VRF) for at in range(4)]
    let_in = flows(lab)
    assert len(let_in) == 2

    with pinging(lab, "vm1", addresses[1]) as plain, pinging(lab, "vm3", addresses[3]) as flowing:
        with Resynced(lab) as resynced:
            lab.command("start", "host1", "agent")
            told = resynced.wait()
        time.sleep(1.0)  # what is late would be seen
    for sent, received, output in (plain, flowing):
        assert sent > 20, output
        assert received == sent, output
    assert re.search(r"\bwrites=0\b.*\bswept=0\b|\bswept=0\b.*\bwrites=0\b", told), told
    assert int(re.search(r"\badopted=(\d+)", told)[1]) > 60, told
    assert still(tables()) == still(programmed)
    kept = flows(lab)
    assert kept.keys() == let_in.keys()
    assert min(row["packets"] for row in kept.values()) >= flowing[1]
