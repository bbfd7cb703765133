/* Where a received frame goes, by the type of its vif (datapath-behaviour.md 4). */
#include "flow_path.h"
#include "mirror.h"

/* Take the outer tag out of the frame at the data's start. */
static void pop_tag(struct packet *p)
{
    uint8_t *eth = data_of(p);
    memmove(eth + VLAN_LEN, eth, 12);
    packet_pull(p, VLAN_LEN);
    packet_parse_ethernet(p);
}

static bool is_ip(const struct packet *p)
{
    return p->l3_type == TYPE_IP4 || p->l3_type == TYPE_IP6;
}

static struct vif *sub_of(const struct packet *p)
{
    return p->vlan != 0xffff && p->in->subs ? p->in->subs[p->vlan] : NULL;
}

static void count_in(struct vif *vif, const struct packet *p)
{
    vif->counters[VC_IPACKETS]++;
    vif->counters[VC_IBYTES] += p->len;
}

/* The tag chooses the VRF of a service vif, which takes no broadcasts but ARP. */
static bool enter_service(struct datapath *dp, struct packet *p)
{
    const struct vif *vif = p->in;
    if (!(vif->flags & VIFF_SERVICE))
        return true;
    if (p->vlan < SERVICE_VLANS && vif->vlans && vif->vlans[p->vlan].vrf != VRF_NONE) {
        p->vrf = vif->vlans[p->vlan].vrf;
        p->tag_nh = vif->vlans[p->vlan].nh + 1;
        pop_tag(p);
    }
    if (p->is_mcast && p->l3_type != TYPE_ARP) {
        dp_drop(dp, p, DROP_INTERFACE_DROP);
        return false;
    }
    return true;
}

static void guest_forward(struct datapath *dp, struct packet *p)
{
    if (p->is_rerouted)
        route_input(dp, p);
    else if (p->in->flags & VIFF_L2)
        bridge_input(dp, p);
    else if (wanted_by_agent(p))
        trap(dp, p, p->vrf, TRAP_L3_PROTOCOLS, 0, 0);
    else if (p->l3_type != TYPE_ARP || p->vlan != 0xffff || !arp_input(dp, p, false))
        to_router(dp, p);
}

/* A frame of a guest, or of the agent in a guest's name. */
static void guest_input(struct datapath *dp, struct packet *p)
{
    if (p->in->flags & VIFF_MAC_IP_LEARN)
        learn_mac_ip(dp, p);
    if (is_ip(p) && packet_parse_ip(p) >= 0)
        p->l4 = 0;
    p->stage = AT_GUEST;
    if ((p->in->flags & VIFF_POLICY) && !p->is_mcast && p->vlan == 0xffff
        && !flow_input(dp, p, NULL))
        return;
    guest_forward(dp, p);
}

void leave_flow(struct datapath *dp, struct packet *p)
{
    switch (p->stage) {
    case AT_GUEST: guest_forward(dp, p); break;
    case AT_UNDERLAY: route_input(dp, p); break;
    default: leave_policy(dp, p, dp_nexthop(dp, p->stage_nh));
    }
}

static void receive_guest(struct datapath *dp, struct packet *p)
{
    if (enter_service(dp, p))
        guest_input(dp, p);
}

/* A frame for a sub-interface, whose tag ends here. */
static void receive_tagged(struct datapath *dp, struct vif *sub, struct packet *p)
{
    pop_tag(p);
    p->in = sub;
    p->vrf = sub->vrf;
    count_in(sub, p);
    mirror_vif(dp, p, sub, true);
    receive_guest(dp, p);
}

static void agent_switch(struct datapath *dp, struct packet *p, uint32_t idx)
{
    struct vif *out = dp_vif(dp, idx);
    if (!out || out->type == VIF_AGENT) {
        dp_drop(dp, p, DROP_INVALID_IF);
        return;
    }
    vif_send(dp, out, p);
}

static void agent_route(struct datapath *dp, struct packet *p, const uint8_t *header)
{
    struct vif *in = dp_vif(dp, get16(header));
    if (in && in->type != VIF_PHYSICAL)
        p->in = in;
    p->vrf = get16(header + 2);
    p->is_diag = get32(header + 6) == 1 && get32(header + 10) == 1;
    guest_input(dp, p);
}

static void receive_agent(struct datapath *dp, struct packet *p)
{
    uint8_t header[AGENT_HEADER_LEN];
    if (p->len < PKT0_LEN + ETH_LEN) {
        p->in->counters[VC_IERRORS]++;
        dp_drop(dp, p, DROP_INVALID_PACKET);
        return;
    }
    memcpy(header, data_of(p) + ETH_LEN, sizeof header);
    packet_pull(p, PKT0_LEN);
    p->frame = p->off;
    uint16_t command = get16(header + 4);
    if (!packet_parse_ethernet(p))
        dp_drop(dp, p, DROP_INVALID_PACKET);
    else if (command == CMD_SWITCH)
        agent_switch(dp, p, get16(header));
    else if (command == CMD_ROUTE)
        agent_route(dp, p, header);
    else
        dp_drop(dp, p, DROP_INVALID_PACKET);
}

void receive(struct datapath *dp, struct vif *vif, struct packet *p)
{
    p->in = vif;
    p->vrf = vif->vrf;
    packet_seal(p);
    if (vif->type == VIF_AGENT) {
        count_in(vif, p);
        receive_agent(dp, p);
        return;
    }
    bool whole = packet_parse_ethernet(p);
    struct vif *sub = whole ? sub_of(p) : NULL;
    /* A guest's vif and those under it are ports of their own: one of them counts. */
    if (!sub || vif->type == VIF_PHYSICAL)
        count_in(vif, p);
    if (!whole) {
        vif->counters[VC_IERRORS]++;
        dp_drop(dp, p, DROP_PULL);
        return;
    }
    if (sub) {
        receive_tagged(dp, sub, p);
        return;
    }
    mirror_vif(dp, p, vif, true);
    switch (vif->type) {
    case VIF_PHYSICAL:
    case VIF_HOST:
        receive_underlay(dp, p);
        break;
    case VIF_VIRTUAL:
    case VIF_VLAN_SUB:
    case VIF_GATEWAY:
    case VIF_XEN_LL:
        receive_guest(dp, p);
        break;
    default:
        dp_drop(dp, p, DROP_INTERFACE_RX_DISCARD);
    }
}
