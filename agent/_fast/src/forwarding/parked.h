/* Packets that wait: copies of the size of their frame, since a packet buffer has room for the
 * largest. Used for held packets of flows, for fragments without their head and for frames that
 * the agent's socket has no room for. */
#ifndef FORWARDING_PARKED_H
#define FORWARDING_PARKED_H

#include "packet.h"

struct datapath;
struct parked;

struct parked_list { struct parked *first, *last; uint32_t count; uint64_t bytes; };

/* Takes the packet; false: no memory, the packet was dropped (`reason` counts it). */
bool park(struct datapath *dp, struct parked_list *list, struct packet *p, int reason);
/* The oldest as a packet again, or NULL when the list is empty. One whose vif is gone, or for
 * which there is no buffer, is dropped on the way. */
struct packet *unpark(struct datapath *dp, struct parked_list *list);
/* The data of one, and the one behind it. */
uint8_t *parked_data(struct parked *parked, uint32_t *length);
struct parked *parked_next(const struct parked *parked);
/* Forgets the oldest; or drops and counts it. */
void parked_pop(struct parked_list *list);
void parked_drop_oldest(struct datapath *dp, struct parked_list *list, int reason);
/* All of `from` go behind those of `to`. */
void parked_join(struct parked_list *to, struct parked_list *from);
/* Drops all; each is counted with this reason. */
void park_drop(struct datapath *dp, struct parked_list *list, int reason);

#endif
