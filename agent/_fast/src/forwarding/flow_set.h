/* vr_flow_req as the table takes it, and what the table answers. */
#ifndef FORWARDING_FLOW_SET_H
#define FORWARDING_FLOW_SET_H

#include "table_flow.h"

struct flow_request {
    int32_t index, rindex, ecmp_nh, underlay_ecmp;
    uint32_t src_nh;
    uint8_t gen_id, ttl, drop_reason, mirror, sec_mirror;
    uint16_t flags, flags1, action, vrf, dvrf, extflags;
    int16_t qos;
    uint32_t mirror_wanted, sec_mirror_wanted;
    uint8_t key[FLOW_KEY6], rkey[FLOW_KEY6];
    uint32_t key_len;               /* 0: of no family that has flows */
    const uint8_t *meta;            /* for mirrored packets; lives as long as the call */
    uint32_t meta_len;
};
struct flow_answer {
    int code;
    int32_t index;
    uint8_t gen_id;
    uint32_t bytes, packets, oflow, flags;
};

void flow_set(struct datapath *dp, const struct flow_request *request, struct flow_answer *answer);
/* The table's key of a flow (facts shared-memory.md 3); words: sip_u, sip_l, dip_u, dip_l. */
uint32_t flow_put_key(uint8_t *key, int32_t family, uint8_t proto, uint16_t sport, uint16_t dport,
                      uint32_t nh, const uint64_t words[4]);

#endif
