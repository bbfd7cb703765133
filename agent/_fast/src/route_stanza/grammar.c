/* The grammar of facts xmpp-ifmap.md 5.2, 6.2 and 7 as tables.
 *
 * Elements that say nothing to an agent (version, peers, vni, flags, ...) are missing: what a
 * table does not name is skipped with all that it holds. */
#include "grammar.h"

#define COUNT(list) ((uint8_t)(sizeof(list) / sizeof((list)[0])))
#define OPEN(name, list) {name, RS_JUST_OPEN, 0, COUNT(list), list}
#define DO(name, action, list) {name, action, 0, COUNT(list), list}
#define NEXTHOP(field, list) {"next-hop", RS_OPEN_NEXTHOP, field, COUNT(list), list}
#define NOTE(name, field) {name, RS_NOTE, field, 0, NULL}
#define KEY(name, field) {name, RS_KEY, field, 0, NULL}

typedef const struct rs_element element;

static element TAGS[] = {NOTE("tag", RS_TAG)};
static element ENCAPSULATIONS[] = {NOTE("tunnel-encapsulation", RS_ENCAPSULATION)};
static element SECURITY_GROUPS[] = {NOTE("security-group", RS_SECURITY_GROUP)};
static element COMMUNITIES[] = {NOTE("community-tag", RS_COMMUNITY)};
static element BALANCE_FIELDS[] = {NOTE("load-balance-field-list", RS_BALANCE_FIELD)};
static element BALANCE[] = {
    OPEN("load-balance-fields", BALANCE_FIELDS),
    NOTE("load-balance-decision", RS_BALANCE_DECISION),
};

static element HOP[] = {
    NOTE("af", RS_AF),
    NOTE("address", RS_ADDRESS),
    NOTE("mac", RS_MAC),
    NOTE("label", RS_LABEL),
    NOTE("l3-label", RS_L3_LABEL),
    OPEN("tunnel-encapsulation-list", ENCAPSULATIONS),
    NOTE("virtual-network", RS_NEXTHOP_VN),
    OPEN("tag-list", TAGS),
    NOTE("is-new-tags-list", RS_NEW_TAGS),
    NOTE("local-sequence-number", RS_LOCAL_SEQUENCE),
};
static element HOPS[] = {NEXTHOP(RS_NEXTHOP, HOP)};
static element TREE_HOPS[] = {NEXTHOP(RS_TREE_NEXTHOP, HOP)};
static element LEAF_HOPS[] = {NEXTHOP(RS_LEAF_NEXTHOP, HOP)};

static element INET_NLRI[] = {
    KEY("af", RS_KEY_AF),
    KEY("safi", RS_KEY_SAFI),
    KEY("address", RS_KEY_ADDRESS),
};
static element INET_ENTRY[] = {
    OPEN("nlri", INET_NLRI),
    OPEN("next-hops", HOPS),
    NOTE("virtual-network", RS_ENTRY_VN),
    {"mobility", RS_OPEN_MOBILITY, 0, 0, NULL},
    NOTE("sequence-number", RS_SEQUENCE),
    OPEN("security-group-list", SECURITY_GROUPS),
    OPEN("community-tag-list", COMMUNITIES),
    NOTE("local-preference", RS_LOCAL_PREFERENCE),
    NOTE("med", RS_MED),
    OPEN("load-balance", BALANCE),
    NOTE("sub-protocol", RS_SUB_PROTOCOL),
};

static element EVPN_NLRI[] = {
    KEY("af", RS_KEY_AF),
    KEY("safi", RS_KEY_SAFI),
    KEY("ethernet-tag", RS_KEY_TAG),
    KEY("mac", RS_KEY_MAC),
    KEY("address", RS_KEY_ADDRESS),
};
static element EVPN_ENTRY[] = {
    OPEN("nlri", EVPN_NLRI),
    OPEN("next-hops", HOPS),
    OPEN("olist", TREE_HOPS),
    NOTE("virtual-network", RS_ENTRY_VN),
    {"mobility", RS_OPEN_MOBILITY, 0, 0, NULL},
    NOTE("sequence-number", RS_SEQUENCE),
    OPEN("security-group-list", SECURITY_GROUPS),
    NOTE("local-preference", RS_LOCAL_PREFERENCE),
    NOTE("med", RS_MED),
    NOTE("edge-replication-not-supported", RS_EDGE_REPLICATION),
    NOTE("assisted-replication-supported", RS_ASSISTED_REPLICATION),
    OPEN("leaf-olist", LEAF_HOPS),
    NOTE("replicator-address", RS_REPLICATOR),
    NOTE("etree-leaf", RS_ETREE_LEAF),
};

static element ERMVPN_NLRI[] = {
    KEY("af", RS_KEY_AF),
    KEY("safi", RS_KEY_SAFI),
    KEY("group", RS_KEY_GROUP),
    KEY("source", RS_KEY_SOURCE),
    NOTE("source-label", RS_SOURCE_LABEL),
    NOTE("source-address", RS_SOURCE_ADDRESS),
};
static element ERMVPN_ENTRY[] = {
    OPEN("nlri", ERMVPN_NLRI),
    OPEN("next-hops", HOPS),
    OPEN("olist", TREE_HOPS),
};

static element MVPN_NLRI[] = {
    KEY("af", RS_KEY_AF),
    KEY("safi", RS_KEY_SAFI),
    KEY("group", RS_KEY_GROUP),
    KEY("source", RS_KEY_SOURCE),
    NOTE("route-type", RS_ROUTE_TYPE),
};
static element MVPN_ENTRY[] = {
    OPEN("nlri", MVPN_NLRI),
    NEXTHOP(RS_NEXTHOP, HOP),
    OPEN("olist", TREE_HOPS),
};

const struct rs_element RS_ENTRY[RS_FAMILIES] = {
    [RS_INET] = OPEN("entry", INET_ENTRY),      [RS_INET6] = OPEN("entry", INET_ENTRY),
    [RS_INET_MPLS] = OPEN("entry", INET_ENTRY), [RS_EVPN] = OPEN("entry", EVPN_ENTRY),
    [RS_ERMVPN] = OPEN("entry", ERMVPN_ENTRY),  [RS_MVPN] = OPEN("entry", MVPN_ENTRY),
};

static element ENTRIES[] = {{"entry", RS_OPEN_ENTRY, 0, 0, NULL}};
static element ITEMS[] = {
    DO("item", RS_OPEN_ITEM, ENTRIES),
    {"retract", RS_OPEN_RETRACT, 0, 0, NULL},
};
static element PUBLISHED[] = {DO("item", RS_OPEN_ITEM, ENTRIES)};
static element COLLECTED[] = {
    {"associate", RS_OPEN_ASSOCIATE, 0, 0, NULL},
    {"dissociate", RS_OPEN_DISSOCIATE, 0, 0, NULL},
};
static element PUBSUB[] = {
    DO("publish", RS_OPEN_PUBLISH, PUBLISHED),
    DO("collection", RS_OPEN_COLLECTION, COLLECTED),
};
static element EVENT[] = {DO("items", RS_OPEN_ITEMS, ITEMS)};
static element IQ[] = {OPEN("pubsub", PUBSUB)};
static element MESSAGE[] = {OPEN("event", EVENT)};
static element STANZAS[] = {DO("message", RS_OPEN_MESSAGE, MESSAGE), OPEN("iq", IQ)};

const struct rs_element RS_ROOT = OPEN("stanzas", STANZAS);
