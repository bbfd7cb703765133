"""A ksync session joined to the fake datapath in memory, with a clock of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from agent.ksync import Event, Opening, Session, State
from agent.objects import Desired, Key, Kind
from agent.sandesh.vrouter import (
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrRouteReq,
    VrVrfReq,
)
from tests.fake.datapath import FakeDatapath, Link
from tests.fake.inet_trie import InetTrie, Leaf

E = TypeVar("E")

MAC = bytes.fromhex("02a77fd887a5")
ROUTER_MAC = bytes.fromhex("00005e000100")
ENCAP_BYTES = MAC + ROUTER_MAC + b"\x08\x00"


class World:
    """Owner, session, datapath and wire. `desired` is what was applied last, by key."""

    def __init__(self, datapath: FakeDatapath | None = None, **options: Any) -> None:
        self.datapath = datapath or FakeDatapath()
        self.options = options
        self.now = 100.0
        self.session = Session(pid=4242, **options)
        self.link: Link | None = None
        self.desired: dict[Key, Desired] = {}
        self.events: list[Event] = []

    # ---- the wire

    def connect(self) -> None:
        self.link = self.datapath.connect()
        self.session.connected(self.now)

    def step(self) -> bool:
        """Carry what can be carried once each way. False when nothing moved."""
        if self.link is None:
            return False
        if self.link.closed or self.session.broken:
            self.cut()
            return True
        out = self.session.data_to_send()
        self.link.feed(out)
        back = self.link.take()
        self.session.receive(back, self.now)
        self.events += self.session.events()
        return bool(out or back)

    def run(self) -> None:
        """Carry until nothing moves."""
        for _ in range(100_000):
            if not self.step():
                return
        raise AssertionError("the session does not come to rest")

    def cut(self) -> None:
        if self.link is not None:
            self.link.closed = True
            self.link = None
        self.session.disconnected(self.now)
        self.events += self.session.events()

    def start(self) -> None:
        self.connect()
        self.run()

    def pass_time(self, seconds: float) -> None:
        """Move the clock in the steps that the session asks for."""
        end = self.now + seconds
        while (due := self.session.deadline()) is not None and due <= end:
            self.now = max(due, self.now)
            self.session.tick(self.now)
            self.events += self.session.events()
            self.run()
        self.now = end

    def settle(self) -> None:
        """Reconnect as often as needed and wait for retries until in sync."""
        for _ in range(200):
            if self.link is None:
                self.start()
            self.run()
            if self.session.in_sync:
                return
            if self.link is not None:
                self.pass_time(70.0)
        raise AssertionError(f"not in sync: {self.states()}")

    # ---- the owner

    def apply(self, *changes: Desired, removed: Iterable[Key] = ()) -> None:
        removed = list(removed)
        for key in removed:
            self.desired.pop(key, None)
        self.desired |= {each.key: each for each in changes}
        self.session.apply(changes, removed, self.now)
        self.events += self.session.events()

    def complete(self) -> None:
        self.session.complete(self.now)
        self.events += self.session.events()

    def up(self, *changes: Desired) -> None:
        """Connected, configured and at rest."""
        self.start()
        self.apply(*changes)
        self.complete()
        self.run()

    # ---- what tests look at

    def told(self, kind: type[E]) -> list[E]:
        """The events of one type so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def state(self, key: Key) -> State:
        return next(view.state for view in self.session.snapshot() if view.key == key)

    def states(self) -> dict[str, Any]:
        return {
            str(view.key or view.identity): (view.state.value, view.waits_for, view.errno)
            for view in self.session.snapshot()
            if view.state is not State.SYNCED
        }

    def writes(self) -> int:
        return self.datapath.writes.total()

    def write_names(self) -> list[tuple[str, int]]:
        return [(message.NAME, int(message.h_op)) for message in self.datapath.log]

    def assert_equal(self) -> None:
        """The datapath holds exactly what is desired, and nothing was done out of order."""
        assert self.datapath.violations == []
        wanted = FakeDatapath()
        for each in self.desired.values():
            store(wanted, each.message)
        assert self.datapath.objects == wanted.objects
        assert shown(self.datapath) == shown(wanted)


def store(datapath: FakeDatapath, message: Any) -> None:
    """Put an object into a datapath without asking anyone."""
    if isinstance(message, VrRouteReq) and message.rtr_family != 7:
        at = message.rtr_vrf_id, message.rtr_family
        trie = datapath.tries.setdefault(at, InetTrie(8 * len(message.rtr_prefix)))
        leaf = Leaf(
            message.rtr_nh_id,
            message.rtr_label,
            message.rtr_label_flags,
            message.rtr_mac,
            message.rtr_prefix_len,
        )
        trie.add(message.rtr_prefix, leaf)
        return
    table, index = {
        VrInterfaceReq: lambda m: ("vif", m.vifr_idx),
        VrNexthopReq: lambda m: ("nexthop", m.nhr_id),
        VrMplsReq: lambda m: ("label", m.mr_label),
        VrMirrorReq: lambda m: ("mirror", m.mirr_index),
        VrVrfReq: lambda m: ("vrf", m.vrf_idx),
        VrRouteReq: lambda m: ("bridge", (m.rtr_vrf_id, m.rtr_mac)),
    }[type(message)](message)
    datapath.objects[table][index] = message


def shown(datapath: FakeDatapath) -> dict[Any, Any]:
    """The lookups that the inet tables give, by table."""
    tables = {at: list(trie.leaves()) for at, trie in datapath.tries.items()}
    return {at: leaves for at, leaves in tables.items() if leaves != [(b"\0" * 4, 0, Leaf())]}


