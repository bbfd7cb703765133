#include "message.h"

#include <string.h>

#include "sandesh/wire.h"

#define NAME "vr_flow_req"
enum { NAME_SIZE = sizeof NAME - 1, NO_MIRROR_ID = 0xffff, KEY_ADDRESSES = 12 };

/* The message as it lies in memory; field names are those of the wire, values big-endian. */
#define FIELD(bits, name) struct __attribute__((packed)) { uint8_t head[3]; uint##bits##_t is; } name
struct __attribute__((packed)) message {
    uint32_t name_size;
    char name[NAME_SIZE];
    FIELD(32, op);
    FIELD(16, rid);
    FIELD(32, index);
    FIELD(16, action);
    FIELD(16, flags);
    FIELD(32, rindex);
    FIELD(32, family);
    FIELD(64, sip_u);
    FIELD(64, sip_l);
    FIELD(64, dip_u);
    FIELD(64, dip_l);
    FIELD(16, sport);
    FIELD(16, dport);
    FIELD(8, proto);
    FIELD(16, vrf);
    FIELD(16, dvrf);
    FIELD(16, mir_id);
    FIELD(16, sec_mir_id);
    FIELD(32, mir_sip);
    FIELD(16, mir_sport);
    struct __attribute__((packed)) {
        uint8_t head[3], element;
        uint32_t count;
    } pcap_meta_data;
    FIELD(16, mir_vrf);
    FIELD(32, ecmp_nh_index);
    FIELD(32, src_nh_index);
    FIELD(32, nh_id);
    FIELD(16, drop_reason);
    FIELD(8, gen_id);
    FIELD(64, rsip_u);
    FIELD(64, rsip_l);
    FIELD(64, rdip_u);
    FIELD(64, rdip_l);
    FIELD(32, rnh_id);
    FIELD(16, rsport);
    FIELD(16, rdport);
    FIELD(16, qos_id);
    FIELD(8, ttl);
    FIELD(16, extflags);
    FIELD(16, flags1);
    FIELD(8, underlay_ecmp_index);
    uint8_t stop;
};
_Static_assert(sizeof(struct message) == FLOW_MESSAGE, "vr_flow_req has another size");

#define HEAD(wire, id) {{wire, 0, id}, 0}
static const struct message TEMPLATE = {
    .name_size = SANDESH_BE32((uint32_t)NAME_SIZE),
    .name = {'v', 'r', '_', 'f', 'l', 'o', 'w', '_', 'r', 'e', 'q'},
    .op = HEAD(SANDESH_I32, 1),
    .rid = HEAD(SANDESH_I16, 2),
    .index = HEAD(SANDESH_I32, 3),
    .action = HEAD(SANDESH_I16, 4),
    .flags = HEAD(SANDESH_I16, 5),
    .rindex = {{SANDESH_I32, 0, 6}, 0xffffffff},
    .family = HEAD(SANDESH_I32, 7),
    .sip_u = HEAD(SANDESH_U64, 8),
    .sip_l = HEAD(SANDESH_U64, 9),
    .dip_u = HEAD(SANDESH_U64, 10),
    .dip_l = HEAD(SANDESH_U64, 11),
    .sport = HEAD(SANDESH_U16, 12),
    .dport = HEAD(SANDESH_U16, 13),
    .proto = HEAD(SANDESH_BYTE, 14),
    .vrf = HEAD(SANDESH_U16, 15),
    .dvrf = HEAD(SANDESH_U16, 16),
    .mir_id = {{SANDESH_U16, 0, 17}, NO_MIRROR_ID},
    .sec_mir_id = {{SANDESH_U16, 0, 18}, NO_MIRROR_ID},
    .mir_sip = HEAD(SANDESH_U32, 19),
    .mir_sport = HEAD(SANDESH_U16, 20),
    .pcap_meta_data = {{SANDESH_LIST, 0, 21}, SANDESH_BYTE, 0},
    .mir_vrf = HEAD(SANDESH_U16, 22),
    .ecmp_nh_index = {{SANDESH_U32, 0, 23}, 0xffffffff},
    .src_nh_index = HEAD(SANDESH_U32, 24),
    .nh_id = HEAD(SANDESH_U32, 25),
    .drop_reason = HEAD(SANDESH_U16, 26),
    .gen_id = HEAD(SANDESH_BYTE, 27),
    .rsip_u = HEAD(SANDESH_U64, 28),
    .rsip_l = HEAD(SANDESH_U64, 29),
    .rdip_u = HEAD(SANDESH_U64, 30),
    .rdip_l = HEAD(SANDESH_U64, 31),
    .rnh_id = HEAD(SANDESH_U32, 32),
    .rsport = HEAD(SANDESH_U16, 33),
    .rdport = HEAD(SANDESH_U16, 34),
    .qos_id = {{SANDESH_U16, 0, 35}, 0xffff},
    .ttl = HEAD(SANDESH_BYTE, 36),
    .extflags = HEAD(SANDESH_I16, 37),
    .flags1 = HEAD(SANDESH_I16, 38),
    .underlay_ecmp_index = {{SANDESH_BYTE, 0, 39}, 0xff},
    .stop = SANDESH_STOP,
};

