/* Making the filters of a block (block.h). */
#include <stdlib.h>
#include <string.h>

#include "block.h"

/* What a rule asks of an ordered field: spans, or anything. More spans than FILTER_SPANS make
 * too many cuts; the rule is then left to the whole check. */
enum { FILTER_SPANS = 8 };
struct demand {
    struct cls_span spans[FILTER_SPANS];
    unsigned count;
    bool anything;
};

struct work {
    const struct cls_list *list;
    struct cls_block *block;
    size_t count;             /* rules of the block */
    struct demand *demands;   /* of the field in work, one a rule */
    address_t *keys;
    size_t *bytes;
};

static void *hold(struct work *work, size_t size)
{
    *work->bytes += size;
    return calloc(1, size ? size : 1);
}

static void set_bit(uint64_t *row, size_t rule)
{
    row[rule / 64] |= (uint64_t)1 << rule % 64;
}

static int by_key(const void *one, const void *other)
{
    address_t left = *(const address_t *)one, right = *(const address_t *)other;
    return (left > right) - (left < right);
}

/* Every value at which the answer of some rule may change, rising; 0: no rule asks. */
static size_t collect_cuts(struct work *work, address_t highest)
{
    size_t count = 0;
    bool asked = false;
    work->keys[count++] = 0;
    for (size_t rule = 0; rule < work->count; rule++) {
        const struct demand *demand = &work->demands[rule];
        asked |= !demand->anything;
        for (unsigned at = 0; at < demand->count && !demand->anything; at++) {
            work->keys[count++] = demand->spans[at].first;
            if (demand->spans[at].last < highest)
                work->keys[count++] = demand->spans[at].last + 1;
        }
    }
    if (!asked)
        return 0;
    qsort(work->keys, count, sizeof *work->keys, by_key);
    size_t kept = 1;
    for (size_t at = 1; at < count; at++)
        if (work->keys[at] != work->keys[kept - 1])
            work->keys[kept++] = work->keys[at];
    return kept;
}

