#include "packet.h"

#include "bytes.h"

enum { BOOTP_REPLY = 2, DHCP_ACK = 5, DHCP_REQUEST_INFORM = 8, BROADCAST_FLAG = 0x8000 };

uint32_t checksum_add(uint32_t sum, const uint8_t *data, size_t length)
{
    uint64_t total = sum;
    for (; length > 1; length -= 2, data += 2)
        total += get16(data);
    if (length)
        total += (uint32_t)data[0] << 8;
    while (total >> 32)
        total = (total & 0xffffffff) + (total >> 32);
    return (uint32_t)total;
}

uint16_t checksum_fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* All 44 bytes are written: what the datapath reads and what it does not. */
static uint8_t *put_encap(uint8_t *at, uint16_t ifindex, uint16_t vrf, uint16_t cmd)
{
    static const uint8_t outer[14] = {0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0x08, 0x00};
    at = put(at, outer, sizeof outer);
    at = put16(at, ifindex);
    at = put16(at, vrf);
    at = put16(at, cmd);
    return zero(at, 24);
}

static uint8_t *put_ethernet(uint8_t *at, const uint8_t *dst, const uint8_t *src, int vlan,
                             uint16_t type)
{
    at = put(at, dst, 6);
    at = put(at, src, 6);
    if (vlan >= 0) {
        at = put16(at, 0x8100);
        at = put16(at, (uint16_t)(vlan & 0xfff));
    }
    return put16(at, type);
}

size_t arp_build(uint8_t *out, const struct arp_frame *frame)
{
    uint8_t *at = put_encap(out, frame->ifindex, frame->vrf, CMD_SWITCH);
    at = put_ethernet(at, frame->eth_dst, frame->eth_src, frame->vlan, 0x0806);
    at = put16(at, 1);
    at = put16(at, 0x0800);
    at = put8(at, 6);
    at = put8(at, 4);
    at = put16(at, frame->op);
    at = put(at, frame->sender_mac, 6);
    at = put32(at, frame->sender);
    at = put(at, frame->target_mac, 6);
    at = put32(at, frame->target);
    return (size_t)(at - out);
}

static void put_ipv4_udp(uint8_t *at, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport,
                         uint16_t payload)
{
    uint8_t *ip = at;
    at = put16(at, 0x4500);
    at = put16(at, (uint16_t)(28 + payload));
    at = zero(at, 4);
    at = put16(at, 64 << 8 | 17);
    at = zero(at, 2);
    at = put32(at, src);
    at = put32(at, dst);
    put16(ip + 10, checksum_fold(checksum_add(0, ip, 20)));
    at = put16(at, sport);
    at = put16(at, dport);
    at = put16(at, (uint16_t)(8 + payload));
    zero(at, 2); /* no UDP checksum over IPv4 */
}

size_t dhcp_build_bound(const struct dhcp_answer *a)
{
    size_t options = 3 + a->head_length + a->lease_length + a->routes_length + a->router_length
        + a->tail_length + 1;
    size_t message = DHCP_FIXED + options;
    return DHCP_NO_OPTIONS - DHCP_FIXED + (message < DHCP_MIN ? DHCP_MIN : message);
}

static uint8_t *put_fixed(uint8_t *at, const struct dhcp_answer *a, const struct packet *p,
                          uint32_t address)
{
    at = put8(at, BOOTP_REPLY);
    at = put8(at, 1);
    at = put8(at, 6);
    at = put8(at, 0);
    at = put32(at, p->dhcp.xid);
    at = put16(at, 0);
    at = put16(at, p->dhcp.flags);
    at = put32(at, 0);
    at = put32(at, address);
    at = put32(at, a->next_server);
    at = put32(at, 0);
    at = put(at, p->dhcp.chaddr, 6);
    at = zero(at, 10 + 64 + 128);
    return put32(at, 0x63825363);
}

static uint8_t *put_options(uint8_t *at, const struct dhcp_answer *a, const struct packet *p,
                            uint8_t type, bool inform)
{
    at = put8(at, 53);
    at = put8(at, 1);
    at = put8(at, type);
    at = put(at, a->head, a->head_length);
    if (!inform)
        at = put(at, a->lease, a->lease_length);
    at = put(at, a->routes, a->routes_length);
    if (!a->routes_length || !p->dhcp.wants_routes) /* RFC 3442: 121 replaces 3 */
        at = put(at, a->router, a->router_length);
    at = put(at, a->tail, a->tail_length);
    return put8(at, 255);
}

size_t dhcp_build(uint8_t *out, const struct dhcp_answer *a, const struct packet *p, uint8_t type)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct dhcp *d = &p->dhcp;
    bool inform = d->msg_type == DHCP_REQUEST_INFORM;
    bool direct = inform || (!d->giaddr && (d->ciaddr || !(d->flags & BROADCAST_FLAG)));
    uint8_t *at = put_encap(out, a->ifindex, a->vrf, CMD_SWITCH);
    at = put_ethernet(at, direct ? d->chaddr : broadcast, a->source_mac, a->vlan, 0x0800);
    uint8_t *ip = at, *bootp = at + 28;
    at = put_fixed(bootp, a, p, inform ? 0 : a->address);
    at = put_options(at, a, p, type, inform);
    if (at - bootp < DHCP_MIN) /* RFC 951 relays and boot ROMs drop shorter messages */
        at = zero(at, (size_t)(DHCP_MIN - (at - bootp)));
    put_ipv4_udp(ip, a->source, direct ? a->address : 0xffffffff, 67, 68, (uint16_t)(at - bootp));
    return (size_t)(at - out);
}
