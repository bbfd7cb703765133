/* Packets that wait: copies of the size of their frame, since a packet buffer has room for the
 * largest. Used for held packets of flows and for fragments without their head. */
#ifndef FORWARDING_PARKED_H
#define FORWARDING_PARKED_H

#include "packet.h"

struct datapath;
struct parked;

struct parked_list { struct parked *first, *last; uint32_t count; };

/* Takes the packet; false: no memory, the packet was dropped (`reason` counts it). */
bool park(struct datapath *dp, struct parked_list *list, struct packet *p, int reason);
/* The oldest as a packet again, or NULL when the list is empty. One whose vif is gone, or for
 * which there is no buffer, is dropped on the way. */
struct packet *unpark(struct datapath *dp, struct parked_list *list);
/* Drops all. */
void park_drop(struct datapath *dp, struct parked_list *list, int reason);

#endif
