/* Copies of packets for analyzers. */
#ifndef FORWARDING_MIRROR_H
#define FORWARDING_MIRROR_H

#include "packet.h"

struct datapath;
struct vif;

/* The copy that VIFF_MIRROR_RX (as received, `received`) or VIFF_MIRROR_TX (as sent) ask for:
 * the frame at the data's start. The packet itself is not changed. */
void mirror_vif(struct datapath *dp, struct packet *p, const struct vif *vif, bool received);
/* The copies that a flow entry's FL_MIRROR asks for: the innermost frame as it came in. */
void mirror_flow(struct datapath *dp, struct packet *p, const uint8_t *entry);

#endif
