/* Frames for the agent: outer Ethernet, agent header, the frame (pkt0-services.md 2, 3). */
#include "flow_path.h"
#include "hold.h"

static bool may_cut(const struct packet *p, int reason)
{
    switch (reason) {
    case TRAP_HANDLE_DF:
    case TRAP_ZERO_TTL:
        return true;
    case TRAP_NEXTHOP:
    case TRAP_RESOLVE:
    case TRAP_FLOW_MISS:
    case TRAP_FLOW_HOLD:
    case TRAP_MAC_LEARN:
    case TRAP_MAC_MOVE:
        return segmentable(p);
    default:
        return false;
    }
}

/* Headers of pkt0 in front of the frame; NULL: the packet was dropped. */
static uint8_t *push_headers(struct datapath *dp, struct packet *p, uint16_t vrf, int reason)
{
    struct vif *agent = dp->agent;
    if (!agent) {
        dp_drop(dp, p, DROP_TRAP_NO_IF);
        return NULL;
    }
    /* The innermost Ethernet frame; what came by an L3 tunnel goes up as received. */
    packet_move_to(p, p->eth ? p->eth : p->frame);
    checksum_complete(p);
    if (may_cut(p, reason) && p->len > AGENT_CUT)
        p->len = AGENT_CUT;
    memset(&p->vnet, 0, sizeof p->vnet);
    uint8_t *out = packet_push(p, PKT0_LEN);
    if (!out) {
        dp_drop(dp, p, DROP_PUSH);
        return NULL;
    }
    memset(out, 0, PKT0_LEN);
    memcpy(out, agent->mac, 6);
    memcpy(out + 6, agent->mac, 6);
    put16(out + 12, TYPE_IP4);
    put16(out + 14, (uint16_t)p->in->idx);
    put16(out + 16, vrf);
    put16(out + 18, (uint16_t)reason);
    return out;
}

void trap(struct datapath *dp, struct packet *p, uint16_t vrf, int reason, uint32_t param,
          uint32_t param1)
{
    uint8_t *out = push_headers(dp, p, vrf, reason);
    if (!out)
        return;
    put32(out + 20, param);
    put32(out + 24, param1);
    device_send(dp, dp->agent, p);
}

/* With the headers of the tunnel that brought it: the agent decides by label and sender. */
void trap_flow(struct datapath *dp, struct packet *p, int reason, const struct flow_trap *flow)
{
    if (p->outer_src)
        p->eth = 0;
    uint8_t *out = push_headers(dp, p, p->vrf, reason);
    if (!out)
        return;
    put32(out + 20, flow->index);
    put32(out + 24, flow->nexthop);
    put32(out + 28, flow->before.bytes);
    put32(out + 32, flow->before.packets);
    put32(out + 36, flow->before.oflow);
    out[40] = flow->gen_id;
    device_send(dp, dp->agent, p);
}

void trap_copy(struct datapath *dp, struct packet *p, uint16_t vrf, int reason, uint32_t param,
               uint32_t param1)
{
    if (!dp->agent)
        return;
    struct packet *copy = packet_clone(&dp->pool, p);
    if (copy)
        trap(dp, copy, vrf, reason, param, param1);
    else
        dp_count_drop(dp, p->in, DROP_CLONE_FAIL);
}

/* A trap that told of a new flow: the agent will never answer, so the flow's next packet must
 * find no entry and be trapped in its turn. The entry may be in use at this moment, so it goes
 * at the end of the turn. */
void trap_lost(struct datapath *dp, const uint8_t *data, uint32_t length)
{
    struct lost_traps *lost = &dp->lost;
    if (length < PKT0_LEN || lost->count == LOST_TRAPS)
        return;
    const uint8_t *header = data + ETH_LEN;
    uint16_t reason = get16(header + 4);
    if (reason == TRAP_FLOW_MISS || reason == TRAP_FLOW_HOLD)
        lost->trap[lost->count++] = (struct lost_trap){get32(header + 6), header[26]};
}

void trap_settle(struct datapath *dp)
{
    struct lost_traps *lost = &dp->lost;
    for (uint32_t i = 0; i < lost->count; i++) {
        uint32_t index = lost->trap[i].index;
        uint8_t *entry = index <= INT32_MAX ? flow_active(dp, (int32_t)index) : NULL;
        if (entry && entry[FE_GEN] == lost->trap[i].gen_id
            && shm_load16(entry + FE_ACTION) == ACTION_HOLD)
            flow_remove(dp, index, DROP_FLOW_UNUSABLE);
    }
    lost->count = 0;
}
