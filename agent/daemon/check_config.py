"""`vrouter-agent check-config`: everything that is wrong or idle in a configuration file."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from agent.daemon.host import host_settings, left_out
from agent.errors import ConfigError, UsageError
from agent.io.doors import introspect_door, port_api_door
from agent.io.files import read_topology
from agent.io.logs import known
from agent.io.peers import TlsFiles, tls_client
from agent.io.syslog import FACILITIES
from agent.io.texts import read_text
from agent.settings import (
    Finding,
    Override,
    Settings,
    Severity,
    examine,
    of_environment,
    of_words,
    unknown_variables,
)
from agent.telemetry.log_levels import LogLevels

OK, WARNED, WRONG = 0, 1, 22
"""Exit codes; the last is EINVAL, with which the agent itself would end."""
DEFAULT = Path("/etc/contrail/contrail-vrouter-agent.conf")
_TLS = (
    ("DEFAULT", "xmpp_auth_enable", ("xmpp_server_cert", "xmpp_server_key", "xmpp_ca_cert")),
    ("SANDESH", "sandesh_ssl_enable", ("sandesh_certfile", "sandesh_keyfile", "sandesh_ca_cert")),
)


class Recorded(Protocol):
    """Something that was found, with its JSON form."""

    def record(self) -> Mapping[str, object]: ...


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent check-config",
        description="Say everything that is wrong in a configuration file, unknown, or without "
        "effect; with what it refers to, the environment, and --SECTION.option VALUE.",
        epilog="Exit code: 0 nothing is wrong, 1 something is unknown, 22 the agent would not "
        "start.",
    )
    parser.add_argument(
        "file", type=Path, nargs="?", default=DEFAULT, metavar="FILE", help=f"default: {DEFAULT}"
    )
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    try:
        overrides, others = of_words(words)
        arguments = _arguments(others)
    except ConfigError as error:
        print(f"vrouter-agent check-config: {error}", file=sys.stderr)
        return WRONG
    found = check(arguments.file, [*of_environment(os.environ), *overrides])
    found += unknown_variables(os.environ)
    code = _code(found)
    if arguments.json:
        print(as_json(arguments.file, code, "findings", found))
    else:
        print("\n".join(_report(arguments.file, found)))
    return code


def as_json(file: Path, code: int, name: str, found: Iterable[Recorded]) -> str:
    """What was found of a host's file, under `name`, and whether the agent would start."""
    rows = [one.record() for one in found]
    return json.dumps({"file": str(file), "starts": code != WRONG, name: rows}, indent=2)


def check(path: Path, overrides: Sequence[Override] = ()) -> list[Finding]:
    """Everything that is found in a file and what it refers to."""
    try:
        text = read_text(path)
    except ConfigError as error:
        return [Finding(Severity.ERROR, str(path), str(error))]
    examined = examine(text, str(path), overrides)
    if examined.settings is None:
        return examined.findings
    settings = examined.settings.named(socket.gethostname())
    return [*_beyond(settings, str(path)), *examined.findings]


def _beyond(settings: Settings, source: str) -> Iterator[Finding]:
    """What each option by itself does not show."""
    checks: list[Callable[[], object]] = [
        lambda: _host(settings),
        lambda: _levels(settings),
        lambda: _facility(settings),
        lambda: introspect_door(settings),
        lambda: port_api_door(settings),
        *(lambda one=one: _certificates(settings, *one) for one in _TLS),
    ]
    for check in checks:
        try:
            check()
        except ConfigError as error:
            yield Finding(Severity.ERROR, source, f"{source}: {error}")
    for problem in left_out(settings):
        yield Finding(Severity.WARNING, source, problem)
    servers = settings.get("CONTROL-NODE", "servers", tuple)
    if not servers and not settings.get("STANDALONE", "topology", str):
        hint = "set [CONTROL-NODE] servers or [STANDALONE] topology"
        yield Finding(Severity.WARNING, source, f"there is no source of configuration: {hint}")


def _host(settings: Settings) -> None:
    name = settings.get("STANDALONE", "topology", str)
    host_settings(settings, read_topology(Path(name)) if name else None)


def _levels(settings: Settings) -> None:
    word = settings.get("DEFAULT", "log_level", str)
    category = settings.get("DEFAULT", "log_category", str)
    try:
        LogLevels(known=known).begin(word, settings.get("DEFAULT", "log_levels", dict), category)
    except UsageError as error:
        raise ConfigError(f"[DEFAULT] log_level, log_levels or log_category: {error}") from None


def _facility(settings: Settings) -> None:
    word = settings.get("DEFAULT", "syslog_facility", str)
    if word.lower().removeprefix("log_") not in FACILITIES:
        names = ", ".join(f"LOG_{name.upper()}" for name in FACILITIES)
        raise ConfigError(f"[DEFAULT] syslog_facility = {word}: expected one of {names}")


def _certificates(
    settings: Settings, section: str, switch: str, names: tuple[str, str, str]
) -> None:
    if settings.get(section, switch, bool):
        files = TlsFiles(*(Path(settings.get(section, name, str)) for name in names))
        tls_client(files, section, names)


def _code(found: Sequence[Finding]) -> int:
    severities = {one.severity for one in found}
    if Severity.ERROR in severities:
        return WRONG
    return WARNED if Severity.WARNING in severities else OK


def _report(path: Path, found: Sequence[Finding]) -> Iterator[str]:
    for one in found:
        line = f" (line {one.line})" if one.line else ""
        told = "" if "expected" in one.problem or not one.expected else f"; expected {one.expected}"
        yield f"{one.severity.value}: {one}{told}{line}"
    counts = Counter(one.severity.value for one in found)
    told = ", ".join(f"{number} {name}{'s' * (number > 1)}" for name, number in counts.items())
    yield f"{path}: {told or 'nothing is wrong'}"
