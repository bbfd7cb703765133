#include "rule.h"

enum { TAG_TYPE_SHIFT = 32, LINEAR = 4 };

bool cls_members_have(struct cls_members members, uint64_t wanted)
{
    size_t low = 0, high = members.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (members.items[middle] == wanted)
            return true;
        if (members.items[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool have_all(struct cls_members members, const uint64_t *wanted, size_t count)
{
    for (size_t at = 0; at < count; at++)
        if (!cls_members_have(members, wanted[at]))
            return false;
    return true;
}

static bool in_spans(const struct cls_span *spans, size_t count, address_t address)
{
    while (count > LINEAR) {
        size_t half = count / 2;
        if (spans[half].first <= address)
            spans += half, count -= half;
        else
            count = half;
    }
    for (size_t at = 0; at < count; at++)
        if (spans[at].first <= address && address <= spans[at].last)
            return true;
    return false;
}

static bool in_tag_sets(const struct cls_list *list, struct cls_run run,
                        const struct cls_probe *probe, enum cls_where where)
{
    if (!run.count)
        return false;
    const uint64_t *words = (const uint64_t *)list->tags.items + run.at;
    struct cls_members members = probe_set(probe, where, CLS_TAGS);
    size_t at = 0;
    while (at < run.count) {
        size_t count = (size_t)words[at++];
        if (count && have_all(members, words + at, count))
            return true;
        at += count;
    }
    return false;
}

static bool has_tags(const struct cls_list *list, struct cls_run run,
                     const struct cls_probe *probe, enum cls_where where)
{
    return have_all(probe_set(probe, where, CLS_TAGS),
                    (const uint64_t *)list->tags.items + run.at, run.count);
}

static bool address_holds(const struct cls_list *list, const struct cls_endpoint *end,
                          const struct cls_probe *probe, enum cls_where where)
{
    if (!end->addressed)
        return true;
    struct cls_run run = end->spans[probe->family];
    const struct cls_span *spans = (const struct cls_span *)list->spans[probe->family].items;
    return in_spans(spans + run.at, run.count, probe->address[where])
           || in_tag_sets(list, end->tag_sets, probe, where);
}

/* The reasons of an end follow each other in the same order for both. */
static enum cls_miss check_end(const struct cls_list *list, const struct cls_endpoint *end,
                               const struct cls_probe *probe, enum cls_where where)
{
    int shift = where == CLS_SRC ? 0 : MISS_DST_ADDRESS - MISS_SRC_ADDRESS;
    if (!address_holds(list, end, probe, where))
        return MISS_SRC_ADDRESS + shift;
    if (end->network != CLS_NONE
        && !cls_members_have(probe_set(probe, where, CLS_NETWORKS), end->network))
        return MISS_SRC_NETWORK + shift;
    if (end->group != CLS_ANY_GROUP
        && !cls_members_have(probe_set(probe, where, CLS_GROUPS), end->group))
        return MISS_SRC_GROUP + shift;
    if (end->tags.count && !has_tags(list, end->tags, probe, where))
        return MISS_SRC_TAGS + shift;
    return MISS_NOTHING;
}

static bool between(uint16_t number, const uint16_t range[2])
{
    return range[0] <= number && number <= range[1];
}

static enum cls_miss check_service(const struct cls_draft_service *service,
                                   const struct cls_probe *probe)
{
    if (!between(probe->proto, service->proto))
        return MISS_PROTOCOL;
    if (!probe->has_ports)
        return MISS_NOTHING;
    if (!between(probe->port[CLS_SRC], service->sport))
        return MISS_SPORT;
    return between(probe->port[CLS_DST], service->dport) ? MISS_NOTHING : MISS_DPORT;
}

/* Of several services that do not hold, the one that comes nearest is told. */
static enum cls_miss check_services(const struct cls_list *list, struct cls_run run,
                                    const struct cls_probe *probe)
{
    const struct cls_draft_service *services = list->services.items;
    enum cls_miss nearest = MISS_PROTOCOL;
    for (uint32_t at = 0; at < run.count; at++) {
        enum cls_miss miss = check_service(&services[run.at + at], probe);
        if (miss == MISS_NOTHING)
            return miss;
        if (miss > nearest)
            nearest = miss;
    }
    return nearest;
}

/* Whether both ends have a tag of this type in common. Tags rise, so a type's are a run. */
static bool shares_tag(const struct cls_probe *probe, uint16_t type)
{
    struct cls_members one = probe_set(probe, CLS_SRC, CLS_TAGS);
    struct cls_members other = probe_set(probe, CLS_DST, CLS_TAGS);
    for (size_t at = 0; at < one.count; at++) {
        uint64_t of = one.items[at] >> TAG_TYPE_SHIFT;
        if (of > type)
            return false;
        if (of == type && cls_members_have(other, one.items[at]))
            return true;
    }
    return false;
}

static bool share_tags(const struct cls_list *list, struct cls_run run,
                       const struct cls_probe *probe)
{
    const uint16_t *types = (const uint16_t *)list->types.items;
    for (uint32_t at = 0; at < run.count; at++)
        if (!shares_tag(probe, types[run.at + at]))
            return false;
    return true;
}

enum cls_miss cls_rule_check(const struct cls_list *list, const struct cls_rule *rule,
                         const struct cls_probe *probe)
{
    static const uint8_t ethertype[FAMILIES] = { [INET4] = 4, [INET6] = 6 };
    if (rule->line.ethertype && rule->line.ethertype != ethertype[probe->family])
        return MISS_ETHERTYPE;
    enum cls_miss miss = check_services(list, rule->services, probe);
    if (!miss)
        miss = check_end(list, &rule->end[CLS_SRC], probe, CLS_SRC);
    if (!miss)
        miss = check_end(list, &rule->end[CLS_DST], probe, CLS_DST);
    if (!miss && !share_tags(list, rule->types, probe))
        miss = MISS_TAG_TYPES;
    return miss;
}
