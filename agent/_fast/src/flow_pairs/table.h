/* The inside of the pairs: what the files of this folder share. */
#ifndef FLOW_PAIRS_TABLE_H
#define FLOW_PAIRS_TABLE_H

#include "flow_world/decide.h"
#include "counters.h"
#include "pairs.h"

enum {
    CHUNK_BITS = 10, CHUNK = 1 << CHUNK_BITS,
    PAIRS_VIFS = WORLD_VIFS,
    PAIRS_ROUTES = 1 << 26,   /* numbers of routes lie below */
    FRAME_HEADER = 24, REQUEST_FRAME = FRAME_HEADER + 276,
    ANSWER_MOST = 4096,       /* bytes of one answer's frame (facts sandesh-ksync.md 3.6) */
    STRAYS = 4096, PENDING_TOUCHES = 4096, QUEUED = 16384, RECORDS_MOST = 1 << 20,
    TRIES = 6,                /* refusals of one pair before it is given up */
    BUSY_WAIT = 20,           /* ms until an entry that was busy is asked again */
    RETRAP_GRACE = 1000,      /* ms in which packets of a flow may still be trapped */
    SHORT_FLOWS_OF_VIF = 1024 /* refused flows of one port that stay in the table */
};

enum work_list { WORK_NONE, WORK_SETUP, WORK_CHANGE, WORK_DELAY, WORK_SHORT, WORK_LISTS };

struct work {
    uint32_t first, last, count;
};

/* ASK_RESOLVE adds an entry only to learn whether there is one, and which. */
enum ask { ASK_NOTHING, ASK_ADD, ASK_SET, ASK_DELETE, ASK_RESOLVE, ASK_STRAY };

struct request {
    uint32_t pair, sent;      /* FLOW_NONE: about an entry without a pair; ms */
    uint32_t index, partner;  /* as told to the datapath */
    uint8_t gen_id, side, kind, open;
};

/* Lists of what read a vif or a route, newest decision first. Heads are link + 1, so that
 * fresh memory is empty lists. */
struct readers {
    uint32_t first, last;
};

struct vif_slot {
    struct readers readers;
    uint32_t flows, shorts;   /* that its limits count; refused ones */
    uint32_t setting_up;
    uint32_t vm;
    uint32_t queue_first, queue_last, queued; /* trapped packets: number in the pool + 1 */
    uint32_t turn_next;       /* ring of those whose turn comes: vif + 1 */
    uint8_t in_turn;
    uint64_t dropped;
};

struct vm_slot {
    uint32_t vm, flows, most;
    bool dropping, told;      /* the limit was reached; what was signalled last */
    bool listed;              /* in the list of changed signals */
};

struct vms {
    struct vm_slot *slots;
    uint32_t mask, used;
    uint32_t *changed;
    uint32_t changed_count, changed_room;
};

struct queued {
    struct flow_packet packet;
    uint32_t next;
};

struct stray {
    uint8_t key[FLOW_KEY];
    uint32_t index;
    uint8_t gen_id;
};

struct pending_touch {
    uint32_t kind, number, epoch;
};

enum { FLOW_NO_ROUTE = 255 };   /* a length that none has */

/* Where a pair leads to, as far as the world knows at the time. */
struct flow_course {
    uint32_t from_vif, to_vif;   /* ports of this host at its ends, FLOW_NONE: there is none */
    uint32_t meta[FLOW_SIDES];   /* what is known of the source's and the destination's address */
    uint32_t peer;               /* the other vrouter's address, host order; 0: none */
    uint8_t tunnel;              /* enum tunnel of packet.h */
    uint8_t length[FLOW_SIDES];  /* bits of the routes to source and destination */
};

/* One ended pair, or one as it is now. */
struct flow_record {
    uint8_t key[FLOW_SIDES][FLOW_KEY];
    uint64_t serial, started, ended;
    uint64_t bytes[FLOW_SIDES], packets[FLOW_SIDES];
    uint32_t policy_rule, sg_rule;
    uint32_t vif;
    uint32_t number;             /* of the pair; may be another one's by now */
    struct flow_course course;
    uint16_t vrf, flags;
    uint16_t tcp_flags[FLOW_SIDES];
    uint8_t action, reason, end;
    bool kept;                   /* an earlier agent's flow: what it counted then is told */
};

