"""The text of a configuration file, checked against the table; nothing here opens files."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.errors import ConfigError
from agent.inputs import SimpleGateway
from agent.settings.finding import IDLE, MISSING, Finding, Severity, nearest
from agent.settings.kinds import COUNT, NETWORKS, Kind
from agent.settings.option import Option, Reload
from agent.settings.overrides import Override
from agent.settings.table import TABLE
from agent.settings.values import Settings

# Sections that carry a number or free keys in place of a fixed set of options.
_FREE_SECTIONS = re.compile(r"QUEUE-\w+|QOS-NIANTIC|PG-\w+|TRACEBUFFSIZE")
_GATEWAY = re.compile(r"GATEWAY-\w+")
_GATEWAY_OPTIONS = ("interface", "routing_instance", "ip_blocks", "routes")
_SECTION_LINE = re.compile(r"\[(.+)\]")
_OPTION_LINE = re.compile(r"([^\s=:#;\[][^=:]*?)\s*[=:]")

Place = tuple[str, str]
"""Section and option."""
_OPTIONS: Mapping[Place, Option] = {(option.section, option.name): option for option in TABLE}


@dataclass(slots=True)
class Examined:
    """What a configuration says: `settings` where nothing is wrong, and all findings."""

    settings: Settings | None = None
    findings: list[Finding] = field(default_factory=list)


def parse(text: str, source: str = "configuration", overrides: Iterable[Override] = ()) -> Settings:
    """Check the text of a configuration file.

    ConfigError names file, section, option, the value found and what was expected.
    Unknown options do not fail (files of other versions must load); see `Settings.unknown`.
    """
    examined = examine(text, source, overrides)
    if examined.settings is None:
        first = next(one for one in examined.findings if one.severity is Severity.ERROR)
        raise ConfigError(str(first))
    return examined.settings


def examine(
    text: str, source: str = "configuration", overrides: Iterable[Override] = ()
) -> Examined:
    """Check the text of a configuration file, and tell of everything that is found."""
    reader = _Reader(source, text)
    try:
        parser = _read(text, source)
    except configparser.Error as error:
        problem = _unread(error)
        return Examined(None, [Finding(Severity.ERROR, source, problem)])
    later = {(one.section, one.option): one for one in overrides}
    values = {place: reader.value(option, parser, later) for place, option in _OPTIONS.items()}
    gateways = reader.gateways(parser)
    sizes = reader.trace_sizes(parser)
    if reader.findings:
        settings = None
    else:
        unknown = tuple(str(one) for one in reader.unknown(parser))
        unused = tuple(one.place for one in reader.unused(parser, later))
        settings = Settings(values, gateways, unknown, sizes, unused)
    others = [*reader.unknown(parser), *reader.unused(parser, later)]
    return Examined(settings, [*reader.findings, *others])


def _read(text: str, source: str) -> configparser.ConfigParser:
    # The reference file has a section DEFAULT of its own, so the parser's special one is renamed.
    parser = configparser.ConfigParser(
        interpolation=None, strict=True, default_section="\0none", inline_comment_prefixes=("#",)
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text, source)
    return parser


def _unread(error: configparser.Error) -> str:
    """Why the text cannot be read, without its lines: they may hold secrets."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"File contains no section headers before line {error.lineno} of {error.source}"
    if isinstance(error, configparser.ParsingError):
        lines = ", ".join(str(number) for number, _ in error.errors)
        return f"{error.source}: neither [SECTION] nor OPTION = VALUE: line {lines}"
    return " ".join(str(error).split())


def _lines(text: str) -> dict[Place, int]:
    """The line of each section (with an option of "") and of each option, from 1."""
    found: dict[Place, int] = {}
    section = ""
    for at, line in enumerate(text.splitlines(), 1):
        if match := _SECTION_LINE.match(line):
            section = match[1]
            found.setdefault((section, ""), at)
        elif match := _OPTION_LINE.match(line):
            found.setdefault((section, match[1]), at)
    return found


