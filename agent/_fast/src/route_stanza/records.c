/* The records that rs_parse() fills: groups, items, the pool of texts; and why it gives up. */
#include <stdlib.h>
#include <string.h>

#include "parser.h"

enum { NOTE_HEAD = 1 + sizeof(uint32_t) };

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

/* ---- positions ---- */

/* The byte at expat's line and column (which counts characters) of RS_OPENING and `data`. */
size_t rs_offset_of(const char *data, size_t size, size_t line, size_t column)
{
    size_t at = 0;
    if (line == 1)
        column = column > sizeof RS_OPENING - 1 ? column - (sizeof RS_OPENING - 1) : 0;
    for (; line > 1 && at < size; at++)
        if (data[at] == '\n' || (data[at] == '\r' && !(at + 1 < size && data[at + 1] == '\n')))
            line--;
    for (; column && at < size; column--)
        do
            at++;
        while (at < size && (data[at] & 0xC0) == 0x80);
    return at;
}

void rs_mark(struct parser *parser)
{
    parser->line = parser->expat->GetErrorLineNumber(parser->handle);
    parser->column = parser->expat->GetErrorColumnNumber(parser->handle);
}

void rs_refuse(struct parser *parser, int refusal)
{
    if (parser->out->refusal)
        return;
    parser->out->refusal = refusal;
    rs_mark(parser);
}

/* ---- growing lists ---- */

/* `list` with room for one more, or NULL after a refusal (the list is then as it was). */
static void *room_for(struct parser *parser, void *list, uint32_t count, uint32_t *room,
                      size_t width)
{
    if (count == RS_MAX_ITEMS) {
        rs_refuse(parser, RS_TOO_MANY);
        return NULL;
    }
    if (count < *room)
        return list;
    uint32_t more = *room ? *room * 2 : 64;
    void *grown = realloc(list, more * width);
    if (grown)
        *room = more;
    else
        rs_refuse(parser, RS_NO_ROOM);
    return grown;
}

bool rs_add_group(struct parser *parser, int kind)
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

bool rs_add_item(struct parser *parser, int kind)
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
bool rs_append(struct parser *parser, const void *bytes, size_t size)
{
    struct rs_result *out = parser->out;
    if (size > out->pool_room - out->pool_size) {
        rs_refuse(parser, RS_NO_ROOM);
        return false;
    }
    memcpy(out->pool + out->pool_size, bytes, size);
    out->pool_size += size;
    return true;
}

struct rs_text rs_keep_text(struct parser *parser, const char *text)
{
    struct rs_text kept = {.at = parser->out->pool_size};
    size_t size = text ? strlen(text) : 0;
    if (rs_append(parser, text ? text : "", size))
        kept.size = size;
    return kept;
}

void rs_open_note(struct parser *parser, uint8_t field)
{
    const char head[NOTE_HEAD] = {field};
    parser->note = parser->out->pool_size;
    rs_append(parser, head, sizeof head);
}

void rs_close_note(struct parser *parser)
{
    struct rs_result *out = parser->out;
    uint32_t size = out->pool_size - parser->note - NOTE_HEAD;
    memcpy(out->pool + parser->note + 1, &size, sizeof size);
}

/* ---- the whole ---- */

/* Empties the result and makes its pool large enough for a stanza of `size` bytes. */
bool rs_prepare(struct rs_result *out, size_t size)
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

void rs_free(struct rs_result *result)
{
    free(result->groups);
    free(result->items);
    free(result->pool);
    *result = (struct rs_result){0};
}
