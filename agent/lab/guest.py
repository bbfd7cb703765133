"""One VM of a lab: a namespace whose address comes from a real DHCP client."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from agent.lab.messages import Lease, VmState
from agent.lab.plan import VM_INTERFACE
from agent.lab.processes import Daemon, Node
from agent.topology import Vm

SCRIPT = Path("/run/udhcpc-event")
VM_DIR = Path("/run/vm")
"""A VM's own directory as the VM sees it."""

LEASE_SECONDS = 20.0
_FIELDS = 6


class Guest:
    """A VM with its DHCP client."""

    def __init__(self, vm: Vm, logs: Path) -> None:
        self.vm = vm
        self.node: Node | None = None
        self.lease: Lease | None = None
        self._bound = asyncio.Event()
        self._started = 0.0
        client = [
            "udhcpc",
            "-f",
            "-i",
            VM_INTERFACE,
            "-s",
            str(SCRIPT),
            "-x",
            f"hostname:{vm.name}",
        ]
        timing = ["-t", "5", "-T", "1", "-A", "1"]
        wanted = ["-O", "staticroutes", "-O", "mtu"]
        self._client = Daemon(
            f"the DHCP client of {vm.name}",
            [*client, *timing, *wanted],
            logs / f"{vm.name}-dhcp.log",
            self._event,
        )

    def _event(self, line: str) -> None:
        fields = line.split("\t")
        if len(fields) != _FIELDS:
            return
        event, address, router, dns, domain, lease_time = fields
        if event == "deconfig":
            self.lease = None
        elif event == "bound":
            seconds = time.monotonic() - self._started
            self.lease = Lease(address, router, dns, domain, int(lease_time), seconds)
            self._bound.set()

    async def boot(self) -> None:
        """Start the DHCP client and wait for its lease; LabError if none comes."""
        assert self.node, "bring-up makes the node first"
        self.lease = None
        self._bound.clear()
        self._started = time.monotonic()
        await self._client.start(self.node)
        await self._client.until("lease", self._has_lease, LEASE_SECONDS)

    async def _has_lease(self) -> bool:
        return self._bound.is_set()

    async def stop(self) -> None:
        """End the DHCP client; the address stays, as on a VM whose client was killed."""
        await self._client.stop()

    def state(self) -> VmState:
        """How the VM is, for `status`."""
        vm = self.vm
        return VmState(vm.name, vm.host, vm.network, vm.tap, str(vm.mac), self.lease)
