"""Sandesh: the binary messages between the agent and a datapath, and their IDL.

In come message objects or fields by name; out go bytes, and the other way round. `vrouter`
has the message classes, `framing` the netlink frames around them, `compiler` is sandeshc,
`runtime` what the classes of its target `py` stand on.

It never opens a socket and never decides what a message means. Bytes that do not follow the
format raise `SandeshError` with the offset.

The codec is a compiled module that the build makes with `compiler`: it is loaded at the first
use, so that `compiler` can be imported before it exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.errors import SandeshError

if TYPE_CHECKING:
    from agent._fast.sandesh import (
        Message,
        decode,
        decode_messages,
        encode,
        encode_many,
        iter_messages,
    )

__all__ = [
    "Message",
    "SandeshError",
    "decode",
    "decode_messages",
    "encode",
    "encode_many",
    "iter_messages",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from agent._fast import sandesh

    globals().update({public: getattr(sandesh, public) for public in __all__})
    return globals()[name]
