/* The shared flow table: entries that packets make, their end, and who waits for it. */
#include "table_flow.h"

#include "dp.h"
#include "hold.h"
#include "mirror.h"

enum { GRACE_MS = 20, TYPE_INET = 2, TYPE_INET6 = 3 };

static const uint64_t NS_PER_MS = 1000000;

static int matches(const unsigned char *entry, const unsigned char *key, size_t length)
{
    uint16_t flags = shm_load16(entry + FE_FLAGS);
    return (flags & FL_ACTIVE) && !(flags & FL_DELETE_MARKED) && entry[FE_KEY_LEN] == length
        && memcmp(entry + FE_KEY, key, length) == 0;
}

int64_t flow_find(struct datapath *dp, const uint8_t *key, uint32_t length)
{
    return shm_find(dp->flows.base, dp->flows.entry_size, dp->flows.main, dp->flows.total, key,
                    length, matches);
}

uint8_t *flow_active(struct datapath *dp, int32_t index)
{
    if (index < 0 || (uint32_t)index >= dp->flows.total)
        return NULL;
    uint8_t *entry = hash_entry(&dp->flows, (uint32_t)index);
    return shm_load16(entry + FE_FLAGS) & FL_ACTIVE ? entry : NULL;
}

/* --- hold entries: how many wait for the agent, and how many more may --- */

void flow_enter_hold(struct datapath *dp)
{
    dp->flow_stats.created++;
    dp->hold.entries++;
}

void flow_leave_hold(struct datapath *dp)
{
    dp->flow_stats.processed++;
    if (dp->hold.entries)
        dp->hold.entries--;
}

/* Tokens that bursts may use beyond the limit come back with time. */
static void refill_tokens(struct datapath *dp)
{
    struct flow_holds *hold = &dp->hold;
    uint64_t period = hold->burst_interval * NS_PER_MS;
    if (!period || dp->now < hold->refilled + period)
        return;
    uint64_t periods = (dp->now - hold->refilled) / period;
    uint64_t missing = hold->burst_limit - hold->burst_left;
    hold->refilled += periods * period;
    if (!hold->burst_step || missing / hold->burst_step < periods)
        hold->burst_left = hold->burst_step ? hold->burst_limit : hold->burst_left;
    else
        hold->burst_left += (uint32_t)(periods * hold->burst_step);
}

static bool may_hold(struct datapath *dp)
{
    if (dp->hold.entries < dp->hold.limit)
        return true;
    refill_tokens(dp);
    if (!dp->hold.burst_left)
        return false;
    dp->hold.burst_left--;
    return true;
}

void flow_set_hold_limits(struct datapath *dp, uint32_t limit, uint32_t tokens,
                          uint32_t interval_ms, uint32_t step)
{
    dp->hold.limit = limit;
    dp->hold.burst_limit = dp->hold.burst_left = tokens;
    dp->hold.burst_interval = interval_ms;
    dp->hold.burst_step = step;
    dp->hold.refilled = dp->now;
}

/* --- slots --- */

static void clear_counters(uint8_t *entry)
{
    store32(entry + FE_BYTES, 0);
    store32(entry + FE_PACKETS, 0);
    store16(entry + FE_BYTES_OFLOW, 0);
    entry[FE_PACKETS_OFLOW] = 0;
}

static void take_counters(uint8_t *entry, struct flow_predecessor *before)
{
    before->bytes = shm_load32(entry + FE_BYTES);
    before->packets = shm_load32(entry + FE_PACKETS);
    before->oflow = shm_load16(entry + FE_BYTES_OFLOW)
                  | (uint32_t)entry[FE_PACKETS_OFLOW] << 16;
    clear_counters(entry);
}

