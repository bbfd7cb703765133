/* The shared flow table and the messages that write it (facts shared-memory.md 3-5,
 * datapath-behaviour.md 6). */
#include <errno.h>

#include "dp.h"

enum {
    FE_TTL = 21, FE_QOS = 22, FE_KEY = 24, FE_KEY_LEN = 68, FE_GEN = 69, FE_TCP = 70,
    FE_RFLOW = 84, FE_FLAGS = 88, FE_FLAGS1 = 90, FE_ACTION = 92, FE_VRF = 94, FE_DVRF = 96,
    FE_MIRROR = 98, FE_SEC_MIRROR = 99, FE_SRC_NH = 100, FE_BYTES = 104, FE_PACKETS = 108,
    FE_BYTES_OFLOW = 112, FE_PACKETS_OFLOW = 114, FE_ECMP = 115, FE_DROP_REASON = 116,
    FE_TYPE = 117, FE_UDP_PORT = 118, FE_SRC_INFO = 120, FE_UNDERLAY_ECMP = 136,
};

enum {
    FL_ACTIVE = 0x1, FL_DELETE_MARKED = 0x40, FL_MODIFIED = 0x100, FL_NEW = 0x200,
    FL_EVICTED = 0x800, FL_OWN = 0xf00, FL_RFLOW = 0x1000, FL_MIRROR = 0x2000, FL_VRFT = 0x4000,
};
enum { ACTION_DROP = 0, ACTION_HOLD = 1, EXT_FORCE_EVICT = 1, EXT_MOCK_PORT = 2, TCP_DEAD = 0x8000,
       MIRROR_NONE = 255, MOCK_PORT = 0x12b5, ANSWER_DELETED = 1 };

static int matches(const unsigned char *entry, const unsigned char *key, size_t length)
{
    uint16_t flags = shm_load16(entry + FE_FLAGS);
    return (flags & FL_ACTIVE) && !(flags & FL_DELETE_MARKED) && entry[FE_KEY_LEN] == length
        && memcmp(entry + FE_KEY, key, length) == 0;
}

static int64_t find(struct datapath *dp, const uint8_t *key, uint32_t length)
{
    return shm_find(dp->flows.base, dp->flows.entry_size, dp->flows.main, dp->flows.total, key,
                    length, matches);
}

/* The entry at an index a client gave, or NULL when there is none in use. */
static uint8_t *active_entry(struct datapath *dp, int32_t index)
{
    if (index < 0 || (uint32_t)index >= dp->flows.total)
        return NULL;
    uint8_t *entry = hash_entry(&dp->flows, (uint32_t)index);
    return shm_load16(entry + FE_FLAGS) & FL_ACTIVE ? entry : NULL;
}

/* May the request touch this entry at all? */
static int check_entry(const uint8_t *entry, const struct flow_request *request)
{
    uint16_t flags = shm_load16(entry + FE_FLAGS);
    if (flags & (FL_MODIFIED | FL_EVICTED | FL_NEW))
        return -EBUSY;
    if (flags & FL_DELETE_MARKED)
        return -EINVAL;
    if (entry[FE_GEN] != request->gen_id)
        return -EBADF;
    if (entry[FE_KEY_LEN] != request->key_len
        || memcmp(entry + FE_KEY, request->key, request->key_len))
        return -EFAULT;
    return 0;
}

static bool bad_mirror(uint32_t wanted)
{
    return wanted > MIRROR_NONE && wanted != UINT16_MAX && wanted != UINT32_MAX;
}

/* Values that would not fit the router; finds the reverse entry's index. */
static int check_values(struct datapath *dp, const struct flow_request *request, int64_t *reverse)
{
    *reverse = -1;
    if ((request->flags & FL_VRFT) && request->dvrf >= dp->max_vrfs)
        return -EINVAL;
    if ((request->flags & FL_MIRROR)
        && (bad_mirror(request->mirror_wanted) || bad_mirror(request->sec_mirror_wanted)))
        return -EINVAL;
    if (!(request->flags & FL_RFLOW))
        return 0;
    if (request->rindex >= 0)
        *reverse = active_entry(dp, request->rindex) ? request->rindex : -1;
    else
        *reverse = find(dp, request->rkey, request->key_len);
    return *reverse < 0 ? -EINVAL : 0;
}

