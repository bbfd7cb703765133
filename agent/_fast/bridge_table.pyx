"""Kernel of the shared bridge table: pick entries, sum counters, find a MAC.

Knows the entry's bytes (facts shared-memory.md 7) and no policy. The table is any
contiguous buffer of 64-byte entries; it may change while it is read.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t


cdef extern from "bridge_scan.h" nogil:
    struct bridge_scan_result "bridge_scan":
        uint32_t next
        uint32_t picked
        uint64_t packets

    enum:
        BRIDGE_ENTRY
    void c_bridge_scan "bridge_scan"(
        const unsigned char *table, uint32_t start, uint32_t stop, uint16_t mask, uint16_t value,
        uint32_t *picked, uint32_t room, bridge_scan_result *result)
    int64_t bridge_find(
        const unsigned char *table, uint32_t main_entries, uint32_t total,
        const unsigned char *key)


def scan(const unsigned char[::1] table not None, Py_ssize_t start, Py_ssize_t stop,
         unsigned int[::1] picked not None, *, uint16_t mask, uint16_t value):
    """Look at entries [start, stop) without the GIL.

    Writes to `picked` (a buffer of native u32) the index of each entry with
    (flags & mask) == value; ends when `picked` is full. Returns (next index, number
    picked, their packets). ValueError if the range is not in the table.
    """
    cdef bridge_scan_result result
    cdef Py_ssize_t entries = table.shape[0] // BRIDGE_ENTRY
    if not 0 <= start <= stop <= entries or stop > 0xFFFFFFFF:
        raise ValueError(f"entries {start}..{stop} are not in a table of {entries}")
    if start == stop or picked.shape[0] == 0:
        return start, 0, 0
    cdef uint32_t room = <uint32_t>min(picked.shape[0], stop - start)
    with nogil:
        c_bridge_scan(&table[0], start, stop, mask, value, &picked[0], room, &result)
    return result.next, result.picked, result.packets


def find(const unsigned char[::1] table not None, Py_ssize_t main_entries,
         const unsigned char[::1] key not None):
    """Index of the valid entry with this 8-byte key (MAC, then VRF in host order), or -1."""
    cdef Py_ssize_t entries = table.shape[0] // BRIDGE_ENTRY
    if key.shape[0] != 8:
        raise ValueError(f"a bridge key has 8 bytes, not {key.shape[0]}")
    if main_entries % 4 or not 4 <= main_entries <= entries or entries > 0xFFFFFFFF:
        raise ValueError(f"{main_entries} main entries do not fit a table of {entries}")
    return bridge_find(&table[0], main_entries, entries, &key[0])
