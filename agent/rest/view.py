"""What the API reads of the operational state: the few attributes, as protocols."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from agent.values import Address, Mac, Prefix


class SubnetRow(Protocol):
    """An IPAM subnet; `agent.oper.rows.Subnet` is one."""

    @property
    def prefix(self) -> Prefix: ...
    @property
    def gateway(self) -> Address | None: ...
    @property
    def dns_server(self) -> Address | None: ...


class VnRow(Protocol):
    """A virtual network; `agent.oper.rows.Vn` is one."""

    @property
    def uuid(self) -> UUID: ...


class VmiRow(Protocol):
    """An operational interface; `agent.oper.rows.Vmi` is one. A nil `vm_uuid` means no VM yet."""

    @property
    def uuid(self) -> UUID: ...
    @property
    def vm_uuid(self) -> UUID: ...
    @property
    def vn(self) -> VnRow | None: ...
    @property
    def mac(self) -> Mac: ...
    @property
    def ip(self) -> Address | None: ...
    @property
    def ip6(self) -> Address | None: ...
    @property
    def subnet(self) -> SubnetRow | None: ...
    @property
    def subnet6(self) -> SubnetRow | None: ...


@dataclass(frozen=True, slots=True)
class VmiConfig:
    """An interface as configuration has it, whether it is plugged or not (GET /vm-cfg).

    `vn_name` is the colon-joined fq-name, None while the VN of the interface is not known;
    `mac` is None when none is allocated; `vlan_id` is the tag of a sub-interface.
    """

    uuid: UUID
    vm_uuid: UUID
    vn_uuid: UUID
    vn_name: str | None
    mac: Mac | None
    vlan_id: int | None = None
    annotations: tuple[tuple[str, str], ...] = ()


class OperationalView(Protocol):
    """Answers from the latest complete batch; each call must be cheap."""

    def vmi_by_uuid(self, uuid: UUID) -> VmiRow | None:
        """The operational interface, complete or not; None when it is not in the table."""

    def vmis_of_vm(self, vm_uuid: UUID) -> Iterable[UUID]:
        """Every interface that configuration ties to the VM, in any order."""

    def vm_config(self, vm_name: str) -> Sequence[VmiConfig]:
        """Every interface of the VMs with that config node name; empty when it is unknown."""
