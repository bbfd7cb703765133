/* The bridge table: 64-byte entries (facts shared-memory.md 7). */
#ifndef VROUTER_BRIDGE_SCAN_H
#define VROUTER_BRIDGE_SCAN_H

#include "shm_table.h"

#define BRIDGE_ENTRY 64
#define BRIDGE_KEY 21
#define BRIDGE_KEY_LENGTH 8
#define BRIDGE_VRF 27
#define BRIDGE_PACKETS 37
#define BRIDGE_FLAGS 53
#define BRIDGE_VALID 0x01
#define BRIDGE_MAC_MOVED 0x08
#define BRIDGE_MAC_NEW 0x20
#define BRIDGE_ANY (-1)

struct bridge_filter {
    uint16_t mask, value; /* flag bits looked at, and what they must be */
    int32_t vrf;          /* or BRIDGE_ANY */
};

struct bridge_scan {
    uint32_t next;    /* first index not looked at */
    uint32_t picked;  /* indices written */
    uint64_t packets; /* sum over the picked entries */
};

static inline bool bridge_wanted(struct bridge_filter wanted, const unsigned char *entry)
{
    return (shm_load16(entry + BRIDGE_FLAGS) & wanted.mask) == wanted.value
        && (wanted.vrf == BRIDGE_ANY || shm_load16(entry + BRIDGE_VRF) == wanted.vrf);
}

/* Look at entries [start, stop), as flow_pick. */
static inline void bridge_scan(const unsigned char *table, uint32_t start, uint32_t stop,
                               struct bridge_filter wanted, uint32_t *picked, uint32_t room,
                               struct bridge_scan *result)
{
    uint32_t count = 0, index;
    uint64_t packets = 0;
    for (index = start; index < stop && count < room; index++) {
        const unsigned char *entry = table + (size_t)index * BRIDGE_ENTRY;
        if (!bridge_wanted(wanted, entry))
            continue;
        picked[count++] = index;
        packets += shm_load64(entry + BRIDGE_PACKETS);
    }
    result->next = index;
    result->picked = count;
    result->packets = packets;
}

/* In the order of BridgeStatistics in agent/shm; u64 each. */
struct bridge_tally {
    uint64_t valid, new_macs, moved, overflow, packets, corrupt, broken_chains;
};

static inline bool bridge_sound(const unsigned char *entry, uint32_t index)
{
    static const unsigned char zero[6];
    return shm_load32(entry + SHM_INDEX) == index && memcmp(entry + BRIDGE_KEY, zero, sizeof zero);
}

static inline void bridge_tally_entry(struct bridge_tally *tally, const unsigned char *entry,
                                      uint32_t index, uint32_t main_entries)
{
    uint16_t flags = shm_load16(entry + BRIDGE_FLAGS);
    if (!(flags & BRIDGE_VALID))
        return;
    if (!bridge_sound(entry, index)) {
        tally->corrupt += !!(shm_load16(entry + BRIDGE_FLAGS) & BRIDGE_VALID);
        return;
    }
    tally->valid++;
    tally->new_macs += !!(flags & BRIDGE_MAC_NEW);
    tally->moved += !!(flags & BRIDGE_MAC_MOVED);
    tally->overflow += index >= main_entries;
    tally->packets += shm_load64(entry + BRIDGE_PACKETS);
}

/* Add entries [start, stop) to the tally, and the chains of the buckets that end there. */
static inline void bridge_tally_slice(struct bridge_tally *tally, const unsigned char *table,
                                      uint32_t start, uint32_t stop, uint32_t main_entries,
                                      uint32_t total)
{
    for (uint32_t index = start; index < stop; index++) {
        bridge_tally_entry(tally, table + (size_t)index * BRIDGE_ENTRY, index, main_entries);
        if (index < main_entries && index % SHM_BUCKET == SHM_BUCKET - 1)
            tally->broken_chains += !shm_chain_ends(table, BRIDGE_ENTRY, index, main_entries,
                                                    total);
    }
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
