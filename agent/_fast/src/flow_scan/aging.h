/* How long a pair of flows may be silent. */
#ifndef FLOW_SCAN_AGING_H
#define FLOW_SCAN_AGING_H

#include "flow_pairs/pairs.h"

enum { AGING_SERVICES = 256, AGING_NEVER = 0 };

/* The timeout of a port, 0 for all ports of the protocol that have none of their own. */
struct aging_service {
    uint32_t timeout;
    uint16_t port;
    uint8_t proto;
};

/* Milliseconds each. */
struct aging {
    uint32_t common;            /* what is not named below */
    uint32_t dropped;           /* both directions are dropped */
    uint32_t half_open;         /* TCP, the handshake is not complete */
    uint32_t closed;            /* TCP, dead or closed by both sides */
    uint32_t least;             /* no timeout is shorter */
    uint32_t services;
    struct aging_service service[AGING_SERVICES];   /* sorted by protocol, then port */
};

/* Puts services in order and finds the least timeout; call it after a change. */
void aging_prepare(struct aging *aging);

/* How long this pair may be silent in both directions; AGING_NEVER: as long as it likes.
 * `why` is what its end is called. */
uint32_t aging_timeout(const struct aging *aging, const struct flow_pair *pair,
                       enum pair_end *why);

#endif
