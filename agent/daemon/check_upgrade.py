"""`vrouter-agent check-upgrade`: what becomes of a reference agent's host when this one takes over.

Reads its configuration, its stored ports and its backup, changes nothing, and needs neither
the other agent nor the datapath to run.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from agent.backup import FAMILY, REFERENCE, checked, decode, family, restored
from agent.daemon.check_config import DEFAULT, WRONG, as_json, check
from agent.errors import ConfigError, WireError
from agent.io.backup import MAX_FILE
from agent.io.portfiles import PortFiles
from agent.io.safe_files import read_file, strangers
from agent.io.texts import read_text
from agent.objects import Numbered
from agent.rest import PortStore
from agent.settings import Finding, Override, Settings, Severity, examine, of_environment, of_words

OK, PARTLY = 0, 1
"""Exit codes besides `WRONG`."""

_INSTEAD = {
    "[DEFAULT] agent_mode": "keep the reference agent on ToR services nodes",
    "[DEFAULT] gateway_mode": "simple gateways ([GATEWAY-n]) work in every mode",
    "[DEFAULT] tsn_servers": "keep the reference agent on ToR services nodes",
    "[DEFAULT] log_property_file": "set [DEFAULT] log_levels",
    "[CRYPT] crypt_interface": "encrypt the fabric below, by IPsec of the host",
    "[DNS] servers": "VMs get no DNS through this agent: name servers in the DHCP options",
    "[HYPERVISOR] vmware_physical_interface": "keep the reference agent on ESXi",
    "[LLGR] disable": "set graceful restart in the global configuration",
    "[METADATA] metadata_proxy_secret": "VMs get no metadata through this agent: use config drives",
    "[NEXTHOP-SERVER] endpoint": "read nexthops from introspect or `nh --list --json`",
    "[SERVICE-INSTANCE] netns_command": "start service instances as VMs or containers",
    "[SERVICE-INSTANCE] docker_command": "start service instances as VMs or containers",
    "[SERVICES] bgp_as_a_service_port_range": "keep the reference agent where VMs speak BGP",
    "[VIRTUAL-HOST-INTERFACE] physical_interface_addr": "one fabric interface, or a bond",
    "[VIRTUAL-HOST-INTERFACE] loopback_ip": "one fabric interface, or a bond",
}
"""The nearest to an option that has no effect here."""


class Fate(Enum):
    """What becomes of a thing."""

    KEPT = "kept"
    NO_EFFECT = "no effect"
    """Known, and without effect here: what it did before is not done."""
    LEFT = "left"
    """Not taken over."""
    WRONG = "wrong"
    """The agent would not start."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of the host. `part`: configuration, ports or backup; `hint`: what to do."""

    fate: Fate
    part: str
    what: str
    hint: str = ""

    def record(self) -> dict[str, str]:
        """The JSON form; fields are only ever added."""
        return {"fate": self.fate.value, "part": self.part, "what": self.what, "hint": self.hint}

    def __str__(self) -> str:
        return f"{self.fate.value}: {self.part}: {self.what}" + (
            f"; {self.hint}" if self.hint else ""
        )


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent check-upgrade",
        description="Say what becomes of a host of the reference agent when this one takes over: "
        "its configuration, its stored ports, and its backup of labels and indexes. Changes "
        "nothing.",
        epilog="Exit code: 0 all is kept, 1 something is not, 22 the agent would not start.",
    )
    parser.add_argument(
        "file", type=Path, nargs="?", default=DEFAULT, metavar="FILE", help=f"default: {DEFAULT}"
    )
    parser.add_argument(
        "--ports", type=Path, metavar="DIR", help="default: ports in [DEFAULT] agent_base_directory"
    )
    parser.add_argument("--backup", type=Path, metavar="DIR", help="default: [RESTART] backup_dir")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    try:
        overrides, others = of_words(words)
        arguments = _arguments(others)
    except ConfigError as error:
        print(f"vrouter-agent check-upgrade: {error}", file=sys.stderr)
        return WRONG
    before = [*of_environment(os.environ), *overrides]
    items = list(look(arguments.file, arguments.ports, arguments.backup, before))
    code = _code(items)
    if arguments.json:
        print(as_json(arguments.file, code, "items", items))
    else:
        counts = Counter(one.fate.value for one in items)
        print("\n".join(map(str, items)))
        print(", ".join(f"{number} {fate}" for fate, number in counts.items()))
    return code


