/* Which access lists allow the flow: network policy, security groups, firewall, in this order;
 * the first that denies ends it (facts oper-db.md 4.2). */
#include "work.h"

enum heading { AHEAD, AHEAD_OUT, BACK, BACK_OUT };

/* A list's answer. */
struct answer {
    bool denied, asked;
    uint32_t rule;
};

struct inquiry {
    struct work *k;
    struct cls_packet headers[4]; /* enum heading */
    struct cls_verdict sum;       /* mirrors and QoS of all that was asked */
};

/* A local port at the near or far end, whose policy counts; or NULL. */
static const struct port *judge(const struct end *end)
{
    return is_vm(end->port) && has(end->port, TRAIT_POLICY) ? end->port : NULL;
}

/* ---- what rules see ---- */

static struct cls_end cls_end_of(const struct work *k, const struct end *end,
                                 const uint8_t *address)
{
    const struct meta *meta = world_meta_at(k->world, end->meta);
    return (struct cls_end){address, meta->networks, meta->groups, meta->tags};
}

/* The port at the far end sees the packet as it is after translation. */
static void write_headers(struct inquiry *q)
{
    const struct work *k = q->k;
    const struct tuple *is = &k->is, *to = &k->to;
    struct cls_packet *h = q->headers;
    h[AHEAD] = (struct cls_packet){
        .family = k->packet->family, .proto = k->packet->proto, .sport = is->sport,
        .dport = is->dport, .src = cls_end_of(k, &k->src, is->src),
        .dst = cls_end_of(k, &k->dst, is->dst)};
    h[AHEAD_OUT] = h[AHEAD];
    h[AHEAD_OUT].sport = to->sport;
    h[AHEAD_OUT].dport = to->dport;
    h[AHEAD_OUT].src.address = to->src;
    h[AHEAD_OUT].dst.address = to->dst;
    for (int i = 0; i < 2; i++) {
        struct cls_packet *back = &h[i == 0 ? BACK_OUT : BACK];
        *back = h[i];
        back->src = h[i].dst;
        back->dst = h[i].src;
        back->sport = h[i].dport;
        back->dport = h[i].sport;
    }
}

/* ICMP and DNS between a VM and its gateway are never denied. */
static bool is_gateway_service(const struct work *k, const struct port *port)
{
    enum { DNS = 53 };
    const struct flow_packet *p = k->packet;
    if (!is_icmp(p)
        && (p->proto != PROTO_UDP || (k->is.sport != DNS && k->is.dport != DNS)))
        return false;
    for (uint32_t i = 0; i < port->is.gateway_count; i++)
        if (same_address(k, &port->is.gateways[i], k->is.src)
            || same_address(k, &port->is.gateways[i], k->is.dst))
            return true;
    return false;
}

/* ---- asking ---- */

static enum cls_outcome match(struct inquiry *q, enum heading heading, const uint32_t *lists,
                              size_t count)
{
    const struct work *k = q->k;
    q->sum.actions = 0;
    return cls_match(k->world->classifier, lists, count, &q->headers[heading], &q->sum);
}

/* The VRF's choice has walked the same list for the same packet. */
static bool walked(const struct inquiry *q, enum heading heading, const uint32_t *lists,
                   size_t count)
{
    const struct work *k = q->k;
    return k->walked && heading == AHEAD && count == 1 && lists[0] == k->walked_list
        && k->src.meta == k->walked_src && k->dst.meta == k->walked_dst
        && q->sum.mirrors == 0 && q->sum.qos < 0;
}

static struct answer ask_lists(struct inquiry *q, const struct port *port, enum heading heading,
                               const uint32_t *lists, size_t count, enum step_check which)
{
    struct work *k = q->k;
    enum cls_outcome outcome;
    if (is_gateway_service(k, port)) {
        q->sum.actions = ACTION_PASS;
        q->sum.rule = RULE_GATEWAY;
        q->sum.list = CLS_NONE;
        outcome = CLS_DECIDED;
    } else if (walked(q, heading, lists, count)) {
        q->sum = k->walked_verdict;
        outcome = k->walked_outcome;
    } else if (count) {
        outcome = match(q, heading, lists, count);
    } else {
        q->sum.actions = ACTION_DENY;
        q->sum.rule = RULE_IMPLICIT_DENY;
        q->sum.list = CLS_NONE;
        outcome = CLS_UNMATCHED;
    }
    TELL_CHECK(k, which, port->vif, &q->sum);
    return (struct answer){
        .denied = outcome == CLS_UNMATCHED || (q->sum.actions & (ACTION_DENY | ACTION_REJECT)),
        .asked = true, .rule = q->sum.rule};
}

