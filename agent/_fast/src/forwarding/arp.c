/* ARP: who answers a request, and who hears a reply (datapath-behaviour.md 5). */
#include "dp.h"

enum { ARP_REQUEST = 1, ARP_REPLY = 2, ARP_SHA = 8, ARP_SPA = 14, ARP_THA = 18, ARP_TPA = 24 };

static bool is_valid(const struct packet *p)
{
    if (!has_bytes(p, p->l3, ARP_LEN))
        return false;
    const uint8_t *arp = p->buf + p->l3;
    return get16(arp) == 1 && get16(arp + 2) == TYPE_IP4 && arp[4] == 6 && arp[5] == 4
        && (get16(arp + 6) == ARP_REQUEST || get16(arp + 6) == ARP_REPLY);
}

/* Through the ingress vif where that is the way back, else as the bridge says. */
void send_answer(struct datapath *dp, struct packet *asked, struct packet *answer)
{
    struct vif *in = asked->in;
    answer->in = in;
    answer->vrf = asked->vrf;
    answer->outer_src = 0;
    if (in->type == VIF_HOST || in->type == VIF_GATEWAY || is_underlay(asked)
        || (in->flags & VIFF_MAC_PROXY)) {
        packet_give(&dp->pool, asked);
        vif_send(dp, in, answer);
        return;
    }
    struct bridge_entry entry;
    int64_t index = bridge_find(dp, asked->vrf, asked->buf + asked->eth + 6);
    packet_give(&dp->pool, asked);
    if (index < 0) {
        dp_drop(dp, answer, DROP_INVALID_NH);
        return;
    }
    bridge_read(dp, (uint32_t)index, &entry);
    answer->label = entry.flags & BRF_LABEL ? entry.label : LABEL_NONE;
    answer->control_word = (entry.flags & BRF_CONTROL_WORD) != 0;
    enter_nexthop(dp, answer, dp_nexthop(dp, entry.nh));
}

static void reply(struct datapath *dp, struct packet *p, const uint8_t *mac)
{
    struct packet *answer = packet_take(&dp->pool);
    if (!answer) {
        dp_drop(dp, p, DROP_NO_MEMORY);
        return;
    }
    const uint8_t *arp = p->buf + p->l3;
    answer->len = ETH_LEN + ARP_LEN;
    answer->l3 = answer->off + ETH_LEN;
    answer->l3_type = TYPE_ARP;
    uint8_t *out = data_of(answer);
    memcpy(out, arp + ARP_SHA, 6);
    memcpy(out + 6, mac, 6);
    put16(out + 12, TYPE_ARP);
    out += ETH_LEN;
    memcpy(out, arp, 6);
    put16(out + 6, ARP_REPLY);
    memcpy(out + ARP_SHA, mac, 6);
    memcpy(out + ARP_SPA, arp + ARP_TPA, 4);
    memcpy(out + ARP_THA, arp + ARP_SHA, 6);
    memcpy(out + ARP_TPA, arp + ARP_SPA, 4);
    send_answer(dp, p, answer);
}

static bool is_guest_here(struct datapath *dp, const struct nexthop *nh)
{
    const struct vif *vif = nh && nh->type == NH_ENCAP && nh->oif >= 0
                          ? dp_vif(dp, (uint32_t)nh->oif) : NULL;
    return vif && (vif->type == VIF_VIRTUAL || vif->type == VIF_VLAN_SUB);
}

static bool is_from_tor(struct datapath *dp, struct packet *p)
{
    if (p->outer_src && p->source == FROM_NOWHERE)
        find_source(dp, p, broadcast_tree(dp, p->vrf));
    return p->source == FROM_TOR;
}

static enum verdict fabric_verdict(struct datapath *dp, struct question *q, bool stitched)
{
    struct packet *p = q->p;
    bool gateway = is_gateway(dp, q->nh), tor = is_from_tor(dp, p);
    if (q->route && (q->route->flags & RTF_FLOOD) && !stitched) {
        dp_count_vrf(dp, p->vrf, VS_ARP_PHYSICAL_FLOOD);
        return V_FLOOD;
    }
    if (gateway && !tor)
        return V_DROP;
    if (gateway || tor || (q->nh && q->nh->type == NH_RESOLVE) || is_guest_here(dp, q->nh)) {
        dp_count_vrf(dp, p->vrf, tor ? VS_ARP_TOR_PROXY : VS_ARP_PHYSICAL_STITCH);
        return V_ANSWER;
    }
    return is_underlay(p) ? V_CROSS : V_FLOOD;
}

