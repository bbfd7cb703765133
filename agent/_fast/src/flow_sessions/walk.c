/* Pairs, ended and running, against the marks of what was told. */
#include <stdlib.h>
#include <string.h>

#include "sessions.h"

enum { ROOM_STEP = 4096, BATCH = 64 };

bool sessions_room(struct session_walk *walk, const struct pairs *pairs)
{
    uint32_t top = pairs_top(pairs);
    if (top <= walk->room)
        return true;
    uint32_t room = (top + top / 4 + ROOM_STEP) / ROOM_STEP * ROOM_STEP;
    struct session_mark *marks = realloc(walk->marks, room * sizeof *marks);
    if (!marks)
        return false;
    memset(marks + walk->room, 0, (room - walk->room) * sizeof *marks);
    walk->marks = marks;
    walk->room = room;
    return true;
}

/* xorshift64*: who is told need not be secret, only fair. */
static uint64_t draw(struct session_walk *walk, uint64_t below)
{
    uint64_t x = walk->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    walk->random = x;
    return (uint64_t)(((unsigned __int128)(x * 0x2545F4914F6CDD1DULL) * below) >> 64);
}

/* How many sessions this one stands for, 0.0 when it is not told. `bytes` are of both
 * directions; a draw of 0 to bound - 1 that is not above them wins, so they are bytes + 1 of bound. */
static double sample(struct session_walk *walk, const struct session_choice *choice,
                     uint64_t bytes, bool over, bool told)
{
    if (choice->sampling == SAMPLE_NOTHING)
        return 0.0;
    if (choice->sampling == SAMPLE_ALL || bytes >= choice->bound || (over && told))
        return 1.0;
    if (draw(walk, choice->bound) > bytes) {
        walk->counts.passed_over++;
        return 0.0;
    }
    return (double)choice->bound / (double)(bytes + 1);
}

/* What was told of this pair; an empty mark when it is new here. */
static struct session_mark *mark_of(struct session_walk *walk, uint32_t number, uint64_t serial,
                                    bool *fresh)
{
    struct session_mark *mark = &walk->marks[number];
    *fresh = mark->serial != serial;
    if (*fresh)
        *mark = (struct session_mark){.serial = serial};
    return mark;
}

static void forget_past(struct session_mark *mark, const struct flow_record *record)
{
    memcpy(mark->bytes, record->bytes, sizeof mark->bytes);
    memcpy(mark->packets, record->packets, sizeof mark->packets);
}

static void fill(struct session_row *row, const struct flow_record *record)
{
    memset(row->unused, 0, sizeof row->unused);
    memcpy(row->key, record->key, sizeof row->key);
    memcpy(row->total_bytes, record->bytes, sizeof row->total_bytes);
    memcpy(row->total_packets, record->packets, sizeof row->total_packets);
    memcpy(row->meta, record->course.meta, sizeof row->meta);
    memcpy(row->tcp_flags, record->tcp_flags, sizeof row->tcp_flags);
    memcpy(row->length, record->course.length, sizeof row->length);
    row->serial = record->serial;
    row->started = record->started;
    row->ended = record->ended;
    row->number = record->number;
    row->from_vif = record->course.from_vif;
    row->to_vif = record->course.to_vif;
    row->peer = record->course.peer;
    row->tunnel = record->course.tunnel;
    row->policy_rule = record->policy_rule;
    row->sg_rule = record->sg_rule;
    row->vrf = record->vrf;
    row->flags = record->flags;
    row->action = record->action;
    row->reason = record->reason;
    row->end = record->end;
}

/* A pair that is refused after a change does not lead anywhere any more; its server, if that is
 * a port of this host, is told of its end all the same. */
static void keep_server(struct session_mark *mark, struct flow_record *record)
{
    if (record->flags & PAIR_LOCAL) {
        mark->server = record->course.to_vif;
        mark->local = true;
    } else if (mark->local && (record->flags & PAIR_SHORT)) {
        record->course.to_vif = mark->server;
        record->flags |= PAIR_LOCAL;
    }
}

