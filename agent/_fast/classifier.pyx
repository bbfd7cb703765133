"""Access lists compiled for matching, sets, and numbers of rules."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from uuid import UUID


cdef extern from "classifier/draft.h" nogil:
    enum cls_where:
        CLS_SRC
        CLS_DST

    struct cls_draft_line:
        uint32_t rule
        uint32_t vrf
        uint16_t actions
        int16_t qos
        int16_t mirror
        uint8_t ethertype
        bint ignore_acl

    struct cls_draft_service:
        uint16_t proto[2]
        uint16_t sport[2]
        uint16_t dport[2]

    struct cls_list:
        pass

    cls_list *cls_draft_new(classifier *)
    void cls_draft_free(cls_list *)
    bint cls_draft_rule(cls_list *, const cls_draft_line *)
    bint cls_draft_service_add "cls_draft_service"(cls_list *, const cls_draft_service *)
    bint cls_draft_tag_type(cls_list *, uint16_t)
    bint cls_draft_network(cls_list *, cls_where, const char *, size_t)
    void cls_draft_group(cls_list *, cls_where, uint32_t)
    bint cls_draft_tags(cls_list *, cls_where, const uint64_t *, size_t)
    bint cls_draft_prefix(cls_list *, cls_where, uint8_t, const uint8_t *, unsigned)
    bint cls_draft_tag_set(cls_list *, cls_where, const uint64_t *, size_t)
    bint cls_put(classifier *, uint32_t, cls_list *)


NO_SET = CLS_EMPTY_SET
MAX_RULES = CLS_RULES
RETIRED = 65536
OUTCOMES = ("no list", "unmatched", "held", "decided")
MISSES = (
    "holds", "ethertype", "protocol", "source port", "destination port",
    "source address", "source network", "source group", "source tags",
    "destination address", "destination network", "destination group", "destination tags",
    "tags of one type on both sides",
)
_RESERVED = tuple(UUID(int=number) for number in range(RULE_FIRST))


@dataclass(frozen=True, slots=True)
class Place:
    prefixes: tuple = ()
    network: str = ""
    group: int | None = None
    tags: tuple = ()
    tag_sets: tuple = ()


@dataclass(frozen=True, slots=True)
class Line:
    uuid: UUID
    actions: int
    source: Place
    destination: Place
    services: tuple
    ethertype: int = 0
    match_tag_types: tuple = ()
    mirror: int | None = None
    vrf: int | None = None
    qos: int | None = None
    ignore_acl: bool = False


@dataclass(frozen=True, slots=True)
class End:
    address: bytes
    networks: int = 0
    groups: int = 0
    tags: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    source: End
    destination: End
    protocol: int
    source_port: int = 0
    destination_port: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: int
    actions: int
    rule: int
    list: int | None
    vrf: int | None
    ignore_acl: bool
    mirrors: tuple
    qos: int | None


@dataclass(frozen=True, slots=True)
class Step:
    position: int
    rule: int
    actions: int
    miss: int


cdef uint64_t bounded(object number, object highest, str what) except? 0:
    if not 0 <= number <= highest:
        raise ValueError(f"{what} {number} is not in 0 to {highest}")
    return number


cdef object optional(object number, object highest, object none, str what):
    return none if number is None else bounded(number, highest, what)


cdef int must(bint done) except -1:
    if not done:
        raise MemoryError("the access list is too large")
    return 0


cdef int read_range(object pair, unsigned highest, str what, uint16_t *into) except -1:
    first, last = pair
    into[0] = <uint16_t>bounded(first, highest, what)
    into[1] = <uint16_t>bounded(last, highest, what)
    if first > last:
        raise ValueError(f"{what} range {first}-{last} ends before it begins")
    return 0


cdef uint64_t *read_numbers(object numbers, size_t count, object highest,
                            str what) except NULL:
    """A new array of the numbers, which the caller frees."""
    cdef uint64_t *array = <uint64_t *>malloc(max(count, 1) * sizeof(uint64_t))
    cdef size_t at
    if array == NULL:
        raise MemoryError
    try:
        for at in range(count):
            array[at] = bounded(numbers[at], highest, what)
    except BaseException:
        free(array)
        raise
    return array


cdef int draft_tags(cls_list *draft, cls_where where, tuple tags, bint as_set) except -1:
    cdef size_t count = len(tags)
    cdef uint64_t *array = read_numbers(tags, count, 0xffffffffffff, "tag")
    try:
        must(cls_draft_tag_set(draft, where, array, count) if as_set
             else cls_draft_tags(draft, where, array, count))
    finally:
        free(array)
    return 0


cdef int draft_prefix(cls_list *draft, cls_where where, object prefix) except -1:
    cdef uint8_t family
    if isinstance(prefix, IPv4Network):
        family = FLOW_INET
    elif isinstance(prefix, IPv6Network):
        family = FLOW_INET6
    else:
        raise ValueError(f"{prefix!r} is not a prefix")
    cdef bytes packed = prefix.network_address.packed
    must(cls_draft_prefix(draft, where, family, <const uint8_t *>PyBytes_AS_STRING(packed),
                          prefix.prefixlen))
    return 0


cdef int draft_place(cls_list *draft, cls_where where, object place) except -1:
    cdef bytes name
    if place.network:
        name = place.network.encode("utf-8", "surrogateescape")
        if len(name) > CLS_NAME_MAX:
            raise ValueError(f"a network's name has {len(name)} bytes; {CLS_NAME_MAX} at most")
        must(cls_draft_network(draft, where, PyBytes_AS_STRING(name), len(name)))
    if place.group is not None and place.group != -1:
        cls_draft_group(draft, where, bounded(place.group, CLS_ANY_GROUP - 1, "group"))
    draft_tags(draft, where, place.tags, False)
    for prefix in place.prefixes:
        draft_prefix(draft, where, prefix)
    for tags in place.tag_sets:
        draft_tags(draft, where, tags, True)
    return 0


cdef int draft_service(cls_list *draft, object service) except -1:
    cdef cls_draft_service made
    protocols, sources, destinations = service
    read_range(protocols, 255, "protocol", made.proto)
    read_range(sources, 65535, "port", made.sport)
    read_range(destinations, 65535, "port", made.dport)
    must(cls_draft_service_add(draft, &made))
    return 0


cdef int draft_line(cls_list *draft, object line, uint32_t number) except -1:
    cdef cls_draft_line made
    if line.ethertype not in (0, 4, 6):
        raise ValueError(f"ethertype {line.ethertype} is not 4, 6, or 0 for both")
    made.rule = number
    made.actions = <uint16_t>bounded(line.actions, ACTION_ALL, "actions")
    made.ethertype = line.ethertype
    made.ignore_acl = line.ignore_acl
    made.vrf = optional(line.vrf, 0xfffffffe, CLS_NONE, "VRF")
    made.qos = optional(line.qos, 0x7fff, -1, "QoS config")
    made.mirror = optional(line.mirror, 254, -1, "mirror")
    must(cls_draft_rule(draft, &made))
    for service in line.services:
        draft_service(draft, service)
    for kind in line.match_tag_types:
        must(cls_draft_tag_type(draft, <uint16_t>bounded(kind, 0xffff, "tag type")))
    draft_place(draft, CLS_SRC, line.source)
    draft_place(draft, CLS_DST, line.destination)
    return 0


cdef int read_end(object end, cls_end *into) except -1:
    cdef bytes address = end.address
    if PyBytes_GET_SIZE(address) not in (4, 16):
        raise ValueError(f"an address has 4 or 16 bytes, not {len(address)}")
    into.address = <const uint8_t *>PyBytes_AS_STRING(address)
    into.networks = end.networks
    into.groups = end.groups
    into.tags = end.tags
    return 0


cdef int read_probe(object probe, cls_packet *into) except -1:
    """The packet points into the probe's bytes."""
    read_end(probe.source, &into.src)
    read_end(probe.destination, &into.dst)
    if len(probe.source.address) != len(probe.destination.address):
        raise ValueError("the ends are of different families")
    into.family = FLOW_INET if len(probe.source.address) == 4 else FLOW_INET6
    into.proto = <uint8_t>bounded(probe.protocol, 255, "protocol")
    into.sport = <uint16_t>bounded(probe.source_port, 65535, "port")
    into.dport = <uint16_t>bounded(probe.destination_port, 65535, "port")
    return 0


