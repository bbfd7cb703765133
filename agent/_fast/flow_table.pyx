"""Kernel of the shared flow table: pick entries, sum counters, count states, find a key.

Knows the entry's bytes (facts shared-memory.md 4) and no policy. The table is any
contiguous buffer of 256-byte entries; it may change while it is read.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset


cdef extern from "flow_tally.h" nogil:
    struct flow_match:
        pass

    struct flow_filter:
        uint16_t mask
        uint16_t value
        int32_t action
        bint narrow
        flow_match match

    struct flow_picks:
        uint32_t next
        uint32_t picked
        uint64_t bytes
        uint64_t packets

    struct flow_tally:
        pass

    enum:
        FLOW_ENTRY
    uint32_t shm_hash(const unsigned char *key, size_t length)
    void flow_pick(
        const unsigned char *table, uint32_t start, uint32_t stop, const flow_filter *wanted,
        uint32_t *picked, uint32_t room, flow_picks *result)
    void flow_tally_slice(
        flow_tally *tally, const unsigned char *table, uint32_t start, uint32_t stop,
        uint32_t main_entries, uint32_t total)
    int64_t flow_find(
        const unsigned char *table, uint32_t main_entries, uint32_t total,
        const unsigned char *key, size_t length)


MATCH_SIZE = sizeof(flow_match)
TALLY_WORDS = sizeof(flow_tally) // 8


def key_hash(const unsigned char[::1] key not None):
    """The tables' hash of `key`, a u32 (facts shared-memory.md 8)."""
    return shm_hash(&key[0] if key.shape[0] else NULL, key.shape[0])


def scan(const unsigned char[::1] table not None, Py_ssize_t start, Py_ssize_t stop,
         unsigned int[::1] picked not None, *, uint16_t mask, uint16_t value, int action=-1,
         bytes match=None):
    """Look at entries [start, stop) without the GIL.

    Writes to `picked` (a buffer of native u32) the index of each entry with
    (fe_flags & mask) == value and, unless `action` is -1, that fe_action, and what the
    `struct flow_match` in `match` demands; ends when `picked` is full. Returns (next index,
    number picked, their bytes, their packets). ValueError if the range is not in the table.
    """
    cdef flow_picks result
    cdef flow_filter wanted
    _check_range(table.shape[0], start, stop)
    memset(&wanted, 0, sizeof(wanted))
    wanted.mask, wanted.value, wanted.action = mask, value, action
    if match is not None:
        if len(match) != sizeof(flow_match):
            raise ValueError(f"a match has {sizeof(flow_match)} bytes, not {len(match)}")
        wanted.narrow = True
        memcpy(&wanted.match, <const char *>match, sizeof(flow_match))
    if start == stop or picked.shape[0] == 0:
        return start, 0, 0, 0
    cdef uint32_t room = <uint32_t>min(picked.shape[0], stop - start)
    with nogil:
        flow_pick(&table[0], start, stop, &wanted, &picked[0], room, &result)
    return result.next, result.picked, result.bytes, result.packets


def tally(const unsigned char[::1] table not None, Py_ssize_t main_entries, Py_ssize_t start,
          Py_ssize_t stop, unsigned long long[::1] counts not None):
    """Add what entries [start, stop) are to `counts` (TALLY_WORDS words of `struct flow_tally`).

    Every entry and every chain of a bucket is checked; what cannot be right is counted and
    left out of the rest. Without the GIL. ValueError if the numbers do not fit the table.
    """
    _check_range(table.shape[0], start, stop)
    _check_main(table.shape[0], main_entries)
    if counts.shape[0] != sizeof(flow_tally) // 8:
        raise ValueError(f"a tally has {sizeof(flow_tally) // 8} words, not {counts.shape[0]}")
    cdef flow_tally *sums = <flow_tally *>&counts[0]
    cdef uint32_t total = <uint32_t>(table.shape[0] // FLOW_ENTRY)
    with nogil:
        flow_tally_slice(sums, &table[0], start, stop, main_entries, total)


def find(const unsigned char[::1] table not None, Py_ssize_t main_entries,
         const unsigned char[::1] key not None):
    """Index of the live flow with this 20- or 44-byte key, or -1."""
    if key.shape[0] != 20 and key.shape[0] != 44:
        raise ValueError(f"a flow key has 20 or 44 bytes, not {key.shape[0]}")
    _check_main(table.shape[0], main_entries)
    return flow_find(&table[0], main_entries, table.shape[0] // FLOW_ENTRY, &key[0], key.shape[0])


cdef int _check_range(Py_ssize_t size, Py_ssize_t start, Py_ssize_t stop) except -1:
    if not 0 <= start <= stop <= size // FLOW_ENTRY or stop > 0xFFFFFFFF:
        raise ValueError(f"entries {start}..{stop} are not in a table of {size // FLOW_ENTRY}")
    return 0


cdef int _check_main(Py_ssize_t size, Py_ssize_t main_entries) except -1:
    cdef Py_ssize_t total = size // FLOW_ENTRY
    if main_entries % 4 or not 4 <= main_entries <= total or total > 0xFFFFFFFF:
        raise ValueError(f"{main_entries} main entries do not fit a table of {total}")
    return 0
