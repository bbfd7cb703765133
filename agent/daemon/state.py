"""What a core has come to, as text rows in a fixed order: to be shown, compared and summed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, NamedTuple

from agent.daemon.core import Core
from agent.ksync.record import State
from agent.objects import Desired, Key
from agent.routes import InetKey
from agent.values import Mac


class Row(NamedTuple):
    """One thing of the state: `section` and `key` name it, `members` are plain JSON values."""

    section: str
    key: str
    members: Mapping[str, Any]


def state(core: Core) -> list[Row]:
    """Desired objects, what is not in sync, exported routes, ports, neighbours, controllers.

    Sorted by section and key.
    """
    rows: list[Row] = []
    rows += map(_desired, core.compiler.desired().values())
    rows += _datapath(core)
    rows += _exported(core)
    rows += _ports(core)
    rows += _neighbours(core)
    rows += _controllers(core)
    return sorted(rows, key=_place)


def digest(core: Core) -> str:
    """The SHA-256, in hex, of what the datapath and the controllers are to be told.

    That is each desired object with its message, byte for byte, and each exported route: equal
    for equal desired states, in any process.
    """
    total = hashlib.sha256()
    desired = core.compiler.desired().values()
    for name, message in sorted((_title(one.key), one.message.encode()) for one in desired):
        total.update(f"{name}\n{len(message)}\n".encode())
        total.update(message)
    for row in sorted(_exported(core), key=_place):
        total.update(json.dumps(row, sort_keys=True).encode())
    return total.hexdigest()


def _place(row: Row) -> tuple[str, str]:
    return row.section, row.key


def _title(key: Key) -> str:
    return f"{key.kind.value} {_name(key.name)}"


def _desired(one: Desired) -> Row:
    message: Any = one.message
    members = {name: getattr(message, name) for name in message.FIELDS}
    plain = {name: _plain(value) for name, value in members.items() if value}
    refs = [_title(ref) for ref in one.refs]
    return Row(one.key.kind.value, _name(one.key.name), plain | {"refs": refs})


def _datapath(core: Core) -> Iterator[Row]:
    """What differs from the desired objects; without a connection nothing is known of that."""
    session = core.session
    connection = {"connected": session.running, "in_sync": session.in_sync}
    yield Row("datapath", "session", connection)
    for view in session.snapshot() if session.running else ():
        if view.state is not State.SYNCED:
            key = f"{view.identity.kind.value} {_name(view.identity.number)}"
            members = {"waits_for": view.waits_for, "errno": view.errno}
            yield Row("not in sync", key, members | {"state": view.state.value})


def _exported(core: Core) -> Iterator[Row]:
    for name, index in core.compiler.subscriptions().items():
        yield Row("joined VRF", name, {"index": index})
    for route in core.compiler.publications():
        members = _plain(route.attributes) | {"native_vrf": route.native_vrf}
        yield Row("exported", f"{route.family.name} {route.vrf} {_name(route.key)}", members)


def _ports(core: Core) -> Iterator[Row]:
    for port in core.store.ports():
        yield Row("plugged", _name(port), _plain(port))
    for vmi in core.compiler.vmis():
        yield Row("port", str(vmi.uuid), _plain(vmi))


def _neighbours(core: Core) -> Iterator[Row]:
    for address, entry in core.trapped.arp.table.items():
        yield Row("neighbour", str(address), _plain(entry))


def _controllers(core: Core) -> Iterator[Row]:
    for view in core.controllers.views():
        yield Row("controller", str(view.server), _plain(view))


def _name(value: Any) -> str:
    """The parts of a name, with blanks between."""
    if isinstance(value, tuple) and not isinstance(value, InetKey):
        return " ".join(map(_name, value))
    if is_dataclass(value):
        return " ".join(_name(getattr(value, field.name)) for field in fields(value))
    plain = _plain(value)
    return "-" if plain is None else str(plain)


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is as if it had not been said is left out of rows."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return str(value) if isinstance(value, Mac) else value.hex()
    if isinstance(value, InetKey):
        return str(value)
    if is_dataclass(value):
        members = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _plain(one) for name, one in members.items() if one not in (None, "", ())}
    if isinstance(value, frozenset):
        return sorted(map(_plain, value))
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value)
