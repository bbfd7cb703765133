/* vr_flow_req in frames of the socket form, answered without a Python object for each. */
#include "flow_control.h"

#include "dp.h"
#include "sandesh_codec.h"

enum {
    FRAME_HEADER = 24, LOWEST_FAMILY = 17, NAME_LEN = 11, FLAG_MULTI = 2, COMMAND = 1,
    ATTRIBUTE = 1, OP_FLOW_SET = 0, OP_RESPONSE = 4,
};

/* The netlink and generic netlink headers and that of the one attribute, in host order. */
struct frame_header {
    uint32_t length;
    uint16_t type, flags;
    uint32_t seq, pid;
    uint8_t command, version;
    uint16_t reserved, attribute_length, attribute;
};

/* How many of `room` bytes are payload: replies leave the attribute's header out of its length,
 * requests do not; what says neither has wrapped (agent/sandesh/framing.py). */
static uint32_t payload_size(uint32_t room, uint32_t said)
{
    for (int turn = 0; turn < 2; turn++, said -= 4)
        if (said <= room && room - said <= 3)
            return said;
    return room;
}

/* One complete message with its fields in order, or NULL. */
static const uint8_t *read_request(const uint8_t *at, const uint8_t *end, vr_flow_req_t *message,
                                   const uint8_t **meta)
{
    static const uint8_t head[4 + NAME_LEN] = "\0\0\0\013vr_flow_req";
    if ((size_t)(end - at) < sizeof head || memcmp(at, head, sizeof head))
        return NULL;
    memset(message, 0, sizeof *message);
    at = vr_flow_req_read(message, meta, at + sizeof head, end);
    return at < end && *at == SANDESH_STOP ? at + 1 : NULL;
}

static void fill_keys(struct flow_request *request, const vr_flow_req_t *m)
{
    const uint64_t words[4] = {m->fr_flow_sip_u, m->fr_flow_sip_l, m->fr_flow_dip_u,
                               m->fr_flow_dip_l};
    const uint64_t rwords[4] = {m->fr_rflow_sip_u, m->fr_rflow_sip_l, m->fr_rflow_dip_u,
                                m->fr_rflow_dip_l};
    uint8_t proto = (uint8_t)m->fr_flow_proto;
    request->key_len = flow_put_key(request->key, m->fr_family, proto, m->fr_flow_sport,
                                    m->fr_flow_dport, m->fr_flow_nh_id, words);
    if (m->fr_flags & FL_RFLOW)
        flow_put_key(request->rkey, m->fr_family, proto, m->fr_rflow_sport, m->fr_rflow_dport,
                     m->fr_rflow_nh_id, rwords);
}

static void fill_request(struct flow_request *request, const vr_flow_req_t *m, const uint8_t *meta)
{
    fill_keys(request, m);
    request->index = m->fr_index;
    request->rindex = m->fr_rindex;
    request->ecmp_nh = (int32_t)m->fr_ecmp_nh_index;
    request->underlay_ecmp = m->fr_underlay_ecmp_index;
    request->src_nh = m->fr_src_nh_index;
    request->gen_id = (uint8_t)m->fr_gen_id;
    request->ttl = (uint8_t)m->fr_ttl;
    request->drop_reason = (uint8_t)m->fr_drop_reason;
    request->mirror = (uint8_t)m->fr_mir_id;
    request->sec_mirror = (uint8_t)m->fr_sec_mir_id;
    request->mirror_wanted = m->fr_mir_id;
    request->sec_mirror_wanted = m->fr_sec_mir_id;
    request->flags = (uint16_t)m->fr_flags;
    request->flags1 = (uint16_t)m->fr_flags1;
    request->action = (uint16_t)m->fr_action;
    request->vrf = m->fr_flow_vrf;
    request->dvrf = m->fr_flow_dvrf;
    request->extflags = (uint16_t)m->fr_extflags;
    request->qos = (int16_t)m->fr_qos_id;
    request->meta = meta;
    request->meta_len = m->lengths[0];
}

