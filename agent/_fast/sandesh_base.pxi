# The hand-written half of a generated codec: the message base class and the functions.
# The generated half includes it after declaring SANDESH_TYPES and SANDESH_TYPE_COUNT.
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcmp, memcpy

from operator import index as as_index
from sys import intern

from agent.errors import SandeshError

cdef extern from "Python.h":
    void PyType_Modified(PyTypeObject *type)
    object PySequence_Fast(object items, const char *message)
    Py_ssize_t PySequence_Fast_GET_SIZE(object items)
    PyObject **PySequence_Fast_ITEMS(object items)
    ctypedef struct TypeWithSlots "PyTypeObject":
        PyObject *tp_dict
        PyTypeObject *tp_base
        object (*tp_new)(PyTypeObject *type, PyObject *args, PyObject *kwargs)
    TypeWithSlots *TYPE_OF "Py_TYPE" (PyObject *thing)


cdef dict CLASSES = {}               # wire name -> class
cdef list NAMES = []                 # by type index: the names of the fields
cdef PyObject *CLASS_OF[SANDESH_TYPE_COUNT]
cdef tuple NO_ARGUMENTS = ()
cdef dict RANGES = {
    KIND_BOOL: (0, 1),
    KIND_I8: (-0x80, 0x7f),
    KIND_I16: (-0x8000, 0x7fff),
    KIND_I32: (-0x80000000, 0x7fffffff),
    KIND_I64: (-0x8000000000000000, 0x7fffffffffffffff),
    KIND_U16: (0, 0xffff),
    KIND_U32: (0, 0xffffffff),
    KIND_U64: (0, 0xffffffffffffffff),
}


# --- Values of fields ---------------------------------------------------------------------

cdef inline uint32_t *lengths_of(Message message) noexcept:
    return <uint32_t *>(message.body + message.type.lengths)


cdef inline const uint8_t *blob_of(Message message) noexcept:
    if message.blob is None:
        return NULL
    return <const uint8_t *>PyBytes_AS_STRING(message.blob)


cdef object scalar(const sandesh_field *field, const uint8_t *at):
    cdef int kind = field.kind
    if kind == KIND_I32:
        return (<const int32_t *>at)[0]
    if kind == KIND_U32:
        return (<const uint32_t *>at)[0]
    if kind == KIND_I16:
        return (<const int16_t *>at)[0]
    if kind == KIND_U16:
        return (<const uint16_t *>at)[0]
    if kind == KIND_I64:
        return (<const int64_t *>at)[0]
    if kind == KIND_U64:
        return (<const uint64_t *>at)[0]
    if kind == KIND_I8:
        return (<const int8_t *>at)[0]
    return at[0] != 0


cdef object element(int kind, const uint8_t *at):
    """One element of a list, from its wire form."""
    if kind == KIND_I32:
        return <int32_t>sandesh_get32(at)
    if kind == KIND_U32:
        return sandesh_get32(at)
    if kind == KIND_U64:
        return sandesh_get64(at)
    if kind == KIND_I64:
        return <int64_t>sandesh_get64(at)
    if kind == KIND_I16:
        return <int16_t>sandesh_get16(at)
    if kind == KIND_U16:
        return sandesh_get16(at)
    return (<const int8_t *>at)[0]


cdef list elements(const sandesh_field *field, const uint8_t *at, uint32_t length):
    cdef uint32_t offset
    cdef list result = []
    for offset in range(0, length, field.elem_size):
        result.append(element(field.elem_kind, at + offset))
    return result


