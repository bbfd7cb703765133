"""Kernel of the flow path: walks the datapath's flow table for the pairs of flows.

Knows the entry's bytes (facts shared-memory.md 4, 10 to 12) and tells flow_pairs what it found:
counters, flows that were silent for too long, evicted and unknown entries. Reads only.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from agent._fast.flow_pairs cimport FlowPairs, pairs


cdef extern from "scan.h" nogil:
    enum:
        AGING_SERVICES
        FLOW_ENTRY

    struct aging_service:
        uint32_t timeout
        uint16_t port
        uint8_t proto

    struct aging_rules "aging":
        uint32_t common
        uint32_t dropped
        uint32_t half_open
        uint32_t closed
        uint32_t least
        uint32_t services
        aging_service service[256]

    struct suspects:
        uint32_t count

    struct scan_counters:
        pass

    struct scan_sweep:
        pass

    struct scanner:
        pairs *owners "pairs"
        const unsigned char *table
        uint32_t total
        uint32_t cursor
        uint32_t delay
        bint audit
        aging_rules aging
        suspects waiting "suspects"
        scan_counters counters
        scan_sweep sweep, finished

    void aging_prepare(aging_rules *rules)
    bint suspects_init(suspects *waiting, uint32_t entries, uint32_t room)
    void suspects_free(suspects *waiting)
    int64_t scan_entries(scanner *walk, uint32_t count, int64_t budget, uint32_t now)
    int64_t scan_judge(scanner *walk, int64_t budget, uint32_t now)


COUNTERS = (
    "sweeps", "entries", "grown", "aged", "closed", "evicted", "missing", "unknown", "held",
    "refused", "postponed", "cleared", "torn", "corrupt",
)
SWEEP = ("active", "owned", "held", "unowned", "dying")

cdef enum:
    MILLI = 1000          # the pairs' clock
    LEAST_TICK = 100      # ms between slices
    TICK_ENTRIES = 16384  # that a slice is worth waking up for
    MAX_TIMEOUT = 0x3FFFFFFF
    LATEST = 0x7FFFFFFF   # s
    OVERLOADED = 16       # slices that an unfinished sweep lags before it starts afresh


cdef class FlowScanner:
    """Walks a mapped flow table again and again, a bounded slice at a time, for `pairs`.

    `mapping`: an agent.shm.FlowTable; it must outlive the scanner or `close` be called first.
    `timeouts`: an agent.flow.aging.Timeouts. What looks wrong is judged `delay` seconds later;
    at most `suspects` entries wait for that. Times `now` are the pairs' monotonic seconds.
    ValueError for numbers that cannot be.
    """

    cdef scanner walk
    cdef readonly FlowPairs pairs
    cdef readonly object mapping
    cdef const unsigned char[::1] view
    cdef uint64_t _period, _idle, _started
    cdef double _due

    def __cinit__(self, FlowPairs pairs not None, mapping, timeouts, *, double delay=5.0,
                  Py_ssize_t suspects=65536):
        cdef Py_ssize_t entries = mapping.geometry.entries
        if suspects < 1 or suspects > (1 << 24) or not 0 <= delay <= 3600:
            raise ValueError("suspects must be 1 to 2**24, delay 0 to 3600 s")
        self.mapping, self.pairs, self.view = mapping, pairs, mapping.buffer
        if not 0 < entries <= 0xFFFFFFFE or self.view.shape[0] < entries * FLOW_ENTRY:
            raise ValueError(f"{self.view.shape[0]} bytes are no table of {entries} entries")
        self.walk.owners = pairs.raw
        self.walk.table = &self.view[0]
        self.walk.total = <uint32_t>entries
        self.walk.delay = <uint32_t>(delay * MILLI)
        self.walk.audit = True
        if not suspects_init(&self.walk.waiting, self.walk.total, <uint32_t>suspects):
            raise MemoryError()
        self.set_timeouts(timeouts)
        pairs.watch(mapping.buffer)

    def __dealloc__(self):
        suspects_free(&self.walk.waiting)

    def set_timeouts(self, timeouts):
        """Take other timeouts, from the next slice on. ValueError: too many, or one out of range."""
        cdef aging_rules rules
        cdef Py_ssize_t number = 0
        memset(&rules, 0, sizeof(rules))
        rules.common = _milliseconds(timeouts.common)
        rules.dropped = _milliseconds(timeouts.dropped)
        rules.half_open = _milliseconds(timeouts.tcp_half_open)
        rules.closed = _milliseconds(timeouts.tcp_closed)
        for service in timeouts.services:
            if number == AGING_SERVICES:
                raise ValueError(f"more than {AGING_SERVICES} timeouts of services")
            rules.service[number].proto = service.protocol
            rules.service[number].port = service.port
            rules.service[number].timeout = _milliseconds(service.seconds)
            number += 1
        rules.services = <uint32_t>number
        aging_prepare(&rules)
        self.walk.aging = rules
        self._idle = max(<uint64_t>MILLI, rules.common // 4)
        self._period = max(<uint64_t>MILLI, min(self._idle, rules.least // 2))

    @property
    def auditing(self):
        """Whether entries that no pair owns are told; False until the world is known."""
        return self.walk.audit

    @auditing.setter
    def auditing(self, bint wanted):
        self.walk.audit = wanted

    @property
    def period(self):
        """Seconds that one walk over the table takes now."""
        return self._pace() / <double>MILLI

    @property
    def deadline(self):
        """When `slice` should be called next; 0.0 before the first time."""
        return self._due

    def slice(self, double now, Py_ssize_t budget=32768):
        """Look at what is due; how many findings were told to the pairs (not counters).

        `budget` bounds the time: a free entry costs 1 (some nanoseconds), a live one 12, a
        judged suspect 64. Without the GIL; the pairs must not be used meanwhile. WireError
        when the table's file has shrunk.
        """
        if self.walk.table == NULL:
            raise ValueError("the scanner is closed")
        if budget < 1 or not 0 <= now <= LATEST:
            raise ValueError(f"a slice at {now} with a budget of {budget}")
        self.mapping.check()
        cdef uint64_t moment = <uint64_t>(now * MILLI)
        cdef uint64_t before = self._found()
        cdef int64_t left
        cdef uint32_t wanted = self._wanted(moment)
        with nogil:
            left = scan_judge(&self.walk, budget, <uint32_t>moment)
            if left > 0 and wanted:
                left = scan_entries(&self.walk, wanted, left, <uint32_t>moment)
        if self.walk.cursor == 0 and wanted:
            self._sweep_done(moment)
        self._due = now if left <= 0 else now + self._tick() / <double>MILLI
        return self._found() - before

    def close(self):
        """Let go of the mapping."""
        self.walk.table = NULL
        self.pairs.watch(None)
        self.view = None

    @property
    def counters(self):
        """What happened so far, by name (COUNTERS)."""
        cdef uint64_t *numbers = <uint64_t *>&self.walk.counters
        return {name: numbers[at] for at, name in enumerate(COUNTERS)}

    @property
    def sweep(self):
        """What the last whole walk saw, by name (SWEEP): entries in use and whose they are."""
        cdef uint64_t *numbers = <uint64_t *>&self.walk.finished
        return {name: numbers[at] for at, name in enumerate(SWEEP)}

    @property
    def suspects(self):
        """Entries that wait to be judged."""
        return self.walk.waiting.count

    cdef uint32_t _wanted(self, uint64_t moment):
        """Entries that are due: the sweep goes through the table evenly over the period."""
        if self._started == 0:
            self._started = moment
        if moment < self._started:
            return 0
        cdef uint64_t period = self._pace()
        cdef uint64_t elapsed = min(moment - self._started + self._tick(), period)
        cdef uint64_t target = self.walk.total * elapsed // period
        return <uint32_t>(target - self.walk.cursor) if target > self.walk.cursor else 0

    cdef uint64_t _tick(self):
        """Milliseconds between slices: often enough, and worth it."""
        cdef uint64_t period = self._pace()
        cdef uint64_t worth = period * TICK_ENTRIES // self.walk.total
        return min(max(<uint64_t>LEAST_TICK, worth), period)

    cdef void _sweep_done(self, uint64_t moment):
        """The next one begins a period after this one did, or at once when that is over."""
        self._started += self._pace()
        if moment > self._started + OVERLOADED * self._tick():
            self._started = moment

    cdef uint64_t _pace(self):
        """Milliseconds of a walk. No short timeout hurries it where there are no flows.

        So it is while there is no pair, and neither this walk nor the one before has met an
        entry in use.
        """
        cdef uint64_t walks = (<uint64_t *>&self.walk.counters)[0]
        cdef uint64_t met = (<uint64_t *>&self.walk.finished)[0] + (<uint64_t *>&self.walk.sweep)[0]
        return self._idle if walks and not met and not len(self.pairs) else self._period

    cdef uint64_t _found(self):
        cdef uint64_t *n = <uint64_t *>&self.walk.counters
        return n[3] + n[4] + n[5] + n[6] + n[7]


cdef uint32_t _milliseconds(double seconds) except? 0:
    if not 0 < seconds * MILLI <= MAX_TIMEOUT:
        raise ValueError(f"a timeout of {seconds} s")
    return <uint32_t>(seconds * MILLI)
