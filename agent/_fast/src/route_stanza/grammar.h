/* Which elements a route stanza may hold, and what each one is. */
#ifndef ROUTE_STANZA_GRAMMAR_H
#define ROUTE_STANZA_GRAMMAR_H

#include "stanza.h"

enum rs_action {
    RS_JUST_OPEN,
    RS_OPEN_MESSAGE,
    RS_OPEN_ITEMS, RS_OPEN_PUBLISH, RS_OPEN_COLLECTION,
    RS_OPEN_ITEM, RS_OPEN_RETRACT, RS_OPEN_ASSOCIATE, RS_OPEN_DISSOCIATE,
    RS_OPEN_ENTRY,    /* its children depend on the group's family */
    RS_OPEN_NEXTHOP,  /* `field` says of which list */
    RS_OPEN_MOBILITY, /* values stand in attributes */
    RS_NOTE,          /* its text is the note `field` */
    RS_KEY,           /* its text is the field `field` of the key */
};

enum rs_key_field {
    RS_KEY_AF, RS_KEY_SAFI, RS_KEY_ADDRESS, RS_KEY_TAG, RS_KEY_MAC, RS_KEY_GROUP, RS_KEY_SOURCE,
    RS_KEY_FIELDS,
};

struct rs_element {
    const char *name;
    uint8_t action; /* enum rs_action */
    uint8_t field;  /* enum rs_field or rs_key_field, by action */
    uint8_t child_count;
    const struct rs_element *children; /* in the order of the schema */
};

extern const struct rs_element RS_ROOT;
extern const struct rs_element RS_ENTRY[RS_FAMILIES];

#endif
