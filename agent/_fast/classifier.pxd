"""C declarations of the classifier (agent/_fast/src/classifier/classifier.h)."""

from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "classifier/classifier.h" nogil:
    const uint32_t CLS_NONE
    const uint32_t CLS_EMPTY_SET
    const uint32_t CLS_ANY_GROUP
    enum:
        CLS_LISTS
        CLS_RULES
        CLS_NAME_MAX
        CLS_SET_MEMBERS
        CLS_MIRRORS
        FLOW_INET
        FLOW_INET6
        RULE_FIRST
        MISS_MAX

    enum cls_outcome:
        CLS_NO_LIST
        CLS_UNMATCHED
        CLS_HELD
        CLS_DECIDED

    enum cls_action:
        ACTION_PASS
        ACTION_DENY
        ACTION_REJECT
        ACTION_LOG
        ACTION_ALERT
        ACTION_MIRROR
        ACTION_VRF
        ACTION_QOS
        ACTION_HBS
        ACTION_TERMINAL
        ACTION_ALL

    enum cls_kind:
        CLS_NETWORKS
        CLS_GROUPS
        CLS_TAGS

    struct cls_end:
        const uint8_t *address
        uint32_t networks
        uint32_t groups
        uint32_t tags

    struct cls_packet:
        uint8_t family
        uint8_t proto
        uint16_t sport
        uint16_t dport
        cls_end src
        cls_end dst

    struct cls_verdict:
        uint16_t actions
        bint ignore_acl
        uint8_t mirrors
        uint8_t mirror[2]
        int16_t qos
        uint32_t vrf
        uint32_t rule
        uint32_t list

    struct cls_step:
        uint32_t position
        uint32_t rule
        uint16_t actions
        uint8_t miss

    struct classifier:
        pass

    classifier *cls_new()
    void cls_free(classifier *)
    cls_outcome cls_match(const classifier *, const uint32_t *, size_t, const cls_packet *,
                          cls_verdict *)
    size_t cls_explain(const classifier *, uint32_t, const cls_packet *, cls_step *, size_t)
    uint32_t cls_set(classifier *, cls_kind, uint64_t *, size_t)
    void cls_set_hold(classifier *, uint32_t)
    void cls_set_release(classifier *, uint32_t)
    const uint64_t *cls_set_members(const classifier *, uint32_t, size_t *)
    uint32_t cls_name(classifier *, const char *, size_t)
    void cls_name_release(classifier *, uint32_t)
    const char *cls_name_text(const classifier *, uint32_t, size_t *)
    void cls_remove(classifier *, uint32_t)
    size_t cls_rules(const classifier *, uint32_t)
    size_t cls_memory(const classifier *)


cdef class Classifier:
    """`table` is what C callers match against; it lives as long as this object."""
    cdef classifier *table
    cdef dict _numbers
    cdef dict _rules
    cdef dict _lists
    cdef object _retired
    cdef uint32_t _next_rule

    cdef uint32_t _number_set(self, cls_kind kind, object numbers) except? 0
    cdef tuple _take_rules(self, object lines)
    cdef int _give_rules(self, tuple numbers) except -1
