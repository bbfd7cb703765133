/* Buffers, header parsing and checksums. Nothing here knows about the router. */
#include "packet.h"

#include <stdlib.h>

#include "wire.h"

uint64_t sum_bytes(const uint8_t *at, size_t length, uint64_t sum)
{
    uint64_t words = 0;
    for (; length >= 4; at += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, at, 4);
        words += word;
    }
    if (length >= 2) {
        uint16_t half;
        memcpy(&half, at, 2);
        words += half;
        at += 2;
        length -= 2;
    }
    if (length) {
        uint8_t last[2] = {at[0], 0};
        uint16_t half;
        memcpy(&half, last, 2);
        words += half;
    }
    /* Native words give the byte-swapped sum (RFC 1071 section 2B). */
    uint16_t folded = sum_fold(words);
    uint8_t bytes[2];
    memcpy(bytes, &folded, 2);
    return sum + get16(bytes);
}

struct packet *packet_take(struct packet_pool *pool)
{
    struct packet *p = pool->free;
    if (p) {
        pool->free = p->next_free;
    } else {
        if (pool->made >= pool->limit || !(p = malloc(sizeof *p)))
            return NULL;
        pool->made++;
    }
    memset(p, 0, offsetof(struct packet, buf));
    p->off = p->frame = p->eth = HEADROOM;
    p->vlan = 0xffff;
    p->ttl = 64;
    p->is_l2 = 1;
    p->label = LABEL_NONE;
    return p;
}

void packet_give(struct packet_pool *pool, struct packet *p)
{
    packet_unseal(p);
    p->next_free = pool->free;
    pool->free = p;
}

struct packet *packet_clone(struct packet_pool *pool, const struct packet *p)
{
    struct packet *copy = packet_take(pool);
    if (!copy)
        return NULL;
    memcpy(copy, p, offsetof(struct packet, buf));
    uint32_t first = p->frame < p->off ? p->frame : p->off;
    memcpy(copy->buf + first, p->buf + first, p->off + p->len - first);
    return copy;
}

void packet_pool_drain(struct packet_pool *pool)
{
    while (pool->free) {
        struct packet *p = pool->free;
        pool->free = p->next_free;
        free(p);
        pool->made--;
    }
}

uint8_t *packet_push(struct packet *p, uint32_t count)
{
    if (count > p->off)
        return NULL;
    p->off -= count;
    p->len += count;
    return data_of(p);
}

bool packet_pull(struct packet *p, uint32_t count)
{
    if (count > p->len)
        return false;
    p->off += count;
    p->len -= count;
    return true;
}

void packet_move_to(struct packet *p, uint32_t at)
{
    p->len += p->off - at;
    p->off = at;
}

static uint16_t little16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }
static void put_little16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

void packet_load_vnet(struct packet *p, const uint8_t *header)
{
    p->vnet.flags = header[0] & (VNET_NEEDS_CSUM | VNET_DATA_VALID);
    p->vnet.gso_type = header[1];
    p->vnet.headers_end = p->off + little16(header + 2);
    p->vnet.gso_size = little16(header + 4);
    p->vnet.csum_start = p->off + little16(header + 6);
    p->vnet.csum_offset = little16(header + 8);
    /* A header that does not fit its frame asks for nothing. */
    if (!has_bytes(p, p->vnet.csum_start, p->vnet.csum_offset + 2u))
        p->vnet.flags &= (uint8_t)~VNET_NEEDS_CSUM;
    if (p->vnet.gso_size == 0 || !(p->vnet.flags & VNET_NEEDS_CSUM))
        p->vnet.gso_type = GSO_NONE;
}

void packet_store_vnet(struct packet *p, uint8_t *header)
{
    memset(header, 0, VNET_LEN);
    if ((p->vnet.flags & VNET_NEEDS_CSUM) && p->vnet.csum_start >= p->off) {
        header[0] = VNET_NEEDS_CSUM;
        put_little16(header + 6, p->vnet.csum_start - p->off);
        put_little16(header + 8, p->vnet.csum_offset);
    } else {
        header[0] = p->vnet.flags & VNET_DATA_VALID;
    }
    if (p->vnet.gso_type != GSO_NONE) {
        uint32_t end = p->vnet.headers_end > p->off ? p->vnet.headers_end - p->off : 0;
        header[1] = p->vnet.gso_type;
        put_little16(header + 2, end < p->len ? end : p->len);
        put_little16(header + 4, p->vnet.gso_size);
    }
}

