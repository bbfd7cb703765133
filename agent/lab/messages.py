"""What `vrouter-lab` and the supervisor of a lab say to each other: one JSON object a line."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["agent", "forwarder", "controller"]
"""The two daemons of a host, and the one of a controller."""


class Request(msgspec.Struct, frozen=True, tag_field="op", tag=str.lower):
    """What a client asks. Every answer is any number of `Step`s, then one other `Reply`."""


class Follow(Request, frozen=True):
    """Report the steps of bring-up; answered by Done once the lab is ready."""


class Status(Request, frozen=True):
    """Answered by State."""


class Kill(Request, frozen=True):
    """SIGKILL a daemon and leave it dead; answered by Done once it is gone."""

    node: str
    role: Role


class Start(Request, frozen=True):
    """Start a daemon that is not running; answered by Done once it serves."""

    node: str
    role: Role


class Plug(Request, frozen=True):
    """Plug the port of a VM and run its DHCP client; answered by Done once it has a lease."""

    vm: str


class Unplug(Request, frozen=True):
    """End a VM's DHCP client and delete its port; answered by Done."""

    vm: str


class Control(Request, frozen=True):
    """A command for a controller, in words; answered by Controlled."""

    controller: str
    words: list[str]


class Down(Request, frozen=True):
    """End the lab; the connection closes when it has ended."""


class Reply(msgspec.Struct, frozen=True, tag_field="reply", tag=str.lower):
    """What the supervisor answers."""


class Step(Reply, frozen=True):
    """Bring-up entered (`seconds` is None) or finished a step."""

    title: str
    seconds: float | None = None


class Done(Reply, frozen=True):
    """The request was carried out."""


class Failed(Reply, frozen=True):
    """The request could not be carried out; the text says what was wrong, with tails of logs."""

    reason: str


class DaemonState(msgspec.Struct, frozen=True):
    """A daemon of a host or a controller.

    `state` is "running" or how it ended; `pid` is as seen in the sandbox.
    """

    node: str
    role: Role
    state: str
    pid: int | None
    seconds: float


class Lease(msgspec.Struct, frozen=True):
    """What a VM's DHCP client was given, as text. `seconds` from the client's start to it."""

    address: str
    router: str
    dns: str
    domain: str
    lease_time: int
    seconds: float


class VmState(msgspec.Struct, frozen=True):
    """A VM and its lease, if it has one."""

    name: str
    host: str
    network: str
    tap: str
    mac: str
    lease: Lease | None


class Controlled(Reply, frozen=True):
    """What a controller answered (agent.lab.controller.messages), as its line."""

    answer: str


class State(Reply, frozen=True):
    """The whole lab. `ready` once bring-up has finished; `topology` is its file.

    `nodes` maps each VM, host and controller to a process that holds its namespaces, as the sandbox
    numbers it.
    """

    name: str
    topology: str
    ready: bool
    nodes: dict[str, int]
    daemons: tuple[DaemonState, ...]
    vms: tuple[VmState, ...]


AnyRequest = Follow | Status | Kill | Start | Plug | Unplug | Control | Down
AnyReply = Step | Done | Failed | Controlled | State

read_request = msgspec.json.Decoder(AnyRequest).decode
read_reply = msgspec.json.Decoder(AnyReply).decode


def line(message: Request | Reply) -> bytes:
    """One message as its line."""
    return msgspec.json.encode(message) + b"\n"
