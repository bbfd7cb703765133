# cython: boundscheck=False
"""What ksync knows of each slot of the datapath, and the straight way of routes through it.

A table of routes comes as a hundred thousand new objects that nothing refers to, each of
which is wanted, sent and accepted. These steps are here, each for the records that are in
no special state; the rest they hand back, for the reconciler to judge one by one.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from agent._fast.sandesh cimport VrRouteReq

from agent.errors import BugError
from agent.objects import Identity, Kind

cdef object VRF = Kind.VRF
cdef object INET_ROUTE = Kind.INET_ROUTE
cdef object BRIDGE_ROUTE = Kind.BRIDGE_ROUTE
cdef object NEXTHOP = Kind.NEXTHOP
cdef int AF_BRIDGE = 7
cdef int INET_LABEL_VALID = 0x1
cdef int BRIDGE_LABEL_VALID = 0x2
cdef int BRIDGE_FLAGS_OF_DATAPATH = 0x1 | 0x8 | 0x20  # valid, MAC moved, MAC new
cdef bytes NO_MAC = bytes(6)
cdef object new_tuple = tuple.__new__


cdef class Record:
    """A slot of the datapath, or (identity None) a key that is referred to but not wanted.

    `refs` and `dependents` are the two ends of the desired references; `programmed_refs`
    and `sent_refs` are the slots that the acknowledged message and the one in flight use,
    `users` their other end. `programmed_key` is None for what a dump told. The dicts are
    made when needed: most records are routes, which nothing refers to.
    """

    cdef public object identity
    cdef public object key
    cdef public object desired
    cdef public tuple refs
    cdef public dict dependents
    cdef public object programmed
    cdef public object programmed_key
    cdef public tuple programmed_refs
    cdef public dict users
    cdef public object sent
    cdef public object sent_key
    cdef public tuple sent_refs
    cdef public int missing          # how many of refs are not ready
    cdef public int occupants        # of a VRF: the routes that have a slot in it
    cdef int refusal                 # errno of the last one, 0 after success
    cdef public int attempts         # refusals in a row
    cdef public int refusals
    cdef uint8_t _deleting, _unsure, _differs, _ready, _going, _stale, _held, _queued, _open

    def __init__(self, identity, key):
        self.identity = identity
        self.key = key
        self.refs = self.programmed_refs = self.sent_refs = ()

    @property
    def errno(self):
        """Of the last refusal, 0 after success."""
        return self.refusal

    @errno.setter
    def errno(self, int value):
        self.refusal = value

    @property
    def deleting(self):
        """The message in flight is a DEL."""
        return self._deleting != 0

    @deleting.setter
    def deleting(self, bint value):
        self._deleting = value

    @property
    def unsure(self):
        """A change was refused: who knows what is there now."""
        return self._unsure != 0

    @unsure.setter
    def unsure(self, bint value):
        self._unsure = value

    @property
    def differs(self):
        """Programmed is not known to be desired."""
        return self._differs != 0

    @differs.setter
    def differs(self, bint value):
        self._differs = value

    @property
    def ready(self):
        """Dependents may be sent."""
        return self._ready != 0

    @ready.setter
    def ready(self, bint value):
        self._ready = value

    @property
    def going(self):
        """Must leave the datapath before it can be as desired."""
        return self._going != 0

    @going.setter
    def going(self, bint value):
        self._going = value

    @property
    def stale(self):
        """Found in a dump and not claimed yet."""
        return self._stale != 0

    @stale.setter
    def stale(self, bint value):
        self._stale = value

    @property
    def held(self):
        """Refused; waits for its next attempt."""
        return self._held != 0

    @held.setter
    def held(self, bint value):
        self._held = value

    @property
    def queued(self):
        """Waits to be sent."""
        return self._queued != 0

    @queued.setter
    def queued(self, bint value):
        self._queued = value

    @property
    def counted_open(self):
        """Counted among those that are not settled."""
        return self._open != 0

    @counted_open.setter
    def counted_open(self, bint value):
        self._open = value

    @property
    def stands(self):
        """The slot holds its key's object, if only an older form of it.

        False while it still holds what another key left there, or what a dump found.
        """
        if self.programmed is None:
            return False
        return not self._differs or self.programmed_key == self.key

    @property
    def in_use(self):
        """Others must leave the datapath before this one can."""
        return bool(self.users) or self.occupants > 0

    def use(self, refs):
        """Enter this record among the users of `refs`."""
        enter_users(self, refs)

    def is_stalled(self):
        """Not to be counted on soon: it must go first or waits for what must, it is refused,
        or nobody wants it."""
        cdef Record ref
        if self._going or self.refusal or self.desired is None:
            return True
        if not self.stands:
            for ref in self.refs:
                if ref.is_stalled():
                    return True
        return False

    def is_deletable(self, bint complete):
        """Programmed and not to stay, or to leave for a moment; referrers apart."""
        if self.programmed is None:
            return False
        return bool(self._going or (self.desired is None and (complete or not self._stale)))

    def is_settled(self, bint complete):
        """Nothing is left to do for this record."""
        if self.sent is not None or self._held:
            return False
        if self.desired is None:
            return self.programmed is None or bool(
                self._stale and not complete and not self._going
            )
        return self.programmed is not None and not self._differs and not self._going


cdef int enter_users(Record record, tuple refs) except -1:
    """A VRF's routes are counted (`occupants`), not listed: there are too many."""
    cdef Record ref
    cdef bint counted = (<tuple>record.identity)[0] in (INET_ROUTE, BRIDGE_ROUTE)
    for ref in refs:
        if counted and ref.identity is not None and (<tuple>ref.identity)[0] is VRF:
            continue
        if ref.users is None:
            ref.users = {}
        ref.users[record] = None
    return 0


