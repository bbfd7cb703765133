/* Longest-prefix match over 4- or 16-byte keys.
 *
 * A trie with one node a byte. A node maps the 256 values of its byte to slots, kept as
 * runs of equal slots, so that a node costs 44 bytes when it holds one host route and
 * 1288 when it is full. A slot is a value, nothing, or a child node; what a prefix that
 * ends above a child gives to the whole child is kept in the child's head, so that an
 * update touches one node and at most the heads of its children.
 *
 * An exact store (a hash of all prefixes) answers what the trie has overwritten: which
 * prefix shows again when a longer one goes.
 *
 * Not thread safe: the caller lets no update run beside a lookup.
 */
#ifndef VROUTER_LPM_H
#define VROUTER_LPM_H

#include <stddef.h>
#include <stdint.h>

#define LPM_NONE 0x7fffffffu /* also the first value that is not allowed */
#define LPM_CLASSES 5
#define LPM_MAX_KEY 16

struct lpm_pool {
    uint8_t *memory;
    uint32_t used, room, free_head, free_count;
};

struct lpm_store {
    uint8_t *keys;
    uint8_t *lengths; /* prefix length + 1; 0 = empty */
    uint32_t *values;
    size_t room, used;
};

/* Where the first two bytes of an address lead, and the best value on the way. */
struct lpm_top {
    uint32_t ref, best;
};

struct lpm {
    unsigned key_size;
    uint32_t root;
    struct lpm_pool pools[LPM_CLASSES];
    struct lpm_store store;
    struct lpm_top *top; /* 65536 entries in large tables, else NULL */
    size_t by_length[8 * LPM_MAX_KEY + 1];
};

/* All return 0, or -1 when memory ran out (the table is then unchanged). */
int lpm_init(struct lpm *table, unsigned key_size);
void lpm_free(struct lpm *table);

/* Keys have key_size bytes and no bit set beyond the prefix length. */
int lpm_insert(struct lpm *table, const uint8_t *key, unsigned length, uint32_t value);
/* 1 when it was there, 0 when not, -1 when memory ran out. */
int lpm_remove(struct lpm *table, const uint8_t *key, unsigned length);
uint32_t lpm_exact(const struct lpm *table, const uint8_t *key, unsigned length);
/* The longest stored prefix shorter than `length` that contains key; its length or -1. */
int lpm_covering(const struct lpm *table, const uint8_t *key, unsigned length, uint32_t *value);

uint32_t lpm_lookup(const struct lpm *table, const uint8_t *address);
void lpm_lookup_many(const struct lpm *table, const uint8_t *addresses, size_t count,
                     uint32_t *values);
/* Walk the store: the next used place at or after `at`, or store.room. */
size_t lpm_next(const struct lpm *table, size_t at);
size_t lpm_memory(const struct lpm *table);

#endif
