/* What the scanner of the table tells: growth, age, evictions, entries that nobody has. */
#include <string.h>

#include "table.h"

static const uint64_t BYTES_MASK = ((uint64_t)1 << 48) - 1, PACKETS_MASK = ((uint64_t)1 << 40) - 1;

/* The low bits mirror the table's counter, the others count how often that wrapped. */
static uint64_t combine(uint64_t total, uint64_t counter, uint64_t mask)
{
    uint64_t high = total & ~mask;
    if ((total & mask) > counter)
        high += mask + 1;
    return high | (counter & mask);
}

void stats_fold(struct pair_side *at, uint64_t bytes, uint64_t packets)
{
    at->bytes = combine(at->bytes, bytes & BYTES_MASK, BYTES_MASK);
    at->packets = combine(at->packets, packets & PACKETS_MASK, PACKETS_MASK);
}

void stats_of_predecessor(struct pairs *pairs, uint32_t index, uint8_t gen_id, uint64_t bytes,
                          uint64_t packets)
{
    uint32_t owner = pairs_owner(pairs, index);
    if (owner == FLOW_NONE)
        return;
    struct pair_side *at = &pairs_at(pairs, number_of(owner))->at[side_of(owner)];
    if ((uint8_t)(at->gen_id + 1) == gen_id)
        stats_fold(at, bytes, packets);
}

bool pairs_stats(struct pairs *pairs, uint32_t pair, int side, uint64_t bytes, uint64_t packets,
                 uint16_t tcp_flags, uint32_t now)
{
    struct pair_side *at = &pairs_at(pairs, pair)->at[side];
    uint64_t earlier = at->bytes;
    at->tcp_flags = tcp_flags;
    stats_fold(at, bytes, packets);
    if (at->bytes == earlier)
        return false;
    at->last_seen = now;
    return true;
}

void pairs_aged(struct pairs *pairs, uint32_t pair, enum pair_end why, uint32_t now)
{
    pair_end(pairs, pair, why, now);
}

void pairs_evicted(struct pairs *pairs, uint32_t pair, int side, uint64_t bytes, uint64_t packets,
                   uint32_t now)
{
    stats_fold(&pairs_at(pairs, pair)->at[side], bytes, packets);
    owners_detach(pairs, pair, side);
    pairs_count(pairs, COUNT_EVICTED);
    if (pairs_at(pairs, pair)->state == PAIR_ENDING)
        plan_advance(pairs, pair, now);
    else
        pair_end(pairs, pair, END_EVICTED, now);
}

void pairs_missing(struct pairs *pairs, uint32_t pair, int side, uint32_t now)
{
    struct flow_pair *missing = pairs_at(pairs, pair);
    if (missing->asked || missing->at[side].index == FLOW_NONE)
        return; /* the answer that is under way knows better */
    owners_detach(pairs, pair, side);
    missing->at[side].flags |= SIDE_DIRTY;
    pairs_count(pairs, COUNT_MISSING);
    plan_advance(pairs, pair, now);
}
