"""Ports of the host for NAT: bound, bounded, supplied again, freed."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator

import pytest

from agent._fast.classifier import Classifier
from agent._fast.flow_world import World
from agent.io.bound_ports import READY, BoundPorts

TCP, UDP = 6, 17


@pytest.fixture
def world() -> World:
    return World(Classifier())


@pytest.fixture
def ports(world: World) -> Iterator[BoundPorts]:
    made = BoundPorts(world, 4 * READY)
    yield made
    made.close()


def test_some_of_each_protocol_are_ready(ports: BoundPorts, world: World) -> None:
    ports.fill()
    assert (world.free_ports(TCP), world.free_ports(UDP), len(ports)) == (READY, READY, 2 * READY)
    ports.fill()
    assert len(ports) == 2 * READY


def test_what_is_bound_is_nobody_elses(ports: BoundPorts) -> None:
    ports.fill()
    for (protocol, port), _ in list(ports._bound.items())[:: READY // 2]:
        kind = socket.SOCK_STREAM if protocol == TCP else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as other, pytest.raises(OSError, match="in use"):
            other.bind(("", port))


def test_the_limit_holds(world: World) -> None:
    few = BoundPorts(world, 5)
    few.fill()
    assert len(few) == 5
    few.close()
    assert (world.free_ports(TCP), len(few)) == (0, 0)


def test_a_host_without_descriptors_gives_what_it_has(ports: BoundPorts, world: World) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        resource.setrlimit(resource.RLIMIT_NOFILE, (probe.fileno() + 3, limits[1]))
    try:
        ports.fill()
        ports.fill()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(ports) < READY
    ports.fill()
    assert world.free_ports(UDP) == READY
