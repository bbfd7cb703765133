# cython: boundscheck=False
"""New inet and inet6 routes of controllers that lead one way, from path to desired object.

A full table is made of nothing else. What all routes of a VRF have in common is prepared
once (`Network`); for each only its prefix, label and ARP flag are looked at. Whatever is
not plain is handed back, for `oper.territory` to judge one by one.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from agent._fast.sandesh cimport VrRouteReq

from agent.objects import Desired, Key, Kind

cdef object INET_ROUTE = Kind.INET_ROUTE
cdef object new_tuple = tuple.__new__
cdef int LABEL_VALID = 1
cdef int PROXY = 2
cdef int FLOOD = 8
cdef int INET = 2
cdef int INET6 = 10
cdef int MOST_LABEL = 0xFFFFF


cdef class Network:
    """A VRF as its plain routes see it: name, index, and how ARP for them is answered.

    `always` is the ARP flag of all routes, 0 where it depends: PROXY for those of other
    networks than `network`, else FLOOD for the subnets (bytes of a prefix, its length) and
    the hosts in them, else PROXY.
    """

    cdef object vrf
    cdef int index
    cdef object network
    cdef int always
    cdef list subnets
    cdef list lengths
    cdef VrRouteReq inet
    cdef VrRouteReq inet6

    def __init__(self, vrf, int index, network, int always, subnets):
        self.vrf = vrf
        self.index = index
        self.network = network
        self.always = always
        self.subnets = [prefix for prefix, _ in subnets]
        self.lengths = [length for _, length in subnets]
        # The lengths of texts and lists are found once; the fields are set for each route.
        self.inet = VrRouteReq(rtr_family=INET, rtr_vrf_id=index, rtr_prefix=bytes(4))
        self.inet6 = VrRouteReq(rtr_family=INET6, rtr_vrf_id=index, rtr_prefix=bytes(16))

    cdef int arp(self, bytes prefix, int length, nexthop):
        if self.always:
            return self.always
        if nexthop.virtual_network != self.network:
            return PROXY
        return FLOOD if self.floods(prefix, length) else PROXY

    cdef bint floods(self, bytes prefix, int length):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(prefix), index
        cdef const uint8_t *own = <const uint8_t *>PyBytes_AS_STRING(prefix)
        cdef const uint8_t *net
        cdef int bits, spare
        cdef bytes subnet
        for index in range(len(self.subnets)):
            subnet = self.subnets[index]
            bits = self.lengths[index]
            if PyBytes_GET_SIZE(subnet) != size or (length != bits and length != 8 * size):
                continue
            net = <const uint8_t *>PyBytes_AS_STRING(subnet)
            if memcmp(own, net, bits // 8):
                continue
            spare = 8 - bits % 8
            if spare == 8 or (own[bits // 8] ^ net[bits // 8]) >> spare == 0:
                return True
        return False

    cdef VrRouteReq message(self, bytes prefix, int length, int nexthop, int label, int flags):
        cdef VrRouteReq like = self.inet if PyBytes_GET_SIZE(prefix) == 4 else self.inet6
        cdef VrRouteReq made = VrRouteReq.__new__(VrRouteReq)
        made.fields = like.fields
        made.fields.rtr_prefix_len = length
        made.fields.rtr_nh_id = nexthop
        made.fields.rtr_label = label
        made.fields.rtr_label_flags = <short>flags
        made.blob = prefix
        return made


def take(changes, dict paths, dict vias, watched, hold, dict due):
    """Take over the first paths of routes, `changes` being (prefix, path or None) pairs.

    `hold(nexthop)` counts one use of the direction to where a nexthop leads and gives it.
    Gives the changes that are of another kind: known or watched routes, retractions, several
    ways or none, no usable label.
    """
    cdef list rest = []
    cdef dict known = {}
    for change in changes:
        to, path = change
        if path is None or to in paths or to in watched:
            rest.append(change)
            continue
        nexthops = path.nexthops
        if len(<tuple>nexthops) != 1:
            rest.append(change)
            continue
        nexthop = (<tuple>nexthops)[0]
        if not 0 < nexthop.label <= MOST_LABEL:
            rest.append(change)
            continue
        where = (nexthop.address._ip, nexthop.encapsulations)
        via = known.get(where)
        if via is None:
            via = known[where] = hold(nexthop)
        else:
            via.uses += 1
        paths[to] = path
        vias[to] = via
        due[to] = None
    return rest


def make(keys, dict paths, dict vias, stitched, dict refs, Network network not None,
         dict store, dict made):
    """Put the desired objects of new routes into `store` and `made`.

    `refs` are the references by nexthop, filled as far as they were needed before;
    `stitched` has the addresses whose MAC is known. Gives the keys of other routes: made
    before, of several ways, leading to this host or nowhere, with references not in `refs`.
    """
    cdef list rest = []
    cdef bytes prefix
    cdef int length, label, flags
    for to in keys:
        via = vias.get(to)
        lead = None if via is None else via.lead
        prefix, length = to
        if lead is None or to in store or prefix in stitched:
            rest.append(to)
            continue
        nexthop, index, labelled, own, composite = lead
        references = refs.get(nexthop)
        if references is None or own or composite or not labelled:
            rest.append(to)
            continue
        way = (<tuple>(paths[to]).nexthops)[0]
        label = way.label
        flags = LABEL_VALID | network.arp(prefix, length, way)
        key = new_tuple(Key, (INET_ROUTE, (network.vrf, to)))
        message = network.message(prefix, length, index, label, flags)
        desired = new_tuple(Desired, (key, references, message))
        store[to] = desired
        made[key] = desired
    return rest
