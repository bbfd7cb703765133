/* What the callbacks of expat share while stanzas are read; private to rs_parse(). */
#ifndef ROUTE_STANZA_PARSER_H
#define ROUTE_STANZA_PARSER_H

#include "grammar.h"
#include "stanza.h"

enum { RS_DEPTH = 12 }; /* more than the grammar's tables nest */

/* Whole stanzas become one document. Inside of it no document type can be declared, hence no
 * entity, and no encoding. */
#define RS_OPENING "<stanzas>"
#define RS_CLOSING "</stanzas>"

struct level {
    const struct rs_element *element;
    uint8_t next; /* the child that probably comes now */
};

struct key_text {
    uint8_t size;
    bool cut;
    char bytes[RS_KEY_TEXT];
};

struct parser {
    struct rs_result *out;
    const struct PyExpat_CAPI *expat;
    XML_Parser handle;
    unsigned depth;
    unsigned skipped; /* open elements that the grammar does not know, and theirs */
    bool has_entry;  /* the open item already has one */
    uint32_t before; /* groups before the open message */
    size_t line, column; /* of the refusal */
    uint32_t note; /* where the open note begins in the pool */
    struct level levels[RS_DEPTH];
    struct key_text key[RS_KEY_FIELDS];
};

static inline struct rs_group *group_of(struct parser *parser)
{
    return &parser->out->groups[parser->out->group_count - 1];
}

static inline struct rs_item *item_of(struct parser *parser)
{
    return &parser->out->items[parser->out->item_count - 1];
}

/* The item being read has a fault; the first one counts. */
static inline void rs_set_fault(struct parser *parser, int fault)
{
    struct rs_item *item = item_of(parser);
    if (!item->fault)
        item->fault = fault;
}

/* records.c */
void rs_refuse(struct parser *parser, int refusal);
void rs_mark(struct parser *parser);
size_t rs_offset_of(const char *data, size_t size, size_t line, size_t column);
bool rs_prepare(struct rs_result *out, size_t size);
bool rs_add_group(struct parser *parser, int kind);
bool rs_add_item(struct parser *parser, int kind);
bool rs_append(struct parser *parser, const void *bytes, size_t size);
struct rs_text rs_keep_text(struct parser *parser, const char *text);
void rs_open_note(struct parser *parser, uint8_t field);
void rs_close_note(struct parser *parser);

/* keys.c */
bool rs_read_key(const struct key_text *texts, int family, struct rs_key *key);

#endif
