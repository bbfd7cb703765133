/* Prefix table: a path-compressed binary trie per VRF and family, nodes in one arena.
 *
 * A node's `plen` is the length of its prefix; `stored` the length of the route that
 * shows there, which differs after a delete put the covering route in its place
 * (facts datapath-behaviour.md section 2, "covering prefix at delete"). */
#ifndef FORWARDING_TABLE_ROUTE_H
#define FORWARDING_TABLE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

struct route_key { uint64_t hi, lo; };   /* an inet address is the top of `hi` */

struct route {
    uint32_t nh, label;
    uint8_t flags, stored, mac[6];
};

struct route_node {
    struct route_key key;
    uint32_t child[2], parent;
    struct route route;
    uint8_t plen, has_route;
};

struct route_arena {
    struct route_node *nodes;   /* [0] is never used: 0 is "none" */
    uint32_t used, room, free;
};

/* `punched`: nodes that show a route shorter than themselves. `jump`, made for large
 * tables: by the first 16 bits, the deepest node of at most 16 bits on the way. */
struct route_table { uint32_t root, count, punched, *jump; bool exists; };

/* A leaf as the stride-8 trie of other datapaths shows it. */
struct route_leaf { struct route_key key; uint8_t plen; struct route route; };

bool route_insert(struct route_arena *arena, struct route_table *table, struct route_key key,
                  unsigned plen, const struct route *route);
void route_remove(struct route_arena *arena, struct route_table *table, struct route_key key,
                  unsigned plen, const struct route *replacement);
/* Longest match, or NULL. Valid until the table changes. */
const struct route *route_find(const struct route_arena *arena, const struct route_table *table,
                               struct route_key key);
/* Leaves from the first that starts at or above `from`; how many were written. */
uint32_t route_leaves(const struct route_arena *arena, const struct route_table *table,
                      unsigned width, struct route_key from, struct route_leaf *out,
                      uint32_t max);
void route_table_clear(struct route_table *table);
void route_arena_clear(struct route_arena *arena);

#endif
