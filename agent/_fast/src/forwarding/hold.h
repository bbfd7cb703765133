/* What the flow table asks of the packet path: packets that wait for a flow's action, and the
 * way back into the pipeline. */
#ifndef FORWARDING_HOLD_H
#define FORWARDING_HOLD_H

#include <stdint.h>

struct datapath;
struct packet;

/* The entry got an action: its held packets go their way by it, oldest first. */
void hold_release(struct datapath *dp, uint32_t index);
/* The entry goes, or nobody was told of it: its held packets are dropped. */
void hold_drop(struct datapath *dp, uint32_t index, int reason);
/* A packet that was taken out of the pipeline in its flow lookup (a fragment that waited for
 * its head) enters that lookup again and goes on from there. Takes the packet. */
void flow_resume(struct datapath *dp, struct packet *p);

#endif
