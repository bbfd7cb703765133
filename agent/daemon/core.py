"""The agent without its shell: every input enters here, with the time; one batch a turn.

Nothing below opens a socket, reads a clock or draws a number: the same inputs in the same
order give the same outputs. The shell (`daemon.py`) drives the parts that have a wire of
their own (`session`, `controllers`, `trapped`, `store`) and hands what they tell to here.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence
from itertools import islice

import structlog

from agent.daemon.control import ControlPlane
from agent.daemon.gateways import Gateways
from agent.daemon.host import host_name, host_settings, left_out, standalone_host
from agent.daemon.joined import JoinedNetworks
from agent.daemon.kept import KeptNumbers
from agent.flow import FlowEngine
from agent.ifmap.from_topology import Objects, objects
from agent.inputs import (
    ContainerPort,
    DropNewFlows,
    Link,
    LinkTold,
    PluggedPort,
    SimpleGateway,
)
from agent.io.platforms import in_kernel
from agent.ksync import Dumped, InSync, LinkChanged, Lost, Opening, Refused, Released, Session
from agent.ksync.events import Event as DatapathEvent
from agent.ksync.session import REPLY_TIMEOUT
from agent.objects import Desired, Key, Kind, Numbered
from agent.oper.compiler import Compiler
from agent.oper.desired import bridge_route
from agent.oper.results import Delta
from agent.rest import PortStore
from agent.rest.ports import Change
from agent.services import Learned, Probe, TrappedPackets
from agent.services.view import FABRIC_VRF
from agent.settings import Settings
from agent.telemetry.traces import Traces
from agent.topology import Topology
from agent.values import Mac
from agent.xmpp import Event as ControlEvent

log = structlog.get_logger(__name__)

LearntMac = tuple[int, bytes, int, int, int]
"""A bridge entry that the datapath learnt: VRF, MAC, nexthop, label, flags."""
_KERNEL_TIMEOUT = 10.0
"""Seconds without an answer: the kernel's module answers at once or never."""
OBJECTS_A_TURN = 2048
"""How many desired objects a turn hands to ksync, so that none takes long."""

_LIMITS = {
    Kind.VIF: "vo_interfaces",
    Kind.NEXTHOP: "vo_nexthops",
    Kind.LABEL: "vo_mpls_labels",
    Kind.VRF: "vo_vrfs",
}