cdef bytes masked(bytes prefix, int plen):
    """The prefix without its host bits; the same object when there are none."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(prefix), at
    cdef const uint8_t *old = <const uint8_t *>PyBytes_AS_STRING(prefix)
    cdef uint8_t *out
    cdef uint8_t keep
    cdef bytes made
    cdef bint clean = True
    for at in range(plen // 8, size):
        keep = <uint8_t>(0xff00 >> (plen - 8 * at)) if 8 * at < plen else 0
        if old[at] & ~keep & 0xff:
            clean = False
    if clean:
        return prefix
    made = PyBytes_FromStringAndSize(<const char *>old, size)
    out = <uint8_t *>PyBytes_AS_STRING(made)
    for at in range(plen // 8, size):
        out[at] &= <uint8_t>(0xff00 >> (plen - 8 * at)) if 8 * at < plen else 0
    return made


def route_identity(VrRouteReq message not None):
    """The slot that a route's ADD message writes. BugError: its prefix has no such length."""
    cdef bytes prefix
    cdef int plen, family = message.fields.rtr_family, vrf = message.fields.rtr_vrf_id
    if family == AF_BRIDGE:
        return new_tuple(Identity, (BRIDGE_ROUTE, (vrf, message.rtr_mac)))
    prefix, plen = message.rtr_prefix, message.fields.rtr_prefix_len
    if not 0 <= plen <= 8 * len(prefix):
        raise BugError(f"a prefix of {len(prefix)} bytes has no length {plen}: {message!r}")
    return new_tuple(Identity, (INET_ROUTE, (vrf, family, masked(prefix, plen), plen)))


cdef int flags_of(VrRouteReq route):
    """The flags that decide about forwarding."""
    cdef int flags = route.fields.rtr_label_flags & 0xFFFF
    return flags & ~BRIDGE_FLAGS_OF_DATAPATH if route.fields.rtr_family == AF_BRIDGE else flags


cdef int label_of(VrRouteReq route):
    """The label, or VNI, if there is one."""
    cdef bint bridge = route.fields.rtr_family == AF_BRIDGE
    cdef int valid = BRIDGE_LABEL_VALID if bridge else INET_LABEL_VALID
    return route.fields.rtr_label & 0xFFFFFF if route.fields.rtr_label_flags & valid else 0