/* The proxy table, in its order. `mac` is what an answer says. */
enum verdict proxy_verdict(struct datapath *dp, struct question *q, uint8_t mac[6])
{
    struct packet *p = q->p;
    const struct vif *in = p->in;
    bool stitched = q->route && !mac_is_zero(q->route->mac);
    memcpy(mac, in->mac, 6);
    if (in->flags & VIFF_MAC_PROXY)
        return V_ANSWER;
    if ((in->flags & VIFF_NO_ARP_PROXY) && !is_gateway(dp, q->nh))
        return V_DROP;
    if (stitched)
        memcpy(mac, q->route->mac, 6);
    if (in->type == VIF_PHYSICAL)
        return fabric_verdict(dp, q, stitched);
    if (in->type != VIF_HOST && q->route && (q->route->flags & RTF_FLOOD) && !stitched) {
        dp_count_vrf(dp, p->vrf, VS_ARP_VIRTUAL_FLOOD);
        return V_FLOOD;
    }
    dp_count_vrf(dp, p->vrf, stitched ? VS_ARP_VIRTUAL_STITCH : VS_ARP_VIRTUAL_PROXY);
    return V_ANSWER;
}

static enum verdict request_verdict(struct datapath *dp, struct packet *p, uint8_t mac[6])
{
    const uint8_t *target = p->buf + p->l3 + ARP_TPA;
    const struct route *route = find_route4(dp, p->vrf, target);
    struct question q = {p, route, route ? dp_nexthop(dp, route->nh) : NULL};
    bool link_local = target[0] == 169 && target[1] == 254;
    bool wire = p->in->type == VIF_HOST || is_underlay(p);
    enum verdict verdict = V_FLOOD;
    if ((p->in->type == VIF_HOST && link_local) || p->in->type == VIF_GATEWAY) {
        memcpy(mac, p->in->mac, 6);
        return V_ANSWER;
    }
    if ((p->in->flags & VIFF_MAC_PROXY) || (route && (route->flags & RTF_PROXY)))
        verdict = proxy_verdict(dp, &q, mac);
    else if (p->in->flags & VIFF_SERVICE)
        verdict = V_DROP;
    return wire && verdict != V_ANSWER ? V_CROSS : verdict;
}

static bool gratuitous(struct datapath *dp, struct packet *p)
{
    const struct route *route;
    if (p->in->type == VIF_HOST) {
        cross_connect(dp, p);
        return true;
    }
    if (is_underlay(p)) {
        trap_copy(dp, p, p->vrf, TRAP_ARP, 0, 0);
        cross_connect(dp, p);
        return true;
    }
    if (p->in->type == VIF_PHYSICAL)
        return false;
    if (p->in->flags & VIFF_MAC_PROXY) {
        dp_drop(dp, p, DROP_INVALID_ARP);
        return true;
    }
    route = find_route4(dp, p->vrf, p->buf + p->l3 + ARP_TPA);
    if (route && (route->flags & RTF_TRAP))
        trap_copy(dp, p, p->vrf, TRAP_ARP, 0, 0);
    return false;
}

static bool request_input(struct datapath *dp, struct packet *p)
{
    static const uint8_t none[4];
    const uint8_t *arp = p->buf + p->l3;
    uint8_t mac[6];
    if (!memcmp(arp + ARP_SPA, none, 4) || !memcmp(arp + ARP_SPA, arp + ARP_TPA, 4))
        return gratuitous(dp, p);
    switch (request_verdict(dp, p, mac)) {
    case V_ANSWER:
        reply(dp, p, mac);
        return true;
    case V_CROSS:
        cross_connect(dp, p);
        return true;
    case V_DROP:
        dp_drop(dp, p, DROP_INVALID_ARP);
        return true;
    default:
        return false;
    }
}

static bool reply_input(struct datapath *dp, struct packet *p, bool to_me)
{
    if (p->in->type == VIF_HOST) {
        cross_connect(dp, p);
        return true;
    }
    if (is_underlay(p)) {
        trap_copy(dp, p, p->vrf, TRAP_ARP, 0, 0);
        cross_connect(dp, p);
        return true;
    }
    if (to_me) {
        trap(dp, p, p->vrf, TRAP_ARP, 0, 0);
        return true;
    }
    if (p->is_mcast)
        trap_copy(dp, p, p->vrf, TRAP_ARP, 0, 0);
    return false;
}

bool arp_input(struct datapath *dp, struct packet *p, bool to_me)
{
    if (!is_valid(p)) {
        dp_drop(dp, p, DROP_INVALID_ARP);
        return true;
    }
    return get16(p->buf + p->l3 + 6) == ARP_REQUEST ? request_input(dp, p)
                                                    : reply_input(dp, p, to_me);
}
