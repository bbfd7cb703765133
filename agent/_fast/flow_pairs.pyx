"""Kernel of the flow path: pairs of flows, from the trapped packet to the deleted entry.

Everything is in C (src/flow_pairs); here are times, bytes and what people look at.
"""

from libc.stdlib cimport calloc, free, malloc

from dataclasses import dataclass

from agent._fast.flow_world cimport World
from agent._fast.packet cimport FrameBatch
from agent.errors import WireError


cdef extern from "table.h" nogil:
    enum:
        FLOW_COUNTER_MAX
        PAIRS_VIFS
        REQUEST_FRAME
        RECORDS_MOST
        TRAP_TAKEN

    struct pairs_options:
        uint32_t entries
        uint32_t window
        uint32_t share
        uint32_t queue
        uint32_t timeout
        uint32_t short_time
        uint32_t records
        uint32_t pid
        uint64_t seed

    struct vif_slot:
        uint32_t flows
        uint32_t shorts
        uint32_t queued
        uint64_t dropped

    ctypedef struct inside "struct pairs":
        uint64_t counters[1]
        uint64_t clock
        uint32_t used
        uint32_t in_flight
        vif_slot *vifs

    struct flow_record:
        uint8_t key[2][44]
        uint64_t serial
        uint64_t started
        uint64_t ended
        uint64_t bytes[2]
        uint64_t packets[2]
        uint32_t policy_rule
        uint32_t sg_rule
        uint32_t vif
        uint16_t vrf
        uint16_t flags
        uint8_t action
        uint8_t reason
        uint8_t end

    struct flow_course:
        uint32_t from_vif
        uint32_t to_vif
        uint32_t meta[2]
        uint32_t peer
        uint8_t tunnel
        uint8_t length[2]

    void course_read(const pairs *, const flow_pair *, flow_course *)

    pairs *pairs_new(void *world, const pairs_options *)
    void pairs_free(pairs *)
    size_t pairs_memory(const pairs *)
    int pairs_trap(pairs *, const uint8_t *, size_t)
    bint pairs_turn(pairs *, uint32_t, uint32_t, uint32_t)
    bint pairs_pending(const pairs *)
    void pairs_tick(pairs *, uint32_t)
    bint pairs_deadline(const pairs *, uint32_t *)
    size_t pairs_output(pairs *, uint8_t *, size_t, uint32_t)
    bint pairs_can_send(const pairs *)
    int pairs_answers(pairs *, const uint8_t *, size_t, uint32_t)
    void pairs_online(pairs *, bint, uint32_t)
    void pairs_reset(pairs *, uint32_t)
    void end_pair "pair_end"(pairs *, uint32_t, int, uint32_t)
    size_t pairs_signals(pairs *, uint32_t *, uint8_t *, size_t)
    size_t pairs_records(pairs *, flow_record *, size_t)
    const char *pairs_counter_name(int)
    const char *pairs_end_name(int)

MILLISECONDS = 1000

cdef enum:
    MILLI = 1000
    TURN_PACKETS = 128
    TURN_CHANGES = 512
    OUTPUT_ROOM = 1 << 18
    SIGNALS = 64
    HIGHEST_RULE = 1 << 24

STATES = ("free", "setting-up", "installed", "ending")


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """One ended pair; see the .pyi."""

    serial: int
    forward: bytes
    reverse: bytes
    started: int
    ended: int
    why: str
    reason: int
    action: int
    flags: int
    vif: int
    vrf: int
    bytes: tuple
    packets: tuple
    rules: tuple


cdef bytes key_bytes(const uint8_t *key):
    cdef Py_ssize_t length = 44 if key[0] == 10 else 20
    return key[:length] if key[0] else b""


cdef uint64_t milliseconds(double now) except? 0:
    if not 0 <= now < 1e15:
        raise ValueError(f"{now} is no time")
    return <uint64_t>(now * MILLI)


