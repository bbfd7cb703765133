"""Verdicts of the packet kernel in words."""

from __future__ import annotations

from agent._fast.packet import LAYER_NAMES, STATUS_NAMES
from agent.errors import PacketError
from agent.pkt.enums import Status


def status(verdict: int) -> Status:
    """The reason part of a verdict."""
    return Status(verdict & 0xFF)


def layer(verdict: int) -> str:
    """The header that the verdict is about, e.g. "udp" or "inner-ipv4"."""
    name = LAYER_NAMES[verdict >> 8 & 0xFF]
    return f"inner-{name}" if verdict >> 16 else name


def error(verdict: int) -> PacketError:
    """The exception for callers outside the hot path."""
    return PacketError(STATUS_NAMES[verdict & 0xFF], layer(verdict))
