"""Feeds damaged frames to the forwarder's data plane, through every kind of vif.

Each case damages a frame, gives it an offload header now and then and sends it into a
router with every kind of vif, nexthop and route; now and then the configuration changes.
Nothing may crash, each frame must be sent or counted as dropped, no buffer may get lost,
and what leaves must be a frame whose outer IPv4 header is right.
Run alone: `python tests/fuzz/fuzz_dataplane.py --cases 1000000 --seed 1`.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS.parent))

from agent._fast.forwarding import DROP_REASONS, checksum  # noqa: E402
from tests.unit.forwarder.dataplane_rig import (  # noqa: E402
    AGENT,
    BROADCAST,
    FABRIC,
    MAC1,
    MAC2,
    ROUTER_MAC,
    TAP1,
    TAP2,
    VHOST,
    Rig,
)

SUB, SERVICE, LEARNER, LOOSE, GATEWAY, STATS, WIRE_SUB = 5, 6, 7, 8, 9, 10, 11
VIFS = (
    FABRIC,
    FABRIC,
    FABRIC,
    VHOST,
    AGENT,
    TAP1,
    TAP1,
    TAP2,
    SERVICE,
    LEARNER,
    LOOSE,
    GATEWAY,
    STATS,
)
BYTES = (0, 1, 2, 4, 5, 6, 14, 17, 20, 44, 47, 58, 64, 67, 68, 133, 135, 136, 0x45, 0x4F, 0x60, 255)
TYPES = (0x0800, 0x0806, 0x8100, 0x88A8, 0x86DD, 0x8847)
PORTS = (53, 67, 68, 546, 547, 3784, 4789, 6635, 51234)
LABELS = (16, 17, 60, 61, 62, 2001, 5119, 5120, 0xFFFFF)
SPOTS = (0, 6, 12, 14, 16, 17, 20, 22, 23, 26, 30, 34, 36, 38, 40, 42, 46, 50, 54, 58, 64, 66, 70)
GSO = (0, 1, 3, 4, 5, 0x81, 9)
LOST = {"no_memory", "clone_fail", "mcast_clone_fail", "push"}
OURS = bytes((10, 0, 0, 1))


def router() -> Rig:
    """Every kind of vif, nexthop, label and route."""
    rig = Rig().build()
    furnish(rig)
    return rig


def furnish(rig: Rig) -> None:
    """What the fuzzers' routers have beside two guests."""
    dp = rig.dp
    dp.vif_set(SUB, type=6, flags=0x1C0, vrf=1, parent=TAP1, vlan_id=10, ovlan_id=11)
    dp.vif_set(SERVICE, type=3, flags=0x1C4, vrf=1)
    dp.vif_set(WIRE_SUB, type=6, flags=0x1C0, vrf=1, parent=FABRIC, vlan_id=10, ovlan_id=10)
    dp.vif_vrf_assign(SERVICE, 10, 1, 2)
    dp.vif_set(LEARNER, type=3, flags=0x1C1 | 0x80000 | 0x40000000 | 0x2000000, vrf=1)
    dp.vif_set(LOOSE, type=3, flags=0x40, vrf=1)
    dp.vif_set(GATEWAY, type=5, flags=0xC0 | 0x10000 | 0x100000, vrf=1)
    dp.vif_set(STATS, type=7, flags=0xC0)
    nexthops(rig)
    lookups(rig)


def nexthops(rig: Rig) -> None:
    dp = rig.dp
    dp.nexthop_set(13, type=5, flags=1)
    dp.nexthop_set(30, type=7, family=2, flags=1, vrf=2)
    dp.nexthop_set(31, type=7, family=7, flags=0x10001, vrf=1)
    dp.nexthop_set(32, type=4, flags=1)
    dp.nexthop_set(33, type=2, flags=0x21, encap_oif_id=[TAP2], vrf=1)
    dp.nexthop_set(34, type=7, family=2, flags=1, vrf=1)
    rig.encap(80, SUB, MAC1, family=7)
    rig.encap(81, WIRE_SUB, MAC1, family=7)
    rig.tunnel(50, 0x40, "10.0.0.50")
    rig.tunnel(51, 0x8 | 0x800000, "10.0.0.2")
    rig.tunnel(52, 0x80, "10.0.0.52", rw_dst_mac=MAC2)
    rig.composite(21, 0x2001, [1, 3, 80, 81])
    rig.composite(22, 0x0201, [50], [2000])
    rig.composite(23, 0x1001, [51], [61])
    rig.composite(24, 0x4001, [52], [100])
    rig.composite(20, 0x21, [21, 22, 23, 24])
    rig.composite(70, 0x401, [6, -1, 5, 52], [30, -1, -1, 100], family=2)


