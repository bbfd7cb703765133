/* Big-endian loads and stores at any alignment. */
#ifndef VROUTER_PACKET_BYTES_H
#define VROUTER_PACKET_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint8_t *put8(uint8_t *at, uint8_t value)
{
    *at = value;
    return at + 1;
}

static inline uint8_t *put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static inline uint8_t *put32(uint8_t *at, uint32_t value)
{
    return put16(put16(at, (uint16_t)(value >> 16)), (uint16_t)value);
}

static inline uint8_t *put(uint8_t *at, const void *from, size_t length)
{
    if (length) /* a zero-length source may be NULL */
        memcpy(at, from, length);
    return at + length;
}

static inline uint8_t *zero(uint8_t *at, size_t length)
{
    memset(at, 0, length);
    return at + length;
}

#endif
