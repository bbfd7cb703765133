/* Requests for flows, straight from the bytes of a control connection to its replies. */
#ifndef FORWARDING_FLOW_CONTROL_H
#define FORWARDING_FLOW_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct datapath;

enum { FLOW_REPLY = 124, FLOW_PAYLOAD = FLOW_REPLY - 24, FLOW_FRAME_MAX = 1 << 17 };

/* Executes the frames at the start of `in` that hold nothing but vr_flow_req messages with
 * FLOW_SET, fields in order from the first on,
 * and writes one reply frame for each message: code
 * and vr_flow_response, MULTI on all but a request's last. Stops at a frame that is anything
 * else, incomplete, or whose replies might not fit; `used` bytes of `in` are done with.
 * The caller holds the lock. Returns the bytes written, at most `room`. */
size_t flow_serve(struct datapath *dp, const uint8_t *in, size_t size, size_t *used, uint8_t *out,
                  size_t room);
/* Executes one message and writes its reply without a frame; false: it is not of that form. */
bool flow_serve_one(struct datapath *dp, const uint8_t *message, size_t size,
                    uint8_t out[FLOW_PAYLOAD]);

#endif
