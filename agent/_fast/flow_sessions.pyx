"""Kernel of sessions: which pairs of flows are told, and what passed since they last were.

Reads the pairs (src/flow_pairs) and takes their records of ended flows.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from agent._fast.flow_pairs cimport FlowPairs, pairs

import struct
from enum import IntEnum


cdef extern from "sessions.h" nogil:
    enum:
        PAIR_ENDS
        SAMPLE_NOTHING
        SAMPLE_SOME
        SAMPLE_ALL

    struct session_choice:
        uint64_t bound
        uint8_t sampling
        bint logging

    struct session_counts:
        uint64_t samples
        uint64_t passed_over
        uint64_t disabled

    struct session_row:
        pass

    struct session_mark:
        pass

    struct session_walk:
        session_mark *marks
        uint32_t room
        uint32_t cursor
        uint64_t random
        session_counts counts

    bint sessions_room(session_walk *, const pairs *)
    size_t sessions_ended(session_walk *, pairs *, const session_choice *, session_row *, size_t)
    size_t sessions_running(session_walk *, const pairs *, const session_choice *, session_row *,
                            size_t, uint32_t)
    void sessions_log(session_walk *, uint32_t, uint64_t)
    const char *pairs_end_name(int)

ROW = struct.Struct("<44s44s 3Q 2Q 2Q 2Q 2Q d 8I 4H 9B7x")
ENDS = tuple([pairs_end_name(i).decode() for i in range(PAIR_ENDS)])

if ROW.size != sizeof(session_row):
    raise AssertionError(f"a row of {sizeof(session_row)} bytes is not {ROW.size}")

cdef enum:
    MOST_ROWS = 4096


class Sampling(IntEnum):
    """See the .pyi."""

    NOTHING = SAMPLE_NOTHING
    SOME = SAMPLE_SOME
    ALL = SAMPLE_ALL


cdef class SessionWalk:
    """See the .pyi."""

    cdef session_walk walk
    cdef session_choice choice
    cdef readonly FlowPairs pairs
    cdef session_row *rows
    cdef size_t most

    def __cinit__(self, FlowPairs pairs not None, *, uint64_t seed, Py_ssize_t rows=256):
        if not 1 <= rows <= MOST_ROWS:
            raise ValueError(f"a step shows 1 to {MOST_ROWS} rows, not {rows}")
        self.pairs = pairs
        self.most = <size_t>rows
        self.walk.random = seed if seed else 1
        self.rows = <session_row *>malloc(self.most * sizeof(session_row))
        if self.rows == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.rows)
        free(self.walk.marks)

    def choose(self, sampling, uint64_t bound=0, *, bint logging=False):
        if bound >> 62:
            raise ValueError(f"a bound of {bound} bytes")
        self.choice.sampling = <uint8_t>int(Sampling(sampling))
        self.choice.bound = bound
        self.choice.logging = logging
        if not self.wanted():
            free(self.walk.marks)
            self.walk.marks = NULL
            self.walk.room = self.walk.cursor = 0

    cdef bint wanted(self) noexcept:
        return self.choice.logging or self.choice.sampling != SAMPLE_NOTHING

    cdef int prepare(self) except -1:
        if self.wanted() and not sessions_room(&self.walk, self.pairs.raw):
            raise MemoryError()
        return 0

    cdef bytes shown(self, size_t count):
        return PyBytes_FromStringAndSize(<char *>self.rows, count * sizeof(session_row))

    def ended(self):
        cdef size_t count
        self.prepare()
        with nogil:
            count = sessions_ended(&self.walk, self.pairs.raw, &self.choice, self.rows, self.most)
        return self.shown(count)

    def running(self, uint32_t budget=16384):
        cdef size_t count
        if budget == 0:
            raise ValueError("a step looks at one pair at least")
        self.prepare()
        with nogil:
            count = sessions_running(
                &self.walk, self.pairs.raw, &self.choice, self.rows, self.most, budget
            )
        return self.shown(count)

    @property
    def midway(self):
        return self.walk.cursor != 0

    def log(self, uint32_t number, uint64_t serial):
        sessions_log(&self.walk, number, serial)

    @property
    def counters(self):
        cdef session_counts *counts = &self.walk.counts
        return counts.samples, counts.passed_over, counts.disabled

    @property
    def memory(self):
        return self.walk.room * sizeof(session_mark) + self.most * sizeof(session_row)
