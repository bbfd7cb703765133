# What goes into and comes out of a world, as Python sees it (types: flow_world.pyi).

class PortKind(IntEnum):
    VM = VIF_OF_VM
    HOST = VIF_OF_HOST
    FABRIC = VIF_OF_FABRIC
    AGENT = VIF_OF_AGENT


class Touch(IntEnum):
    VIF = TOUCH_VIF
    VIF_GONE = TOUCH_VIF_GONE
    ROUTE = TOUCH_ROUTE
    ALL = TOUCH_ALL


Floating = namedtuple(
    "Floating", "address fixed vrf inbound outbound mappings meta network_list",
    defaults=(True, True, None, 0, None),
)
Alias = namedtuple("Alias", "address vrf meta network_list", defaults=(0, None))
FatFlow = namedtuple(
    "FatFlow", "protocol port ignore source destination", defaults=(0, 0, None, None)
)
LinkLocal = namedtuple("LinkLocal", "address port servers server_port")
Packet = namedtuple(
    "Packet",
    "vif vrf key_nexthop protocol source destination source_port destination_port tcp_ack "
    "source_mac destination_mac tunnel label is_l2 tunnel_source",
    defaults=(0, 0, False, bytes(6), bytes(6), 0, 0, False, 0),
)


@dataclass(frozen=True, slots=True)
class Direction:
    key: object
    source_nexthop: object
    flags: object
    vrf: object
    dvrf: object
    action: object
    reason: object
    ttl: object
    ecmp: object
    mirror: object
    second_mirror: object
    qos: object
    policy_rule: object
    group_rule: object


@dataclass(frozen=True, slots=True)
class Decision:
    forward: object
    reverse: object
    reads: object
    flags: object
    bound_port: object


@dataclass(frozen=True, slots=True)
class Step:
    kind: object
    number: object
    other: object
    port: object
    check: object
    actions: object
    address: object
    length: object


@dataclass(frozen=True, slots=True)
class Landing:
    nexthop: object
    vif: object
    vrf: object
    is_l2: object
    control_word: object


@dataclass(frozen=True, slots=True)
class Sizes:
    ports: object
    vrfs: object
    routes: object
    bridges: object
    nexthops: object
    labels: object
    metas: object
    memory: object


STEPS = (
    "in_port", "landing", "fat", "alias", "source_route", "destination_route", "reverse_route",
    "ecmp", "out_port", "out_tunnel", "vrf_translate", "snat", "dnat", "link_local", "flood",
    "short", "skipped", "list", "rpf", "result",
)
CHECKS = ("mirror", "out_mirror") + tuple(
    f"{place}{what}"
    for what in ("network", "groups", "fwaas", "firewall")
    for place in ("", "out_", "reverse_", "reverse_out_")
)
