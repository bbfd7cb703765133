/* Fat flows: a vif's rules make many flows one, by leaving out ports and address bits of the
 * flow key (facts sandesh-ksync.md 4.2, oper-db.md 4.3). */
#ifndef FORWARDING_FAT_FLOW_H
#define FORWARDING_FAT_FLOW_H

#include <stdbool.h>
#include <stdint.h>

struct vif;

/* Applies the first rule of the vif that fits to a flow key (layout of the shared table).
 * `from_guest`: the packet came out of the vif; else it is on its way into it. A rule for a port
 * zeroes the other one (of two configured ports the lower one stays), one for port 0 both.
 * Source and destination of a rule are those of packets that the guest sends, as the agent takes
 * them too (flow_world/fat.c); the facts do not say. */
void fat_flow_apply(const struct vif *vif, bool from_guest, uint8_t *key);

#endif
