/* From a trapped packet to a pair. */
#include <string.h>

#include "table.h"

void setup_discard(struct pairs *pairs, const struct flow_decision *is)
{
    if (is->flags & PAIR_BOUND_PORT)
        world_return_port(pairs->world, is->side[FLOW_FORWARD].key[1], is->bound_port);
}

void setup_over(struct pairs *pairs, struct flow_pair *pair)
{
    if (pair->state != PAIR_SETTING_UP || pair->vif >= PAIRS_VIFS)
        return;
    pairs->vifs[pair->vif].setting_up--;
    pairs->setting_up--;
    queue_enter(pairs, pair->vif);
}

/* Another packet of a flow that has its entry: it was under way while that was set, or the
 * datapath has not got what was sent. */
static void again(struct pairs *pairs, uint32_t reference, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number_of(reference));
    struct pair_side *at = &pair->at[side_of(reference)];
    pairs_count(pairs, COUNT_RETRAPS);
    if (pair->state != PAIR_INSTALLED || pair->asked || is_short(pair))
        return;
    if (pair->is.side[side_of(reference)].action == FLOW_HOLD || now - pair->due < RETRAP_GRACE)
        return;
    at->flags |= SIDE_DIRTY;
    plan_advance(pairs, number_of(reference), now);
}

/* Whether the held entry is already somebody's, or was at a later time. */
static bool is_known_entry(struct pairs *pairs, const struct flow_packet *packet, uint32_t now)
{
    uint32_t owner = pairs_owner(pairs, packet->index);
    if (owner == FLOW_NONE)
        return false;
    uint8_t gen_id = pairs_at(pairs, number_of(owner))->at[side_of(owner)].gen_id;
    if (gen_id == packet->gen_id) {
        again(pairs, owner, now);
        return true;
    }
    if ((uint8_t)(packet->gen_id - gen_id) < 127)
        return false;
    pairs_count(pairs, COUNT_STALE);
    return true;
}

/* The packet's key is a side of a pair. True: it takes the held entry; else the datapath had
 * given up its own entry for that key, so that the flow begins anew. */
static bool takes_entry(struct pairs *pairs, uint32_t reference, const struct flow_packet *packet,
                        uint32_t now)
{
    uint32_t number = number_of(reference);
    struct flow_pair *pair = pairs_at(pairs, number);
    int side = side_of(reference);
    if (pair->at[side].index == FLOW_NONE) {
        bool mine = owners_attach(pairs, number, side, packet->index, packet->gen_id, now);
        pair->at[side].flags |= SIDE_DIRTY;
        pairs_count(pairs, mine ? COUNT_ADOPTED : COUNT_STALE);
        plan_advance(pairs, number, now);
        return true;
    }
    pairs_count(pairs, COUNT_REPLACED);
    pair_end(pairs, number, END_REPLACED, now);
    return false;
}

static void remember_packet(struct flow_pair *pair, const struct flow_packet *packet)
{
    pair->vif = packet->vif;
    pair->vrf = (uint16_t)packet->vrf;
    pair->label = packet->label;
    pair->tunnel_source = packet->tunnel_source;
    pair->tunnel = packet->tunnel;
    pair->is_l2 = packet->is_l2;
    memcpy(pair->smac, packet->smac, 6);
    memcpy(pair->dmac, packet->dmac, 6);
    if (packet->tcp_ack)
        pair->is.flags |= PAIR_TCP_ACK;
}

/* Limits hold for flows that would be installed; false: too many are refused already. */
static bool admit(struct pairs *pairs, struct flow_pair *pair)
{
    if (!is_short(pair) && limits_allow(pairs, pair)) {
        limits_charge(pairs, pair);
        return true;
    }
    if (!is_short(pair)) {
        pairs_count(pairs, COUNT_LIMITED);
        pair->is.flags |= PAIR_SHORT;
        pair->is.side[FLOW_FORWARD].action = FLOW_DROP;
        pair->is.side[FLOW_FORWARD].reason = REASON_LIMIT;
        setup_discard(pairs, &pair->is);
        pair->is.flags &= (uint16_t)~PAIR_BOUND_PORT;
    }
    return shorts_enter(pairs, pair);
}

/* One pair at a time has a key: the new one knows the present world. */
void setup_reverse_key(struct pairs *pairs, uint32_t number, uint32_t now)
{
    const uint8_t *key = pairs_at(pairs, number)->is.side[FLOW_REVERSE].key;
    uint32_t other = pairs_find(pairs, key, flow_key_length(key));
    if (other != FLOW_NONE && number_of(other) != number) {
        pairs_count(pairs, COUNT_REPLACED);
        pair_end(pairs, number_of(other), END_REPLACED, now);
    }
    keys_put(pairs, number, FLOW_REVERSE);
}

static void begin(struct pairs *pairs, uint32_t number, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    pair->serial = ++pairs->serial;
    pair->created = time_of(pairs, now);
    pair->due = now;
    pair->state = PAIR_SETTING_UP;
    for (int side = 0; side < FLOW_SIDES; side++) {
        pair->at[side].flags |= SIDE_DIRTY;
        pair->at[side].last_seen = now;
    }
    if (pair->vif < PAIRS_VIFS) {
        pairs->vifs[pair->vif].setting_up++;
        pairs->setting_up++;
    }
    keys_put(pairs, number, FLOW_FORWARD);
    if (!is_short(pair))
        setup_reverse_key(pairs, number, now);
    reads_link(pairs, number);
    pairs_count(pairs, COUNT_CREATED);
}

uint32_t setup_pair(struct pairs *pairs, const struct flow_packet *packet,
                    const struct flow_decision *is, uint32_t now)
{
    uint32_t number = reads_room(pairs, is) ? arena_take(pairs) : FLOW_NONE;
    if (number == FLOW_NONE) {
        pairs_count(pairs, COUNT_ARENA_FULL);
        setup_discard(pairs, is);
        return FLOW_NONE;
    }
    struct flow_pair *pair = pairs_at(pairs, number);
    pair->is = *is;
    remember_packet(pair, packet);
    if (!admit(pairs, pair)) {
        setup_discard(pairs, &pair->is);
        arena_give(pairs, number);
        return FLOW_NONE;
    }
    begin(pairs, number, now);
    return number;
}

void setup_packet(struct pairs *pairs, const struct flow_packet *packet, uint32_t now)
{
    struct flow_decision is;
    if (is_known_entry(pairs, packet, now))
        return;
    flow_decide(pairs->world, packet, NULL, &is);
    pairs_count(pairs, COUNT_DECISIONS);
    const uint8_t *key = is.side[FLOW_FORWARD].key;
    uint32_t known = pairs_find(pairs, key, flow_key_length(key));
    if (known != FLOW_NONE && takes_entry(pairs, known, packet, now)) {
        setup_discard(pairs, &is);
        return;
    }
    uint32_t number = setup_pair(pairs, packet, &is, now);
    if (number == FLOW_NONE) {
        strays_put(pairs, key, packet->index, packet->gen_id);
        return;
    }
    if (!owners_attach(pairs, number, FLOW_FORWARD, packet->index, packet->gen_id, now))
        pairs_count(pairs, COUNT_STALE);
    plan_advance(pairs, number, now);
}
