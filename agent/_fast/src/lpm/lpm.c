#define _DEFAULT_SOURCE

#include "lpm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "store.h"

#define CHILD 0x80000000u
#define CLASS_SHIFT 28
#define INDEX_MASK 0x0fffffffu
#define DENSE (LPM_CLASSES - 1)
#define NO_FREE 0xffffffffu
#define TOP_ENTRIES 65536u
#define TOP_FROM 4096
#define HUGE_PAGE (2u << 20)

/* A node: this head, the starts of its runs (none when dense), their slots, their lengths.
 * base is what prefixes that end above this node give to all of it.
 * Lengths are prefix length + 1; 0 = nothing. Unused runs repeat the last one. */
struct head {
    uint32_t base;
    uint8_t base_length;
    uint8_t unused[3];
};

/* A node unpacked: one slot and one length for each value of the byte. */
struct spread {
    struct head head;
    uint32_t slot[256];
    uint8_t length[256];
};

static const unsigned CAPACITY[LPM_CLASSES] = {4, 8, 16, 32, 256};
static const unsigned STARTS[LPM_CLASSES] = {16, 16, 16, 32, 0}; /* bytes, spare ones 255 */
static const uint32_t RUN_MASK[LPM_CLASSES] = {0xf, 0xff, 0xffff, 0xffffffff, 0};
static const size_t NODE_SIZE[LPM_CLASSES] = {44, 64, 104, 200, 1288};

static unsigned class_of(uint32_t ref)
{
    return (ref & ~CHILD) >> CLASS_SHIFT;
}

static inline uint8_t *node_at(const struct lpm *table, uint32_t ref)
{
    unsigned class = class_of(ref);
    return table->pools[class].memory + (size_t)(ref & INDEX_MASK) * NODE_SIZE[class];
}

static uint8_t *starts_of(uint8_t *node)
{
    return node + sizeof(struct head);
}

static uint32_t *slots_of(uint8_t *node, unsigned class)
{
    return (uint32_t *)(void *)(node + sizeof(struct head) + STARTS[class]);
}

static uint8_t *lengths_of(uint8_t *node, unsigned class)
{
    return (uint8_t *)(slots_of(node, class) + CAPACITY[class]);
}

/* The last run whose start is <= byte. The starts are sorted and the first is 0, so the runs
 * that qualify are a block of low bits. A small node's slots follow its 16 starts: reading 32
 * bytes stays inside it, and the mask drops what is no start. */
static inline unsigned run_of(const uint8_t *starts, unsigned class, unsigned byte)
{
#ifdef __SSE2__
    __m128i wanted = _mm_set1_epi8((char)byte);
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)starts);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(starts + 16));
    uint32_t after = ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(low, wanted), low));
    after &= 0xffffu;
    after |= ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(high, wanted), high)) << 16;
    uint64_t stop = (uint64_t)after | ~(uint64_t)RUN_MASK[class];
    return (unsigned)__builtin_ctzll(stop) - 1;
#else
    unsigned at = 0;
    for (unsigned step = CAPACITY[class] / 2; step; step /= 2)
        at += starts[at + step] <= byte ? step : 0;
    return at;
#endif
}

static inline const uint32_t *slot_at(const uint8_t *node, unsigned class, unsigned byte)
{
    const uint8_t *starts = node + sizeof(struct head);
    const uint32_t *slots = (const uint32_t *)(const void *)(starts + STARTS[class]);
    return slots + (class == DENSE ? byte : run_of(starts, class, byte));
}

static inline uint32_t slot_of(const uint8_t *node, unsigned class, unsigned byte)
{
    return *slot_at(node, class, byte);
}

/* What the node gives to all of it, or else what was best before. */
static inline uint32_t better(uint32_t best, const uint8_t *node)
{
    uint32_t base;
    memcpy(&base, node, sizeof base);
    return base != LPM_NONE ? base : best;
}

/* --- nodes in pools --- */

/* Large pools lie on huge pages where the system has them: a lookup then costs one cache
 * miss instead of one more for the page table. */
