/* Floating IPs: addresses of other networks that stand for the VM's own (both ways), and
 * alias IPs, which need no translation. */
#include "work.h"

const struct port_alias *find_alias(const struct work *k, const struct port *port,
                                    const uint8_t *address)
{
    for (uint32_t i = 0; i < port->is.alias_count; i++)
        if (same_address(k, &port->is.aliases[i].address, address))
            return &port->is.aliases[i];
    return NULL;
}

static const struct port_address *primary(const struct work *k, const struct port *port)
{
    return k->packet->family == FLOW_INET ? &port->is.address : &port->is.address6;
}

const struct port_floating *find_floating(const struct work *k, const struct port *port,
                                          const uint8_t *address)
{
    if (same_address(k, primary(k, port), address))
        return NULL;
    for (uint32_t i = 0; i < port->is.floating_count; i++)
        if (port->is.floating[i].inbound
            && same_address(k, &port->is.floating[i].address, address)
            && vrf_at(k, port->is.floating[i].vrf))
            return &port->is.floating[i];
    return NULL;
}

/* The other port of a mapping; -1: this one is not mapped. */
static int mapped(const struct work *k, const struct port_floating *floating, bool to_public,
                  uint16_t port)
{
    if (!floating->mapped)
        return port;
    for (uint32_t i = 0; i < floating->mapping_count; i++) {
        const struct port_mapping *mapping = &floating->mappings[i];
        uint16_t from = to_public ? mapping->private_port : mapping->public_port;
        if (mapping->proto == k->packet->proto && from == port)
            return to_public ? mapping->public_port : mapping->private_port;
    }
    return -1;
}

/* ---- from the VM ---- */

static bool may_stand_for(const struct work *k, const struct port_floating *floating)
{
    return floating->outbound && floating->address.family == k->packet->family
        && (floating->fixed.family == 0 || same_address(k, &floating->fixed, k->packet->src));
}

static int compare_names(const struct vrf *a, const struct vrf *b)
{
    size_t common = a->name_size < b->name_size ? a->name_size : b->name_size;
    int order = memcmp(a->name, b->name, common);
    return order ? order : (a->name_size > b->name_size) - (a->name_size < b->name_size);
}

/* Of two that lead equally far: the lower VRF name, then the lower address. */
static bool is_first(const struct work *k, const struct port_floating *a,
                     const struct port_floating *b)
{
    int order = compare_names(world_vrf(k->world, a->vrf), world_vrf(k->world, b->vrf));
    return (order ? order : memcmp(a->address.bytes, b->address.bytes, address_size(k))) < 0;
}

/* The floating IP whose VRF knows more of the destination than the port's own one does;
 * equally much is not enough. */
static const struct port_floating *best_floating(struct work *k, uint32_t *best_route)
{
    const struct port *port = k->src.port;
    const struct port_floating *best = NULL;
    const struct route *own = route_at(k, k->dst.route);
    int longest = own ? own->length : -1;
    for (uint32_t i = 0; i < port->is.floating_count; i++) {
        const struct port_floating *floating = &port->is.floating[i];
        if (!may_stand_for(k, floating))
            continue;
        uint32_t number = look_up(k, floating->vrf, k->packet->dst);
        const struct route *route = route_at(k, number);
        read_widely(k, number);
        if (!route || route->length < longest || (!best && route->length == longest))
            continue;
        if (best && route->length == longest && !is_first(k, floating, best))
            continue;
        best = floating;
        *best_route = number;
        longest = route->length;
    }
    return best;
}

void translate_source(struct work *k)
{
    uint32_t route = NO_ROUTE;
    const struct port_floating *floating = best_floating(k, &route);
    if (!floating)
        return;
    read_widely(k, k->dst.route);
    k->dst.route = route;
    TELL_ROUTE(k, STEP_DESTINATION_ROUTE, route, k->packet->dst);
    k->src.acts = true;
    k->src.meta = floating->meta;
    k->src.network = floating->network;
    know_end(k, &k->dst);
    k->nat = true;
    k->to_vrf[FLOW_FORWARD] = floating->vrf;
    k->to_vrf[FLOW_REVERSE] = k->packet->vrf;
    memcpy(k->to.src, floating->address.bytes, address_size(k));
    int port = mapped(k, floating, true, k->is.sport);
    if (port < 0)
        k->reason = REASON_PORT_MAP;
    else
        k->to.sport = (uint16_t)port;
    TELL_ADDRESS(k, STEP_SNAT, k->to.sport, floating->vrf, k->to.src);
    if (!k->reason)
        translate_vrf(k, &floating->network, floating->network != WORLD_NO_LIST);
    if (!k->reason)
        lead_out(k, k->dst.route);
}

/* ---- to the VM ---- */

/* Packets of the fabric are judged by the routes of the floating IP's VRF. */
static void arrive_in(struct work *k, const struct port_floating *floating)
{
    find_source(k, floating->vrf);
    know_end(k, &k->src);
    k->to_vrf[FLOW_REVERSE] = floating->vrf;
}

void translate_destination(struct work *k)
{
    const struct port *port = k->dst.port;
    const struct port_floating *floating = find_floating(k, port, k->packet->dst);
    if (!floating)
        return;
    if (!k->ingress)
        arrive_in(k, floating);
    else if (!k->nat)
        k->to_vrf[FLOW_REVERSE] = k->packet->vrf;
    read_widely(k, k->dst.route);
    k->dst.route = look_up(k, floating->vrf, k->packet->dst);
    k->dst.acts = true;
    k->dst.meta = floating->meta;
    k->dst.network = floating->network;
    k->nat = true;
    k->to_vrf[FLOW_FORWARD] = port->is.vrf;
    const struct port_address *fixed
        = floating->fixed.family ? &floating->fixed : primary(k, port);
    memcpy(k->to.dst, fixed->bytes, address_size(k));
    k->reverse_route = look_up(k, port->is.vrf, k->to.dst);
    int own = mapped(k, floating, false, k->is.dport);
    if (own < 0)
        k->reason = REASON_PORT_MAP;
    else
        k->to.dport = (uint16_t)own;
    TELL_ADDRESS(k, STEP_DNAT, k->to.dport, port->is.vrf, k->to.dst);
}
