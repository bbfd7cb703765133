/* The values in route stanzas: numbers, addresses, MAC addresses, prefixes, node names, ids. */
#include <arpa/inet.h>
#include <string.h>

#include "stanza.h"

const struct rs_family_numbers RS_FAMILY_NUMBERS[RS_FAMILIES] = {
    [RS_INET] = {1, 1},     [RS_INET6] = {2, 1},      [RS_INET_MPLS] = {1, 4},
    [RS_EVPN] = {25, 242},  [RS_ERMVPN] = {1, 241},   [RS_MVPN] = {1, 5},
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void trim(const char **text, size_t *size)
{
    while (*size && is_space(**text)) {
        ++*text;
        --*size;
    }
    while (*size && is_space((*text)[*size - 1]))
        --*size;
}

static bool digits(const char *text, size_t size, uint64_t limit, uint64_t *value)
{
    uint64_t sum = 0;
    if (!size)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = (unsigned char)text[i] - '0';
        if (digit > 9 || digit > limit || sum > (limit - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

bool rs_number(const char *text, size_t size, uint64_t limit, uint64_t *value)
{
    trim(&text, &size);
    *value = 0;
    return !size || digits(text, size, limit, value);
}

bool rs_is_number(const char *text, size_t size, uint64_t value)
{
    uint64_t number;
    trim(&text, &size);
    return digits(text, size, UINT32_MAX, &number) && number == value;
}

bool rs_range(const char *text, size_t size, uint32_t limit, uint32_t *first, uint32_t *last)
{
    trim(&text, &size);
    const char *dash = memchr(text, '-', size);
    uint64_t low, high;
    if (!dash || !digits(text, dash - text, limit, &low) ||
        !digits(dash + 1, size - (dash + 1 - text), limit, &high) || low > high)
        return false;
    *first = low;
    *last = high;
    return true;
}

bool rs_flag(const char *text, size_t size)
{
    trim(&text, &size);
    return (size == 4 && !memcmp(text, "true", 4)) || (size == 1 && *text == '1');
}

bool rs_inet4(const char *text, size_t size, uint8_t address[4])
{
    trim(&text, &size);
    const char *end = text + size;
    for (int i = 0; i < 4; i++) {
        unsigned sum = 0;
        const char *start = text;
        while (text < end && (unsigned char)(*text - '0') <= 9 && text - start < 3)
            sum = sum * 10 + (*text++ - '0');
        if (text == start || sum > 255 || (*start == '0' && text - start > 1))
            return false;
        address[i] = sum;
        if (i < 3 && (text == end || *text++ != '.'))
            return false;
    }
    return text == end;
}

static bool inet6(const char *text, size_t size, uint8_t address[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (size >= sizeof copy || memchr(text, 0, size))
        return false;
    memcpy(copy, text, size);
    copy[size] = 0;
    return inet_pton(AF_INET6, copy, address) == 1;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool rs_mac(const char *text, size_t size, uint8_t mac[6])
{
    trim(&text, &size);
    const char *end = text + size;
    for (int i = 0; i < 6; i++) {
        int octet = text < end ? hex(*text) : -1;
        if (octet < 0)
            return false;
        text++;
        if (text < end && hex(*text) >= 0)
            octet = octet * 16 + hex(*text++);
        mac[i] = octet;
        if (i < 5 && (text == end || *text++ != ':'))
            return false;
    }
    return text == end;
}

static void clear_host_bits(uint8_t *address, unsigned size, unsigned length)
{
    for (unsigned i = 0; i < size; i++) {
        unsigned kept = length > i * 8 ? length - i * 8 : 0;
        if (kept < 8)
            address[i] &= (uint8_t)(0xFF00 >> kept);
    }
}

bool rs_prefix(const char *text, size_t size, struct rs_key *key)
{
    trim(&text, &size);
    const char *slash = memchr(text, '/', size);
    uint64_t length;
    if (!slash)
        return false;
    size_t left = slash - text;
    if (memchr(text, ':', left)) {
        if (!inet6(text, left, key->address))
            return false;
        key->address_size = 16;
    } else {
        if (!left || is_space(*text) || is_space(slash[-1]) || !rs_inet4(text, left, key->address))
            return false;
        key->address_size = 4;
    }
    if (!digits(slash + 1, size - left - 1, key->address_size * 8u, &length))
        return false;
    key->length = length;
    clear_host_bits(key->address, key->address_size, key->length);
    return true;
}

/* `af/safi/REST`: the family, RS_UNKNOWN if there is no such, and where REST begins. */
bool rs_node(const char *text, size_t size, int *family, size_t *rest)
{
    const char *first = memchr(text, '/', size);
    if (!first)
        return false;
    size_t left = size - (first + 1 - text);
    const char *second = memchr(first + 1, '/', left);
    uint64_t af, safi;
    if (!second || !digits(text, first - text, UINT16_MAX, &af) ||
        !digits(first + 1, second - first - 1, UINT16_MAX, &safi))
        return false;
    *rest = second + 1 - text;
    for (*family = 0; *family < RS_FAMILIES; ++*family)
        if (RS_FAMILY_NUMBERS[*family].af == af && RS_FAMILY_NUMBERS[*family].safi == safi)
            break;
    return true;
}

/* `[TAG-]MAC,IP/len[,group,source]` */
static bool evpn_id(const char *text, size_t size, struct rs_key *key)
{
    const char *dash = memchr(text, '-', size);
    uint64_t tag = 0;
    if (dash) {
        if (!digits(text, dash - text, UINT32_MAX, &tag))
            return false;
        size -= dash + 1 - text;
        text = dash + 1;
    }
    const char *comma = memchr(text, ',', size);
    if (!comma || !rs_mac(text, comma - text, key->mac))
        return false;
    size -= comma + 1 - text;
    text = comma + 1;
    const char *end = memchr(text, ',', size);
    key->tag = tag;
    return rs_prefix(text, end ? (size_t)(end - text) : size, key);
}

/* `a.b.c.d:n:group,source` */
static bool group_id(const char *text, size_t size, struct rs_key *key)
{
    for (int i = 0; i < 2; i++) {
        const char *colon = memchr(text, ':', size);
        if (!colon)
            return false;
        size -= colon + 1 - text;
        text = colon + 1;
    }
    const char *comma = memchr(text, ',', size);
    if (!comma)
        return false;
    size_t left = comma - text;
    key->address_size = 4;
    key->length = 32;
    return rs_inet4(text, left, key->address) &&
           rs_inet4(comma + 1, size - left - 1, key->source);
}

bool rs_retract_key(int family, const char *text, size_t size, struct rs_key *key)
{
    switch (family) {
    case RS_EVPN:
        return evpn_id(text, size, key);
    case RS_ERMVPN:
    case RS_MVPN:
        return group_id(text, size, key);
    default:
        return rs_prefix(text, size, key) && key->address_size == (family == RS_INET6 ? 16 : 4);
    }
}