static uint8_t *grow(uint8_t *old, size_t used, size_t room)
{
    if (room < HUGE_PAGE)
        return realloc(old, room);
    void *memory;
    if (posix_memalign(&memory, HUGE_PAGE, room))
        return NULL;
    madvise(memory, room, MADV_HUGEPAGE);
    if (used)
        memcpy(memory, old, used);
    free(old);
    return memory;
}

/* Make room for `count` nodes of every class, so that an update cannot fail half way. */
static int pools_reserve(struct lpm *table, uint32_t count)
{
    for (unsigned class = 0; class < LPM_CLASSES; class++) {
        struct lpm_pool *pool = &table->pools[class];
        if (pool->room - pool->used + pool->free_count >= count)
            continue;
        size_t room = (size_t)pool->room + pool->room / 4 + count;
        if (room > INDEX_MASK)
            return -1;
        uint8_t *memory =
            grow(pool->memory, pool->used * NODE_SIZE[class], room * NODE_SIZE[class]);
        if (!memory)
            return -1;
        pool->memory = memory;
        pool->room = (uint32_t)room;
    }
    return 0;
}

static uint32_t pool_take(struct lpm *table, unsigned class)
{
    struct lpm_pool *pool = &table->pools[class];
    uint32_t index = pool->free_head;
    if (index == NO_FREE) {
        index = pool->used++;
    } else {
        memcpy(&pool->free_head, pool->memory + index * NODE_SIZE[class], sizeof(uint32_t));
        pool->free_count--;
    }
    return CHILD | class << CLASS_SHIFT | index;
}

static void pool_give(struct lpm *table, uint32_t ref)
{
    struct lpm_pool *pool = &table->pools[class_of(ref)];
    memcpy(node_at(table, ref), &pool->free_head, sizeof(uint32_t));
    pool->free_head = ref & INDEX_MASK;
    pool->free_count++;
}

static void unpack(const struct lpm *table, uint32_t ref, struct spread *wide)
{
    unsigned class = class_of(ref), capacity = CAPACITY[class];
    uint8_t *node = node_at(table, ref);
    const uint8_t *starts = starts_of(node), *lengths = lengths_of(node, class);
    const uint32_t *slots = slots_of(node, class);
    memcpy(&wide->head, node, sizeof wide->head);
    if (class == DENSE) {
        memcpy(wide->slot, slots, sizeof wide->slot);
        memcpy(wide->length, lengths, sizeof wide->length);
        return;
    }
    for (unsigned run = 0; run < capacity; run++) {
        unsigned end = run + 1 < capacity ? starts[run + 1] : 256;
        for (unsigned byte = starts[run]; byte < end; byte++) {
            wide->slot[byte] = slots[run];
            wide->length[byte] = lengths[run];
        }
    }
}

static unsigned count_runs(const struct spread *wide)
{
    unsigned runs = 1;
    for (unsigned byte = 1; byte < 256; byte++)
        runs += wide->slot[byte] != wide->slot[byte - 1] ||
                wide->length[byte] != wide->length[byte - 1];
    return runs;
}

static unsigned class_for(unsigned runs)
{
    unsigned class = 0;
    while (CAPACITY[class] < runs && class < DENSE)
        class++;
    return class;
}

static void pack(struct lpm *table, uint32_t ref, const struct spread *wide)
{
    unsigned class = class_of(ref), capacity = CAPACITY[class];
    uint8_t *node = node_at(table, ref);
    uint8_t *starts = starts_of(node), *lengths = lengths_of(node, class);
    uint32_t *slots = slots_of(node, class);
    memcpy(node, &wide->head, sizeof wide->head);
    if (class == DENSE) {
        memcpy(slots, wide->slot, sizeof wide->slot);
        memcpy(lengths, wide->length, sizeof wide->length);
        return;
    }
    unsigned run = 0;
    memset(starts, 255, STARTS[class]);
    starts[0] = 0;
    slots[0] = wide->slot[0];
    lengths[0] = wide->length[0];
    for (unsigned byte = 1; byte < 256; byte++) {
        if (wide->slot[byte] == slots[run] && wide->length[byte] == lengths[run])
            continue;
        run++;
        starts[run] = (uint8_t)byte;
        slots[run] = wide->slot[byte];
        lengths[run] = wide->length[byte];
    }
    for (unsigned spare = run + 1; spare < capacity; spare++) {
        slots[spare] = wide->slot[255];
        lengths[spare] = wide->length[255];
    }
}

