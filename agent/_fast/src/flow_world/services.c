/* Link-local services and the host that they are reached by. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

static void free_services(struct service_servers *services, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(services[i].servers);
    free(services);
}

int world_set_services(struct world *world, const struct link_local_service *services,
                       size_t count)
{
    enum { MOST_SERVICES = 65536, MOST_SERVERS = 4096 };
    if (count > MOST_SERVICES)
        return -1;
    struct service_servers *made = calloc(count ? count : 1, sizeof *made);
    for (uint32_t i = 0; made && i < count; i++) {
        uint32_t servers = services[i].server_count;
        made[i].servers = servers <= MOST_SERVERS ? malloc((servers ? servers : 1) * 4) : NULL;
        if (!made[i].servers) {
            free_services(made, i);
            return -1;
        }
        made[i].is = services[i];
        if (servers)
            memcpy(made[i].servers, services[i].servers, (size_t)servers * 4);
        made[i].is.servers = (const uint8_t (*)[4])made[i].servers;
    }
    if (!made)
        return -1;
    free_services(world->services, world->service_count);
    world->services = made;
    world->service_count = (uint32_t)count;
    touch_all(world); /* any flow may be to or from a service that is new or no more */
    return 0;
}

void services_free(struct world *world)
{
    free_services(world->services, world->service_count);
}

void world_set_host(struct world *world, const uint8_t *router_id, uint32_t vif, uint32_t vrf)
{
    if (world->host_vif == vif && world->fabric_vrf == vrf
        && memcmp(world->router_id, router_id, 4) == 0)
        return;
    memcpy(world->router_id, router_id, 4);
    world->host_vif = vif;
    world->fabric_vrf = vrf;
    touch_all(world);
}
