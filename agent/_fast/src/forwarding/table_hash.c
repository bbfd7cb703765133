/* Entries of the shared tables: allocation in buckets of 4 and overflow chains. */
#include "table_hash.h"

#include <stdlib.h>

void hash_wipe(struct hash_table *table, uint32_t index)
{
    uint8_t *entry = hash_entry(table, index);
    memset(entry, 0, table->entry_size);
    store32(entry + HENTRY_INDEX, index);
    store32(entry + SHM_NEXT_INDEX, SHM_NONE);
    if (index >= table->main)
        entry[SHM_HENTRY_FLAGS] = HENTRY_IN_FREE_LIST;
}

void hash_forget(struct hash_table *table)
{
    uint32_t overflow = table->total - table->main;
    for (uint32_t i = 0; i < overflow; i++)
        table->free[i] = table->total - 1 - i;
    table->used = table->overflow_used = 0;
}

void hash_clear(struct hash_table *table)
{
    for (uint32_t index = 0; index < table->total; index++)
        hash_wipe(table, index);
    hash_forget(table);
}

bool hash_init(struct hash_table *table, uint8_t *base, size_t size, uint32_t entry_size,
               uint32_t main)
{
    memset(table, 0, sizeof *table);
    table->base = base;
    table->entry_size = entry_size;
    table->main = main;
    table->total = (uint32_t)(size / entry_size);
    table->free = malloc((table->total - main + 1) * sizeof *table->free);
    if (!table->free)
        return false;
    hash_clear(table);
    return true;
}

static uint32_t bucket_of(const struct hash_table *table, const uint8_t *key, size_t length)
{
    return (shm_hash(key, length) % table->main) & ~(uint32_t)(SHM_BUCKET - 1);
}

int64_t hash_take(struct hash_table *table, const uint8_t *key, size_t length)
{
    uint32_t first = bucket_of(table, key, length);
    for (uint32_t index = first; index < first + SHM_BUCKET; index++)
        if (!(hash_entry(table, index)[SHM_HENTRY_FLAGS] & SHM_HENTRY_VALID))
            return index;
    uint32_t left = table->total - table->main - table->overflow_used;
    return left ? (int64_t)table->free[left - 1] : -1;
}

void hash_publish(struct hash_table *table, uint32_t index, const uint8_t *key, size_t length)
{
    uint8_t *entry = hash_entry(table, index);
    uint32_t last = bucket_of(table, key, length) + SHM_BUCKET - 1;
    table->used++;
    if (index < table->main) {
        store32(entry + HENTRY_BUCKET, SHM_NONE);
        publish_barrier();
        entry[SHM_HENTRY_FLAGS] = SHM_HENTRY_VALID;
        return;
    }
    uint8_t *head = hash_entry(table, last);
    table->overflow_used++;
    store32(entry + HENTRY_BUCKET, last);
    store32(entry + SHM_NEXT_INDEX, shm_load32(head + SHM_NEXT_INDEX));
    publish_barrier();
    entry[SHM_HENTRY_FLAGS] = SHM_HENTRY_VALID;
    publish_barrier();
    store32(head + SHM_NEXT_INDEX, index);
}

void hash_remove(struct hash_table *table, uint32_t index)
{
    uint8_t *entry = hash_entry(table, index);
    table->used--;
    if (index < table->main) {
        entry[SHM_HENTRY_FLAGS] = 0;
        return;
    }
    uint32_t at = shm_load32(entry + HENTRY_BUCKET);
    entry[SHM_HENTRY_FLAGS] = 0;
    for (;;) {
        uint8_t *before = hash_entry(table, at);
        uint32_t next = shm_load32(before + SHM_NEXT_INDEX);
        if (next == index) {
            store32(before + SHM_NEXT_INDEX, shm_load32(entry + SHM_NEXT_INDEX));
            break;
        }
        if (next == SHM_NONE)
            break;
        at = next;
    }
    store32(entry + SHM_NEXT_INDEX, SHM_NONE);
    publish_barrier();
    entry[SHM_HENTRY_FLAGS] = HENTRY_IN_FREE_LIST;
    table->overflow_used--;
    table->free[table->total - table->main - table->overflow_used - 1] = index;
}