cdef class FlowPairs:
    """All flows of a node; see the .pyi."""

    def __cinit__(
        self, World world not None, *, Py_ssize_t table_entries, Py_ssize_t window=512,
        Py_ssize_t share=128, Py_ssize_t queue=256, double timeout=2.0, double short_time=5.0,
        Py_ssize_t records=4096, uint32_t pid=0, seed=None,
    ):
        cdef pairs_options options
        if not 4 <= table_entries <= 1 << 24:
            raise ValueError(f"a flow table has 4 to 2**24 entries, not {table_entries}")
        if not (1 <= window <= 65536 and 1 <= share and 1 <= queue <= 16384):
            raise ValueError("window, share and queue are positive; 65536 and 16384 at most")
        if not (0 < timeout <= 3600 and 0 <= short_time <= 3600 and 0 <= records <= RECORDS_MOST):
            raise ValueError("times are up to an hour, records 2**20 at most")
        options.entries = <uint32_t>table_entries
        options.window = <uint32_t>window
        options.share = <uint32_t>min(share, 65536)
        options.queue = <uint32_t>queue
        options.timeout = <uint32_t>(timeout * MILLI)
        options.short_time = <uint32_t>(short_time * MILLI)
        options.records = <uint32_t>records
        options.pid = pid
        # The interpreter's own hash is keyed anew in every process.
        options.seed = <uint64_t>(hash(b"flow pairs") if seed is None else seed)
        self.world = world
        self.raw = pairs_new(world.world, &options)
        if self.raw == NULL:
            raise MemoryError()
        self._out = bytearray(OUTPUT_ROOM)

    def __dealloc__(self):
        pairs_free(self.raw)

    cdef uint32_t moment(self, double now) except? 0:
        """The pairs' time; their clock never goes back."""
        cdef uint64_t at = milliseconds(now)
        cdef inside *raw = <inside *>self.raw
        if at > raw.clock:
            raw.clock = at
        return <uint32_t>raw.clock

    def traps(self, FrameBatch batch not None, double now):
        cdef Py_ssize_t slot
        cdef list left = []
        self.moment(now)
        for slot in range(batch.count):
            if pairs_trap(self.raw, batch.at(slot), batch.lengths[slot]) != TRAP_TAKEN:
                left.append(slot)
        return left

    def turn(self, double now):
        cdef uint32_t moment = self.moment(now)
        cdef bint more
        with nogil:
            more = pairs_turn(self.raw, TURN_PACKETS, TURN_CHANGES, moment)
        return more

    @property
    def pending(self):
        return bool(pairs_pending(self.raw))

    @property
    def sendable(self):
        return bool(pairs_can_send(self.raw))

    def tick(self, double now):
        pairs_tick(self.raw, self.moment(now))

    def next_deadline(self):
        cdef uint32_t when
        cdef uint64_t clock = (<inside *>self.raw).clock
        if not pairs_deadline(self.raw, &when):
            return None
        # Rounded up: a tick at that time must find it due.
        return (<int64_t>clock + <int32_t>(when - <uint32_t>clock)) / <double>MILLI + 0.0005

    def take_output(self, Py_ssize_t most, double now):
        cdef uint8_t[::1] room = self._out
        cdef size_t size
        cdef uint32_t moment = self.moment(now)
        if most < 0:
            raise ValueError("the output has no negative size")
        with nogil:
            size = pairs_output(self.raw, &room[0], min(most, <Py_ssize_t>OUTPUT_ROOM), moment)
        return memoryview(self._out)[:size]

    def answers(self, const uint8_t[::1] data not None, double now):
        cdef uint32_t moment = self.moment(now)
        cdef int broken = 0
        if data.shape[0]:
            with nogil:
                broken = pairs_answers(self.raw, &data[0], data.shape[0], moment)
        if broken:
            raise WireError("the datapath's answers are no frames any more")

    def connected(self, double now):
        pairs_online(self.raw, True, self.moment(now))

    def disconnected(self, double now):
        pairs_online(self.raw, False, self.moment(now))

    def reset(self, double now):
        pairs_reset(self.raw, self.moment(now))

    def watch(self, const uint8_t[::1] table):
        if table is None:
            pairs_watch(self.raw, NULL, 0)
        elif table.shape[0] < 256 or table.shape[0] > 256 * 0xFFFFFFFF:
            raise ValueError(f"a flow table does not have {table.shape[0]} bytes")
        else:
            pairs_watch(self.raw, &table[0], <uint32_t>(table.shape[0] // 256))
        self._watched = table

    def end(self, Py_ssize_t pair, double now):
        cdef flow_pair *found = self.pair_at(pair)
        if found == NULL or found.state == PAIR_ENDING:
            return False
        end_pair(self.raw, <uint32_t>pair, END_ASKED, self.moment(now))
        return True

    def take_signals(self):
        cdef uint32_t vms[SIGNALS]
        cdef uint8_t drop[SIGNALS]
        cdef list signals = []
        cdef size_t count = SIGNALS, i
        while count == SIGNALS:
            count = pairs_signals(self.raw, vms, drop, SIGNALS)
            signals += [(vms[i], bool(drop[i])) for i in range(count)]
        return signals

    cdef flow_pair *pair_at(self, Py_ssize_t pair) noexcept:
        cdef flow_pair *found
        if not 0 <= pair < pairs_top(self.raw):
            return NULL
        found = pairs_at(self.raw, <uint32_t>pair)
        return NULL if found.state == PAIR_FREE else found

    def __len__(self):
        return (<inside *>self.raw).used

    @property
    def in_flight(self):
        return (<inside *>self.raw).in_flight

    def find(self, const uint8_t[::1] key not None):
        if key.shape[0] != 20 and key.shape[0] != 44:
            raise ValueError(f"a flow key has 20 or 44 bytes, not {key.shape[0]}")
        cdef uint32_t found = pairs_find(self.raw, &key[0], key.shape[0])
        return None if found == FLOW_NONE else found >> 1

    def owner(self, uint32_t index):
        cdef uint32_t found = pairs_owner(self.raw, index)
        return None if found == FLOW_NONE else (found >> 1, found & 1)

    def pairs(self, Py_ssize_t start=0, Py_ssize_t most=1024):
        cdef Py_ssize_t number
        cdef list found = []
        if start < 0:
            raise ValueError("pairs are numbered from 0")
        for number in range(start, pairs_top(self.raw)):
            if len(found) >= most:
                break
            if pairs_at(self.raw, <uint32_t>number).state != PAIR_FREE:
                found.append(number)
        return found

    def describe(self, Py_ssize_t pair):
        cdef flow_pair *found = self.pair_at(pair)
        if found == NULL:
            raise KeyError(pair)
        return {
            "state": STATES[found.state],
            "serial": found.serial,
            "created": found.created / <double>MILLI,
            "vif": found.vif,
            "vrf": found.vrf,
            "flags": found.decided.flags,
            "bound_port": found.decided.bound_port,
            "reads": tuple([None if read == FLOW_NONE else read for read in found.decided.reads]),
            "end": pairs_end_name(found.end).decode(),
            "tries": found.tries,
            "asked": found.asked,
            "forward": self.describe_side(found, 0),
            "reverse": self.describe_side(found, 1),
            "course": self.describe_course(found),
        }

    cdef dict describe_course(self, flow_pair *pair):
        cdef flow_course course
        course_read(self.raw, pair, &course)
        return {
            "from_vif": None if course.from_vif == FLOW_NONE else course.from_vif,
            "to_vif": None if course.to_vif == FLOW_NONE else course.to_vif,
            "source_meta": course.meta[0],
            "destination_meta": course.meta[1],
            "peer": course.peer,
            "tunnel": course.tunnel,
        }

    cdef dict describe_side(self, flow_pair *pair, int which):
        cdef pair_side *at = &pair.at[which]
        cdef flow_side *side = &pair.decided.side[which]
        return {
            "key": key_bytes(side.key),
            "index": None if at.index == FLOW_NONE else at.index,
            "gen_id": at.gen_id,
            "dirty": bool(at.flags & 1),
            "unsure": bool(at.flags & 2),
            "action": side.action,
            "reason": side.reason,
            "flags": side.flags,
            "vrf": side.vrf,
            "dvrf": side.dvrf,
            "source_nexthop": side.src_nexthop,
            "ecmp": side.ecmp,
            "mirrors": (side.mirror, side.sec_mirror),
            "rules": (side.policy_rule, side.sg_rule),
            "bytes": at.bytes,
            "packets": at.packets,
            "last_seen": at.last_seen,
            "tcp_flags": at.tcp_flags,
        }

    def decided_by(self, rules, Py_ssize_t start=0, Py_ssize_t look=65536, Py_ssize_t most=64):
        cdef list numbers = list(rules), found = []
        cdef Py_ssize_t number = start, end, i, size = len(numbers)
        cdef uint32_t highest = max(numbers, default=0)
        if start < 0 or look < 1 or most < 0 or highest > HIGHEST_RULE:
            raise ValueError(f"pairs are numbered from 0, rules up to {HIGHEST_RULE}")
        cdef uint32_t *place = <uint32_t *>calloc(highest + 1, sizeof(uint32_t))
        cdef uint32_t *hits = <uint32_t *>calloc(size + 1, sizeof(uint32_t))
        cdef flow_side *side
        cdef uint32_t one, other
        try:
            if place == NULL or hits == NULL:
                raise MemoryError()
            for i in range(size):
                place[<uint32_t>numbers[i]] = <uint32_t>i + 1
            end = min(start + look, <Py_ssize_t>pairs_top(self.raw))
            while number < end and (not most or len(found) < most):
                if pairs_at(self.raw, <uint32_t>number).state != PAIR_FREE:
                    side = &pairs_at(self.raw, <uint32_t>number).decided.side[0]
                    one = place[side.policy_rule] if side.policy_rule <= highest else 0
                    other = place[side.sg_rule] if side.sg_rule <= highest else 0
                    hits[one] += 1
                    hits[other] += one != other
                    if most and (one or other):
                        found.append(number)
                number += 1
            following = number if number < <Py_ssize_t>pairs_top(self.raw) else None
            return [hits[i + 1] for i in range(size)], found, following
        finally:
            free(place)
            free(hits)

    def flows_of(self, Py_ssize_t vif):
        return port(self.raw, vif).flows

    def dropped_of(self, Py_ssize_t vif):
        return port(self.raw, vif).dropped

    @property
    def counters(self):
        cdef uint64_t *counters = (<inside *>self.raw).counters
        cdef int i
        return {pairs_counter_name(i).decode(): counters[i] for i in range(FLOW_COUNTER_MAX)}

    @property
    def memory(self):
        return pairs_memory(self.raw)

    def take_records(self, Py_ssize_t most=1024):
        cdef flow_record *records
        cdef size_t count, i
        if most <= 0 or most > RECORDS_MOST:
            raise ValueError(f"{most} records cannot be taken at once")
        records = <flow_record *>malloc(most * sizeof(flow_record))
        if records == NULL:
            raise MemoryError()
        try:
            count = pairs_records(self.raw, records, most)
            return [record_of(&records[i]) for i in range(count)]
        finally:
            free(records)


cdef vif_slot *port(pairs *raw, Py_ssize_t vif) except NULL:
    if not 0 <= vif < PAIRS_VIFS:
        raise ValueError(f"there is no interface {vif}")
    return &(<inside *>raw).vifs[vif]


cdef object record_of(flow_record *record):
    return FlowRecord(
        serial=record.serial,
        forward=key_bytes(record.key[0]),
        reverse=key_bytes(record.key[1]),
        started=record.started,
        ended=record.ended,
        why=pairs_end_name(record.end).decode(),
        reason=record.reason,
        action=record.action,
        flags=record.flags,
        vif=record.vif,
        vrf=record.vrf,
        bytes=(record.bytes[0], record.bytes[1]),
        packets=(record.packets[0], record.packets[1]),
        rules=(record.policy_rule, record.sg_rule),
    )
