/* Composite nexthops: copies for broadcast trees, one choice for ECMP
 * (datapath-behaviour.md 3 and 7). */
#include "flow_path.h"

static struct nexthop *part_of(struct datapath *dp, const struct nexthop *whole, uint32_t i)
{
    int32_t id = whole->components[i].nh;
    return id >= 0 ? dp_nexthop(dp, (uint32_t)id) : NULL;
}

static bool has_peer(struct datapath *dp, const struct nexthop *list, uint32_t address)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct nexthop *peer = part_of(dp, list, i);
        if (peer && peer->type == NH_TUNNEL && peer->tun_dip == address)
            return true;
    }
    return false;
}

/* Which part of the tree the sender of a tunnelled frame belongs to. */
void find_source(struct datapath *dp, struct packet *p, const struct nexthop *tree)
{
    if (!tree || tree->type != NH_COMPOSITE || !(tree->flags & NHF_MCAST))
        return;
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct nexthop *part = part_of(dp, tree, i);
        if (!part || part->type != NH_COMPOSITE || !has_peer(dp, part, p->outer_src))
            continue;
        if (part->flags & NHF_EVPN)
            p->source = FROM_EVPN;
        else if (part->flags & NHF_TOR)
            p->source = FROM_TOR;
        else if (part->flags & NHF_FABRIC)
            p->source = FROM_FABRIC_TREE;
    }
}

static bool is_known_source(struct datapath *dp, struct packet *p, const struct nexthop *tree)
{
    uint8_t claimed = p->source;
    if (claimed == FROM_LOCAL)
        return true;
    p->source = FROM_NOWHERE;
    find_source(dp, p, tree);
    bool known = p->source != FROM_NOWHERE;
    if (claimed != FROM_NOWHERE)
        p->source = claimed;
    else if (!known)
        p->source = FROM_EVPN;
    return known || !(tree->flags & NHF_VALIDATE_SOURCE);
}

/* The parts that a frame from each kind of source goes to. */
static uint32_t parts_for(uint8_t source)
{
    switch (source) {
    case FROM_EVPN: return NHF_ENCAP | NHF_TOR;
    case FROM_FABRIC_TREE: return NHF_ENCAP | NHF_FABRIC | NHF_TOR;
    default: return NHF_ENCAP | NHF_FABRIC | NHF_EVPN | NHF_TOR;
    }
}

static void send_on_tree(struct datapath *dp, struct packet *p, void *context)
{
    const struct component *component = context;
    struct nexthop *nh = dp_nexthop(dp, (uint32_t)component->nh);
    checksum_complete(p);
    if (!nh || !push_tree_header(p, nh)) {
        dp_drop(dp, p, DROP_PUSH);
        return;
    }
    p->label = (uint32_t)component->label;
    tunnel_send(dp, p, nh);
}

static void send_copy(struct datapath *dp, struct packet *p, struct nexthop *part,
                      struct component *component, struct nexthop *nh)
{
    struct packet *copy = packet_clone(&dp->pool, p);
    if (!copy) {
        dp_count_drop(dp, p->in, DROP_MCAST_CLONE_FAIL);
        return;
    }
    copy->is_copy = 1;
    if (part->flags & NHF_FABRIC) {
        if (segmentable(copy))
            segment(dp, copy, send_on_tree, component);
        else
            send_on_tree(dp, copy, component);
        return;
    }
    if (!(part->flags & NHF_ENCAP))
        copy->label = (uint32_t)component->label & LABEL_NONE;
    enter_nexthop(dp, copy, nh);
}

/* Not back to where it came from, and never into another list. */
static bool wants_copy(const struct packet *p, const struct nexthop *nh)
{
    if (!nh || nh->type == NH_COMPOSITE)
        return false;
    if (nh->type == NH_TUNNEL)
        return p->outer_src == 0 || nh->tun_dip != p->outer_src;
    return nh->type != NH_ENCAP || nh->oif != (int32_t)p->in->idx;
}

static void copy_to_list(struct datapath *dp, struct packet *p, struct nexthop *part)
{
    static const struct { uint32_t flag; int counter; } counters[] = {
        {NHF_ENCAP, VS_ENCAP_COMPOSITES}, {NHF_FABRIC, VS_FABRIC_COMPOSITES},
        {NHF_EVPN, VS_EVPN_COMPOSITES},
    };
    for (unsigned i = 0; i < sizeof counters / sizeof *counters; i++)
        if (part->flags & counters[i].flag)
            dp_count_vrf(dp, p->vrf, counters[i].counter);
    for (uint32_t i = 0; i < part->count; i++) {
        struct nexthop *nh = part_of(dp, part, i);
        if (wants_copy(p, nh))
            send_copy(dp, p, part, &part->components[i], nh);
    }
}

void replicate(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    /* Copies of copies would grow with the power of their depth. */
    if (p->is_copy) {
        dp_drop(dp, p, DROP_PKT_LOOP);
        return;
    }
    if (!(nh->flags & NHF_MCAST)) {
        copy_to_list(dp, p, nh);
        dp_drop(dp, p, DROP_CLONED_ORIGINAL);
        return;
    }
    dp_count_vrf(dp, p->vrf, VS_L2_MCAST_COMPOSITES);
    if (!is_known_source(dp, p, nh)) {
        dp_drop(dp, p, DROP_INVALID_MCAST_SOURCE);
        return;
    }
    if (p->eth && trap_protocols(dp, p))
        return;
    uint32_t wanted = parts_for(p->source);
    for (uint32_t i = 0; i < nh->count; i++) {
        struct nexthop *part = part_of(dp, nh, i);
        if (part && part->type == NH_COMPOSITE && !(part->flags & NHF_MCAST)
            && (part->flags & NHF_VALID) && (part->flags & wanted))
            copy_to_list(dp, p, part);
    }
    dp_drop(dp, p, DROP_CLONED_ORIGINAL);
}

/* A member that could take the packet: there, and not out of order. */
static struct nexthop *member(struct datapath *dp, const struct nexthop *whole, uint32_t i)
{
    struct nexthop *nh = part_of(dp, whole, i);
    return nh && (nh->flags & NHF_VALID) ? nh : NULL;
}

/* By the packet's hash; past slots that are empty. -1: there is no member. */
static int64_t hashed_member(struct datapath *dp, struct packet *p, const struct nexthop *nh)
{
    uint32_t hash = packet_flow_hash(p, dp->seed, nh->ecmp_hash), active = 0;
    for (uint32_t i = 0; i < nh->count; i++)
        active += member(dp, nh, i) != NULL;
    if (active == 0)
        return -1;
    uint32_t slot = hash % nh->count;
    if (member(dp, nh, slot))
        return slot;
    uint32_t nth = hash % active;
    for (slot = 0; !member(dp, nh, slot) || nth > 0; slot++)
        nth -= member(dp, nh, slot) != NULL;
    return slot;
}

void choose_ecmp(struct datapath *dp, struct packet *p, struct nexthop *nh)
{
    dp_count_vrf(dp, p->vrf, VS_ECMP_COMPOSITES);
    int64_t slot = flow_member(dp, p, nh);
    if (slot < 0 && (slot = hashed_member(dp, p, nh)) >= 0)
        flow_keep_member(dp, p, (uint32_t)slot);
    if (slot < 0) {
        dp_drop(dp, p, DROP_DISCARD);
        return;
    }
    if (!(nh->flags & NHF_LU_ECMP))
        p->label = (uint32_t)nh->components[slot].label & LABEL_NONE;
    enter_nexthop(dp, p, member(dp, nh, (uint32_t)slot));
}
