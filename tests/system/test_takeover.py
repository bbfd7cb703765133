"""Our agent takes over a host that the reference agent has programmed, with traffic on it.

The forwarder is programmed by hand, message by message, as facts worked-example.md says; the
ports' files lie where the reference agent has put them. Then our agent is started.
"""

from __future__ import annotations

import re
import sys
import time

from agent.lab.plan import BACKUPS
from tests.fake.worked_example import FIRST_PORT, TOPOLOGY, VRF
from tests.system.conftest import REPOSITORY
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
from agent.sandesh.vrouter import SandeshOp, VrouterOps
from tests.fake.worked_example import Example, Guest

def mac_of(name):
    with socket.socket() as any_socket:
        return ioctl(any_socket, 0x8927, name.encode().ljust(32, b"\\0"))[18:24]  # SIOCGIFHWADDR

guests = []
for words in sys.argv[2:]:
    tap, mac, address = words.split(",")
    guests.append(Guest(tap, index(tap), bytes.fromhex(mac.replace(":", "")), IPv4Address(address)))
fabric = "fabric0", index("fabric0"), mac_of("fabric0")
with DatapathClient.connect(RUN_DIR) as client:
    def send(message):
        code, _ = client.request(message.encode())
        assert code == 0, (code, message)
    send(VrouterOps(h_op=SandeshOp.RESET))
    for message in Example(fabric, ("vhost0", 0), tuple(guests)).messages:
        send(message)
    # vhost0 may be a new one: its number is known once the datapath has made it.
    for message in Example(fabric, ("vhost0", index("vhost0")), tuple(guests)).messages:
        if getattr(message, "vifr_idx", None) == 1:
            send(message)
"""


def still(shown):
    """Without what an agent that listens to pkt0 changes: the counters of that socket."""
    vifs = [{name: row[name] for name in row if name != "port"} for row in shown["vif --list"]]
    return {**shown, "vif --list": vifs}


def test_not_one_packet_is_lost_and_nothing_is_written(lab, tables):
    vms = sorted(lab.state().vms, key=lambda vm: vm.name)
    words = [f"{vm.tap},{vm.mac},{vm.lease.address.partition('/')[0]}" for vm in vms]
    far = words[1].rpartition(",")[2]
    lab.command("kill", "host1", "agent")
    lab.run("host1", "rm", "-r", str(BACKUPS))
    lab.run("host1", sys.executable, "-c", PROGRAM, str(REPOSITORY), *words)
    programmed = tables()
    names = {row["name"]: (row["index"], row["vrf"]) for row in programmed["vif --list"]}
    assert [names[vm.tap] for vm in vms] == [(FIRST_PORT, VRF), (FIRST_PORT + 1, VRF)]

    ping = lab.popen("vm1", "sh", "-c", f"echo $$; exec ping -n -i 0.02 {far}")
    try:
        pid = ping.stdout.readline().strip()
        while "icmp_seq=3 " not in (line := ping.stdout.readline()):
            assert line
        with Resynced(lab) as resynced:
            lab.command("start", "host1", "agent")
            told = resynced.wait()
        time.sleep(1.0)  # what is late would be seen
        lab.run("vm1", "sh", "-c", f"kill -INT {pid}")
        output, _ = ping.communicate(timeout=20)
    finally:
        ping.kill()
        ping.wait()
    sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) rec", output).groups())
    assert sent > 20, output
    assert received == sent, output
    assert re.search(r"\bwrites=0\b.*\bswept=0\b|\bswept=0\b.*\bwrites=0\b", told), told
    assert int(re.search(r"\badopted=(\d+)", told)[1]) > 60, told
    assert still(tables()) == still(programmed)
