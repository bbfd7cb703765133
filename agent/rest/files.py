"""Stored ports: the text of a file, and what the shell is asked to do with it.

Paths are relative to the port directory, with "/" between their parts: `<vmi-uuid>` for
POST /port, `vm/<vm-name>/<vmi-uuid>` for POST /vm (facts rest-api.md 9).
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.inputs import ContainerPort, PluggedPort
from agent.rest.body import encode_pretty
from agent.rest.validate import REMOTE_PORT

CONTAINER_DIRECTORY = "vm"


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Replace the file at `path` by `text`, making its directory where needed."""

    path: str
    text: bytes


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove the file at `path`, if it is there, and its VM's directory once empty."""

    path: str


FileAction = WriteFile | RemoveFile


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file found in the port directory at start."""

    path: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who writes, and the time of the wall clock in seconds since 1970."""

    author: str
    wall: float

    def members(self) -> dict[str, str]:
        """The two members that close every record, `time` as H:MM:SS.ffffff since 1970."""
        seconds, micros = divmod(int(self.wall * 1_000_000), 1_000_000)
        minutes, second = divmod(seconds, 60)
        hours, minute = divmod(minutes, 60)
        return {"author": self.author, "time": f"{hours}:{minute:02}:{second:02}.{micros:06}"}


def port_path(port: PluggedPort | ContainerPort) -> str:
    """Where a port's file is written."""
    if isinstance(port, PluggedPort):
        return str(port.uuid)
    return f"{CONTAINER_DIRECTORY}/{port.vm_name}/{port.vmi_uuid}"


def _port_members(port: PluggedPort) -> dict[str, str | int]:
    members: dict[str, str | int] = {
        "id": str(port.uuid),
        "instance-id": str(port.instance_uuid),
        "display-name": port.display_name,
        "ip-address": str(port.ip),
        "ip6-address": str(port.ip6),
        "vn-id": str(port.vn_uuid),
        "vm-project-id": str(port.project_uuid),
        "mac-address": str(port.mac),
        "system-name": port.system_name,
        "type": port.port_type,
        "rx-vlan-id": port.rx_vlan_id,
        "tx-vlan-id": port.tx_vlan_id,
        "vhostuser-mode": port.vhostuser_mode,
    }
    if port.port_type == REMOTE_PORT:
        members["link-state"] = int(port.link_state)
    return members


def _container_members(port: ContainerPort) -> dict[str, str | int]:
    return {
        "vm-uuid": str(port.vm_uuid),
        "vn-uuid": str(port.vn_uuid),
        "vmi-uuid": str(port.vmi_uuid),
        "vm-id": port.vm_id,
        "vm-name": port.vm_name,
        "host-ifname": port.host_ifname,
        "vm-ifname": port.vm_ifname,
        "vm-namespace": port.vm_namespace,
    }


def write_port(port: PluggedPort | ContainerPort, stamp: Stamp) -> WriteFile:
    """The action that stores a port, its values normalised."""
    members = (
        _port_members(port) if isinstance(port, PluggedPort) else _container_members(port)
    ) | stamp.members()
    return WriteFile(port_path(port), encode_pretty(members))
