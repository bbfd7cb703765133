/* Ports: what a vif says of its packets, copied whole. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ITEMS = 1 << 20 }; /* of any list of a port, so that sizes cannot overflow */

static bool too_many(const struct port_facts *facts)
{
    for (unsigned i = 0; i < PORT_LISTS; i++)
        if (facts->lists[i].count > MOST_ITEMS)
            return true;
    for (uint32_t i = 0; i < facts->floating_count && i < MOST_ITEMS; i++)
        if (facts->floating[i].mapping_count > MOST_ITEMS)
            return true;
    return facts->gateway_count > MOST_ITEMS || facts->floating_count > MOST_ITEMS
        || facts->alias_count > MOST_ITEMS || facts->fat_count > MOST_ITEMS;
}

static size_t rounded(size_t size) { return (size + 7) & ~(size_t)7; }

static size_t size_of(const struct port_facts *facts)
{
    size_t size = rounded(sizeof(struct port));
    for (unsigned i = 0; i < PORT_LISTS; i++)
        size += rounded(facts->lists[i].count * sizeof(uint32_t));
    for (uint32_t i = 0; i < facts->floating_count; i++)
        size += rounded(facts->floating[i].mapping_count * sizeof(struct port_mapping));
    return size + rounded(facts->gateway_count * sizeof(struct port_address))
         + rounded(facts->floating_count * sizeof(struct port_floating))
         + rounded(facts->alias_count * sizeof(struct port_alias))
         + rounded(facts->fat_count * sizeof(struct port_fat));
}

/* Copies an array behind what is there already. */
static void *keep(uint8_t **at, const void *from, size_t count, size_t size)
{
    void *copy = *at;
    if (count)
        memcpy(copy, from, count * size);
    *at += rounded(count * size);
    return copy;
}

static void copy_lists(struct port *port, const struct port_facts *facts, uint8_t *at)
{
    for (unsigned i = 0; i < PORT_LISTS; i++)
        port->is.lists[i].items
            = keep(&at, facts->lists[i].items, facts->lists[i].count, sizeof(uint32_t));
    port->is.gateways
        = keep(&at, facts->gateways, facts->gateway_count, sizeof *facts->gateways);
    port->is.aliases = keep(&at, facts->aliases, facts->alias_count, sizeof *facts->aliases);
    port->is.fat = keep(&at, facts->fat, facts->fat_count, sizeof *facts->fat);
    struct port_floating *floating
        = keep(&at, facts->floating, facts->floating_count, sizeof *facts->floating);
    for (uint32_t i = 0; i < facts->floating_count; i++)
        floating[i].mappings = keep(&at, floating[i].mappings, floating[i].mapping_count,
                                    sizeof *floating[i].mappings);
    port->is.floating = floating;
}

static bool aggregates(const struct port_facts *facts)
{
    for (uint32_t i = 0; i < facts->fat_count; i++)
        if (facts->fat[i].ignore || facts->fat[i].src.family || facts->fat[i].dst.family)
            return true;
    return false;
}

int world_put_port(struct world *world, uint32_t vif, const struct port_facts *facts)
{
    if (vif >= WORLD_VIFS || too_many(facts))
        return -1;
    struct port *port = calloc(1, size_of(facts));
    uint32_t vm = FLOW_NONE;
    if (!port || (facts->vm && (vm = vm_enter(world, facts->vm)) == FLOW_NONE)) {
        free(port);
        return -1;
    }
    port->is = *facts;
    copy_lists(port, facts, (uint8_t *)port + rounded(sizeof *port));
    port->vif = vif;
    port->vm = vm;
    port->aggregates = aggregates(facts);
    struct port *old = world->ports[vif];
    world->ports[vif] = port;
    world->port_count += !old;
    if (vif >= world->port_top)
        world->port_top = vif + 1;
    if (old)
        vm_leave(world, old->vm);
    free(old);
    touch_vif(world, vif, TOUCH_VIF);
    return 0;
}

void world_drop_port(struct world *world, uint32_t vif)
{
    if (!world_has_port(world, vif))
        return;
    vm_leave(world, world->ports[vif]->vm);
    free(world->ports[vif]);
    world->ports[vif] = NULL;
    world->port_count--;
    while (world->port_top && !world->ports[world->port_top - 1])
        world->port_top--;
    touch_vif(world, vif, TOUCH_VIF_GONE);
}

bool world_has_port(const struct world *world, uint32_t vif)
{
    return world_port(world, vif) != NULL;
}

static bool has_list(const struct port *port, uint32_t list)
{
    for (unsigned kind = 0; kind < PORT_LISTS; kind++)
        for (uint32_t i = 0; i < port->is.lists[kind].count; i++)
            if (port->is.lists[kind].items[i] == list)
                return true;
    for (uint32_t i = 0; i < port->is.floating_count; i++)
        if (port->is.floating[i].network == list)
            return true;
    for (uint32_t i = 0; i < port->is.alias_count; i++)
        if (port->is.aliases[i].network == list)
            return true;
    return false;
}

void world_touch_list(struct world *world, uint32_t list)
{
    for (uint32_t vif = 0; vif < world->port_top; vif++)
        if (world->ports[vif] && has_list(world->ports[vif], list))
            touch_vif(world, vif, TOUCH_VIF);
}

static uint32_t tighter(uint32_t one, uint32_t other)
{
    if (one == 0 || other == 0)
        return one | other;
    return one < other ? one : other;
}

bool world_port_limits(const struct world *world, uint32_t vif, struct port_limits *limits)
{
    const struct port *port = world_port(world, vif);
    *limits = (struct port_limits){0};
    if (!port || port->is.kind != VIF_OF_VM)
        return port != NULL;
    limits->vm = port->is.vm;
    limits->vmi_flows = tighter(port->is.max_flows, world->limits.vmi_flows);
    limits->vm_flows = port->is.vm ? world->limits.vm_flows : 0;
    return true;
}
