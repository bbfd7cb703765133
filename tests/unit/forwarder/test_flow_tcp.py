"""TCP state of flow pairs, and their end: DEAD, EVICT_CANDIDATE, EVICTED, the slot's next use."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from tests.unit.forwarder.flow_rig import (
    ACTIVE,
    CANDIDATE,
    DROP,
    EVICTED,
    GUEST1_NH,
    GUEST2_NH,
    HOLD,
    MAC1,
    MAC2,
    TAP1,
    TAP2,
    TCP_PROTO,
    FlowRig,
    Key,
    guest_frame,
    traps,
)

FIN, HALF_CLOSE, FIN_R, SYN, SYN_R, EST, EST_R, RST = 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80
DEAD = 0x8000
CLIENT_ISN, SERVER_ISN = 0xFFFFFFFE, 5000
"""The client's sequence wraps around during the connection."""


class Talk:
    """A TCP connection between the two guests, segment by segment."""

    def __init__(self, version: int = 4) -> None:
        self.rig = FlowRig().build()
        self.ends = ("15.0.0.3", "15.0.0.4") if version == 4 else ("fd00::3", "fd00::4")
        self.key = Key(GUEST1_NH, *self.ends, TCP_PROTO, 1111, 80)
        self.back = self.key.reverse(GUEST2_NH)
        self.client, self.server = self.rig.pair(self.key, self.back)

    def send(self, flags: str, seq: int, ack: int = 0, size: int = 0) -> bool:
        """From the client; True: it came out at the server."""
        return self._send(0, flags, seq, ack, size)

    def answer(self, flags: str, seq: int, ack: int = 0, size: int = 0) -> bool:
        return self._send(1, flags, seq, ack, size)

    def _send(self, side: int, flags: str, seq: int, ack: int, size: int) -> bool:
        src, dst = self.ends[side], self.ends[1 - side]
        layer = IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)
        sport, dport = ((1111, 80), (80, 1111))[side]
        tcp = TCP(sport=sport, dport=dport, flags=flags, seq=seq % 2**32, ack=ack % 2**32)
        mac, vif, out = ((MAC1, TAP1, TAP2), (MAC2, TAP2, TAP1))[side]
        sent = self.rig.send(vif, guest_frame(layer / tcp / Raw(b"x" * size), src=mac))
        assert traps(sent) == []
        return [where for where, _ in sent] == [out]

    def states(self) -> tuple[int, int]:
        return self.rig.entry(self.client).tcp, self.rig.entry(self.server).tcp

    def open(self) -> None:
        assert self.send("S", CLIENT_ISN)
        assert self.answer("SA", SERVER_ISN, CLIENT_ISN + 1)
        assert self.send("A", CLIENT_ISN + 1, SERVER_ISN + 1)

    def close(self) -> bool:
        """Both sides' FINs and their acknowledgements; the last one came out."""
        assert self.send("FA", CLIENT_ISN + 1, SERVER_ISN + 1)
        assert self.answer("FA", SERVER_ISN + 1, CLIENT_ISN + 2)
        return self.send("A", CLIENT_ISN + 2, SERVER_ISN + 2)


@pytest.fixture(params=[4, 6])
def talk(request: pytest.FixtureRequest) -> Talk:
    return Talk(request.param)


OPEN = (SYN | SYN_R | EST | EST_R,) * 2


def test_handshake(talk: Talk) -> None:
    talk.send("S", CLIENT_ISN)
    assert talk.states() == (SYN, SYN_R)
    talk.answer("SA", SERVER_ISN, CLIENT_ISN + 1)
    assert talk.states() == (SYN | SYN_R | EST, SYN | SYN_R | EST_R)
    talk.send("A", CLIENT_ISN + 1, SERVER_ISN + 1)
    assert talk.states() == OPEN


def test_wrong_acknowledgement_does_not_establish(talk: Talk) -> None:
    talk.send("S", CLIENT_ISN)
    talk.answer("SA", SERVER_ISN, CLIENT_ISN + 2)
    assert talk.states() == (SYN | SYN_R, SYN | SYN_R)


def test_close_by_both_sides(talk: Talk) -> None:
    talk.open()
    assert talk.send("FA", CLIENT_ISN + 1, SERVER_ISN + 1)
    assert talk.states() == (OPEN[0] | FIN, OPEN[1] | FIN_R)
    assert talk.answer("A", SERVER_ISN + 1, CLIENT_ISN + 2)
    assert talk.states() == (OPEN[0] | FIN | HALF_CLOSE, OPEN[1] | FIN_R)
    assert talk.answer("FA", SERVER_ISN + 1, CLIENT_ISN + 2, size=10)
    assert talk.send("A", CLIENT_ISN + 2, SERVER_ISN + 1), "does not acknowledge the FIN"
    assert not talk.states()[0] & DEAD
    assert talk.send("A", CLIENT_ISN + 2, SERVER_ISN + 12), "the last segment passes"
    assert [state & DEAD for state in talk.states()] == [DEAD, DEAD]


