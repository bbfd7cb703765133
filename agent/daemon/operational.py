"""What the port API reads of the operational state, over the rows of `oper`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from agent.oper.compiler import Compiler
from agent.oper.lookup import ConfiguredVmi
from agent.oper.rows import Vmi
from agent.rest.view import VmiConfig


class Operational:
    """Answers from the latest complete batch."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler

    def vmi_by_uuid(self, uuid: UUID) -> Vmi | None:
        """The operational interface, complete or not."""
        return self._compiler.vmi_by_uuid(uuid)

    def vmis_of_vm(self, vm_uuid: UUID) -> Iterable[UUID]:
        """Every interface that configuration ties to the VM."""
        return [row.uuid for row in self._compiler.configured_vmis(vm_uuid=vm_uuid)]

    def vm_config(self, vm_name: str) -> Sequence[VmiConfig]:
        """Every interface of the VM with that config node name."""
        return [_config(row) for row in self._compiler.configured_vmis(vm_name=vm_name)]


def _config(row: ConfiguredVmi) -> VmiConfig:
    return VmiConfig(
        row.uuid,
        row.vm_uuid,
        row.vn_uuid,
        row.vn_name,
        row.mac,
        row.vlan_id,
        row.annotations,
    )
