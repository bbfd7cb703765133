"""Feeds damaged frames to a data plane whose guests have policy, and decides wildly about flows.

Every trap of a new flow is answered sooner or later, rightly or not: forward, drop, hold,
translation, another VRF, mirrors, sources and members that do not exist, pairs that do not
belong together; entries are changed, deleted and evicted, time passes, the configuration
changes. Nothing may crash, frames may not vanish, and the table must stay whole: its counts are
those of its entries, each entry is found by its key, generations only go up.
Run alone: `python tests/fuzz/fuzz_flows.py --cases 1000000 --seed 1`.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS.parent))

from agent._fast.forwarding import DROP_REASONS  # noqa: E402
from tests.fuzz.fuzz_dataplane import (  # noqa: E402
    AGENT,
    FABRIC,
    LOST,
    OURS,
    TAP1,
    TAP2,
    VHOST,
    check_sent,
    corpus,
    damaged,
    furnish,
    in_tunnel,
    offload,
)
from tests.unit.forwarder.dataplane_rig import MAC1, MAC2, ROUTER_MAC  # noqa: E402
from tests.unit.forwarder.flow_rig import (  # noqa: E402
    ACTIVE,
    FLOW_ENTRIES,
    FLOW_OVERFLOW,
    GUEST1_NH,
    GUEST2_NH,
    HOLD,
    FlowRig,
    traps,
)

SERVICE, LEARNER, LOOSE, ECMP_NH, MIRROR_NH = 6, 7, 8, 70, 51
VIFS = (FABRIC, FABRIC, FABRIC, VHOST, AGENT, TAP1, TAP1, TAP1, TAP2, SERVICE, LEARNER, LOOSE)
NEXTHOPS = (*(0,) * 16, GUEST1_NH, GUEST2_NH, 6, 7, 50, ECMP_NH, 20, 13, 4000)
ACTIONS = (0, 1, 2, 2, 2, 2, 2, 3, 3, 5)
CONFIG_CHANGES = (1, 2, 6, 50, 70)
GUESTS = (*((TAP1, MAC1, "0f000003"),) * 4, (TAP2, MAC2, "0f000004"))
REMOTES = (*("0f000009",) * 4, "0f000003", "0f000004", "0f000106")
MAX_DECISIONS = 4


def router() -> FlowRig:
    """Policy wherever there can be some, an ECMP choice, mirrors, a flooded hold limit."""
    rig = FlowRig(hold_limit=300).build()
    furnish(rig)
    dp = rig.dp
    for vif, flags in ((SERVICE, 0x1C5), (LEARNER, 0x1C1 | 0x80000), (LOOSE, 0x41)):
        dp.vif_set(vif, type=3, flags=flags, vrf=1, nh_id=vif)
    dp.vif_set(FABRIC, type=2, flags=0x41, vrf=0, nh_id=90)
    dp.vif_set(VHOST, type=0, flags=0x41, vrf=0, nh_id=91)
    dp.nexthop_set(11, type=1, flags=3, vrf=0, encap_oif_id=[VHOST])
    rig.encap(1, TAP1, MAC1, family=7, flags=3)
    rig.encap(3, TAP2, MAC2, family=7, flags=3 | 0x100)
    rig.composite(ECMP_NH, 0x403, [6, -1, GUEST2_NH, 50], [30, -1, -1, 100], family=2)
    rig.route("15.0.1.6/32", ECMP_NH)
    dp.mirror_set(0, MIRROR_NH)
    dp.mirror_set(1, MIRROR_NH, 1)
    return rig


@dataclass(slots=True)
class Agent:
    """Answers traps; knows of each entry only what traps and answers said."""

    rig: FlowRig
    rng: random.Random
    waiting: list[int] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    generations: dict[int, int] = field(default_factory=dict)

    def hear(self, sent: list[tuple[int, bytes]]) -> None:
        for trap in traps(sent):
            if trap.reason in (6, 15):
                assert trap.index < FLOW_ENTRIES + FLOW_OVERFLOW
                entry = self.rig.entry(trap.index)
                assert (entry.gen_id, entry.action) == (trap.gen_id, HOLD), entry
                assert entry.key[8:12] == trap.params[1].to_bytes(4, "little")
                self.waiting.append(trap.index)

    def act(self) -> None:
        rng = self.rng
        for _ in range(rng.randrange(MAX_DECISIONS)):
            if self.waiting and rng.random() < 0.8:
                self.decide(self.waiting.pop(rng.randrange(len(self.waiting))))
            elif self.known:
                self.decide(rng.choice(self.known))
        if len(self.known) > 200:
            self.delete(self.known.pop(rng.randrange(len(self.known))))
        if rng.random() < 0.01:
            self.rig.dp.advance(rng.choice((0.001, 0.03, 0.5, 3.0)))

    def key(self, raw: bytes) -> dict[str, int]:
        sport, dport, nh = struct.unpack_from("<HHI", raw, 4)
        fields = {"family": raw[0], "proto": raw[1], "sport": sport, "dport": dport, "nh_id": nh}
        form, names = "<II", ("sip_l", "dip_l")
        if raw[0] == 10:
            form, names = "<QQQQ", ("sip_u", "sip_l", "dip_u", "dip_l")
        return fields | dict(zip(names, struct.unpack_from(form, raw, 12), strict=True))

    def reverse(self, raw: bytes) -> bytes:
        """The other direction's key, now and then another one."""
        rng, width = self.rng, 4 if raw[0] == 2 else 16
        ends = raw[12 + width :] + raw[12 : 12 + width]
        ports = raw[6:8] + raw[4:6] if raw[1] in (6, 17, 132) else raw[4:8]
        nh = rng.choice((*(GUEST1_NH,) * 4, GUEST2_NH, int.from_bytes(raw[8:12], "little")))
        if rng.random() < 0.3:
            ends = rng.randbytes(width) + rng.choice((ends[width:], rng.randbytes(width)))
            ports = rng.choice((ports, rng.randbytes(4)))
        return raw[:4] + ports + nh.to_bytes(4, "little") + ends

    def decide(self, index: int) -> None:
        """Reverse first, then the entry itself, as a true agent does; or half of it."""
        rng, entry = self.rng, self.rig.entry(index)
        if not entry.flags & ACTIVE or entry.key[0] not in (2, 10):
            return
        values = {
            "action": rng.choice(ACTIONS),
            "vrf": 1,
            "dvrf": rng.choice((0, 1, 2, 3)),
            "src_nh_index": rng.choice(NEXTHOPS),
            "ecmp_nh_index": rng.choice((-1, -1, 0, 1, 2, 3, 9, 127)),
            "ttl": rng.choice((0, 0, 1, 255)),
            "mir_id": rng.choice((255, 0, 1, 7)),
            "sec_mir_id": rng.choice((255, 0)),
        }
        flags = ACTIVE | rng.choice((0, 0, 0, 2, 8, 0xA, 0x14, 0x1E)) | rng.choice((0, 0x4000))
        flags |= rng.choice((0, 0, 0, 0x2000))
        other = -1
        if rng.random() < 0.8:
            back = self.key(self.reverse(entry.key))
            answer = self.rig.dp.flow_set(
                index=-1, gen_id=0, flags=flags | 0x1000, rindex=index, **back, **values
            )
            other = answer.handle
            if answer.code == 0:
                self.known.append(other)
        rflow = 0x1000 if other >= 0 else 0
        gen_id = entry.gen_id if rng.random() < 0.95 else rng.randrange(256)
        answer = self.rig.dp.flow_set(
            index=index,
            gen_id=gen_id,
            flags=flags | rflow,
            rindex=other,
            extflags=rng.choice((0, 0, 0, 0, 1, 2)),
            **self.key(entry.key),
            **values,
        )
        if answer.code == 0:
            self.known.append(index)

    def delete(self, index: int) -> None:
        entry = self.rig.entry(index)
        if entry.flags & ACTIVE and entry.key[0] in (2, 10):
            self.rig.dp.flow_set(index=index, gen_id=entry.gen_id, flags=0, **self.key(entry.key))

    def check_table(self) -> None:
        """The table's counts and what its entries say."""
        valid = held = 0
        for index in range(FLOW_ENTRIES + FLOW_OVERFLOW):
            entry = self.rig.entry(index)
            valid += entry.valid
            held += bool(entry.flags & 0x841 == ACTIVE and entry.action == HOLD)
            before = self.generations.get(index, 0)
            assert (entry.gen_id - before) % 256 < 250, "a generation went back"
            self.generations[index] = entry.gen_id
            assert -1 <= entry.rflow < FLOW_ENTRIES + FLOW_OVERFLOW
        stats = self.rig.dp.flow_table_stats()
        assert (stats.used, stats.hold_entries) == (valid, held)
        keys = [entry.key for entry in self.rig.entries()]
        assert len(keys) == len(set(keys)), "a key is there twice"