static void write_values(uint8_t *entry, const struct flow_request *request, int64_t reverse)
{
    bool mirrored = request->flags & FL_MIRROR;
    entry[FE_TTL] = request->ttl;
    store16(entry + FE_QOS, (uint16_t)request->qos);
    store32(entry + FE_RFLOW, (uint32_t)(int32_t)reverse);
    store16(entry + FE_FLAGS1, request->flags1);
    store16(entry + FE_VRF, request->vrf);
    store16(entry + FE_DVRF, request->flags & FL_VRFT ? request->dvrf : 0);
    entry[FE_MIRROR] = mirrored ? request->mirror : MIRROR_NONE;
    entry[FE_SEC_MIRROR] = mirrored ? request->sec_mirror : MIRROR_NONE;
    store32(entry + FE_SRC_NH, request->src_nh);
    if ((int8_t)entry[FE_ECMP] == -1)
        entry[FE_ECMP] = (uint8_t)request->ecmp_nh;
    if ((int8_t)entry[FE_UNDERLAY_ECMP] == -1)
        entry[FE_UNDERLAY_ECMP] = (uint8_t)request->underlay_ecmp;
    if (request->action == ACTION_DROP)
        entry[FE_DROP_REASON] = request->drop_reason;
    if (request->extflags & EXT_MOCK_PORT)
        store16(entry + FE_UDP_PORT, MOCK_PORT);
    store16(entry + FE_ACTION, request->action);
    uint16_t own = shm_load16(entry + FE_FLAGS) & FL_OWN & ~FL_NEW;
    publish_barrier();
    store16(entry + FE_FLAGS, (uint16_t)((request->flags & ~FL_OWN) | own));
}

static void clear_counters(uint8_t *entry)
{
    memset(entry + FE_BYTES, 0, FE_ECMP - FE_BYTES);
}

/* Give the slot's earlier owner's last counters away. */
static void hand_over_counters(uint8_t *entry, struct flow_answer *answer)
{
    answer->bytes = shm_load32(entry + FE_BYTES);
    answer->packets = shm_load32(entry + FE_PACKETS);
    answer->oflow = shm_load16(entry + FE_BYTES_OFLOW) | (uint32_t)entry[FE_PACKETS_OFLOW] << 16;
    clear_counters(entry);
}

static void add(struct datapath *dp, const struct flow_request *request, int64_t reverse,
                struct flow_answer *answer)
{
    int64_t index = hash_take(&dp->flows, request->key, request->key_len);
    if (index < 0) {
        answer->code = -ENOSPC;
        return;
    }
    uint8_t *entry = hash_entry(&dp->flows, (uint32_t)index);
    hand_over_counters(entry, answer);
    store16(entry + FE_FLAGS, 0);
    memset(entry + FE_KEY, 0, 44);
    memcpy(entry + FE_KEY, request->key, request->key_len);
    entry[FE_KEY_LEN] = (uint8_t)request->key_len;
    entry[FE_GEN]++;
    entry[FE_TYPE] = request->key_len == 20 ? 2 : 3;
    entry[FE_ECMP] = entry[FE_UNDERLAY_ECMP] = 0xff;
    entry[FE_DROP_REASON] = 0;
    store16(entry + FE_TCP, 0);
    store16(entry + FE_UDP_PORT, 0);
    store32(entry + FE_SRC_INFO, 0);
    write_values(entry, request, reverse);
    hash_publish(&dp->flows, (uint32_t)index, request->key, request->key_len);
    dp->flow_stats.added++;
    answer->index = (int32_t)index;
    answer->gen_id = entry[FE_GEN];
}