cdef object part(Message message, const sandesh_field *field, bint plain):
    """A text, binary or list. `plain`: as in dictionaries, else as in attributes."""
    cdef uint32_t *lengths = lengths_of(message)
    cdef uint32_t length = lengths[field.blob]
    cdef const uint8_t *at = blob_of(message)
    cdef uint32_t index
    if at != NULL:
        for index in range(field.blob):
            at += lengths[index]
    if field.kind == KIND_TEXT:
        return PyUnicode_DecodeUTF8(<const char *>at, length, "surrogateescape") if length else ""
    if field.kind == KIND_BINARY or (field.elem_kind == KIND_I8 and not plain):
        return PyBytes_FromStringAndSize(<const char *>at, length)
    if plain:
        return elements(field, at, length)
    return tuple(elements(field, at, length))


cdef object value_of(Message message, const sandesh_field *field, bint plain):
    if field.kind < KIND_TEXT:
        return scalar(field, message.body + field.offset)
    return part(message, field, plain)


cdef str described(Message message, const sandesh_field *field):
    return f"{message.type.name.decode()}.{field.name.decode()}"


cdef object number(Message message, const sandesh_field *field, int kind, object value):
    """`value` as an int that fits `kind`."""
    try:
        value = as_index(value)
    except TypeError:
        raise SandeshError(
            f"{described(message, field)}: expected a whole number, found {value!r}"
        ) from None
    low, high = RANGES[kind]
    if not low <= value <= high:
        raise SandeshError(f"{described(message, field)}: {value} is outside {low} to {high}")
    return value


cdef int set_scalar(Message message, const sandesh_field *field, object value) except -1:
    cdef uint8_t *at = message.body + field.offset
    cdef int kind = field.kind
    cdef int64_t small = 0
    cdef bint fits = False
    if type(value) is int:  # by far the most: no Python arithmetic
        try:
            small = value
            fits = True
        except OverflowError:
            pass
    if fits and kind == KIND_I32 and -(<int64_t>1 << 31) <= small < (<int64_t>1 << 31):
        (<int32_t *>at)[0] = <int32_t>small
        return 0
    if fits and kind == KIND_I16 and -32768 <= small < 32768:
        (<int16_t *>at)[0] = <int16_t>small
        return 0
    value = number(message, field, kind, value)
    if kind == KIND_I32:
        (<int32_t *>at)[0] = value
    elif kind == KIND_U32:
        (<uint32_t *>at)[0] = value
    elif kind == KIND_I16:
        (<int16_t *>at)[0] = value
    elif kind == KIND_U16:
        (<uint16_t *>at)[0] = value
    elif kind == KIND_I64:
        (<int64_t *>at)[0] = value
    elif kind == KIND_U64:
        (<uint64_t *>at)[0] = value
    elif kind == KIND_I8:
        (<int8_t *>at)[0] = value
    else:
        at[0] = value
    return 0


cdef bytes wire_of(Message message, const sandesh_field *field, object value):
    """The bytes that a text, binary or list has on the wire."""
    if field.kind == KIND_TEXT:
        if not isinstance(value, str):
            raise SandeshError(f"{described(message, field)}: expected a text, found {value!r}")
        try:
            return (<str>value).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise SandeshError(
                f"{described(message, field)}: the text has characters that UTF-8 cannot hold"
            ) from None
    if type(value) is bytes and (field.kind == KIND_BINARY or field.elem_kind == KIND_I8):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)) and (
        field.kind == KIND_BINARY or field.elem_kind == KIND_I8
    ):
        return bytes(value)
    if field.kind == KIND_BINARY or isinstance(value, str):
        what = "bytes" if field.kind == KIND_BINARY else "a list of whole numbers"
        raise SandeshError(f"{described(message, field)}: expected {what}, found {value!r}")
    return packed(message, field, value)


cdef bytes packed(Message message, const sandesh_field *field, object values):
    cdef int size = field.elem_size
    cdef bint signed = field.elem_kind < KIND_U16
    cdef list pieces = []
    try:
        items = iter(values)
    except TypeError:
        raise SandeshError(
            f"{described(message, field)}: expected a list of whole numbers, found {values!r}"
        ) from None
    for value in items:
        value = number(message, field, field.elem_kind, value)
        pieces.append(value.to_bytes(size, "big", signed=signed))
    return b"".join(pieces)


