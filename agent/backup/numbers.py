"""Our own backup: every number with its key in one message, so that all are of one moment."""

from __future__ import annotations

from collections.abc import Iterable

from agent.backup.resources import NumbersSandesh
from agent.errors import SandeshError, WireError
from agent.objects import Kind, Numbered

_FIELDS = {
    Kind.VIF: "vif",
    Kind.NEXTHOP: "nexthop",
    Kind.LABEL: "label",
    Kind.VRF: "vrf",
    Kind.MIRROR: "mirror",
    Kind.QOS_MAP: "qos_map",
}


def encode(rows: Iterable[Numbered], time_stamp: int) -> bytes:
    """The content of a file; `time_stamp`: microseconds of the wall clock.

    Of several keys with one number the first is taken.
    """
    record = NumbersSandesh(time_stamp=time_stamp)
    for row in rows:
        getattr(record, _FIELDS[row.kind]).setdefault(row.number, row.text)
    return record.encode()


def decode(data: bytes) -> list[Numbered]:
    """The rows of a file's content. WireError for bytes that are no such message."""
    try:
        record = NumbersSandesh.decode(data)
    except SandeshError as error:
        raise WireError(f"not a backup of numbers: {error}") from None
    return [
        Numbered(kind, index, text)
        for kind, name in _FIELDS.items()
        for index, text in getattr(record, name).items()
    ]
