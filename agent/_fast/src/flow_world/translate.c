/* VRF-assign rules: traffic of a service chain goes on in the VRF of the next service. */
#include "work.h"

static void header(const struct work *k, struct cls_packet *header)
{
    const struct meta *src = world_meta_at(k->world, k->src.meta);
    const struct meta *dst = world_meta_at(k->world, k->dst.meta);
    *header = (struct cls_packet){
        .family = k->packet->family, .proto = k->packet->proto,
        .sport = k->is.sport, .dport = k->is.dport,
        .src = {k->is.src, src->networks, src->groups, src->tags},
        .dst = {k->is.dst, dst->networks, dst->groups, dst->tags}};
}

/* The packet goes on in this VRF. On its way to a port only the answers do. */
static void enter(struct work *k, uint32_t vrf)
{
    k->to_vrf[k->ingress ? FLOW_FORWARD : FLOW_REVERSE] = vrf;
    read_widely(k, k->dst.route);
    if (k->ingress) {
        k->dst.route = look_up(k, vrf, k->packet->dst);
        TELL_ROUTE(k, STEP_DESTINATION_ROUTE, k->dst.route, k->packet->dst);
    } else {
        read_widely(k, k->src.route);
        find_source(k, vrf);
    }
    know_end(k, &k->src);
    know_end(k, &k->dst);
}

/* Keeps the answer: policy asks the same list once more. */
static void walk(struct work *k, const uint32_t *lists, size_t count)
{
    struct cls_packet packet;
    header(k, &packet);
    k->walked_verdict = CLS_VERDICT;
    k->walked_outcome
        = cls_match(k->world->classifier, lists, count, &packet, &k->walked_verdict);
    k->walked = count == 1;
    k->walked_list = lists[0];
    k->walked_src = k->src.meta;
    k->walked_dst = k->dst.meta;
}

void translate_vrf(struct work *k, const uint32_t *lists, size_t count)
{
    if (!count || k->bridged)
        return;
    walk(k, lists, count);
    const struct cls_verdict *verdict = &k->walked_verdict;
    if (!(verdict->actions & ACTION_VRF))
        return;
    k->skip_acl = verdict->ignore_acl;
    TELL(k, STEP_VRF_TRANSLATE, verdict->vrf, verdict->rule);
    if (!vrf_at(k, verdict->vrf))
        k->reason = REASON_VRF;
    else
        enter(k, verdict->vrf);
}

/* By the port's own rules, else by the list of its network, which is the port's own one or
 * that of the address that it acts for. */
void translate_by_port(struct work *k, const struct end *owner)
{
    const struct port *port = owner->port;
    if (!is_vm(port))
        return;
    const struct port_numbers *own = &port->is.lists[LIST_VRF_ASSIGN];
    if (own->count) {
        translate_vrf(k, own->items, own->count);
        return;
    }
    if (owner->acts)
        translate_vrf(k, &owner->network, owner->network != WORLD_NO_LIST);
    else
        translate_vrf(k, port->is.lists[LIST_NETWORK].items, port->is.lists[LIST_NETWORK].count);
}