def conversation(rng: random.Random) -> tuple[int, bytes]:
    """A sound segment or datagram of one of few flows, from a guest or from the fabric."""
    vif, mac, source = rng.choice(GUESTS)
    remote = bytes.fromhex(rng.choice(REMOTES))
    sport, dport = rng.choice((1, 2)), 80
    backwards = rng.random() < 0.5
    ports = struct.pack(">HH", *((dport, sport) if backwards else (sport, dport)))
    if rng.random() < 0.7:
        seq, ack = rng.choice((1, 1, 1, 2)), rng.choice((1, 1, 2, 2, 3))
        bits = rng.choice((2, 0x12, 0x10, 0x11, 0x04, 0x14, 0x01))
        body = ports + struct.pack(">IIBBHHH", seq, ack, 0x50, bits, 9, 0, 0)
        body += bytes(rng.choice((0, 0, 1, 1400)))
    else:
        body = ports + struct.pack(">HH", 40, rng.choice((0, 7))) + bytes(32)
    proto = 6 if len(body) != 40 else 17
    fragment = rng.choice((0, 0, 0, 0, 0x2000, 0x2003, 0x0005, 0x4000))
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 7, fragment, 64, proto, 0)
    ends = remote + bytes.fromhex(source) if backwards else bytes.fromhex(source) + remote
    packet = header + ends + body
    if not backwards:
        return vif, ROUTER_MAC + mac + b"\x08\0" + packet
    label = (16 << 12 | 0x100 | 64).to_bytes(4)
    udp = struct.pack(">HHHH", 50000, 6635, 12 + len(packet), 0) + label + packet
    peer = bytes((10, 0, 0, rng.choice((2, 50, 77))))
    outer = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + peer + OURS
    return FABRIC, bytes.fromhex("0200000001010200000001020800") + outer + udp


