/* Flows that are refused: a dropping entry for a short time, so that their packets cost nothing. */
#include "table.h"

bool shorts_enter(struct pairs *pairs, struct flow_pair *pair)
{
    struct vif_slot *port = pair->vif < PAIRS_VIFS ? &pairs->vifs[pair->vif] : NULL;
    if (pair->counted_short)
        return true;
    if (port && port->shorts >= SHORT_FLOWS_OF_VIF)
        return false;
    if (port)
        port->shorts++;
    pair->counted_short = true;
    pairs_count(pairs, COUNT_SHORT);
    return true;
}

void shorts_leave(struct pairs *pairs, struct flow_pair *pair)
{
    if (pair->counted_short && pair->vif < PAIRS_VIFS)
        pairs->vifs[pair->vif].shorts--;
    pair->counted_short = false;
}
