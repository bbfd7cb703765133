/* The keys of fat flows. */
#include "fat_flow.h"

#include "vif_extras.h"

enum { KEY_PROTO = 1, KEY_SPORT = 4, KEY_DPORT = 6, KEY_ADDRESSES = 12 };

static bool in_prefix(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(address, prefix, whole) == 0
        && (!rest || ((address[whole] ^ prefix[whole]) & (0xff00 >> rest) & 0xff) == 0);
}

static void keep_bits(uint8_t *address, unsigned width, unsigned bits)
{
    unsigned whole = bits / 8;
    if (whole >= width)
        return;
    address[whole] &= (uint8_t)(0xff00 >> bits % 8);
    memset(address + whole + 1, 0, width - whole - 1);
}

static bool has_ports(uint8_t proto)
{
    return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP;
}

static bool is_excluded(const struct vif_extras *extras, const uint8_t *key, unsigned width)
{
    for (uint32_t i = 0; i < extras->excludes; i++) {
        const struct fat_exclude *exclude = &extras->exclude[i];
        if (exclude->family == key[0]
            && (in_prefix(key + KEY_ADDRESSES, exclude->address, exclude->bits)
                || in_prefix(key + KEY_ADDRESSES + width, exclude->address, exclude->bits)))
            return true;
    }
    return false;
}

/* Does the rule speak of these addresses? Rules without prefixes speak of all. */
static bool fits(const struct fat_rule *rule, const uint8_t *key, const uint8_t *source,
                 const uint8_t *destination)
{
    if (!rule->by_source && !rule->by_destination)
        return true;
    return rule->family == key[0]
        && (!rule->by_source || in_prefix(source, rule->source.address, rule->source.bits))
        && (!rule->by_destination
            || in_prefix(destination, rule->destination.address, rule->destination.bits));
}

static const struct fat_rule *find_rule(const struct vif_extras *extras, const uint8_t *key,
                                        uint16_t port, const uint8_t *source,
                                        const uint8_t *destination)
{
    for (uint32_t i = 0; i < extras->rules; i++) {
        const struct fat_rule *rule = &extras->rule[i];
        if (rule->proto == key[KEY_PROTO] && rule->port == port
            && fits(rule, key, source, destination))
            return rule;
    }
    return NULL;
}

static void mask(const struct fat_rule *rule, uint8_t *source, uint8_t *destination,
                 unsigned width)
{
    if (rule->ignore == FAT_SOURCE)
        keep_bits(source, width, 0);
    else if (rule->by_source)
        keep_bits(source, width, rule->source.keep);
    if (rule->ignore == FAT_DESTINATION)
        keep_bits(destination, width, 0);
    else if (rule->by_destination)
        keep_bits(destination, width, rule->destination.keep);
}

void fat_flow_apply(const struct vif *vif, bool from_guest, uint8_t *key)
{
    const struct vif_extras *extras = vif->extras;
    unsigned width = key[0] == AF_V4 ? 4 : 16;
    if (!extras || !extras->rules || is_excluded(extras, key, width))
        return;
    /* A rule speaks of packets on their way to the guest: its answers have it reversed. */
    uint8_t *source = key + KEY_ADDRESSES + (from_guest ? width : 0);
    uint8_t *destination = key + KEY_ADDRESSES + (from_guest ? 0 : width);
    uint16_t sport = get16(key + KEY_SPORT), dport = get16(key + KEY_DPORT);
    unsigned kept = sport < dport ? KEY_SPORT : KEY_DPORT;
    const struct fat_rule *rule = NULL;
    for (int turn = 0; !rule && turn < 2 && has_ports(key[KEY_PROTO]); turn++) {
        uint16_t port = get16(key + kept);
        rule = port ? find_rule(extras, key, port, source, destination) : NULL;
        kept ^= KEY_SPORT ^ KEY_DPORT;
    }
    if (rule) {
        put16(key + kept, 0);           /* the loop has moved on to the other one */
    } else if ((rule = find_rule(extras, key, 0, source, destination))) {
        put16(key + KEY_SPORT, 0);
        put16(key + KEY_DPORT, 0);
    } else {
        return;
    }
    mask(rule, source, destination, width);
}
