"""Kernel of the shared flow table: pick entries, sum counters, find a key.

Knows the entry's bytes (facts shared-memory.md 4) and no policy. The table is any
contiguous buffer of 256-byte entries; it may change while it is read.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t


cdef extern from "flow_scan.h" nogil:
    struct flow_filter:
        uint16_t mask
        uint16_t value
        int32_t action

    struct flow_scan_result "flow_scan":
        uint32_t next
        uint32_t picked
        uint64_t bytes
        uint64_t packets

    enum:
        FLOW_ENTRY
    uint32_t shm_hash(const unsigned char *key, size_t length)
    void c_flow_scan "flow_scan"(
        const unsigned char *table, uint32_t start, uint32_t stop, flow_filter wanted,
        uint32_t *picked, uint32_t room, flow_scan_result *result)
    int64_t flow_find(
        const unsigned char *table, uint32_t main_entries, uint32_t total,
        const unsigned char *key, size_t length)


def key_hash(const unsigned char[::1] key not None):
    """The tables' hash of `key`, a u32 (facts shared-memory.md 8)."""
    return shm_hash(&key[0] if key.shape[0] else NULL, key.shape[0])


def scan(const unsigned char[::1] table not None, Py_ssize_t start, Py_ssize_t stop,
         unsigned int[::1] picked not None, *, uint16_t mask, uint16_t value, int action=-1):
    """Look at entries [start, stop) without the GIL.

    Writes to `picked` (a buffer of native u32) the index of each entry with
    (fe_flags & mask) == value and, unless `action` is -1, that fe_action; ends when
    `picked` is full. Returns (next index, number picked, their bytes, their packets).
    ValueError if the range is not in the table.
    """
    cdef flow_scan_result result
    cdef flow_filter wanted
    _check_range(table.shape[0], FLOW_ENTRY, start, stop)
    wanted.mask, wanted.value, wanted.action = mask, value, action
    if start == stop or picked.shape[0] == 0:
        return start, 0, 0, 0
    cdef uint32_t room = <uint32_t>min(picked.shape[0], stop - start)
    with nogil:
        c_flow_scan(&table[0], start, stop, wanted, &picked[0], room, &result)
    return result.next, result.picked, result.bytes, result.packets


def find(const unsigned char[::1] table not None, Py_ssize_t main_entries,
         const unsigned char[::1] key not None):
    """Index of the live flow with this 20- or 44-byte key, or -1."""
    if key.shape[0] != 20 and key.shape[0] != 44:
        raise ValueError(f"a flow key has 20 or 44 bytes, not {key.shape[0]}")
    _check_main(table.shape[0], FLOW_ENTRY, main_entries)
    return flow_find(&table[0], main_entries, table.shape[0] // FLOW_ENTRY, &key[0], key.shape[0])


cdef int _check_range(Py_ssize_t size, Py_ssize_t entry, Py_ssize_t start, Py_ssize_t stop) except -1:
    if not 0 <= start <= stop <= size // entry or stop > 0xFFFFFFFF:
        raise ValueError(f"entries {start}..{stop} are not in a table of {size // entry}")
    return 0


cdef int _check_main(Py_ssize_t size, Py_ssize_t entry, Py_ssize_t main_entries) except -1:
    if main_entries % 4 or not 4 <= main_entries <= size // entry or size // entry > 0xFFFFFFFF:
        raise ValueError(f"{main_entries} main entries do not fit a table of {size // entry}")
    return 0
