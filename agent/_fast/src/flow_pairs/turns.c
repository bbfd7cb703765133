/* The bounded steps in which everything is done, and what waits for time. */
#include "table.h"

enum { EXPIRE_MOST = 1024 };

bool pairs_pending(const struct pairs *pairs)
{
    return pairs->touch_count || pairs->all_left
        || (pairs->turn_last && pairs->setting_up < pairs->with.window);
}

bool pairs_turn(struct pairs *pairs, uint32_t packets, uint32_t changes, uint32_t now)
{
    struct flow_packet packet;
    touched_some(pairs, changes, now);
    while (packets-- && pairs->setting_up < pairs->with.window && queue_take(pairs, &packet))
        setup_packet(pairs, &packet, now);
    return pairs_pending(pairs);
}

static bool is_due(uint32_t when, uint32_t now)
{
    return !before(now, when);
}

static void expire_requests(struct pairs *pairs, uint32_t now)
{
    while (pairs->oldest != pairs->next_seq) {
        struct request *request = &pairs->requests[pairs->oldest & pairs->request_mask];
        if (request->open && !is_due(request->sent + pairs->with.timeout, now))
            return;
        if (request->open) {
            pairs_count(pairs, COUNT_TIMEOUTS);
            requests_lost(pairs, request, now);
        }
        pairs->oldest++;
    }
}

static uint32_t first_due(struct pairs *pairs, enum work_list list, uint32_t now)
{
    uint32_t number = pairs->work[list].first;
    bool due = number != FLOW_NONE && is_due(pairs_at(pairs, number)->due, now);
    return due ? work_take(pairs, list) : FLOW_NONE;
}

void pairs_tick(struct pairs *pairs, uint32_t now)
{
    uint32_t number;
    expire_requests(pairs, now);
    for (int i = 0; i < EXPIRE_MOST && (number = first_due(pairs, WORK_DELAY, now)) != FLOW_NONE; i++)
        plan_advance(pairs, number, now);
    for (int i = 0; i < EXPIRE_MOST && (number = first_due(pairs, WORK_SHORT, now)) != FLOW_NONE; i++)
        pair_end(pairs, number, END_SHORT, now);
}

static void earlier(uint32_t when, uint32_t *first, bool *any)
{
    if (!*any || before(when, *first))
        *first = when;
    *any = true;
}

bool pairs_deadline(const struct pairs *pairs, uint32_t *when)
{
    static const enum work_list lists[] = {WORK_DELAY, WORK_SHORT};
    bool any = false;
    if (pairs->oldest != pairs->next_seq) {
        const struct request *request = &pairs->requests[pairs->oldest & pairs->request_mask];
        earlier(request->sent + pairs->with.timeout, when, &any);
    }
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++)
        if (pairs->work[lists[i]].first != FLOW_NONE)
            earlier(pairs_at(pairs, pairs->work[lists[i]].first)->due, when, &any);
    return any;
}
