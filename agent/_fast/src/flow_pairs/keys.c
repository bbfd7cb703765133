/* From a flow's key to its side. The hash is keyed: senders choose most bytes of a key. */
#include <string.h>

#include "table.h"

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t bucket_of(const struct pairs *pairs, const uint8_t *key, size_t length)
{
    uint64_t sum = pairs->with.seed ^ length, word;
    for (size_t at = 0; at + 4 <= length; at += 8) {
        word = 0;
        memcpy(&word, key + at, length - at < 8 ? 4 : 8);
        sum = fold(sum ^ word, 0x9e3779b97f4a7c15u ^ (pairs->with.seed << 1));
    }
    return (uint32_t)(sum ^ sum >> 32) & pairs->bucket_mask;
}

static uint32_t *head(struct pairs *pairs, const uint8_t *key)
{
    return &pairs->bucket[bucket_of(pairs, key, flow_key_length(key))];
}

/* Buckets and chains hold references + 1: fresh memory is empty. */
void keys_put(struct pairs *pairs, uint32_t number, int side)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->keyed & 1 << side)
        return;
    uint32_t *bucket = head(pairs, pair->is.side[side].key);
    pair->at[side].next_of_key = *bucket;
    *bucket = (number << 1 | (uint32_t)side) + 1;
    pair->keyed |= (uint8_t)(1 << side);
}

void keys_drop(struct pairs *pairs, uint32_t number, int side)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (!(pair->keyed & 1 << side))
        return;
    uint32_t *at = head(pairs, pair->is.side[side].key);
    uint32_t wanted = (number << 1 | (uint32_t)side) + 1;
    while (*at && *at != wanted)
        at = &pairs_at(pairs, number_of(*at - 1))->at[side_of(*at - 1)].next_of_key;
    if (*at)
        *at = pair->at[side].next_of_key;
    pair->keyed &= (uint8_t)~(1 << side);
}

uint32_t pairs_find(const struct pairs *pairs, const uint8_t *key, size_t length)
{
    if (length != FLOW_KEY_INET && length != FLOW_KEY)
        return FLOW_NONE;
    uint32_t at = pairs->bucket[bucket_of(pairs, key, length)];
    while (at) {
        const struct flow_pair *pair = pairs_at(pairs, number_of(at - 1));
        const uint8_t *other = pair->is.side[side_of(at - 1)].key;
        if (flow_key_length(other) == length && memcmp(other, key, length) == 0)
            return at - 1;
        at = pair->at[side_of(at - 1)].next_of_key;
    }
    return FLOW_NONE;
}
