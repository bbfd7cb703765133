/* Messages of the agent that write the flow table (facts shared-memory.md 10,
 * datapath-behaviour.md 6). */
#include "flow_set.h"

#include <errno.h>

#include "dp.h"
#include "hold.h"
#include "mirror.h"

enum { EXT_FORCE_EVICT = 1, EXT_MOCK_PORT = 2, MOCK_PORT = 0x12b5, ANSWER_DELETED = 1 };

uint32_t flow_put_key(uint8_t *key, int32_t family, uint8_t proto, uint16_t sport, uint16_t dport,
                      uint32_t nh, const uint64_t words[4])
{
    uint32_t sip = (uint32_t)words[1], dip = (uint32_t)words[3];
    memset(key, 0, FLOW_KEY6);
    key[0] = (uint8_t)family;
    key[1] = proto;
    memcpy(key + 4, &sport, 2);
    memcpy(key + 6, &dport, 2);
    memcpy(key + 8, &nh, 4);
    if (family == AF_V6) {
        memcpy(key + 12, words, 32);
        return FLOW_KEY6;
    }
    memcpy(key + 12, &sip, 4);
    memcpy(key + 16, &dip, 4);
    return family == AF_V4 ? FLOW_KEY4 : 0;
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

/* An entry that a request may name as its reverse. */
static bool is_reverse(struct datapath *dp, int32_t index)
{
    const uint8_t *entry = flow_active(dp, index);
    return entry && !(shm_load16(entry + FE_FLAGS) & (FL_DELETE_MARKED | FL_EVICTED));
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
        *reverse = is_reverse(dp, request->rindex) ? request->rindex : -1;
    else
        *reverse = flow_find(dp, request->rkey, request->key_len);
    return *reverse < 0 ? -EINVAL : 0;
}

static void write_values(struct datapath *dp, uint8_t *entry, const struct flow_request *request,
                         int64_t reverse)
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
    mirror_meta_set(dp, entry, mirrored ? request->meta : NULL, mirrored ? request->meta_len : 0);
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
    store16(entry + FE_FLAGS, (uint16_t)((request->flags & ~(FL_OWN | FL_DELETE_MARKED)) | own));
}

static void add(struct datapath *dp, const struct flow_request *request, int64_t reverse,
                struct flow_answer *answer)
{
    struct flow_predecessor before;
    int64_t index = flow_take(dp, request->key, request->key_len, &before);
    if (index < 0) {
        answer->code = -ENOSPC;
        return;
    }
    uint8_t *entry = hash_entry(&dp->flows, (uint32_t)index);
    write_values(dp, entry, request, reverse);
    hash_publish(&dp->flows, (uint32_t)index, request->key, request->key_len);
    dp->flow_stats.added++;
    if (request->action == ACTION_HOLD)
        flow_enter_hold(dp);
    *answer = (struct flow_answer){
        .index = (int32_t)index, .gen_id = entry[FE_GEN],
        .bytes = before.bytes, .packets = before.packets, .oflow = before.oflow,
    };
}

static void change(struct datapath *dp, uint8_t *entry, const struct flow_request *request,
                   int64_t reverse, struct flow_answer *answer)
{
    bool held = shm_load16(entry + FE_ACTION) == ACTION_HOLD;
    bool holds = request->action == ACTION_HOLD;
    write_values(dp, entry, request, reverse);
    dp->flow_stats.changed++;
    answer->gen_id = entry[FE_GEN];
    if (held && !holds) {
        flow_leave_hold(dp);
        hold_release(dp, (uint32_t)answer->index);
    } else if (holds && !held) {
        flow_enter_hold(dp);
    }
}

/* Take a closed TCP flow out of the lookup; its counters stay readable. */
static int force_evict(struct datapath *dp, uint8_t *entry, uint32_t index)
{
    bool dead = shm_load16(entry + FE_TCP) & FTCP_DEAD;
    if (entry[FE_KEY + 1] != PROTO_TCP || !dead)
        return -EINVAL;
    if (shm_load16(entry + FE_ACTION) == ACTION_HOLD) {
        flow_leave_hold(dp);
        hold_drop(dp, index, DROP_FLOW_EVICT);
    }
    flow_evict_now(dp, entry, index);
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
        flow_remove(dp, (uint32_t)answer->index, DROP_FLOW_UNUSABLE);
    }
}

static void set_by_key(struct datapath *dp, const struct flow_request *request,
                       struct flow_answer *answer)
{
    int64_t reverse, known = flow_find(dp, request->key, request->key_len);
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

void flow_set(struct datapath *dp, const struct flow_request *request, struct flow_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    answer->index = request->index;
    uint8_t *entry = flow_active(dp, request->index);
    if (!request->key_len)
        answer->code = -EINVAL;
    else if (entry)
        set_known(dp, entry, request, answer);
    else if (request->index >= 0)
        answer->code = -ENOENT;
    else if (request->extflags & EXT_FORCE_EVICT)
        answer->code = -EINVAL;
    else
        set_by_key(dp, request, answer);
}
