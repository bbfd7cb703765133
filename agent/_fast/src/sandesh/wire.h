/* Reads and writes Sandesh binary (facts sandesh-ksync.md section 1).
 *
 * The header that `sandeshc --gen cython` makes holds one struct, one writer and one
 * reader per message; this file holds what they share. Everything on the wire is
 * big-endian. Readers never look at a byte before checking that it exists.
 */
#ifndef VROUTER_SANDESH_WIRE_H
#define VROUTER_SANDESH_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum sandesh_wire {
    SANDESH_STOP = 0,
    SANDESH_BOOL = 2,
    SANDESH_BYTE = 3,
    SANDESH_DOUBLE = 4,
    SANDESH_I16 = 6,
    SANDESH_I32 = 8,
    SANDESH_U64 = 9,
    SANDESH_I64 = 10,
    SANDESH_STRING = 11,
    SANDESH_STRUCT = 12,
    SANDESH_MAP = 13,
    SANDESH_SET = 14,
    SANDESH_LIST = 15,
    SANDESH_U16 = 19,
    SANDESH_U32 = 20,
    SANDESH_XML = 21,
    SANDESH_IPV4 = 22,
    SANDESH_UUID = 23,
    SANDESH_IPADDR = 24,
};

/* How a field is kept; for a list, how its elements are. */
enum sandesh_kind {
    KIND_BOOL,
    KIND_I8,
    KIND_I16,
    KIND_I32,
    KIND_I64,
    KIND_U16,
    KIND_U32,
    KIND_U64,
    KIND_TEXT,   /* the remaining kinds keep their bytes in the message's blob */
    KIND_BINARY,
    KIND_LIST,
};

/* Deeper structs, lists and maps than this are refused when they are skipped. */
#define SANDESH_MAX_DEPTH 32

typedef struct sandesh_field {
    const char *name;
    int16_t id;
    uint8_t wire;
    uint8_t kind;
    uint8_t elem_wire;  /* lists only */
    uint8_t elem_kind;
    uint8_t elem_size;
    uint8_t blob;       /* index into lengths, for text, binary and lists */
    uint32_t offset;    /* of a scalar in the message's struct */
} sandesh_field;

/* Where a reader stopped, and why. */
typedef struct sandesh_fault {
    const char *what;
    const uint8_t *where;
    const sandesh_field *field;
} sandesh_fault;

/* One message type. The variable parts of a message (texts, lists in wire order) lie
 * one after the other, in field order, in one blob; the struct keeps their byte lengths. */
typedef struct sandesh_type {
    const char *name;
    uint32_t name_size;
    uint32_t index;
    const sandesh_field *fields;
    uint32_t field_count;
    uint32_t blob_count;
    uint32_t body_size;
    uint32_t lengths;    /* offset of uint32_t lengths[blob_count] in the struct */
    uint32_t fixed_size; /* of the encoded message, without its blob */
    uint8_t *(*write)(const void *body, const uint8_t *blob, uint8_t *out);
    const uint8_t *(*read)(void *body, const uint8_t **parts, const uint8_t *at,
                           const uint8_t *end);
} sandesh_type;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SANDESH_BE16(value) __builtin_bswap16(value)
#define SANDESH_BE32(value) __builtin_bswap32(value)
#define SANDESH_BE64(value) __builtin_bswap64(value)
#else
#define SANDESH_BE16(value) (value)
#define SANDESH_BE32(value) (value)
#define SANDESH_BE64(value) (value)
#endif

#define SANDESH_HEADER(wire, id) SANDESH_BE32((uint32_t)(wire) << 24 | (uint32_t)(uint16_t)(id) << 8)

static inline void sandesh_store32(uint8_t *out, uint32_t value) { memcpy(out, &value, 4); }

static inline uint16_t sandesh_get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, 2);
    return SANDESH_BE16(value);
}

static inline uint32_t sandesh_get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return SANDESH_BE32(value);
}

static inline uint64_t sandesh_get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return SANDESH_BE64(value);
}

static inline void sandesh_copy(uint8_t *out, const uint8_t *from, uint32_t size)
{
    if (size >= 8) {
        memcpy(out, from, size);
    } else if (size >= 4) { /* two overlapping halves */
        uint32_t head, tail;
        memcpy(&head, from, 4);
        memcpy(&tail, from + size - 4, 4);
        memcpy(out, &head, 4);
        memcpy(out + size - 4, &tail, 4);
    } else {
        for (uint32_t i = 0; i < size; i++)
            out[i] = from[i];
    }
}

