/* What changed since the keeper of the pairs last asked. */
#include "state.h"

static void log_touch(struct world *world, enum touch_kind kind, uint32_t number)
{
    struct touch_log *log = &world->log;
    if (log->lost)
        return;
    if (log->count == TOUCHES) {
        log->lost = true;
        return;
    }
    log->items[(log->first + log->count++) % TOUCHES] = (struct touch){kind, number};
}

void touch_all(struct world *world) { world->log.lost = true; }

void touch_vif(struct world *world, uint32_t vif, enum touch_kind kind)
{
    log_touch(world, kind, vif);
}

/* Does this port look routes up in that VRF? */
static bool looks_into(const struct port *port, uint32_t vrf)
{
    if (port->is.vrf == vrf)
        return true;
    for (uint32_t i = 0; i < port->is.floating_count; i++)
        if (port->is.floating[i].vrf == vrf)
            return true;
    for (uint32_t i = 0; i < port->is.alias_count; i++)
        if (port->is.aliases[i].vrf == vrf)
            return true;
    return false;
}

void touch_lookers(struct world *world, uint32_t vrf)
{
    for (uint32_t vif = 0; vif < world->port_top; vif++)
        if (world->ports[vif] && looks_into(world->ports[vif], vrf))
            log_touch(world, TOUCH_VIF, vif);
}

void touch_route(struct world *world, uint32_t number)
{
    struct route *route = &world->routes[number];
    if (route->flags & ROUTE_READ)
        log_touch(world, TOUCH_ROUTE, number);
    if (route->flags & ROUTE_WIDE)
        touch_lookers(world, route->vrf);
    route->flags &= (uint8_t)~(ROUTE_READ | ROUTE_WIDE);
}

size_t world_drain(struct world *world, struct touch *touches, size_t room)
{
    struct touch_log *log = &world->log;
    size_t count = 0;
    if (log->lost && room) {
        log->first = log->count = 0;
        log->lost = false;
        touches[0] = (struct touch){TOUCH_ALL, 0};
        return 1;
    }
    for (; count < room && log->count; count++, log->count--) {
        touches[count] = log->items[log->first];
        log->first = (log->first + 1) % TOUCHES;
    }
    return count;
}
