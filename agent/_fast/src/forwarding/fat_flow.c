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

/* Is the rule about this protocol, one of these ports, these addresses? */
static bool fits(const struct fat_rule *rule, const uint8_t *key, const uint8_t *source,
                 const uint8_t *destination)
{
    if (rule->proto != key[KEY_PROTO])
        return false;
    if (rule->port && rule->port != get16(key + KEY_SPORT) && rule->port != get16(key + KEY_DPORT))
        return false;
    if ((rule->by_source || rule->by_destination) && rule->family != key[0])
        return false;
    return (!rule->by_source || in_prefix(source, rule->source.address, rule->source.bits))
        && (!rule->by_destination
            || in_prefix(destination, rule->destination.address, rule->destination.bits));
}

static bool is_configured(const struct vif_extras *extras, uint8_t proto, uint16_t port)
{
    for (uint32_t i = 0; i < extras->rules; i++)
        if (extras->rule[i].proto == proto && extras->rule[i].port == port)
            return true;
    return false;
}

/* Which of the ports stays: the configured one, the lower one of two. */
static void forget_ports(const struct vif_extras *extras, const struct fat_rule *rule,
                         uint8_t *key)
{
    uint16_t sport = get16(key + KEY_SPORT), dport = get16(key + KEY_DPORT);
    bool by_sport = rule->port && is_configured(extras, rule->proto, sport);
    bool by_dport = rule->port && is_configured(extras, rule->proto, dport);
    bool keeps_dport = by_dport && (!by_sport || dport <= sport);
    if (!rule->port || keeps_dport)
        put16(key + KEY_SPORT, 0);
    if (!rule->port || !keeps_dport)
        put16(key + KEY_DPORT, 0);
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
    uint8_t *source = key + KEY_ADDRESSES + (from_guest ? 0 : width);
    uint8_t *destination = key + KEY_ADDRESSES + (from_guest ? width : 0);
    for (uint32_t i = 0; i < extras->rules; i++) {
        const struct fat_rule *rule = &extras->rule[i];
        if (!fits(rule, key, source, destination))
            continue;
        forget_ports(extras, rule, key);
        mask(rule, source, destination, width);
        return;
    }
}
