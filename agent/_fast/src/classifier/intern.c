#include "intern.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

static uint32_t hash_of(uint32_t kind, const uint8_t *bytes, uint32_t length)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ ((uint64_t)kind << 32 ^ length);
    uint64_t word;
    uint32_t at = 0;
    for (; at + sizeof word <= length; at += sizeof word) {
        memcpy(&word, bytes + at, sizeof word);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    word = 0;
    if (at < length)
        memcpy(&word, bytes + at, length - at);
    hash = (hash ^ word) * 0xc4ceb9fe1a85ec53u;
    return (uint32_t)(hash ^ hash >> 32);
}

int cls_intern_init(struct cls_intern *table, uint32_t bound)
{
    memset(table, 0, sizeof *table);
    table->bound = bound;
    table->free = INTERN_NONE;
    table->entries = calloc(FIRST_ROOM, sizeof *table->entries);
    table->buckets = malloc(FIRST_ROOM * sizeof *table->buckets);
    if (!table->entries || !table->buckets) {
        cls_intern_free(table);
        return -1;
    }
    memset(table->buckets, 0xff, FIRST_ROOM * sizeof *table->buckets);
    table->room = FIRST_ROOM;
    table->bucket_mask = FIRST_ROOM - 1;
    table->used = 1;
    return 0;
}

void cls_intern_free(struct cls_intern *table)
{
    for (uint32_t at = 1; at < table->used; at++)
        free(table->entries[at].bytes);
    free(table->entries);
    free(table->buckets);
    memset(table, 0, sizeof *table);
}

static uint32_t *bucket_of(struct cls_intern *table, uint32_t hash)
{
    return &table->buckets[hash & table->bucket_mask];
}

static uint32_t find(struct cls_intern *table, uint32_t kind, uint32_t hash, const void *bytes,
                     uint32_t length)
{
    uint32_t at = *bucket_of(table, hash);
    while (at != INTERN_NONE) {
        const struct cls_intern_entry *entry = &table->entries[at];
        if (entry->hash == hash && entry->kind == kind && entry->length == length
            && (!length || !memcmp(entry->bytes, bytes, length)))
            return at;
        at = entry->next;
    }
    return INTERN_NONE;
}

/* Twice the entries and the buckets; the chains are made anew. */
static int grow(struct cls_intern *table)
{
    uint32_t room = table->room * 2;
    struct cls_intern_entry *entries = realloc(table->entries, room * sizeof *entries);
    if (!entries)
        return -1;
    table->entries = entries;
    uint32_t *buckets = malloc(room * sizeof *buckets);
    if (!buckets)
        return -1;
    memset(buckets, 0xff, room * sizeof *buckets);
    free(table->buckets);
    table->buckets = buckets;
    table->room = room;
    table->bucket_mask = room - 1;
    for (uint32_t at = 1; at < table->used; at++) {
        uint32_t *bucket = bucket_of(table, entries[at].hash);
        entries[at].next = *bucket;
        *bucket = at;
    }
    return 0;
}

/* A number for a new entry; only when none is free the table grows. */
static uint32_t new_number(struct cls_intern *table)
{
    uint32_t number = table->free;
    if (number != INTERN_NONE) {
        table->free = table->entries[number].next;
        return number;
    }
    if (table->used >= table->bound || (table->used == table->room && grow(table)))
        return INTERN_NONE;
    return table->used++;
}

uint32_t cls_intern_take(struct cls_intern *table, uint32_t kind, const void *bytes,
                         uint32_t length)
{
    uint32_t hash = hash_of(kind, bytes, length);
    uint32_t number = find(table, kind, hash, bytes, length);
    if (number != INTERN_NONE) {
        cls_intern_hold(table, number);
        return number;
    }
    void *copy = malloc(length ? length : 1);
    if (!copy)
        return INTERN_NONE;
    number = new_number(table);
    if (number == INTERN_NONE) {
        free(copy);
        return INTERN_NONE;
    }
    if (length)
        memcpy(copy, bytes, length);
    uint32_t *bucket = bucket_of(table, hash);
    table->entries[number] = (struct cls_intern_entry){
        .bytes = copy, .length = length, .kind = kind, .refs = 1, .hash = hash, .next = *bucket,
    };
    *bucket = number;
    table->bytes += length;
    return number;
}

void cls_intern_hold(struct cls_intern *table, uint32_t number)
{
    if (cls_intern_get(table, number) && table->entries[number].refs < UINT32_MAX)
        table->entries[number].refs++;
}

int cls_intern_release(struct cls_intern *table, uint32_t number, struct cls_intern_entry *gone)
{
    if (!cls_intern_get(table, number))
        return 0;
    struct cls_intern_entry *entry = &table->entries[number];
    if (entry->refs == UINT32_MAX || --entry->refs)
        return 0;
    uint32_t *link = bucket_of(table, entry->hash);
    while (*link != number)
        link = &table->entries[*link].next;
    *link = entry->next;
    *gone = *entry;
    table->bytes -= entry->length;
    *entry = (struct cls_intern_entry){ .next = table->free };
    table->free = number;
    return 1;
}

size_t cls_intern_memory(const struct cls_intern *table)
{
    return table->room * (sizeof *table->entries + sizeof *table->buckets) + table->bytes;
}
