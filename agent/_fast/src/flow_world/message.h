/* vr_flow_req of a decision, byte for byte as the Sandesh codec writes it. */
#ifndef VROUTER_FLOW_MESSAGE_H
#define VROUTER_FLOW_MESSAGE_H

#include "flow.h"

enum { FLOW_MESSAGE = 276 }; /* bytes of every vr_flow_req */

/* Set `which` side of a decision: on entry `index` (FLOW_NONE: the datapath chooses one), of
 * generation `gen_id`, whose partner is entry `partner` (FLOW_NONE: its key is told instead).
 * Writes FLOW_MESSAGE bytes. */
void flow_encode(uint8_t *out, const struct flow_decision *, unsigned which, uint32_t index,
                 uint8_t gen_id, uint32_t partner);
/* Delete the entry `index` with this key (family in key[0]). Writes FLOW_MESSAGE bytes. */
void flow_encode_delete(uint8_t *out, const uint8_t *key, uint32_t index, uint8_t gen_id);

#endif
