# Rules of fat flows, checked on their way into a vif (included by forwarding.pyx).

cdef bint fill_prefix(fat_prefix *out, prefix, uint8_t *family):
    """False: no prefix of an address, or one of another family than the rule's others."""
    cdef bytes address = prefix.address
    cdef int width = len(address) * 8
    if width not in (32, 128) or not 0 <= prefix.bits <= width or not 0 <= prefix.keep <= width:
        return False
    if family[0] not in (0, AF_V4 if width == 32 else AF_V6):
        return False
    family[0] = AF_V4 if width == 32 else AF_V6
    memcpy(out.address, <const char *>address, width // 8)
    out.bits = prefix.bits
    out.keep = prefix.keep
    return True


cdef bint fill_fat_rule(fat_rule *out, rule):
    out.proto = rule.proto & 0xff
    out.port = rule.port & 0xffff
    out.ignore = rule.ignore & 3
    out.by_source = rule.source is not None
    out.by_destination = rule.destination is not None
    if out.by_source and not fill_prefix(&out.source, rule.source, &out.family):
        return False
    return not out.by_destination or fill_prefix(&out.destination, rule.destination, &out.family)


cdef bint fill_exclude(fat_exclude *out, prefix):
    cdef bytes address = prefix[0]
    cdef int width = len(address) * 8
    if width not in (32, 128) or not 0 <= prefix[1] <= width:
        return False
    out.family = AF_V4 if width == 32 else AF_V6
    out.bits = prefix[1]
    memcpy(out.address, <const char *>address, width // 8)
    return True
