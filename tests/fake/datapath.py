"""An in-memory vrouter that speaks Sandesh over netlink frames, for tests of its clients.

    datapath = FakeDatapath()
    link = datapath.connect()      # one client's connection
    link.feed(bytes_from_client)
    bytes_for_client = link.take()

or, over a real socket, `async with datapath.served(path): ...`.

It keeps objects as the real one does, answers with its codes, fills and drops what it
fills and drops in dumps, and writes down every breach of the order of references in
`violations`: a request that it had to refuse for a missing object (unless told to refuse),
a delete of an object in use. Faults are armed by `fail`, `not_ready`, `lose_replies`,
`hold`, `corrupt`, `restart`; `writes` counts ADD and DEL requests.
"""

from __future__ import annotations

import asyncio
import errno
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.sandesh.framing import FrameReader, reply_frame
from agent.sandesh.vrouter import (
    SandeshOp,
    VrBridgeTableData,
    VrFcMapReq,
    VrFlowTableData,
    VrHugepageConfig,
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
    VrQosMapReq,
    VrResponse,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVxlanReq,
    decode_messages,
)
from tests.fake.inet_trie import InetTrie, Leaf

ADD, GET, DEL, DUMP, RESET = (
    SandeshOp.ADD,
    SandeshOp.GET,
    SandeshOp.DEL,
    SandeshOp.DUMP,
    SandeshOp.RESET,
)
INCOMPLETE = 0x40000000
VALID, INDIRECT = 0x1, 0x400000
RECEIVE, ENCAP, TUNNEL, COMPOSITE = 1, 2, 3, 6
BRIDGE = 7
NO_LABEL = 0xFFFFFF

Answer = tuple[int, list[Any]]
"""vr_response's code and the objects behind it."""


class Refusal(Exception):
    """The request gets a negative answer; `breach` tells what the client did wrong."""

    def __init__(self, code: int, breach: str = "") -> None:
        self.code = code
        self.breach = breach
        super().__init__(f"{code} {breach}")


class Link:
    """One client's connection: bytes in with `feed`, bytes out with `take`."""

    def __init__(self, datapath: FakeDatapath) -> None:
        self._datapath = datapath
        self._reader = FrameReader()
        self._held: deque[bytes] = deque()
        self._out = bytearray()
        self.closed = False

    def feed(self, data: bytes) -> None:
        self._reader.feed(data)
        for frame in self._reader:
            if not self.closed:
                self._held.append(self._datapath.answer_frame(frame))

    def take(self, limit: int | None = None) -> bytes:
        """The replies that may leave now, or the first `limit` frames' replies of them."""
        while self._held and not self._datapath.held and limit != 0:
            self._out += self._held.popleft()
            limit = None if limit is None else limit - 1
        data = bytes(self._out)
        self._out.clear()
        return data


