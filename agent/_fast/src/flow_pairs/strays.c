/* Entries that nobody wants and that have no pair: deleted by index, generation and key. What
 * does not fit, or is not answered, is found again by the audit of the table. */
#include <string.h>

#include "table.h"

void strays_put(struct pairs *pairs, const uint8_t *key, uint32_t index, uint8_t gen_id)
{
    if (pairs->stray_count == STRAYS || index >= pairs->with.entries) {
        pairs_count(pairs, COUNT_STRAYS_LOST);
        return;
    }
    struct stray *stray = &pairs->strays[(pairs->stray_first + pairs->stray_count++) % STRAYS];
    memcpy(stray->key, key, FLOW_KEY);
    stray->index = index;
    stray->gen_id = gen_id;
    pairs_count(pairs, COUNT_STRAYS);
}

/* The entry has become somebody's meanwhile. */
static bool is_owned(const struct pairs *pairs, const struct stray *stray)
{
    uint32_t owner = pairs_owner(pairs, stray->index);
    return owner != FLOW_NONE
        && pairs_at(pairs, number_of(owner))->at[side_of(owner)].gen_id == stray->gen_id;
}

bool strays_take(struct pairs *pairs, struct stray *stray)
{
    while (pairs->stray_count) {
        *stray = pairs->strays[pairs->stray_first];
        pairs->stray_first = (pairs->stray_first + 1) % STRAYS;
        pairs->stray_count--;
        if (!is_owned(pairs, stray))
            return true;
    }
    return false;
}