struct pairs_options {
    uint32_t entries, window, share, queue, timeout, short_time, records, pid;
    uint64_t seed;
};

struct pairs {
    struct world *world;
    struct pairs_options with;
    uint64_t counters[FLOW_COUNTER_MAX];
    uint64_t serial, clock;   /* ms, the 64-bit form of every `now` */

    struct flow_pair **chunks;
    uint32_t chunk_room, chunk_count, top, used, free;
    uint32_t *bucket, bucket_mask;
    uint32_t *owner;
    const unsigned char *table; /* mapped; NULL: not now */
    uint32_t table_entries;

    struct work work[WORK_LISTS];
    struct vif_slot *vifs;
    struct vms vms;
    struct readers *routes;
    uint32_t route_room;

    struct queued *pool;
    uint32_t pool_free, pool_top, pool_used;
    uint32_t turn_last, setting_up; /* ring of vifs in turn: the last one + 1 */
    uint8_t router_id[4];

    struct pending_touch *touches;
    uint32_t touch_first, touch_count;
    uint32_t epoch, all_epoch, all_cursor, all_left;

    struct request *requests;
    uint32_t request_mask, oldest, next_seq, in_flight, rotation;
    bool online;
    struct stray *strays;
    uint32_t stray_first, stray_count;
    uint8_t *partial;         /* the beginning of an answer whose rest has not come */
    uint32_t partial_length;

    struct flow_record *records;
    uint32_t record_first, record_count;
};

/* records.c: a pair as a record; move up to `room` records of ended ones out, oldest first */
void record_fill(const struct pairs *, uint32_t number, uint64_t ended, struct flow_record *);
size_t pairs_records(struct pairs *, struct flow_record *, size_t room);

/* course.c */
void course_read(const struct pairs *, const struct flow_pair *, struct flow_course *);

struct pairs *pairs_new(struct world *, const struct pairs_options *);
void pairs_free(struct pairs *);
size_t pairs_memory(const struct pairs *);

static inline void pairs_count(struct pairs *pairs, enum flow_counter counter)
{
    pairs->counters[counter]++;
}
static inline size_t flow_key_length(const uint8_t *key)
{
    return key[0] == FLOW_INET6 ? FLOW_KEY : FLOW_KEY_INET;
}
static inline uint32_t number_of(uint32_t reference) { return reference >> 1; }
static inline int side_of(uint32_t reference) { return (int)(reference & 1); }
static inline bool is_short(const struct flow_pair *pair) { return pair->is.flags & PAIR_SHORT; }
/* The 64-bit time of a `now`, which is never far from the last one. */
static inline uint64_t time_of(struct pairs *pairs, uint32_t now)
{
    if ((int32_t)(now - (uint32_t)pairs->clock) > 0)
        pairs->clock += now - (uint32_t)pairs->clock;
    return pairs->clock;
}
static inline bool before(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }

/* arena.c */
uint32_t arena_take(struct pairs *);  /* FLOW_NONE: full */
void arena_give(struct pairs *, uint32_t number);

/* keys.c: of each key, the newest pair that has it */
void keys_put(struct pairs *, uint32_t number, int side);
void keys_drop(struct pairs *, uint32_t number, int side);

/* owners.c */
bool owners_attach(struct pairs *, uint32_t number, int side, uint32_t index, uint8_t gen_id,
                   uint32_t now);
void owners_detach(struct pairs *, uint32_t number, int side);

/* work.c */
void work_put(struct pairs *, enum work_list, uint32_t number);
void work_drop(struct pairs *, uint32_t number);
uint32_t work_take(struct pairs *, enum work_list);

/* reads.c */
bool reads_room(struct pairs *, const struct flow_decision *);
void reads_link(struct pairs *, uint32_t number);
void reads_unlink(struct pairs *, uint32_t number);
struct readers *readers_of(struct pairs *, int which, uint32_t number);

/* glance.c: looks into the mapped table */
void glance_counters(struct pairs *, uint32_t number, int side);
/* The ports that the datapath has in the key of a held entry; false: not that packet's. */
bool glance_ports(const struct pairs *, struct flow_packet *);

