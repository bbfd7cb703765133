/* Reading the shared hash tables of a datapath that writes them meanwhile.
 *
 * Both tables are a main part of 4-entry buckets followed by an overflow part;
 * every entry starts with the same 21-byte header (facts shared-memory.md 2).
 * Nothing read from an entry is trusted: indices are checked against the
 * mapping, chain walks are bounded. */
#ifndef VROUTER_SHM_TABLE_H
#define VROUTER_SHM_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SHM_INDEX 8
#define SHM_BUCKET_INDEX 12
#define SHM_NEXT_INDEX 16
#define SHM_HENTRY_FLAGS 20
#define SHM_HENTRY_VALID 0x1
#define SHM_NONE UINT32_MAX
#define SHM_BUCKET 4

/* One load of the current value, at any alignment. */
struct shm_u16 { uint16_t value; } __attribute__((packed));
struct shm_u32 { uint32_t value; } __attribute__((packed));
struct shm_u64 { uint64_t value; } __attribute__((packed));

static inline uint8_t shm_load8(const unsigned char *at)
{
    return *(const volatile unsigned char *)at;
}
static inline uint16_t shm_load16(const unsigned char *at)
{
    return ((const volatile struct shm_u16 *)at)->value;
}
static inline uint32_t shm_load32(const unsigned char *at)
{
    return ((const volatile struct shm_u32 *)at)->value;
}
static inline uint64_t shm_load64(const unsigned char *at)
{
    return ((const volatile struct shm_u64 *)at)->value;
}

/* What was read before is not read again after, and the other way round. */
static inline void shm_reads_done(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline uint32_t shm_rotate(uint32_t x, int bits)
{
    return (x << bits) | (x >> (32 - bits));
}

static inline uint32_t shm_word(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* One row of the mixing table (facts shared-memory.md 8), and one of the final table. */
static inline void shm_mix(uint32_t *x, uint32_t *from, uint32_t added, int bits)
{
    *x -= *from;
    *x ^= shm_rotate(*from, bits);
    *from += added;
}
static inline void shm_finish(uint32_t *x, uint32_t with, int bits)
{
    *x ^= with;
    *x -= shm_rotate(with, bits);
}

/* The tables' hash, seed 0. */
static inline uint32_t shm_hash(const unsigned char *key, size_t length)
{
    uint32_t a, b, c, last[3] = {0};
    a = b = c = 0xdeadbeefu + (uint32_t)length;
    if (length == 0)
        return c;
    for (; length > 12; key += 12, length -= 12) {
        a += shm_word(key);
        b += shm_word(key + 4);
        c += shm_word(key + 8);
        shm_mix(&a, &c, b, 4);
        shm_mix(&b, &a, c, 6);
        shm_mix(&c, &b, a, 8);
        shm_mix(&a, &c, b, 16);
        shm_mix(&b, &a, c, 19);
        shm_mix(&c, &b, a, 4);
    }
    size_t whole = length & ~(size_t)3;
    for (size_t i = 0; i < whole; i += 4)
        last[i / 4] = shm_word(key + i);
    for (size_t i = whole; i < length; i++)
        last[i / 4] |= (uint32_t)key[i] << (i % 4 * 8);
    a += last[0];
    b += last[1];
    c += last[2];
    shm_finish(&c, b, 14);
    shm_finish(&a, c, 11);
    shm_finish(&b, a, 25);
    shm_finish(&c, b, 16);
    shm_finish(&a, c, 4);
    shm_finish(&b, a, 14);
    shm_finish(&c, b, 24);
    return c;
}

/* Does the entry carry this key now? */
typedef int (*shm_match)(const unsigned char *entry, const unsigned char *key, size_t length);

/* A walk along a bucket's overflow chain, which may change meanwhile and may be corrupt:
 * it ends where an index leaves the overflow part, and at a loop (Brent: the walker is
 * compared with a mark that moves to it whenever the steps since have doubled). */
struct shm_chain {
    const unsigned char *table;
    size_t entry_size;
    uint32_t main_entries, total;
    uint32_t index, mark, steps, limit;
};

static inline struct shm_chain shm_chain_of(const unsigned char *table, size_t entry_size,
                                            uint32_t head, uint32_t main_entries, uint32_t total)
{
    uint32_t first = shm_load32(table + (size_t)head * entry_size + SHM_NEXT_INDEX);
    return (struct shm_chain){table, entry_size, main_entries, total, first, SHM_NONE, 0, 1};
}

/* The entry that the walk is at, or NULL at its end. */
static inline const unsigned char *shm_chain_entry(const struct shm_chain *chain)
{
    if (chain->index < chain->main_entries || chain->index >= chain->total
        || chain->index == chain->mark)
        return NULL;
    return chain->table + (size_t)chain->index * chain->entry_size;
}

static inline void shm_chain_step(struct shm_chain *chain, const unsigned char *entry)
{
    if (chain->steps++ == chain->limit) {
        chain->mark = chain->index;
        chain->steps = 0;
        chain->limit *= 2;
    }
    chain->index = shm_load32(entry + SHM_NEXT_INDEX);
}

static inline bool shm_chain_sound(const unsigned char *table, size_t entry_size, uint32_t head,
                                   uint32_t main_entries, uint32_t total)
{
    struct shm_chain chain = shm_chain_of(table, entry_size, head, main_entries, total);
    const unsigned char *entry;
    while ((entry = shm_chain_entry(&chain))) {
        if (shm_load32(entry + SHM_BUCKET_INDEX) != head)
            return false;
        shm_chain_step(&chain, entry);
    }
    return chain.index == SHM_NONE;
}

/* Does the chain of the bucket that ends at main entry `head` end, after entries that are all
 * this bucket's? A second walk tells a broken chain from one that changed during the first. */
static inline bool shm_chain_ends(const unsigned char *table, size_t entry_size, uint32_t head,
                                  uint32_t main_entries, uint32_t total)
{
    uint32_t first = shm_load32(table + (size_t)head * entry_size + SHM_NEXT_INDEX);
    if (first == SHM_NONE || first == 0)
        return true; /* an entry never used is all zeros */
    return shm_chain_sound(table, entry_size, head, main_entries, total)
        || shm_chain_sound(table, entry_size, head, main_entries, total);
}

/* Index of the entry with `key`, or -1. `main_entries` is a multiple of 4, at
 * least 4 and at most `total`; the caller has checked that. */
static inline int64_t shm_find(const unsigned char *table, size_t entry_size, uint32_t main_entries,
                               uint32_t total, const unsigned char *key, size_t length,
                               shm_match match)
{
    uint32_t first = (shm_hash(key, length) % main_entries) & ~(uint32_t)(SHM_BUCKET - 1);
    const unsigned char *entry = table + (size_t)first * entry_size;
    for (uint32_t index = first; index < first + SHM_BUCKET; index++, entry += entry_size)
        if ((shm_load8(entry + SHM_HENTRY_FLAGS) & SHM_HENTRY_VALID) && match(entry, key, length))
            return index;
    struct shm_chain chain = shm_chain_of(table, entry_size, first + SHM_BUCKET - 1, main_entries,
                                          total);
    for (; (entry = shm_chain_entry(&chain)); shm_chain_step(&chain, entry))
        if ((shm_load8(entry + SHM_HENTRY_FLAGS) & SHM_HENTRY_VALID) && match(entry, key, length))
            return chain.index;
    return -1;
}

#endif
