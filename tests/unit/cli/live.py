"""A real forwarder process with the objects of the recorded runs of the original tools.

It runs in a network namespace of its own, for it makes the tap of vhost0, and with tables of
the size that the recorded datapath had: entries then lie where they lay there.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from agent.cli.datapath_client import DatapathClient
from agent.errors import DatapathError
from agent.sandesh.framing import FrameReader
from agent.sandesh.vrouter import (
    FlowOp,
    Message,
    SandeshOp,
    VrFlowReq,
    VrFlowResponse,
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
    VrRouteReq,
    VrVrfAssignReq,
    VrVxlanReq,
    decode_messages,
)
from agent.shm import FlowAction, FlowFlag
from tests.netns import own_network
from tests.unit.cli.replay import captured

ROOT = Path(__file__).parents[3]
Kind = TypeVar("Kind", bound=Message)

NIC, VRRP = bytes.fromhex("001b21bbf948"), bytes.fromhex("00005e000100")
GUEST, PEER = bytes.fromhex("0203eb4be8d8"), bytes.fromhex("001b21bbf946")
TO_PEER = PEER + NIC + b"\x08\x00"
TO_GUEST = GUEST + VRRP + b"\x08\x00"
HERE, THERE = 0x02000008, 0x03000008  # 8.0.0.2, 8.0.0.3 as loaded
MOCK = 0x4000000
NO_VRF = 65535
PMD, SOCKET = 2, 3


@contextmanager
def forwarder(run_dir: Path, *options: str) -> Iterator[Path]:
    """A forwarder that serves in `run_dir`; this thread is in its network namespace meanwhile."""
    with own_network():
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.forwarder", "--run-dir", str(run_dir), *options],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            while "serves" not in (line := process.stderr.readline()):
                assert line, "the forwarder ended"
            yield run_dir
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


def program(run_dir: Path, *messages: Message, anew: bool = True) -> list[Message]:
    """Have these done, on empty tables if `anew`; the objects that came with the answers."""
    asked = (VrouterOps(h_op=SandeshOp.RESET), *messages) if anew else messages
    answers: list[Message] = []
    with DatapathClient.connect(run_dir) as client:
        for message in asked:
            code, objects = client.request(message.encode())
            if code < 0:
                raise DatapathError(-code, f"{os.strerror(-code)}: {message!r}")
            answers += [found for found in objects if isinstance(found, Message)]
    return answers


def get(run_dir: Path, request: Kind) -> Kind:
    """What a GET finds."""
    with DatapathClient.connect(run_dir) as client:
        return client.get(request.replace(h_op=SandeshOp.GET).encode(), type(request))


def recorded(conversation: str, kind: type[Kind]) -> list[Kind]:
    """Objects of this kind that the recorded datapath answered with, as requests to add them."""
    reader = FrameReader()
    for direction, data in captured(conversation):
        if direction == "rx":
            reader.feed(data)
    found = [message for frame in reader for message in decode_messages(frame.payload)]
    return [each.replace(h_op=SandeshOp.ADD) for each in found if isinstance(each, kind)]


def comparable(text: str) -> str:
    """Without what depends on the datapath asked: cores, its own references, earlier flows."""
    text = re.sub(r"(RX queue errors to lcore)(?: \d+)+", r"\1", text)
    text = re.sub(r"\(Created Flows/CPU:(?: \d+)+\)", "(Created Flows/CPU: 0)", text)
    text = re.sub(r"\bGen: \d+", "Gen: 1", text)
    text = re.sub(r"(Flow Generation ID: *)\d+", r"\g<1>1", text)
    text = re.sub(r"\bRef:\d+", "Ref:", text)
    return re.sub(r"\bRef_cnt:\d+ *", "Ref_cnt:", text)


# --- interfaces and nexthops


def vifs() -> list[VrInterfaceReq]:
    """Fabric, host, agent, and the guest of the first run."""
    common: dict[str, Any] = {"vifr_mcast_vrf": NO_VRF, "vifr_os_idx": -1, "vifr_mtu": 1514}
    return [
        VrInterfaceReq(
            vifr_idx=0, vifr_type=2, vifr_transport=PMD, vifr_name="fabric0", vifr_mac=NIC,
            vifr_flags=MOCK | 0x2C0, **common,
        ),
        VrInterfaceReq(
            vifr_idx=1, vifr_type=0, vifr_transport=PMD, vifr_name="vhost0", vifr_mac=NIC,
            vifr_ip=HERE, vifr_flags=MOCK | 0x140, **common,
        ),
        VrInterfaceReq(
            vifr_idx=2, vifr_type=1, vifr_transport=SOCKET, vifr_name="unix", vifr_vrf=NO_VRF,
            vifr_mac=VRRP, vifr_flags=MOCK | 0x40, **common,
        ),
        VrInterfaceReq(
            vifr_idx=3, vifr_type=3, vifr_transport=PMD, vifr_name="tap03eb4be8-d8", vifr_vrf=2,
            vifr_mac=VRRP, vifr_flags=0x1C1, vifr_nh_id=24, vifr_os_idx=-1, vifr_mtu=1514,
            vifr_mcast_vrf=2, vifr_ip=int.from_bytes(ip_address("1.1.1.3").packed, "little"),
        ),
    ]  # fmt: skip


def tunnel(number: int, kind: int, **fields: Any) -> VrNexthopReq:
    return VrNexthopReq(
        nhr_id=number, nhr_type=3, nhr_family=2, nhr_flags=0x1 | kind, nhr_encap_oif_id=(0,),
        nhr_encap=TO_PEER, nhr_encap_len=14, nhr_tun_sip=HERE, nhr_tun_dip=THERE, **fields,
    )  # fmt: skip


def guest_nexthop(number: int = 24, vif: int = 3, **fields: Any) -> VrNexthopReq:
    return VrNexthopReq(
        nhr_id=number, nhr_type=2, nhr_family=2, nhr_vrf=2, nhr_flags=0x3, nhr_encap=TO_GUEST,
        nhr_encap_len=14, nhr_encap_oif_id=(vif,), **fields,
    )  # fmt: skip


def first_run() -> list[Message]:
    """Interfaces, nexthops, routes and the label of the first run."""
    return [
        *vifs(),
        VrNexthopReq(nhr_id=3, nhr_type=8, nhr_family=2, nhr_vrf=2, nhr_flags=0x200001),
        tunnel(14, 0x80),
        tunnel(22, 0x40),
        guest_nexthop(),
        *recorded("rtg4", VrRouteReq),
        VrRouteReq(rtr_vrf_id=2, rtr_family=7, rtr_mac=GUEST, rtr_nh_id=24, rtr_label_flags=1),
        VrMplsReq(mr_label=48, mr_nhid=24),
    ]


def second_run() -> list[Message]:
    """What the second run had, as far as its outputs show."""
    return [
        *vifs()[:3],
        *recorded("vifget3", VrInterfaceReq),
        *recorded("vifget4", VrInterfaceReq),
        guest_nexthop(25, 4), guest_nexthop(45, 4),
        VrVrfAssignReq(var_vif_index=4, var_vlan_id=10, var_vif_vrf=3, var_nh_id=25),
        *sorted(recorded("nhget40", VrNexthopReq), key=lambda nexthop: nexthop.nhr_id),
        VrVrfAssignReq(var_vif_index=4, var_vlan_id=20, var_vif_vrf=2, var_nh_id=24),
        *recorded("mplsd", VrMplsReq),
        *(VrNexthopReq(nhr_id=n, nhr_type=5, nhr_family=2, nhr_flags=1) for n in (8, 9, 14, 15)),
        VrVxlanReq(vxlanr_vnid=5, vxlanr_nhid=9),
        VrVxlanReq(vxlanr_vnid=100, vxlanr_nhid=8),
        VrMirrorReq(mirr_index=1, mirr_nhid=15, mirr_vni=-1),
        VrMirrorReq(mirr_index=2, mirr_nhid=14, mirr_flags=1, mirr_vni=50),
    ]  # fmt: skip


# --- flows


@dataclass(frozen=True)
class Half:
    """One direction; `nh` the key's, `src` the one that sources are checked against."""

    source: str
    sport: int
    destination: str
    dport: int
    nh: int
    src: int
    vrf: int = 2
    dvrf: int | None = None
    flags: int = 0
    reason: int = 0
    ecmp: int = -1
    mirrors: tuple[int, int] | None = None

    def request(self, proto: int, action: FlowAction) -> VrFlowReq:
        source, destination = ip_address(self.source).packed, ip_address(self.destination).packed
        flags = FlowFlag.ACTIVE | self.flags
        flags |= 0 if self.dvrf is None else FlowFlag.VRFT
        flags |= 0 if self.mirrors is None else FlowFlag.MIRROR
        mirror, second = self.mirrors or (255, 255)
        return VrFlowReq(
            fr_op=FlowOp.FLOW_SET, fr_index=-1, fr_rindex=-1,
            fr_family=2 if len(source) == 4 else 10, fr_flow_proto=proto,
            fr_flow_sip_u=_word(source[:8]) if len(source) == 16 else 0,
            fr_flow_sip_l=_word(source[-8:]),
            fr_flow_dip_u=_word(destination[:8]) if len(source) == 16 else 0,
            fr_flow_dip_l=_word(destination[-8:]),
            fr_flow_sport=_word(self.sport.to_bytes(2, "big")),
            fr_flow_dport=_word(self.dport.to_bytes(2, "big")),
            fr_flow_nh_id=self.nh, fr_src_nh_index=self.src, fr_flow_vrf=self.vrf,
            fr_flow_dvrf=self.dvrf or 0, fr_action=action, fr_drop_reason=self.reason,
            fr_flags=_signed(flags), fr_ecmp_nh_index=self.ecmp & 0xFFFFFFFF,
            fr_mir_id=mirror, fr_sec_mir_id=second, fr_qos_id=0xFFFF, fr_ttl=64,
            fr_underlay_ecmp_index=-1,
        )  # fmt: skip


