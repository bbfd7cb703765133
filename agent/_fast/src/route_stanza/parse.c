/* Expat's callbacks: from elements to groups, items and notes. */
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "grammar.h"
#include "stanza.h"

enum {
    DEPTH = 12,          /* more than the grammar's tables nest */
    PIECE = 128 << 10,   /* given to expat at once; a refusal is seen after each */
    NOTE_HEAD = 1 + sizeof(uint32_t),
};

/* Whole stanzas become one document. Inside of it no document type can be declared, hence no
 * entity, and no encoding. */
static const char OPENING[] = "<stanzas>", CLOSING[] = "</stanzas>";

static const char *const FAULTS[RS_FAULTS] = {
    [RS_OK] = "none",
    [RS_NO_FAMILY] = "unknown address family",
    [RS_NO_VRF] = "no VRF named",
    [RS_NO_ENTRY] = "no entry",
    [RS_WRONG_FAMILY] = "address family differs from its node's",
    [RS_BAD_KEY] = "malformed prefix, MAC address or group",
    [RS_NESTED] = "element inside of a value",
    [RS_BAD_NUMBER] = "malformed number or one out of range",
    [RS_BAD_ADDRESS] = "malformed address",
    [RS_BAD_MAC] = "malformed MAC address of a next-hop",
    [RS_NO_NEXTHOP] = "no usable next-hop",
};

static const char *const REFUSALS[] = {
    [RS_ACCEPTED] = "accepted",
    [RS_TOO_LARGE] = "stanzas of more than 8 MiB",
    [RS_TOO_MANY] = "more than 65536 items",
    [RS_TOO_DEEP] = "elements nested too deeply",
    [RS_NO_ROOM] = "more memory needed than reading may take",
    [RS_MALFORMED] = "not well-formed XML",
};

const char *rs_fault_text(int fault)
{
    return FAULTS[fault];
}

const char *rs_refusal_text(int refusal)
{
    return REFUSALS[refusal];
}

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
    size_t line, column; /* of the refusal */
    uint32_t note; /* where the open note begins in the pool */
    struct level levels[DEPTH];
    struct key_text key[RS_KEY_FIELDS];
};

static struct rs_group *group_of(struct parser *parser)
{
    return &parser->out->groups[parser->out->group_count - 1];
}

static struct rs_item *item_of(struct parser *parser)
{
    return &parser->out->items[parser->out->item_count - 1];
}

/* ---- positions ---- */

/* The byte at expat's line and column (which counts characters) of OPENING and `data`. */
static size_t offset_of(const char *data, size_t size, size_t line, size_t column)
{
    size_t at = 0;
    if (line == 1)
        column = column > sizeof OPENING - 1 ? column - (sizeof OPENING - 1) : 0;
    for (; line > 1 && at < size; at++)
        if (data[at] == '\n' || (data[at] == '\r' && !(at + 1 < size && data[at + 1] == '\n')))
            line--;
    for (; column && at < size; column--)
        do
            at++;
        while (at < size && (data[at] & 0xC0) == 0x80);
    return at;
}

static void mark(struct parser *parser)
{
    parser->line = parser->expat->GetErrorLineNumber(parser->handle);
    parser->column = parser->expat->GetErrorColumnNumber(parser->handle);
}

static void refuse(struct parser *parser, int refusal)
{
    if (parser->out->refusal)
        return;
    parser->out->refusal = refusal;
    mark(parser);
}

static void set_fault(struct parser *parser, int fault)
{
    struct rs_item *item = item_of(parser);
    if (!item->fault)
        item->fault = fault;
}

/* ---- growing lists ---- */

/* `list` with room for one more, or NULL after a refusal (the list is then as it was). */
static void *room_for(struct parser *parser, void *list, uint32_t count, uint32_t *room,
                      size_t width)
{
    if (count == RS_MAX_ITEMS) {
        refuse(parser, RS_TOO_MANY);
        return NULL;
    }
    if (count < *room)
        return list;
    uint32_t more = *room ? *room * 2 : 64;
    void *grown = realloc(list, more * width);
    if (grown)
        *room = more;
    else
        refuse(parser, RS_NO_ROOM);
    return grown;
}

