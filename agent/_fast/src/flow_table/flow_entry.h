/* One entry of the flow table: 256 bytes, host order but for ports and addresses
 * (facts shared-memory.md 3 to 5). A datapath writes it while we read. */
#ifndef VROUTER_FLOW_ENTRY_H
#define VROUTER_FLOW_ENTRY_H

#include <stdbool.h>

#include "flow.h"
#include "shm_table.h"

enum { FLOW_ENTRY = 256 };
enum flow_at {
    FLOW_AT_KEY = 24, FLOW_AT_PROTO = 25, FLOW_AT_SPORT = 28, FLOW_AT_DPORT = 30,
    FLOW_AT_NEXTHOP = 32, FLOW_AT_SOURCE = 36, FLOW_AT_INET_DESTINATION = 40,
    FLOW_AT_INET6_DESTINATION = 52, FLOW_AT_KEY_LENGTH = 68, FLOW_AT_GEN = 69, FLOW_AT_TCP = 70,
    FLOW_AT_REVERSE = 84, FLOW_AT_FLAGS = 88, FLOW_AT_ACTION = 92, FLOW_AT_VRF = 94,
    FLOW_AT_DVRF = 96, FLOW_AT_SRC_NEXTHOP = 100,
    FLOW_AT_BYTES = 104, FLOW_AT_PACKETS = 108, FLOW_AT_BYTES_HIGH = 112,
    FLOW_AT_PACKETS_HIGH = 114, FLOW_AT_DROP_REASON = 116, FLOW_AT_SRC_INFO = 120
};
/* fe_flags that only the datapath sets; the others are in flow.h. */
enum flow_state {
    FLOW_DELETE_MARKED = 0x40, FLOW_MODIFIED = 0x100, FLOW_NEW = 0x200,
    FLOW_EVICT_CANDIDATE = 0x400, FLOW_EVICTED = 0x800
};
enum flow_tcp {
    FLOW_TCP_FIN = 1, FLOW_TCP_HALF_CLOSE = 2, FLOW_TCP_FIN_R = 4, FLOW_TCP_SYN = 8,
    FLOW_TCP_SYN_R = 0x10, FLOW_TCP_ESTABLISHED = 0x20, FLOW_TCP_ESTABLISHED_R = 0x40,
    FLOW_TCP_RST = 0x80, FLOW_TCP_DEAD = 0x8000
};

/* A 48-bit (40-bit) counter. Its high part is stored after the low part wraps, so both are read
 * until the high part stands still; it cannot wrap often enough for more than a few attempts. */
static inline uint64_t flow_bytes(const unsigned char *entry)
{
    uint16_t high = shm_load16(entry + FLOW_AT_BYTES_HIGH), again;
    uint32_t low = shm_load32(entry + FLOW_AT_BYTES);
    for (int i = 0; i < 4 && (again = shm_load16(entry + FLOW_AT_BYTES_HIGH)) != high; i++) {
        high = again;
        low = shm_load32(entry + FLOW_AT_BYTES);
    }
    return (uint64_t)high << 32 | low;
}

static inline uint64_t flow_packets(const unsigned char *entry)
{
    uint8_t high = shm_load8(entry + FLOW_AT_PACKETS_HIGH), again;
    uint32_t low = shm_load32(entry + FLOW_AT_PACKETS);
    for (int i = 0; i < 4 && (again = shm_load8(entry + FLOW_AT_PACKETS_HIGH)) != high; i++) {
        high = again;
        low = shm_load32(entry + FLOW_AT_PACKETS);
    }
    return (uint64_t)high << 32 | low;
}

/* How many bytes of the key count, by its family: the length byte of an evicted entry is 0. */
static inline unsigned flow_entry_key_length(const unsigned char *entry)
{
    uint8_t family = shm_load8(entry + FLOW_AT_KEY);
    return family == FLOW_INET ? FLOW_KEY_INET : family == FLOW_INET6 ? FLOW_KEY : 0;
}

/* Can these be the bytes of an active entry at `index` of a table of `total`? */
static inline bool flow_sound(const unsigned char *entry, uint32_t index, uint32_t total)
{
    uint16_t flags = shm_load16(entry + FLOW_AT_FLAGS);
    uint8_t length = shm_load8(entry + FLOW_AT_KEY_LENGTH);
    uint32_t reverse = shm_load32(entry + FLOW_AT_REVERSE);
    unsigned wanted = flow_entry_key_length(entry);
    return shm_load32(entry + SHM_INDEX) == index && shm_load16(entry + FLOW_AT_ACTION) <= FLOW_NAT
        && wanted && (length == wanted || (!length && (flags & FLOW_EVICTED)))
        && (flags & (FLOW_NEW | FLOW_EVICTED)) != (FLOW_NEW | FLOW_EVICTED)
        && (reverse == SHM_NONE || reverse < total);
}

#endif
