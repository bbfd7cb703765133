/* Counting a flow table: what its entries are, and what cannot be right. */
#ifndef VROUTER_FLOW_TALLY_H
#define VROUTER_FLOW_TALLY_H

#include "flow_pick.h"

enum { FLOW_REASONS = 35, FLOW_ACTIONS = 4 };

/* In the order of FlowStatistics in agent/shm; u64 each. */
struct flow_tally {
    uint64_t active, evicted, evict_candidates, delete_marked, new_flows, overflow;
    uint64_t inet, inet6, tcp, udp, icmp;
    uint64_t tcp_half_open, tcp_established, tcp_closed;
    uint64_t bytes, packets;
    uint64_t corrupt, torn, broken_chains;
    uint64_t actions[FLOW_ACTIONS];
    uint64_t reasons[FLOW_REASONS];
};

static inline void flow_tally_tcp(struct flow_tally *tally, uint16_t seen)
{
    uint16_t both = FLOW_TCP_ESTABLISHED | FLOW_TCP_ESTABLISHED_R;
    tally->tcp++;
    if (seen & (FLOW_TCP_DEAD | FLOW_TCP_RST))
        tally->tcp_closed++;
    else if (seen & both)
        tally->tcp_established++;
    else if (seen & (FLOW_TCP_SYN | FLOW_TCP_SYN_R))
        tally->tcp_half_open++;
}

static inline void flow_tally_state(struct flow_tally *tally, uint16_t flags)
{
    tally->active++;
    tally->evicted += !!(flags & FLOW_EVICTED);
    tally->evict_candidates += !!(flags & FLOW_EVICT_CANDIDATE);
    tally->delete_marked += !!(flags & FLOW_DELETE_MARKED);
    tally->new_flows += !!(flags & FLOW_NEW);
}

static inline void flow_tally_kind(struct flow_tally *tally, const unsigned char *entry)
{
    uint8_t proto = shm_load8(entry + FLOW_AT_PROTO);
    bool inet = shm_load8(entry + FLOW_AT_KEY) == FLOW_INET;
    tally->inet += inet;
    tally->inet6 += !inet;
    tally->udp += proto == 17;
    tally->icmp += proto == (inet ? 1 : 58);
    if (proto == 6)
        flow_tally_tcp(tally, shm_load16(entry + FLOW_AT_TCP));
}

static inline void flow_tally_action(struct flow_tally *tally, const unsigned char *entry)
{
    uint16_t action = shm_load16(entry + FLOW_AT_ACTION);
    uint8_t reason = shm_load8(entry + FLOW_AT_DROP_REASON);
    if (action >= FLOW_ACTIONS)
        return;
    tally->actions[action]++;
    if (action == FLOW_DROP)
        tally->reasons[reason < FLOW_REASONS ? reason : 0]++;
}

/* An entry that is not sound was either seen while it changed, or is corrupt. */
static inline void flow_tally_unsound(struct flow_tally *tally, const unsigned char *entry,
                                      uint32_t index, uint32_t total)
{
    if (!(shm_load16(entry + FLOW_AT_FLAGS) & FLOW_ACTIVE) || flow_sound(entry, index, total))
        tally->torn++;
    else
        tally->corrupt++;
}

static inline void flow_tally_entry(struct flow_tally *tally, const unsigned char *entry,
                                    uint32_t index, uint32_t main_entries, uint32_t total)
{
    uint16_t flags = shm_load16(entry + FLOW_AT_FLAGS);
    if (!(flags & FLOW_ACTIVE))
        return;
    if (!flow_sound(entry, index, total)) {
        flow_tally_unsound(tally, entry, index, total);
        return;
    }
    flow_tally_state(tally, flags);
    flow_tally_kind(tally, entry);
    flow_tally_action(tally, entry);
    tally->overflow += index >= main_entries;
    tally->bytes += flow_bytes(entry);
    tally->packets += flow_packets(entry);
}

/* Add entries [start, stop) to the tally, and the chains of the buckets that end there. */
static inline void flow_tally_slice(struct flow_tally *tally, const unsigned char *table,
                                    uint32_t start, uint32_t stop, uint32_t main_entries,
                                    uint32_t total)
{
    for (uint32_t index = start; index < stop; index++) {
        const unsigned char *entry = table + (size_t)index * FLOW_ENTRY;
        __builtin_prefetch(entry + FLOW_AHEAD * FLOW_ENTRY);
        __builtin_prefetch(entry + FLOW_AHEAD * FLOW_ENTRY + FLOW_AT_FLAGS);
        flow_tally_entry(tally, entry, index, main_entries, total);
        if (index < main_entries && index % SHM_BUCKET == SHM_BUCKET - 1)
            tally->broken_chains += !shm_chain_ends(table, FLOW_ENTRY, index, main_entries, total);
    }
}

#endif
