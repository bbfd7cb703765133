/* How many flows ports and VMs have, and whether they may have more (facts pkt0-services.md 12,
 * step 5; oper-db.md 4.3). The count of a VM is the sum of the counts of its ports. */
#include <stdlib.h>

#include "table.h"

enum { VMS_FIRST = 64, VMS_MOST = 1 << 20, RECOVER_TENTHS = 9 };

static uint32_t spread(uint32_t vm)
{
    return (uint32_t)((vm * 0x9e3779b97f4a7c15u) >> 32);
}

static struct vm_slot *vm_find(const struct vms *vms, uint32_t vm)
{
    if (!vms->slots)
        return NULL;
    for (uint32_t at = spread(vm);; at++) {
        struct vm_slot *slot = &vms->slots[at & vms->mask];
        if (slot->vm == vm || !slot->vm)
            return slot;
    }
}

/* Twice as many slots; VMs without flows and without a signal are forgotten. */
static bool vms_grow(struct vms *vms)
{
    struct vms old = *vms;
    uint32_t size = old.slots ? (old.mask + 1) * 2 : VMS_FIRST;
    if (size > VMS_MOST)
        return false;
    struct vm_slot *slots = calloc(size, sizeof *slots);
    if (!slots)
        return false;
    vms->slots = slots;
    vms->mask = size - 1;
    vms->used = 0;
    for (uint32_t i = 0; old.slots && i <= old.mask; i++) {
        const struct vm_slot *slot = &old.slots[i];
        if (!slot->vm || !(slot->flows || slot->dropping || slot->told || slot->listed))
            continue;
        *vm_find(vms, slot->vm) = *slot;
        vms->used++;
    }
    free(old.slots);
    return true;
}

/* The slot of a VM, made when there is none; NULL for no VM, or when there are too many. */
static struct vm_slot *vm_slot(struct vms *vms, uint32_t vm)
{
    if (!vm)
        return NULL;
    struct vm_slot *slot = vm_find(vms, vm);
    if (slot && slot->vm)
        return slot;
    if ((!slot || vms->used >= vms->mask / 2) && !vms_grow(vms) && !slot)
        return NULL;
    slot = vm_find(vms, vm);
    if (vms->used >= vms->mask)
        return NULL;
    slot->vm = vm;
    vms->used++;
    return slot;
}

static bool changed_room(struct vms *vms)
{
    if (vms->changed_count < vms->changed_room)
        return true;
    uint32_t room = vms->changed_room ? vms->changed_room * 2 : VMS_FIRST;
    uint32_t *changed = realloc(vms->changed, room * sizeof *changed);
    if (!changed)
        return false;
    vms->changed = changed;
    vms->changed_room = room;
    return true;
}

static void signal_drop(struct vms *vms, struct vm_slot *slot, bool drop)
{
    slot->dropping = drop;
    if (slot->listed || !changed_room(vms))
        return;
    slot->listed = true;
    vms->changed[vms->changed_count++] = slot->vm;
}

static void recover(struct vms *vms, struct vm_slot *slot)
{
    bool low = !slot->most || (uint64_t)slot->flows * 10 < (uint64_t)slot->most * RECOVER_TENTHS;
    if (slot->dropping && low)
        signal_drop(vms, slot, false);
}

/* Flows of a port that now belongs to another VM are that one's. */
static void move_vm(struct pairs *pairs, struct vif_slot *port, uint32_t vm)
{
    struct vm_slot *slot = vm_slot(&pairs->vms, port->vm);
    if (slot) {
        slot->flows -= port->flows;
        recover(&pairs->vms, slot);
    }
    slot = vm_slot(&pairs->vms, vm);
    if (slot)
        slot->flows += port->flows;
    port->vm = slot ? vm : 0;
}

static struct vif_slot *port_now(struct pairs *pairs, uint32_t vif, struct port_limits *limits)
{
    struct vif_slot *port = &pairs->vifs[vif];
    if (!world_port_limits(pairs->world, vif, limits))
        return NULL;
    if (port->vm != limits->vm)
        move_vm(pairs, port, limits->vm);
    struct vm_slot *slot = vm_slot(&pairs->vms, port->vm);
    if (slot)
        slot->most = limits->vm_flows;
    return port;
}

void limits_refresh(struct pairs *pairs, uint32_t vif)
{
    struct port_limits limits;
    if (vif >= PAIRS_VIFS || !port_now(pairs, vif, &limits))
        return;
    struct vm_slot *slot = vm_slot(&pairs->vms, limits.vm);
    if (slot)
        recover(&pairs->vms, slot);
}

static bool vif_allows(struct pairs *pairs, uint32_t vif)
{
    struct port_limits limits;
    if (vif >= PAIRS_VIFS)
        return true;
    const struct vif_slot *port = port_now(pairs, vif, &limits);
    if (!port)
        return true;
    struct vm_slot *slot = vm_slot(&pairs->vms, limits.vm);
    if (slot && slot->most && slot->flows + FLOW_SIDES > slot->most) {
        if (!slot->dropping)
            signal_drop(&pairs->vms, slot, true);
        return false;
    }
    return !limits.vmi_flows || port->flows + FLOW_SIDES <= limits.vmi_flows;
}

bool limits_allow(struct pairs *pairs, const struct flow_pair *pair)
{
    uint32_t in = pair->is.reads[READ_IN_VIF], out = pair->is.reads[READ_OUT_VIF];
    return vif_allows(pairs, in) && (in == out || vif_allows(pairs, out));
}

static void charge(struct pairs *pairs, uint32_t vif, uint32_t *charged)
{
    struct port_limits limits;
    if (vif >= PAIRS_VIFS || !port_now(pairs, vif, &limits))
        return;
    struct vif_slot *port = &pairs->vifs[vif];
    struct vm_slot *slot = vm_slot(&pairs->vms, port->vm);
    port->flows += FLOW_SIDES;
    if (slot)
        slot->flows += FLOW_SIDES;
    *charged = vif;
}

void limits_charge(struct pairs *pairs, struct flow_pair *pair)
{
    uint32_t in = pair->is.reads[READ_IN_VIF], out = pair->is.reads[READ_OUT_VIF];
    limits_release(pairs, pair);
    charge(pairs, in, &pair->charged[FLOW_FORWARD]);
    if (in != out)
        charge(pairs, out, &pair->charged[FLOW_REVERSE]);
}

void limits_release(struct pairs *pairs, struct flow_pair *pair)
{
    for (int side = 0; side < FLOW_SIDES; side++) {
        if (pair->charged[side] == FLOW_NONE)
            continue;
        struct vif_slot *port = &pairs->vifs[pair->charged[side]];
        struct vm_slot *slot = vm_slot(&pairs->vms, port->vm);
        port->flows -= FLOW_SIDES;
        if (slot) {
            slot->flows -= FLOW_SIDES;
            recover(&pairs->vms, slot);
        }
        pair->charged[side] = FLOW_NONE;
    }
}

size_t pairs_signals(struct pairs *pairs, uint32_t *numbers, uint8_t *drop, size_t room)
{
    struct vms *vms = &pairs->vms;
    size_t count = 0;
    while (vms->changed_count && count < room) {
        struct vm_slot *slot = vm_slot(vms, vms->changed[--vms->changed_count]);
        slot->listed = false;
        if (slot->dropping == slot->told)
            continue;
        slot->told = slot->dropping;
        numbers[count] = slot->vm;
        drop[count++] = slot->dropping;
    }
    return count;
}
