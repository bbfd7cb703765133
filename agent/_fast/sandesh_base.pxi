# The hand-written half of a generated codec: the message base class and the functions.
# The generated half includes it after declaring SANDESH_TYPES and SANDESH_TYPE_COUNT.
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport INT32_MAX, INT64_MAX, INT64_MIN
from libc.string cimport memcmp, memcpy, memset

from operator import index as as_index
from sys import intern

from agent.errors import SandeshError

cdef extern from "Python.h":
    void PyType_Modified(PyTypeObject *type)
    object PySequence_Fast(object items, const char *message)
    Py_ssize_t PySequence_Fast_GET_SIZE(object items)
    PyObject **PySequence_Fast_ITEMS(object items)
    ctypedef object (*vectorcallfunc)(object kind, PyObject **args, size_t count, PyObject *names)
    ctypedef struct TypeWithSlots "PyTypeObject":
        PyObject *tp_dict
        PyTypeObject *tp_base
        object (*tp_new)(PyTypeObject *type, PyObject *args, PyObject *kwargs)
        vectorcallfunc tp_vectorcall
    TypeWithSlots *TYPE_OF "Py_TYPE" (PyObject *thing)
    size_t PyVectorcall_NARGS(size_t count)
    int64_t PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1
    ctypedef struct PyMemberDef:
        const char *name
        int type
        Py_ssize_t offset
        int flags
    ctypedef struct PyGetSetDef:
        const char *name
        object (*get)(object message, void *field)
        void *closure
    object PyDescr_NewMember(PyTypeObject *type, PyMemberDef *member)
    object PyDescr_NewGetSet(PyTypeObject *type, PyGetSetDef *getter)

cdef extern from "structmember.h":
    enum:
        READONLY
        T_BOOL
        T_BYTE
        T_SHORT
        T_INT
        T_LONGLONG
        T_USHORT
        T_UINT
        T_ULONGLONG


cdef dict CLASSES = {}               # wire name -> class
cdef list NAMES = []                 # by type index: the names of the fields
cdef PyObject *CLASS_OF[SANDESH_TYPE_COUNT]
cdef tuple NO_ARGUMENTS = ()
cdef int64_t LOWEST[KIND_TEXT]       # by kind of number
cdef int64_t HIGHEST[KIND_TEXT]
LOWEST[:] = [0, -0x80, -0x8000, -0x80000000, INT64_MIN, 0, 0, 0]
HIGHEST[:] = [1, 0x7f, 0x7fff, 0x7fffffff, INT64_MAX, 0xffff, 0xffffffff, INT64_MAX]
cdef int MEMBER_TYPES[KIND_TEXT]
MEMBER_TYPES[:] = [
    T_BOOL, T_BYTE, T_SHORT, T_INT, T_LONGLONG, T_USHORT, T_UINT, T_ULONGLONG
]


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


cdef tuple elements(const sandesh_field *field, const uint8_t *at, uint32_t length):
    cdef Py_ssize_t index, count = length // field.elem_size
    cdef tuple result = PyTuple_New(count)
    cdef object value
    for index in range(count):
        value = element(field.elem_kind, at)
        Py_INCREF(value)  # the tuple takes a reference of its own
        PyTuple_SET_ITEM(result, index, value)
        at += field.elem_size
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
    return list(elements(field, at, length)) if plain else elements(field, at, length)


cdef object value_of(Message message, const sandesh_field *field, bint plain):
    if field.kind < KIND_TEXT:
        return scalar(field, message.body + field.offset)
    return part(message, field, plain)


cdef str described(Message message, const sandesh_field *field):
    return f"{message.type.name.decode()}.{field.name.decode()}"


cdef int64_t number(Message message, const sandesh_field *field, int kind, object value) except? -1:
    """`value` as it lies in memory when it fits `kind`; an u64 as the same 64 bits."""
    cdef int overflow = 0
    cdef int64_t small
    if not isinstance(value, int):
        try:
            value = as_index(value)
        except TypeError:
            raise SandeshError(
                f"{described(message, field)}: expected a whole number, found {value!r}"
            ) from None
    small = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow == 0 and LOWEST[kind] <= small <= HIGHEST[kind]:
        return small
    if kind == KIND_U64 and 0 <= value < 1 << 64:
        return <int64_t><uint64_t>value
    highest = (1 << 64) - 1 if kind == KIND_U64 else HIGHEST[kind]
    raise SandeshError(
        f"{described(message, field)}: {value} is outside {LOWEST[kind]} to {highest}"
    )


