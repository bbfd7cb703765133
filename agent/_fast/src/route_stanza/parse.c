/* Expat's callbacks: from elements to groups, items and notes. */
#include <string.h>

#include "arena.h"
#include "parser.h"

enum { PIECE = 128 << 10 }; /* given to expat at once; a refusal is seen after each */

/* ---- elements ---- */

static const char *attribute(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (!strcmp(*attributes, name))
            return attributes[1];
    return NULL;
}

static void open_mobility(struct parser *parser, const char **attributes)
{
    const char *sticky = attribute(attributes, "sticky");
    if (!sticky)
        return;
    rs_open_note(parser, RS_STICKY);
    rs_append(parser, sticky, strlen(sticky));
    if (!parser->out->refusal)
        rs_close_note(parser);
}

static void open_group(struct parser *parser, int kind, const char **attributes)
{
    if (!rs_add_group(parser, kind))
        return;
    struct rs_group *group = group_of(parser);
    const char *node = attribute(attributes, "node");
    size_t rest = 0;
    int family = RS_UNKNOWN;
    if (kind == RS_ITEMS && node && !strcmp(node, "0/0/EndOfRib"))
        group->kind = RS_END_OF_RIB;
    if (kind != RS_COLLECTION && node && rs_node(node, strlen(node), &family, &rest))
        group->family = family;
    group->node = rs_keep_text(parser, node ? node + (kind == RS_ITEMS ? rest : 0) : NULL);
}

/* Whether the content of the new item is worth reading. */
static bool open_item(struct parser *parser, int kind, const char *name)
{
    const struct rs_group *group = group_of(parser);
    if (!rs_add_item(parser, kind))
        return false;
    struct rs_item *item = item_of(parser);
    item->name = rs_keep_text(parser, name);
    item->notes.at = parser->out->pool_size;
    if (group->family == RS_UNKNOWN && group->kind != RS_COLLECTION)
        item->fault = RS_NO_FAMILY;
    else if (!group->node.size)
        item->fault = RS_NO_VRF;
    return !item->fault;
}

static void open_retract(struct parser *parser, const char *id)
{
    group_of(parser)->retracts = true;
    if (!open_item(parser, RS_RETRACT, id))
        return;
    struct rs_item *item = item_of(parser);
    if (!id || !rs_retract_key(group_of(parser)->family, id, strlen(id), &item->key))
        item->fault = RS_BAD_KEY;
}

static const struct rs_element *open_entry(struct parser *parser)
{
    if (parser->has_entry)
        return NULL;
    parser->has_entry = true;
    for (int i = 0; i < RS_KEY_FIELDS; i++)
        parser->key[i].size = parser->key[i].cut = 0;
    item_of(parser)->fault = RS_OK;
    return &RS_ENTRY[group_of(parser)->family];
}

/* What an element does when it opens; the element to stand for it, or NULL to skip it. */
static const struct rs_element *opened(struct parser *parser, const struct rs_element *element,
                                       const char **attributes)
{
    switch (element->action) {
    case RS_OPEN_MESSAGE:
        parser->before = parser->out->group_count;
        break;
    case RS_OPEN_ITEMS:
        open_group(parser, RS_ITEMS, attributes);
        break;
    case RS_OPEN_PUBLISH:
        open_group(parser, RS_PUBLISH, attributes);
        break;
    case RS_OPEN_COLLECTION:
        open_group(parser, RS_COLLECTION, attributes);
        break;
    case RS_OPEN_ITEM:
        if (!open_item(parser, RS_ADD, attribute(attributes, "id")))
            return NULL;
        item_of(parser)->fault = RS_NO_ENTRY;
        parser->has_entry = false;
        break;
    case RS_OPEN_RETRACT:
        open_retract(parser, attribute(attributes, "id"));
        break;
    case RS_OPEN_ASSOCIATE:
        open_item(parser, RS_ASSOCIATE, attribute(attributes, "node"));
        break;
    case RS_OPEN_DISSOCIATE:
        open_item(parser, RS_DISSOCIATE, attribute(attributes, "node"));
        break;
    case RS_OPEN_ENTRY:
        return open_entry(parser);
    case RS_OPEN_NEXTHOP:
        rs_append(parser, &element->field, 1);
        break;
    case RS_OPEN_MOBILITY:
        open_mobility(parser, attributes);
        break;
    case RS_NOTE:
        rs_open_note(parser, element->field);
        break;
    case RS_KEY:
        parser->key[element->field].size = parser->key[element->field].cut = 0;
        break;
    }
    return element;
}

/* The child called `name`. Elements come in the schema's order, so the search starts at the
 * last one found, which often comes again, and its successor. */
static const struct rs_element *child_of(struct level *level, const char *name)
{
    const struct rs_element *element = level->element;
    unsigned count = element->child_count, at = level->next;
    for (unsigned i = 0; i < count; i++, at = at + 1 == count ? 0 : at + 1)
        if (!strcmp(element->children[at].name, name)) {
            level->next = at;
            return &element->children[at];
        }
    return NULL;
}

static void on_start(void *user, const XML_Char *name, const XML_Char **attributes)
{
    struct parser *parser = user;
    struct level *level = &parser->levels[parser->depth];
    if (parser->out->refusal)
        return;
    if (parser->skipped) {
        if (++parser->skipped > RS_MAX_NESTING)
            rs_refuse(parser, RS_TOO_DEEP);
        return;
    }
    if (level->element->action >= RS_NOTE)
        rs_set_fault(parser, RS_NESTED);
    const struct rs_element *element = child_of(level, name);
    if (element)
        element = opened(parser, element, attributes);
    if (!element) {
        parser->skipped = 1;
        return;
    }
    parser->levels[++parser->depth] = (struct level){.element = element};
}

