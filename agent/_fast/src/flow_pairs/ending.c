/* Pairs end: out of all lists at once, out of the datapath as its answers come. */
#include <string.h>

#include "table.h"

/* Nothing finds the pair any more but its entries and its request. */
static void withdraw(struct pairs *pairs, uint32_t number)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    for (int side = 0; side < FLOW_SIDES; side++)
        keys_drop(pairs, number, side);
    reads_unlink(pairs, number);
    limits_release(pairs, pair);
    shorts_leave(pairs, pair);
    setup_discard(pairs, &pair->is);
    pair->is.flags &= (uint16_t)~PAIR_BOUND_PORT;
    work_drop(pairs, number);
    setup_over(pairs, pair);
}

void pair_end(struct pairs *pairs, uint32_t number, enum pair_end why, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->state == PAIR_FREE || pair->state == PAIR_ENDING)
        return;
    withdraw(pairs, number);
    pair->state = PAIR_ENDING;
    pair->end = (uint8_t)why;
    pair->tries = 0;
    plan_advance(pairs, number, now);
}

void pair_dispose(struct pairs *pairs, uint32_t number, uint32_t now)
{
    records_add(pairs, number, now);
    work_drop(pairs, number);
    arena_give(pairs, number);
    pairs_count(pairs, COUNT_ENDED);
}

/* The datapath's table is empty: forget all entries and what was asked about them. */
void pairs_reset(struct pairs *pairs, uint32_t now)
{
    pairs_count(pairs, COUNT_RESETS);
    pairs->oldest = pairs->next_seq;
    pairs->in_flight = 0;
    memset(pairs->requests, 0, (pairs->request_mask + 1) * sizeof *pairs->requests);
    pairs->stray_count = 0;
    queue_clear(pairs);
    touched_clear(pairs);
    for (uint32_t number = 0; number < pairs->top; number++) {
        struct flow_pair *pair = pairs_at(pairs, number);
        if (pair->state == PAIR_FREE)
            continue;
        pair->asked = ASK_NOTHING;
        for (int side = 0; side < FLOW_SIDES; side++) {
            owners_detach(pairs, number, side);
            pair->at[side].flags = 0;
        }
        if (pair->state == PAIR_ENDING)
            plan_advance(pairs, number, now);
        else
            pair_end(pairs, number, END_RESET, now);
    }
}