static struct answer no_list(struct inquiry *q, const struct port *port, enum step_check which)
{
    static const struct cls_verdict allowed
        = {.actions = ACTION_PASS, .rule = RULE_IMPLICIT_ALLOW, .list = CLS_NONE};
    TELL_CHECK(q->k, which, port->vif, &allowed);
    return (struct answer){.rule = RULE_IMPLICIT_ALLOW};
}

/* Ask the lists of a kind that a port has; without any it is allowed, but not where security
 * groups without rules would have had to allow it. */
static struct answer ask(struct inquiry *q, const struct port *port, enum heading heading,
                         enum port_list kind, enum step_check which)
{
    if (!port)
        return (struct answer){0};
    const struct port_numbers *lists = &port->is.lists[kind];
    bool grouped = (kind == LIST_EGRESS || kind == LIST_INGRESS) && has(port, TRAIT_GROUPED);
    if (!lists->count && !grouped)
        return no_list(q, port, which);
    return ask_lists(q, port, heading, lists->items, lists->count, which);
}

/* The network list of a port, or of the address that it acts for. */
static struct answer ask_network(struct inquiry *q, const struct end *end, enum heading heading,
                                 enum step_check which)
{
    const struct port *port = judge(end);
    if (!port || !end->acts)
        return ask(q, port, heading, LIST_NETWORK, which);
    if (end->network == WORLD_NO_LIST)
        return no_list(q, port, which);
    return ask_lists(q, port, heading, &end->network, 1, which);
}

/* ---- mirroring ---- */

static void ask_mirror(struct inquiry *q, const struct port *port, enum heading heading,
                       enum step_check which)
{
    const struct port_numbers *lists = port ? &port->is.lists[LIST_MIRROR] : NULL;
    if (!lists || !lists->count)
        return;
    match(q, heading, lists->items, lists->count);
    TELL_CHECK(q->k, which, port->vif, &q->sum);
}

/* ---- one kind of policy at both ends ---- */

/* The lists of a stateful kind, by the way a packet takes through its port. */
struct stateful {
    enum port_list from_vm, to_vm;
    enum step_check check; /* the first of four */
    enum flow_reason reason; /* the first of four */
};
static const struct stateful GROUPS = {LIST_EGRESS, LIST_INGRESS, CHECK_GROUPS, REASON_SG};
static const struct stateful FWAAS = {LIST_FWAAS, LIST_FWAAS, CHECK_FWAAS, REASON_FWAAS};
static const struct stateful FIREWALL
    = {LIST_FIREWALL, LIST_FIREWALL, CHECK_FIREWALL, REASON_FIREWALL};

/* Ask the near end and, within this host, the far end. Which of both denies: 0, 1 or -1. */
static int ask_both(struct inquiry *q, const struct stateful *kind, bool back,
                    struct answer answers[2])
{
    const struct work *k = q->k;
    const struct port *near = judge(k->ingress ? &k->src : &k->dst);
    const struct port *far = k->ingress ? judge(&k->dst) : NULL;
    bool leaves = k->ingress != back; /* through the near port */
    answers[0] = ask(q, near, back ? BACK : AHEAD, leaves ? kind->from_vm : kind->to_vm,
                     kind->check + (back ? 2 : 0));
    if (answers[0].denied)
        return 0;
    answers[1] = ask(q, far, back ? BACK_OUT : AHEAD_OUT, back ? kind->from_vm : kind->to_vm,
                     kind->check + (back ? 3 : 1));
    return answers[1].denied ? 1 : -1;
}

/* The rule that denied, else the near one that was asked, else the far one. */
static uint32_t deciding(const struct answer answers[2], int denier)
{
    if (denier >= 0)
        return answers[denier].rule;
    if (answers[0].asked || !answers[1].asked)
        return answers[0].rule;
    return answers[1].rule;
}

/* Stateful: a TCP packet with ACK may belong to a connection that the other end opened, so
 * that it passes when the answers would. */
static enum flow_reason judge_stateful(struct inquiry *q, const struct stateful *kind,
                                       uint32_t *rule)
{
    struct answer answers[2] = {{0}, {0}}, back[2] = {{0}, {0}};
    int denier = ask_both(q, kind, false, answers);
    *rule = deciding(answers, denier);
    if (denier < 0)
        return REASON_NONE;
    enum flow_reason reason = kind->reason + (enum flow_reason)denier;
    if (!q->k->packet->tcp_ack || q->k->packet->proto != PROTO_TCP)
        return reason;
    if (ask_both(q, kind, true, back) >= 0)
        return reason;
    *rule = deciding(back, -1);
    return REASON_NONE;
}