cdef int set_scalar(Message message, const sandesh_field *field, object value) except -1:
    cdef uint8_t *at = message.body + field.offset
    cdef int kind = field.kind
    cdef int64_t bits = number(message, field, kind, value)
    if kind == KIND_I32 or kind == KIND_U32:
        (<uint32_t *>at)[0] = <uint32_t>bits
    elif kind == KIND_I16 or kind == KIND_U16:
        (<uint16_t *>at)[0] = <uint16_t>bits
    elif kind == KIND_I64 or kind == KIND_U64:
        (<uint64_t *>at)[0] = <uint64_t>bits
    else:
        at[0] = <uint8_t>bits
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
    cdef Py_ssize_t size = field.elem_size, index = 0, byte
    cdef int64_t bits
    cdef bytes out
    cdef uint8_t *at
    try:
        items = list(values)
    except TypeError:
        raise SandeshError(
            f"{described(message, field)}: expected a list of whole numbers, found {values!r}"
        ) from None
    out = PyBytes_FromStringAndSize(NULL, len(items) * size)
    at = <uint8_t *>PyBytes_AS_STRING(out)
    for value in items:
        bits = number(message, field, field.elem_kind, value)
        for byte in range(size):
            at[byte] = <uint8_t>(<uint64_t>bits >> (8 * (size - 1 - byte)))
        at += size
    return out


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


cdef struct Draft:
    Py_ssize_t hint
    bint used
    PyObject *pieces[SANDESH_MOST_BLOBS]  # owned; NULL: as the message has it


cdef int put(Message message, Draft *draft, object name, object value) except -1:
    """Sets one field; a text, binary or list only in `draft`, until `settle`."""
    cdef const sandesh_field *field
    cdef bytes piece
    if type(name) is not str:
        raise SandeshError(f"{message.type.name.decode()} has no field {name!r}")
    field = field_named(message, <str>name, &draft.hint)
    if field.kind < KIND_TEXT:
        return set_scalar(message, field, value)
    if not draft.used:
        draft.used = True
        memset(draft.pieces, 0, message.type.blob_count * sizeof(PyObject *))
    piece = wire_of(message, field, value)
    Py_INCREF(piece)
    Py_XDECREF(draft.pieces[field.blob])
    draft.pieces[field.blob] = <PyObject *>piece
    return 0


cdef int settle(Message message, Draft *draft) except -1:
    """Makes the blob anew from the draft and, where it says nothing, the old blob."""
    cdef uint32_t *lengths = lengths_of(message)
    cdef const uint8_t *old = blob_of(message)
    cdef uint8_t *out
    cdef bytes blob
    cdef uint32_t index, length
    cdef uint64_t total = 0
    for index in range(message.type.blob_count):
        if draft.pieces[index] != NULL:
            total += <uint64_t>PyBytes_GET_SIZE(<bytes>draft.pieces[index])
        else:
            total += lengths[index]
    if total > INT32_MAX:
        raise SandeshError(f"{message.type.name.decode()}: {total} bytes are too many")
    blob = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>total)
    out = <uint8_t *>PyBytes_AS_STRING(blob)
    for index in range(message.type.blob_count):
        length = lengths[index]
        if draft.pieces[index] == NULL:
            sandesh_copy(out, old, length)
        old += length
        if draft.pieces[index] != NULL:
            length = <uint32_t>PyBytes_GET_SIZE(<bytes>draft.pieces[index])
            sandesh_copy(out, <const uint8_t *>PyBytes_AS_STRING(<bytes>draft.pieces[index]), length)
            lengths[index] = length
        out += length
    message.blob = blob if total else None
    return 0


cdef void discard(Message message, Draft *draft) noexcept:
    cdef uint32_t index
    for index in range(message.type.blob_count):
        Py_XDECREF(draft.pieces[index])


