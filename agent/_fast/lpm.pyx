"""Longest-prefix match: a table of IPv4 or IPv6 prefixes with 31-bit values."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, memset

from array import array
from ipaddress import (
    IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network,
)


cdef extern from "lpm.h" nogil:
    enum: LPM_NONE
    enum: LPM_MAX_KEY

    struct lpm_store:
        uint8_t *keys
        uint8_t *lengths
        uint32_t *values
        size_t room
        size_t used

    struct lpm:
        unsigned key_size
        lpm_store store

    int lpm_init(lpm *table, unsigned key_size)
    void lpm_free(lpm *table)
    int lpm_insert(lpm *table, const uint8_t *key, unsigned length, uint32_t value)
    int lpm_remove(lpm *table, const uint8_t *key, unsigned length)
    uint32_t lpm_exact(const lpm *table, const uint8_t *key, unsigned length)
    int lpm_covering(const lpm *table, const uint8_t *key, unsigned length, uint32_t *value)
    uint32_t lpm_lookup(const lpm *table, const uint8_t *address)
    void lpm_lookup_many(const lpm *table, const uint8_t *addresses, size_t count,
                         uint32_t *values)
    size_t lpm_next(const lpm *table, size_t at)
    size_t lpm_memory(const lpm *table)


NO_VALUE = LPM_NONE
_FAMILIES = {4: 4, 2: 4, 6: 16, 10: 16}


cdef inline void put_u32(uint8_t *key, uint32_t word) noexcept nogil:
    key[0] = <uint8_t>(word >> 24)
    key[1] = <uint8_t>(word >> 16)
    key[2] = <uint8_t>(word >> 8)
    key[3] = <uint8_t>word


cdef class PrefixTable:
    cdef lpm _table
    cdef unsigned _bits
    cdef int _readers
    cdef object _network
    cdef object _address

    def __cinit__(self, int family):
        memset(&self._table, 0, sizeof(self._table))
        if family not in _FAMILIES:
            raise ValueError(f"family {family} is not 4 or 6 (nor AF_INET 2, AF_INET6 10)")
        self._bits = 8 * <unsigned>_FAMILIES[family]
        self._network = IPv4Network if self._bits == 32 else IPv6Network
        self._address = IPv4Address if self._bits == 32 else IPv6Address
        if lpm_init(&self._table, self._bits // 8):
            raise MemoryError

    def __dealloc__(self):
        lpm_free(&self._table)

    @property
    def family(self):
        return 4 if self._bits == 32 else 6

    @property
    def memory(self):
        return lpm_memory(&self._table)

    def __len__(self):
        return self._table.store.used

    cdef int _read_address(self, object address, uint8_t *key) except -1:
        cdef object number
        if type(address) is bytes:
            if PyBytes_GET_SIZE(address) != self._bits // 8:
                raise ValueError(f"an address has {self._bits // 8} bytes, not {len(address)}")
            memcpy(key, PyBytes_AS_STRING(address), self._bits // 8)
            return 0
        if type(address) is str:
            address = ip_address(address)
        if type(address) is not int:
            if type(address) is not self._address:
                raise ValueError(f"{address!r} is not an address of family {self.family}")
        number = int(address)
        if self._bits == 32:
            put_u32(key, number)
        else:
            memcpy(key, PyBytes_AS_STRING(number.to_bytes(16, "big")), 16)
        return 0

    cdef int _read_prefix(self, object prefix, uint8_t *key) except -1:
        """Fill key; return the length."""
        cdef unsigned length, at
        cdef uint8_t masked
        if type(prefix) is tuple:
            address, number = prefix
            if not 0 <= number <= self._bits:
                raise ValueError(f"prefix length {number} is not in 0 to {self._bits}")
            length = number
        else:
            if type(prefix) is str:
                prefix = ip_network(prefix)
            if type(prefix) is not self._network:
                raise ValueError(f"{prefix!r} is not a prefix of family {self.family}")
            address, length = prefix.network_address, prefix.prefixlen
        self._read_address(address, key)
        for at in range(self._bits // 8):
            masked = 0
            if length >= 8 * (at + 1):
                continue
            if length > 8 * at:
                masked = <uint8_t>(0xff00 >> (length - 8 * at))
            if key[at] & ~masked:
                raise ValueError(f"{prefix!r} has host bits set")
        return length

    cdef int _may_change(self) except -1:
        if self._readers:
            raise RuntimeError("the table may not change while lookup_many runs")
        return 0

    def insert(self, prefix, value):
        cdef uint8_t key[LPM_MAX_KEY]
        cdef unsigned length = self._read_prefix(prefix, key)
        if not 0 <= value < NO_VALUE:
            raise ValueError(f"value {value} is not in 0 to {NO_VALUE - 1}")
        self._may_change()
        if lpm_insert(&self._table, key, length, value):
            raise MemoryError

    def remove(self, prefix):
        cdef uint8_t key[LPM_MAX_KEY]
        cdef unsigned length = self._read_prefix(prefix, key)
        self._may_change()
        cdef int found = lpm_remove(&self._table, key, length)
        if found < 0:
            raise MemoryError
        return bool(found)

    def get(self, prefix):
        cdef uint8_t key[LPM_MAX_KEY]
        cdef unsigned length = self._read_prefix(prefix, key)
        cdef uint32_t value = lpm_exact(&self._table, key, length)
        return None if value == LPM_NONE else value

    def covering(self, prefix):
        cdef uint8_t key[LPM_MAX_KEY]
        cdef uint32_t value
        cdef unsigned length = self._read_prefix(prefix, key)
        cdef int found = lpm_covering(&self._table, key, length, &value)
        if found < 0:
            return None
        return self._as_network(key, found), value

    def lookup(self, address):
        cdef uint8_t key[LPM_MAX_KEY]
        self._read_address(address, key)
        cdef uint32_t value = lpm_lookup(&self._table, key)
        return None if value == LPM_NONE else value

    def lookup_many(self, addresses):
        cdef Py_buffer source
        cdef Py_buffer target
        cdef size_t width = self._bits // 8
        PyObject_GetBuffer(addresses, &source, PyBUF_SIMPLE)
        try:
            if source.len % width:
                raise ValueError(f"{source.len} bytes are no whole number of addresses")
            values = array("I", bytes(source.len // width * sizeof(uint32_t)))
            PyObject_GetBuffer(values, &target, PyBUF_SIMPLE)
            self._readers += 1
            try:
                with nogil:
                    lpm_lookup_many(&self._table, <const uint8_t *>source.buf,
                                    source.len // width, <uint32_t *>target.buf)
            finally:
                self._readers -= 1
                PyBuffer_Release(&target)
            return values
        finally:
            PyBuffer_Release(&source)

    def __iter__(self):
        return iter(self.items())

    def items(self):
        cdef size_t at = lpm_next(&self._table, 0)
        cdef size_t width = self._bits // 8
        rows = []
        while at < self._table.store.room:
            rows.append((self._as_network(self._table.store.keys + at * width,
                                          self._table.store.lengths[at] - 1),
                         self._table.store.values[at]))
            at = lpm_next(&self._table, at + 1)
        rows.sort()
        return rows

    cdef object _as_network(self, const uint8_t *key, int length):
        packed = key[:self._bits // 8]
        return self._network((int.from_bytes(packed, "big") >> (self._bits - length)
                              << (self._bits - length), length))