def frame_of(
    rng: random.Random, frames: list[bytes], fixed: tuple[int, bytes] | None
) -> tuple[int, bytes]:
    """(vif, frame): damaged, or of a sound conversation."""
    if fixed is not None:
        vif, raw = fixed
        return vif, raw if rng.random() < 0.7 else damaged(raw, frames, rng)
    vif, raw = rng.choice(VIFS), rng.choice(frames)
    if vif == FABRIC and rng.random() < 0.8:
        raw = in_tunnel(raw, rng)
    if vif == AGENT:
        target = rng.choice((*VIFS, 99)).to_bytes(2, "big")
        command = rng.choice((0, 1, 1, 2)).to_bytes(2, "big")
        raw = bytes(14) + target + b"\0\x01" + command + bytes(24) + raw
    return vif, damaged(raw, frames, rng)


def disturb(rig: FlowRig, rng: random.Random) -> bool:
    """A change of the configuration; True: everything was made anew."""
    dp = rig.dp
    match rng.randrange(6):
        case 0:
            dp.nexthop_delete(rng.choice(CONFIG_CHANGES))
        case 1:
            dp.vif_delete(rng.choice((TAP2, SERVICE)))
        case 2:
            flags = rng.choice((0x1C1, 0x1C0, 0x401C1, 0x1C9))
            dp.vif_set(TAP1, type=3, flags=flags, vrf=1, nh_id=GUEST1_NH)
        case 3:
            dp.mirror_delete(0)
        case _:
            dp.reset()
            dp.close()
            return True
    return False


def run(cases: int, seed: int) -> dict[str, int]:
    """Feeds `cases` frames; returns how often each drop reason was seen."""
    rng = random.Random(seed)
    frames = corpus()
    agent = Agent(router(), rng)
    seen: dict[str, int] = {}
    for number in range(cases):
        rig = agent.rig
        fixed = conversation(rng) if rng.random() < 0.7 else None
        vif, frame = frame_of(rng, frames, fixed)
        if rig.dp.vif_get(vif) is not None:
            vnet = b"" if vif == AGENT or fixed else offload(rng)
            sent = rig.send(vif, frame, vnet)
            check_sent(vif, sent)
            agent.hear(sent)
        agent.act()
        rig.dp.captured()
        if number % 500 == 499:
            agent.check_table()
            for reason, count in zip(DROP_REASONS, rig.dp.drop_stats(), strict=True):
                if count:
                    seen[reason] = seen.get(reason, 0) + count
            assert not LOST & set(seen), seen
            rig.dp.drop_stats_clear()
            if disturb(rig, rng):
                agent = Agent(router(), rng)
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