cdef int assign(Message message, dict fields) except -1:
    cdef Draft draft
    draft.hint = 0
    draft.used = False
    try:
        for name, value in fields.items():
            put(message, &draft, name, value)
        if draft.used:
            settle(message, &draft)
    finally:
        if draft.used:
            discard(message, &draft)
    return 0


cdef object construct(object kind, PyObject **args, size_t count, PyObject *names):
    """What calling a message class does: a blank message, then the fields that are given."""
    cdef Message message
    cdef Draft draft
    cdef Py_ssize_t index
    if PyVectorcall_NARGS(count) != 0:
        raise TypeError(f"{kind.__name__} takes its fields by name only")
    message = <Message>(<TypeWithSlots *>kind).tp_new(<PyTypeObject *>kind,
                                                     <PyObject *>NO_ARGUMENTS, NULL)
    if names == NULL:
        return message
    draft.hint = 0
    draft.used = False
    try:
        for index in range(len(<tuple>names)):
            put(message, &draft, (<tuple>names)[index], <object>args[index])
        if draft.used:
            settle(message, &draft)
    finally:
        if draft.used:
            discard(message, &draft)
    return message


cdef inline Py_ssize_t size_of(Message message) noexcept:
    cdef Py_ssize_t size = message.type.fixed_size
    if message.blob is not None:
        size += PyBytes_GET_SIZE(message.blob)
    return size


cdef inline Message blank(uint32_t index):
    cdef PyObject *kind = CLASS_OF[index]
    return <Message>(<TypeWithSlots *>kind).tp_new(<PyTypeObject *>kind,
                                                  <PyObject *>NO_ARGUMENTS, NULL)


cdef class Message:
    """Base of all messages: a value that is compared, hashed and copied by its fields.

    `NAME` is the name on the wire, `FIELDS` the names of the fields in wire order.
    A field that is not given is 0, "" or empty. Numbers are ints, texts str (bytes that
    are no UTF-8 as surrogates), `list<byte>` and binary are bytes, other lists tuples of
    ints. Raises SandeshError for a field that does not exist or a value that does not fit.
    """

    def __cinit__(self):
        if TYPE_OF(<PyObject *>self) == <TypeWithSlots *>Message:
            raise TypeError("Message is the base of the messages: make one of them")

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


cdef object get_part(object message, void *field):
    return part(<Message>message, <const sandesh_field *>field, False)


cdef object attribute(type kind, const sandesh_field *field, Py_ssize_t body):
    """The descriptor of one field; `body` is where in the object the struct starts."""
    cdef PyMemberDef *member
    cdef PyGetSetDef *getter
    if field.kind < KIND_TEXT:  # what is allocated here lives as long as the class: for ever
        member = <PyMemberDef *>PyMem_Calloc(1, sizeof(PyMemberDef))
        if member == NULL:
            raise MemoryError
        member.name = field.name
        member.type = MEMBER_TYPES[field.kind]
        member.offset = body + field.offset
        member.flags = READONLY
        return PyDescr_NewMember(<PyTypeObject *>kind, member)
    getter = <PyGetSetDef *>PyMem_Calloc(1, sizeof(PyGetSetDef))
    if getter == NULL:
        raise MemoryError
    getter.name = field.name
    getter.get = get_part
    getter.closure = <void *>field
    return PyDescr_NewGetSet(<PyTypeObject *>kind, getter)


cdef int finish(type kind, const sandesh_type *described) except -1:
    """Gives a message class its NAME, FIELDS, constructor and one attribute per field."""
    cdef dict attributes = <dict>(<TypeWithSlots *>kind).tp_dict
    cdef Message sample = kind.__new__(kind)
    cdef Py_ssize_t body = <char *>sample.body - <char *><PyObject *>sample
    cdef uint32_t index
    cdef list names = []
    for index in range(described.field_count):
        names.append(intern(described.fields[index].name.decode()))
        attributes[names[index]] = attribute(kind, &described.fields[index], body)
    attributes["NAME"] = described.name.decode()
    attributes["FIELDS"] = tuple(names)
    (<TypeWithSlots *>kind).tp_vectorcall = <vectorcallfunc>construct
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
