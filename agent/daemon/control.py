"""Controllers and compiler: what the ones say goes to the other, what it exports to them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeGuard

import structlog

from agent.daemon.host import host_name
from agent.daemon.left_out import LeftOut
from agent.daemon.progress import Progress
from agent.ifmap import NodeRef
from agent.ifmap.parser import ConfigParser, apply
from agent.inputs import GraphNode, PluggedPort
from agent.oper.compiler import Compiler
from agent.oper.export import Exported
from agent.rest.ports import Change
from agent.routes import RouteFamily
from agent.settings import Server, Settings
from agent.xmpp import (
    ConfigComplete,
    ConfigServer,
    ConfigUpdate,
    Controllers,
    EndOfRib,
    Event,
    GracefulRestart,
    Identity,
    PeerDown,
    PeerTimedOut,
    PeerUp,
    Routes,
    SweepConfig,
    SweepRoutes,
    Timings,
    TreeBuilder,
    hold_time,
)
from agent.xmpp.publish import StanzaEncoder
from agent.xmpp.routes import RouteDecoder

log = structlog.get_logger(__name__)

_SYSTEM = NodeRef("global-system-config", "default-global-system-config")
_SUBSCRIBED_TYPES = (0, 2)  # VMs of namespaces (1) are not asked for (facts rest-api.md 3.2)


class ControlPlane:
    """Feeds `compiler` from `controllers` and tells them what it exports. Opens nothing.

    The shell keeps the connections of `controllers` and hands its events to `said`; `join`
    and `tell` follow a commit of the compiler. `entropy` gives jitter.
    """

    def __init__(self, settings: Settings, compiler: Compiler, entropy: random.Random) -> None:
        identity = Identity(
            host_name(settings), settings.get("CONTROL-NODE", "subcluster_name", str)
        )
        timings = Timings.of(settings)
        self.progress = Progress(timings.config_poll / 2)
        self._decoder, self._left_out = RouteDecoder(), LeftOut()
        self.controllers = Controllers(
            identity,
            decode=self._decoder.decode,
            encoder=StanzaEncoder(identity),
            shuffle=lambda servers: _shuffled(servers, identity.name),
            jitter=entropy.random,
            timings=timings,
            tls=settings.get("DEFAULT", "xmpp_auth_enable", bool),
        )
        self._compiler = compiler
        self._parser = ConfigParser()
        self._joined: dict[str, int] = {}
        self._sessions: dict[Server, int] = {}
        self._system: GraphNode | None = None

    def configure(self, settings: Settings, servers: Sequence[Server], now: float) -> None:
        """Use these servers; those that stay chosen keep their sessions."""
        self.controllers.timings(Timings.of(settings))
        self.controllers.configure(servers, now)
        self.progress.use(self.controllers.servers)

    # What the daemon has for controllers

    def port_changed(self, change: Change) -> None:
        """Ask for the configuration of the VMs that have a port here, and of no others."""
        before, after = change.before, change.after
        if _is_vm_port(before):
            self.controllers.unsubscribe_vm(before.instance_uuid, before.uuid)
        if _is_vm_port(after):
            self.controllers.subscribe_vm(after.instance_uuid, after.uuid)

    def join(self) -> None:
        """Ask for the routes of the VRFs in use, and of no others."""
        wanted = self._compiler.subscriptions()
        if wanted.items() - self._joined.items():
            self.progress.joined()
        for name in [name for name in self._joined if name not in wanted]:
            self.controllers.unsubscribe_vrf(name)
        for name, index in sorted(wanted.items(), key=lambda one: one[1]):
            if self._joined.get(name) != index:
                self.controllers.subscribe_vrf(name, index)
        self._joined = wanted

    def tell(self) -> Exported:
        """Tell controllers what changed of our own routes, and give it; `join` comes first."""
        exported = self._compiler.published()
        for route in exported.withdrawn:
            self.controllers.withdraw(route.family, route.vrf, route.key)
        trees = [one for one in exported.changed if one.family is RouteFamily.ERMVPN]
        for route in exported.changed:
            if route.family is not RouteFamily.ERMVPN:
                self.controllers.publish(route)
        # Labels are given to trees as they come: after a restart the same ones.
        for route in sorted(trees, key=lambda one: self._joined.get(one.vrf, 0)):
            self.controllers.publish(route)
        return exported

    # What controllers say

    def said(self, events: Sequence[Event], now: float) -> None:
        """Take over what happened, in order."""
        for event in events:
            match event:
                case Routes():
                    self.progress.routes(now)
                    self._compiler.routes(str(event.peer), event.batch)
                case ConfigUpdate():
                    apply(self._parser.read(event.stanza), self._compiler.graph)
                    self._follow_system(now)
                case ConfigServer() | ConfigComplete() | SweepConfig():
                    self._configuration(event, now)
                case TreeBuilder():
                    peer = None if event.peer is None else str(event.peer)
                    self._compiler.build_trees(peer, event.slot)
                case _:
                    self._session(event, now)
        self._left_out.routes(self._decoder.counters)
        self._left_out.configuration(self._parser.counters)

    def _configuration(
        self, event: ConfigServer | ConfigComplete | SweepConfig, now: float
    ) -> None:
        graph = self._compiler.graph
        match event:
            case ConfigServer(peer=None):
                log.warning("no controller serves configuration: what is known stays")
            case ConfigServer():
                log.info("configuration server", server=str(event.peer))
                graph.begin(graph.sequence + 1)
            case ConfigComplete():
                log.info("configuration complete", nodes=len(graph))
                self.progress.configuration_complete(now)
            case SweepConfig():
                log.info("stale configuration dropped", objects=graph.sweep())
                self._follow_system(now)

    def _session(
        self, event: PeerUp | PeerDown | PeerTimedOut | EndOfRib | SweepRoutes, now: float
    ) -> None:
        match event:
            case PeerUp():
                log.info("controller up", server=str(event.peer))
                self.progress.up(event.peer, now)
                self._begin(event.peer, event.sequence)
            case PeerDown():
                log.warning("controller down", server=str(event.peer), reason=event.reason)
                self.progress.down(event.peer)
                # From now on what the others say of a route weighs more.
                self._begin(event.peer, self._sessions[event.peer])
            case PeerTimedOut():
                log.warning(
                    "controller does not answer",
                    server=str(event.peer),
                    attempts=event.attempts,
                    reason=event.reason,
                )
                self.progress.silent(event.peer)
                self.progress.use(self.controllers.servers)
            case EndOfRib():
                log.info("routes complete", server=str(event.peer), told=event.told)
                self.progress.whole(event.peer)
            case SweepRoutes():
                self._sweep(event.peer, event.below)

    def _begin(self, peer: Server, sequence: int) -> None:
        self._sessions[peer] = sequence
        self._compiler.begin_routes(str(peer), sequence)

    def _sweep(self, peer: Server, below: int) -> None:
        """Drop what sessions before `below` brought: of a controller that is gone, everything."""
        if below > self._sessions.get(peer, 0):
            log.info("routes of a lost controller dropped", server=str(peer))
            self._compiler.remove_controller(str(peer))
        else:
            self._compiler.sweep_routes(str(peer), below)

    def _follow_system(self, now: float) -> None:
        """The global configuration says how restarts and silence are borne."""
        system = self._compiler.graph.node(_SYSTEM)
        if system is not self._system:
            self._system = system
            self.controllers.restart_policy(GracefulRestart.of(system))
            self.controllers.hold_time(hold_time(system), now)


def _shuffled(servers: Sequence[Server], host: str) -> list[Server]:
    """Hosts spread over the controllers, and each finds its own again after a restart."""
    return random.Random(host).sample(sorted(servers, key=str), len(servers))


def _is_vm_port(row: object) -> TypeGuard[PluggedPort]:
    return isinstance(row, PluggedPort) and row.port_type in _SUBSCRIBED_TYPES
