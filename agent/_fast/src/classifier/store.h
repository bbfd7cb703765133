/* What the files of the classifier share of its table of lists. */
#ifndef VROUTER_CLASSIFIER_STORE_H
#define VROUTER_CLASSIFIER_STORE_H

#include "intern.h"
#include "rule.h"

struct classifier {
    struct cls_intern sets, names;
    struct cls_list **lists; /* by number; NULL: none */
    uint32_t room;
    size_t bytes;            /* held by lists */
};

static inline const struct cls_list *store_list(const struct classifier *table, uint32_t number)
{
    return number < table->room ? table->lists[number] : NULL;
}

#endif