/* Writers of one field. A field is always followed by another byte (at least STOP), so
 * that the 32-bit one may write one byte more than it owns. */
static inline uint8_t *sandesh_put8(uint8_t *out, int wire, int id, uint8_t value)
{
    sandesh_store32(out, SANDESH_HEADER(wire, id) | SANDESH_BE32((uint32_t)value));
    return out + 4;
}

static inline uint8_t *sandesh_put16(uint8_t *out, int wire, int id, uint16_t value)
{
    sandesh_store32(out, SANDESH_HEADER(wire, id) | SANDESH_BE32((uint32_t)value >> 8));
    out[4] = (uint8_t)value;
    return out + 5;
}

static inline uint8_t *sandesh_put32(uint8_t *out, int wire, int id, uint32_t value)
{
    uint64_t both = SANDESH_BE64((uint64_t)(uint8_t)wire << 56 |
                                 (uint64_t)(uint16_t)id << 40 | (uint64_t)value << 8);
    memcpy(out, &both, 8);
    return out + 7;
}

static inline uint8_t *sandesh_put64(uint8_t *out, int wire, int id, uint64_t value)
{
    sandesh_store32(out, SANDESH_HEADER(wire, id));
    value = SANDESH_BE64(value);
    memcpy(out + 3, &value, 8);
    return out + 11;
}

static inline uint8_t *sandesh_put_bytes(uint8_t *out, int wire, int id, const uint8_t *bytes,
                                         uint32_t size)
{
    out = sandesh_put32(out, wire, id, size);
    sandesh_copy(out, bytes, size);
    return out + size;
}

static inline uint8_t *sandesh_put_list(uint8_t *out, int id, int elem_wire, uint32_t elem_size,
                                        const uint8_t *bytes, uint32_t size)
{
    uint32_t count = SANDESH_BE32(size / elem_size);
    sandesh_store32(out, SANDESH_HEADER(SANDESH_LIST, id) | SANDESH_BE32((uint32_t)elem_wire));
    memcpy(out + 4, &count, 4);
    sandesh_copy(out + 8, bytes, size);
    return out + 8 + size;
}

/* Whether the next field is the expected one with `need` bytes in all (4 or more). */
static inline int sandesh_expect(const uint8_t *at, const uint8_t *end, int wire, int id,
                                 ptrdiff_t need)
{
    uint32_t header;
    if (__builtin_expect(end - at < need, 0))
        return 0;
    memcpy(&header, at, 4);
    return (header & SANDESH_BE32(0xffffff00u)) == SANDESH_HEADER(wire, id);
}

/* Takes the text or binary field whose header is at `*at`; 0 when it does not fit. */
static inline int sandesh_take_bytes(const uint8_t **at, const uint8_t *end, int wire, int id,
                                     const uint8_t **part, uint32_t *size)
{
    uint32_t length;
    if (!sandesh_expect(*at, end, wire, id, 7))
        return 0;
    length = sandesh_get32(*at + 3);
    if (length > (size_t)(end - *at - 7))
        return 0;
    *part = *at + 7;
    *size = length;
    *at += 7 + length;
    return 1;
}

static inline int sandesh_take_list(const uint8_t **at, const uint8_t *end, int id,
                                    int elem_wire, uint32_t elem_size, const uint8_t **part,
                                    uint32_t *size)
{
    uint64_t length;
    if (!sandesh_expect(*at, end, SANDESH_LIST, id, 8) || (*at)[3] != elem_wire)
        return 0;
    length = (uint64_t)sandesh_get32(*at + 4) * elem_size;
    if (length > (size_t)(end - *at - 8))
        return 0;
    *part = *at + 8;
    *size = (uint32_t)length;
    *at += 8 + length;
    return 1;
}