def _signed(flags: int) -> int:
    return ((flags & 0xFFFF) ^ 0x8000) - 0x8000


def _word(octets: bytes) -> int:
    return int.from_bytes(octets, "little")


S, PS, D, PD, L = (
    FlowFlag.SNAT, FlowFlag.SPAT, FlowFlag.DNAT, FlowFlag.DPAT, FlowFlag.LINK_LOCAL,
)  # fmt: skip
POLICY, SG, REVERSE_SG = 21, 23, 25
ICMP_PAIR = (
    1, FlowAction.FORWARD,
    Half("1.1.1.3", 1418, "2.2.2.3", 0, 24, 24),
    Half("2.2.2.3", 1418, "1.1.1.3", 0, 24, 22),
)  # fmt: skip
PAIRS = [
    ICMP_PAIR,
    (6, FlowAction.FORWARD,
     Half("1.1.1.3", 33000, "2.2.2.3", 80, 24, 24, ecmp=1),
     Half("2.2.2.3", 80, "1.1.1.3", 33000, 22, 40)),
    (6, FlowAction.NAT,
     Half("1.1.1.3", 50000, "7.7.7.7", 443, 24, 24, dvrf=3, flags=S),
     Half("7.7.7.7", 443, "5.5.5.5", 50000, 22, 22, vrf=3, dvrf=2, flags=D)),
    (6, FlowAction.NAT,
     Half("1.1.1.3", 51000, "169.254.169.254", 80, 24, 24, dvrf=0, flags=S | PS | D | PD | L),
     Half("8.0.0.3", 8775, "8.0.0.2", 52000, 5, 5, vrf=0, dvrf=2, flags=S | PS | D | PD)),
    (58, FlowAction.DROP,
     Half("2001:db8::3", 128, "2001:db8:1::a", 0, 24, 24, reason=POLICY),
     Half("2001:db8:1::a", 128, "2001:db8::3", 0, 22, 22, reason=POLICY)),
    (6, FlowAction.DROP,
     Half("1.1.1.3", 40000, "9.9.9.9", 22, 24, 24, reason=SG),
     Half("9.9.9.9", 22, "1.1.1.3", 40000, 22, 24, reason=REVERSE_SG)),
    (17, FlowAction.FORWARD,
     Half("2001:db8::3", 1500, "2001:db8:1::9", 53, 24, 24, mirrors=(1, 2)),
     Half("2001:db8:1::9", 53, "2001:db8::3", 1500, 22, 22)),
]  # fmt: skip


