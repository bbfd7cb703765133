"""Where packets of a flow must come from, and where its ECMP choice sends them."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from tests.unit.forwarder.dataplane_rig import address
from tests.unit.forwarder.flow_rig import (
    ANSWER,
    FABRIC,
    GUEST1_NH,
    GUEST2_NH,
    KEY,
    LOCAL,
    PACKET,
    TAP1,
    TAP2,
    TUNNEL_NH,
    FlowRig,
    Key,
    from_fabric,
    guest_frame,
    inner_ip,
    udp,
)

BACK = KEY.reverse(GUEST1_NH)
ECMP_NH = 70
PEERS = ("10.0.0.60", "10.0.0.61", "10.0.0.62", "10.0.0.63")


@pytest.fixture
def rig() -> FlowRig:
    return FlowRig().build()


def ecmp_rig() -> FlowRig:
    """15.0.0.9 is behind four tunnels, 40 to 43, as one ECMP choice."""
    rig = FlowRig().build()
    for number, peer in enumerate(PEERS):
        rig.tunnel(40 + number, 0x40, peer)
    rig.composite(ECMP_NH, 0x401, [40, 41, 42, 43], [30, 31, 32, 33], family=2)
    rig.route("15.0.0.9/32", ECMP_NH)
    return rig


def peer_of(frame: bytes) -> str:
    return ".".join(map(str, frame[30:34]))


def label_of(frame: bytes) -> int:
    return int.from_bytes(frame[42:46], "big") >> 12


# --- the source nexthop


@pytest.mark.parametrize(
    ("nexthop", "passes"), [(0, True), (GUEST1_NH, True), (GUEST2_NH, False), (TUNNEL_NH, False)]
)
def test_guests_packet_must_come_from_its_vif(rig: FlowRig, nexthop: int, passes: bool) -> None:
    rig.add(KEY, src_nh_index=nexthop)
    sent = rig.send(TAP1, guest_frame(PACKET))
    assert [vif for vif, _ in sent] == ([FABRIC] if passes else [])
    assert rig.drops() == ({} if passes else {"invalid_source": 1})


@pytest.mark.parametrize(
    ("nexthop", "peer", "passes"),
    [
        (TUNNEL_NH, "10.0.0.2", True),
        (TUNNEL_NH, "10.0.0.3", False),
        (GUEST1_NH, "10.0.0.2", False),
        (0, "10.0.0.3", True),
        (4000, "10.0.0.2", False),
    ],
)
def test_fabrics_packet_must_come_from_its_tunnel(
    rig: FlowRig, nexthop: int, peer: str, passes: bool
) -> None:
    index = rig.add(BACK, src_nh_index=nexthop)
    sent = rig.send(FABRIC, from_fabric(ANSWER, peer=peer))
    assert [vif for vif, _ in sent] == ([TAP1] if passes else [])
    assert rig.drops() == ({} if passes else {"invalid_source": 1})
    assert rig.entry(index).src_info == address(peer)


def test_source_that_moved_is_refused(rig: FlowRig) -> None:
    rig.add(KEY, src_nh_index=GUEST1_NH)
    assert len(rig.send(TAP1, guest_frame(PACKET))) == 1
    rig.policy(TAP2, GUEST1_NH)
    assert rig.send(TAP2, guest_frame(PACKET)) == []
    assert rig.drops() == {"invalid_source": 1}


def test_source_among_several_moves_the_answers(rig: FlowRig) -> None:
    rig = ecmp_rig()
    index, other = rig.pair(
        KEY,
        BACK,
        forward_set={"ecmp_nh_index": 1, "src_nh_index": GUEST1_NH},
        reverse_set={"src_nh_index": ECMP_NH},
    )
    assert [vif for vif, _ in rig.send(FABRIC, from_fabric(ANSWER, peer=PEERS[1]))] == [TAP1]
    assert rig.entry(index).ecmp == 1
    assert [vif for vif, _ in rig.send(FABRIC, from_fabric(ANSWER, peer=PEERS[3]))] == [TAP1]
    assert rig.entry(index).ecmp == 3, "answers go to the member that sends now"
    ((_, frame),) = rig.send(TAP1, guest_frame(PACKET))
    assert (peer_of(frame), label_of(frame)) == (PEERS[3], 33)
    assert rig.send(FABRIC, from_fabric(ANSWER, peer="10.0.0.2")) == []
    assert rig.drops() == {"invalid_source": 1}
    assert rig.entry(other).packets == 3


# --- ECMP by flow


def test_flow_keeps_the_member_that_the_agent_chose() -> None:
    rig = ecmp_rig()
    index = rig.add(KEY, ecmp_nh_index=2)
    for _ in range(3):
        ((_, frame),) = rig.send(TAP1, guest_frame(PACKET))
        assert (peer_of(frame), label_of(frame)) == (PEERS[2], 32)
    assert rig.entry(index).ecmp == 2


def test_flow_without_a_member_takes_its_partners() -> None:
    rig = ecmp_rig()
    index, _ = rig.pair(KEY, BACK)
    assert len(rig.send(FABRIC, from_fabric(ANSWER, peer=PEERS[2]))) == 1
    ((_, frame),) = rig.send(TAP1, guest_frame(PACKET))
    assert peer_of(frame) == PEERS[2]
    assert rig.entry(index).ecmp == 2


def test_flow_without_a_member_and_answers_is_hashed_and_kept() -> None:
    rig = ecmp_rig()
    seen = set()
    for port in range(40):
        key = Key(GUEST1_NH, "15.0.0.3", "15.0.0.9", 17, port, 53)
        index = rig.add(key)
        frame = guest_frame(udp("15.0.0.3", "15.0.0.9", port, 53))
        ((_, first),) = rig.send(TAP1, frame)
        ((_, second),) = rig.send(TAP1, frame)
        assert peer_of(first) == peer_of(second) == PEERS[rig.entry(index).ecmp]
        seen.add(peer_of(first))
    assert seen == set(PEERS)


def test_empty_slot_is_hashed_anew_and_kept() -> None:
    rig = ecmp_rig()
    index = rig.add(KEY, ecmp_nh_index=2)
    rig.composite(ECMP_NH, 0x401, [40, -1, -1, 43], [30, -1, -1, 33], family=2)
    ((_, frame),) = rig.send(TAP1, guest_frame(PACKET))
    member = rig.entry(index).ecmp
    assert member in (0, 3)
    assert peer_of(frame) == PEERS[member]
    rig.composite(ECMP_NH, 0x401, [40, 41, 42, 43], [30, 31, 32, 33], family=2)
    ((_, frame),) = rig.send(TAP1, guest_frame(PACKET))
    assert peer_of(frame) == PEERS[member], "the flow stays where it is"


def test_choice_without_members_drops() -> None:
    rig = ecmp_rig()
    rig.add(KEY, ecmp_nh_index=1)
    rig.composite(ECMP_NH, 0x401, [-1, -1], [-1, -1], family=2)
    assert rig.send(TAP1, guest_frame(PACKET)) == []
    assert rig.drops() == {"discard": 1}


def test_local_members_answer_by_the_vif_that_was_used(rig: FlowRig) -> None:
    """Two guests share an address; a packet from one of them moves the answers to it."""
    rig.encap(60, TAP1, bytes.fromhex("020000000060"))
    rig.encap(61, TAP2, bytes.fromhex("020000000061"))
    rig.composite(ECMP_NH, 0x401, [60, 61], [-1, -1], family=2)
    assert rig.dp.label_set(50, ECMP_NH) == 0
    key = Key(GUEST2_NH, "15.0.0.50", "15.0.0.9", 17, 1, 2)
    back = Key(ECMP_NH, "15.0.0.9", "15.0.0.50", 17, 2, 1)
    index, other = rig.pair(
        key, back, forward_set={"src_nh_index": ECMP_NH}, reverse_set={"ecmp_nh_index": 0}
    )
    assert len(rig.send(TAP2, guest_frame(udp("15.0.0.50", "15.0.0.9", 1, 2)))) == 1
    assert rig.entry(other).ecmp == 1
    rig.dp.nexthop_set(
        ECMP_NH, type=6, family=2, flags=0x403, vrf=1, nh_list=[60, 61], label_list=[-1, -1]
    )
    answer = udp("15.0.0.9", "15.0.0.50", 2, 1)
    assert [vif for vif, _ in rig.send(FABRIC, from_fabric(answer, label=50))] == [TAP2]
    assert (rig.entry(index).packets, rig.entry(other).packets) == (1, 1)


# --- what the entry keeps for its tunnel


def test_outer_source_port_is_kept_in_the_entry(rig: FlowRig) -> None:
    index = rig.add(KEY)
    ((_, first),) = rig.send(TAP1, guest_frame(PACKET))
    port = int.from_bytes(first[34:36], "big")
    assert rig.entry(index).udp_port == port >= 49152
    fragment = (
        IP(src="15.0.0.3", dst="15.0.0.9", id=9, flags="MF")
        / UDP(sport=1111, dport=2222, len=48)
        / Raw(bytes(24))
    )
    rest = IP(src="15.0.0.3", dst="15.0.0.9", id=9, frag=4, proto=17) / Raw(bytes(16))
    for part in (fragment, rest):
        ((_, frame),) = rig.send(TAP1, guest_frame(part))
        assert int.from_bytes(frame[34:36], "big") == port
    mock = rig.add(LOCAL, extflags=2)
    assert rig.entry(mock).udp_port == 0x12B5


def test_ttl_of_the_entry_is_written(rig: FlowRig) -> None:
    rig.add(BACK, ttl=255)
    ((_, frame),) = rig.send(FABRIC, from_fabric(ANSWER))
    packet = frame[14:]
    assert packet[8] == 255
    assert bytes(IP(packet)) == packet
    assert IP(rebuilt(packet)).chksum == IP(packet).chksum


def rebuilt(packet: bytes) -> bytes:
    """The packet with its checksum computed anew."""
    parsed: Any = IP(packet)
    del parsed.chksum
    return bytes(parsed)


def test_vrf_translation_routes_in_the_other_vrf(rig: FlowRig) -> None:
    rig.route("15.0.0.9/32", GUEST2_NH, vrf=2)
    rig.add(KEY, flags=0x4001, dvrf=2)
    ((vif, frame),) = rig.send(TAP1, guest_frame(PACKET))
    assert (vif, frame[22]) == (TAP2, 63)
    rig.add(BACK, flags=0x4001, dvrf=2)
    rig.route("15.0.0.3/32", GUEST2_NH, vrf=2)
    assert [vif for vif, _ in rig.send(FABRIC, from_fabric(ANSWER))] == [TAP2]


def test_vrf_translation_to_the_guests_own_vrf_goes_straight_to_it(rig: FlowRig) -> None:
    rig.add(BACK, flags=0x4001, dvrf=1)
    ((vif, frame),) = rig.send(FABRIC, from_fabric(ANSWER))
    assert (vif, frame[22]) == (TAP1, 64)


def test_df_trap_names_the_flow(rig: FlowRig) -> None:
    index = rig.add(KEY)
    big = IP(src="15.0.0.3", dst="15.0.0.9", flags="DF") / UDP(sport=1111, dport=2222)
    ((_, frame),) = rig.send(TAP1, guest_frame(big / Raw(bytes(1470))))
    assert int.from_bytes(frame[18:20], "big") == 11
    assert int.from_bytes(frame[24:28], "big") == index


def test_tunnel_frames_are_whole(rig: FlowRig) -> None:
    rig.add(KEY)
    ((_, frame),) = rig.send(TAP1, guest_frame(PACKET))
    assert inner_ip(frame)[20:] == bytes(PACKET)[20:]
