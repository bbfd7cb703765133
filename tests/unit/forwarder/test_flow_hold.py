"""Held packets beside a model: none is lost, doubled or out of order, whatever the agent does."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.forwarder.flow_rig import (
    DROP,
    FLOW_HOLD,
    FLOW_MISS,
    FORWARD,
    GUEST1_NH,
    HOLD,
    TAP1,
    TAP2,
    UDP_PROTO,
    FlowRig,
    Key,
    guest_frame,
    others,
    traps,
    udp,
)

FLOWS, QUEUE, LIMIT = 5, 3, 3
KEYS = [Key(GUEST1_NH, "15.0.0.3", "15.0.0.4", UDP_PROTO, port, 53) for port in range(FLOWS)]
FLOW = st.integers(0, FLOWS - 1)


@dataclass(slots=True)
class Model:
    """One flow: its action (None: there is no entry), and the packets that wait."""

    action: int | None = None
    waiting: list[int] = field(default_factory=list)


class HeldPackets(RuleBasedStateMachine):
    """Guest 1 sends numbered packets (the number is their size) of few flows to guest 2."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = FlowRig(hold_limit=LIMIT).build()
        self.flows = [Model() for _ in KEYS]
        self.number = 0
        self.drops: dict[str, int] = {}

    def lose(self, reason: str, count: int = 1) -> None:
        if count:
            self.drops[reason] = self.drops.get(reason, 0) + count

    def held(self) -> int:
        return sum(model.action == HOLD for model in self.flows)

    def sizes(self, sent: list[tuple[int, bytes]]) -> list[int]:
        """Numbers of the packets that reached guest 2."""
        assert all(vif == TAP2 for vif, _ in sent)
        return [len(frame) - 42 for _, frame in sent]

    def captured(self) -> list[int]:
        return self.sizes([(vif, frame) for vif, frame, _ in self.rig.dp.captured()])

    @rule(flow=FLOW)
    def send(self, flow: int) -> None:
        model, self.number = self.flows[flow], self.number + 1
        packet = udp("15.0.0.3", "15.0.0.4", flow, 53, self.number)
        sent = self.rig.send(TAP1, guest_frame(packet))
        told = [trap.reason for trap in traps(sent)]
        expected_told, out = [], []
        if model.action is None and self.held() >= LIMIT:
            self.lose("flow_unusable")
        elif model.action is None:
            model.action, model.waiting = HOLD, [self.number]
            expected_told = [FLOW_MISS]
        elif model.action == HOLD and len(model.waiting) == QUEUE:
            self.lose("flow_queue_limit_exceeded")
        elif model.action == HOLD:
            expected_told = [] if model.waiting else [FLOW_HOLD]
            model.waiting.append(self.number)
        elif model.action == DROP:
            self.lose("flow_action_drop")
        else:
            out = [self.number]
        assert told == expected_told
        assert self.sizes(others(sent)) == out

    @precondition(lambda self: any(model.action is not None for model in self.flows))
    @rule(flow=FLOW, action=st.sampled_from([DROP, HOLD, FORWARD, FORWARD]))
    def decide(self, flow: int, action: int) -> None:
        model = self.flows[flow]
        if model.action is None:
            return
        self.rig.change(KEYS[flow], self.rig.found(KEYS[flow]).index, action=action)
        model.action = action
        if action == HOLD:
            assert self.captured() == []
            return
        released, model.waiting = model.waiting, []
        if action == DROP:
            self.lose("flow_action_drop", len(released))
        assert self.captured() == (released if action == FORWARD else [])

    @rule(flow=FLOW)
    def delete(self, flow: int) -> None:
        model = self.flows[flow]
        if model.action is None:
            return
        index = self.rig.found(KEYS[flow]).index
        assert self.rig.set(KEYS[flow], index=index, flags=0).code == 0
        self.lose("flow_unusable", len(model.waiting))
        self.flows[flow] = Model()
        assert self.captured() == []

    @rule(seconds=st.sampled_from([0.01, 0.05]))
    def wait(self, seconds: float) -> None:
        self.rig.dp.advance(seconds)

    @precondition(lambda self: self.number % 7 == 6)
    @rule()
    def reset(self) -> None:
        """Everything goes, what waits too; the router is made anew."""
        self.rig.dp.reset()
        self.rig.build()
        self.flows = [Model() for _ in KEYS]
        self.drops = {}

    @invariant()
    def counts_are_right(self) -> None:
        assert self.rig.drops() == self.drops
        stats = self.rig.dp.flow_table_stats()
        assert stats.hold_entries == stats.created - stats.processed == self.held()

    def teardown(self) -> None:
        self.rig.dp.close()


TestHeldPackets = HeldPackets.TestCase
TestHeldPackets.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