cdef bytes bound_to(VrRouteReq route):
    """The MAC address that an inet route is bound to; empty where it is to none."""
    cdef bytes mac
    if route.fields.rtr_family == AF_BRIDGE:
        return b""
    mac = route.rtr_mac
    return b"" if mac == NO_MAC else mac


def route_content(VrRouteReq route not None):
    """What a route does, without its prefix or MAC address: nexthop, flags, label, bound MAC."""
    return route.fields.rtr_nh_id, flags_of(route), label_of(route), bound_to(route)


cdef bint does_the_same(VrRouteReq one, VrRouteReq other):
    """Whether the contents of two routes are equal."""
    return (
        one.fields.rtr_nh_id == other.fields.rtr_nh_id
        and flags_of(one) == flags_of(other)
        and label_of(one) == label_of(other)
        and bound_to(one) == bound_to(other)
    )


def routes_of_leaves(leaves):
    """The inet routes behind a dump of trie leaves, each once, as ADD messages.

    A leaf carries the length of the route that it shows in rtr_replace_plen; a leaf with
    nexthop 0 and length 0 is empty. Where leaves of one route disagree the route gets
    nexthop -1, which equals nothing that anyone wants, so that it is written again.
    """
    cdef dict found = {}
    cdef VrRouteReq leaf, route
    cdef bytes prefix
    cdef int plen
    for leaf in leaves:
        prefix = leaf.rtr_prefix
        plen = min(leaf.fields.rtr_replace_plen, leaf.fields.rtr_prefix_len, 8 * len(prefix))
        if plen <= 0:
            if leaf.fields.rtr_nh_id == 0:
                continue
            plen = 0
        prefix = masked(prefix, plen)
        name = prefix, plen
        route = found.get(name)
        if route is None:
            found[name] = VrRouteReq(
                rtr_vrf_id=leaf.fields.rtr_vrf_id,
                rtr_family=leaf.fields.rtr_family,
                rtr_prefix=prefix,
                rtr_prefix_len=plen,
                rtr_nh_id=leaf.fields.rtr_nh_id,
                rtr_label=leaf.fields.rtr_label,
                rtr_label_flags=leaf.fields.rtr_label_flags,
                rtr_mac=leaf.rtr_mac,
            )
        elif route.fields.rtr_nh_id != -1 and not does_the_same(route, leaf):
            found[name] = route.replace(rtr_nh_id=-1)
    return list(found.values())


