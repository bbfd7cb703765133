"""The error tree.

Every error that this program raises on purpose is an `AgentError`. The leaf says
whose fault it is: a peer's bytes (`WireError`), the datapath's refusal
(`DatapathError`), the configuration (`ConfigError`), a user (`UsageError`) or us
(`BugError`).
"""

from __future__ import annotations

import errno as _errno


class AgentError(Exception):
    """Base of all errors raised on purpose."""


class WireError(AgentError):
    """A peer or the datapath sent bytes that do not follow their format."""


class SandeshError(WireError):
    """Sandesh bytes or fields that cannot be decoded or encoded.

    `offset` is the byte at which decoding failed, or None while encoding.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        self.offset = offset
        super().__init__(message if offset is None else f"{message} (at byte {offset})")


class StanzaError(WireError):
    """Route stanzas that cannot be used at all; `offset` is the byte at which reading ended."""

    def __init__(self, message: str, offset: int) -> None:
        self.offset = offset
        super().__init__(f"{message} (at byte {offset})")


class PacketError(WireError):
    """A trapped packet that must be dropped.

    `reason` and `layer` are the words of facts `pkt0-services.md` section 13,
    e.g. reason "truncated", layer "arp".
    """

    def __init__(self, reason: str, layer: str) -> None:
        self.reason = reason
        self.layer = layer
        super().__init__(f"{layer}: {reason}")


class DatapathError(AgentError):
    """The datapath refused a request; `errno` is the positive error number."""

    def __init__(self, errno: int, what: str) -> None:
        self.errno = errno
        self.what = what
        super().__init__(f"{what}: {_errno.errorcode.get(errno, errno)}")


class RecordingError(AgentError):
    """A recording that cannot be read (any further); `offset` is where in the file that is."""

    def __init__(self, message: str, offset: int) -> None:
        self.offset = offset
        super().__init__(f"{message} (at byte {offset})")


class ConfigError(AgentError):
    """A configuration file, option or topology is wrong; the text says where."""


class UsageError(AgentError):
    """A caller of a public surface (REST, command line) asked for something wrong."""


class BugError(AgentError):
    """An invariant of this program does not hold."""
