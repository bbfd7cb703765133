/* Requests under way: one frame each (facts sandesh-ksync.md 3.2), known by its number. */
#include <string.h>

#include "flow_world/message.h"
#include "table.h"

enum { NLM_F_REQUEST = 1, FAMILY_AGENT = 24, SANDESH_REQUEST = 1, ATTRIBUTE = 1, ROTATION = 8 };

static void put16(uint8_t *at, uint16_t value) { memcpy(at, &value, 2); }
static void put32(uint8_t *at, uint32_t value) { memcpy(at, &value, 4); }

static void put_header(uint8_t *out, uint32_t seq, uint32_t pid)
{
    put32(out, REQUEST_FRAME);
    put16(out + 4, FAMILY_AGENT);
    put16(out + 6, NLM_F_REQUEST);
    put32(out + 8, seq);
    put32(out + 12, pid);
    put32(out + 16, SANDESH_REQUEST);
    put16(out + 20, FLOW_MESSAGE + 4);
    put16(out + 22, ATTRIBUTE);
}

static struct request *open_request(struct pairs *pairs, uint8_t *out, uint32_t now)
{
    uint32_t seq = pairs->next_seq++;
    struct request *request = &pairs->requests[seq & pairs->request_mask];
    memset(request, 0, sizeof *request);
    request->pair = FLOW_NONE;
    request->sent = now;
    request->open = true;
    pairs->in_flight++;
    pairs_count(pairs, COUNT_SENT);
    put_header(out, seq, pairs->with.pid);
    return request;
}

/* As decided, but without a partner: one that is not in the table would be refused. */
static void encode_alone(uint8_t *out, const struct flow_pair *pair, const struct request *request)
{
    struct flow_decision alone = pair->is;
    memset(alone.side[!request->side].key, 0, FLOW_KEY);
    if (request->kind == ASK_RESOLVE) {
        alone.side[request->side].action = FLOW_DROP;
        alone.side[request->side].flags = FLOW_ACTIVE;
    }
    flow_encode(out, &alone, request->side, request->index, request->gen_id, FLOW_NONE);
}

static void encode(uint8_t *out, const struct flow_pair *pair, const struct request *request)
{
    if (request->kind == ASK_DELETE)
        flow_encode_delete(out, pair->is.side[request->side].key, request->index,
                           request->gen_id);
    else if (request->partner == FLOW_NONE)
        encode_alone(out, pair, request);
    else
        flow_encode(out, &pair->is, request->side, request->index, request->gen_id,
                    request->partner);
}

static void send_plan(struct pairs *pairs, uint32_t number, struct plan plan, uint8_t *out,
                      uint32_t now)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    struct pair_side *at = &pair->at[plan.side];
    struct request *request = open_request(pairs, out, now);
    bool alone = is_short(pair) || plan.kind == ASK_RESOLVE || plan.kind == ASK_DELETE;
    request->pair = number;
    request->side = plan.side;
    request->kind = plan.kind;
    request->index = at->index;
    request->gen_id = at->index == FLOW_NONE ? 0 : at->gen_id;
    request->partner = alone ? FLOW_NONE : pair->at[!plan.side].index;
    if (plan.kind == ASK_DELETE)
        glance_counters(pairs, number, plan.side);
    if (plan.kind == ASK_ADD || plan.kind == ASK_SET)
        at->flags &= (uint8_t)~SIDE_DIRTY;
    pair->asked = plan.kind;
    encode(out + FRAME_HEADER, pair, request);
}

static bool send_pair(struct pairs *pairs, enum work_list list, uint8_t *out, uint32_t now)
{
    uint32_t number;
    while ((number = work_take(pairs, list)) != FLOW_NONE) {
        struct plan plan = plan_next(pairs_at(pairs, number));
        if (plan.kind == ASK_NOTHING) {
            plan_advance(pairs, number, now);
            continue;
        }
        send_plan(pairs, number, plan, out, now);
        return true;
    }
    return false;
}

static bool send_stray(struct pairs *pairs, uint8_t *out, uint32_t now)
{
    struct stray stray;
    if (!strays_take(pairs, &stray))
        return false;
    open_request(pairs, out, now)->kind = ASK_STRAY;
    flow_encode_delete(out + FRAME_HEADER, stray.key, stray.index, stray.gen_id);
    return true;
}

/* New flows go first, but not always: six of eight times. */
static bool send_one(struct pairs *pairs, uint8_t *out, uint32_t now)
{
    uint32_t turn = pairs->rotation++ % ROTATION;
    if (turn == 3 && send_pair(pairs, WORK_CHANGE, out, now))
        return true;
    if (turn == 7 && send_stray(pairs, out, now))
        return true;
    return send_pair(pairs, WORK_SETUP, out, now) || send_pair(pairs, WORK_CHANGE, out, now)
        || send_stray(pairs, out, now);
}

static bool has_window(const struct pairs *pairs)
{
    return pairs->online && pairs->in_flight < pairs->with.window
        && pairs->next_seq - pairs->oldest <= pairs->request_mask;
}

bool pairs_can_send(const struct pairs *pairs)
{
    return has_window(pairs) && (pairs->work[WORK_SETUP].count || pairs->work[WORK_CHANGE].count
                                 || pairs->stray_count);
}

size_t pairs_output(struct pairs *pairs, uint8_t *out, size_t room, uint32_t now)
{
    size_t size = 0;
    while (room - size >= REQUEST_FRAME && has_window(pairs)) {
        if (!send_one(pairs, out + size, now))
            break;
        size += REQUEST_FRAME;
    }
    return size;
}

/* There will be no answer, or it is not known when: whatever was asked may have been done. */
void requests_lost(struct pairs *pairs, struct request *request, uint32_t now)
{
    request->open = false;
    pairs->in_flight--;
    if (request->pair == FLOW_NONE)
        return;
    struct flow_pair *pair = pairs_at(pairs, request->pair);
    struct pair_side *at = &pair->at[request->side];
    pair->asked = ASK_NOTHING;
    at->flags |= SIDE_DIRTY;
    if ((request->kind == ASK_ADD || request->kind == ASK_RESOLVE) && at->index == FLOW_NONE)
        at->flags |= SIDE_UNSURE;
    plan_advance(pairs, request->pair, now);
}

void pairs_online(struct pairs *pairs, bool online, uint32_t now)
{
    pairs->online = online;
    pairs->partial_length = 0;
    for (; pairs->oldest != pairs->next_seq; pairs->oldest++) {
        struct request *request = &pairs->requests[pairs->oldest & pairs->request_mask];
        if (request->open)
            requests_lost(pairs, request, now);
    }
}
