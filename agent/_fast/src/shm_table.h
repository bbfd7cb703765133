/* Reading the shared hash tables of a datapath that writes them meanwhile.
 *
 * Both tables are a main part of 4-entry buckets followed by an overflow part;
 * every entry starts with the same 21-byte header (facts shared-memory.md 2).
 * Nothing read from an entry is trusted: indices are checked against the
 * mapping, chain walks are bounded. */
#ifndef VROUTER_SHM_TABLE_H
#define VROUTER_SHM_TABLE_H

#include <stdint.h>
#include <string.h>

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

static inline uint32_t shm_rotate(uint32_t x, int bits)
{
    return (x << bits) | (x >> (32 - bits));
}

/* Three little-endian words of up to 12 bytes, zero padded. */
static inline void shm_words(const unsigned char *key, size_t length, uint32_t word[3])
{
    unsigned char block[12] = {0};
    memcpy(block, key, length);
    for (int i = 0; i < 3; i++)
        word[i] = (uint32_t)block[4 * i] | (uint32_t)block[4 * i + 1] << 8
                | (uint32_t)block[4 * i + 2] << 16 | (uint32_t)block[4 * i + 3] << 24;
}

/* The tables' hash (facts shared-memory.md 8), seed 0. */
static inline uint32_t shm_hash(const unsigned char *key, size_t length)
{
    static const int mix_rotate[6] = {4, 6, 8, 16, 19, 4};
    static const int final_rotate[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t s[3], word[3];
    s[0] = s[1] = s[2] = 0xdeadbeefu + (uint32_t)length;
    if (length == 0)
        return s[2];
    for (; length > 12; key += 12, length -= 12) {
        shm_words(key, 12, word);
        for (int i = 0; i < 3; i++)
            s[i] += word[i];
        for (int step = 0; step < 6; step++) {
            int a = step % 3, b = (step + 1) % 3, c = (step + 2) % 3;
            s[a] -= s[c];
            s[a] ^= shm_rotate(s[c], mix_rotate[step]);
            s[c] += s[b];
        }
    }
    shm_words(key, length, word);
    for (int i = 0; i < 3; i++)
        s[i] += word[i];
    for (int step = 0; step < 7; step++) {
        int a = (step + 2) % 3, b = (step + 1) % 3;
        s[a] ^= s[b];
        s[a] -= shm_rotate(s[b], final_rotate[step]);
    }
    return s[2];
}

/* Does the entry carry this key now? */
typedef int (*shm_match)(const unsigned char *entry, const unsigned char *key, size_t length);

/* Index of the entry with `key`, or -1. `main_entries` is a multiple of 4, at
 * least 4 and at most `total`; the caller has checked that. */
static inline int64_t shm_find(const unsigned char *table, size_t entry_size, uint32_t main_entries,
                               uint32_t total, const unsigned char *key, size_t length,
                               shm_match match)
{
    uint32_t first = (shm_hash(key, length) % main_entries) & ~(uint32_t)(SHM_BUCKET - 1);
    for (uint32_t index = first; index < first + SHM_BUCKET; index++) {
        const unsigned char *entry = table + (size_t)index * entry_size;
        if ((shm_load8(entry + SHM_HENTRY_FLAGS) & SHM_HENTRY_VALID) && match(entry, key, length))
            return index;
    }
    uint32_t index = shm_load32(table + (size_t)(first + 3) * entry_size + SHM_NEXT_INDEX);
    for (uint32_t steps = 0; steps < total - main_entries; steps++) {
        if (index < main_entries || index >= total)
            break;
        const unsigned char *entry = table + (size_t)index * entry_size;
        if ((shm_load8(entry + SHM_HENTRY_FLAGS) & SHM_HENTRY_VALID) && match(entry, key, length))
            return index;
        index = shm_load32(entry + SHM_NEXT_INDEX);
    }
    return -1;
}

#endif
