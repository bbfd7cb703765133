/* The flow table: 256-byte entries (facts shared-memory.md 4). */
#ifndef VROUTER_FLOW_SCAN_H
#define VROUTER_FLOW_SCAN_H

#include "shm_table.h"

#define FLOW_ENTRY 256
#define FLOW_KEY 24
#define FLOW_KEY_LENGTH 68
#define FLOW_FLAGS 88
#define FLOW_ACTION 92
#define FLOW_BYTES 104
#define FLOW_PACKETS 108
#define FLOW_BYTES_OFLOW 112
#define FLOW_PACKETS_OFLOW 114
#define FLOW_ACTIVE 0x0001
#define FLOW_DELETE_MARKED 0x0040
/* Entries between what is read and what is fetched; a hint past the end is harmless. */
#define FLOW_AHEAD 24

struct flow_filter {
    uint16_t mask;   /* flag bits looked at */
    uint16_t value;  /* what they must be */
    int32_t action;  /* -1: any */
};

struct flow_scan {
    uint32_t next;    /* first index not looked at */
    uint32_t picked;  /* indices written */
    uint64_t bytes;   /* sums over the picked entries */
    uint64_t packets;
};

/* A 48-bit (40-bit) counter. Its high part is stored after the low part wraps,
 * so both are read until the high part stands still. */
static inline uint64_t flow_bytes(const unsigned char *entry)
{
    uint16_t high = shm_load16(entry + FLOW_BYTES_OFLOW), again;
    uint32_t low = shm_load32(entry + FLOW_BYTES);
    while ((again = shm_load16(entry + FLOW_BYTES_OFLOW)) != high) {
        high = again;
        low = shm_load32(entry + FLOW_BYTES);
    }
    return (uint64_t)high << 32 | low;
}

static inline uint64_t flow_packets(const unsigned char *entry)
{
    uint8_t high = shm_load8(entry + FLOW_PACKETS_OFLOW), again;
    uint32_t low = shm_load32(entry + FLOW_PACKETS);
    while ((again = shm_load8(entry + FLOW_PACKETS_OFLOW)) != high) {
        high = again;
        low = shm_load32(entry + FLOW_PACKETS);
    }
    return (uint64_t)high << 32 | low;
}

/* Look at entries [start, stop); write the indices of those that match until
 * `room` are written. The caller has checked that stop entries are mapped. */
static inline void flow_scan(const unsigned char *table, uint32_t start, uint32_t stop,
                             struct flow_filter filter, uint32_t *picked, uint32_t room,
                             struct flow_scan *result)
{
    uint32_t count = 0, index;
    uint64_t bytes = 0, packets = 0;
    for (index = start; index < stop && count < room; index++) {
        const unsigned char *entry = table + (size_t)index * FLOW_ENTRY;
        __builtin_prefetch(entry + FLOW_AHEAD * FLOW_ENTRY + FLOW_FLAGS);
        if ((shm_load16(entry + FLOW_FLAGS) & filter.mask) != filter.value)
            continue;
        if (filter.action >= 0 && shm_load16(entry + FLOW_ACTION) != filter.action)
            continue;
        picked[count++] = index;
        bytes += flow_bytes(entry);
        packets += flow_packets(entry);
    }
    result->next = index;
    result->picked = count;
    result->bytes = bytes;
    result->packets = packets;
}

static inline int flow_matches(const unsigned char *entry, const unsigned char *key, size_t length)
{
    uint16_t flags = shm_load16(entry + FLOW_FLAGS);
    return (flags & FLOW_ACTIVE) && !(flags & FLOW_DELETE_MARKED)
        && shm_load8(entry + FLOW_KEY_LENGTH) == length
        && memcmp(entry + FLOW_KEY, key, length) == 0;
}

static inline int64_t flow_find(const unsigned char *table, uint32_t main_entries, uint32_t total,
                                const unsigned char *key, size_t length)
{
    return shm_find(table, FLOW_ENTRY, main_entries, total, key, length, flow_matches);
}

#endif
