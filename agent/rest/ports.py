"""The plugged ports: what clients asked for, as changes for the daemon and actions on files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from uuid import UUID

from agent.inputs import ContainerPort, PluggedPort, SimpleGateway
from agent.rest.body import Rejected
from agent.rest.claims import Claims
from agent.rest.files import (
    CONTAINER_DIRECTORY,
    FileAction,
    RemoveFile,
    Stamp,
    StoredFile,
    port_path,
    write_port,
)
from agent.rest.validate import (
    NAMESPACE_PORT,
    NIL,
    REMOTE_PORT,
    Exists,
    container_port,
    stored_port,
)
from agent.timers import Deadlines

Row = PluggedPort | ContainerPort | SimpleGateway
Key = tuple[type[Row], UUID | tuple[UUID, UUID, UUID] | str]

_MAX_ENTRIES = 65_536
_MAX_NOTICE = 300
_MAX_ROUNDS = 64
_MAX_NOTICES = 256


@dataclass(frozen=True, slots=True)
class Change:
    """One port or gateway: None before means added, None after means removed."""

    before: Row | None
    after: Row | None


@dataclass(slots=True)
class Counters:
    """What happened to stored files and to taps, since start."""

    replayed: int = 0
    skipped_files: int = 0
    tap_conflicts: int = 0
    stale_removed: int = 0


@dataclass(slots=True)
class _Entry:
    """A row, the resync epoch of its last POST, and every file that a replay would find it in."""

    row: PluggedPort | ContainerPort
    epoch: int
    paths: set[str] = field(default_factory=set)


def _key(row: Row) -> Key:
    if isinstance(row, PluggedPort):
        return PluggedPort, row.uuid
    if isinstance(row, ContainerPort):
        return ContainerPort, (row.vm_uuid, row.vn_uuid, row.vmi_uuid)
    return SimpleGateway, row.interface


class PortStore:
    """State of the port API; sans-I/O. `now` is in monotonic seconds.

    The daemon drains `changes()`; the caller of a method that returns file actions has them
    carried out in the order in which they were returned; `notices` are texts to log.
    """

    def __init__(self, stale_timeout: float = 60.0) -> None:
        self.counters = Counters()
        self.notices: deque[str] = deque(maxlen=_MAX_NOTICES)
        self._stale_timeout = stale_timeout
        self._epoch = 0
        self._rounds: Deadlines[int] = Deadlines()
        self._entries: dict[Key, _Entry] = {}
        self._gateways: dict[Key, SimpleGateway] = {}
        self._file_of: dict[str, Key] = {}
        self._of_vm: dict[UUID, dict[Key, None]] = {}
        self._claims: Claims[Key] = Claims()
        self._told: dict[Key, Row] = {}
        self._touched: dict[Key, None] = {}

    # Reading

    def stale_timeout(self, seconds: float) -> None:
        """How long ports may take to be posted again, in epochs that begin from now on."""
        self._stale_timeout = seconds

    def port(self, uuid: UUID) -> PluggedPort | None:
        """The port plugged through POST /port under that UUID."""
        entry = self._entries.get((PluggedPort, uuid))
        return entry.row if entry and isinstance(entry.row, PluggedPort) else None

    def ports(self) -> list[PluggedPort | ContainerPort]:
        """Every port, in the order in which they came."""
        return [entry.row for entry in self._entries.values()]

    def epoch_of(self, row: PluggedPort | ContainerPort) -> int | None:
        """The resync epoch in which a port was last posted; None for an unknown port."""
        entry = self._entries.get(_key(row))
        return entry.epoch if entry else None

    def container(self, vm: UUID, vn: UUID, vmi: UUID) -> ContainerPort | None:
        """The port of POST /vm that belongs to an interface: named so, or waiting for its VN."""
        waiting = None
        for key in self._of_vm.get(vm, ()):
            row = self._entries[key].row
            assert isinstance(row, ContainerPort)
            if row.vmi_uuid == vmi:
                return row
            if row.vmi_uuid == NIL and row.vn_uuid == vn:
                waiting = row
        return waiting

    def changes(self) -> list[Change]:
        """What changed since the last call, one change a port or gateway."""
        changes = []
        for key in self._touched:
            before, after = self._told.pop(key, None), self._effective(key)
            if after is not None:
                self._told[key] = after
            if before != after:
                changes.append(Change(before, after))
        self._touched.clear()
        return changes

    def _effective(self, key: Key) -> Row | None:
        entry = self._entries.get(key)
        if entry is None:
            return self._gateways.get(key)
        return entry.row if self._claims.holds(key) else None

    # Ports

    def plug(self, rows: Iterable[PluggedPort | ContainerPort], stamp: Stamp) -> list[FileAction]:
        """Add ports, or replace those of the same key; Rejected when there are too many."""
        rows = list(rows)
        if len(self._entries.keys() | {_key(row) for row in rows}) > _MAX_ENTRIES:
            raise Rejected(f"Too many ports, the limit is {_MAX_ENTRIES}")
        actions: list[FileAction] = []
        for row in rows:
            path = port_path(row)
            outdated = self._put(row, self._epoch, path) - {path}
            for old in sorted(outdated):
                del self._file_of[old]
                actions.append(RemoveFile(old))
            self._entries[_key(row)].paths = {path}
            actions.append(write_port(row, stamp))
        return actions

    def unplug(self, uuid: UUID) -> list[FileAction]:
        """Remove a port of POST /port; an unknown one still loses a file of its name."""
        if uuid == NIL:
            return []
        return [*self._drop((PluggedPort, uuid)), RemoveFile(str(uuid))]

    def unplug_vm(self, vm: UUID) -> list[FileAction]:
        """Remove every port of POST /vm that belongs to a VM."""
        return [action for key in list(self._of_vm.get(vm, ())) for action in self._drop(key)]

    def set_link_state(self, uuid: UUID, up: bool, stamp: Stamp) -> list[FileAction]:
        """Enable or disable a remote port; Rejected for any other."""
        row = self.port(uuid)
        if row is None:
            raise Rejected(f"Port Not found {uuid}")
        if row.port_type != REMOTE_PORT:
            raise Rejected(f"Incorrect Port type for {uuid}")
        if row.link_state == up:
            return []
        changed = replace(row, link_state=up)
        self._put(changed, self._entries[_key(row)].epoch, port_path(row))
        return [write_port(changed, stamp)]

    def _put(self, row: PluggedPort | ContainerPort, epoch: int, path: str) -> set[str]:
        """Take a row over; returns the files that are now this port's alone."""
        key = _key(row)
        entry = self._entries.setdefault(key, _Entry(row, epoch))
        entry.row, entry.epoch = row, epoch
        entry.paths.add(path)
        self._file_of[path] = key
        self._touched[key] = None
        if isinstance(row, ContainerPort):
            self._of_vm.setdefault(row.vm_uuid, {})[key] = None
            self._claim(key, row.host_ifname, row.vmi_uuid if row.vmi_uuid != NIL else key)
        else:
            self._claim(key, row.system_name, row.uuid)
        return self._own_paths(key, entry)

    def _own_paths(self, key: Key, entry: _Entry) -> set[str]:
        return {path for path in entry.paths if self._file_of.get(path) == key}

    def _claim(self, key: Key, tap: str, owner: object) -> None:
        for other in self._claims.claim(key, tap, owner):
            self._touched[other] = None
        if not self._claims.holds(key):
            self.counters.tap_conflicts += 1
            self.notices.append(
                f"{tap} is plugged by another port; {owner} waits until that one is removed"
            )

    def _drop(self, key: Key) -> list[FileAction]:
        entry = self._entries.pop(key, None)
        if entry is None:
            return []
        self._touched[key] = None
        for other in self._claims.release(key):
            self._touched[other] = None
        if isinstance(entry.row, ContainerPort):
            mates = self._of_vm[entry.row.vm_uuid]
            del mates[key]
            if not mates:
                del self._of_vm[entry.row.vm_uuid]
        paths = self._own_paths(key, entry)
        for path in paths:
            del self._file_of[path]
        return [RemoveFile(path) for path in sorted(paths)]

    # Gateways

    def add_gateways(self, rows: Iterable[SimpleGateway]) -> None:
        """Add simple gateways, or replace those of the same interface; Rejected when too many."""
        added = {_key(row): row for row in rows}
        if len(self._gateways.keys() | added.keys()) > _MAX_ENTRIES:
            raise Rejected(f"Too many gateways, the limit is {_MAX_ENTRIES}")
        self._gateways |= added
        self._touched |= dict.fromkeys(added)

    def remove_gateways(self, interfaces: Iterable[str]) -> None:
        """Remove simple gateways; unknown ones are fine."""
        for interface in interfaces:
            key: Key = SimpleGateway, interface
            if self._gateways.pop(key, None) is not None:
                self._touched[key] = None

    # Resync

    def sync(self, now: float) -> None:
        """Begin a resync epoch: ports not posted again in time are stale."""
        if len(self._rounds) >= _MAX_ROUNDS:
            self._rounds.disarm(self._epoch)  # the new round removes whatever this one would
        self._epoch += 1
        self._rounds.arm(self._epoch, now + self._stale_timeout)

    def next_deadline(self) -> float | None:
        """When `expire` has work next."""
        return self._rounds.next()

    def expire(self, now: float) -> list[FileAction]:
        """Remove the stale ports of every round that is due; namespace ports are never stale."""
        due = max(self._rounds.due(now), default=0)
        if not due:
            return []
        stale = [
            key
            for key, entry in self._entries.items()
            if entry.epoch < due
            and not (isinstance(entry.row, PluggedPort) and entry.row.port_type == NAMESPACE_PORT)
        ]
        self.counters.stale_removed += len(stale)
        return [action for key in stale for action in self._drop(key)]

    # Replay

    def replay(self, files: Iterable[StoredFile], exists: Exists | None) -> None:
        """Take over the ports of an earlier run, before the first request.

        `exists` is None where interfaces need not exist yet (DPDK). A file that fails a check
        is skipped, counted and noted, and stays where it is.
        """
        for file in files:
            try:
                row: PluggedPort | ContainerPort
                if file.path.startswith(f"{CONTAINER_DIRECTORY}/"):
                    row = container_port(file.text, exists)
                else:
                    row = stored_port(file.text, exists)
                if _key(row) not in self._entries and len(self._entries) >= _MAX_ENTRIES:
                    raise Rejected(f"Too many ports, the limit is {_MAX_ENTRIES}")
            except Rejected as error:
                self.counters.skipped_files += 1
                self.notices.append(f"stored port {file.path} is skipped: {error}"[:_MAX_NOTICE])
                continue
            self.counters.replayed += 1
            self._put(row, 0, file.path)