/* ---- network policy ---- */

static enum flow_reason judge_network(struct inquiry *q, bool back, uint32_t *rule)
{
    const struct work *k = q->k;
    const struct end *near = k->ingress ? &k->src : &k->dst;
    struct answer first = ask_network(q, near, back ? BACK : AHEAD,
                                      back ? CHECK_REVERSE_NETWORK : CHECK_NETWORK);
    *rule = first.rule;
    if (first.denied)
        return REASON_POLICY;
    if (!k->ingress)
        return REASON_NONE;
    struct answer second = ask_network(q, &k->dst, back ? BACK_OUT : AHEAD_OUT,
                                       back ? CHECK_REVERSE_OUT_NETWORK : CHECK_OUT_NETWORK);
    if (second.denied || (second.asked && !first.asked))
        *rule = second.rule;
    return second.denied ? REASON_OUT_POLICY : REASON_NONE;
}

/* ---- all of it ---- */

/* Of flows that no list is about: the rule that stands for this, or 0. */
static enum flow_rule exempt(const struct work *k)
{
    if (k->decision->flags & PAIR_LINK_LOCAL)
        return RULE_LINK_LOCAL;
    if (k->decision->flags & PAIR_BGP_SERVICE)
        return RULE_BGP_SERVICE;
    return k->decision->flags & PAIR_MULTICAST ? RULE_MULTICAST : RULE_NOT_EVALUATED;
}

static enum flow_reason judge_forward(struct inquiry *q, struct flow_side *side)
{
    const struct work *k = q->k;
    uint32_t rule = RULE_NOT_EVALUATED;
    enum flow_reason reason = REASON_NONE;
    if (!k->skip_acl)
        reason = judge_network(q, false, &side->policy_rule);
    if (!reason)
        reason = judge_stateful(q, &GROUPS, &side->sg_rule);
    if (reason || k->skip_acl)
        return reason;
    for (int i = 0; i < 2 && !reason; i++) {
        reason = judge_stateful(q, i == 0 ? &FWAAS : &FIREWALL, &rule);
        if (rule > RULE_IMPLICIT_ALLOW)
            side->policy_rule = rule;
    }
    return reason;
}

static void mirror_side(struct work *k, struct flow_side *side, const struct cls_verdict *sum)
{
    if (sum->mirrors > 0)
        side->mirror = sum->mirror[0];
    if (sum->mirrors > 1)
        side->sec_mirror = sum->mirror[1];
    if (sum->mirrors)
        side->flags |= FLOW_MIRROR;
    side->qos = sum->qos;
}

/* The reverse flow is what the forward one is, but for the network lists. */
static void judge_reverse(struct inquiry *q, struct flow_side *forward, struct flow_side *reverse)
{
    reverse->sg_rule = forward->sg_rule;
    reverse->policy_rule = forward->policy_rule;
    reverse->reason = forward->reason;
    if (forward->reason || q->k->skip_acl)
        return;
    uint32_t rule = RULE_NOT_EVALUATED;
    reverse->reason = (uint8_t)judge_network(q, true, &rule);
    if (reverse->reason || forward->policy_rule <= RULE_IMPLICIT_ALLOW)
        reverse->policy_rule = rule;
}

static void tell_unjudged(struct work *k, const struct end *end)
{
    if (is_vm(end->port) && !judge(end))
        TELL(k, STEP_SKIPPED, RULE_NOT_EVALUATED, end->vif);
}

void apply_policy(struct work *k)
{
    struct flow_side *forward = &k->decision->side[FLOW_FORWARD];
    struct flow_side *reverse = &k->decision->side[FLOW_REVERSE];
    enum flow_rule rule = exempt(k);
    if (rule != RULE_NOT_EVALUATED) {
        forward->policy_rule = forward->sg_rule = rule;
        reverse->policy_rule = reverse->sg_rule = rule;
        TELL(k, STEP_SKIPPED, rule, FLOW_NONE);
        return;
    }
    tell_unjudged(k, &k->src);
    tell_unjudged(k, &k->dst);
    struct inquiry q = {.k = k, .sum = CLS_VERDICT};
    write_headers(&q);
    ask_mirror(&q, judge(k->ingress ? &k->src : &k->dst), AHEAD, CHECK_MIRROR);
    if (k->ingress)
        ask_mirror(&q, judge(&k->dst), AHEAD_OUT, CHECK_OUT_MIRROR);
    forward->reason = (uint8_t)judge_forward(&q, forward);
    judge_reverse(&q, forward, reverse);
    mirror_side(k, forward, &q.sum);
    mirror_side(k, reverse, &q.sum);
}