static bool add_group(struct parser *parser, int kind)
{
    struct rs_result *out = parser->out;
    void *grown =
        room_for(parser, out->groups, out->group_count, &out->group_room, sizeof *out->groups);
    if (!grown)
        return false;
    out->groups = grown;
    out->groups[out->group_count++] = (struct rs_group){.kind = kind, .family = RS_UNKNOWN};
    return true;
}

static bool add_item(struct parser *parser, int kind)
{
    struct rs_result *out = parser->out;
    void *grown =
        room_for(parser, out->items, out->item_count, &out->item_room, sizeof *out->items);
    if (!grown)
        return false;
    out->items = grown;
    out->items[out->item_count++] = (struct rs_item){.kind = kind, .group = out->group_count - 1};
    group_of(parser)->items++;
    return true;
}

/* ---- the pool ---- */

/* The pool is as large as the stanza: each text in it stands there too, with more around it. */
static bool append(struct parser *parser, const void *bytes, size_t size)
{
    struct rs_result *out = parser->out;
    if (size > out->pool_room - out->pool_size) {
        refuse(parser, RS_NO_ROOM);
        return false;
    }
    memcpy(out->pool + out->pool_size, bytes, size);
    out->pool_size += size;
    return true;
}

static struct rs_text keep_text(struct parser *parser, const char *text)
{
    struct rs_text kept = {.at = parser->out->pool_size};
    size_t size = text ? strlen(text) : 0;
    if (append(parser, text ? text : "", size))
        kept.size = size;
    return kept;
}

static void open_note(struct parser *parser, uint8_t field)
{
    const char head[NOTE_HEAD] = {field};
    parser->note = parser->out->pool_size;
    append(parser, head, sizeof head);
}

static void close_note(struct parser *parser)
{
    struct rs_result *out = parser->out;
    uint32_t size = out->pool_size - parser->note - NOTE_HEAD;
    memcpy(out->pool + parser->note + 1, &size, sizeof size);
}

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
    open_note(parser, RS_STICKY);
    append(parser, sticky, strlen(sticky));
    if (!parser->out->refusal)
        close_note(parser);
}

static void open_group(struct parser *parser, int kind, const char **attributes)
{
    if (!add_group(parser, kind))
        return;
    struct rs_group *group = group_of(parser);
    const char *node = attribute(attributes, "node");
    size_t rest = 0;
    int family = RS_UNKNOWN;
    if (kind == RS_ITEMS && node && !strcmp(node, "0/0/EndOfRib"))
        group->kind = RS_END_OF_RIB;
    if (kind != RS_COLLECTION && node && rs_node(node, strlen(node), &family, &rest))
        group->family = family;
    group->node = keep_text(parser, node ? node + (kind == RS_ITEMS ? rest : 0) : NULL);
}

/* Whether the content of the new item is worth reading. */
static bool open_item(struct parser *parser, int kind, const char *name)
{
    const struct rs_group *group = group_of(parser);
    if (!add_item(parser, kind))
        return false;
    struct rs_item *item = item_of(parser);
    item->name = keep_text(parser, name);
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
        append(parser, &element->field, 1);
        break;
    case RS_OPEN_MOBILITY:
        open_mobility(parser, attributes);
        break;
    case RS_NOTE:
        open_note(parser, element->field);
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
            refuse(parser, RS_TOO_DEEP);
        return;
    }
    if (level->element->action >= RS_NOTE)
        set_fault(parser, RS_NESTED);
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
        append(parser, text, size);
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

/* ---- the key ---- */

static bool any_cut(const struct parser *parser)
{
    bool cut = false;
    for (int i = 0; i < RS_KEY_FIELDS; i++)
        cut |= parser->key[i].cut;
    return cut;
}

