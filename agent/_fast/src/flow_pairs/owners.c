/* Which side has which entry of the table (facts shared-memory.md 12.2).
 *
 * An index has one owner at most. Who comes with a newer generation takes it over; an older one
 * is stale. The datapath has one live entry of a key at most, so that of two answers about a key
 * any may be taken: the next request to the entry tells when it was the wrong one.
 */
#include "table.h"

enum { GENERATIONS_AHEAD = 127 };

uint32_t pairs_owner(const struct pairs *pairs, uint32_t index)
{
    return index < pairs->with.entries ? pairs->owner[index] - 1 : FLOW_NONE;
}

void owners_detach(struct pairs *pairs, uint32_t number, int side)
{
    struct pair_side *at = &pairs_at(pairs, number)->at[side];
    if (at->index == FLOW_NONE)
        return;
    pairs->owner[at->index] = 0;
    at->index = FLOW_NONE;
}

/* The slot was given to another flow: the datapath had evicted this one. */
static void evict_owner(struct pairs *pairs, uint32_t reference, uint32_t now)
{
    uint32_t number = number_of(reference);
    owners_detach(pairs, number, side_of(reference));
    pairs_count(pairs, COUNT_EVICTED);
    if (pairs_at(pairs, number)->state == PAIR_ENDING)
        plan_advance(pairs, number, now);
    else
        pair_end(pairs, number, END_EVICTED, now);
}

/* The same entry for another pair: both have its key, and one of them is ending. */
static bool hand_over(struct pairs *pairs, uint32_t reference, uint32_t number, uint32_t now)
{
    uint32_t owner = number_of(reference);
    if (pairs_at(pairs, number)->state == PAIR_ENDING)
        return false;
    pairs_count(pairs, COUNT_CONFLICTS);
    owners_detach(pairs, owner, side_of(reference));
    if (pairs_at(pairs, owner)->state == PAIR_ENDING)
        plan_advance(pairs, owner, now);
    else
        pair_end(pairs, owner, END_REPLACED, now);
    return true;
}

static bool displace(struct pairs *pairs, uint32_t reference, uint32_t number, uint8_t gen_id,
                     uint32_t now)
{
    struct pair_side *at = &pairs_at(pairs, number_of(reference))->at[side_of(reference)];
    uint8_t ahead = (uint8_t)(gen_id - at->gen_id);
    bool own = number_of(reference) == number;
    if (ahead >= GENERATIONS_AHEAD || (own && !ahead)) /* one entry cannot be both directions */
        return false;
    if (!ahead)
        return hand_over(pairs, reference, number, now);
    if (own) { /* the slot of one direction became free and was given to the other */
        owners_detach(pairs, number, side_of(reference));
        at->flags |= SIDE_DIRTY;
    } else {
        evict_owner(pairs, reference, now);
    }
    return true;
}

/* False when the entry is another's by right, or no entry at all. */
bool owners_attach(struct pairs *pairs, uint32_t number, int side, uint32_t index, uint8_t gen_id,
                   uint32_t now)
{
    if (index >= pairs->with.entries)
        return false;
    uint32_t mine = (number << 1) | (uint32_t)side, owner = pairs_owner(pairs, index);
    if (owner != FLOW_NONE && owner != mine && !displace(pairs, owner, number, gen_id, now))
        return false;
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->at[side].index != index)
        owners_detach(pairs, number, side);
    pairs->owner[index] = mine + 1;
    pair->at[side].index = index;
    pair->at[side].gen_id = gen_id;
    pair->at[side].flags &= (uint8_t)~SIDE_UNSURE;
    pair->at[!side].flags |= SIDE_DIRTY; /* it names this one as its partner */
    return true;
}
