#include "block.h"

#include <stdlib.h>
#include <string.h>

void cls_block_free(struct cls_block *block)
{
    if (!block)
        return;
    free(block->kinds);
    for (int where = 0; where < CLS_ENDS; where++) {
        free(block->ports[where].keys);
        free(block->ports[where].rows);
        for (int family = 0; family < FAMILIES; family++) {
            free(block->addresses[where][family].keys);
            free(block->addresses[where][family].rows);
        }
        for (int field = 0; field < SET_FIELDS; field++) {
            free(block->sets[where][field].ids);
            free(block->sets[where][field].rows);
        }
    }
    free(block);
}

/* The last key that is not above the value; the first key is 0. No branch depends on data. */
#define SEARCH(name, type)                                        \
    static size_t name(const type *keys, size_t count, type value) \
    {                                                             \
        const type *from = keys;                                  \
        while (count > 1) {                                       \
            size_t half = count / 2;                              \
            from = from[half] <= value ? from + half : from;      \
            count -= half;                                        \
        }                                                         \
        return (size_t)(from - keys);                             \
    }

SEARCH(search16, uint16_t)
SEARCH(search32, uint32_t)
SEARCH(search128, address_t)

static bool any(const uint64_t *live, uint32_t words)
{
    uint64_t all = 0;
    for (uint32_t at = 0; at < words; at++)
        all |= live[at];
    return all;
}

static void keep(uint64_t *live, const uint64_t *row, uint32_t words)
{
    for (uint32_t at = 0; at < words; at++)
        live[at] &= row[at];
}

static void keep_port(uint64_t *live, const struct cls_cuts *cuts, uint16_t port, uint32_t words)
{
    if (cuts->count)
        keep(live, cuts->rows + search16(cuts->keys, cuts->count, port) * words, words);
}

static void keep_address(uint64_t *live, const struct cls_cuts *cuts, uint8_t family,
                         address_t address, uint32_t words)
{
    if (!cuts->count)
        return;
    size_t row = family == INET4 ? search32(cuts->keys, cuts->count, (uint32_t)address)
                                 : search128(cuts->keys, cuts->count, address);
    keep(live, cuts->rows + row * words, words);
}

static void add_row(uint64_t *into, const struct cls_ids *ids, size_t row, uint32_t words)
{
    for (uint32_t at = 0; at < words; at++)
        into[at] |= ids->rows[row * words + at];
}

/* Add the row of `id`, when rules ask for it. */
static void add_id(uint64_t *into, const struct cls_ids *ids, uint64_t id, uint32_t words)
{
    size_t low = 0, high = ids->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ids->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < ids->count && ids->ids[low] == id)
        add_row(into, ids, low + 1, words);
}

/* Of the members and the ids the fewer are looked up among the others. */
static void keep_members(uint64_t *live, const struct cls_ids *ids, struct cls_members members,
                         uint32_t words)
{
    uint64_t found[BLOCK_WORDS];
    if (!ids->count)
        return;
    memcpy(found, ids->rows, words * sizeof *found);
    if (members.count <= ids->count) {
        for (size_t at = 0; at < members.count; at++)
            add_id(found, ids, members.items[at], words);
    } else {
        for (uint32_t at = 0; at < ids->count; at++)
            if (cls_members_have(members, ids->ids[at]))
                add_row(found, ids, at + 1, words);
    }
    keep(live, found, words);
}

static void keep_sets(uint64_t *live, const struct cls_block *block,
                      const struct cls_probe *probe, enum cls_where where)
{
    const struct cls_ids *sets = block->sets[where];
    keep_members(live, &sets[FIELD_NETWORKS], probe->networks[where], block->words);
    keep_members(live, &sets[FIELD_GROUPS], probe->groups[where], block->words);
    keep_members(live, &sets[FIELD_TAGS], probe->tags[where], block->words);
}

bool cls_block_live(const struct cls_block *block, const struct cls_probe *probe,
                uint64_t live[BLOCK_WORDS])
{
    uint32_t words = block->words;
    size_t kind = block->kind[probe->family][probe->proto];
    memcpy(live, block->kinds + kind * words, words * sizeof *live);
    if (probe->has_ports)
        keep_port(live, &block->ports[CLS_DST], probe->port[CLS_DST], words);
    if (!any(live, words))
        return false;
    if (probe->has_ports)
        keep_port(live, &block->ports[CLS_SRC], probe->port[CLS_SRC], words);
    for (int where = 0; where < CLS_ENDS; where++) {
        keep_address(live, &block->addresses[where][probe->family], probe->family,
                     probe->address[where], words);
        keep_sets(live, block, probe, where);
    }
    return any(live, words);
}