/* Bytes of a value of fixed size, or 0 for one that says its own size. */
static inline uint32_t sandesh_fixed_size(int wire)
{
    switch (wire) {
    case SANDESH_BOOL:
    case SANDESH_BYTE:
        return 1;
    case SANDESH_I16:
    case SANDESH_U16:
        return 2;
    case SANDESH_I32:
    case SANDESH_U32:
    case SANDESH_IPV4:
        return 4;
    case SANDESH_I64:
    case SANDESH_U64:
    case SANDESH_DOUBLE:
        return 8;
    case SANDESH_UUID:
        return 16;
    default:
        return 0;
    }
}

static const uint8_t *sandesh_skip(int wire, const uint8_t *at, const uint8_t *end, int depth,
                                   sandesh_fault *fault);

static inline const uint8_t *sandesh_stop_at(sandesh_fault *fault, const uint8_t *at,
                                             const char *what)
{
    fault->what = what;
    fault->where = at;
    return NULL;
}

/* Reads a count or length; refuses one that is negative or cannot fit, before anything
 * is allocated for it. `least` is the fewest bytes that one element takes. */
static inline const uint8_t *sandesh_size(const uint8_t *at, const uint8_t *end, uint32_t least,
                                          uint32_t *count, sandesh_fault *fault)
{
    if (end - at < 4)
        return sandesh_stop_at(fault, at, "the bytes end inside a length");
    *count = sandesh_get32(at);
    if (*count > INT32_MAX)
        return sandesh_stop_at(fault, at, "a negative length");
    at += 4;
    if ((uint64_t)*count * least > (uint64_t)(end - at))
        return sandesh_stop_at(fault, at - 4, "a length beyond the end of the bytes");
    return at;
}

static const uint8_t *sandesh_skip_elements(int wire, uint32_t count, const uint8_t *at,
                                            const uint8_t *end, int depth,
                                            sandesh_fault *fault)
{
    while (count-- > 0 && at != NULL)
        at = sandesh_skip(wire, at, end, depth, fault);
    return at;
}

static const uint8_t *sandesh_skip_list(const uint8_t *at, const uint8_t *end, int depth,
                                        sandesh_fault *fault)
{
    uint32_t count, size;
    int wire;
    if (end - at < 1)
        return sandesh_stop_at(fault, at, "the bytes end inside a list");
    wire = *at++;
    size = sandesh_fixed_size(wire);
    at = sandesh_size(at, end, size > 0 ? size : 1, &count, fault);
    if (at == NULL)
        return NULL;
    if (size > 0)
        return at + (size_t)count * size;
    return sandesh_skip_elements(wire, count, at, end, depth, fault);
}

static const uint8_t *sandesh_skip_map(const uint8_t *at, const uint8_t *end, int depth,
                                       sandesh_fault *fault)
{
    uint32_t count;
    int key, value;
    if (end - at < 2)
        return sandesh_stop_at(fault, at, "the bytes end inside a map");
    key = at[0];
    value = at[1];
    at = sandesh_size(at + 2, end, 2, &count, fault);
    while (at != NULL && count-- > 0) {
        at = sandesh_skip(key, at, end, depth, fault);
        if (at != NULL)
            at = sandesh_skip(value, at, end, depth, fault);
    }
    return at;
}

static const uint8_t *sandesh_skip_struct(const uint8_t *at, const uint8_t *end, int depth,
                                          sandesh_fault *fault)
{
    for (;;) {
        int wire;
        if (end - at < 1)
            return sandesh_stop_at(fault, at, "the bytes end inside a struct");
        wire = *at++;
        if (wire == SANDESH_STOP)
            return at;
        if (end - at < 2)
            return sandesh_stop_at(fault, at, "the bytes end inside a field header");
        at = sandesh_skip(wire, at + 2, end, depth, fault);
        if (at == NULL)
            return NULL;
    }
}