static void on_text(void *user, const XML_Char *text, int size)
{
    struct parser *parser = user;
    const struct rs_element *element = parser->levels[parser->depth].element;
    if (element->action < RS_NOTE || parser->skipped || parser->out->refusal)
        return;
    if (element->action == RS_NOTE) {
        rs_append(parser, text, size);
        return;
    }
    struct key_text *key = &parser->key[element->field];
    if ((size_t)size > sizeof key->bytes - key->size) {
        key->cut = true;
        return;
    }
    memcpy(key->bytes + key->size, text, size);
    key->size += size;
}

static void close_entry(struct parser *parser)
{
    struct rs_item *item = item_of(parser);
    const struct key_text *texts = parser->key;
    int family = group_of(parser)->family;
    const struct rs_family_numbers *numbers = &RS_FAMILY_NUMBERS[family];
    item->notes.size = parser->out->pool_size - item->notes.at;
    if (!rs_is_number(texts[RS_KEY_AF].bytes, texts[RS_KEY_AF].size, numbers->af) ||
        !rs_is_number(texts[RS_KEY_SAFI].bytes, texts[RS_KEY_SAFI].size, numbers->safi))
        rs_set_fault(parser, RS_WRONG_FAMILY);
    else if (!rs_read_key(texts, family, &item->key))
        rs_set_fault(parser, RS_BAD_KEY);
}

/* One that tells of nothing is the end-of-RIB marker too (facts 4). */
static void close_message(struct parser *parser)
{
    if (parser->out->group_count == parser->before)
        rs_add_group(parser, RS_END_OF_RIB);
}

static void on_end(void *user, const XML_Char *name)
{
    struct parser *parser = user;
    (void)name;
    if (parser->out->refusal)
        return;
    if (parser->skipped) {
        parser->skipped--;
        return;
    }
    const struct rs_element *element = parser->levels[parser->depth].element;
    if (parser->depth)
        parser->depth--;
    if (element->action == RS_NOTE)
        rs_close_note(parser);
    else if (element->action == RS_OPEN_MESSAGE)
        close_message(parser);
    else if (element >= RS_ENTRY && element < RS_ENTRY + RS_FAMILIES)
        close_entry(parser);
}

/* ---- running expat ---- */

static bool feed(struct parser *parser, const char *data, size_t size, bool last)
{
    return parser->expat->Parse(parser->handle, data, (int)size, last) == XML_STATUS_OK &&
           !parser->out->refusal;
}

static bool feed_in_pieces(struct parser *parser, const char *data, size_t size)
{
    if (!feed(parser, RS_OPENING, sizeof RS_OPENING - 1, false))
        return false;
    for (size_t at = 0; at < size; at += PIECE)
        if (!feed(parser, data + at, size - at < PIECE ? size - at : PIECE, false))
            return false;
    return feed(parser, RS_CLOSING, sizeof RS_CLOSING - 1, true);
}

/* Expat counts the lines of every piece but the last, so what is small becomes one. */
static bool feed_at_once(struct parser *parser, const char *data, size_t size)
{
    size_t whole = sizeof RS_OPENING - 1 + size + sizeof RS_CLOSING - 1;
    char *joined = rs_arena_allocate(whole);
    if (!joined) {
        rs_refuse(parser, RS_NO_ROOM);
        return false;
    }
    memcpy(joined, RS_OPENING, sizeof RS_OPENING - 1);
    memcpy(joined + sizeof RS_OPENING - 1, data, size);
    memcpy(joined + sizeof RS_OPENING - 1 + size, RS_CLOSING, sizeof RS_CLOSING - 1);
    return feed(parser, joined, whole, true);
}

/* The outermost element is RS_OPENING's, which the parser finds as the only child of a frame. */
static const struct rs_element FRAME = {"", RS_JUST_OPEN, 0, 1, &RS_ROOT};

static void run(struct parser *parser, const char *data, size_t size, unsigned long salt)
{
    const struct PyExpat_CAPI *expat = parser->expat;
    struct rs_result *out = parser->out;
    expat->SetUserData(parser->handle, parser);
    expat->SetElementHandler(parser->handle, on_start, on_end);
    expat->SetCharacterDataHandler(parser->handle, on_text);
    expat->SetHashSalt(parser->handle, salt);
    if (size <= PIECE ? feed_at_once(parser, data, size) : feed_in_pieces(parser, data, size))
        return;
    enum XML_Error error = expat->GetErrorCode(parser->handle);
    if (!out->refusal) {
        out->refusal = error == XML_ERROR_NO_MEMORY ? RS_NO_ROOM : RS_MALFORMED;
        out->malformed = expat->ErrorString(error);
        rs_mark(parser);
    }
    out->offset = rs_offset_of(data, size, parser->line, parser->column);
}

int rs_parse(struct rs_result *out, const struct PyExpat_CAPI *expat, const char *data,
             size_t size, unsigned long salt)
{
    static const XML_Memory_Handling_Suite MEMORY = {
        rs_arena_allocate, rs_arena_reallocate, rs_arena_release,
    };
    if (size > RS_MAX_SIZE) {
        rs_prepare(out, 0);
        return out->refusal = RS_TOO_LARGE;
    }
    if (!rs_prepare(out, size))
        return out->refusal = RS_NO_ROOM;
    struct parser parser = {.out = out, .expat = expat, .levels = {{&FRAME, 0}}};
    rs_arena_reset();
    parser.handle = expat->ParserCreate_MM("UTF-8", &MEMORY, NULL);
    if (!parser.handle)
        return out->refusal = RS_NO_ROOM;
    run(&parser, data, size, salt);
    expat->ParserFree(parser.handle);
    rs_arena_reset();
    return out->refusal;
}