class Core:
    """One agent: what came in goes to the compiler, what that wants to ksync and controllers.

    `pid` goes into requests to the datapath, `seed` decides every choice left to chance. Ports
    may have come into `store` before.
    Times are monotonic seconds. After each input the shell soon calls `turn`; again at once
    while `pending`, and at `deadline`. ConfigError if settings and topology do not fit.
    """

    def __init__(
        self,
        settings: Settings,
        topology: Topology | None,
        *,
        pid: int,
        seed: int,
        now: float,
        store: PortStore | None = None,
    ) -> None:
        self.compiler = Compiler(host_settings(settings, topology))
        kernel = in_kernel(settings.get("DEFAULT", "platform", str))
        self.session = Session(
            pid=pid,
            opening=Opening(reset=settings.get("RESTART", "reset", bool)),
            jitter=_entropy(seed, "datapath").random,
            reply_timeout=_KERNEL_TIMEOUT if kernel else REPLY_TIMEOUT,
        )
        self.trapped = TrappedPackets(self.compiler, _entropy(seed, "services").randbytes(16))
        self.flows = FlowEngine(settings, self.compiler, pid=pid)
        self.store = PortStore() if store is None else store
        self._control = ControlPlane(settings, self.compiler, _entropy(seed, "controllers"))
        self.controllers = self._control.controllers
        self._progress = self._control.progress
        self._gateways = Gateways(self.compiler)
        self._joined = JoinedNetworks(self.compiler)
        self._kept = KeptNumbers(self.compiler, settings)
        self._due: dict[Key, Desired | None] = {}
        self._failures: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._reported = False
        self._computed = -1
        """How much the compiler had computed when all that follows it did; -1 to follow anyway."""
        self._listed = False
        self._seeded = False
        self._held = False
        """Whether what an agent before has written stays until we know all that it knew."""
        self._adopted = False
        """Whether an agent before has connected VMs."""
        self.followers: list[Callable[[Delta], object]] = []
        """Told what each batch of changes came to."""
        self.trace: Traces | None = None
        """Told of what happens, where somebody wants to know."""
        self._configure(settings, topology, now)

    # Configuration

    def reload(self, settings: Settings, topology: Topology | None, now: float) -> None:
        """The files were read again. ConfigError: they do not fit, nothing was taken over."""
        self.compiler.settings(host_settings(settings, topology))
        self._configure(settings, topology, now)

    def _configure(self, settings: Settings, topology: Topology | None, now: float) -> None:
        """A topology stands in for controllers; else they are what configuration comes from."""
        for warning in (*settings.unknown, *left_out(settings)):
            log.warning(warning)
        if settings.unused:
            log.info("options without effect", options=", ".join(settings.unused))
        servers = settings.get("CONTROL-NODE", "servers", tuple)
        host = standalone_host(settings, topology)
        if topology is not None and host is not None:
            self._fill(objects(topology, host.name))
            self._progress.standalone()
            servers = ()
        elif not servers:
            hint = "[CONTROL-NODE] servers or [STANDALONE] topology"
            log.warning("no source of configuration", host=host_name(settings), hint=hint)
        self._joined.configure(topology if host is not None else None)
        self._computed = -1
        self._gateways.configure(settings.gateways)
        self._control.configure(settings, servers, now)
        self.store.stale_timeout(
            float(settings.get("DEFAULT", "stale_interface_cleanup_timeout", int))
        )
        self.flows.configure(settings)

    def _fill(self, wanted: Objects) -> None:
        graph = self.compiler.graph
        graph.begin(graph.sequence + 1)
        for node in wanted.nodes:
            graph.put_node(node)
        for link in wanted.links:
            graph.put_link(link)
        graph.sweep()

    # Inputs

    def restore(self, rows: Sequence[Numbered]) -> None:
        """Numbers that a run before has written down; before the first turn."""
        self._kept.restore(rows)

    def links(self, changed: Sequence[Link], gone: Sequence[str]) -> None:
        """Network interfaces of the host changed, or are gone."""
        for name in gone:
            self.compiler.remove_link(name)
        for link in changed:
            self.compiler.put_link(link)

    def listed(self) -> None:
        """All links that exist and all ports that were stored are known."""
        self._listed = True

    def limit_flows(self, vifs: Sequence[int], *, drop: bool) -> None:
        """The VMs behind these vifs have as many flows as they may (`drop`), or fewer again."""
        for vif in vifs:
            self.compiler.learned(DropNewFlows(vif, drop))

    def macs_unconfirmed(self, entries: Sequence[LearntMac], now: float) -> None:
        """Learnt addresses whose packets or answers were lost: the datapath forgets them."""
        held = (bridge_route(vrf, Mac(mac), *rest) for vrf, mac, *rest in entries)
        self.session.found(held, now)

    def learned(self, facts: Sequence[Learned]) -> None:
        """Services learned from packets."""
        for fact in facts:
            self.compiler.learned(fact)
        self._computed = -1

    def controllers_said(self, events: Sequence[ControlEvent], now: float) -> None:
        """What `controllers` told, in order."""
        if self.trace is not None:
            self.trace.controllers(events)
        self._control.said(events, now)

    def datapath_said(self, events: Sequence[DatapathEvent], now: float) -> None:
        """What `session` told, in order."""
        if self.trace is not None:
            self.trace.datapath(events)
        refused: dict[int, list[Refused]] = {}
        for event in events:
            match event:
                case Dumped():
                    self._dumped(event, now)
                case Released(identity=identity):
                    self.compiler.release(identity.kind, identity.number)
                case Refused():
                    refused.setdefault(event.errno, []).append(event)
                case InSync():
                    self._report_sync(now)
                case LinkChanged(vif_index=vif, up=up):
                    self.compiler.learned(LinkTold(vif, up))
                case Lost():
                    log.warning("datapath lost", reason=event.reason)
        for number, same in refused.items():
            _tell_refused(number, same)

    def _dumped(self, event: Dumped, now: float) -> None:
        for kind, name in _LIMITS.items():
            if room := getattr(event.limits, name):  # a datapath may not tell
                self.compiler.limit(kind, room)
        if not self._seeded:
            self._seeded = True
            neighbours = self.compiler.seed(event.messages)
            self.trapped.arp.adopt(neighbours, now)
            self._held = self._adopted = self.compiler.holding
            if self._held:
                self.controllers.leave_trees_to(self.compiler.built_before)
        self.compiler.forget_links()
        self._reported = False
        log.info("datapath read", objects=len(event.messages))

    def _report_sync(self, now: float) -> None:
        """Tell the first time after a dump only: later each change of a route comes to this.

        Where an agent before has left something, not before all is here that it is judged by.
        """
        if self._reported or self._due or self.compiler.pending:  # there is more to hand over
            return
        if self._adopted and not self._progress.complete(now):
            return
        self._reported = True
        counters = self.session.counters
        written = {f"{kind} {verb}": number for (kind, verb), number in counters.writes.items()}
        log.info(
            "in sync",
            writes=counters.writes.total(),
            adopted=counters.adopted,
            swept=counters.swept,
            refused=counters.nacks.total(),
            **{"written": written} if self._adopted and written else {},
        )

    def _port_changed(self, change: Change) -> None:
        if self.trace is not None:
            self.trace.port(change)
        self._control.port_changed(change)
        before, after = change.before, change.after
        if isinstance(after, PluggedPort):
            self.compiler.put_port(after)
        elif isinstance(after, ContainerPort):
            self.compiler.put_container(after)
        elif isinstance(after, SimpleGateway):
            self._gateways.post(after)
        elif isinstance(before, PluggedPort):
            self.compiler.remove_port(before.uuid)
        elif isinstance(before, ContainerPort):
            self.compiler.remove_container(before)
        elif isinstance(before, SimpleGateway):
            self._gateways.delete(before.interface)

    # The turn

    @property
    def configured(self) -> bool:
        """Whether the configuration has ever come whole."""
        return self._progress.configured

    @property
    def pending(self) -> bool:
        """Whether work waits for another turn: one does a bounded part of it."""
        return self.compiler.pending or bool(self._due and not self._held)

    def deadline(self, now: float) -> float | None:
        """When a turn is wanted though nothing came in."""
        deadlines = (self._progress.deadline(now), self._kept.deadline)
        return min((one for one in deadlines if one is not None), default=None)

    def turn(self, now: float) -> list[bytes]:
        """Follow all inputs since the last turn; the frames that services send."""
        for change in self.store.changes():
            self._port_changed(change)
        self._progress.turn(now, self.compiler.lacks_configuration)
        if not self._seeded:
            return []
        if self._listed and self._progress.configured:
            self.compiler.complete()
            self._kept.follow(now)
        delta = self._commit(now)
        if self.trace is not None:
            self.trace.delta(delta)
        for follow in self.followers:
            follow(delta)
        news = self._has_news()
        if news:  # before leftovers may be swept
            self._joined.follow()
        self._due.update((one.key, one) for one in delta.changed)
        self._due.update(dict.fromkeys(delta.removed))
        self.flows.follow(delta)
        if not self.compiler.holding:
            self.flows.ready()
        if not self._held:
            self._apply(now)
            self.flows.settled()
        frames: list[bytes] = []
        if news:
            self._control.join()
            self._report_failures()
            frames = self._services_follow(now)
        exported = self._control.tell()
        if self.trace is not None:
            self.trace.published(exported)
        return frames

    def _commit(self, now: float) -> Delta:
        """What changed; once it is settled, what an agent before wrote is held no longer."""
        released = self._held and self._listed and self._progress.settled(now)
        if released:
            self._held = False
            self.controllers.leave_trees_to(None)
        delta = self.compiler.commit()
        if released:
            self.compiler.forget_places()
        return delta

    def _has_news(self) -> bool:
        """Whether anything but routes of controllers changed; those come by the thousand."""
        before, self._computed = self._computed, sum(self.compiler.recomputed.values())
        return before != self._computed

    def _apply(self, now: float) -> None:
        """Hand over some of what changed; when it was the last, leftovers may be swept."""
        due = dict(islice(self._due.items(), OBJECTS_A_TURN))
        for key in due:
            del self._due[key]
        removed = [key for key, desired in due.items() if desired is None]
        self.session.apply(filter(None, due.values()), removed, now)
        if self._listed and not self.pending and self._progress.complete(now):
            self.session.complete(now)
        if self.session.in_sync:
            self._report_sync(now)

    def _report_failures(self) -> None:
        """Log what is new: a failure stays until its cause goes."""
        failures = self.compiler.failures()
        for place, reason in failures.items() - self._failures.items():
            log.error("oper failed", place=place, reason=reason)
        self._failures = failures
        problems = self.compiler.policy_problems()
        for name, reason in problems.items() - self._problems.items():
            log.warning("policy left out", list=name, reason=reason)
        self._problems = problems

    def _services_follow(self, now: float) -> list[bytes]:
        """Let ARP resolve, announce and probe what the new state asks for."""
        arp, view = self.trapped.arp, self.compiler
        wanted = [ip for vrf, ip in view.wanted_arp() if vrf == FABRIC_VRF]
        active = [row.vif_index for row in view.vmis() if row.ip4_active]
        frames = arp.wanted(view, wanted, now)
        frames += arp.announce(view, active, now)
        frames += arp.probe(view, [Probe(*address) for address in view.waiting()], now)
        return frames


def _entropy(seed: int, use: str) -> random.Random:
    """Numbers for one use alone: what another one draws does not change them."""
    return random.Random(f"{seed} {use}")


def _tell_refused(number: int, refused: Sequence[Refused]) -> None:
    """One line, whether the datapath had no room for one object or for a whole table."""
    log.warning(
        "datapath refused",
        error=errno.errorcode.get(number, number),
        objects=len(refused),
        first=str(refused[0].identity),
    )
