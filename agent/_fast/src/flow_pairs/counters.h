/* What is counted, each with the name that people read. */
#ifndef FLOW_COUNTERS_H
#define FLOW_COUNTERS_H

#define FLOW_COUNTERS(X) \
    X(TRAPS, traps) X(TRUNCATED, traps_truncated) X(MALFORMED, traps_malformed) \
    X(NOT_IP, traps_not_ip) X(BAD_INDEX, traps_bad_index) X(QUEUE_FULL, traps_queue_full) \
    X(RETRAPS, retraps) X(STALE, traps_stale) X(DECISIONS, decisions) X(CREATED, pairs_created) \
    X(ENDED, pairs_ended) X(SHORT, pairs_short) X(LIMITED, pairs_limited) \
    X(ARENA_FULL, pairs_no_room) X(REPLACED, pairs_replaced) X(EVICTED, pairs_evicted) \
    X(MISSING, entries_missing) X(ADOPTED, entries_adopted) X(KEPT, entries_kept) \
    X(AUDITED, entries_audited) X(STRAYS, entries_refused) X(STRAYS_LOST, entries_left_to_audit) \
    X(REDECIDED, pairs_redecided) X(CHANGED, pairs_changed) X(SENT, requests) \
    X(ANSWERS, answers) X(ACKS, acks) X(NACKS, nacks) X(EXISTS, nacks_exists) \
    X(GONE, nacks_gone) X(BUSY, nacks_busy) X(FULL, nacks_full) X(INVALID, nacks_invalid) \
    X(TIMEOUTS, requests_timed_out) X(LATE, answers_late) X(UNREADABLE, answers_unreadable) \
    X(GIVEN_UP, pairs_given_up) X(RECORDS_LOST, records_lost) X(CONFLICTS, index_conflicts) \
    X(RESETS, resets)

enum flow_counter {
#define FLOW_COUNTER(number, name) COUNT_##number,
    FLOW_COUNTERS(FLOW_COUNTER)
#undef FLOW_COUNTER
    FLOW_COUNTER_MAX
};

const char *pairs_counter_name(int counter);
const char *pairs_end_name(int end);

#endif
