/* Packets that wait, in no more memory than they need. */
#include "parked.h"

#include <stdlib.h>

#include "dp.h"

enum { FIELDS = offsetof(struct packet, buf) };

struct parked {
    struct parked *next;
    uint32_t vif, first, length;    /* `length` bytes from offset `first` of the buffer */
    _Alignas(struct packet) uint8_t fields[FIELDS];
    uint8_t bytes[];
};

bool park(struct datapath *dp, struct parked_list *list, struct packet *p, int reason)
{
    uint32_t first = p->frame < p->off ? p->frame : p->off;
    uint32_t length = p->off + p->len - first;
    struct parked *parked = malloc(sizeof *parked + length);
    if (!parked) {
        dp_drop(dp, p, reason);
        return false;
    }
    parked->next = NULL;
    parked->vif = p->in->idx;
    parked->first = first;
    parked->length = length;
    memcpy(parked->fields, p, FIELDS);
    memcpy(parked->bytes, p->buf + first, length);
    if (list->last)
        list->last->next = parked;
    else
        list->first = parked;
    list->last = parked;
    list->count++;
    list->bytes += length;
    packet_give(&dp->pool, p);
    return true;
}

void parked_pop(struct parked_list *list)
{
    struct parked *parked = list->first;
    list->first = parked->next;
    if (!list->first)
        list->last = NULL;
    list->count--;
    list->bytes -= parked->length;
    free(parked);
}

struct packet *unpark(struct datapath *dp, struct parked_list *list)
{
    while (list->first) {
        const struct parked *parked = list->first;
        struct vif *in = dp_vif(dp, parked->vif);
        struct packet *p = in ? packet_take(&dp->pool) : NULL;
        if (p) {
            memcpy(p, parked->fields, FIELDS);
            memcpy(p->buf + parked->first, parked->bytes, parked->length);
            p->in = in;
            packet_seal(p);
        } else {
            dp_count_drop(dp, in, in ? DROP_NO_MEMORY : DROP_INVALID_IF);
        }
        parked_pop(list);
        if (p)
            return p;
    }
    return NULL;
}

uint8_t *parked_data(struct parked *parked, uint32_t *length)
{
    struct packet *fields = (struct packet *)parked->fields;
    *length = fields->len;
    return parked->bytes + (fields->off - parked->first);
}

struct parked *parked_next(const struct parked *parked) { return parked->next; }

void parked_join(struct parked_list *to, struct parked_list *from)
{
    if (!from->first)
        return;
    if (to->last)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    to->count += from->count;
    to->bytes += from->bytes;
    *from = (struct parked_list){0};
}

void parked_drop_oldest(struct datapath *dp, struct parked_list *list, int reason)
{
    dp_count_drop(dp, dp_vif(dp, list->first->vif), reason);
    parked_pop(list);
}

void park_drop(struct datapath *dp, struct parked_list *list, int reason)
{
    while (list->first)
        parked_drop_oldest(dp, list, reason);
}
