/* Flows are decided anew when what they read has changed: those, and a bounded number a turn.
 *
 * Every drain of the world's touches ends an epoch; a pair has the epoch of its last decision.
 * Lists of readers are in the order of decisions, so that what is to be done of a touched vif or
 * route is at the end of its list, down to the first pair of a later epoch. */
#include <stddef.h>
#include <string.h>

#include "table.h"

enum { DRAIN = 64, LINK_BITS = 3, WHAT_THE_DATAPATH_IS_TOLD = offsetof(struct flow_side, qos) + 2 };

static void touch_all(struct pairs *pairs)
{
    pairs->all_epoch = pairs->epoch;
    pairs->all_left = pairs->top;
}

static void note(struct pairs *pairs, const struct touch *touch)
{
    if (touch->kind == TOUCH_VIF)
        limits_refresh(pairs, touch->number);
    if (touch->kind == TOUCH_ALL || pairs->touch_count == PENDING_TOUCHES) {
        touch_all(pairs);
        return;
    }
    uint32_t at = (pairs->touch_first + pairs->touch_count++) % PENDING_TOUCHES;
    pairs->touches[at] = (struct pending_touch){touch->kind, touch->number, pairs->epoch};
}

static void drain(struct pairs *pairs)
{
    struct touch touches[DRAIN];
    size_t count;
    bool any = false;
    while ((count = world_drain(pairs->world, touches, DRAIN))) {
        any = true;
        for (size_t i = 0; i < count; i++)
            note(pairs, &touches[i]);
    }
    if (any)
        pairs->epoch++;
}

void touched_clear(struct pairs *pairs)
{
    pairs->touch_count = pairs->all_left = 0;
}

static void packet_of(const struct flow_pair *pair, struct flow_packet *packet)
{
    const uint8_t *key = pair->is.side[FLOW_FORWARD].key;
    size_t length = key[0] == FLOW_INET6 ? 16 : 4;
    memset(packet, 0, sizeof *packet);
    packet->vif = pair->vif;
    packet->vrf = pair->vrf;
    packet->index = FLOW_NONE;
    packet->family = key[0];
    packet->proto = key[1];
    packet->tcp_ack = !!(pair->is.flags & PAIR_TCP_ACK);
    memcpy(packet->sport, key + 4, 2);
    memcpy(packet->dport, key + 6, 2);
    memcpy(&packet->key_nexthop, key + 8, 4);
    memcpy(packet->src, key + 12, length);
    memcpy(packet->dst, key + 12 + length, length);
    memcpy(packet->smac, pair->smac, 6);
    memcpy(packet->dmac, pair->dmac, 6);
    packet->tunnel = pair->tunnel;
    packet->is_l2 = pair->is_l2;
    packet->label = pair->label;
    packet->tunnel_source = pair->tunnel_source;
}

static void decide_anew(struct pairs *pairs, const struct flow_pair *pair,
                        struct flow_decision *is)
{
    struct flow_packet packet;
    struct flow_before kept = {
        .ecmp = {pair->is.side[FLOW_FORWARD].ecmp, pair->is.side[FLOW_REVERSE].ecmp},
        .bound_port = pair->is.flags & PAIR_BOUND_PORT ? pair->is.bound_port : 0,
    };
    packet_of(pair, &packet);
    flow_decide(pairs->world, &packet, &kept, is);
    is->flags |= pair->is.flags & PAIR_TCP_ACK;
}

/* The decision's port is the pair's from now on. */
static void exchange_ports(struct pairs *pairs, struct flow_pair *pair,
                           const struct flow_decision *is)
{
    bool kept = (is->flags & PAIR_BOUND_PORT) && is->bound_port == pair->is.bound_port;
    if (!kept)
        setup_discard(pairs, &pair->is);
    pair->is.flags = (uint16_t)((pair->is.flags & ~PAIR_BOUND_PORT) | (is->flags & PAIR_BOUND_PORT));
    pair->is.bound_port = is->bound_port;
}

static bool same_key(const struct flow_pair *pair, const struct flow_decision *is, int side)
{
    return memcmp(pair->is.side[side].key, is->side[side].key, FLOW_KEY) == 0;
}

/* Entries have keys: what has another key is another flow. */
static bool keeps_keys(const struct flow_pair *pair, const struct flow_decision *is)
{
    if (!same_key(pair, is, FLOW_FORWARD))
        return false;
    bool reverse_left = !is_short(pair) || pair->at[FLOW_REVERSE].index != FLOW_NONE
                     || (pair->at[FLOW_REVERSE].flags & SIDE_UNSURE);
    return !reverse_left || (is->flags & PAIR_SHORT) || same_key(pair, is, FLOW_REVERSE);
}

