/* Packets meet their flows: keys, actions, address translation, sources, TCP state
 * (facts datapath-behaviour.md 3, 4, 6; shared-memory.md 3 to 8). */
#ifndef FORWARDING_FLOW_PATH_H
#define FORWARDING_FLOW_PATH_H

#include "dp.h"

/* flow_key.c */
struct flow_key { uint8_t bytes[FLOW_KEY6]; uint32_t length; };
enum { KEY_MADE = -1, KEY_TAKEN = -2 };

/* The packet that an ICMP error quotes; offsets in the packet's buffer. */
struct quote {
    uint32_t ip, l4;
    uint8_t proto;
    bool later_fragment;
};

/* KEY_MADE; KEY_TAKEN: the packet is gone (a fragment); else a drop reason. */
int flow_key_of(struct datapath *dp, struct packet *p, uint32_t nexthop, struct flow_key *key);
bool is_later_fragment(const struct packet *p);
/* An ICMP error with the header of a packet in it, and where that is. */
bool find_quote(const struct packet *p, struct quote *quote);

/* flow_input.c: true: the packet goes on (`nh`: the nexthop that it is about to enter, NULL at
 * its vif); false: it was taken. p->stage and p->stage_nh say where it goes on from later. */
bool flow_input(struct datapath *dp, struct packet *p, const struct nexthop *nh);
/* The packet's entry, or NULL. */
static inline uint8_t *flow_of(const struct datapath *dp, const struct packet *p)
{
    return p->flow ? hash_entry(&dp->flows, p->flow - 1) : NULL;
}
/* The other direction's entry, or NULL. */
uint8_t *flow_partner(const struct datapath *dp, const uint8_t *entry);

/* rx.c, nexthop.c: the way on from where the packet met its flow. */
void leave_flow(struct datapath *dp, struct packet *p);
void leave_policy(struct datapath *dp, struct packet *p, struct nexthop *nh);
/* decap.c: has it the outer headers of a tunnel that could be ours? */
bool is_tunnelled(const struct packet *p);
/* Is it an ICMP error about a packet of our tunnels? */
bool is_tunnel_error(const struct packet *p);

/* trap.c: a held packet for the agent, with what it must know of the entry. */
struct flow_trap {
    uint32_t index, nexthop;
    struct flow_predecessor before;
    uint8_t gen_id;
};
void trap_flow(struct datapath *dp, struct packet *p, int reason, const struct flow_trap *flow);

/* flow_hold.c */
bool hold_init(struct datapath *dp);
void hold_free(struct datapath *dp);
/* Keeps the packet until its entry has an action; tells the agent when that is news. */
void hold_packet(struct datapath *dp, struct packet *p, uint32_t index,
                 const struct flow_predecessor *before);

/* flow_act.c: what the entry says is done; false: the packet was taken. */
bool flow_act(struct datapath *dp, struct packet *p, uint32_t index);

/* flow_source.c */
/* Does the packet come from where the entry says? A drop reason, or -1. */
int flow_check_source(struct datapath *dp, const struct packet *p, uint8_t *entry);
void flow_note_source(const struct packet *p, uint8_t *entry);
/* The member of an ECMP choice that the packet's flow keeps to, or -1. */
int flow_member(struct datapath *dp, const struct packet *p, const struct nexthop *nh);
void flow_keep_member(struct datapath *dp, const struct packet *p, uint32_t slot);

/* flow_nat.c: rewrites by the reverse flow's key; a drop reason, or -1. */
int flow_translate(struct datapath *dp, struct packet *p, const uint8_t *entry);

/* flow_tcp.c: state flags of both directions; closes the pair when it is over. */
void flow_track_tcp(struct datapath *dp, const struct packet *p, uint32_t index);

#endif
