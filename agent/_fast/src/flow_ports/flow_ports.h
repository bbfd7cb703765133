/* A walk over the pairs of flows: which ports of TCP and UDP they use, by interface, and how long
 * new ones took to be set up. It only reads.
 *
 * Ports are told in 256ths of the 65,536 there are, a bit each (facts oper-db.md 6.1). */
#ifndef FLOW_PORTS_H
#define FLOW_PORTS_H

#include "flow_pairs/pairs.h"

enum { PORT_WORDS = 8, PORT_KINDS = 4, SETUP_BUCKETS = 32 };

/* Of one interface, or of all: TCP's source and destination ports, then UDP's, as the one who
 * began the flow has them. */
struct port_bits {
    uint32_t words[PORT_KINDS][PORT_WORDS];
};

struct ports_walk {
    struct port_bits *rows;   /* of this walk: of all flows, then of each interface by its index */
    struct port_bits *whole;  /* of the last finished one */
    uint32_t vifs;            /* interfaces that there are rows for */
    uint32_t cursor;
    uint64_t seen;            /* the highest serial number of finished walks */
    uint64_t highest;         /* of this one */
    const uint32_t *bounds;   /* ms, ascending: of the buckets of set-up times */
    uint32_t buckets;         /* how many bounds; one bucket more is for what is above */
    uint64_t setups[SETUP_BUCKETS];
    uint64_t setup_ms;        /* their sum */
};

/* Look at `count` pairs from the cursor on; false at the end, the cursor is 0 again then. */
bool ports_walk(struct ports_walk *walk, const struct pairs *pairs, uint32_t count);

#endif