def lookups(rig: Rig) -> None:
    dp = rig.dp
    dp.bridge_add(1, BROADCAST, nh=20, label=100, flags=2)
    for label, nh in ((60, 20), (2001, 20), (61, 31), (62, 70), (63, 9), (64, 11), (65, 30)):
        dp.label_set(label, nh)
    for number, nh in enumerate((6, 7, 8, 50, 51, 52, 70, 20, 2)):
        mac = bytes((2, 0, 0, 0, 0x51, number))
        dp.bridge_add(1, mac, nh=nh, label=100, flags=2 | (0x10 if number % 2 else 0))
        rig.route(f"15.0.1.{number}/32", nh, flags=1, label=100)
        address = bytes.fromhex("fd" + "00" * 14) + bytes([number])
        dp.route_add(1, 10, address, 128, nh=nh, flags=3, label=100)
    for prefix, nh in (("15.0.2.0/24", 30), ("15.0.3.0/24", 34), ("224.0.0.0/4", 33)):
        rig.route(prefix, nh)
    rig.route("15.0.0.0/24", 13, flags=8)
    rig.route("15.0.0.0/8", 70, vrf=2, flags=1, label=9)
    rig.route("10.0.0.0/24", 32, vrf=0)


def corpus() -> list[bytes]:
    """Frames of the vectors and of the recording, and the same inside tunnels."""
    frames = []
    for line in (TESTS / "vectors" / "datapath.jsonl").open():
        vector = json.loads(line)
        frames += [bytes.fromhex(row["hex"]) for row in [vector["in"], *vector["out"]]]
    for line in (TESTS / "vectors" / "kernel-scenario.jsonl").open():
        row = json.loads(line)
        if row["what"].endswith("sends"):
            frames.append(bytes.fromhex(row["hex"]))
        elif row.get("dir") == "pkt0":
            frames.append(bytes.fromhex(row["hex"])[44:])
    for line in (TESTS / "vectors" / "pkt0.jsonl").open():
        frames.append(bytes.fromhex(json.loads(line)["hex"])[44:])
    frames += [tcp(size, flags) for size in (0, 40, 1400, 9000) for flags in (2, 0x10, 0x19)]
    return [frame for frame in frames if len(frame) >= 14]


def tcp(size: int, flags: int) -> bytes:
    """With an MSS and other options, towards a tunnel."""
    options = bytes.fromhex("020405b40402080a000000010000000201030307")
    segment = struct.pack(">HHIIBBHHH", 1000, 80, 1, 2, 0xA0, flags, 65535, 0, 0) + options
    payload = segment + bytes(size)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, 64, 6, 0)
    return ROUTER_MAC + MAC1 + b"\x08\0" + ip + b"\x0f\0\0\x03\x0f\0\x01\0" + payload


def in_tunnel(frame: bytes, rng: random.Random) -> bytes:
    """The frame, or its IP packet, as a peer's tunnel brings it."""
    inner = frame[14:] if rng.random() < 0.3 else frame
    if rng.random() < 0.2:
        inner = bytes(4) + inner
    label = rng.choice(LABELS)
    shim = (label << 12 | 0x100 | 64).to_bytes(4, "big")
    proto, head = 17, b""
    match rng.randrange(3):
        case 0:
            proto, head = 47, b"\0\0\x88\x47" + shim
        case 1:
            head = shim
        case 2:
            head = b"\x08\0\0\0" + (100 << 8).to_bytes(4, "big")
    port = 4789 if head[:1] == b"\x08" else rng.choice((6635, 51234))
    if proto == 17:
        head = struct.pack(">HHHH", 50000, port, 8 + len(head) + len(inner) & 0xFFFF, 0) + head
    peer = bytes((10, 0, 0, rng.choice((2, 50, 51, 52, 77))))
    length = 20 + len(head) + len(inner) & 0xFFFF
    ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 1, 0, 64, proto, 0) + peer + OURS
    return bytes.fromhex("0200000001010200000001020800") + ip + head + inner


