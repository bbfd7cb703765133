#include "table.h"

const char *pairs_counter_name(int counter)
{
    static const char *const names[FLOW_COUNTER_MAX] = {
#define FLOW_COUNTER(number, name) [COUNT_##number] = #name,
        FLOW_COUNTERS(FLOW_COUNTER)
#undef FLOW_COUNTER
    };
    return counter >= 0 && counter < FLOW_COUNTER_MAX ? names[counter] : "unknown";
}

const char *pairs_end_name(int end)
{
    static const char *const names[PAIR_ENDS] = {
        "", "aged", "evicted", "short", "port-gone", "changed", "replaced", "refused", "lost",
        "reset", "asked", "closed",
    };
    return end >= 0 && end < PAIR_ENDS ? names[end] : "unknown";
}