bool packet_parse_ethernet(struct packet *p)
{
    const uint8_t *eth = data_of(p);
    if (p->len < ETH_LEN)
        return false;
    uint32_t at = ETH_LEN;
    uint16_t type = get16(eth + 12);
    p->vlan = 0xffff;
    while (type == TYPE_VLAN || type == TYPE_QINQ) {
        if (p->len < at + VLAN_LEN)
            return false;
        if (p->vlan == 0xffff)
            p->vlan = get16(eth + at) & 0xfff;
        type = get16(eth + at + 2);
        at += VLAN_LEN;
    }
    p->eth = p->off;
    p->l3 = p->off + at;
    p->l3_type = type;
    p->l4 = 0;
    p->is_l2 = 1;
    p->is_mcast = mac_is_group(eth);
    return true;
}

static int parse_ip4(struct packet *p)
{
    if (!has_bytes(p, p->l3, IP4_LEN))
        return DROP_PULL;
    const uint8_t *ip = p->buf + p->l3;
    uint32_t header = (ip[0] & 15u) * 4, total = get16(ip + 2);
    uint32_t room = p->off + p->len - p->l3;
    if (ip[0] >> 4 != 4 || header < IP4_LEN || total < header)
        return DROP_INVALID_PACKET;
    if (total > room)
        return DROP_PULL;
    p->l4 = p->l3 + header;
    p->l3_end = p->l3 + total;
    p->proto = ip[9];
    p->is_fragment = (get16(ip + 6) & 0x3fff) != 0;
    return -1;
}

static int parse_ip6(struct packet *p)
{
    if (!has_bytes(p, p->l3, IP6_LEN))
        return DROP_PULL;
    const uint8_t *ip = p->buf + p->l3;
    uint32_t total = IP6_LEN + get16(ip + 4);
    uint32_t room = p->off + p->len - p->l3;
    if (ip[0] >> 4 != 6)
        return DROP_INVALID_PACKET;
    if (total > room)
        return DROP_PULL;
    p->l4 = p->l3 + IP6_LEN;
    p->l3_end = p->l3 + total;
    p->proto = ip[6];
    p->is_fragment = p->proto == PROTO_FRAGMENT;
    if (!p->is_fragment)
        return -1;
    if (total < IP6_LEN + IP6_FRAGMENT_LEN)
        return DROP_PULL;
    p->proto = p->buf[p->l4];
    p->l4 += IP6_FRAGMENT_LEN;
    return -1;
}

int packet_parse_ip(struct packet *p)
{
    return p->l3_type == TYPE_IP6 ? parse_ip6(p) : parse_ip4(p);
}

/* Finalizer of a 64-bit mix; the seed makes its result unknown to senders. */
static uint64_t mix64(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x7fb5d329728ea185u;
    x ^= x >> 27;
    x *= 0x81dadef4bc2dd44du;
    return x ^ x >> 33;
}

uint32_t packet_flow_hash(struct packet *p, uint32_t seed, unsigned mask)
{
    uint64_t h = seed * 0x9e3779b97f4a7c15u;
    unsigned take = mask & 0x1f ? mask & 0x1f : 0x1f;
    bool ip = (p->l3_type == TYPE_IP4 || p->l3_type == TYPE_IP6) && p->l4;
    if (!ip) {
        if (p->is_l2 && has_bytes(p, p->off, 12))
            h = mix64(h ^ get64(data_of(p)) ^ (uint64_t)get32(data_of(p) + 8) << 32);
        return (uint32_t)(h >> 32);
    }
    const uint8_t *ip_header = p->buf + p->l3;
    uint32_t width = p->l3_type == TYPE_IP4 ? 4 : 16, at = width == 4 ? 12 : 8;
    for (uint32_t i = 0; i < width; i += 4) {
        uint64_t from = take & 2 ? get32(ip_header + at + i) : 0;
        uint64_t to = take & 8 ? get32(ip_header + at + width + i) : 0;
        h = mix64(h ^ (from << 32 | to));
    }
    uint64_t rest = take & 1 ? p->proto : 0;
    bool ports = p->proto == PROTO_TCP || p->proto == PROTO_UDP || p->proto == PROTO_SCTP;
    if (ports && !p->is_fragment && has_bytes(p, p->l4, 4)) {
        rest |= take & 4 ? (uint64_t)get16(p->buf + p->l4) << 8 : 0;
        rest |= take & 0x10 ? (uint64_t)get16(p->buf + p->l4 + 2) << 24 : 0;
    }
    return (uint32_t)(mix64(h ^ rest) >> 32);
}

void packet_trim(struct packet *p)
{
    if (p->l3_end > p->off && p->l3_end < p->off + p->len)
        p->len = p->l3_end - p->off;
}

void packet_decrement_ttl(struct packet *p)
{
    if (p->l3_type != TYPE_IP4 || p->ttl == 0)
        return;
    uint8_t *ip = p->buf + p->l3;
    uint16_t old = get16(ip + 8);
    ip[8]--;
    p->ttl = ip[8];
    put16(ip + 10, checksum_change(get16(ip + 10), old, get16(ip + 8)));
}
