/* A compiled access list: its rules, and the check of one rule against one packet. */
#ifndef VROUTER_CLASSIFIER_RULE_H
#define VROUTER_CLASSIFIER_RULE_H

#include "draft.h"
#include "intern.h"

typedef unsigned __int128 address_t; /* as a number; an IPv4 address is below 2^32 */

enum { INET4, INET6, FAMILIES };

struct cls_span {
    address_t first, last;
};

/* A run in one of the list's pools. */
struct cls_run {
    uint32_t at, count;
};

struct cls_endpoint {
    struct cls_run spans[FAMILIES]; /* rising, apart from each other */
    struct cls_run tags;            /* all of them */
    struct cls_run tag_sets;        /* words of the pool: each set's length, then its tags */
    uint32_t network;               /* CLS_NONE: not asked for */
    uint32_t group;                 /* CLS_ANY_GROUP: not asked for */
    bool addressed;                 /* spans or tag sets are asked for */
};

struct cls_rule {
    struct cls_draft_line line;
    struct cls_run services;
    struct cls_run types;
    struct cls_endpoint end[CLS_ENDS];
};

struct cls_pool {
    void *items;
    size_t used, room;
};

struct cls_block;

struct cls_list {
    struct classifier *owner;
    struct cls_pool rules;           /* struct cls_rule */
    struct cls_pool services;        /* struct cls_draft_service */
    struct cls_pool types;           /* uint16_t */
    struct cls_pool spans[FAMILIES]; /* struct cls_span */
    struct cls_pool tags;            /* uint64_t */
    struct cls_block **blocks;
    uint32_t block_count;
    size_t bytes;
};

/* Members of a set, rising. */
struct cls_members {
    const uint64_t *items;
    size_t count;
};

/* A packet made ready: addresses are numbers; sets are looked up when a rule asks for them. */
struct cls_probe {
    address_t address[CLS_ENDS];
    const struct cls_intern *sets;
    uint32_t set[CLS_ENDS][CLS_TAGS + 1]; /* by enum cls_kind */
    uint16_t port[CLS_ENDS];
    uint8_t family; /* INET4 or INET6 */
    uint8_t proto;
    bool has_ports;
};

static inline const struct cls_rule *list_rule(const struct cls_list *list, size_t at)
{
    return (const struct cls_rule *)list->rules.items + at;
}

/* The members of the packet's set of this kind; none of a number that is no such set. */
static inline struct cls_members probe_set(const struct cls_probe *probe, enum cls_where where,
                                           enum cls_kind kind)
{
    const struct cls_intern_entry *entry = cls_intern_get(probe->sets, probe->set[where][kind]);
    if (!entry || entry->kind != kind)
        return (struct cls_members){ NULL, 0 };
    return (struct cls_members){ entry->bytes, entry->length / sizeof(uint64_t) };
}

/* Whether the members hold `wanted`. */
bool cls_members_have(struct cls_members members, uint64_t wanted);

/* Whether the rule holds for the packet (MISS_NOTHING), or the first reason why not. */
enum cls_miss cls_rule_check(const struct cls_list *, const struct cls_rule *,
                         const struct cls_probe *);

#endif