# ---- objects


def vif(index: int, **changes: Any) -> Desired:
    members = {
        "vifr_idx": index,
        "vifr_type": 3,
        "vifr_name": f"tap{index}",
        "vifr_mac": ROUTER_MAC,
        "vifr_flags": 0x2001C1,
        "vifr_vrf": 2,
        "vifr_mcast_vrf": 2,
        "vifr_os_idx": 10 + index,
        "vifr_transport": 1,
        "vifr_qos_map_index": -1,
    } | changes
    refs = (mirror_key(members["vifr_mir_id"]),) if members["vifr_flags"] & 0x18 else ()
    return Desired(vif_key(index), refs, VrInterfaceReq(**members))


def vif_key(index: int) -> Key:
    return Key(Kind.VIF, index)


def nexthop_key(name: Any) -> Key:
    return Key(Kind.NEXTHOP, name)


def mirror_key(index: int) -> Key:
    return Key(Kind.MIRROR, index)


def encap(index: int, on: int, *, name: Any = None, **changes: Any) -> Desired:
    """A nexthop out of a vif. `name` is its key's name, by default its id."""
    members = {
        "nhr_id": index,
        "nhr_type": 2,
        "nhr_family": 2,
        "nhr_vrf": 2,
        "nhr_flags": 0x200001,
        "nhr_encap_oif_id": (on,),
        "nhr_encap_family": 0x0806,
        "nhr_encap": ENCAP_BYTES,
    } | changes
    return Desired(
        nexthop_key(index if name is None else name), (vif_key(on),), VrNexthopReq(**members)
    )


def discard(index: int, *, name: Any = None) -> Desired:
    message = VrNexthopReq(nhr_id=index, nhr_type=5, nhr_family=2, nhr_flags=1)
    return Desired(nexthop_key(index if name is None else name), (), message)


def composite(index: int, *members: int, **changes: Any) -> Desired:
    message = VrNexthopReq(
        **{
            "nhr_id": index,
            "nhr_type": 6,
            "nhr_family": 7,
            "nhr_vrf": 2,
            "nhr_flags": 0x202001,
            "nhr_nh_list": members,
            "nhr_label_list": (0,) * len(members),
        }
        | changes
    )
    return Desired(nexthop_key(index), tuple(nexthop_key(i) for i in members if i > 0), message)


def label(index: int, nexthop: Any, *, nh_id: int | None = None) -> Desired:
    message = VrMplsReq(mr_label=index, mr_nhid=nexthop if nh_id is None else nh_id)
    return Desired(Key(Kind.LABEL, index), (nexthop_key(nexthop),), message)


def mirror(index: int, nexthop: int) -> Desired:
    message = VrMirrorReq(mirr_index=index, mirr_nhid=nexthop)
    return Desired(mirror_key(index), (nexthop_key(nexthop),), message)


def vrf(index: int) -> Desired:
    message = VrVrfReq(vrf_idx=index, vrf_flags=6, vrf_hbfl_vif_idx=-1, vrf_hbfr_vif_idx=-1)
    return Desired(Key(Kind.VRF, index), (), message)


def route_key(text: str, vrf: int = 2) -> Key:
    return Key(Kind.INET_ROUTE, (vrf, text))


def bridge_key(mac: bytes, vrf: int = 2) -> Key:
    return Key(Kind.BRIDGE_ROUTE, (vrf, mac))


def bridge(mac: bytes, nexthop: int, vrf: int = 2, flags: int = 0, label: int = 0) -> Desired:
    message = VrRouteReq(
        rtr_vrf_id=vrf,
        rtr_family=7,
        rtr_mac=mac,
        rtr_nh_id=nexthop,
        rtr_label_flags=flags,
        rtr_label=label,
    )
    return Desired(bridge_key(mac, vrf), (nexthop_key(nexthop),), message)


def route(
    text: str,
    nexthop: Any,
    *,
    nh_id: int | None = None,
    vrf: int = 2,
    flags: int = 0,
    label: int = 0,
    mac: bytes = b"",
) -> Desired:
    """An inet route, e.g. "10.1.2.0/24"; with `mac` stitched to that bridge route."""
    address, plen = text.split("/")
    message = VrRouteReq(
        rtr_vrf_id=vrf,
        rtr_family=2,
        rtr_prefix=bytes(int(part) for part in address.split(".")),
        rtr_prefix_len=int(plen),
        rtr_nh_id=nexthop if nh_id is None else nh_id,
        rtr_label_flags=flags,
        rtr_label=label,
        rtr_mac=mac,
    )
    refs = (nexthop_key(nexthop), *([bridge_key(mac, vrf)] if mac else []))
    return Desired(route_key(text, vrf), refs, message)


def reset_opening() -> Opening:
    return Opening(reset=True)


def port() -> list[Desired]:
    """The objects of one port and its network, after facts worked-example.md section 3."""
    return [
        vrf(2),
        vif(3, vifr_nh_id=14),
        discard(1),
        encap(14, 3, nhr_flags=0x200003),
        encap(15, 3),
        encap(17, 3, nhr_family=7),
        encap(18, 3, nhr_family=7, nhr_flags=0x200003),
        composite(19, 17),
        composite(20, 19, nhr_flags=0x200021),
        label(23, 14),
        label(24, 15),
        label(27, 18),
        label(22, 20),
        bridge(MAC, 18),
        bridge(b"\xff" * 6, 20, flags=0x6, label=5),
        route("15.0.0.0/24", 1, flags=8),
        route("15.0.0.3/32", 14, flags=6, mac=MAC),
        route("169.254.0.3/32", 14, flags=2, vrf=0),
    ]
