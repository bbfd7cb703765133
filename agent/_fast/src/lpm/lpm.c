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

/* A node unpacked into its runs: run `at` covers the bytes from start[at] to before
 * start[at + 1]. Neighbours differ. */
struct runs {
    struct head head;
    unsigned count;
    uint16_t start[257];
    uint32_t slot[256];
    uint8_t length[256];
};

static const unsigned CAPACITY[LPM_CLASSES] = {4, 8, 16, 32, 256};
static const unsigned STARTS[LPM_CLASSES] = {16, 16, 16, 32, 0}; /* bytes, spare ones 255 */
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
    static const uint32_t RUN_MASK[LPM_CLASSES] = {0xf, 0xff, 0xffff, 0xffffffff, 0};
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

/* Append a run, or let it go on from the last one when that is the same. */
static inline void add_run(struct runs *runs, unsigned start, uint32_t slot, uint8_t length)
{
    unsigned last = runs->count - 1;
    if (runs->count && runs->slot[last] == slot && runs->length[last] == length)
        return;
    runs->start[runs->count] = (uint16_t)start;
    runs->slot[runs->count] = slot;
    runs->length[runs->count] = length;
    runs->count++;
}

static void unpack(const struct lpm *table, uint32_t ref, struct runs *runs)
{
    unsigned class = class_of(ref), capacity = CAPACITY[class];
    uint8_t *node = node_at(table, ref);
    const uint8_t *starts = starts_of(node), *lengths = lengths_of(node, class);
    const uint32_t *slots = slots_of(node, class);
    memcpy(&runs->head, node, sizeof runs->head);
    runs->count = 0;
    for (unsigned run = 0; run < capacity; run++)
        add_run(runs, class == DENSE ? run : starts[run], slots[run], lengths[run]);
    runs->start[runs->count] = 256;
}

static unsigned class_for(unsigned count)
{
    unsigned class = 0;
    while (CAPACITY[class] < count && class < DENSE)
        class++;
    return class;
}

static void pack_dense(uint8_t *node, const struct runs *runs)
{
    uint32_t *slots = slots_of(node, DENSE);
    uint8_t *lengths = lengths_of(node, DENSE);
    for (unsigned run = 0; run < runs->count; run++)
        for (unsigned byte = runs->start[run]; byte < runs->start[run + 1]; byte++) {
            slots[byte] = runs->slot[run];
            lengths[byte] = runs->length[run];
        }
}

static void pack(struct lpm *table, uint32_t ref, const struct runs *runs)
{
    unsigned class = class_of(ref), last = runs->count - 1;
    uint8_t *node = node_at(table, ref);
    memcpy(node, &runs->head, sizeof runs->head);
    if (class == DENSE) {
        pack_dense(node, runs);
        return;
    }
    uint8_t *starts = starts_of(node), *lengths = lengths_of(node, class);
    uint32_t *slots = slots_of(node, class);
    memset(starts, 255, STARTS[class]);
    for (unsigned run = 0; run < CAPACITY[class]; run++) {
        unsigned from = run < last ? run : last;
        if (run <= last)
            starts[run] = (uint8_t)runs->start[run];
        slots[run] = runs->slot[from];
        lengths[run] = runs->length[from];
    }
}

/* Write a node back, in a node of another class where its runs ask for one. */
static uint32_t store_node(struct lpm *table, uint32_t ref, const struct runs *runs)
{
    unsigned class = class_for(runs->count);
    if (class != class_of(ref)) {
        pool_give(table, ref);
        ref = pool_take(table, class);
    }
    pack(table, ref, runs);
    return ref;
}

