"""The bodies of GET answers; None where the answer is 404 (facts rest-api.md 5 and 6)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agent.inputs import ContainerPort, PluggedPort
from agent.rest.files import Stamp
from agent.rest.ports import PortStore
from agent.rest.validate import NIL, NO_VLAN
from agent.rest.view import OperationalView, SubnetRow, VmiConfig, VmiRow
from agent.values import Address

Record = dict[str, Any]


def _plugged(store: PortStore, vmi: VmiRow, vn: UUID) -> PluggedPort | ContainerPort | None:
    return store.port(vmi.uuid) or store.container(vmi.vm_uuid, vn, vmi.uuid)


def _project(port: PluggedPort | ContainerPort) -> UUID:
    return port.project_uuid if isinstance(port, PluggedPort) else NIL


def _interface(port: PluggedPort | ContainerPort) -> str:
    return port.system_name if isinstance(port, PluggedPort) else port.host_ifname


def _vhostuser_mode(port: PluggedPort | ContainerPort) -> int:
    return port.vhostuser_mode if isinstance(port, PluggedPort) else 0


def _service(address: Address | None, unset: str) -> str:
    return unset if address is None else str(address)


def _ip4_members(ip: Address | None, subnet: SubnetRow | None) -> Record:
    if ip is None or subnet is None:
        return {}
    return {
        "ip-address": str(ip),
        "plen": subnet.prefix.prefixlen,
        "dns-server": _service(subnet.dns_server, "0.0.0.0"),
        "gateway": _service(subnet.gateway, "0.0.0.0"),
    }


def _ip6_members(ip: Address | None, subnet: SubnetRow | None) -> Record:
    if ip is None or subnet is None:
        return {}
    return {
        "v6-ip-address": str(ip),
        "v6-dns-server": _service(subnet.dns_server, "::"),
        "v6-gateway": _service(subnet.gateway, "::"),
    }


def port_answer(store: PortStore, view: OperationalView, uuid: UUID, stamp: Stamp) -> Record | None:
    """The operational record of an interface; None until config has completed it."""
    vmi = None if uuid == NIL else view.vmi_by_uuid(uuid)
    if vmi is None or vmi.vm_uuid == NIL or vmi.vn is None:
        return None
    port = _plugged(store, vmi, vmi.vn.uuid)
    addresses = _ip4_members(vmi.ip, vmi.subnet) | _ip6_members(vmi.ip6, vmi.subnet6)
    if port is None or not addresses:
        return None
    return {
        "id": str(vmi.uuid),
        "instance-id": str(vmi.vm_uuid),
        "vn-id": str(vmi.vn.uuid),
        "vm-project-id": str(_project(port)),
        "mac-address": str(vmi.mac),
        "system-name": _interface(port),
        # Those of the interface: only a VMware host gives it any.
        "rx-vlan-id": NO_VLAN,
        "tx-vlan-id": NO_VLAN,
        "vhostuser-mode": _vhostuser_mode(port),
        **addresses,
        **stamp.members(),
    }


def vm_answer(
    store: PortStore, view: OperationalView, vm: UUID, vmi: UUID | None, stamp: Stamp
) -> list[Record] | None:
    """The records of all interfaces of a VM (or of the one named); None unless all are complete.

    The VM of a named interface is not compared, as clients of meta plug-ins rely on it.
    """
    if vm == NIL:
        return None
    uuids = sorted(set(view.vmis_of_vm(vm))) if vmi is None else [vmi]
    records = [port_answer(store, view, uuid, stamp) for uuid in uuids]
    complete = [record for record in records if record is not None]
    return complete if complete and len(complete) == len(records) else None


def _config_record(vmi: VmiConfig) -> Record:
    record: Record = {
        "id": str(vmi.uuid),
        "vm-uuid": str(vmi.vm_uuid),
        "vn-id": str(vmi.vn_uuid),
        "vn-name": vmi.vn_name,
        "mac-address": "" if vmi.mac is None else str(vmi.mac),
        "sub-interface": vmi.vlan_id is not None,
        "vlan-id": NO_VLAN if vmi.vlan_id is None else vmi.vlan_id,
    }
    if vmi.annotations:
        record["annotations"] = [f"{{{key}:{value}}}" for key, value in vmi.annotations]
    return record


def vm_config_answer(view: OperationalView, vm_name: str) -> list[Record] | None:
    """What configuration says of a VM's interfaces; None while the VN of any is unknown."""
    vmis = sorted(view.vm_config(vm_name), key=lambda vmi: vmi.uuid)
    if not vmis or any(vmi.vn_name is None for vmi in vmis):
        return None
    return [_config_record(vmi) for vmi in vmis]