/* Write a node back, in a node of another class where its runs ask for one. */
static uint32_t store_node(struct lpm *table, uint32_t ref, const struct spread *wide)
{
    unsigned class = class_for(count_runs(wide));
    if (class != class_of(ref)) {
        pool_give(table, ref);
        ref = pool_take(table, class);
    }
    pack(table, ref, wide);
    return ref;
}

static uint32_t new_node(struct lpm *table, uint32_t base, uint8_t base_length)
{
    struct spread wide;
    uint32_t ref = pool_take(table, 0);
    memset(&wide, 0, sizeof wide);
    wide.head.base = base;
    wide.head.base_length = base_length;
    for (unsigned byte = 0; byte < 256; byte++)
        wide.slot[byte] = LPM_NONE;
    pack(table, ref, &wide);
    return ref;
}

/* --- the top: what the first two bytes lead to --- */

static struct lpm_top top_of(const struct lpm *table, unsigned word)
{
    uint32_t ref = table->root, best = LPM_NONE;
    for (unsigned depth = 0; depth < 2 && (ref & CHILD); depth++) {
        best = better(best, node_at(table, ref));
        ref = slot_of(node_at(table, ref), class_of(ref), depth ? word & 255 : word >> 8);
    }
    return (struct lpm_top){ref, best};
}

/* Have a top where the table is large enough to pay for it. */
static int top_reserve(struct lpm *table)
{
    if (table->top || table->store.used < TOP_FROM)
        return 0;
    table->top = malloc(TOP_ENTRIES * sizeof *table->top);
    if (!table->top)
        return -1;
    for (unsigned word = 0; word < TOP_ENTRIES; word++)
        table->top[word] = top_of(table, word);
    return 0;
}

static void top_refresh(struct lpm *table, const uint8_t *key, unsigned length)
{
    if (!table->top)
        return;
    unsigned first = (unsigned)key[0] << 8 | key[1];
    unsigned count = length < 16 ? 1u << (16 - length) : 1;
    for (unsigned word = first; word < first + count; word++)
        table->top[word] = top_of(table, word);
}

/* --- updates --- */

/* What a range of slots is set to: everything whose length is in [from, to]. */
struct change {
    uint8_t from, to;
    uint32_t value;
    uint8_t length;
};

static void change_slots(struct lpm *table, struct spread *wide, unsigned first, unsigned last,
                         const struct change *change)
{
    for (unsigned byte = first; byte <= last; byte++) {
        uint32_t slot = wide->slot[byte];
        if (slot & CHILD) {
            struct head *head = (struct head *)(void *)node_at(table, slot);
            if (head->base_length >= change->from && head->base_length <= change->to) {
                head->base = change->value;
                head->base_length = change->length;
            }
        } else if (wide->length[byte] >= change->from && wide->length[byte] <= change->to) {
            wide->slot[byte] = change->value;
            wide->length[byte] = change->length;
        }
    }
}

static int is_empty(const struct spread *wide)
{
    for (unsigned byte = 0; byte < 256; byte++)
        if (wide->slot[byte] != LPM_NONE)
            return 0;
    return 1;
}

/* What an update leaves in the parent's slot: a node, or the value that it stood for. */
struct result {
    uint32_t slot;
    uint8_t length;
};

/* Store an unpacked node; the root stays a node, others give way to their base when empty. */
static struct result settle(struct lpm *table, uint32_t ref, unsigned depth,
                            const struct spread *wide)
{
    if (depth && is_empty(wide)) {
        pool_give(table, ref);
        return (struct result){wide->head.base, wide->head.base_length};
    }
    return (struct result){store_node(table, ref, wide), 0};
}