def look(
    file: Path, ports: Path | None, backup: Path | None, before: Sequence[Override] = ()
) -> Iterator[Item]:
    """Everything of a host; `ports` and `backup` where they are not as the file says."""
    yield from _configuration(check(file, before))
    settings = _settings(file, before)
    if settings is None:
        return
    base = Path(settings.get("DEFAULT", "agent_base_directory", str))
    numbers: list[Item] = list(_backup(settings, backup))
    yield from _ports(ports or base / "ports", settings.get("DEFAULT", "platform", str))
    yield from numbers


def _settings(file: Path, before: Sequence[Override]) -> Settings | None:
    try:
        return examine(read_text(file), str(file), before).settings
    except ConfigError:
        return None  # `check` has told so


def _configuration(found: Iterable[Finding]) -> Iterator[Item]:
    part, none = "configuration", True
    for one in found:
        none = False
        if one.severity is Severity.ERROR:
            yield Item(Fate.WRONG, part, str(one), one.expected and f"expected {one.expected}")
        elif one.severity is Severity.WARNING:
            yield Item(Fate.LEFT, part, str(one))
        else:
            hint = _INSTEAD.get(one.place, "")
            yield Item(Fate.NO_EFFECT, part, one.place, hint)
    if none:
        yield Item(Fate.KEPT, part, "all of it")


def _ports(folder: Path, platform: str) -> Iterator[Item]:
    part, store = "ports", PortStore()
    try:
        files = PortFiles(folder).stored()
    except OSError as error:
        yield Item(Fate.LEFT, part, f"{folder}: {error.strerror}", "name it with --ports")
        return
    store.replay(files, None if platform == "dpdk" else _exists)
    if store.counters.replayed:
        yield Item(Fate.KEPT, part, f"{store.counters.replayed} of {len(files)} in {folder}")
    for notice in store.notices:
        yield Item(Fate.LEFT, part, notice, "plug it again when its interface is there")
    if not files:
        yield Item(Fate.KEPT, part, f"{folder} has none")


def _exists(interface: str) -> bool:
    try:
        return bool(socket.if_nametoindex(interface))
    except OSError:
        return False


def _backup(settings: Settings, named: Path | None) -> Iterator[Item]:
    folder = named or Path(settings.get("RESTART", "backup_dir", str))
    paths = _files(folder)
    if not paths:
        hint = "numbers are read from the running datapath; do not reset or reboot in between"
        yield Item(Fate.KEPT, "backup", f"{folder} has none", hint)
        return
    if reason := strangers(folder):
        yield Item(Fate.LEFT, "backup", f"{folder} is not read: {reason}")
    if not settings.get("RESTART", "backup_enable", bool):
        hint = "set [RESTART] backup_enable = true"
        yield Item(Fate.LEFT, "backup", f"{folder} is not read", hint)
    for path in paths:
        yield from _numbers(path)


def _files(folder: Path) -> list[Path]:
    """Backups in a directory, ours and the reference agent's."""
    try:
        found = [one for one in sorted(folder.iterdir()) if one.is_file()]
    except OSError:
        return []
    return [one for one in found if family(one.name) in (FAMILY, REFERENCE)]


def _numbers(path: Path) -> Iterator[Item]:
    try:
        content = read_file(path, MAX_FILE)
        checked(path.name, content)
        rows, left = _decoded(path, content)
    except (OSError, WireError) as error:
        hint = "numbers are read from the running datapath"
        yield Item(Fate.LEFT, "backup", f"{path}: {error}", hint)
        return
    kinds = Counter(kind for kind, _ in {(row.kind, row.number) for row in rows})
    told = ", ".join(f"{number} {kind.value}" for kind, number in kinds.items())
    yield Item(Fate.KEPT, "backup", f"{path}: {told or 'nothing that is used here'}")
    for one in left:
        yield Item(Fate.LEFT, "backup", f"{path}: number {one}", "it may get another number")


def _decoded(path: Path, content: bytes) -> tuple[list[Numbered], list[str]]:
    if family(path.name) == FAMILY:
        return decode(content), []
    found = restored(content)
    return found.rows, found.left_out


def _code(items: Sequence[Item]) -> int:
    fates = {one.fate for one in items}
    if Fate.WRONG in fates:
        return WRONG
    return PARTLY if fates & {Fate.LEFT, Fate.NO_EFFECT} else OK
