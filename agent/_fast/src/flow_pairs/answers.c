/* The datapath's answers: frames out of a byte stream, two Sandesh messages in each. */
#include <string.h>

#include "table.h"

enum { NLMSG_HEADER = 16, NLMSG_ERROR = 2, LOWEST_FAMILY = 17, STREAM_BROKEN = -1 };
enum { WIRE_BOOL = 2, WIRE_BYTE = 3, WIRE_I16 = 6, WIRE_I32 = 8, WIRE_U64 = 9, WIRE_I64 = 10,
       WIRE_U16 = 19, WIRE_U32 = 20 };
enum { RESPONSE_CODE = 2, FLOW_INDEX = 4, FLOW_BYTES, FLOW_PACKETS, FLOW_OVERFLOW, FLOW_GEN_ID };

struct reader {
    const uint8_t *at;
    size_t left;
};

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

static bool take(struct reader *in, size_t size, const uint8_t **at)
{
    if (in->left < size)
        return false;
    *at = in->at;
    in->at += size;
    in->left -= size;
    return true;
}

static bool take_number(struct reader *in, size_t size, uint64_t *value)
{
    const uint8_t *at;
    if (!take(in, size, &at))
        return false;
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value = *value << 8 | at[i];
    return true;
}

static size_t size_of(uint8_t type)
{
    switch (type) {
    case WIRE_BOOL:
    case WIRE_BYTE:
        return 1;
    case WIRE_I16:
    case WIRE_U16:
        return 2;
    case WIRE_I32:
    case WIRE_U32:
        return 4;
    case WIRE_U64:
    case WIRE_I64:
        return 8;
    default:
        return 0; /* neither message has others */
    }
}

/* One message whose fields are numbers; those below `room` are stored at their number. */
static bool take_message(struct reader *in, const char *name, uint64_t *fields, unsigned room)
{
    const uint8_t *at;
    uint64_t length, type, id, value;
    if (!take_number(in, 4, &length) || length != strlen(name) || !take(in, length, &at)
        || memcmp(at, name, length))
        return false;
    for (;;) {
        if (!take_number(in, 1, &type))
            return false;
        if (!type)
            return true;
        if (!take_number(in, 2, &id) || !size_of((uint8_t)type)
            || !take_number(in, size_of((uint8_t)type), &value))
            return false;
        if (id < room)
            fields[id] = value;
    }
}

static void read_flow_response(const uint64_t *fields, struct outcome *outcome)
{
    uint32_t overflow = (uint32_t)fields[FLOW_OVERFLOW];
    outcome->index = (uint32_t)fields[FLOW_INDEX];
    outcome->gen_id = (uint8_t)fields[FLOW_GEN_ID];
    outcome->bytes = (uint64_t)(overflow & 0xffff) << 32 | (uint32_t)fields[FLOW_BYTES];
    outcome->packets = (uint64_t)(overflow >> 16 & 0xff) << 32 | (uint32_t)fields[FLOW_PACKETS];
}

static bool read_outcome(struct reader *in, struct outcome *outcome)
{
    uint64_t response[RESPONSE_CODE + 1] = {0}, flow[FLOW_GEN_ID + 1] = {0};
    *outcome = (struct outcome){.index = FLOW_NONE};
    if (!take_message(in, "vr_response", response, RESPONSE_CODE + 1))
        return false;
    outcome->code = (int32_t)response[RESPONSE_CODE];
    if (in->left < 4) /* at most padding */
        return true;
    if (!take_message(in, "vr_flow_response", flow, FLOW_GEN_ID + 1))
        return false;
    read_flow_response(flow, outcome);
    return true;
}

/* Netlink's own frames: an error is an answer, the end of a reply of several parts is none. */
static void read_netlink(struct pairs *pairs, const uint8_t *frame, size_t size, uint32_t now)
{
    uint16_t type;
    memcpy(&type, frame + 4, 2);
    if (type != NLMSG_ERROR || size < NLMSG_HEADER + 4)
        return;
    struct outcome outcome = {.index = FLOW_NONE};
    outcome.code = (int32_t)get32(frame + NLMSG_HEADER);
    outcome_apply(pairs, get32(frame + 8), &outcome, now);
}

static void read_frame(struct pairs *pairs, const uint8_t *frame, size_t size, uint32_t now)
{
    struct outcome outcome;
    uint16_t type;
    memcpy(&type, frame + 4, 2);
    if (type < LOWEST_FAMILY) {
        read_netlink(pairs, frame, size, now);
        return;
    }
    struct reader in = {frame + FRAME_HEADER, size - FRAME_HEADER};
    if (read_outcome(&in, &outcome))
        outcome_apply(pairs, get32(frame + 8), &outcome, now);
    else
        pairs_count(pairs, COUNT_UNREADABLE); /* the request is asked again in time */
}

/* Length of the frame that starts here; 0: not told yet; STREAM_BROKEN: no frame does. */
static int64_t frame_size(const uint8_t *data, size_t length)
{
    uint16_t type;
    if (length < NLMSG_HEADER)
        return 0;
    uint32_t size = get32(data);
    memcpy(&type, data + 4, 2);
    size_t least = type < LOWEST_FAMILY ? NLMSG_HEADER : FRAME_HEADER;
    return size < least || size > ANSWER_MOST ? STREAM_BROKEN : (int64_t)size;
}

static int64_t read_whole(struct pairs *pairs, const uint8_t *data, size_t length, uint32_t now)
{
    size_t used = 0;
    for (;;) {
        int64_t size = frame_size(data + used, length - used);
        if (size == STREAM_BROKEN)
            return STREAM_BROKEN;
        if (!size || (size_t)size > length - used)
            return (int64_t)used;
        read_frame(pairs, data + used, (size_t)size, now);
        used += (size_t)size;
    }
}

/* Fill up the frame whose beginning was kept; how many bytes of `data` that took. */
static int64_t complete_partial(struct pairs *pairs, const uint8_t *data, size_t length,
                                uint32_t now)
{
    size_t used = 0;
    while (pairs->partial_length) {
        int64_t size = frame_size(pairs->partial, pairs->partial_length);
        if (size == STREAM_BROKEN)
            return STREAM_BROKEN;
        if (size && pairs->partial_length == size) {
            read_frame(pairs, pairs->partial, (size_t)size, now);
            pairs->partial_length = 0;
        }
        size_t wanted = (size ? (size_t)size : (size_t)NLMSG_HEADER) - pairs->partial_length;
        size_t more = wanted < length - used ? wanted : length - used;
        if (!pairs->partial_length || !more)
            break;
        memcpy(pairs->partial + pairs->partial_length, data + used, more);
        pairs->partial_length += (uint32_t)more;
        used += more;
    }
    return (int64_t)used;
}

int pairs_answers(struct pairs *pairs, const uint8_t *data, size_t length, uint32_t now)
{
    int64_t used = complete_partial(pairs, data, length, now);
    if (used == STREAM_BROKEN)
        return STREAM_BROKEN;
    int64_t whole = read_whole(pairs, data + used, length - (size_t)used, now);
    if (whole == STREAM_BROKEN)
        return STREAM_BROKEN;
    used += whole;
    if ((size_t)used < length) {
        memcpy(pairs->partial, data + used, length - (size_t)used);
        pairs->partial_length = (uint32_t)(length - (size_t)used);
    }
    return 0;
}
