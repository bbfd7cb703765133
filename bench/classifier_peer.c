/* A plain peer of the classifier and the loops that measure both (bench_classifier.py).
 *
 * The peer keeps its rules in an array and asks one after another, as is natural in C. Both get
 * the same rules and packets: security-group rules of one IPv4 list, for TCP or UDP, a range of
 * destination ports, from a prefix or from members of a group.
 */
#include <stdlib.h>
#include <string.h>

#include "classifier/draft.h"

enum { PACKETS = 4096, LIST = 0, FIRST = 1000 };

struct plain_rule {
    uint32_t number, group, address, mask;
    uint16_t sport[2], dport[2];
    uint8_t proto, ethertype, by_group;
};
struct plain_packet {
    uint8_t src[4], dst[4];
    uint32_t groups[2], set; /* groups of the source */
    uint16_t sport, dport;
    uint8_t proto;
};

struct match_bench {
    struct classifier *classifier;
    struct plain_rule *rules;
    uint32_t count;
    struct plain_packet packets[PACKETS];
    uint64_t chance;
};

static uint32_t random_below(struct match_bench *bench, uint32_t bound)
{
    bench->chance = bench->chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((bench->chance >> 33) % bound);
}

static struct plain_rule random_rule(struct match_bench *bench, uint32_t at)
{
    uint16_t port = (uint16_t)(1 + random_below(bench, 20000));
    return (struct plain_rule){
        .number = FIRST + at, .proto = random_below(bench, 3) ? 6 : 17, .ethertype = 4,
        .by_group = random_below(bench, 4) == 0, .group = 8000000 + random_below(bench, 20),
        .address = 10u << 24 | random_below(bench, 1 << 16) << 8, .mask = 0xffffff00u,
        .sport = { 0, 65535 },
        .dport = { port, (uint16_t)(port + random_below(bench, 4)) },
    };
}

static struct cls_list *draft_of(struct match_bench *bench)
{
    struct cls_list *draft = cls_draft_new(bench->classifier);
    for (uint32_t at = 0; draft && at < bench->count; at++) {
        const struct plain_rule *rule = &bench->rules[at];
        uint8_t bytes[4] = { rule->address >> 24, rule->address >> 16, rule->address >> 8, 0 };
        struct cls_draft_line line = { .rule = rule->number, .vrf = CLS_NONE, .qos = -1,
                                       .mirror = -1, .actions = ACTION_PASS, .ethertype = 4 };
        struct cls_draft_service service = { { rule->proto, rule->proto }, { 0, 65535 },
                                             { rule->dport[0], rule->dport[1] } };
        cls_draft_rule(draft, &line);
        cls_draft_service(draft, &service);
        if (rule->by_group)
            cls_draft_group(draft, CLS_SRC, rule->group);
        else
            cls_draft_prefix(draft, CLS_SRC, FLOW_INET, bytes, 24);
    }
    return draft;
}

/* Nine of ten packets are what some rule is for. */
static void random_packet(struct match_bench *bench, struct plain_packet *packet)
{
    const struct plain_rule *rule = &bench->rules[random_below(bench, bench->count)];
    uint64_t groups[2];
    uint32_t source = rule->address | random_below(bench, 256);
    for (int at = 0; at < 4; at++)
        packet->src[at] = (uint8_t)(source >> (24 - 8 * at));
    memcpy(packet->dst, "\x0a\x00\x00\x01", 4);
    packet->groups[0] = rule->by_group ? rule->group : 8000000 + random_below(bench, 20);
    packet->groups[1] = 8000000 + random_below(bench, 20);
    groups[0] = packet->groups[0];
    groups[1] = packet->groups[1];
    packet->set = cls_set(bench->classifier, CLS_GROUPS, groups, 2);
    packet->proto = rule->proto;
    packet->sport = (uint16_t)(32768 + random_below(bench, 28000));
    packet->dport = random_below(bench, 10) ? rule->dport[0] : 30000;
}

void bench_free(struct match_bench *bench)
{
    cls_free(bench->classifier);
    free(bench->rules);
    free(bench);
}

struct match_bench *bench_new(uint32_t count)
{
    struct match_bench *bench = calloc(1, sizeof *bench);
    bench->classifier = cls_new();
    bench->rules = calloc(count, sizeof *bench->rules);
    bench->count = count;
    bench->chance = count;
    for (uint32_t at = 0; at < count; at++)
        bench->rules[at] = random_rule(bench, at);
    for (uint32_t at = 0; at < PACKETS; at++)
        random_packet(bench, &bench->packets[at]);
    cls_put(bench->classifier, LIST, draft_of(bench));
    return bench;
}

size_t bench_memory(const struct match_bench *bench)
{
    return cls_memory(bench->classifier);
}

void bench_compile(struct match_bench *bench)
{
    cls_put(bench->classifier, LIST, draft_of(bench));
}

/* Every packet through the compiled list; a sum of the rules that decided. */
uint64_t run_compiled(const struct match_bench *bench)
{
    static const uint32_t list = LIST;
    uint64_t sum = 0;
    for (uint32_t at = 0; at < PACKETS; at++) {
        const struct plain_packet *packet = &bench->packets[at];
        struct cls_packet probe = {
            .family = FLOW_INET, .proto = packet->proto, .sport = packet->sport,
            .dport = packet->dport, .src = { packet->src, .groups = packet->set },
            .dst = { packet->dst },
        };
        struct cls_verdict verdict = CLS_VERDICT;
        if (cls_match(bench->classifier, &list, 1, &probe, &verdict) == CLS_DECIDED)
            sum += (uint64_t)verdict.rule * (at + 1);
    }
    return sum;
}

static int holds(const struct plain_rule *rule, const struct plain_packet *packet)
{
    uint32_t source = (uint32_t)packet->src[0] << 24 | packet->src[1] << 16
                      | packet->src[2] << 8 | packet->src[3];
    if (rule->ethertype != 4 || rule->proto != packet->proto)
        return 0;
    if (packet->sport < rule->sport[0] || packet->sport > rule->sport[1]
        || packet->dport < rule->dport[0] || packet->dport > rule->dport[1])
        return 0;
    if (rule->by_group)
        return packet->groups[0] == rule->group || packet->groups[1] == rule->group;
    return (source & rule->mask) == rule->address;
}

/* The same, one rule after another. */
uint64_t run_linear(const struct match_bench *bench)
{
    uint64_t sum = 0;
    for (uint32_t at = 0; at < PACKETS; at++)
        for (uint32_t rule = 0; rule < bench->count; rule++)
            if (holds(&bench->rules[rule], &bench->packets[at])) {
                sum += (uint64_t)bench->rules[rule].number * (at + 1);
                break;
            }
    return sum;
}
