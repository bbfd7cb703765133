/* Packets that wait for the agent's decision about their flow. */
#include <stdlib.h>

#include "flow_path.h"
#include "hold.h"
#include "parked.h"

enum { HOLD_MAX = 3, HELD_BYTES_MAX = 64 << 20 };

bool hold_init(struct datapath *dp)
{
    dp->held = calloc(dp->flows.total, sizeof *dp->held);
    return dp->held != NULL;
}

void hold_free(struct datapath *dp)
{
    for (uint32_t index = 0; dp->held && index < dp->flows.total; index++)
        hold_drop(dp, index, DROP_FLOW_UNUSABLE);
    free(dp->held);
    dp->held = NULL;
}

static struct parked_list *take_list(struct datapath *dp, uint32_t index)
{
    struct parked_list *list = dp->held[index];
    dp->held[index] = NULL;
    dp->held_bytes -= list ? list->bytes : 0;
    return list;
}

void hold_release(struct datapath *dp, uint32_t index)
{
    struct parked_list *list = take_list(dp, index);
    struct packet *p;
    while (list && (p = unpark(dp, list)))
        if (flow_act(dp, p, index))
            leave_flow(dp, p);
    free(list);
}

void hold_drop(struct datapath *dp, uint32_t index, int reason)
{
    struct parked_list *list = take_list(dp, index);
    if (list)
        park_drop(dp, list, reason);
    free(list);
}

/* A copy of the packet tells the agent of the entry; false: no buffer for it. */
static bool tell_agent(struct datapath *dp, struct packet *p, uint32_t index, int reason,
                       const struct flow_predecessor *before)
{
    const uint8_t *entry = hash_entry(&dp->flows, index);
    struct packet *copy = packet_clone(&dp->pool, p);
    if (copy)
        trap_flow(dp, copy, reason, &(struct flow_trap){
            .index = index, .nexthop = shm_load32(entry + FE_KEY + 8), .before = *before,
            .gen_id = entry[FE_GEN],
        });
    return copy != NULL;
}

void hold_packet(struct datapath *dp, struct packet *p, uint32_t index,
                 const struct flow_predecessor *before)
{
    uint8_t *entry = hash_entry(&dp->flows, index);
    uint16_t flags = shm_load16(entry + FE_FLAGS);
    struct parked_list *list = dp->held[index];
    if (list && list->count >= HOLD_MAX) {
        dp_drop(dp, p, DROP_FLOW_QUEUE_LIMIT_EXCEEDED);
        return;
    }
    bool is_new = flags & FL_NEW, is_first = !list || list->count == 0;
    if (!list && !(list = dp->held[index] = calloc(1, sizeof *list))) {
        dp_drop(dp, p, DROP_FLOW_NO_MEMORY);
        return;
    }
    int reason = is_new ? TRAP_FLOW_MISS : TRAP_FLOW_HOLD;
    store16(entry + FE_FLAGS, flags & (uint16_t)~FL_NEW);
    if ((is_new || is_first) && !tell_agent(dp, p, index, reason, before)) {
        dp_drop(dp, p, DROP_NO_MEMORY);
        if (is_new)
            flow_remove(dp, index, DROP_NO_MEMORY);
        return;
    }
    uint64_t before_it = list->bytes;
    if (dp->held_bytes + p->len > HELD_BYTES_MAX)
        dp_drop(dp, p, DROP_FLOW_NO_MEMORY);
    else if (park(dp, list, p, DROP_FLOW_NO_MEMORY))
        dp->held_bytes += list->bytes - before_it;
}

void flow_resume(struct datapath *dp, struct packet *p)
{
    const struct nexthop *nh = p->stage == AT_NEXTHOP ? dp_nexthop(dp, p->stage_nh) : NULL;
    if (p->stage == AT_NEXTHOP && !nh)
        dp_drop(dp, p, DROP_INVALID_NH);
    else if (flow_input(dp, p, nh))
        leave_flow(dp, p);
}