static bool evpn_key(const struct key_text *texts, struct rs_key *key)
{
    uint64_t tag;
    if (!rs_number(texts[RS_KEY_TAG].bytes, texts[RS_KEY_TAG].size, UINT32_MAX, &tag))
        return false;
    key->tag = tag;
    return rs_mac(texts[RS_KEY_MAC].bytes, texts[RS_KEY_MAC].size, key->mac) &&
           rs_prefix(texts[RS_KEY_ADDRESS].bytes, texts[RS_KEY_ADDRESS].size, key);
}

static bool group_key(const struct key_text *texts, struct rs_key *key)
{
    const struct key_text *source = &texts[RS_KEY_SOURCE];
    key->address_size = 4;
    key->length = 32;
    return rs_inet4(texts[RS_KEY_GROUP].bytes, texts[RS_KEY_GROUP].size, key->address) &&
           (!source->size || rs_inet4(source->bytes, source->size, key->source));
}

static bool read_key(const struct key_text *texts, int family, struct rs_key *key)
{
    switch (family) {
    case RS_EVPN:
        return evpn_key(texts, key);
    case RS_ERMVPN:
    case RS_MVPN:
        return group_key(texts, key);
    default:
        return rs_prefix(texts[RS_KEY_ADDRESS].bytes, texts[RS_KEY_ADDRESS].size, key) &&
               key->address_size == (family == RS_INET6 ? 16 : 4);
    }
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
        set_fault(parser, RS_WRONG_FAMILY);
    else if (any_cut(parser) || !read_key(texts, family, &item->key))
        set_fault(parser, RS_BAD_KEY);
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
        close_note(parser);
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
    if (!feed(parser, OPENING, sizeof OPENING - 1, false))
        return false;
    for (size_t at = 0; at < size; at += PIECE)
        if (!feed(parser, data + at, size - at < PIECE ? size - at : PIECE, false))
            return false;
    return feed(parser, CLOSING, sizeof CLOSING - 1, true);
}

/* Expat counts the lines of every piece but the last, so what is small becomes one. */
static bool feed_at_once(struct parser *parser, const char *data, size_t size)
{
    size_t whole = sizeof OPENING - 1 + size + sizeof CLOSING - 1;
    char *joined = rs_arena_allocate(whole);
    if (!joined) {
        refuse(parser, RS_NO_ROOM);
        return false;
    }
    memcpy(joined, OPENING, sizeof OPENING - 1);
    memcpy(joined + sizeof OPENING - 1, data, size);
    memcpy(joined + sizeof OPENING - 1 + size, CLOSING, sizeof CLOSING - 1);
    return feed(parser, joined, whole, true);
}

/* Empties the result and makes its pool large enough for a stanza of `size` bytes. */
static bool prepare(struct rs_result *out, size_t size)
{
    out->group_count = out->item_count = out->pool_size = 0;
    out->refusal = RS_ACCEPTED;
    out->malformed = NULL;
    out->offset = 0;
    if (size <= out->pool_room)
        return true;
    uint8_t *pool = realloc(out->pool, size);
    if (!pool)
        return false;
    out->pool = pool;
    out->pool_room = size;
    return true;
}

/* The outermost element is OPENING's, which the parser finds as the only child of a frame. */
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
        mark(parser);
    }
    out->offset = offset_of(data, size, parser->line, parser->column);
}

int rs_parse(struct rs_result *out, const struct PyExpat_CAPI *expat, const char *data,
             size_t size, unsigned long salt)
{
    static const XML_Memory_Handling_Suite MEMORY = {
        rs_arena_allocate, rs_arena_reallocate, rs_arena_release,
    };
    if (size > RS_MAX_SIZE) {
        prepare(out, 0);
        return out->refusal = RS_TOO_LARGE;
    }
    if (!prepare(out, size))
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

void rs_free(struct rs_result *result)
{
    free(result->groups);
    free(result->items);
    free(result->pool);
    *result = (struct rs_result){0};
}