def test_closed_pair_is_a_candidate_and_drops(talk: Talk) -> None:
    talk.open()
    assert talk.close()
    assert all(talk.rig.entry(i).flags & CANDIDATE for i in (talk.client, talk.server))
    assert not talk.send("A", CLIENT_ISN + 2, SERVER_ISN + 2)
    assert not talk.answer("A", SERVER_ISN + 2, CLIENT_ISN + 2)
    assert talk.rig.drops() == {"flow_evict": 2}


def test_evicted_slot_keeps_its_counters_until_the_next_owner(talk: Talk) -> None:
    talk.open()
    talk.close()
    talk.rig.dp.advance(1.0)
    for index in (talk.client, talk.server):
        entry = talk.rig.entry(index)
        assert entry.flags & (ACTIVE | CANDIDATE | EVICTED) == ACTIVE | EVICTED
        assert (entry.valid, entry.action, entry.rflow, entry.tcp) == (False, DROP, -1, 0)
        assert entry.packets > 0
    before = talk.rig.entry(talk.client)
    assert before.packets == 4
    assert talk.rig.set(talk.key, index=talk.client).code == -16, "no request touches it"
    src, dst = talk.ends
    layer = IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)
    again = layer / TCP(sport=1111, dport=80, flags="S")
    (trap,) = traps(talk.rig.send(TAP1, guest_frame(again)))
    entry = talk.rig.found(talk.key)
    assert (entry.index, entry.gen_id, entry.action) == (talk.client, 2, HOLD)
    assert trap.params == (talk.client, GUEST1_NH, before.bytes, before.packets, 0)
    assert (trap.gen_id, entry.packets) == (2, 1)


def test_data_before_the_end_does_not_close(talk: Talk) -> None:
    talk.open()
    assert talk.send("PA", CLIENT_ISN + 1, SERVER_ISN + 1, size=100)
    assert talk.send("FA", CLIENT_ISN + 101, SERVER_ISN + 1, size=50)
    assert talk.answer("A", SERVER_ISN + 1, CLIENT_ISN + 101)
    assert not talk.states()[0] & HALF_CLOSE
    assert talk.answer("A", SERVER_ISN + 1, CLIENT_ISN + 152)
    assert talk.states()[0] & HALF_CLOSE


# --- resets


def test_reset_at_the_expected_sequence_ends_the_pair(talk: Talk) -> None:
    talk.open()
    assert talk.answer("A", SERVER_ISN + 1, CLIENT_ISN + 1)
    assert talk.send("R", CLIENT_ISN + 1)
    assert [state & DEAD for state in talk.states()] == [DEAD, DEAD]
    assert talk.states()[0] & RST
    assert not talk.answer("A", SERVER_ISN + 1, CLIENT_ISN + 1)


@pytest.mark.parametrize("offset", [-1, 1, 1000])
def test_reset_elsewhere_changes_nothing(talk: Talk, offset: int) -> None:
    talk.open()
    assert talk.send("R", CLIENT_ISN + 1 + offset)
    assert talk.answer("RA", SERVER_ISN + 1 + offset, CLIENT_ISN + 1)
    assert talk.states() == OPEN


def test_refused_connection_ends_the_pair(talk: Talk) -> None:
    assert talk.send("S", CLIENT_ISN)
    assert talk.answer("RA", 0, CLIENT_ISN + 1)
    assert [state & DEAD for state in talk.states()] == [DEAD, DEAD]


def test_refusal_of_another_syn_changes_nothing(talk: Talk) -> None:
    assert talk.send("S", CLIENT_ISN)
    assert talk.answer("RA", 0, CLIENT_ISN + 2)
    assert talk.answer("R", 0)
    assert talk.states() == (SYN, SYN_R)


def test_reset_before_anything_changes_nothing(talk: Talk) -> None:
    assert talk.send("R", 0)
    assert talk.states() == (0, 0)


# --- what is not looked at


def test_dropped_flow_has_no_state() -> None:
    talk = Talk()
    talk.rig.change(talk.key, talk.client, action=DROP)
    assert not talk.send("S", CLIENT_ISN)
    assert talk.states() == (0, 0)


def test_flow_without_a_partner_tracks_its_own_side() -> None:
    rig = FlowRig().build()
    key = Key(GUEST1_NH, "15.0.0.3", "15.0.0.4", TCP_PROTO, 1111, 80)
    index = rig.add(key)
    for flags in ("S", "A", "FA", "R"):
        packet = IP(src="15.0.0.3", dst="15.0.0.4") / TCP(sport=1111, dport=80, flags=flags)
        assert len(rig.send(TAP1, guest_frame(packet))) == 1
    assert rig.entry(index).tcp == SYN | FIN
    assert rig.entry(index).flags & CANDIDATE == 0


@pytest.mark.parametrize("offset", [4, 15])
def test_header_that_lies_about_its_length_is_not_looked_at(offset: int) -> None:
    talk = Talk()
    src, dst = talk.ends
    packet = IP(src=src, dst=dst) / TCP(sport=1111, dport=80, flags="S", dataofs=offset)
    assert len(talk.rig.send(TAP1, guest_frame(packet))) == 1
    assert talk.states() == (0, 0)