int64_t flow_take(struct datapath *dp, const uint8_t *key, uint32_t length,
                  struct flow_predecessor *before)
{
    int64_t index = hash_take(&dp->flows, key, length);
    while (index < 0 && flow_reclaim_oldest(dp))
        index = hash_take(&dp->flows, key, length);
    if (index < 0)
        return -1;
    uint8_t *entry = hash_entry(&dp->flows, (uint32_t)index);
    take_counters(entry, before);
    store16(entry + FE_FLAGS, 0);
    publish_barrier();
    memset(entry + FE_KEY, 0, FLOW_KEY6);
    memcpy(entry + FE_KEY, key, length);
    entry[FE_KEY_LEN] = (uint8_t)length;
    entry[FE_GEN]++;
    entry[FE_TYPE] = length == FLOW_KEY4 ? TYPE_INET : TYPE_INET6;
    entry[FE_TTL] = entry[FE_DROP_REASON] = 0;
    entry[FE_ECMP] = entry[FE_UNDERLAY_ECMP] = 0xff;
    entry[FE_MIRROR] = entry[FE_SEC_MIRROR] = MIRROR_NONE;
    store16(entry + FE_QOS, 0xffff);
    store16(entry + FE_TCP, 0);
    store16(entry + FE_FLAGS1, 0);
    store16(entry + FE_DVRF, 0);
    store16(entry + FE_UDP_PORT, 0);
    store32(entry + FE_RFLOW, UINT32_MAX);
    store32(entry + FE_SRC_NH, 0);
    store32(entry + FE_SRC_INFO, 0);
    store32(entry + FE_TCP_SEQ, 0);
    store32(entry + FE_TCP_ACK, 0);
    return index;
}

int64_t flow_hold(struct datapath *dp, const uint8_t *key, uint32_t length, uint16_t vrf,
                  struct flow_predecessor *before)
{
    if (!may_hold(dp))
        return -DROP_FLOW_UNUSABLE;
    int64_t index = flow_take(dp, key, length, before);
    if (index < 0)
        return -DROP_FLOW_TABLE_FULL;
    uint8_t *entry = hash_entry(&dp->flows, (uint32_t)index);
    store16(entry + FE_VRF, vrf);
    store16(entry + FE_ACTION, ACTION_HOLD);
    publish_barrier();
    store16(entry + FE_FLAGS, FL_ACTIVE | FL_NEW);
    hash_publish(&dp->flows, (uint32_t)index, key, length);
    flow_enter_hold(dp);
    return index;
}

/* --- the end of entries: marked at once, freed after a grace period for readers --- */

static bool is_partner(const struct datapath *dp, const uint8_t *entry, uint32_t index)
{
    uint32_t reverse = shm_load32(entry + FE_RFLOW);
    return reverse < dp->flows.total && reverse != index
        && shm_load32(hash_entry(&dp->flows, reverse) + FE_RFLOW) == index;
}

/* Out of the lookup, out of chains; the partner no longer names a slot that others may get. */
static void leave_table(struct datapath *dp, uint8_t *entry, uint32_t index)
{
    if (is_partner(dp, entry, index))
        store32(hash_entry(&dp->flows, shm_load32(entry + FE_RFLOW)) + FE_RFLOW, UINT32_MAX);
    mirror_meta_drop(dp, entry);
    entry[FE_KEY_LEN] = 0;
    store32(entry + FE_RFLOW, UINT32_MAX);
    store16(entry + FE_TCP, 0);
    hash_remove(&dp->flows, index);
}

static void finish(struct datapath *dp, uint32_t index)
{
    uint8_t *entry = hash_entry(&dp->flows, index);
    uint16_t flags = shm_load16(entry + FE_FLAGS);
    if (!(flags & FL_ACTIVE) || (flags & FL_EVICTED))
        return;
    if (flags & FL_DELETE_MARKED) {
        store16(entry + FE_FLAGS, 0);
        publish_barrier();
        clear_counters(entry);
        leave_table(dp, entry, index);
    } else if (flags & FL_EVICT_CANDIDATE) {
        flow_evict_now(dp, entry, index);
    }
}

void flow_evict_now(struct datapath *dp, uint8_t *entry, uint32_t index)
{
    store16(entry + FE_ACTION, ACTION_DROP);
    store16(entry + FE_FLAGS, FL_ACTIVE | FL_EVICTED);
    leave_table(dp, entry, index);
}

