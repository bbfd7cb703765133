/* The key of an entry, from the texts of its fields. */
#include "parser.h"

static bool any_cut(const struct key_text *texts)
{
    bool cut = false;
    for (int i = 0; i < RS_KEY_FIELDS; i++)
        cut |= texts[i].cut;
    return cut;
}

static bool evpn_key(const struct key_text *texts, struct rs_key *key)
{
    uint64_t tag;
    if (!rs_number(texts[RS_KEY_TAG].bytes, texts[RS_KEY_TAG].size, UINT32_MAX, &tag))
        return false;
    key->tag = tag;
    return rs_mac(texts[RS_KEY_MAC].bytes, texts[RS_KEY_MAC].size, key->mac) &&
           rs_prefix(texts[RS_KEY_ADDRESS].bytes, texts[RS_KEY_ADDRESS].size, key);
}

static bool group_key(const struct key_text *texts, struct rs_key *key)
{
    const struct key_text *source = &texts[RS_KEY_SOURCE];
    key->address_size = 4;
    key->length = 32;
    return rs_inet4(texts[RS_KEY_GROUP].bytes, texts[RS_KEY_GROUP].size, key->address) &&
           (!source->size || rs_inet4(source->bytes, source->size, key->source));
}

/* False if they make none. */
bool rs_read_key(const struct key_text *texts, int family, struct rs_key *key)
{
    if (any_cut(texts))
        return false;
    switch (family) {
    case RS_EVPN:
        return evpn_key(texts, key);
    case RS_ERMVPN:
    case RS_MVPN:
        return group_key(texts, key);
    default:
        return rs_prefix(texts[RS_KEY_ADDRESS].bytes, texts[RS_KEY_ADDRESS].size, key) &&
               key->address_size == (family == RS_INET6 ? 16 : 4);
    }
}