static void change(struct datapath *dp, uint8_t *entry, const struct flow_request *request,
                   int64_t reverse, struct flow_answer *answer)
{
    bool held = shm_load16(entry + FE_ACTION) == ACTION_HOLD;
    write_values(entry, request, reverse);
    dp->flow_stats.changed++;
    if (held && request->action != ACTION_HOLD)
        dp->flow_stats.processed++;
    answer->gen_id = entry[FE_GEN];
}

static void release(struct datapath *dp, uint8_t *entry, uint32_t index)
{
    store16(entry + FE_FLAGS, 0);
    publish_barrier();
    entry[FE_KEY_LEN] = 0;
    store32(entry + FE_RFLOW, UINT32_MAX);
    clear_counters(entry);
    hash_remove(&dp->flows, index);
    dp->flow_stats.deleted++;
}

/* Take a closed TCP flow out of the lookup; its counters stay readable. */
static int force_evict(struct datapath *dp, uint8_t *entry, uint32_t index)
{
    bool dead = shm_load16(entry + FE_TCP) & TCP_DEAD;
    if (entry[FE_KEY + 1] != PROTO_TCP || !dead)
        return -EINVAL;
    store16(entry + FE_ACTION, ACTION_DROP);
    store32(entry + FE_RFLOW, UINT32_MAX);
    store16(entry + FE_TCP, 0);
    store16(entry + FE_FLAGS, FL_ACTIVE | FL_EVICTED);
    entry[FE_KEY_LEN] = 0;
    hash_remove(&dp->flows, index);
    return 0;
}

static void set_known(struct datapath *dp, uint8_t *entry, const struct flow_request *request,
                      struct flow_answer *answer)
{
    int64_t reverse;
    answer->code = check_entry(entry, request);
    if (answer->code)
        return;
    if (request->extflags & EXT_FORCE_EVICT) {
        answer->code = force_evict(dp, entry, (uint32_t)answer->index);
        answer->gen_id = entry[FE_GEN];
    } else if (request->flags & FL_ACTIVE) {
        answer->code = check_values(dp, request, &reverse);
        if (answer->code == 0)
            change(dp, entry, request, reverse, answer);
    } else {
        answer->gen_id = entry[FE_GEN];
        answer->flags = ANSWER_DELETED;
        release(dp, entry, (uint32_t)answer->index);
    }
}

void flow_set(struct datapath *dp, const struct flow_request *request, struct flow_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    answer->index = request->index;
    uint8_t *entry = active_entry(dp, request->index);
    int64_t known = -1, reverse;
    if (entry) {
        set_known(dp, entry, request, answer);
        return;
    }
    if (request->index >= 0) {
        answer->code = -ENOENT;
        return;
    }
    if (request->extflags & EXT_FORCE_EVICT) {
        answer->code = -EINVAL;
        return;
    }
    known = find(dp, request->key, request->key_len);
    if (!(request->flags & FL_ACTIVE)) {
        answer->code = known < 0 ? -ENOENT : 0;
        answer->index = (int32_t)known;
        if (known >= 0)
            set_known(dp, hash_entry(&dp->flows, (uint32_t)known), request, answer);
        return;
    }
    answer->code = check_values(dp, request, &reverse);
    if (answer->code)
        return;
    if (known >= 0) {
        answer->code = -EEXIST;
        answer->index = (int32_t)known;
        answer->gen_id = hash_entry(&dp->flows, (uint32_t)known)[FE_GEN];
        return;
    }
    add(dp, request, reverse, answer);
}

void flow_reset(struct datapath *dp)
{
    for (uint32_t index = 0; index < dp->flows.total; index++) {
        uint8_t *entry = hash_entry(&dp->flows, index);
        uint8_t generation = entry[FE_GEN];
        bool used = (shm_load16(entry + FE_FLAGS) & FL_ACTIVE)
                 || (entry[SHM_HENTRY_FLAGS] & SHM_HENTRY_VALID)
                 || shm_load32(entry + SHM_NEXT_INDEX) != SHM_NONE;
        if (!used)
            continue;
        hash_wipe(&dp->flows, index);
        entry[FE_GEN] = generation;
    }
    hash_forget(&dp->flows);
}
