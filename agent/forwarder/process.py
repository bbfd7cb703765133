"""One forwarder process: its parts, in the order in which they start and end."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import random
import signal
import threading
from functools import partial
from pathlib import Path

from agent._fast.forwarding import Datapath
from agent.errors import ConfigError
from agent.forwarder import huge_pages, rundir
from agent.forwarder.control import Control
from agent.forwarder.dispatcher import answer
from agent.forwarder.handlers.ops import reset
from agent.forwarder.handlers.vif import resize
from agent.forwarder.links import LinkWatch
from agent.forwarder.module import ModuleStart
from agent.forwarder.netlink import GROUP, NetlinkServer
from agent.forwarder.opening import Opener
from agent.forwarder.ports import Ports
from agent.forwarder.replies import Replies
from agent.forwarder.server import ControlServer
from agent.forwarder.sizes import Sizes
from agent.shm.geometry import BRIDGE_ENTRY_SIZE, FLOW_ENTRY_SIZE

log = logging.getLogger(__name__)


class Forwarder:
    """Everything of one run directory. `run` returns when the process is told to end."""

    def __init__(
        self,
        run_dir: Path,
        sizes: Sizes,
        fabric: str | None = None,
        netlink_family: int | None = None,
        group: int | None = None,
    ) -> None:
        """`netlink_family`: serve as the kernel module does, with this number, no socket.

        `group`: its members may have an agent here, besides root and our own user.
        """
        sizes.check()
        self._run_dir = run_dir
        self._group = group
        self._lock = _claim(run_dir, group)
        self._datapath = _make_datapath(run_dir, sizes)
        self._ports = Ports(self._datapath, run_dir, Opener(run_dir, fabric))
        self._control = Control(self._datapath, self._ports, sizes, run_dir)
        self._ports.resized = partial(resize, self._control)
        reset(self._control)
        self._server = self._make_server(netlink_family)
        self._failure: BaseException | None = None

    def _make_server(self, netlink_family: int | None) -> ControlServer | NetlinkServer:
        def answered(payload: bytes) -> Replies:
            return answer(self._control, payload)

        # An agent binds its end of pkt0 before it connects here: a new client may be a new agent.
        greet = self._ports.greet_agent
        if netlink_family is None:
            path = self._run_dir / rundir.CONTROL
            return ControlServer(path, answered, greet, self._datapath.flow_serve, self._group)
        self._control.tunables = self._control.tunables.replace(vo_genetlink_group_id=GROUP)
        module = ModuleStart(answered, partial(huge_pages.take, self._control))
        port_file = self._run_dir / rundir.NETLINK_PORT
        return NetlinkServer(port_file, module.answer, greet, family=netlink_family)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises what ended the data plane, if it failed."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        links = LinkWatch(self._ports.link_appeared, self._ports.link_gone)
        packets = threading.Thread(
            target=self._move_packets, args=(loop, ended), name="packets", daemon=True
        )
        links.start(loop)
        packets.start()
        try:
            await self._server.start()
            log.info("process %d serves %s", os.getpid(), self._run_dir)
            await ended.wait()
        finally:
            await self._server.stop()
            links.close(loop)
            self._datapath.stop()
            await asyncio.to_thread(packets.join)
            self._remove()
        if self._failure is not None:
            raise self._failure

    def _move_packets(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
        try:
            self._datapath.run()
        except BaseException as error:
            self._failure = error
        loop.call_soon_threadsafe(ended.set)

    def _remove(self) -> None:
        """Take back what stands in the run directory and on the host."""
        self._datapath.reset()
        self._ports.clear()
        self._datapath.close()
        for name in (rundir.FLOW_TABLE, rundir.BRIDGE_TABLE, rundir.PACKETS):
            rundir.remove(self._run_dir / name)
        os.close(self._lock)


def _claim(run_dir: Path, group: int | None) -> int:
    """Make the run directory ours. ConfigError when another forwarder serves it."""
    try:
        rundir.prepare(run_dir, group)
        descriptor = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"run directory {run_dir}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(f"run directory {run_dir}: another vrouter-forwarder serves it") from None
    return descriptor


def _make_datapath(run_dir: Path, sizes: Sizes) -> Datapath:
    flows = sizes.flow_entries + sizes.flow_overflow_entries
    bridges = sizes.bridge_entries + sizes.bridge_overflow_entries
    try:
        flow_table = rundir.create_table(run_dir / rundir.FLOW_TABLE, flows, FLOW_ENTRY_SIZE)
        bridge_table = rundir.create_table(
            run_dir / rundir.BRIDGE_TABLE, bridges, BRIDGE_ENTRY_SIZE
        )
    except OSError as error:
        raise ConfigError(
            f"cannot make the shared tables in {run_dir}: {error.strerror}; "
            "smaller --flow-entries and --bridge-entries need less room"
        ) from None
    return Datapath(
        flow_table=memoryview(flow_table),
        flow_entries=sizes.flow_entries,
        bridge_table=memoryview(bridge_table),
        bridge_entries=sizes.bridge_entries,
        interfaces=sizes.interfaces,
        vrfs=sizes.vrfs,
        nexthops=sizes.nexthops,
        labels=sizes.labels,
        hold_limit=sizes.flow_hold_limit,
        seed=random.SystemRandom().getrandbits(32),
    )