static void replace(struct pairs *pairs, uint32_t number, struct flow_decision *is)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (is->flags & PAIR_SHORT) /* what is left of the reverse flow is found by its old key */
        memcpy(is->side[FLOW_REVERSE].key, pair->is.side[FLOW_REVERSE].key, FLOW_KEY);
    for (int side = 0; side < FLOW_SIDES; side++)
        if (memcmp(&pair->is.side[side], &is->side[side], WHAT_THE_DATAPATH_IS_TOLD))
            pair->at[side].flags |= SIDE_DIRTY;
    reads_unlink(pairs, number);
    pair->is = *is;
    reads_link(pairs, number);
}

static void refuse_now(struct pairs *pairs, uint32_t number, struct flow_decision *is, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    limits_release(pairs, pair);
    keys_drop(pairs, number, FLOW_REVERSE);
    replace(pairs, number, is);
    pair->at[FLOW_FORWARD].flags |= SIDE_DIRTY;
    if (!shorts_enter(pairs, pair))
        pair_end(pairs, number, END_REFUSED, now);
}

/* A flow that was refused would be installed: as far as limits allow. */
static void allow_now(struct pairs *pairs, uint32_t number, struct flow_decision *is, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    replace(pairs, number, is);
    if (!limits_allow(pairs, pair)) {
        pairs_count(pairs, COUNT_LIMITED);
        plan_refuse(pairs, number, REASON_LIMIT, now);
        return;
    }
    shorts_leave(pairs, pair);
    limits_charge(pairs, pair);
    setup_reverse_key(pairs, number, now);
    pair->at[FLOW_FORWARD].flags |= SIDE_DIRTY;
}

static void change(struct pairs *pairs, uint32_t number, struct flow_decision *is, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    bool was_short = is_short(pair), now_short = is->flags & PAIR_SHORT;
    if (!was_short && now_short) {
        refuse_now(pairs, number, is, now);
    } else if (was_short && !now_short) {
        allow_now(pairs, number, is, now);
    } else {
        replace(pairs, number, is);
        if (!now_short)
            limits_charge(pairs, pair);
    }
}

/* Decide on a pair anew and put it to work; how many ended or changed: 0 or 1. */
uint32_t pairs_redecide(struct pairs *pairs, uint32_t number, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    struct flow_decision is;
    if (pair->state == PAIR_FREE || pair->state == PAIR_ENDING)
        return 0;
    pairs_count(pairs, COUNT_REDECIDED);
    decide_anew(pairs, pair, &is);
    exchange_ports(pairs, pair, &is);
    if (!keeps_keys(pair, &is) || !reads_room(pairs, &is)) {
        pairs_count(pairs, COUNT_CHANGED);
        pair_end(pairs, number, END_CHANGED, now);
        return 1;
    }
    change(pairs, number, &is, now);
    bool dirty = (pair->at[FLOW_FORWARD].flags | pair->at[FLOW_REVERSE].flags) & SIDE_DIRTY;
    if (dirty)
        pairs_count(pairs, COUNT_CHANGED);
    if (pair->state != PAIR_FREE)
        plan_advance(pairs, number, now);
    return dirty;
}

/* Of one list, what was decided up to `epoch`; how much of `most` is left. */
static uint32_t follow_list(struct pairs *pairs, int which, const struct pending_touch *touch,
                            uint32_t most, uint32_t now)
{
    while (most) {
        const struct readers *readers = readers_of(pairs, which, touch->number);
        if (!readers || !readers->last)
            break;
        uint32_t number = (readers->last - 1) >> LINK_BITS;
        if (before(touch->epoch, pairs_at(pairs, number)->epoch))
            break;
        if (touch->kind == TOUCH_VIF_GONE)
            pair_end(pairs, number, END_PORT_GONE, now);
        else
            pairs_redecide(pairs, number, now);
        most--;
    }
    return most;
}

static uint32_t follow_touches(struct pairs *pairs, uint32_t most, uint32_t now)
{
    while (most && pairs->touch_count) {
        const struct pending_touch *touch = &pairs->touches[pairs->touch_first];
        most = follow_list(pairs, touch->kind == TOUCH_ROUTE ? READ_SRC_ROUTE : READ_IN_VIF,
                           touch, most, now);
        if (!most)
            break;
        pairs->touch_first = (pairs->touch_first + 1) % PENDING_TOUCHES;
        pairs->touch_count--;
        most--;
    }
    return most;
}

static void follow_all(struct pairs *pairs, uint32_t most, uint32_t now)
{
    while (most && pairs->all_left) {
        uint32_t number = pairs->all_cursor++ % pairs->top;
        const struct flow_pair *pair = pairs_at(pairs, number);
        pairs->all_left--;
        most--;
        if (!before(pairs->all_epoch, pair->epoch))
            pairs_redecide(pairs, number, now);
    }
}

bool touched_some(struct pairs *pairs, uint32_t most, uint32_t now)
{
    drain(pairs);
    follow_all(pairs, follow_touches(pairs, most, now), now);
    return pairs->touch_count || pairs->all_left;
}
