/* Network-order loads and stores at any alignment, and the Internet checksum. */
#ifndef FORWARDING_BYTES_H
#define FORWARDING_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static inline uint64_t get64(const uint8_t *at)
{
    return (uint64_t)get32(at) << 32 | get32(at + 4);
}
static inline void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void put32(uint8_t *at, uint32_t value)
{
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}
static inline void put64(uint8_t *at, uint64_t value)
{
    put32(at, (uint32_t)(value >> 32));
    put32(at + 4, (uint32_t)value);
}

/* Unfolded one's complement sum of big-endian 16-bit words (RFC 1071). */
uint64_t sum_bytes(const uint8_t *at, size_t length, uint64_t sum);

static inline uint16_t sum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}
static inline uint16_t checksum_of(const uint8_t *at, size_t length, uint64_t sum)
{
    return (uint16_t)~sum_fold(sum_bytes(at, length, sum));
}

/* RFC 1624: the checksum after one 16-bit word changed. */
static inline uint16_t checksum_change(uint16_t checksum, uint16_t old, uint16_t new)
{
    return (uint16_t)~sum_fold((uint64_t)(uint16_t)~checksum + (uint16_t)~old + new);
}

static inline bool mac_is_group(const uint8_t *mac) { return mac[0] & 1; }
static inline bool mac_equal(const uint8_t *a, const uint8_t *b) { return memcmp(a, b, 6) == 0; }
static inline bool mac_is_zero(const uint8_t *mac)
{
    return (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) == 0;
}

#endif