class FakeDatapath:
    """`objects[kind name]` maps an index to the ADD message that made it so.

    Kind names: "vif", "nexthop", "label", "vxlan", "vrf", "mirror", "vrf-assign", "qos-map",
    "forwarding-class", "bridge" by (vrf, MAC); inet routes are in `tries` by (vrf, family).
    `page` is how many objects a dump's page holds.
    """

    def __init__(self, *, page: int = 24, links: bool = True) -> None:
        self.page = page
        self.writes: Counter[tuple[str, str]] = Counter()
        self.log: list[Any] = []
        self.violations: list[str] = []
        self.held = False
        self.restarts = 0
        self.without_tables = False
        """As a kernel module that was not told of huge pages yet."""
        self.memory = -2
        """vhp_resp to that."""
        self.limits = VrouterOps(vo_nexthops=524288, vo_mpls_labels=5120, vo_vrfs=4096)
        self._links: list[Link] = []
        self._failures: list[tuple[str, SandeshOp | None, int]] = []
        self._not_ready = 0
        self._lost = 0
        self._corruptions: deque[str] = deque()
        self._writers: set[asyncio.StreamWriter] = set()
        self.clear()

    def clear(self) -> None:
        """Empty tables, as after a start or RESET."""
        kinds = "vif nexthop label vxlan vrf mirror vrf-assign qos-map forwarding-class bridge"
        self.objects: dict[str, dict[Any, Any]] = {kind: {} for kind in kinds.split()}
        self.tries: dict[tuple[int, int], InetTrie] = {}

    # ---- faults

    def fail(self, name: str, code: int, count: int = 1, op: SandeshOp | None = None) -> None:
        """Refuse the next `count` requests called `name` (wire name) with errno `code`."""
        self._failures += [(name, op, code)] * count

    def stop_failing(self) -> None:
        self._failures.clear()

    def not_ready(self, count: int) -> None:
        """Answer the next `count` requests with ENETRESET."""
        self._not_ready = count

    def lose_replies(self, count: int) -> None:
        """Execute the next `count` frames but never answer them."""
        self._lost = count

    def hold(self) -> None:
        """Execute requests but keep the replies until `release`."""
        self.held = True

    def release(self) -> None:
        self.held = False

    def corrupt(self, how: str) -> None:
        """Spoil the next frame's reply: "missing", "extra", "sequence", "garbage", "length"."""
        self._corruptions.append(how)

    def restart(self) -> None:
        """Die and come back empty: connections are cut."""
        self.clear()
        self.restarts += 1
        self.disconnect()

    def disconnect(self) -> None:
        for link in self._links:
            link.closed = True
        self._links.clear()
        for writer in self._writers:
            writer.close()

    # ---- connections

    def connect(self) -> Link:
        link = Link(self)
        self._links.append(link)
        return link

    @asynccontextmanager
    async def served(self, path: Path | str) -> AsyncIterator[FakeDatapath]:
        """Serve clients on a Unix stream socket at `path`."""
        server = await asyncio.start_unix_server(self._serve, str(path))
        try:
            yield self
        finally:
            server.close()
            self.disconnect()
            await server.wait_closed()
            Path(path).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = self.connect()
        self._writers.add(writer)
        try:
            while not link.closed and (data := await reader.read(65536)):
                link.feed(data)
                writer.write(link.take())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    # ---- frames

    def answer_frame(self, frame: Any) -> bytes:
        """The whole reply to one request frame, in the socket form."""
        payloads: list[bytes] = []
        for message in decode_messages(frame.payload):
            payloads += self._payloads(message)
        if self._lost:
            self._lost -= 1
            return b""
        seq = frame.seq
        how = self._corruptions.popleft() if self._corruptions else ""
        if how == "garbage":
            return b"\xff" * 40
        if how == "length":
            return b"\x03\x00\x00\x00" + bytes(36)
        if how == "sequence":
            seq += 77
        if how == "missing":
            payloads = payloads[1:]
        if how == "extra":
            payloads.append(VrResponse(h_op=SandeshOp.RESPONSE).encode())
        last = len(payloads) - 1
        return b"".join(
            reply_frame(payload, family=frame.type, seq=seq, more=i < last)
            for i, payload in enumerate(payloads)
        )

    def _payloads(self, message: Any) -> list[bytes]:
        code, objects = self._answer(message)
        response = VrResponse(h_op=SandeshOp.RESPONSE, resp_code=code).encode()
        body = b"".join(each.encode() for each in objects)
        if not body:
            return [response]
        op = getattr(message, "h_op", GET)
        return [response, body] if op == DUMP else [response + body]

    def _answer(self, message: Any) -> Answer:
        op = self._op(message)
        if self._not_ready:
            self._not_ready -= 1
            return -errno.ENETRESET, []
        if op in (ADD, DEL):
            self.writes[message.NAME, op.name] += 1
            self.log.append(message)
        for failure in self._failures:
            if failure[0] == message.NAME and failure[1] in (None, op):
                self._failures.remove(failure)
                return -failure[2], []
        try:
            if op == GET and type(message) in _NUMBERED:
                return self._one(message)
            return _HANDLERS[type(message)](self, message, op)
        except Refusal as refusal:
            if refusal.breach:
                self.violations.append(f"{refusal.breach}: {message!r}")
            return -refusal.code, []

    def _one(self, message: Any) -> Answer:
        """The object that a GET asks for by its number."""
        kind, number = _NUMBERED[type(message)]
        found = self.objects[kind].get(getattr(message, number))
        if found is None:
            return -errno.ENOENT, []
        return 0, [_shown_nexthop(found) if kind == "nexthop" else found]

    @staticmethod
    def _op(message: Any) -> SandeshOp:
        for name in ("h_op", "btable_op", "vhp_op"):
            if hasattr(message, name):
                return SandeshOp(getattr(message, name))
        return GET

    # ---- what the handlers share

    def breach(self, text: str) -> None:
        self.violations.append(text)

    def pages(self, objects: Iterable[Any]) -> Answer:
        found = list(objects)
        more = INCOMPLETE if len(found) > self.page else 0
        return min(len(found), self.page) | more, found[: self.page]

    def need_nexthop(self, index: int, code: int) -> None:
        if index and index not in self.objects["nexthop"]:
            raise Refusal(code, f"nexthop {index} is missing")

    def nexthop_users(self, index: int) -> list[str]:
        """Who uses a nexthop, in words."""
        found = [
            f"composite {i}" for i, nh in self.objects["nexthop"].items() if index in nh.nhr_nh_list
        ]
        members = {"label": "mr_nhid", "vxlan": "vxlanr_nhid", "mirror": "mirr_nhid"}
        members |= {"bridge": "rtr_nh_id", "vrf-assign": "var_nh_id"}
        for kind, member in members.items():
            found += [
                f"{kind} {i}" for i, m in self.objects[kind].items() if getattr(m, member) == index
            ]
        for table, trie in self.tries.items():
            found += [f"route {p!r} of {table}" for p, _, leaf in trie.leaves() if leaf.nh == index]
        return found

    def inet_routes(self) -> dict[tuple[int, int, bytes, int], Leaf]:
        """What the tries show, by (vrf, family, prefix, plen), empty leaves left out."""
        shown = {}
        for (vrf, family), trie in self.tries.items():
            for prefix, _, leaf in trie.leaves():
                if leaf.plen or leaf.nh:
                    width = 8 * len(prefix)
                    top = int.from_bytes(prefix, "big") >> (width - leaf.plen)
                    network = (top << (width - leaf.plen)).to_bytes(len(prefix), "big")
                    shown[vrf, family, network, leaf.plen] = leaf
        return shown


