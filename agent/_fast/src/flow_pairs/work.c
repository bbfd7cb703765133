/* Lists of pairs that have something to do; a pair is in one at most. */
#include "table.h"

void work_put(struct pairs *pairs, enum work_list list, uint32_t number)
{
    struct work *work = &pairs->work[list];
    struct flow_pair *pair = pairs_at(pairs, number);
    if (pair->list == list)
        return;
    work_drop(pairs, number);
    pair->list = (uint8_t)list;
    pair->next = FLOW_NONE;
    pair->previous = work->last;
    if (work->last == FLOW_NONE)
        work->first = number;
    else
        pairs_at(pairs, work->last)->next = number;
    work->last = number;
    work->count++;
}

void work_drop(struct pairs *pairs, uint32_t number)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    struct work *work = &pairs->work[pair->list];
    if (pair->list == WORK_NONE)
        return;
    if (pair->previous == FLOW_NONE)
        work->first = pair->next;
    else
        pairs_at(pairs, pair->previous)->next = pair->next;
    if (pair->next == FLOW_NONE)
        work->last = pair->previous;
    else
        pairs_at(pairs, pair->next)->previous = pair->previous;
    pair->next = pair->previous = FLOW_NONE;
    pair->list = WORK_NONE;
    work->count--;
}

uint32_t work_take(struct pairs *pairs, enum work_list list)
{
    uint32_t number = pairs->work[list].first;
    if (number != FLOW_NONE)
        work_drop(pairs, number);
    return number;
}
