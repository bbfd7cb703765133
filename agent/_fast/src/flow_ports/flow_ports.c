#include <string.h>

#include "flow_ports.h"

enum { TCP = 6, UDP = 17, AT_PROTO = 1, AT_SOURCE = 4, AT_DESTINATION = 6, AHEAD = 8 };

/* The first byte of a port in network order is the 256th that it lies in. */
static void set(uint32_t words[PORT_WORDS], uint8_t part)
{
    words[part / 32] |= 1u << part % 32;
}

static void use(struct ports_walk *walk, uint32_t row, const uint8_t *key, int kind)
{
    struct port_bits *bits = &walk->rows[row];
    set(bits->words[kind], key[AT_SOURCE]);
    set(bits->words[kind + 1], key[AT_DESTINATION]);
}

static void look_at_ports(struct ports_walk *walk, const struct flow_pair *pair)
{
    const uint8_t *key = pair->is.side[FLOW_FORWARD].key;
    if (key[AT_PROTO] != TCP && key[AT_PROTO] != UDP)
        return;
    int kind = key[AT_PROTO] == TCP ? 0 : 2;
    uint32_t in = pair->is.reads[READ_IN_VIF], out = pair->is.reads[READ_OUT_VIF];
    use(walk, 0, key, kind);
    if (in < walk->vifs)
        use(walk, in + 1, key, kind);
    if (out < walk->vifs && out != in)
        use(walk, out + 1, key, kind);
}

/* A pair that no finished walk has seen yet, unless an earlier agent made it. */
static void look_at_setup(struct ports_walk *walk, const struct flow_pair *pair)
{
    if (pair->serial > walk->highest)
        walk->highest = pair->serial;
    if (pair->serial <= walk->seen || pair->state != PAIR_INSTALLED || pair->kept
        || (pair->is.flags & PAIR_SHORT))
        return;
    uint32_t took = pair->due - (uint32_t)pair->created, bucket = 0;
    while (bucket < walk->buckets && took >= walk->bounds[bucket])
        bucket++;
    walk->setups[bucket]++;
    walk->setup_ms += took;
}

static void finish(struct ports_walk *walk)
{
    struct port_bits *before = walk->whole;
    walk->whole = walk->rows;
    walk->rows = before;
    memset(walk->rows, 0, (walk->vifs + 1) * sizeof *walk->rows);
    walk->cursor = 0;
    walk->seen = walk->highest;
}

bool ports_walk(struct ports_walk *walk, const struct pairs *pairs, uint32_t count)
{
    uint32_t top = pairs_top(pairs);
    uint32_t end = top - walk->cursor < count ? top : walk->cursor + count;
    if (walk->cursor > top)
        end = walk->cursor = top;
    for (; walk->cursor < end; walk->cursor++) {
        if (walk->cursor + AHEAD < end)
            __builtin_prefetch(&pairs_at(pairs, walk->cursor + AHEAD)->is);
        const struct flow_pair *pair = pairs_at(pairs, walk->cursor);
        if (pair->state != PAIR_SETTING_UP && pair->state != PAIR_INSTALLED)
            continue;
        look_at_ports(walk, pair);
        look_at_setup(walk, pair);
    }
    if (walk->cursor < top)
        return true;
    finish(walk);
    return false;
}