cdef class Ledger:
    """The records by slot and by key, and how many routes there are."""

    cdef readonly dict slots
    """Identity -> Record."""
    cdef readonly dict owners
    """Key -> Record."""
    cdef readonly dict lengths
    """(vrf, family) -> how many slots there are of each prefix length."""
    cdef readonly dict occupants
    """VRF -> how many slots of routes are in it."""

    def __init__(self):
        self.slots = {}
        self.owners = {}
        self.lengths = {}
        self.occupants = {}

    def count_route(self, identity, int change):
        """Keep the counts by VRF and length. Returns the VRF's record if it became empty."""
        cdef tuple number = identity[1]
        cdef list lengths
        cdef Record owner
        vrf = number[0]
        if identity[0] is INET_ROUTE:
            table = number[:2]
            lengths = self.lengths.get(table)
            if lengths is None:
                lengths = self.lengths[table] = [0] * (8 * len(number[2]) + 1)
            lengths[number[3]] += change
        left = self.occupants.get(vrf, 0) + change
        owner = self.slots.get(new_tuple(Identity, (VRF, vrf)))
        if owner is not None:
            owner.occupants = left
        if left:
            self.occupants[vrf] = left
            return None
        del self.occupants[vrf]
        for table in [table for table in self.lengths if table[0] == vrf]:
            del self.lengths[table]
        return owner

    def cover(self, Record record not None):
        """The closest covering inet route that is in the datapath or on its way."""
        cdef tuple number
        cdef list lengths
        cdef bytes prefix
        cdef int plen
        cdef Record found
        if (<tuple>record.identity)[0] is not INET_ROUTE:
            return None
        number = (<tuple>record.identity)[1]
        vrf, family, prefix, plen = number
        lengths = self.lengths[vrf, family]
        while plen > 0:
            plen -= 1
            if not lengths[plen]:
                continue
            name = (INET_ROUTE, (vrf, family, masked(prefix, plen), plen))
            found = self.slots.get(name)
            if found is not None and (found.programmed is not None or found.sent is not None):
                return found
        return None

    def retire(self, keys, queue):
        """Give up routes that are as they should be and that nothing refers to.

        What the datapath holds is known, and complete or not: a route that was wanted may go.
        They go into `queue`. Gives the other keys, and how many routes were taken.
        """
        cdef list rest = []
        cdef Py_ssize_t opened = 0
        cdef Record record
        append = queue.append
        for key in keys:
            record = self.owners.get(key)
            if (
                record is None
                or record.desired is None
                or type(record.programmed) is not VrRouteReq
                or record.sent is not None
                or record._held
                or record._queued
                or record._going
                or record._stale
                or record._differs
                or record._open
                or record.dependents
                or record.users
                or record.refs is not record.programmed_refs
            ):
                rest.append(key)
                continue
            record.desired = None
            record._ready = False
            record._open = record._queued = True
            append(record)
            opened += 1
        return rest, opened

    def spot(self, dumped):
        """Note the routes of a dump whose slots nobody has: they are left over.

        Gives their records, for `trace`, and the other messages.
        """
        cdef list spotted = [], rest = []
        cdef Record record
        for message in dumped:
            identity = route_identity(message) if type(message) is VrRouteReq else None
            if identity is None or identity in self.slots:
                rest.append(message)
                continue
            record = Record.__new__(Record)
            record.identity = identity
            record.programmed = message
            record.refs = record.programmed_refs = record.sent_refs = ()
            record._stale = True
            self.slots[identity] = record
            self.count_route(identity, 1)
            spotted.append(record)
        return spotted, rest

    def trace(self, spotted):
        """Enter what routes of a dump use; one whose nexthop is not there must be written again."""
        cdef dict vias = {}
        cdef VrRouteReq route
        cdef Record record, ref
        cdef tuple refs
        for record in spotted:
            route = record.programmed
            number = route.fields.rtr_nh_id
            refs = vias.get(number)
            if refs is None:
                ref = self.slots.get((NEXTHOP, number)) if route.fields.rtr_nh_id > 0 else None
                refs = () if ref is None or ref.programmed is None else (ref,)
                vias[number] = refs
            record._unsure = route.fields.rtr_nh_id > 0 and not refs
            mac = bound_to(route)
            if mac:
                ref = self.slots.get((BRIDGE_ROUTE, (route.fields.rtr_vrf_id, mac)))
                if ref is not None and ref.programmed is not None:
                    refs = (*refs, ref)
            record.programmed_refs = refs
            enter_users(record, refs)
            self._refer(record, refs)

    cdef int _refer(self, Record record, tuple refs) except -1:
        """Make these the references of a record that had none others."""
        cdef Record ref
        cdef int missing = 0
        record.refs = refs
        for ref in refs:
            if ref.dependents is None:
                ref.dependents = {}
            ref.dependents[record] = None
            missing += not ref._ready
        record.missing = missing
        return 0

    def admit(self, changes, queue, bint known):
        """Take over routes among desired objects: new ones, whose slots and keys nobody has,
        and those that a dump found as they should be.

        What may be sent goes into `queue`, if it is `known` what the datapath holds. Gives
        the other changes, how many records were taken that are not settled, and how many
        were found.
        """
        cdef list rest = []
        cdef Py_ssize_t opened = 0, adopted = 0
        cdef Record record
        cdef dict shared = {}
        append = queue.append
        for desired in changes:
            record = self._admitted(desired, shared)
            if record is None:
                rest.append(desired)
            elif record.programmed is not None:
                adopted += 1
            elif known:
                opened += 1
                record._open = True
                if not record.missing:
                    record._queued = True
                    append(record)
        return rest, opened, adopted

    cdef Record _admitted(self, desired, dict shared):
        """The record of a route; None where anything about it is not plain or not known.

        Routes that share their reference keys share the records too, by way of `shared`.
        """
        cdef Record record
        cdef tuple refs
        key, keys, message = desired
        if type(message) is not VrRouteReq or key in self.owners:
            return None
        try:
            identity = route_identity(message)
        except BugError:
            return None  # to be told once it is alone
        found = shared.get(id(keys))
        if found is None:
            found = shared[id(keys)] = (keys, self._refs(keys))  # keys held: the id stays theirs
        refs = found[1]
        if refs is None:
            return None
        record = self.slots.get(identity)
        if record is not None and not is_left_as(record, message, refs):
            return None
        if record is None:
            record = Record.__new__(Record)
            record.identity = identity
            record.programmed_refs = record.sent_refs = ()
            self.slots[identity] = record
            self.count_route(identity, 1)
        else:
            record.programmed = message
            record.programmed_key = key
            record.programmed_refs = refs
            enter_users(record, refs)
            record._stale = False
            record._ready = True
        record.key = key
        record.desired = desired
        self._refer(record, refs)
        self.owners[key] = record
        return record

    cdef tuple _refs(self, keys):
        """The records of keys, each once; None where one has none yet."""
        cdef list found = []
        for key in keys:
            ref = self.owners.get(key)
            if ref is None:
                return None
            if ref not in found:
                found.append(ref)
        return tuple(found)


    def confirm(self, records, list gone, list touched):
        """The datapath accepted the messages of these records, in an untroubled state of all.

        Settles those that were added, as they still should be, and those that were deleted
        and nobody wants, if nothing refers to them. Identity and key of what was deleted go
        into `gone`, records that lost their last user into `touched`. Gives the others, and
        how many were settled.
        """
        cdef list rest = []
        cdef Py_ssize_t settled = 0
        cdef Record record
        for record in records:
            if (
                record.sent is None
                or record._going
                or record._held
                or record._stale
                or record.dependents
                or record.users
                or not record._open
            ):
                rest.append(record)
            elif record._deleting:
                if record.desired is not None or not self._forget(record, gone, touched):
                    rest.append(record)
                else:
                    settled += 1
            elif (
                record.desired is None
                or (<tuple>record.desired)[2] is not record.sent
                or (record.programmed_refs and record.programmed_refs is not record.sent_refs)
            ):
                rest.append(record)
            else:
                record.programmed = record.sent
                record.sent = None
                record.programmed_key = record.sent_key
                record.programmed_refs, record.sent_refs = record.sent_refs, ()
                record._unsure = record._differs = record._open = False
                record._ready = True
                record.refusal = record.attempts = 0
                settled += 1
        return rest, settled

    cdef bint _forget(self, Record record, list gone, list touched) except -1:
        """Drop a route that was deleted; False where that needs judgement."""
        cdef Record ref, emptied
        identity, key = record.identity, record.key
        if (<tuple>identity)[0] is not INET_ROUTE or key is None:
            return False
        for ref in record.refs:
            if ref.identity is None:
                return False
        gone.append((identity, key))
        for ref in record.programmed_refs + record.sent_refs:
            if ref.users and ref.users.pop(record, self) is None and not ref.users:
                touched.append(ref)
        for ref in record.refs:
            if ref.dependents is not None:
                ref.dependents.pop(record, None)
        del self.slots[identity]
        del self.owners[key]
        emptied = self.count_route(identity, -1)
        if emptied is not None:
            touched.append(emptied)
        record.identity = record.key = record.programmed = record.sent = None
        record.programmed_key = record.sent_key = None
        record.refs = record.programmed_refs = record.sent_refs = ()
        record._deleting = record._unsure = record._differs = record._open = False
        return True