# --- Messages -----------------------------------------------------------------------------

cdef const sandesh_field *field_named(Message message, str name, Py_ssize_t *hint) except NULL:
    """The field `name`, looked for from `hint` on: callers mostly go in order."""
    cdef tuple names = <tuple>NAMES[message.type.index]
    cdef Py_ssize_t count = len(names), index = hint[0], tried
    for tried in range(count):
        if index >= count:
            index = 0
        if <PyObject *>names[index] is <PyObject *>name:
            hint[0] = index + 1
            return &message.type.fields[index]
        index += 1
    if name not in names:
        raise SandeshError(f"{message.type.name.decode()} has no field {name!r}")
    return &message.type.fields[names.index(name)]


cdef list split(Message message):
    """The wire bytes of each text, binary or list."""
    cdef uint32_t *lengths = lengths_of(message)
    cdef const char *at = <const char *>blob_of(message)
    cdef list pieces = []
    cdef uint32_t index
    for index in range(message.type.blob_count):
        pieces.append(b"" if lengths[index] == 0 else at[: lengths[index]])
        at += lengths[index]
    return pieces


cdef int join(Message message, list pieces) except -1:
    cdef uint32_t *lengths = lengths_of(message)
    cdef uint32_t index
    cdef uint64_t total = 0
    for index in range(message.type.blob_count):
        total += <uint64_t>PyBytes_GET_SIZE(<bytes>pieces[index])
    if total > 0x7fffffff:
        raise SandeshError(f"{message.type.name.decode()}: {total} bytes are too many")
    for index in range(message.type.blob_count):
        lengths[index] = <uint32_t>PyBytes_GET_SIZE(<bytes>pieces[index])
    message.blob = b"".join(pieces) if total else None
    return 0


cdef int assign(Message message, dict fields) except -1:
    cdef const sandesh_field *field
    cdef Py_ssize_t hint = 0
    cdef list pieces = None
    for name, value in fields.items():
        if type(name) is not str:
            raise SandeshError(f"{message.type.name.decode()} has no field {name!r}")
        field = field_named(message, <str>name, &hint)
        if field.kind < KIND_TEXT:
            set_scalar(message, field, value)
            continue
        if pieces is None:
            pieces = split(message)
        pieces[field.blob] = wire_of(message, field, value)
    if pieces is not None:
        join(message, pieces)
    return 0


cdef inline Py_ssize_t size_of(Message message) noexcept:
    cdef Py_ssize_t size = message.type.fixed_size
    if message.blob is not None:
        size += PyBytes_GET_SIZE(message.blob)
    return size


cdef inline Message blank(uint32_t index):
    cdef PyObject *kind = CLASS_OF[index]
    return <Message>(<TypeWithSlots *>kind).tp_new(<PyTypeObject *>kind,
                                                  <PyObject *>NO_ARGUMENTS, NULL)


cdef class Field:
    """The descriptor of one field: reads it from a message."""

    cdef const sandesh_field *field
    cdef const sandesh_type *type

    def __get__(self, message, owner):
        if message is None:
            return self
        if not isinstance(message, Message) or (<Message>message).type != self.type:
            raise TypeError("this field belongs to another message")
        return value_of(<Message>message, self.field, False)