/* Counts the pair as told up to now; whether `row` is to be shown. */
static bool look(struct session_walk *walk, const struct session_choice *choice,
                 struct flow_record *record, bool over, struct session_row *row)
{
    bool fresh;
    struct session_mark *mark = mark_of(walk, record->number, record->serial, &fresh);
    uint64_t bytes = 0;
    keep_server(mark, record);
    if (fresh && record->kept)
        forget_past(mark, record);
    for (int side = 0; side < FLOW_SIDES; side++) {
        row->bytes[side] = record->bytes[side] - mark->bytes[side];
        row->packets[side] = record->packets[side] - mark->packets[side];
        bytes += row->bytes[side];
    }
    row->scale = sample(walk, choice, bytes, over, mark->told);
    row->fresh = fresh;
    row->over = over;
    row->logged = mark->logged;
    mark->told |= row->scale > 0.0;
    forget_past(mark, record);
    if (row->scale > 0.0)
        walk->counts.samples++;
    return row->scale > 0.0 || (choice->logging && (fresh || mark->logged));
}

static bool wanted(const struct session_choice *choice)
{
    return choice->logging || choice->sampling != SAMPLE_NOTHING;
}

static bool show_ended(struct session_walk *walk, const struct session_choice *choice,
                       struct flow_record *record, struct session_row *row)
{
    if (!wanted(choice)) {
        walk->counts.disabled++;
        return false;
    }
    if (!look(walk, choice, record, true, row))
        return false;
    fill(row, record);
    return true;
}

size_t sessions_ended(struct session_walk *walk, struct pairs *pairs,
                      const struct session_choice *choice, struct session_row *rows, size_t room)
{
    struct flow_record records[BATCH];
    size_t count = 0, got = BATCH;
    while (count < room && got) {
        size_t most = room - count < BATCH ? room - count : BATCH;
        got = pairs_records(pairs, records, most);
        for (size_t i = 0; i < got; i++)
            count += show_ended(walk, choice, &records[i], &rows[count]);
    }
    return count;
}

/* Whether it counted on since it was last looked at. Many pairs are asked, most did not. */
static bool counted_on(const struct session_walk *walk, uint32_t number,
                       const struct flow_pair *pair)
{
    const struct session_mark *mark = &walk->marks[number];
    const struct pair_side *at = pair->at;
    if (mark->serial != pair->serial)
        return at[FLOW_FORWARD].bytes | at[FLOW_REVERSE].bytes
             | at[FLOW_FORWARD].packets | at[FLOW_REVERSE].packets;
    return at[FLOW_FORWARD].packets != mark->packets[FLOW_FORWARD]
        || at[FLOW_REVERSE].packets != mark->packets[FLOW_REVERSE]
        || at[FLOW_FORWARD].bytes != mark->bytes[FLOW_FORWARD]
        || at[FLOW_REVERSE].bytes != mark->bytes[FLOW_REVERSE];
}

static bool show_running(struct session_walk *walk, const struct pairs *pairs,
                         const struct session_choice *choice, uint32_t number,
                         struct session_row *row)
{
    const struct flow_pair *pair = pairs_at(pairs, number);
    struct flow_record record;
    if (pair->state == PAIR_FREE || pair->state == PAIR_ENDING
        || !counted_on(walk, number, pair))
        return false;
    record_fill(pairs, number, 0, &record);
    if (!look(walk, choice, &record, false, row))
        return false;
    fill(row, &record);
    return true;
}

size_t sessions_running(struct session_walk *walk, const struct pairs *pairs,
                        const struct session_choice *choice, struct session_row *rows,
                        size_t room, uint32_t budget)
{
    uint32_t top = pairs_top(pairs) < walk->room ? pairs_top(pairs) : walk->room;
    size_t count = 0;
    if (!wanted(choice))
        walk->cursor = top;
    for (; walk->cursor < top && budget && count < room; walk->cursor++, budget--)
        count += show_running(walk, pairs, choice, walk->cursor, &rows[count]);
    if (walk->cursor >= top)
        walk->cursor = 0;
    return count;
}

void sessions_log(struct session_walk *walk, uint32_t number, uint64_t serial)
{
    if (number < walk->room && walk->marks[number].serial == serial)
        walk->marks[number].logged = true;
}
