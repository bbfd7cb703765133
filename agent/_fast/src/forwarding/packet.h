/* One frame in its buffer, and what the pipelines learnt about it.
 *
 * Offsets of headers are counted from the start of the buffer, so that pushing and
 * pulling headers in front never moves them. */
#ifndef FORWARDING_PACKET_H
#define FORWARDING_PACKET_H

#include "bytes.h"

enum { HEADROOM = 256, FRAME_MAX = 65536 + 512, BUFFER_SIZE = HEADROOM + FRAME_MAX };

/* virtio_net_hdr without merged buffers; little-endian on the wire. */
enum { VNET_LEN = 10, VNET_NEEDS_CSUM = 1, VNET_DATA_VALID = 2 };
enum { GSO_NONE, GSO_TCP4 = 1, GSO_UDP = 3, GSO_TCP6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };

enum source { FROM_LOCAL, FROM_EVPN, FROM_FABRIC_TREE, FROM_TOR, FROM_NOWHERE };

/* Where a packet meets the flow table, and goes on from when its flow has an action. */
enum stage { AT_NONE, AT_GUEST, AT_UNDERLAY, AT_NEXTHOP };

struct vif;

struct packet {
    struct packet *next_free;
    uint32_t off, len;        /* the data now: first byte and count */
    uint32_t frame;           /* first byte of the frame as received */
    uint32_t eth;             /* Ethernet header of the innermost frame, 0: none (L3 tunnel) */
    uint32_t l3, l4;          /* IP header and what follows it, once parsed; for IPv6 behind
                               * a fragment header that comes first */
    uint32_t l3_end;          /* end of the IP packet: what follows is padding */
    struct vif *in;
    uint16_t vrf;             /* VRF of the lookups (dvrf) */
    uint16_t l3_type;         /* TYPE_IP4, TYPE_IP6, TYPE_ARP, ... of the payload */
    uint16_t vlan;            /* tag of the frame, 0xffff none */
    uint8_t proto;            /* IP protocol, once parsed */
    uint8_t ttl;              /* 64 until routing takes it from the IP header */
    uint8_t depth;            /* lookups so far, against loops of nexthops */
    uint8_t is_l2;            /* to be forwarded as an Ethernet frame, else as IP */
    uint8_t is_mcast, is_diag, is_fragment, is_copy, policy_done, control_word, uc_flood;
    uint8_t is_mirror;        /* a copy for an analyzer, which is not mirrored again */
    uint8_t is_counted;       /* by the sub-interface that it leaves through */
    uint8_t source;           /* enum source */
    uint8_t stage;            /* enum stage */
    uint8_t is_rerouted;      /* its flow put it into another VRF: it is routed there */
    uint32_t stage_nh;        /* AT_NEXTHOP: the nexthop to enter */
    uint32_t tag_nh;          /* nexthop + 1 that its tag on a service vif stands for, 0 none */
    uint32_t flow;            /* its flow entry's index + 1, 0 none */
    uint32_t label;           /* label or VNI for the tunnel, LABEL_NONE */
    uint32_t outer_src;       /* little-endian image as in tun_dip; 0 not from a tunnel */
    struct {
        uint8_t flags, gso_type;
        uint16_t gso_size, csum_offset;
        uint32_t csum_start, headers_end;
    } vnet;
    uint8_t buf[BUFFER_SIZE];
};

/* Packets that were freed, and how many exist. */
struct packet_pool {
    struct packet *free;
    uint32_t made, limit;
};

static inline uint8_t *data_of(struct packet *p) { return p->buf + p->off; }
static inline uint8_t *end_of(struct packet *p) { return p->buf + p->off + p->len; }

/* Is there this much behind an offset of the buffer? */
static inline bool has_bytes(const struct packet *p, uint32_t at, uint32_t count)
{
    uint32_t end = p->off + p->len;
    return at <= end && count <= end - at;
}

struct packet *packet_take(struct packet_pool *pool);
void packet_give(struct packet_pool *pool, struct packet *p);
struct packet *packet_clone(struct packet_pool *pool, const struct packet *p);
void packet_pool_drain(struct packet_pool *pool);

/* With the address sanitizer, reading behind a received frame is an error. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
static inline void packet_seal(struct packet *p)
{
    ASAN_POISON_MEMORY_REGION(end_of(p), BUFFER_SIZE - p->off - p->len);
}
static inline void packet_unseal(struct packet *p)
{
    ASAN_UNPOISON_MEMORY_REGION(p->buf, BUFFER_SIZE);
}
#else
static inline void packet_seal(struct packet *p) { (void)p; }
static inline void packet_unseal(struct packet *p) { (void)p; }
#endif

/* The new first byte, or NULL without room. */
uint8_t *packet_push(struct packet *p, uint32_t count);
bool packet_pull(struct packet *p, uint32_t count);
void packet_move_to(struct packet *p, uint32_t at);
void packet_load_vnet(struct packet *p, const uint8_t *header);
void packet_store_vnet(struct packet *p, uint8_t *header);

/* Header positions behind the Ethernet header at the data's start; false when cut. */
bool packet_parse_ethernet(struct packet *p);
/* Checks the IP header at `l3`, sets l4, l3_end, proto; a drop reason or -1. */
int packet_parse_ip(struct packet *p);
/* Hash of the addresses and ports that `mask` selects (0: all; nhr_ecmp_config_hash). */
uint32_t packet_flow_hash(struct packet *p, uint32_t seed, unsigned mask);
/* Cuts what follows the IP packet. */
void packet_trim(struct packet *p);
void packet_decrement_ttl(struct packet *p);

#endif
