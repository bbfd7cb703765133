/* A bounded table from the notes of an entry to what was once made of them.
 *
 * Sets of WAYS places; a new entry pushes out the oldest of its set. */
#ifndef ROUTE_STANZA_INTERN_H
#define ROUTE_STANZA_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RS_WAYS = 4, RS_MAX_INTERNED = 2048 /* bytes of notes; longer ones are not kept */ };

struct rs_place {
    uint64_t hash;
    uint8_t *notes;
    uint32_t size;
    uint8_t kind;
    void *value;
};

struct rs_intern {
    struct rs_place *places;
    size_t sets; /* a power of two */
    uint64_t salt;
};

/* What is still in a table must be given back by its user, place by place, before the close. */
size_t rs_intern_places(const struct rs_intern *table);
void *rs_intern_value(const struct rs_intern *table, size_t place);
bool rs_intern_open(struct rs_intern *table, size_t capacity, uint64_t salt);
void rs_intern_close(struct rs_intern *table);
uint64_t rs_intern_hash(const struct rs_intern *table, uint8_t kind, const uint8_t *notes,
                        size_t size);
/* The value of these notes of an entry of this kind, or NULL. */
void *rs_intern_find(const struct rs_intern *table, uint64_t hash, uint8_t kind,
                     const uint8_t *notes, size_t size);
/* Remember `value`; *evicted is what went for it, or NULL. False if it was not taken. */
bool rs_intern_add(struct rs_intern *table, uint64_t hash, uint8_t kind, const uint8_t *notes,
                   size_t size, void *value, void **evicted);

#endif