static uint8_t *put_header(uint8_t *out, const struct frame_header *asked, bool more)
{
    struct frame_header header = {
        .length = FLOW_REPLY, .type = asked->type, .flags = more ? FLAG_MULTI : 0,
        .seq = asked->seq, .command = COMMAND, .attribute_length = FLOW_PAYLOAD,
        .attribute = ATTRIBUTE,
    };
    memcpy(out, &header, FRAME_HEADER);
    return out + FRAME_HEADER;
}

static uint8_t *put_answer(uint8_t *out, const struct flow_answer *answer)
{
    vr_response_t response = {.h_op = OP_RESPONSE, .resp_code = answer->code};
    vr_flow_response_t flow = {
        .fresp_op = OP_FLOW_SET, .fresp_flags = (uint16_t)answer->flags,
        .fresp_index = (uint32_t)answer->index, .fresp_bytes = answer->bytes,
        .fresp_packets = answer->packets, .fresp_stats_oflow = answer->oflow,
        .fresp_gen_id = (int8_t)answer->gen_id,
    };
    out = vr_response_write(&response, NULL, out);
    return vr_flow_response_write(&flow, NULL, out);
}

static const uint8_t *next_request(const uint8_t *at, const uint8_t *end,
                                   struct flow_request *request)
{
    vr_flow_req_t message;
    const uint8_t *meta = NULL;
    const uint8_t *next = read_request(at, end, &message, &meta);
    if (!next || message.fr_op != OP_FLOW_SET)
        return NULL;
    fill_request(request, &message, meta);
    return next;
}

/* How many requests the payload holds; 0: something else is in it as well, or nothing. The
 * first is read into `first`, `second` is where the next one starts. */
static uint32_t count_requests(const uint8_t *at, const uint8_t *end, struct flow_request *first,
                               const uint8_t **second)
{
    struct flow_request other;
    uint32_t count = 0;
    for (; at < end; count++) {
        if (!(at = next_request(at, end, count ? &other : first)))
            return 0;
        if (count == 0)
            *second = at;
    }
    return count;
}

/* The length of the whole frame at `in` that may hold requests, else 0. */
static uint32_t read_header(const uint8_t *in, size_t size, struct frame_header *header)
{
    if (size < FRAME_HEADER)
        return 0;
    memcpy(header, in, FRAME_HEADER);
    if (header->type < LOWEST_FAMILY || header->length < FRAME_HEADER
        || header->length > FLOW_FRAME_MAX || header->length > size)
        return 0;
    return header->length;
}

size_t flow_serve(struct datapath *dp, const uint8_t *in, size_t size, size_t *used, uint8_t *out,
                  size_t room)
{
    uint8_t *const start = out;
    struct frame_header header;
    uint32_t length;
    *used = 0;
    while ((length = read_header(in + *used, size - *used, &header))) {
        struct flow_request request;
        struct flow_answer answer;
        const uint8_t *at = in + *used + FRAME_HEADER;
        const uint8_t *end = at + payload_size(length - FRAME_HEADER, header.attribute_length);
        uint32_t left = count_requests(at, end, &request, &at);
        if (!left || left > (room - (size_t)(out - start)) / FLOW_REPLY)
            break;
        while (left--) {
            flow_set(dp, &request, &answer);
            out = put_answer(put_header(out, &header, left > 0), &answer);
            if (left)
                at = next_request(at, end, &request);
        }
        *used += length;
    }
    return (size_t)(out - start);
}

bool flow_serve_one(struct datapath *dp, const uint8_t *message, size_t size,
                    uint8_t out[FLOW_PAYLOAD])
{
    struct flow_request request;
    struct flow_answer answer;
    if (next_request(message, message + size, &request) != message + size)
        return false;
    flow_set(dp, &request, &answer);
    put_answer(out, &answer);
    return true;
}
