/* The prefix table: longest match, replacement on delete, dump of stride-8 leaves. */
#include "table_route.h"

#include <stdlib.h>
#include <string.h>

#define NODE(arena, index) (&(arena)->nodes[index])
enum { DEPTH_MAX = 130, JUMP_BITS = 16, JUMP_FROM = 4096 };

static unsigned bit_of(struct route_key key, unsigned at)
{
    return (at < 64 ? key.hi >> (63 - at) : key.lo >> (127 - at)) & 1;
}

static struct route_key mask_key(struct route_key key, unsigned plen)
{
    if (plen < 64)
        return (struct route_key){plen ? key.hi & ~(UINT64_MAX >> plen) : 0, 0};
    if (plen < 128)
        key.lo &= plen == 64 ? 0 : ~(UINT64_MAX >> (plen - 64));
    return key;
}

/* How many leading bits two keys share, up to `limit`. */
static unsigned common_bits(struct route_key a, struct route_key b, unsigned limit)
{
    uint64_t hi = a.hi ^ b.hi, lo = a.lo ^ b.lo;
    unsigned bits = hi ? (unsigned)__builtin_clzll(hi)
                  : lo ? 64 + (unsigned)__builtin_clzll(lo) : 128;
    return bits < limit ? bits : limit;
}

static bool covers(const struct route_node *node, struct route_key key)
{
    return common_bits(node->key, key, node->plen) == node->plen;
}

static uint32_t new_node(struct route_arena *arena, struct route_key key, unsigned plen)
{
    uint32_t index = arena->free;
    if (index) {
        arena->free = NODE(arena, index)->child[0];
    } else {
        if (arena->used + 1 >= arena->room) {
            uint32_t room = arena->room ? arena->room + arena->room / 2 : 1024;
            struct route_node *nodes = realloc(arena->nodes, room * sizeof *nodes);
            if (!nodes)
                return 0;
            arena->nodes = nodes;
            arena->room = room;
        }
        index = ++arena->used;
    }
    struct route_node *node = NODE(arena, index);
    memset(node, 0, sizeof *node);
    node->key = mask_key(key, plen);
    node->plen = (uint8_t)plen;
    return index;
}

static void free_node(struct route_arena *arena, uint32_t index)
{
    NODE(arena, index)->child[0] = arena->free;
    arena->free = index;
}

void route_arena_clear(struct route_arena *arena)
{
    free(arena->nodes);
    memset(arena, 0, sizeof *arena);
}

void route_table_clear(struct route_table *table)
{
    free(table->jump);
    memset(table, 0, sizeof *table);
}

/* --- the jump table: enter large tables past their hot, deep top --- */

static uint32_t plen_at(const struct route_arena *arena, uint32_t index)
{
    return index ? NODE(arena, index)->plen + 1u : 0;
}

/* `node` is new, or about to go and replaced by its parent. */
static void update_jump(struct route_arena *arena, struct route_table *table, uint32_t node,
                        bool gone)
{
    const struct route_node *at = NODE(arena, node);
    if (!table->jump || at->plen > JUMP_BITS)
        return;
    uint32_t first = (uint32_t)(at->key.hi >> (64 - JUMP_BITS));
    uint32_t count = 1u << (JUMP_BITS - at->plen);
    for (uint32_t *slot = table->jump + first; count--; slot++) {
        if (gone && *slot == node)
            *slot = at->parent;
        if (!gone && plen_at(arena, *slot) < at->plen + 1u)
            *slot = node;
    }
}

static void make_jump(struct route_arena *arena, struct route_table *table)
{
    uint32_t stack[DEPTH_MAX];
    unsigned depth = 0;
    table->jump = calloc(1u << JUMP_BITS, sizeof *table->jump);
    if (table->jump && table->root)
        stack[depth++] = table->root;
    while (depth) {
        uint32_t index = stack[--depth];
        update_jump(arena, table, index, false);
        for (int side = 0; side < 2; side++) {
            uint32_t child = NODE(arena, index)->child[side];
            if (child && NODE(arena, child)->plen <= JUMP_BITS)
                stack[depth++] = child;
        }
    }
}

/* Where a descent to this prefix may begin. */
static uint32_t entry_of(const struct route_table *table, struct route_key key, unsigned plen)
{
    bool may = table->jump && plen >= JUMP_BITS;
    uint32_t jumped = may ? table->jump[key.hi >> (64 - JUMP_BITS)] : 0;
    return jumped ? jumped : table->root;
}

