"""UVEs of the agent as a process: whether it works, and its connection to collectors."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from agent.telemetry.health import Part, State
from agent.telemetry.uve.cache import Values
from agent.telemetry.uve.frames import INSTANCE, MODULE
from agent.telemetry.uve.generator import Generator
from agent.telemetry.uve.world import Builder, World

_STATUS = {State.OK: "Up", State.DEGRADED: "Up", State.DOWN: "Down"}
_SERVERS = {"controller": ("XMPP", "control-node:"), "collector": ("Collector", "collector:")}
"""Types of connections, by the part's name, and what their names begin with."""


def _status(world: World, key: str) -> Values | None:
    """NodeStatus."""
    node = world.node
    if key != node.host:
        return None
    report = node.health.report()
    process = {
        "module_id": MODULE,
        "instance_id": INSTANCE,
        "state": "Functional" if report.state is State.OK else "Non-Functional",
        "connection_infos": [*map(_connection, report.parts)],
        "description": report.reason,
    }
    return {
        "process_status": [process],
        "build_info": node.version,
        "running_package_version": node.version,
        "description": report.reason,
    }


def _connection(part: Part) -> Values:
    """A part that is judged. Servers are called as tools know them."""
    type_, prefix = _SERVERS.get(part.name, ("Other", ""))
    address = part.instance.partition(":")[0]
    status = _STATUS[part.state] if part.ready or part.state is State.DOWN else "Initializing"
    return {
        "type": type_,
        "name": f"{prefix}{address}" if prefix else part.title,
        "server_addrs": [part.instance] if part.name in _SERVERS else [],
        "status": status,
        "description": part.reason,
    }


def _generators(world: World) -> Collection[str]:
    return (world.generator.outbox.identity.generator,)


def _client(world: World, key: str) -> Values | None:
    """ModuleClientState: the connection to collectors, and what went over it."""
    if key not in _generators(world):
        return None
    outbox, node = world.generator.outbox, world.node
    total = outbox.stats.total
    return {
        "client_info": client_info(world),
        "sm_queue_count": len(outbox),
        "max_sm_queue_count": outbox.queue.most,
        "sm_stats": _machine(world.generator, node.wall() - node.clock()),
        "session_stats": {
            "num_recv_msg": total.received.messages,
            "num_recv_msg_fail": sum(each.messages for each in total.refused.values()),
            "num_send_msg": total.sent.messages,
            "num_send_msg_fail": sum(each.messages for each in total.dropped.values()),
        },
        "session_rx_socket_stats": {"bytes": total.received.size},
        "session_tx_socket_stats": {"bytes": total.sent.size},
        "msg_type_agg": {name: one.values() for name, one in outbox.stats.by_type().items()},
        "tx_msg_agg": {"sent": total.sent.messages},
    }


def client_info(world: World) -> Values:
    """SandeshClientInfo."""
    view, identity = world.generator.view(), world.generator.outbox.identity
    return {
        "status": view.state.value,
        "successful_connections": view.connects,
        "pid": identity.pid,
        "http_port": identity.http_port,
        "start_time": int(world.node.started * 1e6),
        "collector_name": "",
        "collector_ip": str(view.server or ""),
        "collector_list": [str(server) for server in view.servers],
    }


def _machine(generator: Generator, epoch: float) -> dict[str, Any]:
    """SandeshStateMachineStats; `epoch` is the wall time at which the clock was 0."""
    view = generator.view()
    since = int((epoch + view.since) * 1e6)
    return {
        "state": view.state.value,
        "state_since": since,
        "last_state": view.last_state.value,
        "last_event": view.last_event,
        "last_event_at": since,
    }


STATUS = Builder("NodeStatusUVE", World.host, _status, sampled=True)
CLIENT = Builder("SandeshModuleClientTrace", _generators, _client, sampled=True)
