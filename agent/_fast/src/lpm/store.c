#include "store.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 16 };

static size_t place_of(const struct lpm_store *store, unsigned key_size, const uint8_t *key,
                       unsigned length)
{
    uint64_t high = 0, low = 0;
    if (key_size == 4) {
        uint32_t word;
        memcpy(&word, key, sizeof word);
        low = word;
    } else {
        memcpy(&high, key, sizeof high);
        memcpy(&low, key + sizeof high, sizeof low);
    }
    uint64_t mixed = (low ^ (high * 0x9e3779b97f4a7c15u) ^ ((uint64_t)length << 56));
    mixed *= 0xd6e8feb86659fd93u;
    mixed ^= mixed >> 32;
    mixed *= 0xd6e8feb86659fd93u;
    mixed ^= mixed >> 32;
    return mixed & (store->room - 1);
}

static int same(const struct lpm_store *store, unsigned key_size, size_t at, const uint8_t *key,
                unsigned length)
{
    return store->lengths[at] == length + 1 && !memcmp(store->keys + at * key_size, key, key_size);
}

static size_t find(const struct lpm_store *store, unsigned key_size, const uint8_t *key,
                   unsigned length)
{
    size_t at = place_of(store, key_size, key, length);
    while (store->lengths[at] && !same(store, key_size, at, key, length))
        at = (at + 1) & (store->room - 1);
    return at;
}

static int allocate(struct lpm_store *store, unsigned key_size, size_t room)
{
    store->keys = malloc(room * key_size);
    store->lengths = calloc(room, 1);
    store->values = malloc(room * sizeof *store->values);
    store->room = room;
    store->used = 0;
    if (store->keys && store->lengths && store->values)
        return 0;
    store_free(store);
    return -1;
}

int store_init(struct lpm_store *store, unsigned key_size)
{
    return allocate(store, key_size, FIRST_ROOM);
}

void store_free(struct lpm_store *store)
{
    free(store->keys);
    free(store->lengths);
    free(store->values);
    memset(store, 0, sizeof *store);
}

int store_reserve(struct lpm_store *store, unsigned key_size)
{
    if ((store->used + 1) * 4 < store->room * 3)
        return 0;
    struct lpm_store larger;
    if (allocate(&larger, key_size, store->room * 2))
        return -1;
    for (size_t at = 0; at < store->room; at++)
        if (store->lengths[at])
            store_put(&larger, key_size, store->keys + at * key_size, store->lengths[at] - 1u,
                      store->values[at]);
    store_free(store);
    *store = larger;
    return 0;
}

void store_put(struct lpm_store *store, unsigned key_size, const uint8_t *key, unsigned length,
               uint32_t value)
{
    size_t at = find(store, key_size, key, length);
    if (!store->lengths[at]) {
        store->used++;
        store->lengths[at] = (uint8_t)(length + 1);
        memcpy(store->keys + at * key_size, key, key_size);
    }
    store->values[at] = value;
}

int store_drop(struct lpm_store *store, unsigned key_size, const uint8_t *key, unsigned length)
{
    size_t mask = store->room - 1, hole = find(store, key_size, key, length);
    if (!store->lengths[hole])
        return 0;
    for (size_t at = (hole + 1) & mask; store->lengths[at]; at = (at + 1) & mask) {
        const uint8_t *moved = store->keys + at * key_size;
        size_t home = place_of(store, key_size, moved, store->lengths[at] - 1u);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* its home lies after the hole: it may stay */
        memcpy(store->keys + hole * key_size, moved, key_size);
        store->lengths[hole] = store->lengths[at];
        store->values[hole] = store->values[at];
        hole = at;
    }
    store->lengths[hole] = 0;
    store->used--;
    return 1;
}

uint32_t store_get(const struct lpm_store *store, unsigned key_size, const uint8_t *key,
                   unsigned length)
{
    size_t at = find(store, key_size, key, length);
    return store->lengths[at] ? store->values[at] : LPM_NONE;
}