cdef object as_verdict(cls_outcome outcome, const cls_verdict *verdict):
    return Verdict(
        outcome,
        verdict.actions,
        verdict.rule,
        None if verdict.list == CLS_NONE else verdict.list,
        None if verdict.vrf == CLS_NONE else verdict.vrf,
        bool(verdict.ignore_acl),
        tuple([verdict.mirror[at] for at in range(verdict.mirrors)]),
        None if verdict.qos < 0 else verdict.qos,
    )


cdef class Classifier:
    def __cinit__(self):
        self.table = cls_new()
        if self.table == NULL:
            raise MemoryError
        self._numbers = {}
        self._rules = {}  # number -> [UUID, references]
        self._lists = {}  # number of a list -> numbers of its rules
        self._retired = OrderedDict()  # numbers without references, oldest first
        self._next_rule = RULE_FIRST

    def __dealloc__(self):
        cls_free(self.table)

    @property
    def memory(self):
        return cls_memory(self.table)

    cdef tuple _take_rules(self, object lines):
        cdef list taken = []
        for line in lines:
            number = self._numbers.get(line.uuid)
            if number is None:
                number = self._new_rule(line.uuid)
            self._rules[number][1] += 1
            self._retired.pop(number, None)
            taken.append(number)
        return tuple(taken)

    def _new_rule(self, uuid):
        while self._next_rule < RULE_FIRST or self._next_rule in self._rules:
            self._next_rule += 1
        number = self._next_rule
        self._next_rule += 1
        self._numbers[uuid] = number
        self._rules[number] = [uuid, 0]
        return number

    cdef int _give_rules(self, tuple numbers) except -1:
        for number in numbers:
            rule = self._rules[number]
            rule[1] -= 1
            if not rule[1]:
                self._retired[number] = None
        while len(self._retired) > RETIRED:
            number, _ = self._retired.popitem(False)
            del self._numbers[self._rules.pop(number)[0]]
        return 0

    def put(self, number, lines):
        cdef uint32_t list_number = bounded(number, CLS_LISTS - 1, "access list")
        if len(lines) > CLS_RULES:
            raise ValueError(f"a list has {len(lines)} rules; {CLS_RULES} at most")
        cdef tuple numbers = self._take_rules(lines)
        cdef cls_list *draft = cls_draft_new(self.table)
        try:
            must(draft != NULL)
            for line, rule in zip(lines, numbers):
                draft_line(draft, line, rule)
            made, draft = draft, NULL
            must(cls_put(self.table, list_number, made))
        except BaseException:
            cls_draft_free(draft)
            self._give_rules(numbers)
            raise
        self._give_rules(self._lists.pop(number, ()))
        self._lists[number] = numbers

    def remove(self, number):
        cdef uint32_t list_number = bounded(number, CLS_LISTS - 1, "access list")
        cls_remove(self.table, list_number)
        self._give_rules(self._lists.pop(number, ()))

    def rules(self, number):
        return cls_rules(self.table, bounded(number, CLS_LISTS - 1, "access list"))

    def match(self, lists, probe):
        cdef cls_packet packet
        cdef cls_verdict verdict
        cdef cls_outcome outcome
        cdef uint32_t *numbers
        wanted = list(lists)
        cdef size_t count = len(wanted), at
        read_probe(probe, &packet)
        numbers = <uint32_t *>malloc(max(count, 1) * sizeof(uint32_t))
        if numbers == NULL:
            raise MemoryError
        try:
            for at in range(count):
                numbers[at] = wanted[at]
            memset(&verdict, 0, sizeof(verdict))
            verdict.qos = -1
            verdict.vrf = CLS_NONE
            outcome = cls_match(self.table, numbers, count, &packet, &verdict)
        finally:
            free(numbers)
        return as_verdict(outcome, &verdict)

    def explain(self, number, probe):
        cdef cls_packet packet
        cdef uint32_t list_number = bounded(number, CLS_LISTS - 1, "access list")
        cdef size_t room = cls_rules(self.table, list_number)
        cdef size_t count, at
        read_probe(probe, &packet)
        cdef cls_step *steps = <cls_step *>malloc(max(room, 1) * sizeof(cls_step))
        if steps == NULL:
            raise MemoryError
        try:
            count = cls_explain(self.table, list_number, &packet, steps, room)
            return [Step(steps[at].position, steps[at].rule, steps[at].actions, steps[at].miss)
                    for at in range(count)]
        finally:
            free(steps)

    cdef uint32_t _number_set(self, cls_kind kind, object numbers) except? 0:
        cdef size_t count = len(numbers)
        if count > CLS_SET_MEMBERS:
            raise ValueError(f"a set has {count} members; {CLS_SET_MEMBERS} at most")
        cdef uint64_t *members = read_numbers(numbers, count, 0xffffffffffff, "member")
        cdef uint32_t number = cls_set(self.table, kind, members, count)
        free(members)
        if number == CLS_NONE:
            raise MemoryError("no room for one more set")
        return number

    def networks(self, names):
        cdef list held = []
        cdef bytes text
        cdef uint32_t name
        try:
            for one in names:
                text = one.encode("utf-8", "surrogateescape")
                if len(text) > CLS_NAME_MAX:
                    raise ValueError(f"a network's name has {len(text)} bytes; "
                                     f"{CLS_NAME_MAX} at most")
                name = cls_name(self.table, PyBytes_AS_STRING(text), len(text))
                must(name != CLS_NONE)
                held.append(name)
            return self._number_set(CLS_NETWORKS, held)
        finally:
            for one in held:
                cls_name_release(self.table, one)

    def groups(self, numbers):
        return self._number_set(CLS_GROUPS, list(numbers))

    def tags(self, numbers):
        return self._number_set(CLS_TAGS, list(numbers))

    def hold(self, number):
        cls_set_hold(self.table, number)

    def release(self, number):
        cls_set_release(self.table, number)

    def rule_uuid(self, number):
        if 0 <= number < RULE_FIRST:
            return _RESERVED[number]
        rule = self._rules.get(number)
        return None if rule is None else rule[0]

    def rule_number(self, uuid):
        return self._numbers.get(uuid)
