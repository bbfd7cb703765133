#include "draft.h"

#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "store.h"

enum { POOL_FIRST = 16, POOL_BOUND = 1 << 20 };

/* Room for `count` more items at the end of a pool, or NULL. */
static void *pool_add(struct cls_pool *pool, size_t size, size_t count, size_t bound)
{
    if (count > bound - pool->used)
        return NULL;
    if (pool->used + count > pool->room) {
        size_t room = pool->room ? pool->room : POOL_FIRST;
        while (room < pool->used + count)
            room *= 2;
        void *items = realloc(pool->items, room * size);
        if (!items)
            return NULL;
        pool->items = items;
        pool->room = room;
    }
    void *place = (uint8_t *)pool->items + pool->used * size;
    pool->used += count;
    return place;
}

/* As pool_add, and the run that ends where the pool ended grows by it. */
static void *run_add(struct cls_pool *pool, struct cls_run *run, size_t size, size_t count)
{
    if (!run->count)
        run->at = (uint32_t)pool->used;
    else if (run->at + run->count != pool->used)
        return NULL;
    void *place = pool_add(pool, size, count, POOL_BOUND);
    if (place)
        run->count += (uint32_t)count;
    return place;
}

static struct cls_rule *last_rule(struct cls_list *list)
{
    if (!list->rules.used)
        return NULL;
    return (struct cls_rule *)list->rules.items + list->rules.used - 1;
}

struct cls_list *cls_draft_new(struct classifier *owner)
{
    struct cls_list *list = calloc(1, sizeof *list);
    if (list)
        list->owner = owner;
    return list;
}

static void release_name(struct cls_list *list, uint32_t name)
{
    if (name != CLS_NONE)
        cls_name_release(list->owner, name);
}

void cls_draft_free(struct cls_list *list)
{
    if (!list)
        return;
    struct cls_rule *rules = list->rules.items;
    for (size_t at = 0; at < list->rules.used; at++)
        for (int where = 0; where < CLS_ENDS; where++)
            release_name(list, rules[at].end[where].network);
    for (uint32_t at = 0; at < list->block_count; at++)
        cls_block_free(list->blocks[at]);
    free(list->blocks);
    free(list->rules.items);
    free(list->services.items);
    free(list->types.items);
    free(list->spans[INET4].items);
    free(list->spans[INET6].items);
    free(list->tags.items);
    free(list);
}

bool cls_draft_rule(struct cls_list *list, const struct cls_draft_line *line)
{
    struct cls_rule *rule = pool_add(&list->rules, sizeof *rule, 1, CLS_RULES);
    if (!rule)
        return false;
    memset(rule, 0, sizeof *rule);
    rule->line = *line;
    rule->line.actions &= ACTION_ALL;
    for (int where = 0; where < CLS_ENDS; where++) {
        rule->end[where].network = CLS_NONE;
        rule->end[where].group = CLS_ANY_GROUP;
    }
    return true;
}

bool cls_draft_service(struct cls_list *list, const struct cls_draft_service *service)
{
    struct cls_rule *rule = last_rule(list);
    struct cls_draft_service *place =
        rule ? run_add(&list->services, &rule->services, sizeof *place, 1) : NULL;
    if (!place)
        return false;
    *place = *service;
    return true;
}

bool cls_draft_tag_type(struct cls_list *list, uint16_t type)
{
    struct cls_rule *rule = last_rule(list);
    uint16_t *place = rule ? run_add(&list->types, &rule->types, sizeof *place, 1) : NULL;
    if (!place)
        return false;
    *place = type;
    return true;
}

bool cls_draft_network(struct cls_list *list, enum cls_where where, const char *name, size_t length)
{
    struct cls_rule *rule = last_rule(list);
    uint32_t number = rule ? cls_name(list->owner, name, length) : CLS_NONE;
    if (number == CLS_NONE)
        return false;
    release_name(list, rule->end[where].network);
    rule->end[where].network = number;
    return true;
}

void cls_draft_group(struct cls_list *list, enum cls_where where, uint32_t group)
{
    struct cls_rule *rule = last_rule(list);
    if (rule)
        rule->end[where].group = group;
}

bool cls_draft_tags(struct cls_list *list, enum cls_where where, const uint64_t *tags, size_t count)
{
    struct cls_rule *rule = last_rule(list);
    if (!rule)
        return false;
    if (!count)
        return true;
    uint64_t *place = run_add(&list->tags, &rule->end[where].tags, sizeof *place, count);
    if (!place)
        return false;
    memcpy(place, tags, count * sizeof *tags);
    return true;
}

static address_t number_of(const uint8_t *address, unsigned size)
{
    address_t number = 0;
    for (unsigned at = 0; at < size; at++)
        number = number << 8 | address[at];
    return number;
}

