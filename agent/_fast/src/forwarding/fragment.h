/* Fragments follow their head: its ports are remembered for 2 seconds, and fragments that
 * come before it wait (facts datapath-behaviour.md 6). */
#ifndef FORWARDING_FRAGMENT_H
#define FORWARDING_FRAGMENT_H

#include "packet.h"

struct datapath;

enum fragment_verdict {
    FRAGMENT_NONE,   /* no fragment, or one that holds the whole packet */
    FRAGMENT_HEAD,   /* the first one, with the transport header */
    FRAGMENT_TAIL,   /* another one: `ports` are those of its head, p->l4 is just payload */
    FRAGMENT_TAKEN,  /* the packet waits for its head, or was dropped and counted */
};

enum { FRAGMENT_PORTS = 8 };

/* For the flow lookup, before it makes a key: the packet's IP header is parsed. Datagrams are
 * told apart by family, VRF, key nexthop, addresses, protocol (IPv4) and identification.
 * `ports` (of HEAD and TAIL) are the first eight bytes behind the IP headers: source and
 * destination port, or type, code, checksum and identifier of ICMP. For IPv6, fragment or not,
 * p->proto and p->l4 move behind the extension headers. Fragments that waited come back through
 * flow_resume (hold.h) once the packet at hand has left the router. */
enum fragment_verdict fragment_ports(struct datapath *dp, struct packet *p, uint32_t nexthop,
                                     uint8_t ports[FRAGMENT_PORTS]);
/* Fragments whose head has come by now, and those that waited too long. */
void fragment_settle(struct datapath *dp);
/* Does something wait, or is a head remembered? */
bool fragment_pending(const struct datapath *dp);
struct fragments *fragment_new(void);
/* Drops what waits; the heads are forgotten. */
void fragment_forget(struct datapath *dp);

#endif