/* A child's slot is always a run of its own, so a moved child is written in place. */
static void move_child(struct lpm *table, uint32_t ref, unsigned byte, uint32_t child)
{
    uint8_t *node = node_at(table, ref);
    unsigned class = class_of(ref);
    uint32_t *slots = slots_of(node, class);
    unsigned last = class == DENSE ? byte : run_of(starts_of(node), class, byte);
    uint32_t old = slots[last];
    for (unsigned run = last; slots[run] == old; run--) {
        slots[run] = child;
        if (!run)
            break;
    }
    for (unsigned run = last + 1; run < CAPACITY[class] && slots[run] == old; run++)
        slots[run] = child; /* the spare runs after it repeat it */
}

/* Apply a change in or below `ref`, whose node covers byte `depth` of the key. */
static struct result change_below(struct lpm *table, uint32_t ref, unsigned depth,
                                  const uint8_t *key, unsigned prefix_length,
                                  const struct change *change)
{
    struct spread wide;
    unsigned byte = key[depth];
    if (prefix_length <= 8 * (depth + 1)) {
        unsigned free_bits = 8 * (depth + 1) - prefix_length;
        unpack(table, ref, &wide);
        change_slots(table, &wide, byte, byte + (1u << free_bits) - 1, change);
        return settle(table, ref, depth, &wide);
    }
    uint32_t child = slot_of(node_at(table, ref), class_of(ref), byte), old = child;
    if (!(child & CHILD)) {
        unpack(table, ref, &wide);
        child = new_node(table, wide.slot[byte], wide.length[byte]);
    }
    struct result below = change_below(table, child, depth + 1, key, prefix_length, change);
    if ((old & CHILD) && (below.slot & CHILD)) {
        if (below.slot != old)
            move_child(table, ref, byte, below.slot);
        return (struct result){ref, 0};
    }
    unpack(table, ref, &wide);
    wide.slot[byte] = below.slot;
    wide.length[byte] = below.length;
    return settle(table, ref, depth, &wide);
}

/* The change of the whole trie; /0 lives in the root's head. */
static int change_trie(struct lpm *table, const uint8_t *key, unsigned length,
                       const struct change *change)
{
    if (pools_reserve(table, table->key_size + 1) || top_reserve(table))
        return -1;
    if (length == 0) {
        struct head *head = (struct head *)(void *)node_at(table, table->root);
        head->base = change->value;
        head->base_length = change->length;
    } else {
        table->root = change_below(table, table->root, 0, key, length, change).slot;
    }
    top_refresh(table, key, length);
    return 0;
}

int lpm_insert(struct lpm *table, const uint8_t *key, unsigned length, uint32_t value)
{
    struct change change = {0, (uint8_t)(length + 1), value, (uint8_t)(length + 1)};
    int known = lpm_exact(table, key, length) != LPM_NONE;
    if (store_reserve(&table->store, table->key_size))
        return -1;
    if (change_trie(table, key, length, &change))
        return -1;
    store_put(&table->store, table->key_size, key, length, value);
    table->by_length[length] += !known;
    return 0;
}

int lpm_remove(struct lpm *table, const uint8_t *key, unsigned length)
{
    if (lpm_exact(table, key, length) == LPM_NONE)
        return 0;
    uint32_t value = LPM_NONE;
    int cover = lpm_covering(table, key, length, &value);
    /* A covering prefix of an upper node shows through the node's head, not its slots. */
    if (length && cover <= (int)((length - 1) / 8 * 8)) {
        cover = -1;
        value = LPM_NONE;
    }
    uint8_t mine = (uint8_t)(length + 1);
    struct change change = {mine, mine, value, (uint8_t)(cover + 1)};
    if (change_trie(table, key, length, &change))
        return -1;
    store_drop(&table->store, table->key_size, key, length);
    table->by_length[length]--;
    return 1;
}

/* --- reads --- */

uint32_t lpm_exact(const struct lpm *table, const uint8_t *key, unsigned length)
{
    if (!table->by_length[length])
        return LPM_NONE;
    return store_get(&table->store, table->key_size, key, length);
}