/* Returns where the value of type `wire` at `at` ends, or NULL with `fault` set. */
static const uint8_t *sandesh_skip(int wire, const uint8_t *at, const uint8_t *end, int depth,
                                   sandesh_fault *fault)
{
    uint32_t size = sandesh_fixed_size(wire);
    if (depth >= SANDESH_MAX_DEPTH)
        return sandesh_stop_at(fault, at, "values nested too deeply");
    switch (wire) {
    case SANDESH_STRING:
    case SANDESH_XML:
        at = sandesh_size(at, end, 1, &size, fault);
        return at == NULL ? NULL : at + size;
    case SANDESH_STRUCT:
        return sandesh_skip_struct(at, end, depth + 1, fault);
    case SANDESH_LIST:
    case SANDESH_SET:
        return sandesh_skip_list(at, end, depth + 1, fault);
    case SANDESH_MAP:
        return sandesh_skip_map(at, end, depth + 1, fault);
    case SANDESH_IPADDR:
        if (end - at < 1)
            return sandesh_stop_at(fault, at, "the bytes end inside an address");
        if (*at != 2 && *at != 10)
            return sandesh_stop_at(fault, at, "an unknown address family");
        size = *at == 2 ? 5 : 17;
        break;
    default:
        if (size == 0)
            return sandesh_stop_at(fault, at, "an unknown type code");
    }
    if ((size_t)(end - at) < size)
        return sandesh_stop_at(fault, at, "the bytes end inside a value");
    return at + size;
}

/* Keeps a scalar; its bytes have been checked to exist. */
static inline void sandesh_keep(const sandesh_field *field, uint8_t *body, const uint8_t *at)
{
    uint8_t *to = body + field->offset;
    uint16_t value16;
    uint32_t value32;
    uint64_t value64;
    switch (field->kind) {
    case KIND_BOOL:
        *to = *at != 0;
        break;
    case KIND_I8:
        *to = *at;
        break;
    case KIND_I16:
    case KIND_U16:
        value16 = sandesh_get16(at);
        memcpy(to, &value16, 2);
        break;
    case KIND_I32:
    case KIND_U32:
        value32 = sandesh_get32(at);
        memcpy(to, &value32, 4);
        break;
    default:
        value64 = sandesh_get64(at);
        memcpy(to, &value64, 8);
    }
}

/* The field `id` of `type`, looked for from `*hint` on: fields mostly come in order. */
static inline const sandesh_field *sandesh_find(const sandesh_type *type, int id, uint32_t *hint)
{
    uint32_t tried, index = *hint;
    for (tried = 0; tried < type->field_count; tried++, index++) {
        if (index >= type->field_count)
            index = 0;
        if (type->fields[index].id == id) {
            *hint = index + 1;
            return &type->fields[index];
        }
    }
    return NULL;
}

/* Reads the value of a known field, or skips it when its type on the wire is another. */
static const uint8_t *sandesh_read_field(const sandesh_field *field, int wire, uint8_t *body,
                                         uint32_t *lengths, const uint8_t **parts,
                                         const uint8_t *at, const uint8_t *end,
                                         sandesh_fault *fault)
{
    const uint8_t *after;
    uint32_t head = field->kind == KIND_LIST ? 5 : 4;
    after = sandesh_skip(wire, at, end, 0, fault);
    if (after == NULL || wire != field->wire)
        return after;
    if (field->kind < KIND_TEXT) {
        sandesh_keep(field, body, at);
    } else if (field->kind != KIND_LIST || *at == field->elem_wire) {
        parts[field->blob] = at + head;
        lengths[field->blob] = (uint32_t)(after - at - head);
    }
    return after;
}

/* Reads the fields of a message up to and with STOP. The struct's memory is zero before.
 * `parts[i]` becomes the start of blob part i. Returns where the message ends, or NULL. */
static inline const uint8_t *sandesh_read(const sandesh_type *type, uint8_t *body,
                                          const uint8_t **parts, const uint8_t *at,
                                          const uint8_t *end, sandesh_fault *fault)
{
    uint32_t *lengths = (uint32_t *)(void *)(body + type->lengths);
    uint32_t hint = 0;
    at = type->read(body, parts, at, end); /* in order and complete: nothing is left */
    for (;;) {
        int wire;
        fault->field = NULL;
        if (end - at < 1)
            return sandesh_stop_at(fault, at, "the bytes end before the message does");
        wire = *at++;
        if (wire == SANDESH_STOP)
            return at;
        if (end - at < 2)
            return sandesh_stop_at(fault, at, "the bytes end inside a field header");
        fault->field = sandesh_find(type, (int16_t)sandesh_get16(at), &hint);
        at += 2;
        if (fault->field == NULL)
            at = sandesh_skip(wire, at, end, 0, fault);
        else
            at = sandesh_read_field(fault->field, wire, body, lengths, parts, at, end, fault);
        if (at == NULL)
            return NULL;
    }
}

#endif
