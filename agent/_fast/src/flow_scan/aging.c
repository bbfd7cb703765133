#include "aging.h"

#include <stdlib.h>

#include "flow_table/flow_entry.h"

enum { PROTO_TCP = 6 };

static uint32_t rank(uint8_t proto, uint16_t port)
{
    return (uint32_t)proto << 16 | port;
}

static int by_rank(const void *left, const void *right)
{
    const struct aging_service *a = left, *b = right;
    uint32_t first = rank(a->proto, a->port), second = rank(b->proto, b->port);
    return (first > second) - (first < second);
}

static void lower(uint32_t *least, uint32_t timeout)
{
    if (timeout < *least)
        *least = timeout;
}

void aging_prepare(struct aging *aging)
{
    qsort(aging->service, aging->services, sizeof *aging->service, by_rank);
    aging->least = aging->common;
    lower(&aging->least, aging->dropped);
    lower(&aging->least, aging->half_open);
    lower(&aging->least, aging->closed);
    for (uint32_t i = 0; i < aging->services; i++)
        lower(&aging->least, aging->service[i].timeout);
}

static const struct aging_service *service_of(const struct aging *aging, uint8_t proto,
                                              uint16_t port)
{
    struct aging_service wanted = {0, port, proto};
    return bsearch(&wanted, aging->service, aging->services, sizeof wanted, by_rank);
}

/* The service's own timeout: the one of the port that was called, of the caller's, of all. */
static uint32_t of_service(const struct aging *aging, const uint8_t *key)
{
    uint16_t sport = (uint16_t)(key[4] << 8 | key[5]), dport = (uint16_t)(key[6] << 8 | key[7]);
    const struct aging_service *found = service_of(aging, key[1], dport);
    if (!found)
        found = service_of(aging, key[1], sport);
    if (!found)
        found = service_of(aging, key[1], 0);
    return found ? found->timeout : aging->common;
}

/* What the entries of both directions saw of the connection. */
static uint16_t seen(const struct flow_pair *pair)
{
    return pair->at[FLOW_FORWARD].tcp_flags | pair->at[FLOW_REVERSE].tcp_flags;
}

/* A mere RST closes nothing: the datapath checks its numbers before it says DEAD. */
static bool tcp_closed(uint16_t flags)
{
    uint16_t both = FLOW_TCP_FIN | FLOW_TCP_FIN_R;
    return (flags & FLOW_TCP_DEAD) || (flags & both) == both;
}

static bool tcp_half_open(uint16_t flags)
{
    return (flags & (FLOW_TCP_SYN | FLOW_TCP_SYN_R))
        && !(flags & (FLOW_TCP_ESTABLISHED | FLOW_TCP_ESTABLISHED_R));
}

static bool dropped(const struct flow_decision *is)
{
    return is->side[FLOW_FORWARD].action == FLOW_DROP && is->side[FLOW_REVERSE].action == FLOW_DROP;
}

static uint32_t shorter(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t aging_timeout(const struct aging *aging, const struct flow_pair *pair,
                       enum pair_end *why)
{
    const uint8_t *key = pair->is.side[FLOW_FORWARD].key;
    *why = END_AGED;
    if (pair->is.flags & PAIR_BGP_SERVICE)
        return AGING_NEVER;
    uint32_t timeout = of_service(aging, key);
    if (dropped(&pair->is))
        return shorter(timeout, aging->dropped);
    if (key[1] != PROTO_TCP)
        return timeout;
    if (tcp_closed(seen(pair))) {
        *why = END_CLOSED;
        return shorter(timeout, aging->closed);
    }
    return tcp_half_open(seen(pair)) ? shorter(timeout, aging->half_open) : timeout;
}
