/* What the world knows of where a packet may have come in. */
#ifndef FLOW_PLACES_H
#define FLOW_PLACES_H

#include <stdbool.h>
#include <stdint.h>

struct world;

struct place {
    uint32_t kind;            /* enum vif_kind */
    uint32_t key_nexthop;
    uint8_t mac[6];
};

bool place_of_vif(const struct world *, uint32_t vif, struct place *);
/* The first vif of the fabric, or FLOW_NONE. */
uint32_t place_fabric(const struct world *);
uint32_t place_router_id(const struct world *); /* host order */

#endif