/* Numbers whose memory holds the packet's bytes: an IPv4 address lies in the lower half. */
static uint64_t half(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, bytes, size);
    return SANDESH_BE64(word);
}

static uint16_t port(const uint8_t *bytes)
{
    uint16_t word;
    memcpy(&word, bytes, 2);
    return SANDESH_BE16(word);
}

static uint32_t nexthop(const uint8_t *key)
{
    uint32_t number;
    memcpy(&number, key + 8, 4);
    return SANDESH_BE32(number);
}

static void put_key(struct message *m, const uint8_t *key)
{
    const uint8_t *at = key + KEY_ADDRESSES;
    m->family.is = SANDESH_BE32((uint32_t)key[0]);
    m->proto.is = key[1];
    m->sport.is = port(key + 4);
    m->dport.is = port(key + 6);
    m->nh_id.is = nexthop(key);
    if (key[0] == FLOW_INET6) {
        m->sip_u.is = half(at, 8);
        m->sip_l.is = half(at + 8, 8);
        m->dip_u.is = half(at + 16, 8);
        m->dip_l.is = half(at + 24, 8);
    } else {
        m->sip_l.is = half(at, 4);
        m->dip_l.is = half(at + 4, 4);
    }
}

static void put_partner_key(struct message *m, const uint8_t *key)
{
    const uint8_t *at = key + KEY_ADDRESSES;
    m->rsport.is = port(key + 4);
    m->rdport.is = port(key + 6);
    m->rnh_id.is = nexthop(key);
    if (key[0] == FLOW_INET6) {
        m->rsip_u.is = half(at, 8);
        m->rsip_l.is = half(at + 8, 8);
        m->rdip_u.is = half(at + 16, 8);
        m->rdip_l.is = half(at + 24, 8);
    } else {
        m->rsip_l.is = half(at, 4);
        m->rdip_l.is = half(at + 4, 4);
    }
}

static void put_mirrors(struct message *m, const struct flow_side *side)
{
    if (side->mirror != FLOW_NO_MIRROR)
        m->mir_id.is = SANDESH_BE16((uint16_t)side->mirror);
    if (side->sec_mirror != FLOW_NO_MIRROR)
        m->sec_mir_id.is = SANDESH_BE16((uint16_t)side->sec_mirror);
}

void flow_encode(uint8_t *out, const struct flow_decision *decision, unsigned which,
                 uint32_t index, uint8_t gen_id, uint32_t partner)
{
    const struct flow_side *side = &decision->side[which];
    const struct flow_side *other = &decision->side[!which];
    struct message *m = (struct message *)out;
    uint16_t flags = side->flags;
    *m = TEMPLATE;
    if (other->key[0]) {
        flags |= FLOW_RFLOW;
        m->rindex.is = SANDESH_BE32(partner);
        if (partner == FLOW_NONE)
            put_partner_key(m, other->key);
    }
    put_key(m, side->key);
    put_mirrors(m, side);
    m->index.is = SANDESH_BE32(index);
    m->action.is = SANDESH_BE16((uint16_t)side->action);
    m->flags.is = SANDESH_BE16(flags);
    m->vrf.is = SANDESH_BE16(side->vrf);
    m->dvrf.is = SANDESH_BE16(side->dvrf);
    m->ecmp_nh_index.is = SANDESH_BE32((uint32_t)(int32_t)side->ecmp);
    m->src_nh_index.is = SANDESH_BE32(side->src_nexthop);
    m->drop_reason.is = SANDESH_BE16((uint16_t)flow_datapath_reason(side->reason));
    m->gen_id.is = gen_id;
    m->qos_id.is = SANDESH_BE16((uint16_t)side->qos);
    m->ttl.is = side->ttl;
}

void flow_encode_delete(uint8_t *out, const uint8_t *key, uint32_t index, uint8_t gen_id)
{
    struct message *m = (struct message *)out;
    *m = TEMPLATE;
    put_key(m, key);
    m->index.is = SANDESH_BE32(index);
    m->gen_id.is = gen_id;
}