static uint32_t new_node(struct lpm *table, uint32_t base, uint8_t base_length)
{
    struct runs runs;
    uint32_t ref = pool_take(table, 0);
    memset(&runs.head, 0, sizeof runs.head);
    runs.head.base = base;
    runs.head.base_length = base_length;
    runs.count = 0;
    add_run(&runs, 0, LPM_NONE, 0);
    runs.start[1] = 256;
    pack(table, ref, &runs);
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

/* Apply a change to a slot and its length; a child takes it in its head. */
static inline void change_slot(struct lpm *table, const struct change *change, uint32_t *slot,
                               uint8_t *length)
{
    struct head *head = NULL;
    if (*slot & CHILD) {
        head = (struct head *)(void *)node_at(table, *slot);
        length = &head->base_length;
        slot = &head->base;
    }
    if (*length >= change->from && *length <= change->to) {
        *slot = change->value;
        *length = change->length;
    }
}

/* Copy runs with a change applied to the bytes first to last. */
static void change_runs(struct lpm *table, const struct runs *old, struct runs *new,
                        unsigned first, unsigned last, const struct change *change)
{
    new->head = old->head;
    new->count = 0;
    for (unsigned run = 0; run < old->count; run++) {
        unsigned start = old->start[run], end = old->start[run + 1];
        uint32_t slot = old->slot[run];
        uint8_t length = old->length[run];
        if (end <= first || start > last) {
            add_run(new, start, slot, length);
            continue;
        }
        if (start < first)
            add_run(new, start, slot, length);
        change_slot(table, change, &slot, &length);
        add_run(new, start < first ? first : start, slot, length);
        if (end > last + 1)
            add_run(new, last + 1, old->slot[run], old->length[run]);
    }
    new->start[new->count] = 256;
}

/* Whether a dense node has more runs than the smaller nodes can hold. */
static int still_dense(const uint32_t *slots, const uint8_t *lengths)
{
    unsigned count = 1;
    for (unsigned byte = 1; byte < 256 && count <= CAPACITY[DENSE - 1]; byte++)
        count += slots[byte] != slots[byte - 1] || lengths[byte] != lengths[byte - 1];
    return count > CAPACITY[DENSE - 1];
}

/* Copy runs with another slot for one byte. */
static void replace_slot(const struct runs *old, struct runs *new, unsigned byte, uint32_t slot,
                         uint8_t length)
{
    new->head = old->head;
    new->count = 0;
    for (unsigned run = 0; run < old->count; run++) {
        unsigned start = old->start[run], end = old->start[run + 1];
        if (start != byte)
            add_run(new, start, old->slot[run], old->length[run]);
        if (start <= byte && byte < end) {
            add_run(new, byte, slot, length);
            if (byte + 1 < end)
                add_run(new, byte + 1, old->slot[run], old->length[run]);
        }
    }
    new->start[new->count] = 256;
}

/* What an update leaves in the parent's slot: a node, or the value that it stood for. */
struct result {
    uint32_t slot;
    uint8_t length;
};

/* Store an unpacked node; the root stays a node, others give way to their base when empty. */
static struct result settle(struct lpm *table, uint32_t ref, unsigned depth,
                            const struct runs *runs)
{
    if (depth && runs->count == 1 && runs->slot[0] == LPM_NONE) {
        pool_give(table, ref);
        return (struct result){runs->head.base, runs->head.base_length};
    }
    return (struct result){store_node(table, ref, runs), 0};
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

/* Apply a change to the bytes first to last of a node. */
static struct result change_node(struct lpm *table, uint32_t ref, unsigned depth, unsigned first,
                                 unsigned last, const struct change *change)
{
    struct runs old, new;
    if (class_of(ref) == DENSE) {
        uint8_t *node = node_at(table, ref), *lengths = lengths_of(node, DENSE);
        uint32_t *slots = slots_of(node, DENSE);
        for (unsigned byte = first; byte <= last; byte++)
            change_slot(table, change, &slots[byte], &lengths[byte]);
        if (still_dense(slots, lengths))
            return (struct result){ref, 0};
        unpack(table, ref, &new);
    } else {
        unpack(table, ref, &old);
        change_runs(table, &old, &new, first, last, change);
    }
    return settle(table, ref, depth, &new);
}

/* Apply a change in or below `ref`, whose node covers byte `depth` of the key. */
static struct result change_below(struct lpm *table, uint32_t ref, unsigned depth,
                                  const uint8_t *key, unsigned prefix_length,
                                  const struct change *change)
{
    unsigned byte = key[depth];
    if (prefix_length <= 8 * (depth + 1)) {
        unsigned free_bits = 8 * (depth + 1) - prefix_length;
        return change_node(table, ref, depth, byte, byte + (1u << free_bits) - 1, change);
    }
    unsigned class = class_of(ref);
    uint8_t *node = node_at(table, ref);
    unsigned run = class == DENSE ? byte : run_of(starts_of(node), class, byte);
    uint32_t *slots = slots_of(node, class), child = slots[run], old = child;
    uint8_t *lengths = lengths_of(node, class);
    if (!(child & CHILD))
        child = new_node(table, child, lengths[run]);
    struct result below = change_below(table, child, depth + 1, key, prefix_length, change);
    if ((old & CHILD) && (below.slot & CHILD)) {
        if (below.slot != old)
            move_child(table, ref, byte, below.slot);
        return (struct result){ref, 0};
    }
    if (class == DENSE) {
        slots[byte] = below.slot;
        lengths[byte] = below.length;
        if (still_dense(slots, lengths))
            return (struct result){ref, 0};
    }
    struct runs before, after;
    unpack(table, ref, &before);
    replace_slot(&before, &after, byte, below.slot, below.length);
    return settle(table, ref, depth, &after);
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
    uint32_t old = lpm_exact(table, key, length);
    if (old == value)
        return 0;
    if (store_reserve(&table->store, table->key_size))
        return -1;
    if (change_trie(table, key, length, &change))
        return -1;
    store_put(&table->store, table->key_size, key, length, value);
    table->by_length[length] += old == LPM_NONE;
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
