/* Services on link-local addresses (facts pkt0-services.md 12): VMs reach servers elsewhere,
 * the host reaches VMs by their link-local names. IPv4 only. */
#include "work.h"

static const uint8_t METADATA[4] = {169, 254, 169, 254};

static bool is_link_local(const uint8_t *address) { return address[0] == 169 && address[1] == 254; }

/* No routes at both ends: the flow is dropped. */
static void refuse(struct work *k)
{
    k->src.route = k->dst.route = NO_ROUTE;
    k->reason = REASON_NO_SRC_ROUTE;
}

/* ---- from a VM ---- */

/* The service of an address and port; `*known`: the address is one of services at all. */
static const struct link_local_service *find_service(const struct work *k, bool *known)
{
    *known = false;
    for (uint32_t i = 0; i < k->world->service_count; i++) {
        const struct link_local_service *service = &k->world->services[i].is;
        if (memcmp(service->address, k->packet->dst, 4) != 0)
            continue;
        *known = true;
        if (service->port == k->is.dport)
            return service;
    }
    return NULL;
}

static void enter_host(struct work *k, const uint8_t *server)
{
    const struct world *world = k->world;
    const struct port *host = world_port(world, world->host_vif);
    k->dst.vif = world->host_vif;
    k->dst.port = host;
    k->dst.route = look_up(k, world->fabric_vrf, server);
    k->vrf[FLOW_REVERSE] = k->to_vrf[FLOW_FORWARD] = world->fabric_vrf;
    k->to_vrf[FLOW_REVERSE] = k->packet->vrf;
    if (!host)
        k->reason = REASON_INTERFACE;
    else
        k->reverse_nexthop = host->is.key_nexthop;
}

static void to_server(struct work *k, const struct link_local_service *service)
{
    const struct port *port = k->src.port;
    const uint8_t *server = service->servers[flow_hash(k, 0) % service->server_count];
    bool here = memcmp(server, k->world->router_id, 4) == 0;
    if (here && port->is.link_local.family != FLOW_INET) {
        refuse(k);
        return;
    }
    k->bridged = false; /* whatever MAC address the VM found for it */
    k->nat = true;
    k->decision->flags |= PAIR_LINK_LOCAL;
    find_source(k, k->packet->vrf);
    know_end(k, &k->src);
    memcpy(k->to.src, here ? port->is.link_local.bytes : k->world->router_id, 4);
    memcpy(k->to.dst, server, 4);
    k->to.dport = service->server_port;
    k->bind = !here;
    TELL_ADDRESS(k, STEP_LINK_LOCAL, service->server_port, k->world->fabric_vrf, server);
    enter_host(k, server);
}

static bool from_vm(struct work *k)
{
    bool known;
    const struct link_local_service *service = find_service(k, &known);
    if (service && service->server_count && has_ports(k->packet->proto)) {
        to_server(k, service);
        return true;
    }
    if (!known)
        return false;
    refuse(k);
    return true;
}

/* ---- from the host ---- */

/* What the VM shall see as the source: a service here keeps the address it was asked at. */
static void disguise(struct work *k)
{
    memcpy(k->to.src, METADATA, 4);
    for (uint32_t i = 0; i < k->world->service_count; i++) {
        const struct link_local_service *service = &k->world->services[i].is;
        if (service->server_port != k->is.sport || !has_ports(k->packet->proto))
            continue;
        for (uint32_t j = 0; j < service->server_count; j++)
            if (memcmp(service->servers[j], k->world->router_id, 4) == 0) {
                memcpy(k->to.src, service->address, 4);
                k->to.sport = service->port;
                return;
            }
    }
}

static bool from_host(struct work *k)
{
    find_source(k, k->packet->vrf);
    k->dst.route = look_up(k, k->packet->vrf, k->packet->dst);
    TELL_ROUTE(k, STEP_DESTINATION_ROUTE, k->dst.route, k->packet->dst);
    lead_out(k, k->dst.route);
    const struct port *port = k->dst.port;
    if (!is_vm(port) || !same_address(k, &port->is.link_local, k->packet->dst)
        || port->is.address.family != FLOW_INET) {
        if (k->dst.vif == FLOW_NONE || port)
            refuse(k);
        else
            k->reason = REASON_INTERFACE;
        return true;
    }
    k->nat = true;
    k->decision->flags |= PAIR_LINK_LOCAL;
    disguise(k);
    memcpy(k->to.dst, port->is.address.bytes, 4);
    k->vrf[FLOW_REVERSE] = k->to_vrf[FLOW_FORWARD] = port->is.vrf;
    k->to_vrf[FLOW_REVERSE] = k->packet->vrf;
    k->reverse_route = look_up(k, port->is.vrf, k->to.dst);
    TELL_ADDRESS(k, STEP_LINK_LOCAL, k->to.dport, port->is.vrf, k->to.dst);
    return true;
}

bool link_local(struct work *k)
{
    if (k->packet->family != FLOW_INET || !is_link_local(k->packet->dst))
        return false;
    if (is_vm(k->src.port))
        return from_vm(k);
    return k->src.port->is.kind == VIF_OF_HOST ? from_host(k) : false;
}

/* ---- the host's port ---- */

void bind_port(struct work *k)
{
    uint8_t proto = k->packet->proto;
    uint32_t vm = k->src.port->vm;
    uint16_t port = k->before ? k->before->bound_port : 0;
    if (!port || !pool_has(k->world, proto, port, vm))
        port = pool_take(k->world, proto, vm);
    if (!port) {
        k->reason = REASON_LINK_LOCAL;
        return;
    }
    k->to.sport = port;
    k->decision->bound_port = port;
    k->decision->flags |= PAIR_BOUND_PORT;
}
