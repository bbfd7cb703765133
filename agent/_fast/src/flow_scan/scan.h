/* The agent's walk over the datapath's flow table.
 *
 * What is read: the mapped table, which the datapath writes meanwhile. What is told: pairs.h,
 * part "for the scanner". Each entry in use is looked at once a sweep. An entry that a pair owns
 * gives its counters and may be too old; one that nobody owns, or that is not what its owner
 * believes, is suspect, and judged when it still is so after a delay. Times are milliseconds
 * that wrap. */
#ifndef FLOW_SCAN_SCAN_H
#define FLOW_SCAN_SCAN_H

#include "aging.h"
#include "flow_table/flow_entry.h"
#include "suspects.h"

/* What a slice's budget is counted in: about the time that a free entry takes. */
enum { SCAN_COST_FREE = 1, SCAN_COST_LIVE = 12, SCAN_COST_JUDGE = 64 };

/* Since the beginning; u64 each, in the order of COUNTERS in flow_scan.pyx. */
struct scan_counters {
    uint64_t sweeps, entries;
    uint64_t grown, aged, closed, evicted, missing, unknown, held;
    uint64_t refused;           /* pairs had no room for an unknown entry */
    uint64_t postponed;         /* no room for another suspect */
    uint64_t cleared;           /* suspects that were right when they were judged */
    uint64_t torn, corrupt;
};

/* Of one sweep; u64 each, in the order of SWEEP in flow_scan.pyx. */
struct scan_sweep {
    uint64_t active, owned, held, unowned, dying;
};

struct scanner {
    struct pairs *pairs;
    const unsigned char *table;
    uint32_t total;             /* entries of the table */
    uint32_t cursor;
    uint32_t sweep_number;
    uint32_t delay;             /* of suspects */
    bool audit;                 /* entries of nobody are looked after */
    struct aging aging;
    struct suspects suspects;
    struct scan_counters counters;
    struct scan_sweep sweep, finished;
};

/* Look at `count` entries from the cursor on, to the end of the table at most; fewer when the
 * budget is used up. Returns what is left of the budget. */
int64_t scan_entries(struct scanner *scanner, uint32_t count, int64_t budget, uint32_t now);
/* Judge suspects that have waited long enough. Returns what is left of the budget. */
int64_t scan_judge(struct scanner *scanner, int64_t budget, uint32_t now);

/* Has the entry the generation and key of this side of a pair, and does what was decided? */
bool scan_is_of(const struct flow_pair *pair, int side, const unsigned char *entry);
/* One consistent copy of what an entry says. False: it changes all the time (torn). */
bool scan_copy(const unsigned char *entry, unsigned char copy[FLOW_ENTRY]);

#endif