# ---- one handler a message: (datapath, request, op) -> Answer


def _simple(
    kind: str, index: Callable[[Any], Any], marker: str, absent: int, check: Any = None
) -> Any:
    """A handler for objects that are stored as they are."""

    def handle(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
        table = dp.objects[kind]
        if op == DUMP:
            after = getattr(m, marker)
            return dp.pages(table[i] for i in sorted(table) if i > after)
        if op == ADD:
            if check:
                check(dp, m)
            table[index(m)] = m
        elif op == DEL:
            if index(m) not in table:
                if absent:
                    raise Refusal(absent)
            else:
                _in_use(dp, kind, index(m))
                del table[index(m)]
        return 0, []

    return handle


def _in_use(dp: FakeDatapath, kind: str, index: Any) -> None:
    if kind == "nexthop" and (users := dp.nexthop_users(index)):
        dp.breach(f"nexthop {index} deleted while used by {users}")
    if kind == "vif":
        users = [i for i, nh in dp.objects["nexthop"].items() if _uses_vif(nh, index)]
        users += [i for i in dp.objects["vrf-assign"] if i[0] == index]
        if users:
            dp.breach(f"vif {index} deleted while used by {users}")
    if kind == "vrf":
        routes = [r for r in dp.inet_routes() if r[0] == index]
        if routes or any(at[0] == index for at in dp.objects["bridge"]):
            dp.breach(f"vrf {index} deleted before its routes")
    if kind == "mirror":
        users = [i for i, v in dp.objects["vif"].items() if v.vifr_flags & 0x18]
        if any(dp.objects["vif"][i].vifr_mir_id == index for i in users):
            dp.breach(f"mirror {index} deleted while used")
    if kind == "bridge":
        users = [r for r, leaf in dp.inet_routes().items() if (r[0], leaf.mac) == index]
        if users:
            dp.breach(f"bridge route {index} deleted while stitched to {users}")


def _uses_vif(nexthop: Any, vif: int) -> bool:
    return bool(nexthop.nhr_flags & VALID) and vif in nexthop.nhr_encap_oif_id


def _check_vif(dp: FakeDatapath, m: Any) -> None:
    if m.vifr_type >= 10 or len(m.vifr_mac) != 6:
        raise Refusal(errno.EINVAL, "bad vif")
    if m.vifr_flags & 0x18 and m.vifr_mir_id not in dp.objects["mirror"]:
        dp.breach(f"vif {m.vifr_idx} sent before mirror {m.vifr_mir_id}")
    if m.vifr_type == 0 and not any(v.vifr_type == 2 for v in dp.objects["vif"].values()):
        raise Refusal(errno.ENODEV, "vhost without a physical vif")


def _vif(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    table = dp.objects["vif"]
    if op == DUMP:
        found = (table[i] for i in sorted(table) if i > m.vifr_marker)
        return dp.pages(_dumped_vif(vif) for vif in found)
    if op == ADD:
        _check_vif(dp, m)
        old = table.get(m.vifr_idx)
        if old is not None:  # these are ignored in a change
            kept = ("vifr_type", "vifr_mac", "vifr_name", "vifr_transport", "vifr_os_idx")
            m = m.replace(**{name: getattr(old, name) for name in kept})
        table[m.vifr_idx] = m
    elif m.vifr_idx not in table:
        raise Refusal(errno.ENODEV)
    else:
        _in_use(dp, "vif", m.vifr_idx)
        del table[m.vifr_idx]
    return 0, []


def _dumped_vif(vif: Any) -> Any:
    """A vif as a dump shows it: with the datapath's flags, counters and defaults."""
    return vif.replace(
        vifr_flags=vif.vifr_flags | 0x820020,
        vifr_ref_cnt=7,
        vifr_core=0xFFFFFFFF,
        vifr_mtu=vif.vifr_mtu or 1514,
        vifr_ibytes=12345,
        vifr_speed=-1,
        vifr_duplex=-1,
        vifr_mir_id=vif.vifr_mir_id if vif.vifr_flags & 0x18 else 255,
    )


def _check_nexthop(dp: FakeDatapath, m: Any) -> None:
    old = dp.objects["nexthop"].get(m.nhr_id)
    if m.nhr_type > 8:
        raise Refusal(errno.EINVAL, "bad nexthop type")
    if old is not None:
        sizes = len(old.nhr_encap), len(m.nhr_encap)
        if old.nhr_type != m.nhr_type or (old.nhr_flags ^ m.nhr_flags) & INDIRECT:
            raise Refusal(errno.EINVAL, "a change that a nexthop cannot make")
        if sizes[0] and sizes[0] != sizes[1]:
            raise Refusal(errno.EINVAL, "a change of the encapsulation's size")
    if not m.nhr_flags & VALID:
        return
    if m.nhr_type in (RECEIVE, ENCAP, TUNNEL):
        missing = [i for i in m.nhr_encap_oif_id if i not in dp.objects["vif"]]
        if missing:
            code = errno.EINVAL if m.nhr_type == ENCAP else errno.ENODEV
            raise Refusal(code, f"vif {missing} is missing")
    if m.nhr_type == COMPOSITE:
        if len(m.nhr_nh_list) != len(m.nhr_label_list):
            raise Refusal(errno.EINVAL, "uneven lists")
        for index in m.nhr_nh_list:
            if index > 0 and index not in dp.objects["nexthop"]:
                dp.breach(f"composite {m.nhr_id} sent before its member {index}")


def _nexthop(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    if op == DUMP:
        table = dp.objects["nexthop"]
        own = [VrNexthopReq(nhr_type=5, nhr_family=2, nhr_flags=VALID)]
        found = own + [table[i] for i in sorted(table)]
        return dp.pages(_dumped_nexthop(nh) for nh in found if nh.nhr_id > m.nhr_marker)
    if op == ADD:
        _check_nexthop(dp, m)
        dp.objects["nexthop"][m.nhr_id] = m
        return 0, []
    return _DELETE_NEXTHOP(dp, m, op)


_DELETE_NEXTHOP = _simple("nexthop", lambda m: m.nhr_id, "nhr_marker", errno.EINVAL)


def _shown_nexthop(nh: Any) -> Any:
    return nh.replace(
        h_op=DUMP,
        nhr_ref_cnt=3,
        nhr_encap_len=len(nh.nhr_encap),
        nhr_encap_family=0x0800,
        nhr_nh_count=len(nh.nhr_nh_list),
    )


def _dumped_nexthop(nh: Any) -> Any:
    return _shown_nexthop(nh).replace(
        nhr_nh_list=nh.nhr_nh_list[:16], nhr_label_list=nh.nhr_label_list[:16]
    )


def _route(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    if dp.without_tables and op == ADD:
        raise Refusal(errno.EINVAL, "there are no tables")
    return (_bridge if m.rtr_family == BRIDGE else _inet)(dp, m, op)


def _bridge(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    table = dp.objects["bridge"]
    if len(m.rtr_mac) != 6:
        raise Refusal(errno.EINVAL, "a bridge route without a MAC")
    at = m.rtr_vrf_id, m.rtr_mac
    if op == DUMP:
        found = sorted(i for i in table if i[0] == m.rtr_vrf_id and i[1] > m.rtr_mac)
        return dp.pages(
            table[i].replace(rtr_label_flags=table[i].rtr_label_flags | 1, rtr_index=9)
            for i in found
        )
    if op == ADD:
        dp.need_nexthop(m.rtr_nh_id, errno.ENOENT)
        table[at] = m
    elif at not in table:
        raise Refusal(errno.ENOENT)
    else:
        _in_use(dp, "bridge", at)
        del table[at]
    return 0, []


def _inet(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    at = m.rtr_vrf_id, m.rtr_family
    trie = dp.tries.get(at)
    if op == DUMP:
        return _dump_inet(dp, m, trie)
    width = 4 if m.rtr_family == 2 else 16
    if len(m.rtr_prefix) != width or m.rtr_prefix_len > 8 * width:
        raise Refusal(errno.EINVAL, "bad prefix")
    leaf = Leaf(m.rtr_nh_id, m.rtr_label, m.rtr_label_flags, m.rtr_mac, m.rtr_prefix_len)
    if op == ADD:
        dp.need_nexthop(m.rtr_nh_id, errno.ENOENT)
        if m.rtr_mac and (m.rtr_vrf_id, m.rtr_mac) not in dp.objects["bridge"]:
            raise Refusal(errno.ENOENT, "stitched to a missing bridge route")
        if trie is None:
            trie = dp.tries[at] = InetTrie(8 * width)
        trie.add(m.rtr_prefix, leaf)
    else:
        dp.need_nexthop(m.rtr_nh_id, errno.ENOENT)
        if trie is None:
            raise Refusal(errno.ENOENT)
        shown = Leaf(leaf.nh, leaf.label, leaf.flags, leaf.mac, m.rtr_replace_plen)
        trie.delete(m.rtr_prefix, m.rtr_prefix_len, shown)
    return 0, []


def _dump_inet(dp: FakeDatapath, m: Any, trie: InetTrie | None) -> Answer:
    """Leaves at depths of whole bytes' worth, as the real trie lists them."""
    if trie is None:
        raise Refusal(errno.ENOENT)
    after = (m.rtr_marker, m.rtr_marker_plen) if m.rtr_marker else (b"", -1)
    return dp.pages(
        VrRouteReq(
            rtr_vrf_id=m.rtr_vrf_id,
            rtr_family=m.rtr_family,
            rtr_prefix=prefix,
            rtr_prefix_len=depth,
            rtr_nh_id=leaf.nh,
            rtr_label=leaf.label if leaf.flags & 1 else NO_LABEL,
            rtr_label_flags=leaf.flags,
            rtr_mac=leaf.mac,
            rtr_replace_plen=leaf.plen,
            rtr_index=-1,
        )
        for prefix, depth, leaf in trie.leaves()
        if (prefix, depth) > after
    )


def _check_label(dp: FakeDatapath, m: Any) -> None:
    dp.objects["label"].pop(m.mr_label, None)  # the old entry goes first, as in the real one
    dp.need_nexthop(m.mr_nhid, errno.EINVAL)


def _check_vrf_assign(dp: FakeDatapath, m: Any) -> None:
    if m.var_vif_index not in dp.objects["vif"]:
        raise Refusal(errno.EINVAL, f"vif {m.var_vif_index} is missing")
    dp.need_nexthop(m.var_nh_id, errno.EINVAL)


def _vrf_assign(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    table = dp.objects["vrf-assign"]
    at = m.var_vif_index, m.var_vlan_id
    if op == DUMP:
        found = sorted(i for i in table if i[0] == m.var_vif_index and i[1] > m.var_marker)
        return dp.pages(table[i].replace(h_op=DUMP) for i in found)
    if op == ADD:
        _check_vrf_assign(dp, m)
        table[at] = m
    else:
        if m.var_vif_index not in dp.objects["vif"]:
            raise Refusal(errno.EINVAL, f"vif {m.var_vif_index} is missing")
        table.pop(at, None)
    return 0, []


def _ops(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    if op == GET:
        return 0, [dp.limits]
    if op == RESET:
        dp.clear()
    elif op == ADD:
        dp.limits = dp.limits.replace(vo_priority_tagging=m.vo_priority_tagging)
    return 0, []


def _table(path: str, member: str) -> Any:
    def handle(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
        return 0, [m.replace(**{member: path})]

    return handle


def _flow_table(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    if dp.without_tables:
        return 0, [m.replace(ftable_dev=65535)]
    return 0, [m.replace(ftable_file_path="/run/vrouter/flow.shmem")]


def _hugepages(dp: FakeDatapath, m: Any, op: SandeshOp) -> Answer:
    """As a kernel module: once; no usable argument, but memory."""
    if not dp.without_tables:
        raise Refusal(errno.EEXIST, "there are tables")
    dp.without_tables = False
    return 0, [m.replace(vhp_resp=dp.memory & 0xFFFFFFFF)]


_NUMBERED = {
    VrInterfaceReq: ("vif", "vifr_idx"),
    VrNexthopReq: ("nexthop", "nhr_id"),
    VrMplsReq: ("label", "mr_label"),
    VrVxlanReq: ("vxlan", "vxlanr_vnid"),
    VrVrfReq: ("vrf", "vrf_idx"),
    VrMirrorReq: ("mirror", "mirr_index"),
    VrQosMapReq: ("qos-map", "qmr_id"),
}
"""What GET asks for: the kind, and the member that has the number."""

_HANDLERS: dict[type, Callable[[FakeDatapath, Any, SandeshOp], Answer]] = {
    VrInterfaceReq: _vif,
    VrNexthopReq: _nexthop,
    VrRouteReq: _route,
    VrVrfAssignReq: _vrf_assign,
    VrouterOps: _ops,
    VrMplsReq: _simple("label", lambda m: m.mr_label, "mr_marker", 0, _check_label),
    VrVxlanReq: _simple(
        "vxlan",
        lambda m: m.vxlanr_vnid,
        "vxlanr_vnid",
        0,
        lambda dp, m: dp.need_nexthop(m.vxlanr_nhid, errno.EINVAL),
    ),
    VrVrfReq: _simple("vrf", lambda m: m.vrf_idx, "vrf_marker", errno.EINVAL),
    VrMirrorReq: _simple(
        "mirror",
        lambda m: m.mirr_index,
        "mirr_marker",
        errno.EINVAL,
        lambda dp, m: dp.need_nexthop(m.mirr_nhid, errno.EINVAL),
    ),
    VrQosMapReq: _simple("qos-map", lambda m: m.qmr_id, "qmr_marker", 0),
    VrFcMapReq: _simple("forwarding-class", lambda m: m.fmr_id[0], "fmr_marker", errno.EINVAL),
    VrFlowTableData: _flow_table,
    VrBridgeTableData: _table("/run/vrouter/bridge.shmem", "btable_file_path"),
    VrHugepageConfig: _hugepages,
}
