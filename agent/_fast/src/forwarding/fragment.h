/* Fragments follow their head: its ports are remembered for 2 seconds, and fragments that
 * come before it wait (facts datapath-behaviour.md 6). */
#ifndef FORWARDING_FRAGMENT_H
#define FORWARDING_FRAGMENT_H

#include "packet.h"

struct datapath;

enum fragment_verdict {
    FRAGMENT_NONE,   /* no fragment, or one that holds the whole packet */
    FRAGMENT_PORTS,  /* the first four bytes behind the IP header (and IPv6's extension
                      * headers) are in `ports`; of the head itself, or remembered from it */
    FRAGMENT_TAKEN,  /* the packet waits for its head, or was dropped and counted */
};

/* For the flow lookup, before it makes a key: the packet's IP header is parsed. Datagrams are
 * told apart by family, VRF, key nexthop, addresses, protocol (IPv4) and identification.
 * `ports` are raw bytes: source and destination port, or type, code and identifier of ICMP.
 * For IPv6, p->proto and p->l4 are those behind the fragment header. Fragments that waited come
 * back through flow_resume (hold.h) once the packet at hand has left the router. */
enum fragment_verdict fragment_ports(struct datapath *dp, struct packet *p, uint32_t nexthop,
                                     uint8_t ports[8]);
/* Fragments whose head has come by now, and those that waited too long. */
void fragment_settle(struct datapath *dp);
void fragment_forget(struct datapath *dp);

#endif
