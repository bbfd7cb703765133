/* The underlay side: frames of the fabric and of the host's own stack. */
#include "flow_path.h"

bool is_underlay(const struct packet *p)
{
    return p->in->type == VIF_PHYSICAL && p->outer_src == 0;
}

/* The host's stack gets what is the fabric's, and the other way round. */
void cross_connect(struct datapath *dp, struct packet *p)
{
    struct vif *other = vif_cross(dp, p->in);
    if (!other) {
        dp_drop(dp, p, DROP_NOWHERE_TO_GO);
        return;
    }
    packet_move_to(p, p->frame);
    vif_send(dp, other, p);
}

/* Into the host's stack; the fabric's frames unchanged, others under a new header. */
void deliver_to_host(struct datapath *dp, struct packet *p, struct vif *host)
{
    if (!host || host->type == VIF_AGENT || p->in == host) {
        dp_drop(dp, p, host ? DROP_NOWHERE_TO_GO : DROP_INVALID_IF);
        return;
    }
    if (is_underlay(p)) {
        packet_move_to(p, p->frame);
        vif_send(dp, host, p);
        return;
    }
    const struct vif *physical = vif_cross(dp, host);
    packet_move_to(p, p->l3);
    uint8_t *eth = packet_push(p, ETH_LEN);
    if (!eth) {
        dp_drop(dp, p, DROP_PUSH);
        return;
    }
    memcpy(eth, physical ? physical->mac : host->mac, 6);
    memcpy(eth + 6, host->mac, 6);
    put16(eth + 12, p->l3_type);
    vif_send(dp, host, p);
}

/* Ours to look at: IPv4 without a tag, to one of the host's MACs. */
static bool is_routable(struct datapath *dp, struct packet *p)
{
    const struct vif *other = vif_cross(dp, p->in);
    const uint8_t *dst = data_of(p);
    if (p->is_mcast || p->vlan != 0xffff || p->l3_type != TYPE_IP4)
        return false;
    return p->in->type == VIF_HOST || mac_equal(dst, p->in->mac)
        || (other && mac_equal(dst, other->mac));
}

void receive_underlay(struct datapath *dp, struct packet *p)
{
    if (p->in->flags & VIFF_XCONNECT) {
        cross_connect(dp, p);
    } else if (p->l3_type == TYPE_ARP && p->vlan == 0xffff) {
        if (!arp_input(dp, p, false))
            cross_connect(dp, p);
    } else if (is_routable(dp, p)) {
        p->stage = AT_UNDERLAY;
        if (!(p->in->flags & VIFF_POLICY) || flow_input(dp, p, NULL))
            route_input(dp, p);
    } else {
        cross_connect(dp, p);
    }
}