/* The longest node that covers key/plen or is it; 0 none. */
static uint32_t descend(const struct route_arena *arena, const struct route_table *table,
                        struct route_key key, unsigned plen)
{
    uint32_t last = 0;
    for (uint32_t n = entry_of(table, key, plen); n;) {
        const struct route_node *node = NODE(arena, n);
        if (node->plen > plen || !covers(node, key))
            break;
        last = n;
        if (node->plen == plen)
            break;
        n = node->child[bit_of(key, node->plen)];
    }
    return last;
}

static void link_child(struct route_arena *arena, struct route_table *table, uint32_t parent,
                       struct route_key key, uint32_t child)
{
    if (parent)
        NODE(arena, parent)->child[bit_of(key, NODE(arena, parent)->plen)] = child;
    else
        table->root = child;
    if (child)
        NODE(arena, child)->parent = parent;
}

/* The node of key/plen, made if missing; 0 without memory. */
static uint32_t node_for(struct route_arena *arena, struct route_table *table,
                         struct route_key key, unsigned plen)
{
    uint32_t parent = descend(arena, table, key, plen);
    if (parent && NODE(arena, parent)->plen == plen)
        return parent;
    uint32_t below = parent ? NODE(arena, parent)->child[bit_of(key, NODE(arena, parent)->plen)]
                            : table->root;
    uint32_t node = new_node(arena, key, plen), top = node;
    if (!node)
        return 0;
    if (below) {
        struct route_key other = NODE(arena, below)->key;
        unsigned shared = common_bits(other, key, plen);
        if (shared < plen) {
            if (!(top = new_node(arena, key, shared))) {
                free_node(arena, node);
                return 0;
            }
            link_child(arena, table, top, key, node);
        }
        link_child(arena, table, top, other, below);
    }
    link_child(arena, table, parent, key, top);
    update_jump(arena, table, top, false);
    if (top != node)
        update_jump(arena, table, node, false);
    return node;
}

/* Take out this node, and its parents, as far as they carry nothing. */
static void prune(struct route_arena *arena, struct route_table *table, uint32_t index)
{
    while (index) {
        struct route_node *node = NODE(arena, index);
        if (node->has_route || (node->child[0] && node->child[1]))
            return;
        uint32_t parent = node->parent;
        update_jump(arena, table, index, true);
        link_child(arena, table, parent, node->key,
                   node->child[0] ? node->child[0] : node->child[1]);
        free_node(arena, index);
        index = parent;
    }
}

static bool same_route(const struct route *a, const struct route *b)
{
    return a->nh == b->nh && a->label == b->label && a->flags == b->flags
        && a->stored == b->stored && memcmp(a->mac, b->mac, 6) == 0;
}

static const struct route no_route = {.label = 0xffffff};

/* What shows above a node. */
static const struct route *covering(const struct route_arena *arena, uint32_t index)
{
    for (uint32_t n = NODE(arena, index)->parent; n; n = NODE(arena, n)->parent)
        if (NODE(arena, n)->has_route)
            return &NODE(arena, n)->route;
    return &no_route;
}

static void drop_route(struct route_arena *arena, struct route_table *table, uint32_t index)
{
    NODE(arena, index)->has_route = 0;
    table->count--;
    prune(arena, table, index);
}

/* Next node in the subtree below `top` (pre-order) whose route shows another length
 * than its own and fits, or 0. Such nodes are rare: `punched` counts them. */
static uint32_t find_punched(const struct route_arena *arena, uint32_t top, unsigned low,
                             unsigned high)
{
    uint32_t stack[DEPTH_MAX];
    unsigned depth = 0;
    for (int side = 0; side < 2; side++)
        if (NODE(arena, top)->child[side])
            stack[depth++] = NODE(arena, top)->child[side];
    while (depth) {
        uint32_t index = stack[--depth];
        const struct route_node *node = NODE(arena, index);
        if (node->has_route && node->route.stored < node->plen && node->route.stored >= low
            && node->route.stored <= high)
            return index;
        for (int side = 0; side < 2; side++)
            if (node->child[side])
                stack[depth++] = node->child[side];
    }
    return 0;
}

static void set_route(struct route_table *table, struct route_node *node,
                      const struct route *route)
{
    if (node->has_route)
        table->punched -= node->route.stored < node->plen;
    else
        table->count++;
    node->has_route = 1;
    node->route = *route;
    table->punched += route->stored < node->plen;
}

