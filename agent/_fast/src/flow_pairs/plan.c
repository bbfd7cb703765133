/* What a pair asks of the datapath next, from what was decided and what the datapath is known
 * to have. One request of a pair is under way at a time; its answer only changes what is known,
 * so that no order of answers, losses and changes can leave anything behind. */
#include <string.h>

#include "table.h"

static struct plan ask(int side, enum ask kind)
{
    return (struct plan){(uint8_t)side, (uint8_t)kind};
}

static bool unsure(const struct flow_pair *pair, int side)
{
    return pair->at[side].index == FLOW_NONE && (pair->at[side].flags & SIDE_UNSURE);
}

/* Leave nothing of this side in the datapath. */
static struct plan clear(const struct flow_pair *pair, int side)
{
    if (pair->at[side].index != FLOW_NONE)
        return ask(side, ASK_DELETE);
    return ask(side, unsure(pair, side) ? ASK_RESOLVE : ASK_NOTHING);
}

static struct plan plan_ending(const struct flow_pair *pair)
{
    struct plan plan = clear(pair, FLOW_FORWARD);
    return plan.kind == ASK_NOTHING ? clear(pair, FLOW_REVERSE) : plan;
}

static struct plan plan_short(const struct flow_pair *pair)
{
    const struct pair_side *at = &pair->at[FLOW_FORWARD];
    struct plan plan = clear(pair, FLOW_REVERSE);
    if (plan.kind != ASK_NOTHING)
        return plan;
    if (at->index == FLOW_NONE)
        return ask(FLOW_FORWARD, unsure(pair, FLOW_FORWARD) ? ASK_RESOLVE : ASK_NOTHING);
    return ask(FLOW_FORWARD, at->flags & SIDE_DIRTY ? ASK_SET : ASK_NOTHING);
}

/* Nothing of the pair is in the datapath any more, and nothing may be. */
static bool is_lost(const struct flow_pair *pair)
{
    for (int side = 0; side < FLOW_SIDES; side++)
        if (pair->at[side].index != FLOW_NONE || unsure(pair, side))
            return false;
    return true;
}

/* The reverse side first: held packets leave as soon as the forward entry is set. */
static struct plan plan_live(const struct flow_pair *pair)
{
    static const uint8_t adds[] = {FLOW_REVERSE, FLOW_FORWARD};
    if (is_lost(pair))
        return ask(FLOW_FORWARD, ASK_NOTHING);
    for (int i = 0; i < FLOW_SIDES; i++)
        if (pair->at[adds[i]].index == FLOW_NONE)
            return ask(adds[i], ASK_ADD);
    for (int side = 0; side < FLOW_SIDES; side++)
        if (pair->at[side].flags & SIDE_DIRTY)
            return ask(side, ASK_SET);
    return ask(FLOW_FORWARD, ASK_NOTHING);
}

struct plan plan_next(const struct flow_pair *pair)
{
    if (pair->state == PAIR_ENDING)
        return plan_ending(pair);
    return is_short(pair) ? plan_short(pair) : plan_live(pair);
}

static void settle_short(struct pairs *pairs, uint32_t number, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->at[FLOW_FORWARD].index == FLOW_NONE) {
        pair_end(pairs, number, END_LOST, now);
        return;
    }
    setup_over(pairs, pair);
    pair->state = PAIR_INSTALLED;
    pair->tries = 0;
    if (pair->list == WORK_SHORT)
        return;
    pair->due = now + pairs->with.short_time;
    work_put(pairs, WORK_SHORT, number);
}

static void settle(struct pairs *pairs, uint32_t number, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->state == PAIR_ENDING) {
        pair_dispose(pairs, number, now);
    } else if (is_short(pair)) {
        settle_short(pairs, number, now);
    } else if (is_lost(pair)) {
        pair_end(pairs, number, END_LOST, now);
    } else {
        work_drop(pairs, number);
        setup_over(pairs, pair);
        pair->due = now;
        pair->state = PAIR_INSTALLED;
        pair->tries = 0;
    }
}

void plan_advance(struct pairs *pairs, uint32_t number, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->asked)
        return;
    if (plan_next(pair).kind == ASK_NOTHING)
        settle(pairs, number, now);
    else if (pair->list != WORK_DELAY)
        work_put(pairs, pair->state == PAIR_SETTING_UP ? WORK_SETUP : WORK_CHANGE, number);
}

void plan_refuse(struct pairs *pairs, uint32_t number, enum flow_reason reason, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    struct flow_side *forward = &pair->is.side[FLOW_FORWARD];
    limits_release(pairs, pair);
    setup_discard(pairs, &pair->is);
    keys_drop(pairs, number, FLOW_REVERSE);
    pair->is.flags = (uint16_t)((pair->is.flags | PAIR_SHORT) & ~PAIR_BOUND_PORT);
    forward->action = FLOW_DROP;
    forward->reason = (uint8_t)reason;
    forward->flags = FLOW_ACTIVE;
    pair->at[FLOW_FORWARD].flags |= SIDE_DIRTY;
    pair->tries = 0;
    if (shorts_enter(pairs, pair))
        plan_advance(pairs, number, now);
    else
        pair_end(pairs, number, END_REFUSED, now);
}
