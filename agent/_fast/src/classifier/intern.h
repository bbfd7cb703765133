/* Byte strings with numbers: equal ones have the same, counted references keep it. */
#ifndef VROUTER_CLASSIFIER_INTERN_H
#define VROUTER_CLASSIFIER_INTERN_H

#include <stddef.h>
#include <stdint.h>

#define INTERN_NONE 0xffffffffu

struct cls_intern_entry {
    void *bytes;     /* NULL: free */
    uint32_t length;
    uint32_t kind;   /* strings of different kinds are never equal */
    uint32_t refs;
    uint32_t hash;
    uint32_t next;   /* in the chain of its bucket, or of free entries */
};

/* Number 0 is never given. */
struct cls_intern {
    struct cls_intern_entry *entries;
    uint32_t *buckets;
    uint32_t used, room, bound; /* entries in use or free, and how many there may be */
    uint32_t bucket_mask;
    uint32_t free;
    size_t bytes;               /* held by strings */
};

int cls_intern_init(struct cls_intern *, uint32_t bound); /* -1 when memory ran out */
void cls_intern_free(struct cls_intern *);

/* Take a reference of the string's number; INTERN_NONE when memory or the bound ran out. */
uint32_t cls_intern_take(struct cls_intern *, uint32_t kind, const void *bytes, uint32_t length);

/* One more reference of a number that has some. A count that is full stays so for ever. */
void cls_intern_hold(struct cls_intern *, uint32_t number);

/* Give a reference back; 1 when it was the last one: the number is then free, and the caller
 * owns `gone->bytes`. */
int cls_intern_release(struct cls_intern *, uint32_t number, struct cls_intern_entry *gone);

/* The entry, or NULL when the number is of none. */
static inline const struct cls_intern_entry *cls_intern_get(const struct cls_intern *table,
                                                             uint32_t number)
{
    if (number >= table->used || !table->entries[number].bytes)
        return NULL;
    return &table->entries[number];
}

size_t cls_intern_memory(const struct cls_intern *);

#endif
