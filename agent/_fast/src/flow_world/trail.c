/* The steps of a decision, for those who ask. */
#include "work.h"

static struct flow_step *next_step(struct work *k, enum step_kind kind)
{
    static const struct flow_step fresh = {.port = FLOW_NONE};
    if (k->trail->count == TRAIL_STEPS)
        k->trail->count--; /* the last place is overwritten, so that the result is told */
    struct flow_step *step = &k->trail->steps[k->trail->count++];
    *step = fresh;
    step->kind = kind;
    return step;
}

void tell(struct work *k, enum step_kind kind, uint32_t number, uint32_t other)
{
    struct flow_step *step = next_step(k, kind);
    step->number = number;
    step->other = other;
}

void tell_address(struct work *k, enum step_kind kind, uint32_t number, uint32_t other,
                  const uint8_t *address)
{
    struct flow_step *step = next_step(k, kind);
    step->number = number;
    step->other = other;
    step->family = k->packet->family;
    step->length = (uint8_t)(8 * address_size(k));
    memcpy(step->address, address, address_size(k));
}

void tell_route(struct work *k, enum step_kind kind, uint32_t number, const uint8_t *address)
{
    struct flow_step *step = next_step(k, kind);
    if (number == NO_ROUTE) {
        step->number = step->other = FLOW_NONE;
        return;
    }
    const struct route *route = &k->world->routes[number];
    step->number = route->vrf;
    step->other = route->nexthop;
    step->length = route->length;
    step->family = k->bridged ? FAMILY_BRIDGE : k->packet->family;
    size_t size = k->bridged ? 6 : address_size(k);
    for (size_t i = 0; i < size && 8 * i < route->length; i++) {
        unsigned rest = route->length - 8 * (unsigned)i;
        step->address[i] = address[i] & (uint8_t)(rest < 8 ? 0xff00 >> rest : 0xff);
    }
}

void tell_check(struct work *k, enum step_check which, uint32_t vif,
                const struct cls_verdict *verdict)
{
    struct flow_step *step = next_step(k, STEP_LIST);
    step->number = verdict->rule;
    step->other = verdict->list;
    step->port = vif;
    step->actions = verdict->actions;
    step->which = (uint8_t)which;
}

void tell_side(struct work *k, enum step_kind kind, unsigned side, uint32_t number,
               uint32_t other)
{
    struct flow_step *step = next_step(k, kind);
    step->number = number;
    step->other = other;
    step->length = (uint8_t)side;
}
