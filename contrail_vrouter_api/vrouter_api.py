"""Plugs ports through `vrouter-port-control`, and again later what failed."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

_COMMAND = "vrouter-port-control"
_LONGEST = 90.0
"""Seconds; the command itself gives up on an agent after 60."""
_PATIENCE = 5.0
"""Seconds of a call after which the other ports that wait are left for the next one."""
_PORT_TYPES = {0: "NovaVMPort", 1: "NameSpacePort", 2: "ESXiPort", "NovaVMPort": "NovaVMPort"}
_log = logging.getLogger(__name__)


class ContrailVRouterApi:
    """Plugs and unplugs ports; what could not be plugged is tried again at each later call.

    `semaphore` is held during each call, for callers with several threads. `server_port` and
    `doconnect` are taken for callers that pass them, without effect.
    """

    def __init__(
        self,
        server_port: int = 9090,
        doconnect: bool = False,
        semaphore: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._held = semaphore if semaphore is not None else nullcontext()
        self._pending: dict[str, list[str]] = {}

    def add_port(
        self,
        vm_uuid_str: str,
        vif_uuid_str: str,
        interface_name: str,
        mac_address: str,
        **more: Any,
    ) -> bool:
        """Plug a port; False when that failed, and is tried again later.

        Keywords: ip_address, ip6_address, vn_id, display_name, vm_project_id, port_type (0 or
        "NovaVMPort": a VM, 2: ESXi, anything else: a namespace), vlan (to the port), rx_vlan.
        """
        arguments = _quoted(
            oper="add",
            uuid=vif_uuid_str,
            instance_uuid=vm_uuid_str,
            vn_uuid=more.get("vn_id", ""),
            vm_project_uuid=str(more.get("vm_project_id", "")).replace("-", ""),
            ip_address=more.get("ip_address", "0.0.0.0"),
            ipv6_address=more.get("ip6_address", ""),
            vm_name=more.get("display_name", ""),
            mac=mac_address,
            tap_name=interface_name,
            port_type=_PORT_TYPES.get(more.get("port_type", 1), "NameSpacePort"),
            vif_type="Vrouter",
            tx_vlan_id=more.get("vlan", -1),
            rx_vlan_id=more.get("rx_vlan", -1),
        )
        with self._held:
            done = _run(arguments)
            self._pending.pop(str(vif_uuid_str), None)
            if not done:
                self._pending[str(vif_uuid_str)] = arguments
            self._retry(but=str(vif_uuid_str))
            return done

    def delete_port(self, vif_uuid_str: str) -> None:
        """Unplug a port; one that was never plugged is forgotten, and its file removed."""
        with self._held:
            self._pending.pop(str(vif_uuid_str), None)
            _run(["--oper=delete", f"--uuid={vif_uuid_str}"])
            self._retry()

    def enable_port(self, vif_uuid_str: str) -> bool:
        """Set a port's link up; whether that worked."""
        return self._set("enable", vif_uuid_str)

    def disable_port(self, vif_uuid_str: str) -> bool:
        """Set a port's link down; whether that worked."""
        return self._set("disable", vif_uuid_str)

    def periodic_connection_check(self) -> None:
        """Try again what could not be plugged; callers do so every few seconds."""
        with self._held:
            self._retry()

    def _set(self, operation: str, vif_uuid: str) -> bool:
        with self._held:
            self._retry()
            return _run([f"--oper={operation}", f"--uuid={vif_uuid}"])

    def _retry(self, but: str = "") -> None:
        """Plug what waits, those that waited longest first, as far as there is time.

        An agent that does not answer lets each command wait: it must not hold the caller up
        once for each port.
        """
        started = time.monotonic()
        for vif_uuid in [one for one in self._pending if one != but]:
            if time.monotonic() - started > _PATIENCE:
                return
            arguments = self._pending.pop(vif_uuid)
            if not _run(arguments):
                self._pending[vif_uuid] = arguments


def _quoted(**values: object) -> list[str]:
    """Arguments whose values stand in double quotes, so that they may hold blanks and dashes."""
    return [
        '--{}="{}"'.format(name, str(value).replace('"', "'")) for name, value in values.items()
    ]


def _run(arguments: list[str]) -> bool:
    """Whether the command did it. It is that of PATH, else the one beside this Python."""
    command = shutil.which(_COMMAND) or str(Path(sys.executable).with_name(_COMMAND))
    try:
        done = subprocess.run(
            [command, *arguments], capture_output=True, text=True, timeout=_LONGEST, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.warning("%s: %s", _COMMAND, error)
        return False
    if done.returncode:
        _log.warning(
            "%s: exit %d: %s", _COMMAND, done.returncode, (done.stdout + done.stderr).strip()
        )
    return done.returncode == 0
