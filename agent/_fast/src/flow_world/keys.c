/* Both keys of a pair (facts shared-memory.md 3, pkt0-services.md 12). */
#include "work.h"

enum { KEY_PROTO = 1, KEY_SPORT = 4, KEY_DPORT = 6, KEY_NEXTHOP = 8, KEY_SRC = 12 };

static void put_port(uint8_t *at, uint16_t port)
{
    at[0] = (uint8_t)(port >> 8);
    at[1] = (uint8_t)port;
}

static void write_key(const struct work *k, uint8_t *key, uint32_t nexthop, const uint8_t *src,
                      const uint8_t *dst, uint16_t sport, uint16_t dport)
{
    size_t size = address_size(k);
    memset(key, 0, FLOW_KEY);
    key[0] = k->packet->family;
    key[KEY_PROTO] = k->packet->proto;
    put_port(key + KEY_SPORT, sport);
    put_port(key + KEY_DPORT, dport);
    memcpy(key + KEY_NEXTHOP, &nexthop, 4);
    memcpy(key + KEY_SRC, src, size);
    memcpy(key + KEY_SRC + size, dst, size);
}

/* ICMP has no ports to swap; a fat flow of equal ports always loses the source's. */
static bool keeps_ports(const struct work *k)
{
    const struct flow_packet *p = k->packet;
    return is_icmp(p)
        || ((k->decision->flags & PAIR_FAT) && !k->nat && memcmp(p->sport, p->dport, 2) == 0
            && k->reverse_nexthop == p->key_nexthop);
}

void write_keys(struct work *k)
{
    const struct flow_packet *p = k->packet;
    uint8_t *forward = k->decision->side[FLOW_FORWARD].key;
    uint8_t *reverse = k->decision->side[FLOW_REVERSE].key;
    bool keep = keeps_ports(k);
    write_key(k, forward, p->key_nexthop, k->key_src, k->key_dst, k->is.sport, k->is.dport);
    if (k->nat)
        write_key(k, reverse, k->reverse_nexthop, k->to.dst, k->to.src,
                  keep ? k->is.sport : k->to.dport, keep ? k->is.dport : k->to.sport);
    else
        write_key(k, reverse, k->reverse_nexthop, k->key_dst, k->key_src,
                  keep ? k->is.sport : k->is.dport, keep ? k->is.dport : k->is.sport);
    if (memcmp(forward, reverse, FLOW_KEY) != 0)
        return;
    k->reason = k->reason ? k->reason : REASON_SAME_KEYS;
    memset(reverse, 0, FLOW_KEY);
}
