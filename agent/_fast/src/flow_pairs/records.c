/* Flows that ended, for those who tell of them: a ring that forgets the oldest. */
#include <string.h>

#include "table.h"

void record_fill(const struct pairs *pairs, uint32_t number, uint64_t ended,
                 struct flow_record *record)
{
    const struct flow_pair *pair = pairs_at(pairs, number);
    const struct flow_side *forward = &pair->is.side[FLOW_FORWARD];
    for (int side = 0; side < FLOW_SIDES; side++) {
        memcpy(record->key[side], pair->is.side[side].key, FLOW_KEY);
        record->bytes[side] = pair->at[side].bytes;
        record->packets[side] = pair->at[side].packets;
        record->tcp_flags[side] = pair->at[side].tcp_flags;
    }
    record->serial = pair->serial;
    record->number = number;
    record->started = pair->created;
    record->ended = ended;
    record->policy_rule = forward->policy_rule;
    record->sg_rule = forward->sg_rule;
    record->vif = pair->vif;
    record->vrf = forward->vrf;
    record->flags = pair->is.flags;
    record->action = forward->action;
    record->reason = forward->reason;
    record->end = pair->end;
    record->kept = pair->kept;
    course_read(pairs, pair, &record->course);
}

void records_add(struct pairs *pairs, uint32_t number, uint32_t now)
{
    uint32_t room = pairs->with.records;
    if (!room)
        return;
    if (pairs->record_count == room) {
        pairs->record_first = (pairs->record_first + 1) % room;
        pairs->record_count--;
        pairs_count(pairs, COUNT_RECORDS_LOST);
    }
    uint32_t at = (pairs->record_first + pairs->record_count++) % room;
    record_fill(pairs, number, time_of(pairs, now), &pairs->records[at]);
}

size_t pairs_records(struct pairs *pairs, struct flow_record *records, size_t room)
{
    size_t count = 0;
    while (pairs->record_count && count < room) {
        records[count++] = pairs->records[pairs->record_first];
        pairs->record_first = (pairs->record_first + 1) % pairs->with.records;
        pairs->record_count--;
    }
    return count;
}
