/* Which member of an ECMP nexthop a flow takes. */
#include "work.h"

enum { HASH_PROTO = 1, HASH_SRC = 2, HASH_SPORT = 4, HASH_DST = 8, HASH_DPORT = 0x10 };

static uint32_t mix(uint32_t hash, uint32_t word)
{
    hash = (hash ^ word) * 0x9e3779b1u;
    return hash ^ hash >> 15;
}

static uint32_t mix_address(const struct work *k, uint32_t hash, const uint8_t *address)
{
    for (size_t i = 0; i < address_size(k); i += 4) {
        uint32_t word;
        memcpy(&word, address + i, 4);
        hash = mix(hash, word);
    }
    return hash;
}

uint32_t flow_hash(const struct work *k, uint8_t fields)
{
    uint32_t hash = 0x2545f491u;
    if (!(fields & (HASH_PROTO | HASH_SRC | HASH_SPORT | HASH_DST | HASH_DPORT)))
        fields = 0xff; /* nothing chosen: all of them */
    if (fields & HASH_PROTO)
        hash = mix(hash, k->packet->proto);
    if (fields & HASH_SRC)
        hash = mix_address(k, hash, k->is.src);
    if (fields & HASH_SPORT)
        hash = mix(hash, k->is.sport);
    if (fields & HASH_DST)
        hash = mix_address(k, hash, k->is.dst);
    if (fields & HASH_DPORT)
        hash = mix(hash, k->is.dport);
    return mix(hash, hash >> 16);
}

static bool usable(const struct work *k, const struct nexthop *nh, uint32_t at, bool local_only)
{
    int32_t number = nh->members[at].nexthop;
    const struct nexthop *part = number >= 0 ? hop_at(k, (uint32_t)number) : NULL;
    return part && (part->flags & NHF_VALID) && (!local_only || part->type == NEXTHOP_ENCAP);
}

/* The place of the nth usable member, or -1. */
static int nth(const struct work *k, const struct nexthop *nh, bool local_only, uint32_t n)
{
    for (uint32_t i = 0; i < nh->member_count; i++)
        if (usable(k, nh, i, local_only) && n-- == 0)
            return (int)i;
    return -1;
}

static uint32_t count_usable(const struct work *k, const struct nexthop *nh, bool local_only)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < nh->member_count; i++)
        count += usable(k, nh, i, local_only);
    return count;
}

/* The datapath names members in 8 bits, of which the highest stands for none. */
enum { MOST_NAMED = 127 };

int choose_member(const struct work *k, const struct nexthop *nh, bool local_only, int wanted)
{
    uint32_t count = nh->member_count;
    if (wanted >= 0 && (uint32_t)wanted < count && usable(k, nh, (uint32_t)wanted, local_only))
        return wanted;
    if (!count)
        return -1;
    uint32_t hash = flow_hash(k, nh->hash_fields);
    int member = (int)(hash % (count <= MOST_NAMED ? count : MOST_NAMED));
    if (!usable(k, nh, (uint32_t)member, local_only)) {
        uint32_t left = count_usable(k, nh, local_only);
        member = left ? nth(k, nh, local_only, hash % left) : -1;
    }
    return member < MOST_NAMED ? member : -1;
}

/* Does this member lead back to where the packet came from? */
static bool is_source(const struct work *k, const struct nexthop *part)
{
    if (k->ingress)
        return part->type == NEXTHOP_ENCAP && part->vif == (int32_t)k->packet->vif;
    return part->type == NEXTHOP_TUNNEL
        && part->tunnel_destination == k->packet->tunnel_source;
}

int member_of_source(const struct work *k)
{
    const struct route *route = route_at(k, k->src.route);
    const struct nexthop *nh = route ? hop_at(k, route->nexthop) : NULL;
    if (!nh || !is_ecmp(nh))
        return -1;
    for (uint32_t i = 0; i < nh->member_count && i < MOST_NAMED; i++)
        if (usable(k, nh, i, false)
            && is_source(k, hop_at(k, (uint32_t)nh->members[i].nexthop)))
            return (int)i;
    return -1;
}

/* ---- which nexthop answers come in by when several local ports share the source ---- */

static bool is_local(const struct work *k, const struct nexthop *nh, uint32_t at)
{
    return usable(k, nh, at, true);
}

/* Are the members of `group` just the local ones of `all`? */
static bool holds_locals(const struct work *k, const struct nexthop *group,
                         const struct nexthop *all, uint32_t locals)
{
    if (!is_ecmp(group) || count_usable(k, group, false) != locals)
        return false;
    for (uint32_t i = 0; i < all->member_count; i++) {
        bool there = !is_local(k, all, i);
        for (uint32_t j = 0; j < group->member_count && !there; j++)
            there = group->members[j].nexthop == all->members[i].nexthop;
        if (!there)
            return false;
    }
    return true;
}

uint32_t local_group(const struct work *k, uint32_t number)
{
    const struct route *route = route_at(k, number);
    const struct nexthop *nh = route ? hop_at(k, route->nexthop) : NULL;
    if (!nh || !is_ecmp(nh))
        return k->packet->key_nexthop;
    uint32_t locals = count_usable(k, nh, true);
    if (locals < 2)
        return k->packet->key_nexthop;
    if (locals == count_usable(k, nh, false))
        return route->nexthop;
    for (uint32_t i = 0; i < k->world->composite_count; i++) {
        uint32_t group = k->world->composites[i];
        if (holds_locals(k, &k->world->nexthops[group], nh, locals))
            return group;
    }
    return k->packet->key_nexthop;
}