/* Where a key is; it is among them. */
static size_t place_of(const struct work *work, size_t count, address_t key)
{
    size_t low = 0, high = count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (work->keys[middle] <= key)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void fill_rows(struct work *work, struct cls_cuts *cuts)
{
    uint32_t words = work->block->words;
    for (size_t rule = 0; rule < work->count; rule++) {
        const struct demand *demand = &work->demands[rule];
        for (size_t row = 0; demand->anything && row < cuts->count; row++)
            set_bit(cuts->rows + row * words, rule);
        for (unsigned at = 0; !demand->anything && at < demand->count; at++) {
            size_t row = place_of(work, cuts->count, demand->spans[at].first);
            for (; row < cuts->count && work->keys[row] <= demand->spans[at].last; row++)
                set_bit(cuts->rows + row * words, rule);
        }
    }
}

static void narrow_keys(void *keys, const address_t *wide, size_t count, size_t size)
{
    for (size_t at = 0; at < count; at++) {
        if (size == sizeof(uint16_t))
            ((uint16_t *)keys)[at] = (uint16_t)wide[at];
        else if (size == sizeof(uint32_t))
            ((uint32_t *)keys)[at] = (uint32_t)wide[at];
        else
            ((address_t *)keys)[at] = wide[at];
    }
}

/* The filter of a field of `size` bytes from what each rule demands. */
static bool make_cuts(struct work *work, struct cls_cuts *cuts, size_t size)
{
    address_t highest = ~(address_t)0 >> (8 * (sizeof(address_t) - size));
    size_t count = collect_cuts(work, highest);
    if (!count)
        return true;
    cuts->keys = hold(work, count * size);
    cuts->rows = hold(work, count * work->block->words * sizeof *cuts->rows);
    if (!cuts->keys || !cuts->rows)
        return false;
    cuts->count = (uint32_t)count;
    narrow_keys(cuts->keys, work->keys, count, size);
    fill_rows(work, cuts);
    return true;
}

static const struct cls_rule *rule_of(const struct work *work, size_t rule)
{
    return list_rule(work->list, work->block->first + rule);
}

static const struct cls_draft_service *services_of(const struct work *work,
                                               const struct cls_rule *rule)
{
    return (const struct cls_draft_service *)work->list->services.items + rule->services.at;
}

static void demand_span(struct demand *demand, address_t first, address_t last)
{
    if (demand->count == FILTER_SPANS)
        demand->anything = true;
    else
        demand->spans[demand->count++] = (struct cls_span){ .first = first, .last = last };
}

static bool make_ports(struct work *work, enum cls_where where)
{
    memset(work->demands, 0, work->count * sizeof *work->demands);
    for (size_t at = 0; at < work->count; at++) {
        const struct cls_rule *rule = rule_of(work, at);
        const struct cls_draft_service *services = services_of(work, rule);
        struct demand *demand = &work->demands[at];
        for (uint32_t service = 0; service < rule->services.count; service++) {
            const uint16_t *range =
                where == CLS_SRC ? services[service].sport : services[service].dport;
            if (range[0] == 0 && range[1] == UINT16_MAX)
                demand->anything = true;
            else if (range[0] <= range[1])
                demand_span(demand, range[0], range[1]);
        }
    }
    return make_cuts(work, &work->block->ports[where], sizeof(uint16_t));
}

static bool make_addresses(struct work *work, enum cls_where where, int family)
{
    const struct cls_span *spans = (const struct cls_span *)work->list->spans[family].items;
    memset(work->demands, 0, work->count * sizeof *work->demands);
    for (size_t at = 0; at < work->count; at++) {
        const struct cls_endpoint *end = &rule_of(work, at)->end[where];
        struct demand *demand = &work->demands[at];
        struct cls_run run = end->spans[family];
        demand->anything =
            !end->addressed || end->tag_sets.count || run.count > FILTER_SPANS;
        for (uint32_t span = 0; !demand->anything && span < run.count; span++)
            demand_span(demand, spans[run.at + span].first, spans[run.at + span].last);
    }
    return make_cuts(work, &work->block->addresses[where][family],
                     family == INET4 ? sizeof(uint32_t) : sizeof(address_t));
}

/* The one member that a rule asks a set for; false: it asks for none. Of tags the first
 * stands for all. */
static bool wanted_member(const struct work *work, const struct cls_endpoint *end,
                          enum cls_kind kind, uint64_t *wanted)
{
    if (kind == CLS_NETWORKS) {
        *wanted = end->network;
        return end->network != CLS_NONE;
    }
    if (kind == CLS_GROUPS) {
        *wanted = end->group;
        return end->group != CLS_ANY_GROUP;
    }
    if (!end->tags.count)
        return false;
    *wanted = ((const uint64_t *)work->list->tags.items)[end->tags.at];
    return true;
}

/* The slot that has the id, or the free one where it belongs. */
static struct cls_slot *find_slot(const struct cls_ids *ids, uint64_t id)
{
    uint32_t at = ids_slot(ids, id);
    while (ids->slots[at].row && ids->slots[at].id != id)
        at = (at + 1) & ids->mask;
    return &ids->slots[at];
}

/* How many rules ask for a member; 0: the field is not restricted. */
static size_t count_asking(const struct work *work, enum cls_where where, enum cls_kind kind)
{
    uint64_t wanted;
    size_t count = 0;
    for (size_t at = 0; at < work->count; at++)
        count += wanted_member(work, &rule_of(work, at)->end[where], kind, &wanted);
    return count;
}

static bool make_ids(struct work *work, enum cls_where where, enum cls_kind kind)
{
    struct cls_ids *made = &work->block->sets[where][kind];
    size_t asking = count_asking(work, where, kind), slots = 2, words = work->block->words;
    uint32_t rows = 1;
    if (!asking)
        return true;
    while (slots < 2 * asking)
        slots *= 2;
    made->slots = hold(work, slots * sizeof *made->slots);
    made->rows = hold(work, (asking + 1) * words * sizeof *made->rows);
    if (!made->slots || !made->rows)
        return false;
    made->mask = (uint32_t)slots - 1;
    for (size_t at = 0; at < work->count; at++) {
        uint64_t wanted = 0;
        size_t row = 0;
        if (wanted_member(work, &rule_of(work, at)->end[where], kind, &wanted)) {
            struct cls_slot *slot = find_slot(made, wanted);
            if (!slot->row)
                *slot = (struct cls_slot){ .id = wanted, .row = rows++ };
            row = slot->row;
        }
        set_bit(made->rows + row * words, at);
    }
    return true;
}

/* Rules that may hold for this protocol of this family. */
static void kind_row(const struct work *work, int family, unsigned proto, uint64_t *row)
{
    memset(row, 0, work->block->words * sizeof *row);
    for (size_t at = 0; at < work->count; at++) {
        const struct cls_rule *rule = rule_of(work, at);
        const struct cls_draft_service *services = services_of(work, rule);
        if (rule->line.ethertype && rule->line.ethertype != (family == INET4 ? 4 : 6))
            continue;
        for (uint32_t service = 0; service < rule->services.count; service++)
            if (services[service].proto[0] <= proto && proto <= services[service].proto[1]) {
                set_bit(row, at);
                break;
            }
    }
}

/* Protocols where the answer of some rule may change. */
static void proto_cuts(const struct work *work, bool cuts[257])
{
    memset(cuts, 0, 257 * sizeof *cuts);
    cuts[0] = true;
    for (size_t at = 0; at < work->count; at++) {
        const struct cls_rule *rule = rule_of(work, at);
        const struct cls_draft_service *services = services_of(work, rule);
        for (uint32_t service = 0; service < rule->services.count; service++) {
            cuts[services[service].proto[0] & 0xff] = true;
            cuts[(services[service].proto[1] & 0xff) + 1] = true;
        }
    }
}

/* Where the row is among those made so far; it is added when it is new. */
static size_t intern_row(uint64_t *rows, size_t *used, const uint64_t *row, size_t words)
{
    size_t at = 0;
    while (at < *used && memcmp(rows + at * words, row, words * sizeof *row))
        at++;
    if (at == *used)
        memcpy(rows + (*used)++ * words, row, words * sizeof *row);
    return at;
}

/* Many protocols have the same row: it is kept once. */
static bool make_kinds(struct work *work)
{
    struct cls_block *block = work->block;
    size_t words = block->words, used = 0, at = 0;
    uint64_t row[BLOCK_WORDS];
    bool cuts[257];
    uint64_t *rows = malloc(FAMILIES * 256 * words * sizeof *rows);
    if (!rows)
        return false;
    proto_cuts(work, cuts);
    for (unsigned kind = 0; kind < FAMILIES * 256; kind++) {
        if (cuts[kind % 256]) {
            kind_row(work, kind / 256, kind % 256, row);
            at = intern_row(rows, &used, row, words);
        }
        block->kind[kind / 256][kind % 256] = (uint16_t)at;
    }
    block->kinds = hold(work, used * words * sizeof *rows);
    if (block->kinds)
        memcpy(block->kinds, rows, used * words * sizeof *rows);
    free(rows);
    return block->kinds;
}

static bool make_filters(struct work *work)
{
    if (!work->demands || !work->keys || !make_kinds(work))
        return false;
    for (int where = 0; where < CLS_ENDS; where++) {
        if (!make_ports(work, where))
            return false;
        for (int family = 0; family < FAMILIES; family++)
            if (!make_addresses(work, where, family))
                return false;
        for (int kind = CLS_NETWORKS; kind <= CLS_TAGS; kind++)
            if (!make_ids(work, where, kind))
                return false;
    }
    return true;
}

struct cls_block *cls_block_new(const struct cls_list *list, size_t first, size_t count,
                            size_t *bytes)
{
    struct work work = { .list = list, .count = count, .bytes = bytes };
    work.block = hold(&work, sizeof *work.block);
    if (!work.block)
        return NULL;
    work.block->first = (uint32_t)first;
    work.block->words = (uint32_t)((count + 63) / 64);
    work.demands = malloc(count * sizeof *work.demands);
    work.keys = malloc((2 * FILTER_SPANS * count + 1) * sizeof *work.keys);
    bool made = make_filters(&work);
    free(work.demands);
    free(work.keys);
    if (made)
        return work.block;
    cls_block_free(work.block);
    return NULL;
}
