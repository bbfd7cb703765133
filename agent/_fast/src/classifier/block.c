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
        for (int kind = CLS_NETWORKS; kind <= CLS_TAGS; kind++) {
            free(block->sets[where][kind].slots);
            free(block->sets[where][kind].rows);
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

enum left { NONE, FEW, MANY };

/* Few: no word has more than one rule left. */
static enum left how_many(const uint64_t *live, uint32_t words)
{
    uint64_t all = 0, more = 0;
    for (uint32_t at = 0; at < words; at++) {
        all |= live[at];
        more |= live[at] & (live[at] - 1);
    }
    return more ? MANY : all ? FEW : NONE;
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

static void add_row(uint64_t *into, const uint64_t *row, uint32_t words)
{
    for (uint32_t at = 0; at < words; at++)
        into[at] |= row[at];
}

/* Add the row of `id`, when rules ask for it. */
static void add_id(uint64_t *into, const struct cls_ids *ids, uint64_t id, uint32_t words)
{
    uint32_t at = ids_slot(ids, id);
    while (ids->slots[at].row && ids->slots[at].id != id)
        at = (at + 1) & ids->mask;
    if (ids->slots[at].row)
        add_row(into, ids->rows + ids->slots[at].row * words, words);
}

/* Of the members and the ids the fewer are looked up among the others. */
static void keep_members(uint64_t *live, const struct cls_ids *ids, struct cls_members members,
                         uint32_t words)
{
    uint64_t found[BLOCK_WORDS];
    memcpy(found, ids->rows, words * sizeof *found);
    if (members.count <= ids->mask) {
        for (size_t at = 0; at < members.count; at++)
            add_id(found, ids, members.items[at], words);
    } else {
        for (uint32_t at = 0; at <= ids->mask; at++)
            if (ids->slots[at].row && cls_members_have(members, ids->slots[at].id))
                add_row(found, ids->rows + ids->slots[at].row * words, words);
    }
    keep(live, found, words);
}

static void keep_sets(uint64_t *live, const struct cls_block *block,
                      const struct cls_probe *probe, enum cls_where where)
{
    for (int kind = CLS_NETWORKS; kind <= CLS_TAGS; kind++)
        if (block->sets[where][kind].mask)
            keep_members(live, &block->sets[where][kind], probe_set(probe, where, kind),
                         block->words);
}

static void keep_addresses(uint64_t *live, const struct cls_block *block,
                           const struct cls_probe *probe)
{
    for (int where = 0; where < CLS_ENDS; where++)
        keep_address(live, &block->addresses[where][probe->family], probe->family,
                     probe->address[where], block->words);
}

bool cls_block_live(const struct cls_block *block, const struct cls_probe *probe,
                    uint64_t live[BLOCK_WORDS])
{
    uint32_t words = block->words;
    size_t kind = block->kind[probe->family][probe->proto];
    memcpy(live, block->kinds + kind * words, words * sizeof *live);
    if (probe->has_ports)
        keep_port(live, &block->ports[CLS_DST], probe->port[CLS_DST], words);
    enum left left = how_many(live, words);
    if (left == MANY) {
        keep_addresses(live, block, probe);
        left = how_many(live, words);
    }
    if (left == MANY) {
        keep_sets(live, block, probe, CLS_SRC);
        keep_sets(live, block, probe, CLS_DST);
        if (probe->has_ports)
            keep_port(live, &block->ports[CLS_SRC], probe->port[CLS_SRC], words);
        left = how_many(live, words);
    }
    return left;
}
