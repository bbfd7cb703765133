/* Copies of packets for analyzers, and the table of where they go.
 *
 * A copy is the frame, in front of it (a mirror with MIRROR_DYNAMIC) the metadata of the vif or
 * flow and a capture header of 16 bytes in network order: seconds, microseconds, bytes that
 * follow, bytes that would follow had the copy not been cut. Whole it goes into the mirror's
 * nexthop; a VXLAN tunnel carries it with the mirror's VNI. The facts name the fields and the
 * metadata; the order of metadata and capture header was not seen on a wire. */
#ifndef FORWARDING_MIRROR_H
#define FORWARDING_MIRROR_H

#include "packet.h"

struct datapath;
struct vif;

enum { MIRRORS = 255, MIRROR_DYNAMIC = 1, MIRROR_HW_ASSISTED = 4 };

struct mirror { bool used; uint32_t nh, flags, vni; };

struct mirrors *mirrors_new(void);
/* All mirrors and the metadata of all flows go. */
void mirror_forget(struct datapath *dp);
/* 0 or a negative errno. A hardware-assisted mirror has no nexthop, and makes no copies here. */
int mirror_set(struct datapath *dp, uint32_t index, uint32_t nh, uint32_t flags, uint32_t vni);
int mirror_delete(struct datapath *dp, uint32_t index);

/* The copy that VIFF_MIRROR_RX (as received, `received`) or VIFF_MIRROR_TX (as sent) ask for:
 * the frame at the data's start. The packet itself is not changed. */
void mirror_vif(struct datapath *dp, struct packet *p, const struct vif *vif, bool received);
/* The copies that a flow entry's FL_MIRROR asks for: the innermost frame as it came in. */
void mirror_flow(struct datapath *dp, struct packet *p, const uint8_t *entry);

/* Metadata of an entry's copies, kept once for all entries that share it. Beyond META_KINDS
 * different ones, or META_MAX bytes, copies go without. */
void mirror_meta_set(struct datapath *dp, uint8_t *entry, const uint8_t *bytes, uint32_t length);
void mirror_meta_drop(struct datapath *dp, uint8_t *entry);

#endif
