/* Flow keys of packets (facts shared-memory.md 3). */
#include "flow_path.h"
#include "fragment.h"

enum {
    KEY_FAMILY = 0, KEY_PROTO = 1, KEY_SPORT = 4, KEY_DPORT = 6, KEY_NEXTHOP = 8, KEY_SRC = 12,
    KEY_DST4 = 16, KEY_DST6 = 28, PORTS = 8,
};
enum { ECHO_REPLY = 0, UNREACHABLE = 3, ECHO = 8, TIME_EXCEEDED = 11, ECHO6 = 128,
       ECHO6_REPLY = 129, FIRST_INFORMATIONAL6 = 128 };

/* Bytes of the transport header that a whole packet must have. */
static uint32_t transport_size(uint8_t proto)
{
    switch (proto) {
    case PROTO_TCP: return TCP_LEN;
    case PROTO_UDP: return UDP_LEN;
    case PROTO_SCTP: return SCTP_LEN;
    case PROTO_ICMP:
    case PROTO_ICMP6: return ICMP_LEN;
    case PROTO_IGMP: return IGMP_LEN;
    default: return 0;
    }
}

static bool is_echo(uint8_t proto, uint8_t type)
{
    return proto == PROTO_ICMP ? type == ECHO || type == ECHO_REPLY
                               : type == ECHO6 || type == ECHO6_REPLY;
}

static bool is_error(uint8_t proto, uint8_t type)
{
    return proto == PROTO_ICMP ? type == UNREACHABLE || type == TIME_EXCEEDED
                               : proto == PROTO_ICMP6 && type < FIRST_INFORMATIONAL6;
}

static bool is_icmp(uint8_t proto) { return proto == PROTO_ICMP || proto == PROTO_ICMP6; }

/* The port fields for the first bytes of a transport header. */
static void put_ports(uint8_t *key, uint8_t proto, const uint8_t *l4)
{
    memset(key + KEY_SPORT, 0, 4);
    if (proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP) {
        memcpy(key + KEY_SPORT, l4, 4);
    } else if (is_icmp(proto) && is_echo(proto, l4[0])) {
        memcpy(key + KEY_SPORT, l4 + 4, 2);
        key[KEY_DPORT + 1] = proto == PROTO_ICMP6 ? ECHO6_REPLY : 0;
    } else if (is_icmp(proto)) {
        key[KEY_DPORT] = l4[0];     /* the type as a native number */
    }
}

static void start_key(struct flow_key *key, const struct packet *p, uint8_t proto,
                      uint32_t nexthop)
{
    bool v4 = p->l3_type == TYPE_IP4;
    memset(key->bytes, 0, sizeof key->bytes);
    key->length = v4 ? FLOW_KEY4 : FLOW_KEY6;
    key->bytes[KEY_FAMILY] = v4 ? AF_V4 : AF_V6;
    key->bytes[KEY_PROTO] = proto;
    memcpy(key->bytes + KEY_NEXTHOP, &nexthop, 4);
}

static void put_addresses(struct flow_key *key, const uint8_t *src, const uint8_t *dst)
{
    bool v4 = key->length == FLOW_KEY4;
    memcpy(key->bytes + KEY_SRC, src, v4 ? 4 : 16);
    memcpy(key->bytes + (v4 ? KEY_DST4 : KEY_DST6), dst, v4 ? 4 : 16);
}

bool is_later_fragment(const struct packet *p)
{
    if (!p->is_fragment)
        return false;
    return p->l3_type == TYPE_IP4 ? get16(p->buf + p->l3 + 6) & 0x1fff
                                  : get16(p->buf + p->l4 - IP6_FRAGMENT_LEN + 2) & 0xfff8;
}

