/* Trapped packets wait in a queue of their interface; interfaces take turns. So a flood of one
 * fills its own queue only. An interface with many flows in set-up waits for their answers. */
#include <string.h>

#include "table.h"

static uint32_t pool_take(struct pairs *pairs)
{
    uint32_t number = pairs->pool_free;
    if (number)
        pairs->pool_free = pairs->pool[number - 1].next;
    else if (pairs->pool_top < QUEUED)
        number = ++pairs->pool_top;
    if (number)
        pairs->pool_used++;
    return number;
}

static void pool_give(struct pairs *pairs, uint32_t number)
{
    pairs->pool[number - 1].next = pairs->pool_free;
    pairs->pool_free = number;
    pairs->pool_used--;
}

void queue_enter(struct pairs *pairs, uint32_t vif)
{
    struct vif_slot *slot = &pairs->vifs[vif];
    if (slot->in_turn || !slot->queued || slot->setting_up >= pairs->with.share)
        return;
    slot->in_turn = true;
    if (pairs->turn_last) {
        struct vif_slot *last = &pairs->vifs[pairs->turn_last - 1];
        slot->turn_next = last->turn_next;
        last->turn_next = vif + 1;
    } else {
        slot->turn_next = vif + 1;
    }
    pairs->turn_last = vif + 1;
}

/* The vif whose turn it is leaves the ring. */
static uint32_t turn_take(struct pairs *pairs)
{
    struct vif_slot *last = &pairs->vifs[pairs->turn_last - 1];
    uint32_t vif = last->turn_next - 1;
    struct vif_slot *first = &pairs->vifs[vif];
    if (vif + 1 == pairs->turn_last)
        pairs->turn_last = 0;
    else
        last->turn_next = first->turn_next;
    first->in_turn = false;
    return vif;
}

/* A queue may be as long as what is free: those that are full leave room for others. */
static bool may_queue(const struct pairs *pairs, const struct vif_slot *slot)
{
    return slot->queued < pairs->with.queue && slot->queued < QUEUED - pairs->pool_used;
}

bool queue_put(struct pairs *pairs, const struct flow_packet *packet)
{
    struct vif_slot *slot = &pairs->vifs[packet->vif];
    uint32_t number = may_queue(pairs, slot) ? pool_take(pairs) : 0;
    if (!number) {
        slot->dropped++;
        return false;
    }
    struct queued *queued = &pairs->pool[number - 1];
    queued->packet = *packet;
    queued->next = 0;
    if (slot->queued++)
        pairs->pool[slot->queue_last - 1].next = number;
    else
        slot->queue_first = number;
    slot->queue_last = number;
    queue_enter(pairs, packet->vif);
    return true;
}

static void pop(struct pairs *pairs, struct vif_slot *slot, struct flow_packet *packet)
{
    uint32_t number = slot->queue_first;
    *packet = pairs->pool[number - 1].packet;
    slot->queue_first = pairs->pool[number - 1].next;
    slot->queued--;
    pool_give(pairs, number);
}

bool queue_take(struct pairs *pairs, struct flow_packet *packet)
{
    while (pairs->turn_last) {
        uint32_t vif = turn_take(pairs);
        struct vif_slot *slot = &pairs->vifs[vif];
        if (!slot->queued || slot->setting_up >= pairs->with.share)
            continue;
        pop(pairs, slot, packet);
        queue_enter(pairs, vif);
        return true;
    }
    return false;
}

void queue_clear(struct pairs *pairs)
{
    struct flow_packet packet;
    for (uint32_t vif = 0; pairs->pool_used && vif < PAIRS_VIFS; vif++)
        while (pairs->vifs[vif].queued)
            pop(pairs, &pairs->vifs[vif], &packet);
}
