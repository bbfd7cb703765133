/* What an answer means for the pair that asked (facts sandesh-ksync.md 4.7, shared-memory.md 10,
 * field-problems.md #75: an entry that an answer tells of is taken over or deleted, never forgotten). */
#include <errno.h>

#include "table.h"

static void delay(struct pairs *pairs, uint32_t number, uint32_t now)
{
    pairs_at(pairs, number)->due = now + BUSY_WAIT;
    work_put(pairs, WORK_DELAY, number);
}

/* An entry exists for the key of this side. */
static void has_entry(struct pairs *pairs, const struct request *request,
                      const struct outcome *outcome, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, request->pair);
    struct pair_side *at = &pair->at[request->side];
    bool added = outcome->code == 0;
    at->flags &= (uint8_t)~SIDE_UNSURE;
    if (added)
        stats_of_predecessor(pairs, outcome->index, outcome->gen_id, outcome->bytes,
                             outcome->packets);
    if (!owners_attach(pairs, request->pair, request->side, outcome->index, outcome->gen_id, now)) {
        pair->tries++;
        return;
    }
    pairs_count(pairs, added ? COUNT_ACKS : COUNT_ADOPTED);
    if (!added || request->kind == ASK_RESOLVE
        || request->partner != pair->at[!request->side].index)
        at->flags |= SIDE_DIRTY;
}

/* The entry that was asked about is not ours any more; unless that is known already. */
static void is_gone(struct pairs *pairs, const struct request *request)
{
    struct pair_side *at = &pairs_at(pairs, request->pair)->at[request->side];
    if (at->index != request->index || at->gen_id != request->gen_id)
        return;
    owners_detach(pairs, request->pair, request->side);
    at->flags |= SIDE_DIRTY;
}

/* The entry that was told as the partner is refused: it may be gone, or not. */
static void doubt_partner(struct pairs *pairs, const struct request *request)
{
    struct pair_side *other = &pairs_at(pairs, request->pair)->at[!request->side];
    if (other->index != request->partner)
        return;
    owners_detach(pairs, request->pair, !request->side);
    other->flags |= SIDE_DIRTY | SIDE_UNSURE;
}

static void give_up(struct pairs *pairs, uint32_t number)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    pairs_count(pairs, COUNT_GIVEN_UP);
    for (int side = 0; side < FLOW_SIDES; side++) {
        owners_detach(pairs, number, side);
        pair->at[side].flags = 0;
    }
}

static enum flow_counter counter_of(int32_t code)
{
    switch (code) {
    case -EEXIST:
        return COUNT_EXISTS;
    case -ENOENT:
    case -EBADF:
    case -EFAULT:
        return COUNT_GONE;
    case -EBUSY:
        return COUNT_BUSY;
    case -ENOSPC:
        return COUNT_FULL;
    default:
        return COUNT_INVALID;
    }
}

/* A delete is done when there is nothing left of what was to be deleted. */
static void deleted(struct pairs *pairs, const struct request *request, int32_t code, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, request->pair);
    bool busy = code == -EBUSY && pair->end != END_EVICTED;
    if (!busy && (code == 0 || counter_of(code) == COUNT_GONE || code == -EBUSY)) {
        is_gone(pairs, request);
        return;
    }
    pair->tries++;
    delay(pairs, request->pair, now);
}

/* It could not be learnt whether there is an entry: only a busy one leaves that open. */
static void unresolved(struct pairs *pairs, const struct request *request, int32_t code,
                       uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, request->pair);
    pair->tries++;
    if (code == -EBUSY && pair->tries <= TRIES)
        delay(pairs, request->pair, now);
    else
        pair->at[request->side].flags &= (uint8_t)~SIDE_UNSURE;
}

static void refused(struct pairs *pairs, const struct request *request, int32_t code, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, request->pair);
    pair->at[request->side].flags |= SIDE_DIRTY;
    if (counter_of(code) == COUNT_GONE && request->kind == ASK_SET)
        is_gone(pairs, request);
    if (pair->state == PAIR_ENDING) /* it was asked before the end */
        return;
    pair->tries++;
    if (code == -EBUSY)
        delay(pairs, request->pair, now);
    else if (code == -EINVAL && request->partner != FLOW_NONE)
        doubt_partner(pairs, request);
    else if (counter_of(code) != COUNT_GONE)
        pair->tries = TRIES + 1;
}

static void apply(struct pairs *pairs, const struct request *request,
                  const struct outcome *outcome, uint32_t now)
{
    bool adds = request->kind == ASK_ADD || request->kind == ASK_RESOLVE;
    int32_t code = outcome->code;
    if (adds && (code == 0 || code == -EEXIST))
        has_entry(pairs, request, outcome, now);
    else if (request->kind == ASK_DELETE)
        deleted(pairs, request, code, now);
    else if (request->kind == ASK_RESOLVE)
        unresolved(pairs, request, code, now);
    else if (code)
        refused(pairs, request, code, now);
    else
        pairs_count(pairs, COUNT_ACKS);
}

/* Too many refusals: drop the flow; when that is refused too, let it end. */
static void exhausted(struct pairs *pairs, uint32_t number, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->state == PAIR_ENDING) {
        give_up(pairs, number);
        work_drop(pairs, number);
        plan_advance(pairs, number, now);
    } else if (is_short(pair)) {
        pair_end(pairs, number, END_REFUSED, now);
    } else {
        plan_refuse(pairs, number, REASON_INSTALL, now);
    }
}

static void close_request(struct pairs *pairs, struct request *request)
{
    request->open = false;
    pairs->in_flight--;
    while (pairs->oldest != pairs->next_seq
           && !pairs->requests[pairs->oldest & pairs->request_mask].open)
        pairs->oldest++;
}

void outcome_apply(struct pairs *pairs, uint32_t seq, const struct outcome *outcome, uint32_t now)
{
    struct request *slot = &pairs->requests[seq & pairs->request_mask];
    pairs_count(pairs, COUNT_ANSWERS);
    if (seq - pairs->oldest >= pairs->next_seq - pairs->oldest || !slot->open) {
        pairs_count(pairs, COUNT_LATE);
        return;
    }
    struct request request = *slot;
    close_request(pairs, slot);
    if (outcome->code) {
        pairs_count(pairs, COUNT_NACKS);
        pairs_count(pairs, counter_of(outcome->code));
    }
    if (request.pair == FLOW_NONE)
        return;
    struct flow_pair *pair = pairs_at(pairs, request.pair);
    pair->asked = ASK_NOTHING;
    apply(pairs, &request, outcome, now);
    if (pair->tries > TRIES)
        exhausted(pairs, request.pair, now);
    else
        plan_advance(pairs, request.pair, now);
}
