"""`python -m agent.lab.capture INTERFACE FILE`: record what passes an interface as a pcap file.

Says "capturing" once it sees frames, and "captured" when its input closes and the file is
complete. Unlike tcpdump it needs no second user to become, so it also works in the user
namespace of an unprivileged lab. The format is that of libpcap, version 2.4.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from typing import BinaryIO

SNAP = 256
"""Bytes kept of each frame: enough for every header."""

_ETH_P_ALL = 3
_ETHERNET = 1
_BUFFER = 8 << 20
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP, _PACKET_IGNORE_OUTGOING = 1, 23
_PACKET_MR_PROMISC = 1
_FILE_HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP, _ETHERNET)


def _open(interface: str) -> socket.socket:
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    packets.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    packets.bind((interface, _ETH_P_ALL))
    index = socket.if_nametoindex(interface)
    membership = struct.pack("iHH8x", index, _PACKET_MR_PROMISC, 0)
    packets.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
    packets.setblocking(False)
    return packets


def _record(packets: socket.socket, file: BinaryIO) -> None:
    """Write every frame that waits."""
    while True:
        try:
            frame, _, _, _ = packets.recvmsg(1 << 16)
        except BlockingIOError:
            return
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)
        kept = frame[:SNAP]
        file.write(struct.pack("=IIII", seconds, nanoseconds // 1000, len(kept), len(frame)))
        file.write(kept)


def main(interface: str, path: str) -> None:
    """Record until standard input closes."""
    with _open(interface) as packets, open(path, "wb") as file:
        file.write(_FILE_HEADER)
        print("capturing", flush=True)
        while sys.stdin not in select.select([packets, sys.stdin], [], [])[0]:
            _record(packets, file)
        _record(packets, file)
    print("captured", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
