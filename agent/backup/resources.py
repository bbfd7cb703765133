"""Made by sandeshc from resources.sandesh; changes are lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Final, Protocol, TypeAlias
from uuid import UUID

from agent.sandesh import runtime


@dataclass(kw_only=True, slots=True)
class NumbersSandesh(runtime.Record):
    """buffer NumbersSandesh."""

    SPEC: ClassVar[runtime.Spec]
    vif: dict[int, str] = field(default_factory=dict)
    nexthop: dict[int, str] = field(default_factory=dict)
    label: dict[int, str] = field(default_factory=dict)
    vrf: dict[int, str] = field(default_factory=dict)
    mirror: dict[int, str] = field(default_factory=dict)
    qos_map: dict[int, str] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class InterfaceIndexResource(runtime.Record):
    """struct InterfaceIndexResource."""

    SPEC: ClassVar[runtime.Spec]
    type: str = ""
    uuid: str = ""
    name: str = ""
    policy: bool = False
    flags: int = 0
    mac: str = ""
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class VrfMplsResource(runtime.Record):
    """struct VrfMplsResource."""

    SPEC: ClassVar[runtime.Spec]
    name: str = ""
    bridge_nh: bool = False
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class VlanMplsResource(runtime.Record):
    """struct VlanMplsResource."""

    SPEC: ClassVar[runtime.Spec]
    uuid: str = ""
    tag: int = 0
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class RouteMplsResource(runtime.Record):
    """struct RouteMplsResource."""

    SPEC: ClassVar[runtime.Spec]
    vrf_name: str = ""
    route_prefix: str = ""
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class VmInterfaceIndexResource(runtime.Record):
    """struct VmInterfaceIndexResource."""

    SPEC: ClassVar[runtime.Spec]
    uuid: str = ""
    interface_name: str = ""
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class VrfIndexResource(runtime.Record):
    """struct VrfIndexResource."""

    SPEC: ClassVar[runtime.Spec]
    vrf_name: str = ""
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class QosIndexResource(runtime.Record):
    """struct QosIndexResource."""

    SPEC: ClassVar[runtime.Spec]
    uuid: str = ""
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class BgpAsServiceIndexResource(runtime.Record):
    """struct BgpAsServiceIndexResource."""

    SPEC: ClassVar[runtime.Spec]
    uuid: str = ""
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True, unsafe_hash=True)
class MirrorIndexResource(runtime.Record):
    """struct MirrorIndexResource."""

    SPEC: ClassVar[runtime.Spec]
    analyzer_name: str = ""
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class InterfaceIndexResourceMapSandesh(runtime.Record):
    """buffer InterfaceIndexResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, InterfaceIndexResource] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class VrfMplsResourceMapSandesh(runtime.Record):
    """buffer VrfMplsResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, VrfMplsResource] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class VlanMplsResourceMapSandesh(runtime.Record):
    """buffer VlanMplsResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, VlanMplsResource] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class RouteMplsResourceMapSandesh(runtime.Record):
    """buffer RouteMplsResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, RouteMplsResource] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class VmInterfaceIndexResourceMapSandesh(runtime.Record):
    """buffer VmInterfaceIndexResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, VmInterfaceIndexResource] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class VrfIndexResourceMapSandesh(runtime.Record):
    """buffer VrfIndexResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, VrfIndexResource] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class QosIndexResourceMapSandesh(runtime.Record):
    """buffer QosIndexResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, QosIndexResource] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class BgpAsServiceIndexResourceMapSandesh(runtime.Record):
    """buffer BgpAsServiceIndexResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, BgpAsServiceIndexResource] = field(default_factory=dict)
    time_stamp: int = 0


@dataclass(kw_only=True, slots=True)
class MirrorIndexResourceMapSandesh(runtime.Record):
    """buffer MirrorIndexResourceMapSandesh."""

    SPEC: ClassVar[runtime.Spec]
    index_map: dict[int, MirrorIndexResource] = field(default_factory=dict)
    time_stamp: int = 0


NumbersSandesh.SPEC = runtime.Spec(
    'NumbersSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'vif', 'vif', runtime.MapOf(runtime.U32, runtime.STRING)),
        runtime.FieldSpec(2, 'nexthop', 'nexthop', runtime.MapOf(runtime.U32, runtime.STRING)),
        runtime.FieldSpec(3, 'label', 'label', runtime.MapOf(runtime.U32, runtime.STRING)),
        runtime.FieldSpec(4, 'vrf', 'vrf', runtime.MapOf(runtime.U32, runtime.STRING)),
        runtime.FieldSpec(5, 'mirror', 'mirror', runtime.MapOf(runtime.U32, runtime.STRING)),
        runtime.FieldSpec(6, 'qos_map', 'qos_map', runtime.MapOf(runtime.U32, runtime.STRING)),
        runtime.FieldSpec(7, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
InterfaceIndexResource.SPEC = runtime.Spec(
    'InterfaceIndexResource',
    'struct',
    (
        runtime.FieldSpec(1, 'type', 'type', runtime.STRING),
        runtime.FieldSpec(2, 'uuid', 'uuid', runtime.STRING),
        runtime.FieldSpec(3, 'name', 'name', runtime.STRING),
        runtime.FieldSpec(4, 'policy', 'policy', runtime.BOOL),
        runtime.FieldSpec(5, 'flags', 'flags', runtime.U16),
        runtime.FieldSpec(6, 'mac', 'mac', runtime.STRING),
        runtime.FieldSpec(7, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
VrfMplsResource.SPEC = runtime.Spec(
    'VrfMplsResource',
    'struct',
    (
        runtime.FieldSpec(1, 'name', 'name', runtime.STRING),
        runtime.FieldSpec(2, 'bridge_nh', 'bridge_nh', runtime.BOOL),
        runtime.FieldSpec(3, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
VlanMplsResource.SPEC = runtime.Spec(
    'VlanMplsResource',
    'struct',
    (
        runtime.FieldSpec(1, 'uuid', 'uuid', runtime.STRING),
        runtime.FieldSpec(2, 'tag', 'tag', runtime.U16),
        runtime.FieldSpec(3, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
RouteMplsResource.SPEC = runtime.Spec(
    'RouteMplsResource',
    'struct',
    (
        runtime.FieldSpec(1, 'vrf_name', 'vrf_name', runtime.STRING),
        runtime.FieldSpec(2, 'route_prefix', 'route_prefix', runtime.STRING),
        runtime.FieldSpec(3, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
VmInterfaceIndexResource.SPEC = runtime.Spec(
    'VmInterfaceIndexResource',
    'struct',
    (
        runtime.FieldSpec(1, 'uuid', 'uuid', runtime.STRING),
        runtime.FieldSpec(2, 'interface_name', 'interface_name', runtime.STRING),
        runtime.FieldSpec(3, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
VrfIndexResource.SPEC = runtime.Spec(
    'VrfIndexResource',
    'struct',
    (
        runtime.FieldSpec(1, 'vrf_name', 'vrf_name', runtime.STRING),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
QosIndexResource.SPEC = runtime.Spec(
    'QosIndexResource',
    'struct',
    (
        runtime.FieldSpec(1, 'uuid', 'uuid', runtime.STRING),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
BgpAsServiceIndexResource.SPEC = runtime.Spec(
    'BgpAsServiceIndexResource',
    'struct',
    (
        runtime.FieldSpec(1, 'uuid', 'uuid', runtime.STRING),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
MirrorIndexResource.SPEC = runtime.Spec(
    'MirrorIndexResource',
    'struct',
    (
        runtime.FieldSpec(1, 'analyzer_name', 'analyzer_name', runtime.STRING),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
InterfaceIndexResourceMapSandesh.SPEC = runtime.Spec(
    'InterfaceIndexResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(InterfaceIndexResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
VrfMplsResourceMapSandesh.SPEC = runtime.Spec(
    'VrfMplsResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(VrfMplsResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
VlanMplsResourceMapSandesh.SPEC = runtime.Spec(
    'VlanMplsResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(VlanMplsResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
RouteMplsResourceMapSandesh.SPEC = runtime.Spec(
    'RouteMplsResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(RouteMplsResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
VmInterfaceIndexResourceMapSandesh.SPEC = runtime.Spec(
    'VmInterfaceIndexResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(VmInterfaceIndexResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
VrfIndexResourceMapSandesh.SPEC = runtime.Spec(
    'VrfIndexResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(VrfIndexResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
QosIndexResourceMapSandesh.SPEC = runtime.Spec(
    'QosIndexResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(QosIndexResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
BgpAsServiceIndexResourceMapSandesh.SPEC = runtime.Spec(
    'BgpAsServiceIndexResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(BgpAsServiceIndexResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)
MirrorIndexResourceMapSandesh.SPEC = runtime.Spec(
    'MirrorIndexResourceMapSandesh',
    'buffer',
    (
        runtime.FieldSpec(1, 'index_map', 'index_map', runtime.MapOf(runtime.U32, runtime.StructOf(MirrorIndexResource))),
        runtime.FieldSpec(2, 'time_stamp', 'time_stamp', runtime.U64),
    ),
)


MESSAGES: Final[dict[str, type[runtime.Record]]] = {
    'NumbersSandesh': NumbersSandesh,
    'InterfaceIndexResourceMapSandesh': InterfaceIndexResourceMapSandesh,
    'VrfMplsResourceMapSandesh': VrfMplsResourceMapSandesh,
    'VlanMplsResourceMapSandesh': VlanMplsResourceMapSandesh,
    'RouteMplsResourceMapSandesh': RouteMplsResourceMapSandesh,
    'VmInterfaceIndexResourceMapSandesh': VmInterfaceIndexResourceMapSandesh,
    'VrfIndexResourceMapSandesh': VrfIndexResourceMapSandesh,
    'QosIndexResourceMapSandesh': QosIndexResourceMapSandesh,
    'BgpAsServiceIndexResourceMapSandesh': BgpAsServiceIndexResourceMapSandesh,
    'MirrorIndexResourceMapSandesh': MirrorIndexResourceMapSandesh,
}
