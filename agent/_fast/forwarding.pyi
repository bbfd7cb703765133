"""The compiled data plane of the embedded forwarder.

One `Datapath` owns the forwarding structures (interfaces, nexthops, labels, VNIs,
route tables, the shared flow and bridge tables) and moves frames between them. The
control side of the forwarder speaks Sandesh, keeps the decoded records that GET and
DUMP echo, opens the descriptors, and calls the methods below.

Conventions, for every method:

* Control methods answer 0, or a *negative errno* with the meaning of facts
  datapath-behaviour.md section 2; values that do not fit (a MAC of 5 bytes, a prefix of
  the wrong length, an encapsulation above 64 bytes) are -EINVAL. Integers are taken
  modulo the width of their field, so -1 and 0xffffffff are the same.
* Names and values are those of the Sandesh fields without their prefix. Integers that
  the messages carry "net-in-host" (`ip`, `tun_sip`, `tun_dip`, ports) are passed as
  decoded: their little-endian memory image is the address. MACs and prefixes are
  bytes in network order. Families: 2 inet, 10 inet6, 7 bridge.
* Any thread may call any method. One mutex serialises control calls with packet
  batches; a batch is at most 64 frames, so a call waits well below a millisecond.
"""

from collections.abc import Sequence
from typing import NamedTuple

FRAMING_PLAIN: int
"""The descriptor carries bare Ethernet frames."""
FRAMING_VNET: int
"""A 10-byte virtio_net_hdr (little-endian) precedes each frame: a tap with
IFF_VNET_HDR, or an AF_PACKET socket with PACKET_VNET_HDR (which also gets
PACKET_AUXDATA and PACKET_IGNORE_OUTGOING set here, so that VLAN tags survive and our
own frames do not come back)."""
FRAMING_PKT0: int
"""An AF_UNIX datagram socket bound to DIR/dpdk_pkt0: one pkt0 frame a datagram."""

DROP_REASONS: tuple[str, ...]
"""The 55 drop reasons by number, lower case, e.g. DROP_REASONS[39] == "l2_no_route"."""
VRF_COUNTERS: tuple[str, ...]
"""Names of the counters of `vrf_stats`, in order: the `vsr_*` fields without prefix."""
VIF_COUNTERS: tuple[str, ...]
"""Names of the counters of `vif_stats`, in order."""

class Vif(NamedTuple):
    """What the datapath holds of one interface (it merges changes; see `vif_set`)."""

    idx: int
    type: int
    flags: int
    """With the bits of the datapath's own: 2 XCONNECT while no agent vif exists."""
    vrf: int
    mcast_vrf: int
    nh_id: int
    mac: bytes
    mtu: int
    vlan_id: int
    ovlan_id: int
    parent: int
    """Index of the parent vif, -1 none."""
    cross_connect: int
    """vhost: its physical vif; physical: its vhost; else -1."""
    os_idx: int
    ip: int
    name: str
    attached: bool
    """A working descriptor is attached. False: none yet, or its device went away."""

class Route(NamedTuple):
    """One inet/inet6 leaf."""

    prefix: bytes
    plen: int
    """GET: stored length of the matching route. DUMP: length of the leaf (multiple of 8)."""
    nh: int
    label: int
    """0xFFFFFF unless flag 1 (label valid) was given."""
    flags: int
    mac: bytes
    """6 bytes, or empty when no MAC is stitched."""
    bridge_index: int
    """Bridge table index of the stitched MAC, -1 none."""
    replace_plen: int
    """GET: 0. DUMP: stored length of the route that the leaf shows."""

class BridgeEntry(NamedTuple):
    """One entry of the bridge table."""

    position: int
    """Index in the table (`rtr_index`)."""
    vrf: int
    mac: bytes
    nh: int
    label: int
    flags: int
    packets: int

class FlowAnswer(NamedTuple):
    """Answer to one flow request: the fields of vr_response and vr_flow_response."""

    code: int
    handle: int
    """`fresp_index`; -1 when no entry is meant."""
    gen_id: int
    bytes: int
    """Low 32 bits of the previous owner's counters (new entries), else 0."""
    packets: int
    oflow: int
    """Low 16 bits: bits 32..47 of bytes; bits 16..23: bits 32..39 of packets."""
    flags: int
    """1: the entry was deleted."""

class FlowTableStats(NamedTuple):
    """Counters of vr_flow_table_data."""

    used: int
    processed: int
    deleted: int
    added: int
    created: int
    changed: int
    oflow_entries: int
    """Overflow entries in use."""
    hold_oflows: int
    hold_entries: int
    """Entries that wait for the agent now: created less processed."""
    burst_free_tokens: int
    """How many more may wait beyond the limit."""

