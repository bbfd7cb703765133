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
                          enum cls_set_field field, uint64_t *wanted)
{
    if (field == FIELD_NETWORKS) {
        *wanted = end->network;
        return end->network != CLS_NONE;
    }
    if (field == FIELD_GROUPS) {
        *wanted = end->group;
        return end->group != CLS_ANY_GROUP;
    }
    if (!end->tags.count)
        return false;
    *wanted = ((const uint64_t *)work->list->tags.items)[end->tags.at];
    return true;
}

static int by_number(const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *)one, right = *(const uint64_t *)other;
    return (left > right) - (left < right);
}

/* The different members that rules ask for, rising, in `ids`; how many. */
static size_t collect_ids(const struct work *work, enum cls_where where,
                          enum cls_set_field field, uint64_t ids[BLOCK_RULES])
{
    size_t count = 0, kept = 0;
    for (size_t at = 0; at < work->count; at++)
        if (wanted_member(work, &rule_of(work, at)->end[where], field, &ids[count]))
            count++;
    qsort(ids, count, sizeof *ids, by_number);
    for (size_t at = 0; at < count; at++)
        if (!kept || ids[at] != ids[kept - 1])
            ids[kept++] = ids[at];
    return kept;
}

static size_t row_of(const uint64_t *ids, size_t count, uint64_t id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low + 1;
}

static bool make_ids(struct work *work, enum cls_where where, enum cls_set_field field)
{
    struct cls_ids *made = &work->block->sets[where][field];
    uint64_t ids[BLOCK_RULES], wanted = 0;
    size_t count = collect_ids(work, where, field, ids);
    size_t words = work->block->words;
    if (!count)
        return true;
    made->ids = hold(work, count * sizeof *ids);
    made->rows = hold(work, (count + 1) * words * sizeof *made->rows);
    if (!made->ids || !made->rows)
        return false;
    memcpy(made->ids, ids, count * sizeof *ids);
    made->count = (uint32_t)count;
    for (size_t at = 0; at < work->count; at++) {
        bool asks = wanted_member(work, &rule_of(work, at)->end[where], field, &wanted);
        set_bit(made->rows + (asks ? row_of(ids, count, wanted) : 0) * words, at);
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

/* Many protocols have the same row: it is kept once. */
static bool make_kinds(struct work *work)
{
    struct cls_block *block = work->block;
    size_t words = block->words, used = 0;
    uint64_t row[BLOCK_WORDS];
    uint64_t *rows = malloc(FAMILIES * 256 * words * sizeof *rows);
    if (!rows)
        return false;
    for (unsigned kind = 0; kind < FAMILIES * 256; kind++) {
        size_t at = 0;
        kind_row(work, kind / 256, kind % 256, row);
        while (at < used && memcmp(rows + at * words, row, words * sizeof *row))
            at++;
        if (at == used)
            memcpy(rows + used++ * words, row, words * sizeof *row);
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
        for (int field = 0; field < SET_FIELDS; field++)
            if (!make_ids(work, where, field))
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
