/* Which rule of an access list decides on a packet (facts oper-db.md 4, pkt0-services.md 12).
 *
 * An access list is compiled once (draft.h) and read by many decisions. It is cut into blocks
 * of up to 512 rules; in a block each field of a packet leads to a bit vector of the rules that
 * it may satisfy. The rules left in the intersection are then checked whole, in order, by the
 * one function that also explains (rule.h), so that a filter can only save time.
 *
 * Not thread safe: one loop owns a classifier; no change runs beside a match.
 */
#ifndef VROUTER_CLASSIFIER_H
#define VROUTER_CLASSIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"

#define CLS_NONE 0xffffffffu      /* no such set, list, VRF; memory ran out */
#define CLS_EMPTY_SET 0u          /* the set of nothing; needs no reference */
#define CLS_ANY_GROUP 0xffffffffu /* a rule's group that every address is in */
enum {
    CLS_LISTS = 1 << 20,      /* access lists have numbers below */
    CLS_RULES = 1 << 16,      /* rules of one list */
    CLS_SET_MEMBERS = 4096,   /* of one set */
    CLS_SETS = 1 << 24,
    CLS_NAMES = 1 << 24,
    CLS_NAME_MAX = 4096,      /* bytes */
    CLS_MIRRORS = 2           /* the datapath mirrors a flow to two places at most */
};

/* What a rule does, bit for bit agent.oper.flow_rows.Action. */
enum cls_action {
    ACTION_PASS = 1, ACTION_DENY = 2, ACTION_REJECT = 4, ACTION_LOG = 8, ACTION_ALERT = 16,
    ACTION_MIRROR = 32, ACTION_VRF = 64, ACTION_QOS = 128, ACTION_HBS = 256,
    ACTION_TERMINAL = ACTION_PASS | ACTION_DENY | ACTION_REJECT, ACTION_ALL = 511
};

/* How a walk ended, worst first; of all of them only CLS_DECIDED stops at a rule. */
enum cls_outcome {
    CLS_NO_LIST,   /* no list was given: implicit allow */
    CLS_UNMATCHED, /* lists, of which no rule held: implicit deny */
    CLS_HELD,      /* rules held, none of them passes or denies (mirror, log, VRF, QoS) */
    CLS_DECIDED    /* a rule that passes or denies held and ended the walk */
};

/* One end of a packet: 4 or 16 address bytes in wire order, and what is known of it: numbers
 * of sets. A number that is no set is as CLS_EMPTY_SET. */
struct cls_end {
    const uint8_t *address;
    uint32_t networks, groups, tags;
};

/* Ports in host order; they are looked at for TCP, UDP and SCTP only. */
struct cls_packet {
    uint8_t family; /* FLOW_INET or FLOW_INET6 */
    uint8_t proto;
    uint16_t sport, dport;
    struct cls_end src, dst;
};

/* What the rules that held say together. cls_match adds to it, so that several matches may be
 * summed up; begin with CLS_VERDICT. Of VRFs and QoS the first to be met counts; a flag in
 * `actions` with none here means that the name is not known (yet). */
struct cls_verdict {
    uint16_t actions;               /* enum cls_action, ORed */
    bool ignore_acl;                /* said with the VRF */
    uint8_t mirrors;                /* of mirror[] in use; distinct */
    uint8_t mirror[CLS_MIRRORS];
    int16_t qos;                    /* -1 none */
    uint32_t vrf;                   /* to translate to, or CLS_NONE */
    /* Of the last match alone: */
    uint32_t rule;                  /* that decided, else the first that held, else
                                     * RULE_IMPLICIT_ALLOW or RULE_IMPLICIT_DENY */
    uint32_t list;                  /* the list of that rule, or CLS_NONE */
};
#define CLS_VERDICT ((struct cls_verdict){ .qos = -1, .vrf = CLS_NONE, .list = CLS_NONE })

struct classifier;

struct classifier *cls_new(void); /* NULL when memory ran out */
void cls_free(struct classifier *);

/* Walk the rules of these lists in order. A number that no list has now is a list without
 * rules: it holds nothing, and so does not allow. */
enum cls_outcome cls_match(const struct classifier *, const uint32_t *lists, size_t count,
                           const struct cls_packet *, struct cls_verdict *);

/* Why a rule did not hold: the first thing that does not, in this order. */
enum cls_miss {
    MISS_NOTHING, /* it holds */
    MISS_ETHERTYPE, MISS_PROTOCOL, MISS_SPORT, MISS_DPORT,
    MISS_SRC_ADDRESS, MISS_SRC_NETWORK, MISS_SRC_GROUP, MISS_SRC_TAGS,
    MISS_DST_ADDRESS, MISS_DST_NETWORK, MISS_DST_GROUP, MISS_DST_TAGS,
    MISS_TAG_TYPES, MISS_MAX
};
struct cls_step {
    uint32_t position; /* in the list */
    uint32_t rule;
    uint16_t actions;
    uint8_t miss;      /* enum cls_miss */
};
/* Every rule that a plain walk over one list looks at, up to the one that ends it; at most
 * `room` are written. How many there are. */
size_t cls_explain(const struct classifier *, uint32_t list, const struct cls_packet *,
                   struct cls_step *steps, size_t room);

/* Sets of numbers, interned: equal sets have equal numbers. cls_set takes a reference, and
 * sorts `members` in place and drops repetitions. A set goes with its last reference.
 * CLS_NONE when memory or a bound ran out. Members of CLS_NETWORKS are numbers of names; the
 * set refers to these names. Tags are 16 bits of type above 32 bits of value. */
enum cls_kind { CLS_NETWORKS, CLS_GROUPS, CLS_TAGS };
uint32_t cls_set(struct classifier *, enum cls_kind, uint64_t *members, size_t count);
void cls_set_hold(struct classifier *, uint32_t set);
void cls_set_release(struct classifier *, uint32_t set);
/* Members in rising order, valid until the next change; of what is no set, none. */
const uint64_t *cls_set_members(const struct classifier *, uint32_t set, size_t *count);

/* Names of networks: cls_name takes a reference and gives a number, or CLS_NONE. */
uint32_t cls_name(struct classifier *, const char *text, size_t length);
void cls_name_release(struct classifier *, uint32_t name);
const char *cls_name_text(const struct classifier *, uint32_t name, size_t *length);

/* Take a list away; nothing happens when there is none. (Put one: draft.h.) */
void cls_remove(struct classifier *, uint32_t list);
size_t cls_rules(const struct classifier *, uint32_t list);
size_t cls_memory(const struct classifier *); /* bytes held */

#endif
