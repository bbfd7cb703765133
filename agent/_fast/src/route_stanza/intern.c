#include "intern.h"

#include <stdlib.h>
#include <string.h>

bool rs_intern_open(struct rs_intern *table, size_t capacity, uint64_t salt)
{
    table->sets = 1;
    while (table->sets * RS_WAYS < capacity)
        table->sets *= 2;
    table->salt = salt;
    table->places = calloc(table->sets * RS_WAYS, sizeof *table->places);
    return table->places;
}

void rs_intern_close(struct rs_intern *table)
{
    if (table->places)
        for (size_t i = 0; i < table->sets * RS_WAYS; i++)
            free(table->places[i].notes);
    free(table->places);
    table->places = NULL;
}

size_t rs_intern_places(const struct rs_intern *table)
{
    return table->places ? table->sets * RS_WAYS : 0;
}

void *rs_intern_value(const struct rs_intern *table, size_t place)
{
    return table->places[place].value;
}

static uint64_t mixed(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

uint64_t rs_intern_hash(const struct rs_intern *table, uint8_t kind, const uint8_t *notes,
                        size_t size)
{
    uint64_t hash = mixed(table->salt, (uint64_t)kind << 32 | size), word;
    for (; size >= sizeof word; notes += sizeof word, size -= sizeof word) {
        memcpy(&word, notes, sizeof word);
        hash = mixed(hash, word);
    }
    word = 0;
    memcpy(&word, notes, size);
    return mixed(hash, word);
}

static struct rs_place *set_of(const struct rs_intern *table, uint64_t hash)
{
    return &table->places[(hash & (table->sets - 1)) * RS_WAYS];
}

void *rs_intern_find(const struct rs_intern *table, uint64_t hash, uint8_t kind,
                     const uint8_t *notes, size_t size)
{
    const struct rs_place *set = set_of(table, hash);
    for (int way = 0; way < RS_WAYS; way++)
        if (set[way].hash == hash && set[way].value && set[way].kind == kind &&
            set[way].size == size && !memcmp(set[way].notes, notes, size))
            return set[way].value;
    return NULL;
}

bool rs_intern_add(struct rs_intern *table, uint64_t hash, uint8_t kind, const uint8_t *notes,
                   size_t size, void *value, void **evicted)
{
    struct rs_place *set = set_of(table, hash);
    *evicted = NULL;
    if (size > RS_MAX_INTERNED)
        return false;
    uint8_t *copy = realloc(set[RS_WAYS - 1].notes, size ? size : 1);
    if (!copy)
        return false;
    memcpy(copy, notes, size);
    *evicted = set[RS_WAYS - 1].value;
    memmove(set + 1, set, (RS_WAYS - 1) * sizeof *set);
    set[0] = (struct rs_place){
        .hash = hash, .notes = copy, .size = size, .kind = kind, .value = value,
    };
    return true;
}