cdef bint is_left_as(Record record, VrRouteReq wanted, tuple refs):
    """Whether a dump found just this route, which nobody has claimed, nor anything is about it."""
    cdef Record ref
    if (
        not record._stale
        or record.desired is not None
        or record.key is not None
        or record.programmed_key is not None
        or type(record.programmed) is not VrRouteReq
        or record.sent is not None
        or record._held
        or record._queued
        or record._going
        or record._unsure
        or record._open
        or record.dependents
        or not does_the_same(record.programmed, wanted)
    ):
        return False
    for ref in record.programmed_refs:
        if ref not in refs or ref._going:
            return False
    return True


def launch(queue, Py_ssize_t limit, writes):
    """The first of `queue` that are to be added or changed, and their messages; in flight now.

    Ends before a record that needs judgement, and after `limit`.
    """
    cdef list records = [], messages = []
    cdef Py_ssize_t left = limit
    cdef Record record
    popleft = queue.popleft
    while left and queue:
        record = popleft()
        if (
            record.sent is not None
            or record._held
            or record._going
            or record.desired is None
            or record.missing
            or (record.programmed is not None and not record._differs)
        ):
            queue.appendleft(record)
            break
        record._queued = False
        record.sent_refs = record.refs
        record.sent_key = record.key
        record.sent = (<tuple>record.desired)[2]
        enter_users(record, record.sent_refs)
        name = ((<tuple>record.identity)[0]._value_,
                "add" if record.programmed is None else "change")
        writes[name] += 1
        records.append(record)
        messages.append(record.sent)
        left -= 1
    return records, messages


