/* Route stanzas from bytes to records, without any Python object (facts xmpp-ifmap.md 5 to 7).
 *
 * rs_parse() runs expat over the bytes of whole stanzas. Elements that the grammar knows become
 * groups (an `items`, `publish` or `collection`), items (an `item`, `retract`, `associate` or
 * `dissociate`) and, for each item, the text of its fields: the "notes". Everything else is
 * skipped. The key of an item is read at once; the notes are left as they are, because most are
 * met again and need not be read a second time. */
#ifndef ROUTE_STANZA_STANZA_H
#define ROUTE_STANZA_STANZA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "expat_api.h"

enum {
    RS_MAX_SIZE = 8 << 20,   /* bytes of one call */
    RS_MAX_ITEMS = 1 << 16,  /* items of one call */
    RS_MAX_NESTING = 32,     /* depth of elements inside of an unknown one */
    RS_KEY_TEXT = 64,        /* bytes of one field of a key */
};

enum rs_family {
    RS_INET, RS_INET6, RS_INET_MPLS, RS_EVPN, RS_ERMVPN, RS_MVPN,
    RS_FAMILIES, RS_UNKNOWN = RS_FAMILIES,
};

enum rs_group_kind { RS_ITEMS, RS_PUBLISH, RS_COLLECTION, RS_END_OF_RIB };
enum rs_item_kind { RS_ADD, RS_RETRACT, RS_ASSOCIATE, RS_DISSOCIATE };

/* Why an item is ignored. */
enum rs_fault {
    RS_OK, RS_NO_FAMILY, RS_NO_VRF, RS_NO_ENTRY, RS_WRONG_FAMILY, RS_BAD_KEY, RS_NESTED,
    RS_BAD_NUMBER, RS_BAD_ADDRESS, RS_BAD_MAC, RS_NO_NEXTHOP, RS_FAULTS,
};

/* Why the whole call is refused. */
enum rs_refusal {
    RS_ACCEPTED, RS_TOO_LARGE, RS_TOO_MANY, RS_TOO_DEEP, RS_NO_ROOM, RS_MALFORMED,
};

/* Fields in the notes. A note is the field (1 byte), the size of its text (4 bytes, as the
 * machine has it) and the text; the RS_..._NEXTHOP fields have no size and no text: they begin
 * a next-hop, to which the fields before RS_ENTRY_VN then belong. */
enum rs_field {
    RS_NEXTHOP, RS_TREE_NEXTHOP, RS_LEAF_NEXTHOP,
    RS_AF, RS_ADDRESS, RS_MAC, RS_LABEL, RS_L3_LABEL, RS_ENCAPSULATION, RS_NEXTHOP_VN, RS_TAG,
    RS_NEW_TAGS, RS_LOCAL_SEQUENCE,
    RS_ENTRY_VN, RS_STICKY, RS_SEQUENCE, RS_SECURITY_GROUP, RS_COMMUNITY, RS_LOCAL_PREFERENCE,
    RS_MED, RS_BALANCE_FIELD, RS_BALANCE_DECISION, RS_SUB_PROTOCOL, RS_EDGE_REPLICATION,
    RS_ASSISTED_REPLICATION, RS_REPLICATOR, RS_ETREE_LEAF, RS_SOURCE_LABEL, RS_SOURCE_ADDRESS,
    RS_ROUTE_TYPE,
    RS_FIELDS,
};

struct rs_text {
    uint32_t at; /* offset in the pool */
    uint32_t size;
};

struct rs_key {
    uint8_t address[16]; /* prefix, host or group, network order, host bits clear */
    uint8_t address_size; /* 4 or 16 */
    uint8_t length;
    uint8_t mac[6];
    uint8_t source[4];
    uint32_t tag;
};

struct rs_item {
    uint8_t kind;
    uint8_t fault;
    uint32_t group;
    struct rs_key key;
    struct rs_text name;  /* `id`, or `node` of associate and dissociate; for a publish its node */
    struct rs_text notes;
};

struct rs_group {
    uint8_t kind;
    uint8_t family;
    bool retracts; /* has at least one retract */
    struct rs_text node; /* the VRF; of a publish the whole node */
    uint32_t items;      /* how many */
};

struct rs_result {
    struct rs_group *groups;
    struct rs_item *items;
    uint8_t *pool; /* texts and notes */
    uint32_t group_count, item_count, pool_size;
    uint32_t group_room, item_room, pool_room;
    int refusal;
    const char *malformed; /* expat's words for RS_MALFORMED */
    size_t offset;         /* of what is refused */
};

/* Parse `size` bytes of whole stanzas into `result`, whose buffers are used again from call to
 * call and start out as zeros. RS_ACCEPTED, or why nothing of it can be used. */
int rs_parse(struct rs_result *result, const struct PyExpat_CAPI *expat, const char *data,
             size_t size, unsigned long salt);
void rs_free(struct rs_result *result);

const char *rs_fault_text(int fault);
const char *rs_refusal_text(int refusal);

/* Values (values.c). All take text that does not end with a zero byte and refuse, with false,
 * what is not wholly such a value; white space around is allowed. */
bool rs_number(const char *text, size_t size, uint64_t limit, uint64_t *value); /* empty is 0 */
bool rs_range(const char *text, size_t size, uint32_t limit, uint32_t *first, uint32_t *last);
bool rs_flag(const char *text, size_t size); /* only "true" and "1" are */
bool rs_inet4(const char *text, size_t size, uint8_t address[4]);
bool rs_mac(const char *text, size_t size, uint8_t mac[6]);
bool rs_prefix(const char *text, size_t size, struct rs_key *key);
bool rs_node(const char *text, size_t size, int *family, size_t *rest);
bool rs_retract_key(int family, const char *text, size_t size, struct rs_key *key);
bool rs_is_number(const char *text, size_t size, uint64_t value);

struct rs_family_numbers { uint16_t af, safi; };
extern const struct rs_family_numbers RS_FAMILY_NUMBERS[RS_FAMILIES];

#endif
