"""Run in an empty network namespace: two guests on real devices, every flow decided by a loop here.

Guest 1 is seen by guest 2 at a floating address. Its kernel leaves checksums and segmentation
to the device, so that translation meets partial checksums and super-frames.
"""

from __future__ import annotations

import contextlib
import threading
import time

from agent._fast.forwarding import FRAMING_VNET
from tests.unit.forwarder.dataplane_wire import (
    TAP1,
    TAP2,
    Guest,
    build,
    counter,
    ip,
    open_packet,
    open_tap,
    transfer,
)
from tests.unit.forwarder.flow_rig import (
    DNAT,
    FLOW_MISS,
    GUEST1_NH,
    GUEST2_NH,
    ICMP_PROTO,
    MAC1,
    MAC2,
    NAT,
    SNAT,
    VRFT,
    FlowRig,
    Key,
    traps,
)

INSIDE, FLOATING, PEER = "15.0.0.3", "15.0.0.30", "15.0.0.4"


class Decider:
    """Answers the traps of new flows: what guest 1 sends to guest 2 is translated."""

    def __init__(self, rig: FlowRig) -> None:
        self.rig = rig
        self.decided = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        while not self.ended.is_set():
            sent = [(vif, frame) for vif, frame, _ in self.rig.dp.captured()]
            for trap in traps(sent):
                if trap.reason == FLOW_MISS:
                    self.decide(self.rig.entry(trap.index).key)
            time.sleep(0.001)

    def decide(self, raw: bytes) -> None:
        src, dst = (".".join(map(str, raw[at : at + 4])) for at in (12, 16))
        sport, dport = int.from_bytes(raw[4:6], "big"), int.from_bytes(raw[6:8], "big")
        if (src, dst) != (INSIDE, PEER):
            return
        key = Key(GUEST1_NH, src, dst, raw[1], sport, dport)
        back = (sport, dport) if raw[1] == ICMP_PROTO else (dport, sport)
        self.rig.pair(
            key,
            Key(GUEST2_NH, PEER, FLOATING, raw[1], *back),
            action=NAT,
            dvrf=1,
            forward_set={"flags": SNAT | VRFT},
            reverse_set={"flags": DNAT | VRFT},
        )
        self.decided += 1


def check(rig: FlowRig, one: Guest, two: Guest) -> None:
    one.run("ping", "-q", "-c", "3", "-i", "0.05", "-W", "5", PEER)
    two.run("sh", "-c", f"ip neighbour | grep -q '^{FLOATING} '")
    two.run("sh", "-c", f"! ip neighbour | grep -q '^{INSIDE} '")
    transfer(one, two)
    assert counter(rig, TAP1, 0) / counter(rig, TAP1, 1) > 3000, "TCP came in super-frames"


def main() -> None:
    build()
    tap = open_tap("tap2")
    ip("link", "set", "tap2", "mtu", "9000")
    rig = FlowRig().build()
    rig.route(f"{FLOATING}/32", GUEST1_NH, flags=2)
    rig.route(f"{PEER}/32", GUEST2_NH, flags=2)
    decider = Decider(rig)
    loop = threading.Thread(target=rig.dp.run)
    loop.start()
    decider.thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(loop.join)
        stack.callback(rig.dp.stop)
        stack.callback(decider.thread.join)
        stack.callback(decider.ended.set)
        one = Guest("guest1", MAC1, f"{INSIDE}/24")
        stack.callback(one.end)
        two = Guest("tap2", MAC2, f"{PEER}/24")
        stack.callback(two.end)
        device = stack.enter_context(open_packet("host1"))
        assert rig.dp.vif_attach(TAP1, device.fileno(), FRAMING_VNET) == 0
        assert rig.dp.vif_attach(TAP2, tap, FRAMING_VNET) == 0
        check(rig, one, two)
    assert decider.decided >= 2
    print("ok")


if __name__ == "__main__":
    main()
