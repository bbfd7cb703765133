/* Writing side of the shared hash tables (facts shared-memory.md 1, 2, 8).
 *
 * Readers in other processes hold no lock: an entry's content is complete before its
 * header says VALID, and it is VALID before a chain leads to it. */
#ifndef FORWARDING_TABLE_HASH_H
#define FORWARDING_TABLE_HASH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "shm_table.h"

enum { HENTRY_INDEX = 8, HENTRY_BUCKET = 12, HENTRY_LEN = 21, HENTRY_IN_FREE_LIST = 8 };

struct hash_table {
    uint8_t *base;
    uint32_t entry_size, main, total;
    uint32_t used, overflow_used;
    uint32_t *free;             /* overflow entries not in use, a stack */
};

bool hash_init(struct hash_table *table, uint8_t *base, size_t size, uint32_t entry_size,
               uint32_t main);
/* Everything free again, all bytes but the headers zero. */
void hash_clear(struct hash_table *table);
/* One entry as hash_clear leaves it. */
void hash_wipe(struct hash_table *table, uint32_t index);
/* Every overflow entry is free: the counts and the stack of free ones. */
void hash_forget(struct hash_table *table);
/* A free entry for this key, or -1 when the bucket and the overflow are full. */
int64_t hash_take(struct hash_table *table, const uint8_t *key, size_t length);
/* Let readers find the entry of hash_take. */
void hash_publish(struct hash_table *table, uint32_t index, const uint8_t *key, size_t length);
void hash_remove(struct hash_table *table, uint32_t index);

static inline uint8_t *hash_entry(const struct hash_table *table, uint32_t index)
{
    return table->base + (size_t)index * table->entry_size;
}
static inline void store16(uint8_t *at, uint16_t value) { memcpy(at, &value, 2); }
static inline void store32(uint8_t *at, uint32_t value) { memcpy(at, &value, 4); }
static inline void store64(uint8_t *at, uint64_t value) { memcpy(at, &value, 8); }

/* All earlier stores are visible before any later one. */
static inline void publish_barrier(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }

#endif
