"""The controller without sockets: sessions of agents, configuration, routes, and faults.

The shell says what connected, what bytes came and what time it is, and then takes what is
to be sent. It closes the sessions that say so, and listens while `serving`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from agent.errors import UsageError, WireError
from agent.lab.controller import config_xml, wire
from agent.lab.controller.configuration import Configuration, Part, changes
from agent.lab.controller.downstream import item_id, messages
from agent.lab.controller.messages import Agent, Kind, Route, State
from agent.lab.controller.session import Session
from agent.lab.controller.tables import Tables
from agent.lab.controller.upstream import (
    ConfigSubscription,
    EndOfRib,
    Request,
    VrfSubscription,
    carries_route,
    requests,
)
from agent.routes import RouteFamily
from agent.topology import Topology
from agent.xmpp.routes import Published

OPEN_SECONDS = 15.0
BATCH = 1024


@dataclass(frozen=True, slots=True)
class Options:
    """Times in seconds. `quiet`: a channel without stanzas for so long is told the end of RIB.

    `stale`: how long the routes of an agent that went away are kept; 0 drops them at once,
    None takes the topology's restart time.
    `strict` closes the channel of an agent that breaks the rules, as a control node does.
    """

    name: str = "control"
    hold: float = 90.0
    quiet: float = 6.0
    end_of_rib: float = 300.0
    stale: float | None = None
    strict: bool = True


class Controller:
    """One control node. `note` is called with lines for the log."""

    def __init__(self, topology: Topology, options: Options, note: Callable[[str], None]) -> None:
        self.options = options
        self.serving = True
        self.withheld: set[Kind] = set()
        self.delay = 0.0
        self._note = note
        self._configuration = Configuration(topology)
        self._tables = self._empty_tables()
        self._sessions: dict[int, Session] = {}
        self._agents: dict[str, Session] = {}
        self._stale: dict[str, float] = {}
        self._flaps: list[tuple[float, bool]] = []
        self._number = 0
        self._violations: list[str] = []

    @property
    def _keep(self) -> float:
        restart = self._configuration.topology.graceful_restart
        if self.options.stale is not None:
            return self.options.stale
        return restart.restart_time if restart else 0.0

    def _empty_tables(self) -> Tables:
        return Tables(self._configuration.networks(), self._configuration.imports())

    # What the shell says

    def connected(self, remote: IPv4Address, now: float) -> Session:
        """A connection was accepted."""
        self._number += 1
        session = self._sessions[self._number] = Session(self._number, remote, now)
        return session

    def received(self, session: Session, data: bytes, now: float) -> None:
        """Bytes came on a connection."""
        session.last_heard = now
        try:
            for piece in session.scanner.feed(data):
                if session.closed:
                    return
                match piece:
                    case wire.Open():
                        self._open(session, piece, now)
                    case wire.Stanza(stanza):
                        session.activity = now
                        session.received += 1
                        self._stanza(session, stanza)
        except WireError as error:
            self._close(session, str(error))

    def lost(self, session: Session, now: float) -> None:
        """A connection is gone, by either side's doing."""
        self._sessions.pop(session.number, None)
        if self._agents.get(session.agent) is not session:
            return
        del self._agents[session.agent]
        keep = self._keep
        self._tables.gone(session.agent, keep > 0)
        if keep:
            self._stale[session.agent] = now + keep
        self._note(f"{session.agent}: gone ({session.closed or 'closed by the agent'})")

    def tick(self, now: float) -> None:
        """Let time pass: expire what is over, and write what is due to every session."""
        while self._flaps and self._flaps[0][0] <= now:
            self._serve(self._flaps.pop(0)[1])
        for agent in [agent for agent, until in self._stale.items() if until <= now]:
            self._sweep(agent)
        for session in list(self._sessions.values()):
            self._expire(session, now)
            if session.agent and not session.closed:
                self._fill(session, now)

    def wake(self) -> float | None:
        """When `tick` has something to do at the latest; None: not before the next input."""
        times = [*self._stale.values(), *(when for when, _ in self._flaps[:1])]
        for session in self._sessions.values():
            times += self._deadlines(session)
        return min(times, default=None)

    def sessions(self) -> list[Session]:
        """All connections."""
        return list(self._sessions.values())

    # Time

    def _deadlines(self, session: Session) -> Iterator[float]:
        if not session.agent:
            yield session.opened_at + OPEN_SECONDS
            return
        yield session.last_heard + self.options.hold
        if Kind.KEEPALIVE not in self.withheld:
            yield session.last_said + self.options.hold / 3
        if self._owes_end_of_rib(session) or session.agent in self._stale:
            yield self._quiet_at(session)
        if session.next_due is not None:
            yield session.next_due

    def _owes_end_of_rib(self, session: Session) -> bool:
        return not session.end_of_rib_sent and Kind.END_OF_RIB not in self.withheld

    def _quiet_at(self, session: Session) -> float:
        latest = session.opened_at + self.options.end_of_rib
        return min(session.activity + self.options.quiet, latest)

    def _expire(self, session: Session, now: float) -> None:
        if not session.agent:
            if now >= session.opened_at + OPEN_SECONDS:
                self._close(session, "no stream header in time")
        elif now >= session.last_heard + self.options.hold:
            self._close(session, "hold time expired")

    def _fill(self, session: Session, now: float) -> None:
        due = now + self.delay
        if session.config_due and Kind.CONFIG not in self.withheld:
            self._send_config(session, due, now)
        while (
            Kind.ROUTES not in self.withheld
            and not session.full
            and self._tables.pending(session.agent)
        ):
            self._send_routes(session, due, now)
        if now >= self._quiet_at(session):
            self._end_of_rib(session, due, now)
        if Kind.KEEPALIVE not in self.withheld:
            session.keep_alive(self.options.hold / 3, due, now)

    def _send_config(self, session: Session, due: float, now: float) -> None:
        session.config_due = False
        wanted = Part({}, {})
        if session.wants_config:
            wanted = self._configuration.part(session.agent, session.machines)
        for stanza in config_xml.stanzas(session.agent, changes(session.served, wanted)):
            session.say(stanza, due, now)
        session.served = wanted

    def _send_routes(self, session: Session, due: float, now: float) -> None:
        for batch in self._tables.due(session.agent, BATCH):
            distinguisher = f"{session.remote}:{session.instances[batch.vrf]}"
            for message in messages(session.agent, batch, distinguisher):
                session.say(message, due, now)

    def _end_of_rib(self, session: Session, due: float, now: float) -> None:
        """A quiet channel has said all: what it did not say again is over, and it is told so."""
        self._sweep(session.agent)
        if self._owes_end_of_rib(session):
            session.end_of_rib_sent = True
            session.say(wire.end_of_rib(session.agent), due, now)

    def _sweep(self, agent: str) -> None:
        if self._stale.pop(agent, None) is not None:
            count = self._tables.sweep(agent)
            self._note(f"{agent}: {count} stale routes dropped")

    # What agents say

    def _open(self, session: Session, opening: wire.Open, now: float) -> None:
        old = self._agents.get(opening.name)
        if old is not None:
            if self._keep > 0 and old.remote == session.remote:
                self._close(old, "the agent connected again")
            self._close(session, f"{opening.name} is connected already")
            return
        session.agent = opening.name
        self._agents[opening.name] = session
        session.opened_at = session.activity = session.last_said = now
        session.put(wire.header(opening.name), now + self.delay)
        self._note(f"{opening.name}: connected from {session.remote}")

    def _stanza(self, session: Session, stanza: bytes) -> None:
        if not carries_route(stanza):
            for request in requests(stanza):
                self._request(session, request)
            return
        refused = session.decoder.counters.skipped
        routes, _ = session.decoder.decode(stanza)
        counters = session.decoder.counters
        if counters.skipped != refused:
            self._count(session, f"a route was ignored: {counters.last_fault}")
        for route in routes:
            self._route(session, route)

    def _request(self, session: Session, request: Request) -> None:
        match request:
            case ConfigSubscription():
                self._subscribe_config(session, request)
            case VrfSubscription():
                self._subscribe_vrf(session, request)
            case EndOfRib():
                session.end_of_rib_received = True

    def _subscribe_config(self, session: Session, request: ConfigSubscription) -> None:
        own = f"default-global-system-config:{session.agent}"
        if request.kind == "virtual-router":
            if request.name != own or not request.subscribe:
                self._count(session, f"no configuration for virtual-router {request.name}")
                return
            session.wants_config = True
        elif request.kind != "virtual-machine":
            self._count(session, f"no configuration for {request.kind} {request.name}")
            return
        elif request.subscribe:
            session.machines[request.name] = None
        else:
            session.machines.pop(request.name, None)
        session.config_due = True

    def _subscribe_vrf(self, session: Session, request: VrfSubscription) -> None:
        vrf, joined = request.vrf, self._tables.joined(session.agent, request.vrf)
        if request.subscribe and joined:
            self._violation(session, f"{vrf} subscribed twice")
        elif request.subscribe:
            session.instances[vrf] = request.instance
            self._tables.join(session.agent, vrf, request.wants_routes)
        elif joined:
            self._tables.leave(session.agent, vrf)
            del session.instances[vrf]
        else:
            self._violation(session, f"{vrf} unsubscribed but not subscribed")

    def _route(self, session: Session, route: Published) -> None:
        agent = session.agent
        if not self._tables.joined(agent, route.vrf):
            self._violation(session, f"{route.node} published in {route.vrf}: no subscription")
        elif route.attributes is None:
            if not self._tables.take_back(agent, route):
                self._count(session, f"{route.node} withdrawn but not published")
        elif len(route.attributes.nexthops) != 1:
            self._count(session, f"{route.node} ignored: expected one next-hop")
        elif route.family is RouteFamily.ERMVPN and not route.attributes.label_range:
            self._count(session, f"{route.node} ignored: expected a range of labels")
        else:
            self._tables.publish(agent, route)

    def _violation(self, session: Session, what: str) -> None:
        """What a control node answers by closing the connection."""
        if self.options.strict:
            self._close(session, what)
        else:
            self._count(session, what)

    def _count(self, session: Session, what: str) -> None:
        self._violations.append(f"{session.agent}: {what}")
        del self._violations[:-100]
        self._note(self._violations[-1])

    def _close(self, session: Session, why: str) -> None:
        if not session.closed:
            session.closed = why
            self._count(session, f"closed: {why}")

    # What the operator says

    def stop(self) -> None:
        """Close every session, listen no more, and forget all routes, as a process that ends."""
        self._flaps.clear()
        self._serve(False)

    def start(self) -> None:
        """Serve again, knowing nothing of before."""
        self._flaps.clear()
        self._serve(True)

    def flap(self, count: int, seconds: float, now: float) -> None:
        """Stop and start `count` times, each for so many seconds."""
        self._flaps = [(now + step * seconds, step % 2 == 1) for step in range(2 * count)]

    def _serve(self, serving: bool) -> None:
        self.serving = serving
        if not serving:
            for session in self._sessions.values():
                session.closed = session.closed or "the controller stopped"
            self._agents.clear()
            self._stale.clear()
            self._tables = self._empty_tables()

    def close(self, agent: str) -> None:
        """Close one agent's session; UsageError if it has none."""
        self._session(agent).closed = "closed by command"

    def repeat(self, count: int, agent: str | None, now: float) -> int:
        """Send the last `count` stanzas again, to one agent or to all; returns how many."""
        chosen = [self._session(agent)] if agent else list(self._agents.values())
        return sum(session.repeat(count, now + self.delay) for session in chosen)

    def reload(self, topology: Topology) -> None:
        """Another topology: agents are sent the differences."""
        self._configuration = Configuration(topology)
        self._tables.configure(self._configuration.networks(), self._configuration.imports())
        for session in self._agents.values():
            session.config_due = True

    def _session(self, agent: str) -> Session:
        if agent not in self._agents:
            known = ", ".join(self._agents) or "none"
            raise UsageError(f"no agent {agent!r} is connected; connected: {known}")
        return self._agents[agent]

    def state(self, now: float) -> State:
        """How everything is."""
        agents = [
            Agent(
                session.agent,
                str(session.remote),
                round(now - session.opened_at, 3),
                dict(session.instances),
                list(session.machines) if session.wants_config else None,
                self._tables.published(session.agent),
                len(session.served.nodes),
                session.received,
                session.sent,
                session.end_of_rib_sent,
                session.end_of_rib_received,
            )
            for session in self._agents.values()
        ]
        return State(
            self.options.name,
            self.serving,
            self.delay * 1000,
            sorted(kind.value for kind in self.withheld),
            agents,
            sorted(self._stale),
            self._tables.counts(),
            list(self._violations),
        )

    def routes(self, vrf: str) -> list[Route]:
        """The routes of a VRF, imported ones included."""
        return [
            Route(
                place.family.name.lower(),
                item_id(place.key, "-"),
                {
                    source.peer: f"{hop.address} {hop.label}"
                    for source, path in paths.items()
                    for hop in path.nexthops
                },
            )
            for place, paths in self._tables.routes(vrf)
        ]
