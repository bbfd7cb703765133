/* Flow pairs: both directions of a flow as one thing that is made, changed and deleted together.
 *
 * A pair lives at a number of an arena that never moves; numbers of ended pairs are used again.
 * Three ways lead to a side: its key, its index in the datapath's table (at most one owner each,
 * newer generations win: facts shared-memory.md 12.2), and what its decision read. Times are
 * milliseconds of one clock that never goes back; 32-bit ones wrap and are compared by difference.
 *
 * Everything belongs to one thread. What the scanner calls is in the part "for the scanner".
 */
#ifndef FLOW_PAIRS_H
#define FLOW_PAIRS_H

#include <stddef.h>

#include "flow.h"

enum pair_state {
    PAIR_FREE,                /* the slot is not in use */
    PAIR_SETTING_UP,          /* the datapath has not taken all of it yet */
    PAIR_INSTALLED,           /* the datapath has it; a change may be under way */
    PAIR_ENDING               /* what is left of it in the datapath is being deleted */
};

/* Why a pair ended; kept in the record of the flow. */
enum pair_end {
    END_NONE, END_AGED, END_EVICTED, END_SHORT, END_PORT_GONE, END_CHANGED, END_REPLACED,
    END_REFUSED, END_LOST, END_RESET, END_ASKED, END_CLOSED, PAIR_ENDS
};

enum side_flag {
    SIDE_DIRTY = 1,           /* the datapath's entry is not what was decided */
    SIDE_UNSURE = 2           /* a request's fate is not known: there may be an entry */
};

/* What the datapath is known to have of one direction, and what was counted on it. */
struct pair_side {
    uint64_t bytes, packets;  /* since the flow began, the low 48 and 40 bits as in the table */
    uint32_t index;           /* of its entry, FLOW_NONE while there is none */
    uint32_t next_of_key;     /* chain of the hash: (pair number << 1 | side) + 1, 0: its end */
    uint32_t last_seen;       /* when `bytes` last grew, or when it was made */
    uint16_t tcp_flags;       /* as the scanner last read them */
    uint8_t gen_id, flags;    /* enum side_flag */
};

struct pair_link {
    uint32_t next, previous;  /* pair number << 3 | which read; FLOW_NONE: end of the list */
};

struct flow_pair {
    struct pair_side at[FLOW_SIDES];
    struct flow_decision is;  /* what was decided, keys included */
    struct pair_link read[FLOW_READS];
    uint64_t serial;          /* never given twice */
    uint64_t created;         /* ms */
    uint32_t next, previous;  /* of the work list that it is in */
    uint32_t due;             /* ms: when a short flow or a delay is over; when it was installed */
    uint32_t epoch;           /* of its last decision, see touched.c */
    uint32_t vif, label, tunnel_source;  /* of the trapped packet, to decide anew */
    uint32_t charged[FLOW_SIDES];        /* ports whose limits count it, FLOW_NONE: none */
    uint16_t vrf;
    uint8_t smac[6], dmac[6];
    uint8_t tunnel, is_l2;
    uint8_t state, list, tries;
    uint8_t asked;            /* the kind of request that is under way */
    uint8_t end;              /* enum pair_end */
    uint8_t keyed;            /* bit for each side: in the hash */
    bool linked;              /* in the lists of what it reads */
    bool counted_short;       /* among its port's refused flows */
    bool kept;                /* an earlier agent made it: its counters did not begin at 0 */
};

struct pairs;

/* ---- for everybody ---- */

/* The pair of a number below pairs_top(); look at its state first. */
struct flow_pair *pairs_at(const struct pairs *pairs, uint32_t number);
/* One more than the highest number that was ever in use. */
uint32_t pairs_top(const struct pairs *pairs);
/* Pair number << 1 | side that owns an index of the table, or FLOW_NONE. */
uint32_t pairs_owner(const struct pairs *pairs, uint32_t index);
/* Pair number << 1 | side with a key of 20 or 44 bytes, or FLOW_NONE. */
uint32_t pairs_find(const struct pairs *pairs, const uint8_t *key, size_t length);

/* ---- for the scanner; `pair` is in use, `side` 0 or 1 ---- */

/* The mapped table of `total` entries, for last looks at entries that go; NULL: there is none
 * any more. Its bytes change all the time and are not trusted. */
void pairs_watch(struct pairs *pairs, const unsigned char *table, uint32_t total);

/* A live entry was read: 48-bit bytes, 40-bit packets. Folds the growth into the 64-bit totals
 * (facts shared-memory.md 11); returns whether there was any. */
bool pairs_stats(struct pairs *pairs, uint32_t pair, int side, uint64_t bytes, uint64_t packets,
                 uint16_t tcp_flags, uint32_t now);
/* Nothing was seen for too long, or TCP closed (`why`): both directions go. */
void pairs_aged(struct pairs *pairs, uint32_t pair, enum pair_end why, uint32_t now);
/* The datapath took the entry away by itself; its last counters, when they could be read. */
void pairs_evicted(struct pairs *pairs, uint32_t pair, int side, uint64_t bytes, uint64_t packets,
                   uint32_t now);
/* The entry that a side says it has is not there (free, other key, other generation): to be made
 * again as long as the other side lives. */
void pairs_missing(struct pairs *pairs, uint32_t pair, int side, uint32_t now);

/* An entry of the table that no pair owns, as the scanner copied it. */
struct flow_found {
    uint8_t key[FLOW_KEY];    /* 20 or 44 bytes, by its family */
    uint32_t index, reverse;  /* fe_rflow, FLOW_NONE: none */
    uint32_t src_nexthop;
    uint32_t src_info;        /* ingress vif, or outer source IPv4 in wire order */
    uint64_t bytes, packets;
    uint16_t flags, vrf, dvrf, tcp_flags;
    uint8_t gen_id, action;
};

/* `found` is nobody's: held for too long (it goes, and the flow's next packet is trapped again), or
 * left over from an earlier life of the agent (it is decided on and kept, so that traffic goes
 * on, or goes). The world must be complete by then.
 * `reverse` is the entry that it names as its reverse, NULL when that is not there or not its
 * partner. False when there is no room now: tell it again in the next sweep. */
bool pairs_unknown(struct pairs *pairs, const struct flow_found *found,
                   const struct flow_found *reverse, uint32_t now);

#endif