/* limits.c */
bool limits_allow(struct pairs *, const struct flow_pair *); /* false: a limit is reached */
void limits_charge(struct pairs *, struct flow_pair *);
void limits_release(struct pairs *, struct flow_pair *);
void limits_refresh(struct pairs *, uint32_t vif);
/* Move up to `room` changed signals out: VM numbers and whether to drop new flows. */
size_t pairs_signals(struct pairs *, uint32_t *vms, uint8_t *drop, size_t room);

/* queue.c: trapped packets in the order of turns */
bool queue_put(struct pairs *, const struct flow_packet *);
bool queue_take(struct pairs *, struct flow_packet *);
void queue_clear(struct pairs *);
void queue_enter(struct pairs *, uint32_t vif); /* its turn may have come */

/* strays.c: entries that are to be deleted without a pair */
void strays_put(struct pairs *, const uint8_t *key, uint32_t index, uint8_t gen_id);
bool strays_take(struct pairs *, struct stray *);

/* shorts.c: flows that are refused stay in the table for a while */
bool shorts_enter(struct pairs *, struct flow_pair *); /* false: its port has too many */
void shorts_leave(struct pairs *, struct flow_pair *);

/* setup.c */
void setup_packet(struct pairs *, const struct flow_packet *, uint32_t now);
/* A pair of a decision that is not in the table of keys; FLOW_NONE: no room. */
uint32_t setup_pair(struct pairs *, const struct flow_packet *, const struct flow_decision *,
                    uint32_t now);
void setup_reverse_key(struct pairs *, uint32_t number, uint32_t now);
void setup_over(struct pairs *, struct flow_pair *);
void setup_discard(struct pairs *, const struct flow_decision *); /* gives its port back */

/* plan.c */
struct plan {
    uint8_t side, kind;
};
struct plan plan_next(const struct flow_pair *);
/* After any change of a pair: put it to work or settle it. The pair may be gone afterwards. */
void plan_advance(struct pairs *, uint32_t number, uint32_t now);
/* Drop the flow for a reason and let it go soon. */
void plan_refuse(struct pairs *, uint32_t number, enum flow_reason reason, uint32_t now);

/* ending.c */
void pair_end(struct pairs *, uint32_t number, enum pair_end why, uint32_t now);
void pair_dispose(struct pairs *, uint32_t number, uint32_t now);
void pairs_reset(struct pairs *, uint32_t now);

/* requests.c */
size_t pairs_output(struct pairs *, uint8_t *out, size_t room, uint32_t now);
bool pairs_can_send(const struct pairs *);
void pairs_online(struct pairs *, bool online, uint32_t now);
void requests_lost(struct pairs *, struct request *, uint32_t now);

/* answers.c: 0, or -1 when the stream is out of step */
int pairs_answers(struct pairs *, const uint8_t *data, size_t length, uint32_t now);
/* outcome.c */
struct outcome {
    int32_t code;
    uint32_t index;           /* FLOW_NONE: the answer had no vr_flow_response */
    uint8_t gen_id;
    uint64_t bytes, packets;  /* of the slot's last owner, when an entry was added */
};
void outcome_apply(struct pairs *, uint32_t seq, const struct outcome *, uint32_t now);

/* touched.c */
bool touched_some(struct pairs *, uint32_t most, uint32_t now); /* whether more waits */
void touched_clear(struct pairs *);
uint32_t pairs_redecide(struct pairs *, uint32_t number, uint32_t now);

/* scanner.c */
void stats_fold(struct pair_side *, uint64_t bytes, uint64_t packets);
/* The last counters of who had entry `index` before generation `gen_id`. */
void stats_of_predecessor(struct pairs *, uint32_t index, uint8_t gen_id, uint64_t bytes,
                          uint64_t packets);

/* records.c */
void records_add(struct pairs *, uint32_t number, uint32_t now);

/* traps.c */
enum trap_use { TRAP_NOT_FLOW, TRAP_TAKEN };
enum trap_use pairs_trap(struct pairs *, const uint8_t *frame, size_t length);

/* turns.c */
bool pairs_turn(struct pairs *, uint32_t packets, uint32_t changes, uint32_t now);
bool pairs_pending(const struct pairs *);
void pairs_tick(struct pairs *, uint32_t now);
bool pairs_deadline(const struct pairs *, uint32_t *when);

#endif
