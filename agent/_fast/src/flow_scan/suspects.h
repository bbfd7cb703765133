/* Entries that looked wrong, in the order of time, until it is clear whether they are.
 *
 * A trap, a request or an answer may be under way that explains what was seen. The memory
 * reads never lags behind what the agent was told, so after a while the answer is known. */
#ifndef FLOW_SCAN_SUSPECTS_H
#define FLOW_SCAN_SUSPECTS_H

#include <stdbool.h>
#include <stdint.h>

struct suspect {
    uint32_t index;
    uint32_t since;         /* ms */
    uint8_t gen_id;
};

struct suspects {
    struct suspect *ring;
    uint8_t *waiting;       /* a bit for each entry of the table: it is in the ring */
    uint32_t room, first, count;
};

/* For a table of `entries`; false when there is no memory. */
bool suspects_init(struct suspects *suspects, uint32_t entries, uint32_t room);
void suspects_free(struct suspects *suspects);
/* Whether the entry waits now; false when there is no room. */
bool suspects_add(struct suspects *suspects, struct suspect one);
/* The oldest, if it has waited for `delay` ms. */
bool suspects_due(const struct suspects *suspects, uint32_t now, uint32_t delay);
struct suspect suspects_take(struct suspects *suspects);

#endif
