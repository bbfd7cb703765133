/* Which sessions are told: those that ended and those that counted on since they were last
 * looked at, chosen by chance below a threshold (facts oper-db.md 6.3).
 *
 * The walk remembers of each pair what of its counters was told. It only reads the pairs, but
 * for the records of ended ones, which it takes away.
 */
#ifndef FLOW_SESSIONS_H
#define FLOW_SESSIONS_H

#include "flow_pairs/table.h"

/* What of a pair was told. */
struct session_mark {
    uint64_t serial;          /* of the pair, 0: of none */
    uint64_t bytes[FLOW_SIDES], packets[FLOW_SIDES];
    uint32_t server;          /* the vif at its other end while that was of this host */
    bool local;               /* there was one */
    bool told;                /* a sample of it went out */
    bool logged;              /* all of it is logged */
};

enum sampling { SAMPLE_NOTHING, SAMPLE_SOME, SAMPLE_ALL };

struct session_choice {
    uint64_t bound;           /* bytes below which chance decides, for SAMPLE_SOME */
    uint8_t sampling;         /* enum sampling */
    bool logging;             /* every new session is shown, and those that are logged */
};

struct session_counts {
    uint64_t samples, passed_over, disabled;
};

/* One session as it is shown; in Python the same as flow_sessions.ROW. */
struct session_row {
    uint8_t key[FLOW_SIDES][FLOW_KEY];
    uint64_t serial, started, ended;                     /* ms of the pairs' clock */
    uint64_t bytes[FLOW_SIDES], packets[FLOW_SIDES];     /* since it was last looked at */
    uint64_t total_bytes[FLOW_SIDES], total_packets[FLOW_SIDES];
    double scale;             /* what each counter of a sample stands for; 0.0: no sample */
    uint32_t number, from_vif, to_vif, meta[FLOW_SIDES], peer, policy_rule, sg_rule;
    uint16_t vrf, flags, tcp_flags[FLOW_SIDES];
    uint8_t action, reason, end, over, fresh, logged, tunnel, length[FLOW_SIDES];
    uint8_t unused[7];
};

struct session_walk {
    struct session_mark *marks;
    uint32_t room;            /* marks there are */
    uint32_t cursor;
    uint64_t random;          /* state; never 0 */
    struct session_counts counts;
};

/* Room for marks of all pairs; false: there is no memory. */
bool sessions_room(struct session_walk *, const struct pairs *);

/* Ended pairs into rows, oldest first, until there are none or `rows` is full; how many rows. */
size_t sessions_ended(struct session_walk *, struct pairs *, const struct session_choice *,
                      struct session_row *rows, size_t room);
/* Running pairs from the cursor on, at most `budget` of them, until `rows` is full; how many
 * rows. The cursor is 0 again after the last pair. */
size_t sessions_running(struct session_walk *, const struct pairs *,
                        const struct session_choice *, struct session_row *rows, size_t room,
                        uint32_t budget);
/* From now on all of a running pair is shown, if it still is the one of that serial number. */
void sessions_log(struct session_walk *, uint32_t number, uint64_t serial);

#endif
