"""ARP (RFC 826; facts pkt0-services.md 5): neighbours on the fabric, and what VMs say.

The datapath answers VMs itself from its routes. The agent resolves fabric addresses for tunnels
and for trapped data, tells VMs and the fabric where its own addresses are, probes VMs whose
addresses wait for traffic, and reports what it learns as events.

Every method that may send returns the frames; `take_events` returns what was learned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from agent._fast.packet import Packet
from agent.inputs import ArpLost, ArpResolved, TrafficSeen
from agent.oper.rows import Fabric, Vmi
from agent.pkt import ArpKind
from agent.services import arp_frames as frames
from agent.services.view import FABRIC_VRF, View
from agent.timers import Deadlines
from agent.values import Mac

RETRY_SECONDS = 2.0
MAX_RETRIES = 8
AGING_SECONDS = 300.0
ANNOUNCE_SENDS = 3
PROBE_FAST_SENDS = 150
PROBE_SLOW_SECONDS = 10.0
PROBE_SLOW_OTHER_MAC_SECONDS = 5.0

_ETH_ARP = 0x0806
# Plain numbers: an enum member costs two look-ups each time on the hot path.
_INVALID, _UNKNOWN_OP = int(ArpKind.INVALID), int(ArpKind.UNKNOWN_OP)
_REQUEST, _REPLY, _GRATUITOUS = map(int, (ArpKind.REQUEST, ArpKind.REPLY, ArpKind.GRATUITOUS))
_BROADCAST = 0xFFFFFFFF

ArpEvent = ArpResolved | ArpLost | TrafficSeen


@dataclass(slots=True)
class ArpCounters:
    """Received packets by kind and refusal, then sent ones by purpose (`vm_arp_req`: probes)."""

    requests: int = 0
    replies: int = 0
    gratuitous: int = 0
    resolved: int = 0
    max_retries_exceeded: int = 0
    errors: int = 0
    invalid_packets: int = 0
    invalid_interface: int = 0
    invalid_vrf: int = 0
    invalid_address: int = 0
    ipfabric_not_inst: int = 0
    table_full: int = 0
    vm_garp_req: int = 0
    answers: int = 0
    requests_sent: int = 0
    gratuitous_sent: int = 0
    vm_arp_req: int = 0


class ArpState(Enum):
    """Where the resolution of an address stands."""

    INITING = "initing"
    RESOLVING = "resolving"
    ACTIVE = "active"
    RERESOLVING = "reresolving"


@dataclass(slots=True)
class ArpEntry:
    """One fabric address. `mac` is what oper was told, None before and after that holds."""

    ip: IPv4Address
    state: ArpState = ArpState.INITING
    tries: int = 0
    mac: Mac | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """An address behind a vif that waits for traffic; `mac` is the one it is expected with."""

    vif_index: int
    ip: IPv4Address
    mac: Mac


@dataclass(frozen=True, slots=True)
class _Resolve:
    ip: IPv4Address


@dataclass(frozen=True, slots=True)
class _Announce:
    vif_index: int


class ArpService:
    """The ARP table of the fabric and the timers of everything that is repeated."""

    def __init__(self, table_limit: int = 4096) -> None:
        self.counters = ArpCounters()
        self.table: dict[IPv4Address, ArpEntry] = {}
        self._table_limit = table_limit
        self._wanted: frozenset[IPv4Address] = frozenset()
        self._announcements: dict[int, tuple[list[bytes], int]] = {}
        self._probes: dict[Probe, int] = {}
        self._timers: Deadlines[_Resolve | _Announce | Probe] = Deadlines()
        self._events: list[ArpEvent] = []
        self._seen: set[TrafficSeen] = set()

    # What others ask for

    def wanted(self, view: View, addresses: Iterable[IPv4Address], now: float) -> list[bytes]:
        """Keep exactly these fabric addresses resolved: those that a nexthop stands on."""
        self._wanted = frozenset(addresses)
        new = sorted(self._wanted - self.table.keys())
        return [frame for ip in new for frame in self._resolve(view, ip, now)]

    def adopt(self, known: Iterable[ArpResolved], now: float) -> None:
        """Take over neighbours that the datapath uses already, and confirm them from now on."""
        for fact in known:
            if self._admit(fact.ip):
                entry = self.table[fact.ip]
                entry.state, entry.mac = ArpState.RERESOLVING, fact.mac
                self._timers.arm(_Resolve(fact.ip), now)

    def announce(self, view: View, vif_indexes: Iterable[int], now: float) -> list[bytes]:
        """Announce our addresses on exactly these vifs; new or changed ones start at once."""
        wanted = set(vif_indexes)
        for gone in self._announcements.keys() - wanted:
            del self._announcements[gone]
            self._timers.disarm(_Announce(gone))
        out: list[bytes] = []
        for index in sorted(wanted):
            messages = self._announcement(view, index)
            if self._announcements.get(index, ([], 0))[0] != messages:
                self._announcements[index] = (messages, 0)
                out += self._send_announcement(index, now)
        return out

    def probe(self, view: View, probes: Iterable[Probe], now: float) -> list[bytes]:
        """Probe exactly these addresses until they are no longer asked for."""
        wanted = set(probes)
        for gone in self._probes.keys() - wanted:
            del self._probes[gone]
            self._timers.disarm(gone)
        new = sorted(wanted - self._probes.keys(), key=lambda p: (p.vif_index, p.ip, p.mac))
        return [frame for probe in new for frame in self._send_probe(view, probe, now)]

    def take_events(self) -> list[ArpEvent]:
        """What was learned since the last call, in order."""
        events, self._events = self._events, []
        self._seen.clear()
        return events

    # Time

    def next_deadline(self) -> float | None:
        """When `tick` has something to do, in monotonic seconds."""
        return self._timers.next()

    def tick(self, view: View, now: float) -> list[bytes]:
        """Do everything that is due."""
        out: list[bytes] = []
        for due in self._timers.due(now):
            if isinstance(due, _Resolve):
                out += self._entry_due(view, self.table[due.ip], now)
            elif isinstance(due, _Announce):
                out += self._send_announcement(due.vif_index, now)
            else:
                out += self._send_probe(view, due, now)
        return out

    # Packets

    def handle(self, view: View, packet: Packet, now: float) -> list[bytes]:
        """Take an ARP packet, or an IPv4 packet whose destination needs resolving."""
        fabric = view.fabric()
        if fabric is None or fabric.router_id is None:
            self.counters.ipfabric_not_inst += 1
            return []
        if packet.ethertype != _ETH_ARP:
            return self._data(view, fabric, packet.dst4, now)
        kind = packet.arp_kind
        if kind == _INVALID or not _is_station(packet.arp_sha):
            self.counters.invalid_packets += 1
            return []
        if kind == _UNKNOWN_OP:
            self.counters.errors += 1
            return []
        key = packet.arp_tpa if packet.arp_op == 1 else packet.arp_spa
        if key == int(fabric.router_id):
            self.counters.gratuitous += 1
            return []
        if not _is_host(key):
            self.counters.invalid_address += 1
            return []
        vmi = view.vmi(packet.ifindex)
        if vmi is not None:
            return self._from_vm(vmi, fabric, packet, key)
        if packet.ifindex in (fabric.vif_index, fabric.vhost_vif_index):
            return self._from_fabric(view, fabric, packet, key, now)
        self.counters.invalid_interface += 1
        return []

    def _data(self, view: View, fabric: Fabric, dst: int, now: float) -> list[bytes]:
        ip = IPv4Address(dst)
        if not _is_host(dst) or not _on_fabric(fabric, ip):
            self.counters.invalid_address += 1
            return []
        return [] if ip in self.table else self._resolve(view, ip, now)

    def _from_vm(self, vmi: Vmi, fabric: Fabric, packet: Packet, key: int) -> list[bytes]:
        """Any ARP of a VM shows that it uses its sender address."""
        if not vmi.active:
            self.counters.invalid_interface += 1
            return []
        if vmi.vrf is None:
            self.counters.invalid_vrf += 1
            return []
        kind = packet.arp_kind
        self.counters.vm_garp_req += kind == _GRATUITOUS
        sender = key if kind == _GRATUITOUS else packet.arp_spa
        if _is_host(sender):
            self._saw_traffic(TrafficSeen(vmi.vif_index, IPv4Address(sender), Mac(packet.arp_sha)))
        self._count(kind)
        if kind == _REQUEST and key in frames.service_addresses(vmi):
            self.counters.answers += 1
            return [packet.arp_reply(fabric.vhost_mac, frames.vlan_of(vmi))]
        return []

    def _from_fabric(
        self, view: View, fabric: Fabric, packet: Packet, key: int, now: float
    ) -> list[bytes]:
        ip = IPv4Address(key)
        kind = packet.arp_kind
        self._count(kind)
        if kind == _REQUEST:
            return self._data(view, fabric, key, now)
        if kind == _REPLY and ip not in self.table:
            if not _on_fabric(fabric, ip):
                self.counters.invalid_address += 1
                return []
            self._admit(ip)
        entry = self.table.get(ip)
        if entry is not None:
            self._learn(fabric, entry, Mac(packet.arp_sha), now)
        return []

    def _count(self, kind: int) -> None:
        if kind == _REQUEST:
            self.counters.requests += 1
        elif kind == _REPLY:
            self.counters.replies += 1
        else:
            self.counters.gratuitous += 1

    def _saw_traffic(self, event: TrafficSeen) -> None:
        if event not in self._seen:
            self._seen.add(event)
            self._events.append(event)

    # The table

    def _admit(self, ip: IPv4Address) -> bool:
        """Add an entry; what the network makes us remember is bounded, what oper wants is not."""
        if len(self.table) >= self._table_limit and ip not in self._wanted:
            self.counters.table_full += 1
            return False
        self.table[ip] = ArpEntry(ip)
        return True

    def _resolve(self, view: View, ip: IPv4Address, now: float) -> list[bytes]:
        return self._ask(view, self.table[ip], now) if self._admit(ip) else []

    def _ask(self, view: View, entry: ArpEntry, now: float) -> list[bytes]:
        """Send a request; without a fabric, wait for one without counting a try."""
        self._timers.arm(_Resolve(entry.ip), now + RETRY_SECONDS)
        fabric = view.fabric()
        if fabric is None or fabric.router_id is None:
            return []
        if entry.state == ArpState.INITING:
            entry.state = ArpState.RESOLVING
        entry.tries += 1
        self.counters.requests_sent += 1
        return [frames.fabric_request(fabric, fabric.router_id, entry.ip)]

    def _entry_due(self, view: View, entry: ArpEntry, now: float) -> list[bytes]:
        if entry.state == ArpState.ACTIVE:
            return self._age(view, entry, now)
        if entry.tries <= MAX_RETRIES:
            return self._ask(view, entry, now)
        self.counters.max_retries_exceeded += 1
        return self._give_up(view, entry, now)

    def _age(self, view: View, entry: ArpEntry, now: float) -> list[bytes]:
        """The neighbour stays usable while it is asked again."""
        if entry.ip not in self._wanted:
            return self._give_up(view, entry, now)
        entry.state = ArpState.RERESOLVING
        entry.tries = 0
        return self._ask(view, entry, now)

    def _give_up(self, view: View, entry: ArpEntry, now: float) -> list[bytes]:
        if entry.mac is not None:
            self._events.append(ArpLost(FABRIC_VRF, entry.ip))
        if entry.ip not in self._wanted:
            del self.table[entry.ip]
            return []
        entry.state, entry.tries, entry.mac = ArpState.INITING, 0, None
        return self._ask(view, entry, now)

    def _learn(self, fabric: Fabric, entry: ArpEntry, mac: Mac, now: float) -> None:
        self._timers.arm(_Resolve(entry.ip), now + AGING_SECONDS)
        entry.state, entry.tries = ArpState.ACTIVE, 0
        if entry.mac == mac:
            return
        entry.mac = mac
        self.counters.resolved += 1
        self._events.append(ArpResolved(FABRIC_VRF, entry.ip, mac, fabric.vif_index))

    # What is repeated

    def _announcement(self, view: View, vif_index: int) -> list[bytes]:
        fabric = view.fabric()
        if fabric is None:
            return []
        if vif_index == fabric.vif_index:
            router_id = fabric.router_id
            return [] if router_id is None else [frames.fabric_gratuitous(fabric, router_id)]
        vmi = view.vmi(vif_index)
        return frames.port_gratuitous(vmi, fabric) if vmi else []

    def _send_announcement(self, vif_index: int, now: float) -> list[bytes]:
        messages, sent = self._announcements[vif_index]
        if not messages:
            return []
        self._announcements[vif_index] = (messages, sent + 1)
        self.counters.gratuitous_sent += len(messages)
        if sent + 1 < ANNOUNCE_SENDS:
            self._timers.arm(_Announce(vif_index), now + RETRY_SECONDS)
        return messages

    def _send_probe(self, view: View, probe: Probe, now: float) -> list[bytes]:
        vmi, fabric = view.vmi(probe.vif_index), view.fabric()
        frame = None
        if vmi is not None and vmi.active and fabric is not None:
            frame = frames.port_probe(vmi, fabric, probe.ip, probe.mac)
        sent = self._probes[probe] = self._probes.get(probe, 0) + (frame is not None)
        pause = RETRY_SECONDS
        if sent >= PROBE_FAST_SENDS:
            same = vmi is not None and vmi.mac == probe.mac
            pause = PROBE_SLOW_SECONDS if same else PROBE_SLOW_OTHER_MAC_SECONDS
        self._timers.arm(probe, now + pause)
        if frame is None:
            return []
        self.counters.vm_arp_req += 1
        return [frame]


def _is_host(address: int) -> bool:
    """Whether the address can be that of one host."""
    return address not in (0, _BROADCAST) and address >> 28 != 0xE


def _is_station(mac: bytes) -> bool:
    """Whether the MAC can be that of one interface."""
    return any(mac) and not mac[0] & 1


def _on_fabric(fabric: Fabric, ip: IPv4Address) -> bool:
    return fabric.prefix is not None and ip in fabric.prefix and ip != fabric.router_id
