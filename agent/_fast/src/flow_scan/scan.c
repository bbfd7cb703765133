#include "scan.h"

/* Entries ahead of the one looked at: their lines are fetched, then their owners' pairs. */
enum { AHEAD_ENTRY = 24, AHEAD_OWNER = 10, COMPARED_EVERY = 8, READ_ATTEMPTS = 8 };

static const unsigned char *entry_at(const struct scanner *s, uint32_t index)
{
    return s->table + (size_t)index * FLOW_ENTRY;
}

static void suspect(struct scanner *s, uint32_t index, const unsigned char *entry, uint32_t now)
{
    struct suspect one = {index, now, shm_load8(entry + FLOW_AT_GEN)};
    if (!suspects_add(&s->suspects, one))
        s->counters.postponed++;
}

struct reading {
    uint64_t bytes, packets;
    uint16_t tcp;
};

/* The counters that belong to generation `gen_id` in state `flags`; false when the entry
 * changed hands meanwhile. */
static bool read_counters(const unsigned char *entry, uint8_t gen_id, uint16_t flags,
                          struct reading *reading)
{
    reading->bytes = flow_bytes(entry);
    reading->packets = flow_packets(entry);
    reading->tcp = shm_load16(entry + FLOW_AT_TCP);
    shm_reads_done();
    uint16_t lasting = FLOW_ACTIVE | FLOW_EVICTED | FLOW_DELETE_MARKED;
    return shm_load8(entry + FLOW_AT_GEN) == gen_id
        && !((shm_load16(entry + FLOW_AT_FLAGS) ^ flags) & lasting);
}

/* Has a counter become smaller, by less than its low word? Then that word has wrapped and its
 * high part is about to be stored. */
static bool half_carried(uint64_t total, uint64_t read, int bits)
{
    uint64_t before = total & ((1ull << bits) - 1);
    return read < before && before - read <= UINT32_MAX;
}

/* Read until no counter is half carried over; false when it stays so or is not this flow's. */
static bool read_steady(struct scanner *s, const unsigned char *entry, const struct pair_side *at,
                        uint16_t flags, struct reading *reading)
{
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        if (!read_counters(entry, at->gen_id, flags, reading))
            break;
        if (!half_carried(at->bytes, reading->bytes, 48)
            && !half_carried(at->packets, reading->packets, 40))
            return true;
    }
    s->counters.torn++;
    return false;
}

/* Fold an owned entry's counters; whether they grew. */
static bool fold(struct scanner *s, const unsigned char *entry, uint32_t owner, uint16_t flags,
                 uint32_t now)
{
    struct reading reading;
    int side = owner & 1;
    if (!read_steady(s, entry, &pairs_at(s->pairs, owner >> 1)->at[side], flags, &reading))
        return false;
    bool grown = pairs_stats(s->pairs, owner >> 1, side, reading.bytes, reading.packets,
                             reading.tcp, now);
    s->counters.grown += grown;
    return grown;
}

/* Did the other direction's entry grow since it was last looked at? */
static bool other_grown(struct scanner *s, const struct flow_pair *pair, uint32_t owner,
                        uint32_t now)
{
    const struct pair_side *other = &pair->at[!(owner & 1)];
    if (other->index >= s->total)
        return false;
    const unsigned char *entry = entry_at(s, other->index);
    uint16_t flags = shm_load16(entry + FLOW_AT_FLAGS);
    return (flags & FLOW_ACTIVE) && shm_load8(entry + FLOW_AT_GEN) == other->gen_id
        && fold(s, entry, owner ^ 1, flags, now);
}

static void age(struct scanner *s, uint32_t owner, uint32_t now)
{
    const struct flow_pair *pair = pairs_at(s->pairs, owner >> 1);
    enum pair_end why;
    if (now - pair->at[owner & 1].last_seen < s->aging.least)
        return;
    uint32_t timeout = aging_timeout(&s->aging, pair, &why);
    if (timeout == AGING_NEVER || now - pair->at[FLOW_FORWARD].last_seen < timeout
        || now - pair->at[FLOW_REVERSE].last_seen < timeout || other_grown(s, pair, owner, now))
        return;
    if (why == END_CLOSED)
        s->counters.closed++;
    else
        s->counters.aged++;
    pairs_aged(s->pairs, owner >> 1, why, now);
}

static void evicted(struct scanner *s, const unsigned char *entry, uint32_t owner, uint16_t flags,
                    uint32_t now)
{
    struct reading reading;
    const struct pair_side *at = &pairs_at(s->pairs, owner >> 1)->at[owner & 1];
    if (!read_steady(s, entry, at, flags, &reading))
        return;
    s->counters.evicted++;
    pairs_evicted(s->pairs, owner >> 1, owner & 1, reading.bytes, reading.packets, now);
}

/* Has somebody else changed what the entry does, or whose partner it is? Only when no change of
 * our own is under way. */
static bool drifted(const struct flow_pair *pair, int side, const unsigned char *entry)
{
    const struct pair_side *at = &pair->at[side], *other = &pair->at[!side];
    if (pair->asked || ((at->flags | other->flags) & SIDE_DIRTY) || other->index == FLOW_NONE
        || (pair->is.flags & PAIR_SHORT))
        return false;
    return shm_load16(entry + FLOW_AT_ACTION) != pair->is.side[side].action
        || shm_load32(entry + FLOW_AT_REVERSE) != other->index;
}

