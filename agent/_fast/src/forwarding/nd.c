/* Neighbour solicitations of guests: the proxy table of ARP, answers of RFC 4861. */
#include "dp.h"

enum { NS_LEN = 24, NA_LEN = 32, OPTION_SOURCE = 1, OPTION_TARGET = 2, NA_ROUTER = 0x80,
       NA_SOLICITED = 0x40, ND_HOP_LIMIT = 255 };

static void put_advertisement(struct packet *answer, const struct packet *asked,
                              const uint8_t *mac, bool router)
{
    const uint8_t *eth = asked->buf + asked->eth, *ip = asked->buf + asked->l3;
    const uint8_t *target = asked->buf + asked->l4 + 8;
    uint8_t *out = data_of(answer);
    memset(out, 0, answer->len);
    memcpy(out, eth + 6, 6);
    memcpy(out + 6, mac, 6);
    put16(out + 12, TYPE_IP6);
    out += ETH_LEN;
    out[0] = 0x60;
    put16(out + 4, NA_LEN);
    out[6] = PROTO_ICMP6;
    out[7] = ND_HOP_LIMIT;
    memcpy(out + 8, target, 16);
    memcpy(out + 24, ip + 8, 16);
    uint8_t *icmp = out + IP6_LEN;
    icmp[0] = ND_NA;
    icmp[4] = (uint8_t)(NA_SOLICITED | (router ? NA_ROUTER : 0));
    memcpy(icmp + 8, target, 16);
    icmp[24] = OPTION_TARGET;
    icmp[25] = 1;
    memcpy(icmp + 26, mac, 6);
    put16(icmp + 2, checksum_of(icmp, NA_LEN, sum_bytes(out + 8, 32, PROTO_ICMP6 + NA_LEN)));
}

static void advertise(struct datapath *dp, struct packet *p, const uint8_t *mac)
{
    struct packet *answer = packet_take(&dp->pool);
    if (!answer) {
        dp_drop(dp, p, DROP_NO_MEMORY);
        return;
    }
    answer->len = ETH_LEN + IP6_LEN + NA_LEN;
    answer->l3 = answer->off + ETH_LEN;
    answer->l3_type = TYPE_IP6;
    put_advertisement(answer, p, mac, mac_equal(mac, p->in->mac));
    send_answer(dp, p, answer);
}

bool nd_input(struct datapath *dp, struct packet *p, bool to_me)
{
    static const uint8_t unspecified[16];
    uint8_t mac[6];
    if (!has_bytes(p, p->l4, NS_LEN) || p->buf[p->l3 + 7] != ND_HOP_LIMIT) {
        dp_drop(dp, p, DROP_INVALID_PACKET);
        return true;
    }
    /* Duplicate address detection is the guests' own business. */
    if (memcmp(p->buf + p->l3 + 8, unspecified, 16) == 0)
        return false;
    const uint8_t *target = p->buf + p->l4 + 8;
    const struct route *route = find_route6(dp, p->vrf, target);
    struct question q = {p, route, route ? dp_nexthop(dp, route->nh) : NULL};
    enum verdict verdict = V_FLOOD;
    if ((p->in->flags & VIFF_MAC_PROXY) || (route && (route->flags & RTF_PROXY)))
        verdict = proxy_verdict(dp, &q, mac);
    else if (p->in->flags & VIFF_SERVICE)
        verdict = V_DROP;
    if (verdict == V_ANSWER)
        advertise(dp, p, mac);
    else if (verdict == V_DROP || to_me)
        dp_drop(dp, p, DROP_INVALID_ARP);
    else
        return false;
    return true;
}
