"""Kernel of statistics: which ports flows use, by interface, and how long they took to set up.

Reads the pairs (src/flow_pairs), a bounded number at a time.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from agent._fast.flow_pairs cimport FlowPairs, pairs


cdef extern from "flow_ports.h" nogil:
    enum:
        PORT_WORDS
        PORT_KINDS
        SETUP_BUCKETS

    struct port_bits:
        uint32_t words[4][8]

    struct walk_of_ports "ports_walk":
        port_bits *rows
        port_bits *whole
        uint32_t vifs
        uint32_t cursor
        const uint32_t *bounds
        uint32_t buckets
        uint64_t setups[32]
        uint64_t setup_ms

    bint ports_walk(walk_of_ports *walk, const pairs *raw, uint32_t count)


cdef enum:
    MILLI = 1000
    MOST_VIFS = 1 << 16

WORDS = PORT_WORDS


cdef class PortWalk:
    """See the stub."""

    cdef walk_of_ports walk
    cdef uint32_t limits[32]

    def __cinit__(self, *, Py_ssize_t vifs, bounds):
        cdef list given = list(bounds)
        cdef Py_ssize_t i
        if not 0 <= vifs <= MOST_VIFS:
            raise ValueError(f"{vifs} interfaces: at most {MOST_VIFS}")
        if len(given) >= SETUP_BUCKETS or given != sorted(given) or (given and given[0] < 0):
            raise ValueError(f"bounds are at most {SETUP_BUCKETS - 1} ascending milliseconds")
        for i in range(len(given)):
            self.limits[i] = given[i]
        self.walk.bounds = &self.limits[0]
        self.walk.buckets = <uint32_t>len(given)
        self.walk.vifs = <uint32_t>vifs
        self.walk.rows = <port_bits *>calloc(vifs + 1, sizeof(port_bits))
        self.walk.whole = <port_bits *>calloc(vifs + 1, sizeof(port_bits))
        if self.walk.rows == NULL or self.walk.whole == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.walk.rows)
        free(self.walk.whole)

    def slice(self, FlowPairs pairs not None, Py_ssize_t count=8192):
        if not 0 < count <= (1 << 24):
            raise ValueError(f"{count} pairs cannot be looked at")
        return ports_walk(&self.walk, pairs.raw, <uint32_t>count)

    def bitmaps(self, vif=None):
        cdef Py_ssize_t row = 0 if vif is None else <Py_ssize_t>vif + 1
        cdef Py_ssize_t kind, word
        if (vif is not None and row < 1) or row > <Py_ssize_t>self.walk.vifs:
            raise IndexError(f"there are no bitmaps of interface {vif}")
        return tuple([
            tuple([self.walk.whole[row].words[kind][word] for word in range(PORT_WORDS)])
            for kind in range(PORT_KINDS)
        ])

    def take_setups(self):
        cdef Py_ssize_t i
        found = [self.walk.setups[i] for i in range(self.walk.buckets + 1)]
        seconds = self.walk.setup_ms / <double>MILLI
        memset(&self.walk.setups[0], 0, sizeof(self.walk.setups))
        self.walk.setup_ms = 0
        return found, seconds
