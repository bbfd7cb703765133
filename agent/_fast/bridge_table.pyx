"""Kernel of the shared bridge table: pick entries, sum counters, count states, find a MAC.

Knows the entry's bytes (facts shared-memory.md 7) and no policy. The table is any
contiguous buffer of 64-byte entries; it may change while it is read.
"""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t


cdef extern from "bridge_scan.h" nogil:
    struct bridge_scan_result "bridge_scan":
        uint32_t next
        uint32_t picked
        uint64_t packets

    struct bridge_filter:
        uint16_t mask
        uint16_t value
        int32_t vrf

    struct bridge_tally:
        pass

    enum:
        BRIDGE_ENTRY
    void c_bridge_scan "bridge_scan"(
        const unsigned char *table, uint32_t start, uint32_t stop, bridge_filter wanted,
        uint32_t *picked, uint32_t room, bridge_scan_result *result)
    void bridge_tally_slice(
        bridge_tally *tally, const unsigned char *table, uint32_t start, uint32_t stop,
        uint32_t main_entries, uint32_t total)
    int64_t bridge_find(
        const unsigned char *table, uint32_t main_entries, uint32_t total,
        const unsigned char *key)


TALLY_WORDS = sizeof(bridge_tally) // 8


def scan(const unsigned char[::1] table not None, Py_ssize_t start, Py_ssize_t stop,
         unsigned int[::1] picked not None, *, uint16_t mask, uint16_t value, int vrf=-1):
    """Look at entries [start, stop) without the GIL.

    Writes to `picked` (a buffer of native u32) the index of each entry with
    (flags & mask) == value and, unless `vrf` is -1, of that VRF; ends when `picked` is full.
    Returns (next index, number picked, their packets). ValueError if the range is not in
    the table.
    """
    cdef bridge_scan_result result
    cdef bridge_filter wanted
    _check_range(table.shape[0], start, stop)
    wanted.mask, wanted.value, wanted.vrf = mask, value, vrf
    if start == stop or picked.shape[0] == 0:
        return start, 0, 0
    cdef uint32_t room = <uint32_t>min(picked.shape[0], stop - start)
    with nogil:
        c_bridge_scan(&table[0], start, stop, wanted, &picked[0], room, &result)
    return result.next, result.picked, result.packets


def tally(const unsigned char[::1] table not None, Py_ssize_t main_entries, Py_ssize_t start,
          Py_ssize_t stop, unsigned long long[::1] counts not None):
    """Add what entries [start, stop) are to `counts` (TALLY_WORDS words of `struct bridge_tally`).

    Without the GIL. ValueError if the numbers do not fit the table.
    """
    _check_range(table.shape[0], start, stop)
    _check_main(table.shape[0], main_entries)
    if counts.shape[0] != sizeof(bridge_tally) // 8:
        raise ValueError(f"a tally has {sizeof(bridge_tally) // 8} words, not {counts.shape[0]}")
    cdef bridge_tally *sums = <bridge_tally *>&counts[0]
    cdef uint32_t total = <uint32_t>(table.shape[0] // BRIDGE_ENTRY)
    with nogil:
        bridge_tally_slice(sums, &table[0], start, stop, main_entries, total)


def find(const unsigned char[::1] table not None, Py_ssize_t main_entries,
         const unsigned char[::1] key not None):
    """Index of the valid entry with this 8-byte key (MAC, then VRF in host order), or -1."""
    if key.shape[0] != 8:
        raise ValueError(f"a bridge key has 8 bytes, not {key.shape[0]}")
    _check_main(table.shape[0], main_entries)
    return bridge_find(&table[0], main_entries, table.shape[0] // BRIDGE_ENTRY, &key[0])


cdef int _check_range(Py_ssize_t size, Py_ssize_t start, Py_ssize_t stop) except -1:
    if not 0 <= start <= stop <= size // BRIDGE_ENTRY or stop > 0xFFFFFFFF:
        raise ValueError(f"entries {start}..{stop} are not in a table of {size // BRIDGE_ENTRY}")
    return 0


cdef int _check_main(Py_ssize_t size, Py_ssize_t main_entries) except -1:
    cdef Py_ssize_t total = size // BRIDGE_ENTRY
    if main_entries % 4 or not 4 <= main_entries <= total or total > 0xFFFFFFFF:
        raise ValueError(f"{main_entries} main entries do not fit a table of {total}")
    return 0
