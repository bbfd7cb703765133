/* The flow table as the packet path and the control path share it (facts shared-memory.md 3-5). */
#ifndef FORWARDING_TABLE_FLOW_H
#define FORWARDING_TABLE_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "table_hash.h"

struct datapath;

/* Offsets in an entry of 256 bytes. */
enum {
    FE_TTL = 21, FE_QOS = 22, FE_KEY = 24, FE_KEY_LEN = 68, FE_GEN = 69, FE_TCP = 70,
    FE_TCP_SEQ = 80, FE_RFLOW = 84, FE_FLAGS = 88, FE_FLAGS1 = 90, FE_ACTION = 92, FE_VRF = 94,
    FE_DVRF = 96, FE_MIRROR = 98, FE_SEC_MIRROR = 99, FE_SRC_NH = 100, FE_BYTES = 104,
    FE_PACKETS = 108, FE_BYTES_OFLOW = 112, FE_PACKETS_OFLOW = 114, FE_ECMP = 115,
    FE_DROP_REASON = 116, FE_TYPE = 117, FE_UDP_PORT = 118, FE_SRC_INFO = 120,
    FE_MIRROR_META = 124, FE_TCP_ACK = 132, FE_UNDERLAY_ECMP = 136,
};

enum {
    FL_ACTIVE = 0x1, FL_SNAT = 0x2, FL_SPAT = 0x4, FL_DNAT = 0x8, FL_DPAT = 0x10,
    FL_DELETE_MARKED = 0x40, FL_MODIFIED = 0x100, FL_NEW = 0x200, FL_EVICT_CANDIDATE = 0x400,
    FL_EVICTED = 0x800, FL_OWN = 0xf00, FL_RFLOW = 0x1000, FL_MIRROR = 0x2000, FL_VRFT = 0x4000,
};
enum { ACTION_DROP, ACTION_HOLD, ACTION_FORWARD, ACTION_NAT, ACTIONS };
/* Of FE_TCP. */
enum {
    FTCP_FIN = 1, FTCP_HALF_CLOSE = 2, FTCP_FIN_R = 4, FTCP_SYN = 8, FTCP_SYN_R = 0x10,
    FTCP_EST = 0x20, FTCP_EST_R = 0x40, FTCP_RST = 0x80, FTCP_DEAD = 0x8000,
};
enum { FLOW_KEY4 = 20, FLOW_KEY6 = 44, MIRROR_NONE = 255 };

/* Counters of a slot's predecessor, for the trap or the answer that tells of the slot. */
struct flow_predecessor { uint32_t bytes, packets, oflow; };

/* The index of the entry with this key, or -1. `length` is FLOW_KEY4 or FLOW_KEY6. */
int64_t flow_find(struct datapath *dp, const uint8_t *key, uint32_t length);
/* The bytes of an entry; `index` must be below dp->flows.total. */
static inline uint8_t *flow_entry(const struct hash_table *flows, uint32_t index)
{
    return hash_entry(flows, index);
}

/* A new HOLD entry for the packet that found none. Below 0: why not, as a negative drop
 * reason: -DROP_FLOW_UNUSABLE (too many are held and no burst token is left) or
 * -DROP_FLOW_TABLE_FULL. The key must not be in the table. Counts it as created. */
int64_t flow_hold(struct datapath *dp, const uint8_t *key, uint32_t length, uint16_t vrf,
                  struct flow_predecessor *before);
/* Both directions of a TCP flow are DEAD: EVICT_CANDIDATE on both at once, EVICTED after a
 * grace period. Nothing happens unless the reverse entry names this one back and is not held. */
void flow_close(struct datapath *dp, uint32_t index);
/* Takes an entry out of the lookup and frees it after the grace period; its held packets go
 * (`reason` counts each). */
void flow_remove(struct datapath *dp, uint32_t index, int reason);
/* Work that waits for the grace period; called with the lock, dp->now being fresh. */
void flow_reclaim(struct datapath *dp);

#endif