bool flow_reclaim_oldest(struct datapath *dp)
{
    struct flow_graves *graves = &dp->graves;
    if (!graves->count)
        return false;
    uint32_t index = graves->ring[graves->first].index;
    graves->first = (graves->first + 1) % FLOW_GRAVES;
    graves->count--;
    finish(dp, index);
    return true;
}

void flow_reclaim(struct datapath *dp)
{
    struct flow_graves *graves = &dp->graves;
    while (graves->count && graves->ring[graves->first].until <= dp->now)
        flow_reclaim_oldest(dp);
}

static void bury(struct datapath *dp, uint32_t index)
{
    struct flow_graves *graves = &dp->graves;
    if (graves->count == FLOW_GRAVES)
        flow_reclaim_oldest(dp);
    uint32_t at = (graves->first + graves->count) % FLOW_GRAVES;
    graves->ring[at] = (struct flow_grave){dp->now + GRACE_MS * NS_PER_MS, index};
    graves->count++;
}

void flow_remove(struct datapath *dp, uint32_t index, int reason)
{
    uint8_t *entry = hash_entry(&dp->flows, index);
    uint16_t flags = shm_load16(entry + FE_FLAGS);
    if (!(flags & FL_ACTIVE) || (flags & (FL_DELETE_MARKED | FL_EVICTED)))
        return;
    if (shm_load16(entry + FE_ACTION) == ACTION_HOLD)
        flow_leave_hold(dp);
    store16(entry + FE_FLAGS, (uint16_t)((flags & ~FL_NEW) | FL_DELETE_MARKED));
    store16(entry + FE_ACTION, ACTION_DROP);
    dp->flow_stats.deleted++;
    bury(dp, index);
    hold_drop(dp, index, reason);
}

void flow_close(struct datapath *dp, uint32_t index)
{
    uint8_t *entry = hash_entry(&dp->flows, index);
    if (!is_partner(dp, entry, index))
        return;
    uint32_t other = shm_load32(entry + FE_RFLOW);
    uint8_t *reverse = hash_entry(&dp->flows, other);
    uint16_t flags = shm_load16(entry + FE_FLAGS), rflags = shm_load16(reverse + FE_FLAGS);
    uint16_t busy = FL_DELETE_MARKED | FL_MODIFIED | FL_EVICT_CANDIDATE | FL_EVICTED;
    bool dead = shm_load16(entry + FE_TCP) & shm_load16(reverse + FE_TCP) & FTCP_DEAD;
    if (!dead || ((flags | rflags) & busy) || !(flags & rflags & FL_ACTIVE)
        || shm_load16(reverse + FE_ACTION) == ACTION_HOLD
        || shm_load16(entry + FE_ACTION) == ACTION_HOLD)
        return;
    store16(entry + FE_FLAGS, flags | FL_EVICT_CANDIDATE);
    store16(reverse + FE_FLAGS, rflags | FL_EVICT_CANDIDATE);
    bury(dp, index);
    bury(dp, other);
}

void flow_reset(struct datapath *dp)
{
    for (uint32_t index = 0; index < dp->flows.total; index++) {
        uint8_t *entry = hash_entry(&dp->flows, index);
        uint8_t generation = entry[FE_GEN];
        uint16_t flags = shm_load16(entry + FE_FLAGS);
        bool used = (flags & FL_ACTIVE) || (entry[SHM_HENTRY_FLAGS] & SHM_HENTRY_VALID)
                 || shm_load32(entry + SHM_NEXT_INDEX) != SHM_NONE;
        if (!used)
            continue;
        if ((flags & FL_ACTIVE) && shm_load16(entry + FE_ACTION) == ACTION_HOLD)
            hold_drop(dp, index, DROP_FLOW_UNUSABLE);
        hash_wipe(&dp->flows, index);
        entry[FE_GEN] = generation;
    }
    hash_forget(&dp->flows);
    dp->graves.first = dp->graves.count = 0;
    dp->hold.entries = 0;
}
