#include "places.h"

#include <string.h>

#include "flow_world/state.h"

bool place_of_vif(const struct world *world, uint32_t vif, struct place *place)
{
    const struct port *port = world_port(world, vif);
    if (!port)
        return false;
    place->kind = port->is.kind;
    place->key_nexthop = port->is.key_nexthop;
    memcpy(place->mac, port->is.mac, 6);
    return true;
}

uint32_t place_fabric(const struct world *world)
{
    for (uint32_t vif = 0; vif < world->port_top; vif++) {
        const struct port *port = world_port(world, vif);
        if (port && port->is.kind == VIF_OF_FABRIC)
            return vif;
    }
    return FLOW_NONE;
}

uint32_t place_router_id(const struct world *world)
{
    const uint8_t *id = world->router_id;
    return (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}