class Usage(NamedTuple):
    """What a router holds."""

    bridge_entries: int
    bridge_overflow: int
    """Of these, in the overflow area."""
    flow_entries: int
    route_nodes: int
    """Nodes that were ever made for all route tables; freed ones are used again."""
    buffers: int
    """Packets' buffers that were ever made; freed ones are used again."""

class FatPrefix(NamedTuple):
    """Addresses whose first `bits` bits are those of `address` (4 or 16 bytes, network order);
    of such an address `keep` bits stay in a flow's key."""

    address: bytes
    bits: int
    keep: int

class FatRule(NamedTuple):
    """Which packets that a guest sends share a flow: those of a protocol with this port at
    either end (0: any), between addresses of the prefixes, if there are any. Other ports, what
    `ignore` names (1 source address, 2 destination address) and address bits beyond `keep` are
    left out of keys; packets on their way to the guest have source and destination swapped."""

    proto: int
    port: int
    ignore: int
    source: FatPrefix | None
    destination: FatPrefix | None

class Datapath:
    """A router without interfaces; nexthop 0 exists and discards.

    `flow_table` and `bridge_table` are writable buffers (the mapped shared files) of
    (main + overflow) * 256 and * 64 bytes, where overflow = what is left after the
    given main entries (a multiple of 4, at least 4). They are cleared and their entry
    headers written here; both must stay mapped as long as this object lives (it holds
    the buffers). `seed` makes the hashes for UDP source ports and ECMP unpredictable;
    pass random 32 bits, or a constant in tests. `mss_adjust` lowers the MSS of the
    VMs' TCP SYNs to what the tunnels carry.
    Raises ValueError when sizes are impossible, MemoryError.
    """

    def __init__(
        self,
        *,
        flow_table: bytearray | memoryview,
        flow_entries: int,
        bridge_table: bytearray | memoryview,
        bridge_entries: int,
        interfaces: int = 4355,
        vrfs: int = 4096,
        nexthops: int = 524288,
        labels: int = 5120,
        hold_limit: int = 8192,
        seed: int = 0,
        mss_adjust: bool = True,
    ) -> None: ...
    def move_tables(
        self, *, flow_table: bytearray | memoryview, bridge_table: bytearray | memoryview
    ) -> None:
        """Go on with the same entries in other buffers of the same sizes, or in the same ones.

        ValueError: the sizes differ.
        """

    # --- interfaces

    def vif_set(
        self,
        idx: int,
        *,
        type: int,
        name: str = "",
        flags: int = 0,
        vrf: int = -1,
        mcast_vrf: int = -1,
        nh_id: int = 0,
        mac: bytes = b"\0\0\0\0\0\0",
        mtu: int = 0,
        os_idx: int = -1,
        ip: int = 0,
        vlan_id: int = 0,
        ovlan_id: int = 0,
        parent: int = -1,
        cross_connect: int = -1,
    ) -> int:
        """Add a vif, or change the one with this index.

        A change ignores type, mac, name, os_idx and parent, takes vrf and mcast_vrf
        only when >= 0 and mtu only when != 0, and takes the rest. On add, vrf and
        mcast_vrf below 0 become 65535 (none) and mtu 0 becomes 1514 (`mtu` is the
        wire's: it counts the 14 bytes of the Ethernet header). Neither L2 nor L3 in
        flags: both are set. `vlan_id`/`ovlan_id` are what a sub-interface (type 6)
        receives and sends under its `parent`. `cross_connect` (type 0): index of the
        physical vif, -1 = the lowest one. Adding an agent vif (type 1) ends the
        cross-connection of vhost and fabric, deleting it starts it again.
        -EINVAL: idx or type out of range, bad parent. -ENODEV: vhost without a
        physical vif. -EEXIST: the parent has a sub-interface with this tag.
        """

    def vif_attach(self, idx: int, fd: int, framing: int, peer: str = "") -> int:
        """Let the vif read and write `fd` (made non-blocking here).

        The caller keeps owning the descriptor: close it only after `vif_detach`,
        `vif_delete` or `reset`. Replaces an earlier descriptor, e.g. when a tap was
        made anew. `peer` (FRAMING_PKT0): path of the agent's socket. The datapath
        connects to it by itself, at once and again whenever a send finds the peer
        gone (at most every 100 ms; the frame is sent once more after a successful
        connect, else counted as the vif's output error). An absent peer is no error.
        -ENODEV: no such vif. -EBADF and other errno of epoll for a bad descriptor.
        """

    def vif_greet(self, idx: int) -> int:
        """Connect the pkt0 vif to whoever is bound at its peer's path now.

        While it stays connected to an agent that died, the kernel refuses the frames of
        the next one. -ENOTCONN: nobody is there. -ENODEV: no such pkt0 vif.
        """

    def vif_detach(self, idx: int) -> int:
        """Stop using the vif's descriptor; frames to it drop. -ENODEV: no such vif."""

    def vif_delete(self, idx: int) -> int:
        """Remove the vif (its sub-interfaces become unreachable). -ENODEV: none."""

    def vif_get(self, idx: int) -> Vif | None:
        """The vif as it stands, or None."""

    def vif_indexes(self) -> list[int]:
        """Indexes of all vifs, ascending."""

    def vif_stats(self, idx: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """(counters, drops) of one vif, or None.

        Counters follow VIF_COUNTERS: ibytes, ipackets, ierrors, obytes, opackets,
        oerrors (frames that entered and left the pipelines), dev_ierrors (read
        failures), dev_oerrors (send failures), reconnects (pkt0). Drops are 55 counts
        by reason of frames that came in on this vif.
        """

    def vif_clear_stats(self, idx: int) -> int:
        """Zero the vif's counters; idx -1 zeroes those of all. -ENODEV: no such vif."""

    def vif_vrf_assign(self, idx: int, vlan: int, vrf: int, nh_id: int) -> int:
        """Service vif: frames with this tag belong to `vrf`; vrf -1 removes.

        -EINVAL: vif missing, vlan >= 1024.
        """

    # --- nexthops, labels, VNIs

    def nexthop_set(
        self,
        id: int,
        *,
        type: int,
        family: int = 2,
        flags: int = 0,
        vrf: int = 0,
        encap_oif_id: Sequence[int] = (),
        encap: bytes = b"",
        tun_sip: int = 0,
        tun_dip: int = 0,
        tun_sport: int = 0,
        tun_dport: int = 0,
        nh_list: Sequence[int] = (),
        label_list: Sequence[int] = (),
        ecmp_config_hash: int = 0,
        transport_label: int = 0,
        pbb_mac: bytes = b"",
        rw_dst_mac: bytes = b"",
    ) -> int:
        """Add a nexthop or replace its content.

        The codes and their order are those of datapath-behaviour.md section 2. Id 0
        is the datapath's discard: setting it as type 5 is accepted, else -EINVAL.
        Without flag 1 (valid) the nexthop is stored and drops what reaches it.
        Tunnels need an IPv4 underlay: family 10, PBB and MPLS-over-MPLS answer
        -EOPNOTSUPP.
        """

    def nexthop_delete(self, id: int) -> int:
        """Remove; what still refers to it drops as INVALID_NH. -EINVAL: none."""

    def nexthop_exists(self, id: int) -> bool:
        """Is there a nexthop with this id (0 always)?"""

    def label_set(self, label: int, nh_id: int) -> int:
        """-EINVAL: label out of range, nexthop missing (an old entry is gone then)."""

    def label_delete(self, label: int) -> int:
        """0, also when absent. -EINVAL: label out of range."""

    def label_get(self, label: int) -> int:
        """Nexthop id, or -1."""

    def vxlan_set(self, vnid: int, nh_id: int) -> int:
        """-EINVAL: VNI above 24 bits, nexthop missing."""

    def vxlan_delete(self, vnid: int) -> int:
        """0, also when absent."""

    def vxlan_get(self, vnid: int) -> int:
        """Nexthop id, or -1."""

    # --- routes

    def route_add(
        self,
        vrf: int,
        family: int,
        prefix: bytes,
        plen: int,
        *,
        nh: int,
        label: int = 0,
        flags: int = 0,
        mac: bytes = b"",
    ) -> int:
        """Add or overwrite an inet (4-byte) or inet6 (16-byte) route.

        Host bits are cleared. `mac` empty or zero: nothing stitched. -ENOENT: family,
        nexthop missing, MAC not in the bridge table of this VRF. -EINVAL: prefix
        empty, length, VRF out of range, tunnel nexthop without flag 1.
        """

    def route_delete(
        self,
        vrf: int,
        family: int,
        prefix: bytes,
        plen: int,
        *,
        nh: int = 0,
        label: int = 0,
        flags: int = 0,
        mac: bytes = b"",
        replace_plen: int = 0,
    ) -> int:
        """Let the covering route (given by the caller) show where this one was.

        Only what has stored length `plen` inside the prefix is overwritten. -ENOENT:
        family, replacement nexthop, table, or stitched MAC missing; an absent prefix
        is 0.
        """

    def route_get(self, vrf: int, family: int, prefix: bytes) -> Route:
        """Longest match of an address; no route is nh 0, label 0xFFFFFF, plen 0."""

    def route_dump(
        self, vrf: int, family: int, marker: bytes, marker_plen: int, max: int
    ) -> list[Route]:
        """Up to `max` leaves after `marker`, in prefix order.

        What a stride-8 trie shows: a table that was ever used has 256 leaves of
        length 8 at least, and each bucket that holds a longer route is shown as its
        256 leaves of 8 bits more; a leaf's `replace_plen` is the length of the route
        in it, 0 with nh 0 where there is none. Empty `marker`, or a zero one with
        marker_plen 0, starts at the beginning; else the first leaf that starts above
        `marker` follows. Fewer than `max` rows: the end. A table never used: empty.
        """

    def route_count(self, vrf: int, family: int) -> int:
        """Routes in the table (replacements of deleted ones that show no other route count)."""

    # --- bridge table

    def bridge_add(self, vrf: int, mac: bytes, *, nh: int, label: int = 0, flags: int = 0) -> int:
        """Add or change. Clears MAC_NEW and MAC_MOVED, as a confirmed entry.

        -EINVAL: zero MAC, VRF out of range. -ENOENT: nexthop missing. -ENOMEM: full.
        """

    def bridge_delete(self, vrf: int, mac: bytes) -> int:
        """-ENOENT: not there. -EINVAL: zero MAC."""

    def bridge_get(self, vrf: int, mac: bytes) -> BridgeEntry | None:
        """The exact entry, or None."""

    def bridge_dump(self, vrf: int, marker: bytes, max: int) -> list[BridgeEntry]:
        """Up to `max` entries of the VRF after the one with MAC `marker`, in table order.

        Empty or zero `marker`: from the beginning. A marker that is no longer in the
        table continues at its bucket, so that entries may repeat but none is missed.
        """

    # --- flow table

    def flow_set(
        self,
        *,
        index: int,
        gen_id: int,
        family: int,
        proto: int,
        sport: int,
        dport: int,
        nh_id: int,
        sip_u: int = 0,
        sip_l: int,
        dip_u: int = 0,
        dip_l: int,
        flags: int,
        flags1: int = 0,
        action: int = 0,
        vrf: int = 0,
        dvrf: int = 0,
        rindex: int = -1,
        rflow_sip_u: int = 0,
        rflow_sip_l: int = 0,
        rflow_dip_u: int = 0,
        rflow_dip_l: int = 0,
        rflow_nh_id: int = 0,
        rflow_sport: int = 0,
        rflow_dport: int = 0,
        mir_id: int = 255,
        sec_mir_id: int = 255,
        src_nh_index: int = 0,
        ecmp_nh_index: int = -1,
        underlay_ecmp_index: int = -1,
        qos_id: int = -1,
        ttl: int = 0,
        drop_reason: int = 0,
        extflags: int = 0,
        meta: bytes = b"",
    ) -> FlowAnswer:
        """FLOW_SET, with the checks and codes of datapath-behaviour.md section 6.

        Fields as in vr_flow_req; `meta` is fr_pcap_meta_data. `flags` without 1 (ACTIVE)
        deletes: the entry is marked, and free again 20 ms later.
        """

    def flow_serve(self, frames: bytes | bytearray | memoryview, room: int) -> tuple[int, bytes]:
        """Execute the frames of a control connection that hold just vr_flow_req, FLOW_SET.

        Returns how many bytes at the start of `frames` are done with, and the reply frames to
        them (at most `room` bytes): vr_response and vr_flow_response for each message, MULTI
        on all but the last of a frame. Stops before anything else: another message or
        operation, fields out of order, netlink's own types, an incomplete frame.
        """

    def flow_request(self, message: bytes) -> bytes | None:
        """Execute one vr_flow_req with FLOW_SET as encoded here: vr_response and
        vr_flow_response. None: it is not of that form, nothing was done."""

    def flow_table_stats(self) -> FlowTableStats: ...
    def set_hold_limits(
        self, limit: int, tokens: int = 0, interval: int = 0, step: int = 0
    ) -> None:
        """How many flows may wait for the agent; beyond `limit` each takes one of `tokens`,
        of which `step` come back every `interval` ms (0: all at once; interval 0: none do)."""

    # --- mirroring, fat flows

    def mirror_set(self, index: int, nh_id: int, flags: int = 0, vni: int = 0) -> int:
        """Where copies with mirror id `index` (below 255) go. `flags`: 1 metadata and capture
        header in front, 4 the hardware makes the copies, no nexthop is needed. -EINVAL."""

    def mirror_delete(self, index: int) -> int:
        """-EINVAL: no such mirror."""

    def vif_mirror(self, idx: int, mirror: int, in_meta: bytes = b"", out_meta: bytes = b"") -> int:
        """Mirror id and metadata (at most 1024 bytes) of the vif's flags 8 and 0x10. -ENODEV,
        -EINVAL: too much metadata."""

    def vif_fat_flows(
        self,
        idx: int,
        rules: Sequence[FatRule] = (),
        excludes: Sequence[tuple[bytes, int]] = (),
    ) -> int:
        """Replace the rules; flows from or to an excluded prefix (address, bits) stay as they
        are. -ENODEV; -EINVAL: more than 256 of either, or a prefix that cannot be."""

    def fat_flow_key(self, idx: int, from_guest: bool, key: bytes) -> bytes:
        """The key of the flow that a flow with this key is part of."""

    # --- statistics

    def drop_stats(self) -> tuple[int, ...]:
        """55 counts by reason, of the whole router (one core, so also its total)."""

    def drop_stats_clear(self) -> None: ...
    def drop_log(self, skip: int = 0) -> bytes:
        """The last packets that were dropped, at most 1024, from the `skip`-th oldest on.

        Originals that went on as copies (cloned_original, trap_original) are not among them
        unless `drop_log_set` asks for that reason.

        Each is 56 bytes, `=QI5HBB16s16s` in `struct`'s words: monotonic nanoseconds, vif
        where it came in (all ones: nowhere), VRF, EtherType, source port, destination port,
        length, reason (DROP_REASONS), IP protocol, source and destination address (IPv4 in
        the first four bytes). What is unknown is 0.
        """

    def drop_log_set(self, only: int | None = None, brief: bool | None = None) -> None:
        """`only`: one reason by number, 0 all. `brief`: without what is in the packet."""

    def drop_log_clear(self) -> None:
        """Forget the packets in the log."""

    def usage(self) -> Usage:
        """What is held now."""

    def vrf_stats(self, vrf: int) -> tuple[int, ...] | None:
        """Counters by VRF_COUNTERS, or None for a VRF that never saw a packet."""

    def vrf_stats_indexes(self) -> list[int]:
        """VRFs with counters, ascending."""

    # --- life

    def set_mss_adjust(self, on: bool) -> None:
        """Lower the MSS of the VMs' TCP SYNs (as from the start), or leave it."""

    def reset(self) -> None:
        """vrouter_ops RESET: delete vifs, nexthops but 0, labels, VNIs, routes, flows,
        bridge entries, statistics; detach all descriptors. Limits and buffers stay."""

    def run(self) -> None:
        """Move frames until `stop`, without the GIL, in a thread of the caller's.

        Waits in epoll over all attached descriptors. A vif whose device went away is
        detached (`Vif.attached` turns False) instead of spinning. Raises RuntimeError
        if already running, OSError when epoll itself fails.
        """

    def stop(self) -> None:
        """Make `run` return soon, or the next `run` at once if none is going."""

    def close(self) -> None:
        """Release descriptors and memory that this object owns (after `run` returned)."""

    # --- test devices

    def advance(self, seconds: float) -> None:
        """Move the router's clock forward, and do what is due then. It stands still otherwise
        from the first call on."""

    def set_capture(self, on: bool) -> None:
        """Collect what is sent on vifs without a descriptor (else it is dropped)."""

    def captured(self) -> list[tuple[int, bytes, bytes]]:
        """Take what was collected: (vif, frame, virtio_net_hdr of 10 bytes), in order.

        On the agent vif `frame` is the whole pkt0 frame.
        """

    def inject(self, idx: int, frame: bytes, vnet: bytes = b"") -> int:
        """Handle one frame as received on the vif; `vnet` is its virtio_net_hdr.

        For the agent vif the frame is a whole pkt0 datagram. -ENODEV: no such vif.
        """

# --- parts that tests compare with their oracles

def checksum(data: bytes, initial: int = 0) -> int:
    """RFC 1071 checksum of `data`, complemented, as the big-endian number to store."""