class _Reader:
    """Takes one file apart and keeps what it finds."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._places = _lines(text)
        self.findings: list[Finding] = []

    def _finding(
        self, severity: Severity, problem: str, place: Place, *, source: str = "", **more: str
    ) -> Finding:
        section, option = place
        line = 0 if source else self._places.get(place, 0)
        source = source or self._source
        return Finding(severity, source, problem, section, option, line=line, **more)

    def _tell(self, problem: str, place: Place, **more: str) -> None:
        self.findings.append(self._finding(Severity.ERROR, problem, place, **more))

    def _converted(
        self, kind: Kind, text: str, place: Place, *, shown: str | None = None, source: str = ""
    ) -> Any:
        """The value, or None with a finding; `shown` stands for a text that is not to be told."""
        try:
            return kind.convert(text)
        except ValueError as error:
            value = text if shown is None else shown
            self._tell(str(error), place, value=value, expected=kind.expected, source=source)
            return None

    def value(
        self,
        option: Option,
        parser: configparser.ConfigParser,
        later: Mapping[Place, Override],
    ) -> Any:
        """The value of an option: of an override, the file, or the table."""
        place = option.section, option.name
        if place in later:
            text, source = later[place].value, later[place].source
        else:
            text, source = parser.get(*place, fallback=option.default), ""
        shown = option.shown(text)
        return self._converted(option.kind, text, place, shown=shown, source=source)

    def gateways(self, parser: configparser.ConfigParser) -> tuple[SimpleGateway, ...]:
        """Those of [GATEWAY-n]; a section without options, as files come with, is none."""
        found: dict[str, SimpleGateway] = {}
        for section in filter(_GATEWAY.fullmatch, parser.sections()):
            row = self._gateway(section, parser[section]) if parser[section] else None
            if row is not None and row.interface in found:
                place = section, "interface"
                self._tell("named before", place, value=row.interface)
            elif row is not None:
                found[row.interface] = row
        return tuple(found.values())

    def _gateway(self, section: str, values: Mapping[str, str]) -> SimpleGateway | None:
        names = values.get("interface", "").strip(), values.get("routing_instance", "").strip()
        for option, value in zip(_GATEWAY_OPTIONS, names, strict=False):
            if not value:
                self._tell(MISSING, (section, option), expected="a name")
        prefixes = [
            self._converted(NETWORKS, values.get(option, ""), (section, option))
            for option in _GATEWAY_OPTIONS[2:]
        ]
        if not all(names) or None in prefixes:
            return None
        return SimpleGateway(*names, *prefixes)

    def trace_sizes(self, parser: configparser.ConfigParser) -> dict[str, int]:
        """Those of [TRACEBUFFSIZE]."""
        if not parser.has_section("TRACEBUFFSIZE"):
            return {}
        return {
            name: self._converted(COUNT, value, ("TRACEBUFFSIZE", name))
            for name, value in parser["TRACEBUFFSIZE"].items()
        }

    def unknown(self, parser: configparser.ConfigParser) -> Iterator[Finding]:
        """Sections and options that the table does not have."""
        known: dict[str, Sequence[str]] = {}
        for section, option in _OPTIONS:
            known[section] = (*known.get(section, ()), option)
        for section in parser.sections():
            if _FREE_SECTIONS.fullmatch(section):
                continue
            names = _GATEWAY_OPTIONS if _GATEWAY.fullmatch(section) else known.get(section)
            if names is None:
                near = nearest(section.upper(), known)
                problem = f"unknown section [{section}]"
                yield self._finding(Severity.WARNING, problem, (section, ""), near=near)
                continue
            for name in parser[section]:
                if name not in names:
                    near = nearest(name, names)
                    problem = f"unknown option {name!r} in [{section}]"
                    yield self._finding(Severity.WARNING, problem, (section, name), near=near)

    def unused(
        self, parser: configparser.ConfigParser, later: Mapping[Place, Override]
    ) -> Iterator[Finding]:
        """Options that are given and have no effect here."""
        for place, option in _OPTIONS.items():
            if option.reload is not Reload.UNUSED:
                continue
            if place in later:
                value, source = later[place].value, later[place].source
            elif parser.has_option(*place):
                value, source = parser.get(*place), ""
            else:
                continue
            shown = option.shown(value)
            yield self._finding(Severity.NOTE, IDLE, place, value=shown, source=source)


def differing(before: Settings, after: Settings) -> Iterator[Option]:
    """The options whose values differ."""
    for option in TABLE:
        if before.raw(option) != after.raw(option):
            yield option