bool cls_draft_prefix(struct cls_list *list, enum cls_where where, uint8_t family,
                      const uint8_t *address, unsigned bits)
{
    struct cls_rule *rule = last_rule(list);
    unsigned size = family == FLOW_INET ? 4 : 16;
    if (!rule || (family != FLOW_INET && family != FLOW_INET6) || bits > 8 * size)
        return false;
    int index = family == FLOW_INET ? INET4 : INET6;
    struct cls_endpoint *end = &rule->end[where];
    struct cls_span *place =
        run_add(&list->spans[index], &end->spans[index], sizeof *place, 1);
    if (!place)
        return false;
    address_t number = number_of(address, size);
    address_t all = ~(address_t)0 >> (8 * (16 - size));
    address_t host = bits == 8 * size ? 0 : all >> bits;
    *place = (struct cls_span){ .first = number & ~host, .last = number | host };
    end->addressed = true;
    return true;
}

bool cls_draft_tag_set(struct cls_list *list, enum cls_where where, const uint64_t *tags,
                       size_t count)
{
    struct cls_rule *rule = last_rule(list);
    if (!rule || count > CLS_SET_MEMBERS)
        return false;
    struct cls_endpoint *end = &rule->end[where];
    uint64_t *place = run_add(&list->tags, &end->tag_sets, sizeof *place, count + 1);
    if (!place)
        return false;
    place[0] = count;
    if (count)
        memcpy(place + 1, tags, count * sizeof *tags);
    end->addressed = true;
    return true;
}

static int by_first(const void *one, const void *other)
{
    address_t left = ((const struct cls_span *)one)->first;
    address_t right = ((const struct cls_span *)other)->first;
    return (left > right) - (left < right);
}

/* Rising spans that neither overlap nor touch, in place. */
static void merge_spans(struct cls_span *spans, struct cls_run *run)
{
    if (run->count < 2)
        return;
    spans += run->at;
    qsort(spans, run->count, sizeof *spans, by_first);
    uint32_t kept = 0;
    for (uint32_t at = 1; at < run->count; at++) {
        if (spans[kept].last == ~(address_t)0 || spans[at].first <= spans[kept].last + 1) {
            if (spans[at].last > spans[kept].last)
                spans[kept].last = spans[at].last;
        } else {
            spans[++kept] = spans[at];
        }
    }
    run->count = kept + 1;
}

static void merge_all(struct cls_list *list)
{
    struct cls_rule *rules = list->rules.items;
    for (size_t at = 0; at < list->rules.used; at++)
        for (int where = 0; where < CLS_ENDS; where++)
            for (int family = 0; family < FAMILIES; family++)
                merge_spans(list->spans[family].items, &rules[at].end[where].spans[family]);
}

static size_t pools_size(const struct cls_list *list)
{
    return list->rules.room * sizeof(struct cls_rule)
           + list->services.room * sizeof(struct cls_draft_service)
           + list->types.room * sizeof(uint16_t)
           + (list->spans[INET4].room + list->spans[INET6].room) * sizeof(struct cls_span)
           + list->tags.room * sizeof(uint64_t);
}

/* Cut the rules into blocks and make their filters. */
static bool compile(struct cls_list *list)
{
    size_t count = (list->rules.used + BLOCK_RULES - 1) / BLOCK_RULES;
    merge_all(list);
    list->bytes = sizeof *list + pools_size(list) + count * sizeof *list->blocks;
    list->blocks = calloc(count ? count : 1, sizeof *list->blocks);
    if (!list->blocks)
        return false;
    for (; list->block_count < count; list->block_count++) {
        size_t first = list->block_count * BLOCK_RULES;
        size_t left = list->rules.used - first;
        struct cls_block *block =
            cls_block_new(list, first, left < BLOCK_RULES ? left : BLOCK_RULES, &list->bytes);
        if (!block)
            return false;
        list->blocks[list->block_count] = block;
    }
    return true;
}

static bool make_room(struct classifier *table, uint32_t number)
{
    if (number < table->room)
        return true;
    uint32_t room = table->room ? table->room : POOL_FIRST;
    while (room <= number)
        room *= 2;
    struct cls_list **lists = realloc(table->lists, room * sizeof *lists);
    if (!lists)
        return false;
    memset(lists + table->room, 0, (room - table->room) * sizeof *lists);
    table->lists = lists;
    table->room = room;
    return true;
}

bool cls_put(struct classifier *table, uint32_t number, struct cls_list *draft)
{
    if (number >= CLS_LISTS || !compile(draft) || !make_room(table, number)) {
        cls_draft_free(draft);
        return false;
    }
    struct cls_list *old = table->lists[number];
    table->lists[number] = draft;
    table->bytes += draft->bytes;
    if (old)
        table->bytes -= old->bytes;
    cls_draft_free(old);
    return true;
}
