/* The exact store of lpm.h: open addressing, linear probing, deletion by shifting back. */
#ifndef VROUTER_LPM_STORE_H
#define VROUTER_LPM_STORE_H

#include "lpm.h"

int store_init(struct lpm_store *store, unsigned key_size);
void store_free(struct lpm_store *store);
/* Make room for one more entry, so that store_put cannot fail. */
int store_reserve(struct lpm_store *store, unsigned key_size);
void store_put(struct lpm_store *store, unsigned key_size, const uint8_t *key, unsigned length,
               uint32_t value);
int store_drop(struct lpm_store *store, unsigned key_size, const uint8_t *key, unsigned length);
uint32_t store_get(const struct lpm_store *store, unsigned key_size, const uint8_t *key,
                   unsigned length);

#endif
