/* Picking entries of the flow table, and finding a key (facts shared-memory.md 8). */
#ifndef VROUTER_FLOW_PICK_H
#define VROUTER_FLOW_PICK_H

#include "flow_filter.h"

/* Entries between what is read and what is fetched; a hint past the end is harmless. */
enum { FLOW_AHEAD = 24 };

struct flow_picks {
    uint32_t next;    /* first index not looked at */
    uint32_t picked;  /* indices written */
    uint64_t bytes;   /* sums over the picked entries */
    uint64_t packets;
};

/* Look at entries [start, stop); write the indices of those that are wanted until
 * `room` are written. The caller has checked that stop entries are mapped. */
static inline void flow_pick(const unsigned char *table, uint32_t start, uint32_t stop,
                             const struct flow_filter *wanted, uint32_t *picked, uint32_t room,
                             struct flow_picks *result)
{
    struct flow_filter filter = *wanted;
    uint32_t count = 0, index;
    uint64_t bytes = 0, packets = 0;
    for (index = start; index < stop && count < room; index++) {
        const unsigned char *entry = table + (size_t)index * FLOW_ENTRY;
        __builtin_prefetch(entry + FLOW_AHEAD * FLOW_ENTRY + FLOW_AT_FLAGS);
        if (!flow_wanted(&filter, entry))
            continue;
        picked[count++] = index;
        bytes += flow_bytes(entry);
        packets += flow_packets(entry);
    }
    *result = (struct flow_picks){index, count, bytes, packets};
}

static inline int flow_matches(const unsigned char *entry, const unsigned char *key, size_t length)
{
    uint16_t flags = shm_load16(entry + FLOW_AT_FLAGS);
    return (flags & FLOW_ACTIVE) && !(flags & FLOW_DELETE_MARKED)
        && shm_load8(entry + FLOW_AT_KEY_LENGTH) == length
        && memcmp(entry + FLOW_AT_KEY, key, length) == 0;
}

static inline int64_t flow_find(const unsigned char *table, uint32_t main_entries, uint32_t total,
                                const unsigned char *key, size_t length)
{
    return shm_find(table, FLOW_ENTRY, main_entries, total, key, length, flow_matches);
}

#endif
