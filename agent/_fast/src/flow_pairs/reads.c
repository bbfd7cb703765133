/* Which pairs read a vif or a route: lists in the order of decisions, the newest first. */
#include <stdlib.h>
#include <string.h>

#include "table.h"

enum { LINK_BITS = 3, ROUTES_FIRST = 1024 };

static bool reads_vif(int which)
{
    return which == READ_IN_VIF || which == READ_OUT_VIF;
}

struct readers *readers_of(struct pairs *pairs, int which, uint32_t number)
{
    if (reads_vif(which))
        return number < PAIRS_VIFS ? &pairs->vifs[number].readers : NULL;
    return number < pairs->route_room ? &pairs->routes[number] : NULL;
}

static bool routes_room(struct pairs *pairs, uint32_t number)
{
    uint32_t room = pairs->route_room ? pairs->route_room : ROUTES_FIRST;
    if (number < pairs->route_room)
        return true;
    if (number >= PAIRS_ROUTES)
        return false;
    while (room <= number)
        room *= 2;
    struct readers *routes = realloc(pairs->routes, room * sizeof *routes);
    if (!routes)
        return false;
    memset(routes + pairs->route_room, 0, (room - pairs->route_room) * sizeof *routes);
    pairs->routes = routes;
    pairs->route_room = room;
    return true;
}

/* Room for the lists that a decision is put into; false: it could not be kept up to date. */
bool reads_room(struct pairs *pairs, const struct flow_decision *is)
{
    for (int which = 0; which < FLOW_READS; which++) {
        uint32_t number = is->reads[which];
        if (number == FLOW_NONE)
            continue;
        if (reads_vif(which) ? number >= PAIRS_VIFS : !routes_room(pairs, number))
            return false;
    }
    return true;
}

static struct pair_link *link_at(struct pairs *pairs, uint32_t link)
{
    return &pairs_at(pairs, link >> LINK_BITS)->read[link & ((1 << LINK_BITS) - 1)];
}

void reads_link(struct pairs *pairs, uint32_t number)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    pair->epoch = pairs->epoch;
    for (int which = 0; which < FLOW_READS; which++) {
        if (pair->is.reads[which] == FLOW_NONE)
            continue;
        struct readers *readers = readers_of(pairs, which, pair->is.reads[which]);
        uint32_t link = number << LINK_BITS | (uint32_t)which;
        pair->read[which].previous = FLOW_NONE;
        pair->read[which].next = readers->first - 1;
        if (readers->first)
            link_at(pairs, readers->first - 1)->previous = link;
        else
            readers->last = link + 1;
        readers->first = link + 1;
    }
    pair->linked = true;
}

void reads_unlink(struct pairs *pairs, uint32_t number)
{
    struct flow_pair *pair = pairs_at(pairs, number);
    if (!pair->linked)
        return;
    for (int which = 0; which < FLOW_READS; which++) {
        if (pair->is.reads[which] == FLOW_NONE)
            continue;
        struct readers *readers = readers_of(pairs, which, pair->is.reads[which]);
        struct pair_link *link = &pair->read[which];
        if (link->previous == FLOW_NONE)
            readers->first = link->next + 1;
        else
            link_at(pairs, link->previous)->next = link->next;
        if (link->next == FLOW_NONE)
            readers->last = link->previous + 1;
        else
            link_at(pairs, link->next)->previous = link->previous;
    }
    pair->linked = false;
}