cdef Py_ssize_t accepted_part(
    const uint8_t *frame, Py_ssize_t left, bytes ack, uint32_t seq, bint *more
):
    """Bytes of the plain `ack` to frame `seq` that stands at `frame`; 0: it is something else."""
    cdef Py_ssize_t size = 24 + PyBytes_GET_SIZE(ack)
    cdef uint32_t length, number
    cdef uint16_t kind, flags, said
    if left < size:
        return 0
    memcpy(&length, frame, 4)
    memcpy(&kind, frame + 4, 2)
    memcpy(&flags, frame + 6, 2)
    memcpy(&number, frame + 8, 4)
    memcpy(&said, frame + 20, 2)
    if kind <= 16 or number != seq or length > left:
        return 0
    if length != size and length != (size + 3) // 4 * 4:  # the kernel pads
        return 0
    if said != size - 24 and said != size - 20:
        return 0
    if memcmp(frame + 24, <const uint8_t *>PyBytes_AS_STRING(ack), size - 24):
        return 0
    more[0] = flags & 2 != 0
    return length


cdef Py_ssize_t accepted_end(const uint8_t *frame, Py_ssize_t left, uint32_t seq):
    """Bytes of the kernel's DONE for frame `seq`; 0: it is something else."""
    cdef uint32_t length, number
    cdef uint16_t kind, flags
    if left < 16:
        return 0
    memcpy(&length, frame, 4)
    memcpy(&kind, frame + 4, 2)
    memcpy(&flags, frame + 6, 2)
    memcpy(&number, frame + 8, 4)
    return 16 if length == 16 and kind == 3 and not flags & 2 and number == seq else 0


def accepted(bytearray data not None, bytes ack not None, uint32_t seq, Py_ssize_t count):
    """How many bytes at the start of `data` say yes to all `count` requests of frame `seq`.

    0 unless they all do, with one plain `ack` (a vr_response of code 0) a frame, and the
    reply is whole: its last part says that no more comes, or the kernel's DONE does.
    """
    cdef const uint8_t *start = <const uint8_t *>PyByteArray_AS_STRING(data)
    cdef Py_ssize_t left = PyByteArray_GET_SIZE(data), used = 0, index, size
    cdef bint more = False
    if count <= 0:
        return 0
    for index in range(count):
        size = accepted_part(start + used, left - used, ack, seq, &more)
        if not size or (not more and index < count - 1):
            return 0
        used += size
    if not more:
        return used
    size = accepted_end(start + used, left - used, seq)
    return used + size if size else 0
