/* What a flow's entry says is done to a packet (facts datapath-behaviour.md 6). */
#include "flow_path.h"
#include "mirror.h"

uint8_t *flow_partner(const struct datapath *dp, const uint8_t *entry)
{
    uint32_t index = shm_load32(entry + FE_RFLOW);
    if (!(shm_load16(entry + FE_FLAGS) & FL_RFLOW) || index >= dp->flows.total)
        return NULL;
    uint8_t *partner = hash_entry(&dp->flows, index);
    bool live = (shm_load16(partner + FE_FLAGS) & (FL_ACTIVE | FL_DELETE_MARKED | FL_EVICTED))
             == FL_ACTIVE;
    return live && partner[FE_KEY_LEN] == entry[FE_KEY_LEN] ? partner : NULL;
}

static void set_ttl(struct packet *p, uint8_t ttl)
{
    uint8_t *ip = p->buf + p->l3;
    if (!ttl || p->l3_type != TYPE_IP4)
        return;
    uint16_t old = get16(ip + 8);
    ip[8] = ttl;
    put16(ip + 10, checksum_change(get16(ip + 10), old, get16(ip + 8)));
}

static void set_vrf(struct packet *p, const uint8_t *entry)
{
    if (!(shm_load16(entry + FE_FLAGS) & FL_VRFT))
        return;
    p->vrf = shm_load16(entry + FE_DVRF);
    p->is_rerouted = 1;
}

/* A drop reason, or -1 when the packet goes on. */
static int apply_action(struct datapath *dp, struct packet *p, uint8_t *entry)
{
    switch (shm_load16(entry + FE_ACTION)) {
    case ACTION_DROP:
        return DROP_FLOW_ACTION_DROP;
    case ACTION_FORWARD:
        return -1;
    case ACTION_NAT:
        return flow_translate(dp, p, entry);
    default:
        return DROP_FLOW_ACTION_INVALID;
    }
}

bool flow_act(struct datapath *dp, struct packet *p, uint32_t index)
{
    uint8_t *entry = hash_entry(&dp->flows, index);
    uint16_t flags = shm_load16(entry + FE_FLAGS);
    int reason = -1;
    if (!(flags & FL_ACTIVE))
        reason = DROP_FLOW_UNUSABLE;
    else if (flags & (FL_EVICT_CANDIDATE | FL_EVICTED | FL_DELETE_MARKED))
        reason = DROP_FLOW_EVICT;
    else
        reason = flow_check_source(dp, p, entry);
    if (reason < 0 && (flags & FL_MIRROR))
        mirror_flow(dp, p, entry);
    if (reason < 0)
        reason = apply_action(dp, p, entry);
    if (reason >= 0) {
        dp_drop(dp, p, reason);
        return false;
    }
    p->flow = index + 1;
    set_ttl(p, entry[FE_TTL]);
    set_vrf(p, entry);
    flow_track_tcp(dp, p, index);
    return true;
}
