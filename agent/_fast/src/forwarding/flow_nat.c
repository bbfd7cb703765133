/* Address and port translation: values come from the reverse flow's key, checksums change by
 * what changed (RFC 1624; ICMP errors as RFC 5508 asks; facts datapath-behaviour.md 6). */
#include "flow_path.h"

enum { KEY_SPORT = 4, KEY_DPORT = 6, KEY_SRC = 12 };
enum { TCP_CHECKSUM = 16, UDP_CHECKSUM = 6, ICMP_CHECKSUM = 2, IP4_CHECKSUM = 10 };

/* New values for one direction, NULL: stays. */
struct translation {
    const uint8_t *src, *dst, *sport, *dport;
    const uint8_t *old_src;     /* the flow's own source, which an ICMP error may not have */
    uint32_t width;
};

/* An unfolded one's complement sum of what changed, old words complemented. */
static void rewrite(uint8_t *at, const uint8_t *new, uint32_t length, uint64_t *change)
{
    for (uint32_t i = 0; i < length; i += 2)
        *change += (uint64_t)(uint16_t)~get16(at + i) + get16(new + i);
    memcpy(at, new, length);
}

static uint16_t changed_checksum(uint16_t checksum, uint64_t change)
{
    return (uint16_t)~sum_fold((uint64_t)(uint16_t)~checksum + change);
}

/* A checksum field follows a change; the field's own change is added to `outer`. */
static void follow(uint8_t *field, uint64_t change, bool is_udp, uint64_t *outer)
{
    uint8_t new[2];
    uint16_t old = get16(field);
    if (change == 0 || (is_udp && old == 0))
        return;
    uint16_t value = changed_checksum(old, change);
    put16(new, is_udp && value == 0 ? 0xffff : value);
    rewrite(field, new, 2, outer);
}

static uint32_t checksum_field(uint8_t proto)
{
    return proto == PROTO_TCP ? TCP_CHECKSUM : proto == PROTO_UDP ? UDP_CHECKSUM : ICMP_CHECKSUM;
}

static bool has_checksum(uint8_t proto)
{
    return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_ICMP || proto == PROTO_ICMP6;
}

static bool has_ports(uint8_t proto) { return proto == PROTO_TCP || proto == PROTO_UDP; }

static void rewrite_ports(uint8_t *l4, const uint8_t *sport, const uint8_t *dport,
                          uint64_t *change)
{
    if (sport)
        rewrite(l4, sport, 2, change);
    if (dport)
        rewrite(l4 + 2, dport, 2, change);
}

static void rewrite_addresses(uint8_t *ip, uint32_t width, const uint8_t *src, const uint8_t *dst,
                              uint64_t *change)
{
    uint8_t *at = ip + (width == 4 ? 12 : 8);
    if (src)
        rewrite(at, src, width, change);
    if (dst)
        rewrite(at + width, dst, width, change);
}

/* The quoted packet travelled the other way: what is our source is its destination. All that
 * changes in it is part of what the ICMP checksum covers. */
static void translate_quote(struct packet *p, const struct quote *quote,
                            const struct translation *to, uint64_t *covered)
{
    uint8_t *ip = p->buf + quote->ip, *l4 = p->buf + quote->l4;
    uint64_t addresses = 0, ports = 0;
    rewrite_addresses(ip, to->width, to->dst, to->src, &addresses);
    *covered += addresses;
    if (to->width == 4)
        follow(ip + IP4_CHECKSUM, addresses, false, covered);
    if (quote->later_fragment || !has_checksum(quote->proto))
        return;
    if (has_ports(quote->proto))
        rewrite_ports(l4, to->dport, to->sport, &ports);
    *covered += ports;
    uint32_t field = quote->l4 + checksum_field(quote->proto);
    uint64_t change = (quote->proto == PROTO_ICMP ? 0 : addresses) + ports;
    if (field + 2 <= p->l3_end)
        follow(p->buf + field, change, quote->proto == PROTO_UDP, covered);
}

/* Ports and the transport checksum; `addresses` changed in its pseudo header. */
static void translate_transport(struct packet *p, const struct translation *to,
                                uint64_t addresses)
{
    struct quote quote;
    uint8_t *l4 = p->buf + p->l4;
    uint64_t covered = 0, ignored = 0;
    uint32_t field = checksum_field(p->proto);
    if (!has_checksum(p->proto) || is_later_fragment(p) || p->l4 + field + 2 > p->l3_end)
        return;
    if (has_ports(p->proto))
        rewrite_ports(l4, to->sport, to->dport, &covered);
    else if (find_quote(p, &quote))
        translate_quote(p, &quote, to, &covered);
    uint64_t pseudo = p->proto == PROTO_ICMP ? 0 : addresses;
    if ((p->vnet.flags & VNET_NEEDS_CSUM) && p->vnet.csum_start == p->l4) {
        /* The field holds the pseudo header's sum, the rest is added on the way out. */
        if (pseudo)
            put16(l4 + field, sum_fold((uint64_t)get16(l4 + field) + pseudo));
        return;
    }
    follow(l4 + field, pseudo + covered, p->proto == PROTO_UDP, &ignored);
}

static struct translation translation_of(const uint8_t *entry, const uint8_t *partner)
{
    const uint8_t *key = partner + FE_KEY, *own = entry + FE_KEY;
    uint16_t flags = shm_load16(entry + FE_FLAGS);
    uint32_t width = entry[FE_KEY_LEN] == FLOW_KEY4 ? 4 : 16;
    return (struct translation){
        .src = flags & FL_SNAT ? key + KEY_SRC + width : NULL,
        .dst = flags & FL_DNAT ? key + KEY_SRC : NULL,
        .sport = flags & FL_SPAT ? key + KEY_DPORT : NULL,
        .dport = flags & FL_DPAT ? key + KEY_SPORT : NULL,
        .old_src = own + KEY_SRC,
        .width = width,
    };
}

int flow_translate(struct datapath *dp, struct packet *p, const uint8_t *entry)
{
    const uint8_t *partner = flow_partner(dp, entry);
    if (!partner)
        return DROP_FLOW_NAT_NO_RFLOW;
    struct translation to = translation_of(entry, partner);
    uint8_t *ip = p->buf + p->l3;
    uint64_t addresses = 0, ignored = 0;
    /* A router on the way that reports an error is not translated. */
    bool is_ours = memcmp(ip + (to.width == 4 ? 12 : 8), to.old_src, to.width) == 0;
    rewrite_addresses(ip, to.width, is_ours ? to.src : NULL, to.dst, &addresses);
    if (to.width == 4)
        follow(ip + IP4_CHECKSUM, addresses, false, &ignored);
    translate_transport(p, &to, addresses);
    return -1;
}
