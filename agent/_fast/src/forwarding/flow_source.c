/* Where packets of a flow come from, and which member of an ECMP choice they go to
 * (facts datapath-behaviour.md 3 and 6). */
#include "flow_path.h"

enum { MEMBER_MAX = 127 };

static struct nexthop *part_of(struct datapath *dp, const struct nexthop *whole, uint32_t i)
{
    int32_t id = whole->components[i].nh;
    struct nexthop *nh = id >= 0 ? dp_nexthop(dp, (uint32_t)id) : NULL;
    return nh && (nh->flags & NHF_VALID) ? nh : NULL;
}

/* Could the packet have come out of this nexthop? Kinds that lead nowhere let all pass. */
static bool comes_from(const struct packet *p, const struct nexthop *nh)
{
    switch (nh->type) {
    case NH_ENCAP:
        return nh->oif == (int32_t)p->in->idx && !p->outer_src;
    case NH_TUNNEL:
        return p->outer_src && p->outer_src == nh->tun_dip;
    default:
        return true;
    }
}

/* A sender behind several ways: answers keep to the one that it uses now. */
static int check_members(struct datapath *dp, const struct packet *p, uint8_t *entry,
                         const struct nexthop *whole)
{
    uint8_t *partner = flow_partner(dp, entry);
    int8_t kept = partner ? (int8_t)partner[FE_ECMP] : -1;
    if (kept >= 0 && (uint32_t)kept < whole->count) {
        const struct nexthop *nh = part_of(dp, whole, (uint32_t)kept);
        if (nh && comes_from(p, nh))
            return -1;
    }
    for (uint32_t i = 0; i < whole->count; i++) {
        const struct nexthop *nh = part_of(dp, whole, i);
        if (!nh || !comes_from(p, nh))
            continue;
        if (partner && i <= MEMBER_MAX)
            partner[FE_ECMP] = (uint8_t)i;
        return -1;
    }
    return DROP_INVALID_SOURCE;
}

int flow_check_source(struct datapath *dp, const struct packet *p, uint8_t *entry)
{
    uint32_t id = shm_load32(entry + FE_SRC_NH);
    if (id == 0)
        return -1;
    const struct nexthop *nh = dp_nexthop(dp, id);
    if (!nh || !(nh->flags & NHF_VALID))
        return DROP_INVALID_SOURCE;
    if (nh->type == NH_COMPOSITE && (nh->flags & (NHF_ECMP | NHF_LU_ECMP)))
        return check_members(dp, p, entry, nh);
    return comes_from(p, nh) ? -1 : DROP_INVALID_SOURCE;
}

void flow_note_source(const struct packet *p, uint8_t *entry)
{
    uint32_t source = p->outer_src ? p->outer_src : p->in->idx;
    if (shm_load32(entry + FE_SRC_INFO) != source)
        store32(entry + FE_SRC_INFO, source);
}

/* The member that the other direction's packets come from, so that both take one way. */
static int partners_member(struct datapath *dp, const uint8_t *entry, const struct nexthop *whole)
{
    const uint8_t *partner = flow_partner(dp, entry);
    if (!partner || (shm_load32(partner + FE_PACKETS) == 0 && partner[FE_PACKETS_OFLOW] == 0))
        return -1;
    uint32_t source = shm_load32(partner + FE_SRC_INFO);
    for (uint32_t i = 0; i < whole->count && i <= MEMBER_MAX; i++) {
        const struct nexthop *nh = part_of(dp, whole, i);
        if (nh && ((nh->type == NH_TUNNEL && nh->tun_dip == source)
                   || (nh->type == NH_ENCAP && nh->oif == (int32_t)source)))
            return (int)i;
    }
    return -1;
}

int flow_member(struct datapath *dp, const struct packet *p, const struct nexthop *nh)
{
    uint8_t *entry = flow_of(dp, p);
    if (!entry)
        return -1;
    int kept = (int8_t)entry[FE_ECMP];
    if (kept >= 0)
        return (uint32_t)kept < nh->count && part_of(dp, nh, (uint32_t)kept) ? kept : -1;
    kept = partners_member(dp, entry, nh);
    if (kept >= 0)
        entry[FE_ECMP] = (uint8_t)kept;
    return kept;
}

void flow_keep_member(struct datapath *dp, const struct packet *p, uint32_t slot)
{
    uint8_t *entry = flow_of(dp, p);
    if (entry)
        entry[FE_ECMP] = slot <= MEMBER_MAX ? (uint8_t)slot : 0xff;
}
