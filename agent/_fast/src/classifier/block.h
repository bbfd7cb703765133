/* Filters over a run of rules: which of them a packet's fields leave.
 *
 * For each field that any rule of the block restricts, every value leads to a row of bits, one
 * a rule. A row may hold rules that do not match in the end, never miss one that does.
 */
#ifndef VROUTER_CLASSIFIER_BLOCK_H
#define VROUTER_CLASSIFIER_BLOCK_H

#include "rule.h"

enum { BLOCK_RULES = 512, BLOCK_WORDS = BLOCK_RULES / 64 };

/* Rows by where an ordered value lies between cuts; no cuts: the field is not restricted. */
struct cls_cuts {
    void *keys;     /* rising, the first is 0 */
    uint64_t *rows;
    uint32_t count;
};

/* Rows by members of a set: those of rules that ask for nothing, and for one member each. */
struct cls_ids {
    struct cls_slot {
        uint64_t id;
        uint32_t row; /* 0: the slot is empty */
    } *slots;         /* a hash of ids; free slots are at least as many as others */
    uint64_t *rows;   /* the first is for rules that ask for nothing */
    uint32_t mask;    /* of slots; 0: the field is not restricted */
};

static inline uint32_t ids_slot(const struct cls_ids *ids, uint64_t id)
{
    return (uint32_t)(id * 0x9e3779b97f4a7c15u >> 32) & ids->mask;
}

struct cls_block {
    uint32_t first, words;
    uint16_t kind[FAMILIES][256]; /* row by family and protocol */
    uint64_t *kinds;
    struct cls_cuts ports[CLS_ENDS];
    struct cls_cuts addresses[CLS_ENDS][FAMILIES];
    struct cls_ids sets[CLS_ENDS][CLS_TAGS + 1]; /* by enum cls_kind */
};

/* The filters of `count` rules from `first` on, or NULL; adds the bytes held to `bytes`. */
struct cls_block *cls_block_new(const struct cls_list *, size_t first, size_t count, size_t *bytes);
void cls_block_free(struct cls_block *);

/* Rules of the block that may hold, bit by bit; false: none. Filters that cost more than to
 * check the rules that are left are not asked. */
bool cls_block_live(const struct cls_block *, const struct cls_probe *, uint64_t live[BLOCK_WORDS]);

#endif
