/* Looks at single entries of the mapped table, which the datapath writes meanwhile. */
#include <string.h>

#include "flow_table/flow_entry.h"
#include "table.h"

void pairs_watch(struct pairs *pairs, const unsigned char *table, uint32_t total)
{
    pairs->table = table;
    pairs->table_entries = table ? total : 0;
}

static const unsigned char *entry_of(const struct pairs *pairs, uint32_t index, uint8_t gen_id)
{
    if (index >= pairs->table_entries)
        return NULL;
    const unsigned char *entry = pairs->table + (size_t)index * FLOW_ENTRY;
    bool active = shm_load16(entry + FLOW_AT_FLAGS) & FLOW_ACTIVE;
    return active && shm_load8(entry + FLOW_AT_GEN) == gen_id ? entry : NULL;
}

/* What was counted since the last walk; its entry is about to be deleted. */
void glance_counters(struct pairs *pairs, uint32_t number, int side)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    struct pair_side *at = &pair->at[side];
    const uint8_t *key = pair->is.side[side].key;
    const unsigned char *entry = entry_of(pairs, at->index, at->gen_id);
    if (!entry || memcmp(entry + FLOW_AT_KEY, key, flow_key_length(key)))
        return;
    uint64_t bytes = flow_bytes(entry), packets = flow_packets(entry);
    if (shm_load8(entry + FLOW_AT_GEN) == at->gen_id && bytes >= at->bytes
        && packets >= at->packets)
        stats_fold(at, bytes, packets);
}

bool glance_ports(const struct pairs *pairs, struct flow_packet *packet)
{
    const unsigned char *entry = entry_of(pairs, packet->index, packet->gen_id);
    size_t length = packet->family == FLOW_INET6 ? 16 : 4;
    uint8_t key[FLOW_KEY];
    if (!entry)
        return false;
    memcpy(key, entry + FLOW_AT_KEY, sizeof key);
    if (key[0] != packet->family || key[1] != packet->proto
        || memcmp(key + 12, packet->src, length) || memcmp(key + 12 + length, packet->dst, length))
        return false;
    memcpy(packet->sport, key + 4, 2);
    memcpy(packet->dport, key + 6, 2);
    return true;
}
