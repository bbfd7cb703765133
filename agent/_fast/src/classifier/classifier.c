#include "classifier.h"

#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "store.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_SCTP = 132 };

struct classifier *cls_new(void)
{
    struct classifier *table = calloc(1, sizeof *table);
    if (table && !cls_intern_init(&table->sets, CLS_SETS)
        && !cls_intern_init(&table->names, CLS_NAMES))
        return table;
    cls_free(table);
    return NULL;
}

void cls_free(struct classifier *table)
{
    if (!table)
        return;
    for (uint32_t at = 0; at < table->room; at++)
        cls_draft_free(table->lists[at]);
    free(table->lists);
    cls_intern_free(&table->sets);
    cls_intern_free(&table->names);
    free(table);
}

void cls_remove(struct classifier *table, uint32_t number)
{
    if (number >= table->room || !table->lists[number])
        return;
    table->bytes -= table->lists[number]->bytes;
    cls_draft_free(table->lists[number]);
    table->lists[number] = NULL;
}

size_t cls_rules(const struct classifier *table, uint32_t number)
{
    const struct cls_list *list = store_list(table, number);
    return list ? list->rules.used : 0;
}

size_t cls_memory(const struct classifier *table)
{
    return sizeof *table + table->bytes + table->room * sizeof *table->lists
           + cls_intern_memory(&table->sets) + cls_intern_memory(&table->names);
}

/* The address as a number: at most 16 bytes, the first the highest. */
static address_t load_address(const uint8_t *address, bool wide)
{
    uint64_t high, low;
    if (!wide) {
        uint32_t word;
        memcpy(&word, address, sizeof word);
        return __builtin_bswap32(word);
    }
    memcpy(&high, address, sizeof high);
    memcpy(&low, address + sizeof high, sizeof low);
    return (address_t)__builtin_bswap64(high) << 64 | __builtin_bswap64(low);
}

static void load_end(const struct cls_end *end, struct cls_probe *probe, enum cls_where where)
{
    probe->address[where] = load_address(end->address, probe->family == INET6);
    probe->set[where][CLS_NETWORKS] = end->networks;
    probe->set[where][CLS_GROUPS] = end->groups;
    probe->set[where][CLS_TAGS] = end->tags;
}

static void load_packet(const struct classifier *table, const struct cls_packet *packet,
                        struct cls_probe *probe)
{
    probe->sets = &table->sets;
    probe->family = packet->family == FLOW_INET6 ? INET6 : INET4;
    probe->proto = packet->proto;
    probe->has_ports = packet->proto == PROTO_TCP || packet->proto == PROTO_UDP
                       || packet->proto == PROTO_SCTP;
    probe->port[CLS_SRC] = packet->sport;
    probe->port[CLS_DST] = packet->dport;
    load_end(&packet->src, probe, CLS_SRC);
    load_end(&packet->dst, probe, CLS_DST);
}

static void add_mirror(struct cls_verdict *verdict, int16_t mirror)
{
    if (mirror < 0 || mirror >= FLOW_NO_MIRROR)
        return;
    for (unsigned at = 0; at < verdict->mirrors; at++)
        if (verdict->mirror[at] == mirror)
            return;
    if (verdict->mirrors < CLS_MIRRORS)
        verdict->mirror[verdict->mirrors++] = (uint8_t)mirror;
}

/* Add what a rule that holds says. */
static void add_rule(struct cls_verdict *verdict, const struct cls_draft_line *line)
{
    uint16_t fresh = line->actions & ~verdict->actions;
    if (fresh & ACTION_VRF) {
        verdict->vrf = line->vrf;
        verdict->ignore_acl = line->ignore_acl;
    }
    if (fresh & ACTION_QOS)
        verdict->qos = line->qos;
    if (line->actions & ACTION_MIRROR)
        add_mirror(verdict, line->mirror);
    verdict->actions |= line->actions;
}

struct walk {
    const struct cls_probe *probe;
    struct cls_verdict *verdict;
    enum cls_outcome outcome;
    uint32_t number; /* of the list in work */
};

/* Take a rule that holds into the verdict; whether it ends the walk. */
static bool held(struct walk *walk, const struct cls_rule *rule)
{
    bool last = rule->line.actions & ACTION_TERMINAL;
    add_rule(walk->verdict, &rule->line);
    if (last || walk->outcome == CLS_UNMATCHED) {
        walk->verdict->rule = rule->line.rule;
        walk->verdict->list = walk->number;
    }
    walk->outcome = last ? CLS_DECIDED : CLS_HELD;
    return last;
}

static bool walk_block(struct walk *walk, const struct cls_list *list,
                       const struct cls_block *block)
{
    uint64_t live[BLOCK_WORDS];
    if (!cls_block_live(block, walk->probe, live))
        return false;
    for (uint32_t word = 0; word < block->words; word++)
        for (uint64_t left = live[word]; left; left &= left - 1) {
            size_t at = block->first + word * 64 + (size_t)__builtin_ctzll(left);
            const struct cls_rule *rule = list_rule(list, at);
            if (!cls_rule_check(list, rule, walk->probe) && held(walk, rule))
                return true;
        }
    return false;
}

static bool walk_list(struct walk *walk, const struct cls_list *list)
{
    for (uint32_t at = 0; at < list->block_count; at++)
        if (walk_block(walk, list, list->blocks[at]))
            return true;
    return false;
}

enum cls_outcome cls_match(const struct classifier *table, const uint32_t *lists, size_t count,
                           const struct cls_packet *packet, struct cls_verdict *verdict)
{
    struct cls_probe probe;
    struct walk walk = { .probe = &probe, .verdict = verdict, .outcome = CLS_UNMATCHED };
    verdict->list = CLS_NONE;
    verdict->rule = count ? RULE_IMPLICIT_DENY : RULE_IMPLICIT_ALLOW;
    if (!count)
        return CLS_NO_LIST;
    load_packet(table, packet, &probe);
    for (size_t at = 0; at < count; at++) {
        const struct cls_list *list = store_list(table, lists[at]);
        walk.number = lists[at];
        if (list && walk_list(&walk, list))
            break;
    }
    return walk.outcome;
}

size_t cls_explain(const struct classifier *table, uint32_t number,
                   const struct cls_packet *packet, struct cls_step *steps, size_t room)
{
    const struct cls_list *list = store_list(table, number);
    struct cls_probe probe;
    bool last = false;
    size_t at = 0;
    if (!list)
        return 0;
    load_packet(table, packet, &probe);
    for (; at < list->rules.used && !last; at++) {
        const struct cls_rule *rule = list_rule(list, at);
        enum cls_miss miss = cls_rule_check(list, rule, &probe);
        if (at < room)
            steps[at] = (struct cls_step){
                .position = (uint32_t)at, .rule = rule->line.rule,
                .actions = rule->line.actions, .miss = (uint8_t)miss,
            };
        last = !miss && rule->line.actions & ACTION_TERMINAL;
    }
    return at;
}