/* Header sizes of the IP packet at `at`, of which `room` bytes are there. */
static bool parse_quote(const struct packet *p, uint32_t at, uint32_t room, struct quote *quote)
{
    const uint8_t *ip = p->buf + at;
    bool v4 = p->l3_type == TYPE_IP4;
    uint32_t size = v4 ? IP4_LEN : IP6_LEN;
    if (room < size || ip[0] >> 4 != (v4 ? 4 : 6))
        return false;
    quote->ip = at;
    quote->proto = v4 ? ip[9] : ip[6];
    quote->later_fragment = v4 && (get16(ip + 6) & 0x1fff);
    if (v4)
        size = (ip[0] & 15u) * 4;
    if (!v4 && quote->proto == PROTO_FRAGMENT) {
        size += IP6_FRAGMENT_LEN;
        if (room < size)
            return false;
        quote->proto = ip[IP6_LEN];
        quote->later_fragment = get16(ip + IP6_LEN + 2) & 0xfff8;
    }
    quote->l4 = at + size;
    bool needs_ports = !quote->later_fragment && transport_size(quote->proto);
    return size >= IP4_LEN && room >= size + (needs_ports ? PORTS : 0);
}

bool find_quote(const struct packet *p, struct quote *quote)
{
    if (is_later_fragment(p) || p->l4 + ICMP_LEN > p->l3_end || !is_error(p->proto, p->buf[p->l4]))
        return false;
    uint32_t at = p->l4 + ICMP_LEN;
    return parse_quote(p, at, p->l3_end - at, quote);
}

/* An ICMP error belongs to the flow of what it quotes, in the other direction. */
static int quoted_key(const struct packet *p, uint32_t nexthop, struct flow_key *key)
{
    static const uint8_t none[PORTS];
    struct quote quote;
    if (!find_quote(p, &quote))
        return DROP_ICMP_ERROR;
    const uint8_t *ip = p->buf + quote.ip;
    const uint8_t *l4 = quote.later_fragment ? none : p->buf + quote.l4;
    bool v4 = p->l3_type == TYPE_IP4;
    if (!transport_size(quote.proto))
        l4 = none;
    if (!quote.later_fragment && is_error(quote.proto, l4[0]))
        return DROP_ICMP_ERROR;
    start_key(key, p, quote.proto, nexthop);
    put_ports(key->bytes, quote.proto, l4);
    if (!is_icmp(quote.proto)) {
        uint8_t sport[2];
        memcpy(sport, key->bytes + KEY_SPORT, 2);
        memcpy(key->bytes + KEY_SPORT, key->bytes + KEY_DPORT, 2);
        memcpy(key->bytes + KEY_DPORT, sport, 2);
    }
    put_addresses(key, ip + (v4 ? 16 : 24), ip + (v4 ? 12 : 8));
    return KEY_MADE;
}

/* The first bytes behind the IP header, of a fragment those of its head. */
static int first_bytes(struct datapath *dp, struct packet *p, uint32_t nexthop,
                       uint8_t l4[PORTS])
{
    uint32_t size = transport_size(p->proto), at = p->l4;
    uint8_t proto = p->proto;
    memset(l4, 0, PORTS);
    if (!is_later_fragment(p) && p->l3_end - p->l4 < size)
        return DROP_PULL;
    enum fragment_verdict verdict = FRAGMENT_NONE;
    if (p->is_fragment)
        verdict = fragment_ports(dp, p, nexthop, l4);
    if (verdict == FRAGMENT_TAKEN)
        return KEY_TAKEN;
    /* Of extension headers, keys see through one fragment header and no other. */
    p->proto = proto;
    p->l4 = at;
    if (verdict == FRAGMENT_NONE && size)
        memcpy(l4, p->buf + p->l4, PORTS);
    return KEY_MADE;
}

int flow_key_of(struct datapath *dp, struct packet *p, uint32_t nexthop, struct flow_key *key)
{
    const uint8_t *ip = p->buf + p->l3;
    bool v4 = p->l3_type == TYPE_IP4;
    uint8_t l4[PORTS];
    if (v4 ? p->proto == PROTO_ICMP6 : p->proto == PROTO_ICMP || p->proto == PROTO_IGMP)
        return DROP_FLOW_INVALID_PROTOCOL;
    int verdict = first_bytes(dp, p, nexthop, l4);
    if (verdict != KEY_MADE)
        return verdict;
    if (is_error(p->proto, l4[0]))
        return is_later_fragment(p) ? DROP_FRAGMENTS : quoted_key(p, nexthop, key);
    start_key(key, p, p->proto, nexthop);
    put_ports(key->bytes, p->proto, l4);
    put_addresses(key, ip + (v4 ? 12 : 8), ip + (v4 ? 16 : 24));
    return KEY_MADE;
}