def add_pair(
    run_dir: Path, proto: int, action: FlowAction, one: Half, other: Half
) -> tuple[int, int]:
    """Add two flows that answer each other, as an agent does: three requests. Their indices."""

    def ask(request: VrFlowReq) -> VrFlowResponse:
        (answer,) = program(run_dir, request, anew=False)
        assert isinstance(answer, VrFlowResponse)
        return answer

    first = ask(one.request(proto, action))
    linked = other.request(proto, action).replace(fr_rindex=first.fresp_index)
    second = ask(linked.replace(fr_flags=_signed(linked.fr_flags | FlowFlag.RFLOW_VALID)))
    change = one.request(proto, action).replace(
        fr_index=first.fresp_index, fr_gen_id=first.fresp_gen_id, fr_rindex=second.fresp_index
    )
    ask(change.replace(fr_flags=_signed(change.fr_flags | FlowFlag.RFLOW_VALID)))
    return first.fresp_index, second.fresp_index


def write_ports(run_dir: Path, ports: dict[int, int]) -> None:
    """Give flows these outer source ports, which every datapath draws with a seed of its own."""
    with open(run_dir / "flow.shmem", "r+b") as table:
        for index, port in ports.items():
            table.seek(256 * index + 118)
            table.write(port.to_bytes(2, "little"))
