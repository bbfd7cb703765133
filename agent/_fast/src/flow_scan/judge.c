/* Suspects that are still so after the delay. */
#include "scan.h"

enum { COPY_ATTEMPTS = 4 };

/* What must stand still while an entry is copied: header flags, key, generation; flags and
 * action; the high parts of the counters. */
static const struct { uint8_t from, to; } GUARDS[] = {
    {SHM_HENTRY_FLAGS, 21}, {FLOW_AT_KEY, FLOW_AT_TCP},
    {FLOW_AT_REVERSE, FLOW_AT_ACTION + 2}, {FLOW_AT_BYTES_HIGH, FLOW_AT_PACKETS_HIGH + 1},
};

static bool stands_still(const unsigned char *entry, const unsigned char *copy)
{
    for (size_t i = 0; i < sizeof GUARDS / sizeof *GUARDS; i++)
        if (memcmp(entry + GUARDS[i].from, copy + GUARDS[i].from, GUARDS[i].to - GUARDS[i].from))
            return false;
    return true;
}

bool scan_copy(const unsigned char *entry, unsigned char copy[FLOW_ENTRY])
{
    for (int attempt = 0; attempt < COPY_ATTEMPTS; attempt++) {
        memcpy(copy, entry, FLOW_ENTRY);
        shm_reads_done();
        if (stands_still(entry, copy))
            return true;
    }
    return false;
}

/* A sound copy of an entry that is in use, for pairs_unknown. */
static bool find(struct scanner *s, uint32_t index, struct flow_found *found)
{
    unsigned char copy[FLOW_ENTRY];
    if (!scan_copy(s->table + (size_t)index * FLOW_ENTRY, copy)) {
        s->counters.torn++;
        return false;
    }
    if (!(shm_load16(copy + FLOW_AT_FLAGS) & FLOW_ACTIVE))
        return false;
    if (!flow_sound(copy, index, s->total)) {
        s->counters.corrupt++;
        return false;
    }
    memset(found, 0, sizeof *found);
    memcpy(found->key, copy + FLOW_AT_KEY, flow_entry_key_length(copy));
    found->index = index;
    found->reverse = shm_load32(copy + FLOW_AT_REVERSE);
    found->src_nexthop = shm_load32(copy + FLOW_AT_SRC_NEXTHOP);
    found->src_info = shm_load32(copy + FLOW_AT_SRC_INFO);
    found->bytes = flow_bytes(copy);
    found->packets = flow_packets(copy);
    found->flags = shm_load16(copy + FLOW_AT_FLAGS);
    found->vrf = shm_load16(copy + FLOW_AT_VRF);
    found->dvrf = shm_load16(copy + FLOW_AT_DVRF);
    found->tcp_flags = shm_load16(copy + FLOW_AT_TCP);
    found->gen_id = copy[FLOW_AT_GEN];
    found->action = (uint8_t)shm_load16(copy + FLOW_AT_ACTION);
    return true;
}

/* The entry that `found` names as its reverse, when that one is nobody's too and names it back. */
static bool find_partner(struct scanner *s, const struct flow_found *found,
                         struct flow_found *partner)
{
    if (found->reverse == FLOW_NONE || found->reverse == found->index
        || pairs_owner(s->pairs, found->reverse) != FLOW_NONE)
        return false;
    return find(s, found->reverse, partner) && partner->reverse == found->index
        && !(partner->flags & (FLOW_EVICTED | FLOW_DELETE_MARKED));
}

static void judge_unowned(struct scanner *s, struct suspect one, uint32_t now)
{
    struct flow_found found, partner;
    if (!find(s, one.index, &found) || found.gen_id != one.gen_id
        || (found.flags & (FLOW_EVICTED | FLOW_DELETE_MARKED | FLOW_MODIFIED))) {
        s->counters.cleared++;
        return;
    }
    bool paired = find_partner(s, &found, &partner);
    if (!pairs_unknown(s->pairs, &found, paired ? &partner : NULL, now)) {
        s->counters.refused++;
        return;
    }
    s->counters.unknown++;
    s->counters.held += found.action == FLOW_HOLD;
}

/* Is the entry that of the pair's side, in use and not on its way out? */
static bool holds(const struct scanner *s, const struct flow_pair *pair, int side, uint32_t index)
{
    const unsigned char *entry = s->table + (size_t)index * FLOW_ENTRY;
    uint16_t flags = shm_load16(entry + FLOW_AT_FLAGS);
    return (flags & FLOW_ACTIVE) && !(flags & FLOW_DELETE_MARKED)
        && scan_is_of(pair, side, entry);
}

static void judge_owned(struct scanner *s, struct suspect one, uint32_t owner, uint32_t now)
{
    const struct flow_pair *pair = pairs_at(s->pairs, owner >> 1);
    if (pair->state != PAIR_INSTALLED || holds(s, pair, owner & 1, one.index)) {
        s->counters.cleared++;
        return;
    }
    s->counters.missing++;
    pairs_missing(s->pairs, owner >> 1, owner & 1, now);
}

int64_t scan_judge(struct scanner *s, int64_t budget, uint32_t now)
{
    while (budget > 0 && suspects_due(&s->suspects, now, s->delay)) {
        struct suspect one = suspects_take(&s->suspects);
        uint32_t owner = pairs_owner(s->pairs, one.index);
        if (owner == FLOW_NONE)
            judge_unowned(s, one, now);
        else
            judge_owned(s, one, owner, now);
        budget -= SCAN_COST_JUDGE;
    }
    return budget;
}