def damaged(raw: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """`raw` with none to five mistakes."""
    data = bytearray(raw)
    for _ in range(rng.choice((0, 1, 1, 2, 3, 5))):
        at = rng.choice(SPOTS) if rng.random() < 0.6 else rng.randrange(len(data) + 1)
        match rng.randrange(10):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data[at : at + 1] = bytes([rng.choice(BYTES)])
            case 2:
                data[12:14] = rng.choice(TYPES).to_bytes(2)
            case 3:
                data[at : at + 2] = rng.choice(PORTS).to_bytes(2)
            case 4:
                del data[at:]
            case 5:
                del data[at : at + rng.randrange(1, 12)]
            case 6:
                data[at:at] = rng.randbytes(rng.randrange(1, 12))
            case 7:
                data[12:12] = b"\x81\0" + rng.choice((0, 10, 4095)).to_bytes(2)
            case 8:
                data[:6] = rng.choice((BROADCAST, ROUTER_MAC, MAC1, MAC2, b"\x33\x33\0\0\0\x02"))
                data[30:34] = bytes((15, 0, rng.randrange(4), rng.randrange(10)))
            case 9:
                other = rng.choice(others)
                data[at:] = other[min(at, len(other)) :]
    return bytes(data[:60_000])


def offload(rng: random.Random) -> bytes:
    """A virtio_net_hdr, plausible or not."""
    if rng.random() < 0.6:
        return b""
    start = rng.choice((14, 34, 54, 70, 84, rng.randrange(200), 65535))
    size = rng.choice((0, 1, 8, 536, 1448, 65535))
    return struct.pack(
        "<BBHHHH", rng.choice((0, 1, 2, 3, 255)), rng.choice(GSO), rng.randrange(300), size, start,
        rng.choice((6, 16, rng.randrange(65536))),
    )  # fmt: skip


def disturb(rig: Rig, rng: random.Random) -> None:
    """A change of the configuration, sometimes one that leaves something dangling."""
    dp = rig.dp
    match rng.randrange(9):
        case 0:
            dp.nexthop_delete(rng.choice((1, 3, 6, 21, 50, 70)))
        case 1:
            dp.vif_delete(rng.choice((TAP2, SUB, AGENT, VHOST)))
        case 2:
            dp.bridge_delete(1, rng.choice((MAC1, MAC2, BROADCAST, ROUTER_MAC)))
        case 3:
            flags = rng.choice((0x1C0, 0x1C1, 0x40, 0x80, 0x111C0, 0x1001C0, 0x800801C0))
            dp.vif_set(TAP1, type=3, flags=flags, vrf=rng.choice((0, 1, 2, 65535)))
        case 4:
            dp.vif_set(FABRIC, type=2, flags=0x40, mtu=rng.choice((15, 60, 100, 1514, 65535)))
        case _:
            dp.reset()
            dp.close()
            rig.__dict__.update(router().__dict__)


def check_sent(vif: int, sent: list[tuple[int, bytes]]) -> None:
    """Sizes of all frames; the outer header of the tunnels' (not of what passes by)."""
    for out, frame in sent:
        assert 14 <= len(frame) <= 66_100, (out, len(frame))
        if out == FABRIC and vif not in (VHOST, AGENT) and made_here(frame):
            assert checksum(frame[14:34]) == 0, frame.hex()
            assert int.from_bytes(frame[16:18], "big") == len(frame) - 14, frame.hex()


def made_here(frame: bytes) -> bool:
    """A tunnel's header that this router wrote."""
    return frame[:14] == bytes.fromhex("0200000001020200000001010800") and frame[26:30] == OURS


def run(cases: int, seed: int) -> dict[str, int]:
    """Feeds `cases` frames; returns how often each drop reason was seen."""
    rng = random.Random(seed)
    frames = corpus()
    rig = router()
    seen: dict[str, int] = {}
    for number in range(cases):
        if number % 500 == 499:
            disturb(rig, rng)
        vif = rng.choice(VIFS)
        if rig.dp.vif_get(vif) is None:
            continue
        raw = rng.choice(frames)
        if vif == FABRIC and rng.random() < 0.8:
            raw = in_tunnel(raw, rng)
        if vif == AGENT:
            target = rng.choice((*VIFS, 99)).to_bytes(2, "big")
            command = rng.choice((0, 1, 1, 2)).to_bytes(2, "big")
            raw = bytes(14) + target + b"\0\x01" + command + bytes(24) + raw
        before = sum(rig.dp.drop_stats())
        sent = rig.send(vif, damaged(raw, frames, rng), b"" if vif == AGENT else offload(rng))
        held = rig.dp.flow_table_stats().hold_entries
        assert sent or held or sum(rig.dp.drop_stats()) > before, "a frame vanished"
        check_sent(vif, sent)
        if number % 500 == 498:
            for reason, count in zip(DROP_REASONS, rig.dp.drop_stats(), strict=True):
                if count:
                    seen[reason] = seen.get(reason, 0) + count
            assert not LOST & set(seen), seen
            rig.dp.drop_stats_clear()
    return seen


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    start = time.monotonic()
    seen = run(chosen.cases, chosen.seed)
    print(f"{chosen.cases} frames in {time.monotonic() - start:.1f} s")
    for reason, count in sorted(seen.items(), key=lambda item: -item[1]):
        print(f"{count:9d} {reason}")


if __name__ == "__main__":
    main()
