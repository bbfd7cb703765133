# What other kernels may cimport of a generated codec: the message base class.
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "sandesh/wire.h":
    ctypedef struct sandesh_field:
        const char *name
        int16_t id
        uint8_t wire
        uint8_t kind
        uint8_t elem_wire
        uint8_t elem_kind
        uint8_t elem_size
        uint8_t blob
        uint32_t offset

    ctypedef struct sandesh_fault:
        const char *what
        const uint8_t *where
        const sandesh_field *field

    ctypedef struct sandesh_type:
        const char *name
        uint32_t name_size
        uint32_t index
        const sandesh_field *fields
        uint32_t field_count
        uint32_t blob_count
        uint32_t body_size
        uint32_t lengths
        uint32_t fixed_size
        uint8_t *(*write)(const void *body, const uint8_t *blob, uint8_t *out) noexcept nogil

    enum:
        KIND_BOOL
        KIND_I8
        KIND_I16
        KIND_I32
        KIND_I64
        KIND_U16
        KIND_U32
        KIND_U64
        KIND_TEXT
        KIND_BINARY
        KIND_LIST

    const uint8_t *sandesh_read(const sandesh_type *type, uint8_t *body, const uint8_t **parts,
                                const uint8_t *at, const uint8_t *end,
                                sandesh_fault *fault) noexcept nogil
    uint16_t sandesh_get16(const uint8_t *at) noexcept nogil
    uint32_t sandesh_get32(const uint8_t *at) noexcept nogil
    uint64_t sandesh_get64(const uint8_t *at) noexcept nogil


cdef class Message:
    cdef const sandesh_type *type   # never NULL once made
    cdef uint8_t *body              # the struct of the subclass, inside this object
    cdef bytes blob                 # texts and lists one after the other; None when empty