bool scan_is_of(const struct flow_pair *pair, int side, const unsigned char *entry)
{
    const uint8_t *key = pair->is.side[side].key;
    return shm_load8(entry + FLOW_AT_GEN) == pair->at[side].gen_id
        && !memcmp(entry + FLOW_AT_KEY, key, key[0] == FLOW_INET ? FLOW_KEY_INET : FLOW_KEY)
        && ((shm_load16(entry + FLOW_AT_FLAGS) & (FLOW_EVICTED | FLOW_MODIFIED))
            || !drifted(pair, side, entry));
}

/* Is the entry what this side of an installed pair says that it is? All is compared now and
 * then, the generation always. */
static bool is_its_owners(const struct scanner *s, const struct flow_pair *pair, int side,
                          uint32_t index, const unsigned char *entry)
{
    if ((index ^ s->sweep_number) % COMPARED_EVERY)
        return shm_load8(entry + FLOW_AT_GEN) == pair->at[side].gen_id;
    return scan_is_of(pair, side, entry);
}

static void look_at_installed(struct scanner *s, uint32_t index, const unsigned char *entry,
                              uint32_t owner, uint16_t flags, uint32_t now)
{
    const struct flow_pair *pair = pairs_at(s->pairs, owner >> 1);
    if (!(flags & FLOW_ACTIVE) || (flags & FLOW_DELETE_MARKED)
        || !is_its_owners(s, pair, owner & 1, index, entry))
        suspect(s, index, entry, now);
    else if (!fold(s, entry, owner, flags, now))
        age(s, owner, now);
}

/* Of a pair that is being set up or ended a request is under way that says more; but one that
 * ends cannot delete what the datapath has taken away already. */
static void look_at_owned(struct scanner *s, uint32_t index, const unsigned char *entry,
                          uint32_t owner, uint32_t now)
{
    const struct flow_pair *pair = pairs_at(s->pairs, owner >> 1);
    uint16_t flags = shm_load16(entry + FLOW_AT_FLAGS);
    bool taken = (flags & FLOW_ACTIVE) && (flags & FLOW_EVICTED)
              && shm_load8(entry + FLOW_AT_GEN) == pair->at[owner & 1].gen_id;
    if (taken && (pair->state == PAIR_INSTALLED || pair->state == PAIR_ENDING))
        evicted(s, entry, owner, flags, now);
    else if (pair->state == PAIR_INSTALLED)
        look_at_installed(s, index, entry, owner, flags, now);
}

static void look_at_unowned(struct scanner *s, uint32_t index, const unsigned char *entry,
                            uint16_t flags, uint32_t now)
{
    if (flags & (FLOW_EVICTED | FLOW_DELETE_MARKED)) {
        s->sweep.dying++;
        return; /* the datapath has taken it back already */
    }
    s->sweep.unowned++;
    if (s->audit)
        suspect(s, index, entry, now);
}

static int look_at(struct scanner *s, uint32_t index, uint32_t now)
{
    const unsigned char *entry = entry_at(s, index);
    uint16_t flags = shm_load16(entry + FLOW_AT_FLAGS);
    uint32_t owner = pairs_owner(s->pairs, index);
    if (flags & FLOW_ACTIVE) {
        s->sweep.active++;
        s->sweep.held += shm_load16(entry + FLOW_AT_ACTION) == FLOW_HOLD;
    } else if (owner == FLOW_NONE) {
        return SCAN_COST_FREE;
    }
    if (owner == FLOW_NONE) {
        look_at_unowned(s, index, entry, flags, now);
    } else {
        s->sweep.owned++;
        look_at_owned(s, index, entry, owner, now);
    }
    return SCAN_COST_LIVE;
}

static void fetch_ahead(const struct scanner *s, uint32_t index)
{
    __builtin_prefetch(entry_at(s, index + AHEAD_ENTRY) + FLOW_AT_FLAGS);
    uint32_t owner = index + AHEAD_OWNER < s->total ? pairs_owner(s->pairs, index + AHEAD_OWNER)
                                                    : FLOW_NONE;
    if (owner == FLOW_NONE)
        return;
    const struct flow_pair *pair = pairs_at(s->pairs, owner >> 1);
    __builtin_prefetch(&pair->at[owner & 1], 1);
    __builtin_prefetch(&pair->state, 1);
}

static void finish_sweep(struct scanner *s)
{
    s->cursor = 0;
    s->sweep_number++;
    s->counters.sweeps++;
    s->finished = s->sweep;
    s->sweep = (struct scan_sweep){0};
}

int64_t scan_entries(struct scanner *s, uint32_t count, int64_t budget, uint32_t now)
{
    uint32_t left = s->total - s->cursor, stop = s->cursor + (count < left ? count : left);
    uint32_t first = s->cursor;
    while (s->cursor < stop && budget > 0) {
        fetch_ahead(s, s->cursor);
        budget -= look_at(s, s->cursor, now);
        s->cursor++;
    }
    s->counters.entries += s->cursor - first;
    if (s->cursor == s->total)
        finish_sweep(s);
    return budget;
}
