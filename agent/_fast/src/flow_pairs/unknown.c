/* Entries of the table that nobody has (facts shared-memory.md 12.1, field-problems.md #75).
 *
 * What is held was trapped in vain: it goes, and the flow's next packet is trapped again. What
 * forwards is left over from an earlier life of the agent: when the present world allows it in
 * either direction its entries are kept and told anew; else they go. */
#include <string.h>

#include "places.h"
#include "table.h"

static void packet_of(const struct flow_found *found, struct flow_packet *packet)
{
    const uint8_t *key = found->key;
    size_t length = key[0] == FLOW_INET6 ? 16 : 4;
    memset(packet, 0, sizeof *packet);
    packet->vrf = found->vrf;
    packet->index = found->index;
    packet->gen_id = found->gen_id;
    packet->family = key[0];
    packet->proto = key[1];
    packet->tcp_ack = true;
    memcpy(packet->sport, key + 4, 2);
    memcpy(packet->dport, key + 6, 2);
    memcpy(&packet->key_nexthop, key + 8, 4);
    memcpy(packet->src, key + 12, length);
    memcpy(packet->dst, key + 12 + length, length);
}

/* Where the flow's packets come in; false when no packet has told. Those of the fabric lost their
 * label: the route to their destination says the same. */
static bool place(const struct pairs *pairs, const struct flow_found *found,
                  struct flow_packet *packet)
{
    struct place at;
    packet_of(found, packet);
    packet->vif = found->src_info;
    if (found->src_info < PAIRS_VIFS)
        return place_of_vif(pairs->world, found->src_info, &at) && at.kind != VIF_OF_FABRIC
            && at.key_nexthop == packet->key_nexthop;
    packet->vif = place_fabric(pairs->world);
    return packet->vif != FLOW_NONE;
}

/* Does a decision with `forward` as the first direction lead to just these two entries? */
static bool allows(struct pairs *pairs, const struct flow_found *forward,
                   const struct flow_found *reverse, struct flow_packet *packet,
                   struct flow_decision *is)
{
    if (!place(pairs, forward, packet))
        return false;
    flow_decide(pairs->world, packet, NULL, is);
    bool same = !(is->flags & PAIR_SHORT) && is->side[FLOW_FORWARD].action != FLOW_DROP
             && !memcmp(is->side[FLOW_FORWARD].key, forward->key, FLOW_KEY)
             && !memcmp(is->side[FLOW_REVERSE].key, reverse->key, FLOW_KEY);
    if (!same)
        setup_discard(pairs, is);
    return same;
}

static void keep_side(struct pairs *pairs, uint32_t number, int side,
                      const struct flow_found *found, uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (!owners_attach(pairs, number, side, found->index, found->gen_id, now))
        return;
    stats_fold(&pair->at[side], found->bytes, found->packets);
    pair->at[side].tcp_flags = found->tcp_flags;
    pair->at[side].flags |= SIDE_DIRTY;
    pairs_count(pairs, COUNT_KEPT);
}

static bool keep(struct pairs *pairs, const struct flow_found *one, const struct flow_found *other,
                 uint32_t now)
{
    struct flow_packet packet;
    struct flow_decision is;
    if (!allows(pairs, one, other, &packet, &is)) {
        const struct flow_found *first = one;
        if (!allows(pairs, other, one, &packet, &is))
            return false;
        one = other;
        other = first;
    }
    uint32_t number = setup_pair(pairs, &packet, &is, now);
    if (number == FLOW_NONE)
        return false;
    pairs_at(pairs, number)->kept = true;
    keep_side(pairs, number, FLOW_FORWARD, one, now);
    keep_side(pairs, number, FLOW_REVERSE, other, now);
    plan_advance(pairs, number, now);
    return true;
}

/* A pair has the key: its own idea of its entry is wrong, unless an answer is under way. */
static void correct(struct pairs *pairs, uint32_t reference, const struct flow_found *found,
                    uint32_t now)
{
    uint32_t number = number_of(reference);
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->asked)
        return;
    owners_attach(pairs, number, side_of(reference), found->index, found->gen_id, now);
    pair->at[side_of(reference)].flags |= SIDE_DIRTY;
    pairs_count(pairs, COUNT_ADOPTED);
    plan_advance(pairs, number, now);
}

static void let_go(struct pairs *pairs, const struct flow_found *found)
{
    pairs_count(pairs, COUNT_AUDITED);
    strays_put(pairs, found->key, found->index, found->gen_id);
}

static uint32_t key_owner(const struct pairs *pairs, const struct flow_found *found)
{
    return pairs_find(pairs, found->key, flow_key_length(found->key));
}

bool pairs_unknown(struct pairs *pairs, const struct flow_found *found,
                   const struct flow_found *reverse, uint32_t now)
{
    if (pairs->stray_count + FLOW_SIDES > STRAYS)
        return false;
    if (pairs_owner(pairs, found->index) != FLOW_NONE)
        return true;
    uint32_t owner = key_owner(pairs, found);
    bool paired = reverse && key_owner(pairs, reverse) == FLOW_NONE
               && pairs_owner(pairs, reverse->index) == FLOW_NONE;
    if (owner != FLOW_NONE) {
        correct(pairs, owner, found, now);
        return true;
    }
    bool forwards = found->action == FLOW_PASS || found->action == FLOW_NAT;
    if (paired && forwards && keep(pairs, found, reverse, now))
        return true;
    let_go(pairs, found);
    if (paired)
        let_go(pairs, reverse);
    return true;
}
