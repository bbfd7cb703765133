/* The bridge table: 64-byte entries (facts shared-memory.md 7). */
#ifndef VROUTER_BRIDGE_SCAN_H
#define VROUTER_BRIDGE_SCAN_H

#include "shm_table.h"

#define BRIDGE_ENTRY 64
#define BRIDGE_KEY 21
#define BRIDGE_KEY_LENGTH 8
#define BRIDGE_PACKETS 37
#define BRIDGE_FLAGS 53
#define BRIDGE_VALID 0x01

struct bridge_scan {
    uint32_t next;    /* first index not looked at */
    uint32_t picked;  /* indices written */
    uint64_t packets; /* sum over the picked entries */
};

/* Look at entries [start, stop) for (flags & mask) == value, as flow_scan. */
static inline void bridge_scan(const unsigned char *table, uint32_t start, uint32_t stop,
                               uint16_t mask, uint16_t value, uint32_t *picked, uint32_t room,
                               struct bridge_scan *result)
{
    uint32_t count = 0, index;
    uint64_t packets = 0;
    for (index = start; index < stop && count < room; index++) {
        const unsigned char *entry = table + (size_t)index * BRIDGE_ENTRY;
        if ((shm_load16(entry + BRIDGE_FLAGS) & mask) != value)
            continue;
        picked[count++] = index;
        packets += shm_load64(entry + BRIDGE_PACKETS);
    }
    result->next = index;
    result->picked = count;
    result->packets = packets;
}

static inline int bridge_matches(const unsigned char *entry, const unsigned char *key,
                                 size_t length)
{
    return (shm_load16(entry + BRIDGE_FLAGS) & BRIDGE_VALID)
        && memcmp(entry + BRIDGE_KEY, key, length) == 0;
}

static inline int64_t bridge_find(const unsigned char *table, uint32_t main_entries,
                                  uint32_t total, const unsigned char *key)
{
    return shm_find(table, BRIDGE_ENTRY, main_entries, total, key, BRIDGE_KEY_LENGTH,
                    bridge_matches);
}

#endif