cdef class Message:
    """Base of all messages: a value that is compared, hashed and copied by its fields.

    `NAME` is the name on the wire, `FIELDS` the names of the fields in wire order.
    A field that is not given is 0, "" or empty. Numbers are ints, texts str (bytes that
    are no UTF-8 as surrogates), `list<byte>` and binary are bytes, other lists tuples of
    ints. Raises SandeshError for a field that does not exist or a value that does not fit.
    """

    def __init__(self, **fields):
        if self.type == NULL:
            raise TypeError("Message is the base of the messages: make one of them")
        assign(self, fields)

    def encode(self):
        """The message as it goes on the wire."""
        cdef bytes out = PyBytes_FromStringAndSize(NULL, size_of(self))
        self.type.write(self.body, blob_of(self), <uint8_t *>PyBytes_AS_STRING(out))
        return out

    def replace(self, **changes):
        """A copy with these fields changed."""
        cdef Message copy = blank(self.type.index)
        memcpy(copy.body, self.body, self.type.body_size)
        copy.blob = self.blob
        assign(copy, changes)
        return copy

    def to_dict(self):
        """All fields by name, in wire order; lists as lists, bytes as signed ints."""
        cdef tuple names = <tuple>NAMES[self.type.index]
        cdef uint32_t index
        cdef dict result = {}
        for index in range(self.type.field_count):
            result[names[index]] = value_of(self, &self.type.fields[index], True)
        return result

    def __eq__(self, other):
        cdef Message peer
        if not isinstance(other, Message):
            return NotImplemented
        peer = <Message>other
        return (
            self.type == peer.type
            and memcmp(self.body, peer.body, self.type.body_size) == 0
            and self.blob == peer.blob
        )

    def __hash__(self):
        return hash((self.type.index, (<char *>self.body)[: self.type.body_size], self.blob))

    def __repr__(self):
        cdef tuple names = <tuple>NAMES[self.type.index]
        cdef uint32_t index
        cdef list shown = []
        for index in range(self.type.field_count):
            value = value_of(self, &self.type.fields[index], False)
            if value:
                shown.append(f"{names[index]}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self):
        return _restore, (self.encode(),)


def _restore(data):
    """What unpickling calls: the one message in `data`."""
    return decode_messages(data)[0]


cdef int finish(type kind, const sandesh_type *described) except -1:
    """Gives a message class its NAME, FIELDS and one attribute per field."""
    cdef dict attributes = <dict>(<TypeWithSlots *>kind).tp_dict
    cdef Field field
    cdef uint32_t index
    cdef list names = []
    for index in range(described.field_count):
        field = Field.__new__(Field)
        field.field = &described.fields[index]
        field.type = described
        names.append(intern(described.fields[index].name.decode()))
        attributes[names[index]] = field
    attributes["NAME"] = described.name.decode()
    attributes["FIELDS"] = tuple(names)
    PyType_Modified(<PyTypeObject *>kind)
    NAMES.append(attributes["FIELDS"])
    CLASSES[attributes["NAME"]] = kind
    CLASS_OF[described.index] = <PyObject *>kind
    return 0


# --- Reading ------------------------------------------------------------------------------

cdef const sandesh_type *type_named(const uint8_t *name, uint32_t size) noexcept nogil:
    cdef const sandesh_type *candidate
    cdef int index
    for index in range(SANDESH_TYPE_COUNT):
        candidate = SANDESH_TYPES[index]
        if candidate.name_size == size and memcmp(candidate.name, name, size) == 0:
            return candidate
    return NULL


cdef int fail(const sandesh_type *kind, sandesh_fault *fault, const uint8_t *start) except -1:
    where = "a message" if kind == NULL else kind.name.decode()
    if fault.field != NULL:
        where = f"{where}.{fault.field.name.decode()}"
    raise SandeshError(f"{where}: {fault.what.decode()}", fault.where - start)


cdef Message read_one(const uint8_t *start, const uint8_t **at, const uint8_t *end):
    """The message at `at`, which moves behind it."""
    cdef const uint8_t *parts[SANDESH_MOST_BLOBS]
    cdef sandesh_fault fault
    cdef const sandesh_type *kind = NULL
    cdef Message message
    cdef uint32_t size = 0
    fault.where = at[0]
    fault.field = NULL
    if end - at[0] < 4:
        fault.what = "the bytes end inside the length of the name"
        fail(NULL, &fault, start)
    size = sandesh_get32(at[0])
    if size == 0 or size > <size_t>(end - at[0] - 4):
        fault.what = "a length of the name that cannot be"
        fail(NULL, &fault, start)
    kind = type_named(at[0] + 4, size)
    if kind == NULL:
        name = (<const char *>at[0] + 4)[: min(size, 64)].decode("utf-8", "backslashreplace")
        raise SandeshError(f"unknown message {name!r}", at[0] - start)
    message = blank(kind.index)
    at[0] = sandesh_read(kind, message.body, parts, at[0] + 4 + size, end, &fault)
    if at[0] == NULL:
        fail(kind, &fault, start)
    gather(message, parts)
    return message


cdef int gather(Message message, const uint8_t **parts) except -1:
    """Copies the parts that were read, one after the other, into the blob."""
    cdef uint32_t *lengths = lengths_of(message)
    cdef uint32_t count = message.type.blob_count, index
    cdef Py_ssize_t total = 0
    cdef char *out
    for index in range(count):
        total += lengths[index]
    if total == 0:
        return 0
    message.blob = PyBytes_FromStringAndSize(NULL, total)
    out = PyBytes_AS_STRING(message.blob)
    for index in range(count):
        sandesh_copy(<uint8_t *>out, parts[index], lengths[index])
        out += lengths[index]
    return 0


def decode_messages(data):
    """All messages in `data` (bytes-like): name, fields, STOP, again and again.

    Unknown fields are skipped, fields of another wire type keep their default. Raises
    SandeshError with the offset of the first byte that cannot be read.
    """
    cdef Py_buffer view
    cdef const uint8_t *start
    cdef const uint8_t *at
    cdef list messages = []
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        start = at = <const uint8_t *>view.buf
        while at < start + view.len:
            messages.append(read_one(start, &at, start + view.len))
    finally:
        PyBuffer_Release(&view)
    return messages


def iter_messages(data):
    """The messages in `data` one by one, so that those before a fault can be served.

    Raises SandeshError like `decode_messages`, when the faulty message is reached.
    """
    cdef bytes held = bytes(data)
    cdef const uint8_t *start = <const uint8_t *>PyBytes_AS_STRING(held)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(held), offset = 0
    cdef const uint8_t *at
    while offset < size:
        at = start + offset
        message = read_one(start, &at, start + size)
        offset = at - start
        yield message


def decode(data):
    """All messages in `data` as (name, fields); raises SandeshError like `decode_messages`."""
    return [(type(message).NAME, message.to_dict()) for message in decode_messages(data)]


# --- Writing ------------------------------------------------------------------------------

def encode(name, fields):
    """One message from its name and fields; fields that are not given are 0 or empty.

    `list<byte>` may be bytes or signed ints. Raises SandeshError for an unknown message or
    field and for a value that does not fit.
    """
    kind = CLASSES.get(name)
    if kind is None:
        raise SandeshError(f"unknown message {name!r}")
    cdef Message message = kind()
    assign(message, fields if type(fields) is dict else dict(fields))
    return message.encode()


def encode_many(messages):
    """The messages (any sequence) one after the other, as they go into one frame."""
    cdef object held = PySequence_Fast(messages, "expected a sequence of messages")
    cdef Py_ssize_t count = PySequence_Fast_GET_SIZE(held), index, total = 0
    cdef PyObject **items = PySequence_Fast_ITEMS(held)
    cdef PyTypeObject *base = <PyTypeObject *>Message
    cdef PyObject *item
    cdef bytes out
    cdef uint8_t *at
    for index in range(count):
        item = items[index]
        if TYPE_OF(item).tp_base != base:
            raise SandeshError(f"expected messages, found {<object>item!r}")
        total += size_of(<Message>item)
    out = PyBytes_FromStringAndSize(NULL, total)
    at = <uint8_t *>PyBytes_AS_STRING(out)
    for index in range(count):
        item = items[index]
        at = (<Message>item).type.write((<Message>item).body, blob_of(<Message>item), at)
    return out
