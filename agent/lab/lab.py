"""A lab from inside its sandbox: builds nodes and links, runs hosts, controllers and VMs."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.lab.control import ControlNode
from agent.lab.errors import LabError
from agent.lab.guest import SCRIPT, VM_DIR, Guest
from agent.lab.host import HostNode
from agent.lab.messages import Role, State
from agent.lab.plan import RUN_DIR, Plan, port_request
from agent.lab.processes import Node, run, tail
from agent.lab.remote import missing_routes
from agent.lab.sandbox import NODES

SETTLE_SECONDS = 30.0
"""How long sessions and routes may take to be there."""

SETTLE_POLL_SECONDS = 0.05
_RUN = Path("/run")
_RESOLVER = Path("/etc/resolv.conf")

# Without these the host's own stack would answer and speak on the VMs' links, and take what
# the fabric brings before the datapath hands it over on vhost0.
_HOST_SYSCTLS = {
    "net/ipv4/ip_forward": 0,
    "net/ipv4/conf/all/arp_ignore": 1,
    "net/ipv4/conf/all/rp_filter": 1,
    "net/ipv6/conf/all/disable_ipv6": 1,
    "net/ipv6/conf/default/disable_ipv6": 1,
}


class Lab:
    """Everything of one topology. `report(title, seconds)` is told of each step of bring-up."""

    def __init__(
        self,
        plan: Plan,
        topology_file: Path,
        logs: Path,
        report: Callable[[str, float | None], None],
    ) -> None:
        self.plan = plan
        self.ready = False
        self._file = topology_file
        self._text = topology_file.read_text()
        self._report = report
        topology = plan.topology
        self.hosts = {
            name: HostNode(host, _RUN / "hosts" / name, logs)
            for name, host in topology.hosts.items()
        }
        self.controllers = {
            name: ControlNode(one, topology_file, _RUN / "controllers" / name, logs)
            for name, one in topology.controllers.items()
        }
        self.guests = {name: Guest(vm, logs) for name, vm in topology.vms.items()}

    async def up(self) -> None:
        """Bring everything up; LabError says what failed."""
        vms = list(self.guests)
        async with self._step("namespaces and links"):
            await self._make_nodes()
            await self._make_links()
        async with self._step("forwarders"):
            await asyncio.gather(*(host.start("forwarder") for host in self.hosts.values()))
        if self.controllers:
            async with self._step(f"controllers: {len(self.controllers)}"):
                await asyncio.gather(*(one.start() for one in self.controllers.values()))
        async with self._step("agents"):
            await asyncio.gather(*(host.start("agent") for host in self.hosts.values()))
        if self.controllers:
            async with self._step("hosts: addresses on the fabric"):
                await asyncio.gather(*(host.addressed() for host in self.hosts.values()))
            async with self._step("sessions: each agent with its controllers"):
                await self._until(self._missing_sessions)
        async with self._step(f"ports: {len(vms)} plugged"):
            await asyncio.gather(*map(self.plug_port, vms))
        async with self._step(f"addresses: {len(vms)} by DHCP"):
            await asyncio.gather(*(guest.boot() for guest in self.guests.values()))
        if self.controllers:
            async with self._step("routes: each host knows the others' VMs"):
                await self._until(self._missing_routes)
        self.ready = True

    async def _until(self, missing: Callable[[], Awaitable[str]]) -> None:
        """Wait until nothing is missing any more; LabError names what is, with the agents' logs."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while lacking := await missing():
            if time.monotonic() > deadline:
                tails = [tail(host.daemons["agent"].log) for host in self.hosts.values()]
                raise LabError("\n".join([f"{lacking}, after {SETTLE_SECONDS:g} s", *tails]))
            await asyncio.sleep(SETTLE_POLL_SECONDS)

    async def _missing_sessions(self) -> str:
        """Each controller serves every agent, up to the two that an agent uses."""
        states = [await one.state() for one in self.controllers.values()]
        for host in self.hosts:
            sessions = sum(agent.name == host for state in states for agent in state.agents)
            if sessions < min(2, len(states)):
                return f"the agent of {host} has {sessions} sessions with controllers"
        return ""

    async def _missing_routes(self) -> str:
        for name, host in self.hosts.items():
            missing = await asyncio.to_thread(
                missing_routes, host.directory, self.plan.topology, name
            )
            if missing:
                return f"{name} has no route to {', '.join(missing)}"
        return ""

    @asynccontextmanager
    async def _step(self, title: str) -> AsyncIterator[None]:
        self._report(title, None)
        start = time.monotonic()
        yield
        self._report(title, time.monotonic() - start)

    async def _make_nodes(self) -> None:
        shutil.copy(Path(__file__).parent / SCRIPT.name, SCRIPT)
        SCRIPT.chmod(0o755)
        for shared in (RUN_DIR, VM_DIR, NODES):
            shared.mkdir(exist_ok=True)
        resolver = _resolver_target()
        # All, before a node copies the mounts.
        for name in (*self.hosts, *self.controllers, *self.guests):
            await run(["ip", "netns", "add", name])
        for host in self.hosts.values():
            host.directory.mkdir(parents=True)
            host.write_files(self.plan.topology, self._text)
            host.node = await Node.make(host.name, [(host.directory, RUN_DIR)])
            await _quiet_stack(host.node)
            await host.boot()
        for one in self.controllers.values():
            one.directory.mkdir(parents=True)
            one.node = await Node.make(one.name, [])
        for name, guest in self.guests.items():
            directory = _RUN / "guests" / name
            directory.mkdir(parents=True)
            own = directory / _RESOLVER.name
            own.touch()
            binds = [(directory, VM_DIR)] + ([(own, resolver)] if resolver else [])
            guest.node = await Node.make(name, binds)

    async def _make_links(self) -> None:
        for batch in self.plan.batches:
            where = ["-n", batch.node] if batch.node else []
            await run(["ip", *where, "-batch", "-"], "\n".join(batch.lines) + "\n")

    async def plug_port(self, name: str) -> None:
        """Plug the VM's port through its host's port API."""
        vm = self.guests[name].vm
        network = str(self.plan.topology.networks[vm.network].uuid)
        await self.hosts[vm.host].ports("POST", "/port", port_request(vm, network))

    async def plug(self, name: str) -> None:
        """Plug the VM's port and wait until its DHCP client has a lease."""
        await self.plug_port(self.plan.vm(name).name)
        await self.guests[name].boot()

    async def unplug(self, name: str) -> None:
        """End the VM's DHCP client and delete its port."""
        vm = self.plan.vm(name)
        await self.guests[name].stop()
        await self.hosts[vm.host].ports("DELETE", f"/port/{vm.port}")

    async def kill(self, node: str, role: Role) -> None:
        """SIGKILL a daemon; returns once it is gone."""
        if role == "controller":
            await self.controllers[self.plan.controller(node).name].daemon.kill()
        else:
            await self.hosts[self.plan.host(node).name].daemons[role].kill()

    async def start(self, node: str, role: Role) -> None:
        """Start a daemon that is down; returns once it serves."""
        if role == "controller":
            await self.controllers[self.plan.controller(node).name].start()
        else:
            await self.hosts[self.plan.host(node).name].start(role)

    async def control(self, controller: str, words: Sequence[str]) -> str:
        """Give a controller a command in words; its answer as a line."""
        return await self.controllers[self.plan.controller(controller).name].say(words)

    def state(self) -> State:
        """How everything is."""
        return State(
            self.plan.topology.name,
            str(self._file),
            self.ready,
            {node.name: node.pid for node in self._nodes()},
            (
                *(state for host in self.hosts.values() for state in host.states()),
                *(one.daemon_state() for one in self.controllers.values()),
            ),
            tuple(guest.state() for guest in self.guests.values()),
        )

    def _nodes(self) -> list[Node]:
        nodes = [guest.node for guest in self.guests.values()]
        nodes += [host.node for host in self.hosts.values()]
        nodes += [one.node for one in self.controllers.values()]
        return [node for node in nodes if node]

    async def stop(self) -> None:
        """End every process in order; what does not heed is killed."""
        await asyncio.gather(*(guest.stop() for guest in self.guests.values()))
        await asyncio.gather(*(host.stop() for host in self.hosts.values()))
        await asyncio.gather(*(one.daemon.stop() for one in self.controllers.values()))


def _resolver_target() -> Path | None:
    """The file to cover with a VM's own resolv.conf; None where the system has none."""
    target = _RESOLVER.resolve()
    if target.is_relative_to(_RUN):  # on the tmpfs that covers /run: ours to make
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    return target if target.is_file() else None


async def _quiet_stack(host: Node) -> None:
    writes = [f'echo {value} > "/proc/sys/{key}"' for key, value in _HOST_SYSCTLS.items()]
    await run(host.argv(["sh", "-e", "-c", "\n".join(writes)]))
