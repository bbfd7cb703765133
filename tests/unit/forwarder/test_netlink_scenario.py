"""One port's life as it was recorded on a real module, asked of the forwarder over netlink."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

import pytest

from agent.io import netlink_sockets
from agent.sandesh.framing import NLM_F_MULTI
from tests.unit.io.forwarders import forwarder
from tests.unit.io.netlink_peer import needs_netlink_between_processes

SCENARIO = Path(__file__).parents[2] / "vectors" / "kernel-scenario.jsonl"
OTHERWISE = {
    "flow table get": "its size and its place are the datapath's own",
    "vif add vhost0": "the module asks for the uplink's number, the forwarder does not",
    "flow set: reverse of the held flow": "the index is by a hash of its own",
    "flow set: held flow to forward": "no packet came that is held",
    "flow change: reverse now with its reverse": "the same",
    "flow set with a wrong generation id": "the same",
    "flow delete: forward": "the same",
}
"""What the forwarder answers otherwise than the module, and why."""
RENAMED = b"vhost0", b"vhrec0"
"""The forwarder makes that interface, on this machine, for as long as it runs."""


def exchanges() -> list[tuple[str, bytes, list[bytes]]]:
    """What it is, the request, and the datagrams of the answer."""
    found: list[tuple[str, bytes, list[bytes]]] = []
    for line in SCENARIO.read_text().splitlines():
        row = json.loads(line)
        data = bytes.fromhex(row["hex"]).replace(*RENAMED) if "hex" in row else b""
        if row.get("dir") == "tx":
            found.append((row["what"], data, []))
        elif row.get("dir") == "rx":
            found[-1][2].append(data)
    return found


def more(datagram: bytes) -> bool:
    return bool(struct.unpack_from("=H", datagram, 6)[0] & NLM_F_MULTI)


async def test_the_answers_are_those_of_the_module(tmp_path: Path) -> None:
    needs_netlink_between_processes()
    different = []
    loop = asyncio.get_running_loop()
    async with forwarder(tmp_path, "--netlink"):
        number = netlink_sockets.port_in(tmp_path / netlink_sockets.PORT_FILE)
        with netlink_sockets.connect(netlink_sockets.GENERIC, number) as asking:
            asking.setblocking(False)
            port = struct.pack("=I", asking.getsockname()[0])
            for what, request, answer in exchanges():
                asking.send(request)
                got: list[bytes] = []
                async with asyncio.timeout(10):
                    while answer and (not got or more(got[-1])):
                        got.append(await loop.sock_recv(asking, 1 << 17))
                if got != [each[:12] + port + each[16:] for each in answer]:
                    different.append(what)
                with pytest.raises(BlockingIOError):
                    asking.recv(1)
    assert different == list(OTHERWISE)
    assert len(exchanges()) == 39
