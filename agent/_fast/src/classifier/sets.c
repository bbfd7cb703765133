/* Sets and names of a classifier, on counted interned strings. */
#include <stdlib.h>

#include "store.h"

static int by_number(const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *)one, right = *(const uint64_t *)other;
    return (left > right) - (left < right);
}

static size_t sort_members(uint64_t *members, size_t count)
{
    size_t kept = 0;
    qsort(members, count, sizeof *members, by_number);
    for (size_t at = 0; at < count; at++)
        if (!kept || members[at] != members[kept - 1])
            members[kept++] = members[at];
    return kept;
}

static bool are_names(const struct classifier *table, const uint64_t *members, size_t count)
{
    for (size_t at = 0; at < count; at++)
        if (members[at] > UINT32_MAX || !cls_intern_get(&table->names, (uint32_t)members[at]))
            return false;
    return true;
}

uint32_t cls_set(struct classifier *table, enum cls_kind kind, uint64_t *members, size_t count)
{
    if (!count)
        return CLS_EMPTY_SET;
    if (count > CLS_SET_MEMBERS)
        return CLS_NONE;
    count = sort_members(members, count);
    if (kind == CLS_NETWORKS && !are_names(table, members, count))
        return CLS_NONE;
    uint32_t number =
        cls_intern_take(&table->sets, kind, members, (uint32_t)(count * sizeof *members));
    if (number == INTERN_NONE)
        return CLS_NONE;
    if (kind == CLS_NETWORKS && table->sets.entries[number].refs == 1)
        for (size_t at = 0; at < count; at++)
            cls_intern_hold(&table->names, (uint32_t)members[at]);
    return number;
}

void cls_set_hold(struct classifier *table, uint32_t set)
{
    cls_intern_hold(&table->sets, set);
}

void cls_set_release(struct classifier *table, uint32_t set)
{
    struct cls_intern_entry gone;
    if (!cls_intern_release(&table->sets, set, &gone))
        return;
    const uint64_t *members = gone.bytes;
    if (gone.kind == CLS_NETWORKS)
        for (size_t at = 0; at < gone.length / sizeof *members; at++)
            cls_name_release(table, (uint32_t)members[at]);
    free(gone.bytes);
}

const uint64_t *cls_set_members(const struct classifier *table, uint32_t set, size_t *count)
{
    const struct cls_intern_entry *entry = cls_intern_get(&table->sets, set);
    *count = entry ? entry->length / sizeof(uint64_t) : 0;
    return entry ? entry->bytes : NULL;
}

uint32_t cls_name(struct classifier *table, const char *text, size_t length)
{
    if (length > CLS_NAME_MAX)
        return CLS_NONE;
    return cls_intern_take(&table->names, 0, text, (uint32_t)length);
}

void cls_name_release(struct classifier *table, uint32_t name)
{
    struct cls_intern_entry gone;
    if (cls_intern_release(&table->names, name, &gone))
        free(gone.bytes);
}

const char *cls_name_text(const struct classifier *table, uint32_t name, size_t *length)
{
    const struct cls_intern_entry *entry = cls_intern_get(&table->names, name);
    *length = entry ? entry->length : 0;
    return entry ? entry->bytes : NULL;
}