bool route_insert(struct route_arena *arena, struct route_table *table, struct route_key key,
                  unsigned plen, const struct route *route)
{
    struct route mine = *route;
    mine.stored = (uint8_t)plen;
    table->exists = true;
    uint32_t index = node_for(arena, table, mask_key(key, plen), plen);
    if (!index)
        return false;
    set_route(table, NODE(arena, index), &mine);
    if (!table->jump && table->count > JUMP_FROM)
        make_jump(arena, table);
    uint32_t stale;
    while (table->punched && (stale = find_punched(arena, index, 0, plen))) {
        table->punched--;
        drop_route(arena, table, stale);
    }
    return true;
}

/* Put the replacement where this node's route was; nothing is kept when what is
 * above shows the same. */
static void replace_at(struct route_arena *arena, struct route_table *table, uint32_t index,
                       const struct route *replacement)
{
    struct route_node *node = NODE(arena, index);
    struct route mine = *replacement;
    if (mine.stored > node->plen)
        mine.stored = node->plen;
    if (same_route(covering(arena, index), &mine)) {
        table->punched -= node->route.stored < node->plen;
        drop_route(arena, table, index);
    } else {
        set_route(table, node, &mine);
    }
}

void route_remove(struct route_arena *arena, struct route_table *table, struct route_key key,
                  unsigned plen, const struct route *replacement)
{
    key = mask_key(key, plen);
    /* Holes of this length below first: their parents stay where they are. */
    uint32_t top, stale;
    bool shorter = replacement->stored < plen;
    while (table->punched && shorter && (top = node_for(arena, table, key, plen))
           && (stale = find_punched(arena, top, plen, plen)))
        replace_at(arena, table, stale, replacement);
    uint32_t index = descend(arena, table, key, plen);
    if (!index || NODE(arena, index)->plen != plen)
        return;
    struct route_node *node = NODE(arena, index);
    if (node->has_route && node->route.stored == plen)
        replace_at(arena, table, index, replacement);
    else
        prune(arena, table, index);
}

const struct route *route_find(const struct route_arena *arena, const struct route_table *table,
                               struct route_key key)
{
    uint32_t n = entry_of(table, key, 128), entry = n;
    const struct route *best = NULL;
    while (n) {
        const struct route_node *node = NODE(arena, n);
        if (!covers(node, key))
            break;
        if (node->has_route)
            best = &node->route;
        if (node->plen == 128)
            break;
        n = node->child[bit_of(key, node->plen)];
    }
    /* Entered past the top: a shorter prefix may be above. */
    for (n = entry; !best && n && n != table->root;) {
        n = NODE(arena, n)->parent;
        if (n && NODE(arena, n)->has_route)
            best = &NODE(arena, n)->route;
    }
    return best;
}

/* The leaf that contains `key`: as long as a longer prefix is inside, 8 bits more. */
static struct route_leaf leaf_at(const struct route_arena *arena, const struct route_table *table,
                                 struct route_key key, unsigned width)
{
    const struct route *best = &no_route;
    uint32_t n = table->root;
    unsigned length = 8;
    for (;;) {
        bool deeper = false;
        while (n) {
            const struct route_node *node = NODE(arena, n);
            if (node->plen > length || !covers(node, key))
                break;
            if (node->has_route)
                best = &node->route;
            deeper = node->plen == length && (node->child[0] || node->child[1]);
            n = node->plen < width ? node->child[bit_of(key, node->plen)] : 0;
        }
        if (n && NODE(arena, n)->plen > length
            && common_bits(NODE(arena, n)->key, key, length) == length)
            deeper = true;
        if (!deeper || length >= width)
            break;
        length += 8;
    }
    return (struct route_leaf){mask_key(key, length), (uint8_t)length, *best};
}

/* First address behind the leaf; false at the end of the address space. */
static bool step_over(struct route_key *key, unsigned plen)
{
    if (plen > 64) {
        key->lo += 1ull << (128 - plen);
        if (key->lo)
            return true;
        return ++key->hi != 0;
    }
    key->lo = 0;
    key->hi += 1ull << (64 - plen);
    return key->hi != 0;
}

uint32_t route_leaves(const struct route_arena *arena, const struct route_table *table,
                      unsigned width, struct route_key from, struct route_leaf *out,
                      uint32_t max)
{
    uint32_t count = 0;
    struct route_key at = from;
    while (table->exists && count < max) {
        struct route_leaf leaf = leaf_at(arena, table, at, width);
        bool before = leaf.key.hi < from.hi || (leaf.key.hi == from.hi && leaf.key.lo < from.lo);
        if (!before)
            out[count++] = leaf;
        at = leaf.key;
        if (!step_over(&at, leaf.plen))
            break;
    }
    return count;
}