int lpm_covering(const struct lpm *table, const uint8_t *key, unsigned length, uint32_t *value)
{
    uint8_t shorter[LPM_MAX_KEY];
    memcpy(shorter, key, table->key_size);
    while (length--) {
        shorter[length / 8] &= (uint8_t)(0xff00u >> (length % 8));
        *value = lpm_exact(table, shorter, length);
        if (*value != LPM_NONE)
            return (int)length;
    }
    return -1;
}

/* Go on from `ref`, whose node covers byte `depth`; best is what was found on the way. */
static inline uint32_t descend(const struct lpm *table, const uint8_t *address, unsigned depth,
                               uint32_t ref, uint32_t best)
{
    while (ref & CHILD) {
        const uint8_t *node = node_at(table, ref);
        best = better(best, node);
        ref = slot_of(node, class_of(ref), address[depth++]);
    }
    return ref != LPM_NONE ? ref : best;
}

uint32_t lpm_lookup(const struct lpm *table, const uint8_t *address)
{
    if (!table->top)
        return descend(table, address, 0, table->root, LPM_NONE);
    struct lpm_top top = table->top[(unsigned)address[0] << 8 | address[1]];
    return descend(table, address, 2, top.ref, top.best);
}

/* Nodes and then slots are fetched for a group of addresses at once, so that their cache
 * misses overlap. */
enum { GROUP = 32 };

static void lookup_group(const struct lpm *table, const uint8_t *addresses, uint32_t *values)
{
    struct lpm_top tops[GROUP];
    const uint32_t *slots[GROUP];
    size_t step = table->key_size;
    for (unsigned one = 0; one < GROUP; one++) {
        const uint8_t *address = addresses + one * step;
        tops[one] = table->top[(unsigned)address[0] << 8 | address[1]];
        if (tops[one].ref & CHILD)
            __builtin_prefetch(node_at(table, tops[one].ref));
    }
    for (unsigned one = 0; one < GROUP; one++) {
        slots[one] = &tops[one].ref;
        if (!(tops[one].ref & CHILD))
            continue;
        const uint8_t *node = node_at(table, tops[one].ref);
        slots[one] = slot_at(node, class_of(tops[one].ref), addresses[one * step + 2]);
        __builtin_prefetch(slots[one]);
        tops[one].best = better(tops[one].best, node);
    }
    for (unsigned one = 0; one < GROUP; one++)
        values[one] = descend(table, addresses + one * step, 3, *slots[one], tops[one].best);
}

void lpm_lookup_many(const struct lpm *table, const uint8_t *addresses, size_t count,
                     uint32_t *values)
{
    size_t at = 0;
    for (; table->top && at + GROUP <= count; at += GROUP)
        lookup_group(table, addresses + at * table->key_size, values + at);
    for (; at < count; at++)
        values[at] = lpm_lookup(table, addresses + at * table->key_size);
}

size_t lpm_next(const struct lpm *table, size_t at)
{
    while (at < table->store.room && !table->store.lengths[at])
        at++;
    return at;
}

/* --- life --- */

int lpm_init(struct lpm *table, unsigned key_size)
{
    memset(table, 0, sizeof *table);
    table->key_size = key_size;
    for (unsigned class = 0; class < LPM_CLASSES; class++)
        table->pools[class].free_head = NO_FREE;
    if (store_init(&table->store, key_size) || pools_reserve(table, 1)) {
        lpm_free(table);
        return -1;
    }
    table->root = new_node(table, LPM_NONE, 0);
    return 0;
}

void lpm_free(struct lpm *table)
{
    for (unsigned class = 0; class < LPM_CLASSES; class++)
        free(table->pools[class].memory);
    free(table->top);
    store_free(&table->store);
    memset(table, 0, sizeof *table);
}

size_t lpm_memory(const struct lpm *table)
{
    size_t bytes = table->store.room * (table->key_size + 1 + sizeof(uint32_t));
    bytes += table->top ? TOP_ENTRIES * sizeof *table->top : 0;
    for (unsigned class = 0; class < LPM_CLASSES; class++)
        bytes += table->pools[class].room * NODE_SIZE[class];
    return bytes;
}
