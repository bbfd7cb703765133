/* Memory of one run of expat: taken in sequence, given back all at once, and bounded.
 *
 * Expat's allocator has no argument to tell parsers apart, so there is one arena; whoever runs
 * expat holds the interpreter's lock from arena_reset() on. */
#ifndef ROUTE_STANZA_ARENA_H
#define ROUTE_STANZA_ARENA_H

#include <stddef.h>

enum { RS_ARENA_LIMIT = 96 << 20 };

void *rs_arena_allocate(size_t size);
void *rs_arena_reallocate(void *block, size_t size);
void rs_arena_release(void *block);
void rs_arena_reset(void);

#endif
