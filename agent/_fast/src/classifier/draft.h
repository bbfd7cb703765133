/* Build an access list, rule by rule, and put it in force.
 *
 * A draft is one list under construction. Each rule is begun with cls_draft_rule; what follows is
 * said of it: services, tag types, then all of the source, then all of the destination. A
 * failed step (false) says that memory or a bound ran out; the draft is then good for nothing
 * but cls_draft_free.
 */
#ifndef VROUTER_CLASSIFIER_DRAFT_H
#define VROUTER_CLASSIFIER_DRAFT_H

#include "classifier.h"

enum cls_where { CLS_SRC, CLS_DST, CLS_ENDS };

/* What a rule is, beside what it matches. Numbers that are not known are CLS_NONE, -1. */
struct cls_draft_line {
    uint32_t rule;      /* its number, for verdicts */
    uint32_t vrf;       /* to translate to */
    uint16_t actions;   /* enum cls_action */
    int16_t qos;
    int16_t mirror;
    uint8_t ethertype;  /* 4, 6, 0 for both */
    bool ignore_acl;
};

/* First and last of protocol, source port, destination port. */
struct cls_draft_service {
    uint16_t proto[2], sport[2], dport[2];
};

struct cls_list;

struct cls_list *cls_draft_new(struct classifier *); /* NULL when memory ran out */
void cls_draft_free(struct cls_list *);

bool cls_draft_rule(struct cls_list *, const struct cls_draft_line *);
/* One of a rule's services must hold; a rule without any holds for no packet. */
bool cls_draft_service(struct cls_list *, const struct cls_draft_service *);
/* Both ends must have a tag of this type in common. */
bool cls_draft_tag_type(struct cls_list *, uint16_t type);

/* Everything that is said of an end must hold; of prefixes and tag sets one. */
bool cls_draft_network(struct cls_list *, enum cls_where, const char *name, size_t length);
void cls_draft_group(struct cls_list *, enum cls_where, uint32_t group);
/* The end has all these tags. */
bool cls_draft_tags(struct cls_list *, enum cls_where, const uint64_t *tags, size_t count);
/* The first `bits` of an address of 4 or 16 bytes by `family`. */
bool cls_draft_prefix(struct cls_list *, enum cls_where, uint8_t family, const uint8_t *address,
                      unsigned bits);
/* Ends that have all these tags; nobody has all tags of an empty set. */
bool cls_draft_tag_set(struct cls_list *, enum cls_where, const uint64_t *tags, size_t count);

/* Compile the draft and put it in force in place of what has the number; the old list is
 * freed. False when memory ran out or the number is too large: nothing is changed then. The
 * draft is the caller's no more, in either case. */
bool cls_put(struct classifier *, uint32_t list, struct cls_list *draft);

#endif
