/* Fat flows: several flows of a port that are one in the datapath (facts oper-db.md 4.3).
 *
 * The key forgets a port where the other one is configured (the lower one stays where both
 * are), an address that is to be ignored, or the host part of one in a configured prefix.
 * "Source" and "destination" are those of packets that the VM sends. */
#include "work.h"

static bool inside(const uint8_t *address, const uint8_t *prefix, unsigned length)
{
    unsigned whole = length / 8, rest = length % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return memcmp(address, prefix, whole) == 0
        && (rest == 0 || ((address[whole] ^ prefix[whole]) & mask) == 0);
}

static void cut(uint8_t *address, size_t size, unsigned length)
{
    for (size_t i = 0; i < size; i++) {
        unsigned from = 8 * (unsigned)i;
        if (length <= from)
            address[i] = 0;
        else if (length < from + 8)
            address[i] &= (uint8_t)(0xff00 >> (length - from));
    }
}

static bool in_prefix(const struct work *k, const struct port_address *prefix, uint8_t plen,
                      const uint8_t *address)
{
    return !prefix->family
        || (prefix->family == k->packet->family && inside(address, prefix->bytes, plen));
}

static bool about(const struct work *k, const struct port_fat *fat, const uint8_t *sent_src,
                  const uint8_t *sent_dst)
{
    if (fat->proto != k->packet->proto)
        return false;
    if (fat->port && fat->port != k->is.sport && fat->port != k->is.dport)
        return false;
    return in_prefix(k, &fat->src, fat->src_plen, sent_src)
        && in_prefix(k, &fat->dst, fat->dst_plen, sent_dst);
}

static void hide(struct work *k, const struct port_fat *fat, uint8_t *src, uint8_t *dst)
{
    size_t size = address_size(k);
    if (fat->src.family)
        cut(src, size, fat->src_length);
    if (fat->dst.family)
        cut(dst, size, fat->dst_length);
    if (fat->ignore == FAT_SOURCE)
        memset(src, 0, size);
    if (fat->ignore == FAT_DESTINATION)
        memset(dst, 0, size);
    k->hidden = fat->ignore || fat->src.family || fat->dst.family;
}

/* Which of the ports is kept: the configured one, the lower of two, neither for "all". */
static void forget_ports(struct work *k, const struct port *port, const struct port_fat *fat)
{
    bool sport = false, dport = false;
    if (!fat->port) {
        k->is.sport = k->is.dport = 0;
        return;
    }
    for (uint32_t i = 0; i < port->is.fat_count; i++)
        if (port->is.fat[i].proto == fat->proto) {
            sport |= port->is.fat[i].port == k->is.sport;
            dport |= port->is.fat[i].port == k->is.dport;
        }
    if (dport && (!sport || k->is.dport <= k->is.sport))
        k->is.sport = 0;
    else
        k->is.dport = 0;
}

void mask_ports(struct work *k, const struct port *port)
{
    uint8_t *src = k->ingress ? k->key_src : k->key_dst;
    uint8_t *dst = k->ingress ? k->key_dst : k->key_src;
    for (uint32_t i = 0; is_vm(port) && i < port->is.fat_count; i++) {
        const struct port_fat *fat = &port->is.fat[i];
        if (!about(k, fat, src, dst))
            continue;
        forget_ports(k, port, fat);
        hide(k, fat, src, dst);
        k->decision->flags |= PAIR_FAT;
        TELL(k, STEP_FAT, i, port->vif);
        return;
    }
}
