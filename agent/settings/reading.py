"""The text of a configuration file, checked against the table; nothing here opens files."""

from __future__ import annotations

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
from agent.settings.secrets import HIDDEN, is_secret
from agent.settings.table import TABLE
from agent.settings.text import Place, Text, read
from agent.settings.values import Settings

# Sections that carry a number or free keys in place of a fixed set of options.
_TRACES = "TRACEBUFFSIZE"
_FREE_SECTIONS = re.compile(rf"QUEUE-\w+|QOS-NIANTIC|PG-\w+|{_TRACES}")
_LONGEST = 1 << 20
_SHOWN = 100
"""Meaningless lines that are told of one by one."""
_GATEWAY = re.compile(r"GATEWAY-\w+")
_GATEWAY_OPTIONS = ("interface", "routing_instance", "ip_blocks", "routes")

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
    if len(text) > _LONGEST:
        problem = f"{source}: longer than {_LONGEST} characters: this is no configuration file"
        return Examined(None, [Finding(Severity.ERROR, source, problem)])
    reader = _Reader(source, read(text), {(one.section, one.option): one for one in overrides})
    reader.lines()
    values = {place: reader.value(option) for place, option in _OPTIONS.items()}
    gateways = reader.gateways()
    sizes = reader.trace_sizes()
    unknown, unused = list(reader.unknown()), list(reader.unused())
    settings = None
    if not reader.findings:
        places = tuple(one.place for one in unused)
        settings = Settings(values, gateways, tuple(map(str, unknown)), sizes, places)
    return Examined(settings, [*reader.findings, *unknown, *unused])


class _Reader:
    """Takes one file apart and keeps what it finds; `later` stands before the file."""

    def __init__(self, source: str, text: Text, later: Mapping[Place, Override]) -> None:
        self._source = source
        self._text = text
        self._later = later
        self.findings: list[Finding] = []

    def lines(self) -> None:
        """Tell of lines that mean nothing."""
        problems = list(self._text.problems.items())
        for at, problem in problems[:_SHOWN]:
            told = f"{self._source}: {problem}: line {at}"
            self.findings.append(Finding(Severity.ERROR, self._source, told, line=at))
        if len(problems) > _SHOWN:
            told = f"{self._source}: {len(problems) - _SHOWN} more lines mean nothing"
            self.findings.append(Finding(Severity.ERROR, self._source, told))

    def _written(self, place: Place, *, many: bool) -> str | None:
        """The value in the file, None where there is none; a list may be on several lines."""
        written = self._text.options.get(place)
        if not written:
            return None
        if len(written) > 1 and not many:
            lines = " and ".join(str(one.line) for one in written)
            shown = ", ".join(one.value for one in written)
            value = HIDDEN if is_secret(place[1]) else shown
            self._tell(f"more than one value, on lines {lines}", place, value=value)
        return " ".join(one.value for one in written)

    def _finding(
        self, severity: Severity, problem: str, place: Place, *, source: str = "", **more: str
    ) -> Finding:
        section, option = place
        line = 0 if source else self._text.line(place)
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

    def value(self, option: Option) -> Any:
        """The value of an option: of an override, the file, or the table.

        One without effect ends no start, whatever stands there.
        """
        place, later = (option.section, option.name), self._later
        if option.reload is Reload.UNUSED:
            return self._unused_value(option)
        if place in later:
            text, source = later[place].value, later[place].source
        else:
            found, source = self._written(place, many=option.kind.many), ""
            text = option.default if found is None else found
        shown = option.shown(text)
        return self._converted(option.kind, text, place, shown=shown, source=source)

    def _unused_value(self, option: Option) -> Any:
        written = self._text.options.get((option.section, option.name))
        try:
            return option.kind.convert(written[-1].value if written else option.default)
        except ValueError:
            return option.kind.convert(option.default)

    def gateways(self) -> tuple[SimpleGateway, ...]:
        """Those of [GATEWAY-n]; a section without options, as files come with, is none."""
        found: dict[str, SimpleGateway] = {}
        for section in filter(_GATEWAY.fullmatch, self._text.sections):
            row = self._gateway(section) if any(self._text.names(section)) else None
            if row is not None and row.interface in found:
                place = section, "interface"
                self._tell("named before", place, value=row.interface)
            elif row is not None:
                found[row.interface] = row
        return tuple(found.values())

    def _gateway(self, section: str) -> SimpleGateway | None:
        names = [self._written((section, name), many=False) or "" for name in _GATEWAY_OPTIONS[:2]]
        for option, value in zip(_GATEWAY_OPTIONS, names, strict=False):
            if not value:
                self._tell(MISSING, (section, option), expected="a name")
        prefixes = [
            self._converted(NETWORKS, self._written(place, many=True) or "", place)
            for place in ((section, option) for option in _GATEWAY_OPTIONS[2:])
        ]
        if not all(names) or None in prefixes:
            return None
        return SimpleGateway(names[0], names[1], *prefixes)

    def trace_sizes(self) -> dict[str, int]:
        """Those of [TRACEBUFFSIZE]."""
        places = [(_TRACES, name) for name in self._text.names(_TRACES)]
        return {
            place[1]: self._converted(COUNT, self._written(place, many=False) or "", place)
            for place in places
        }

    def unknown(self) -> Iterator[Finding]:
        """Sections and options that the table does not have."""
        for name, line in self._text.loose.items():
            problem = f"option {name!r} stands before any section"
            yield Finding(Severity.WARNING, self._source, problem, option=name, line=line)
        known: dict[str, Sequence[str]] = {}
        for section, option in _OPTIONS:
            known[section] = (*known.get(section, ()), option)
        for section in self._text.sections:
            if _FREE_SECTIONS.fullmatch(section):
                continue
            names = _GATEWAY_OPTIONS if _GATEWAY.fullmatch(section) else known.get(section)
            if names is None:
                near = nearest(section.upper(), known)
                problem = f"unknown section [{section}]"
                yield self._finding(Severity.WARNING, problem, (section, ""), near=near)
                continue
            for name in self._text.names(section):
                if name not in names:
                    near = nearest(name, names)
                    problem = f"unknown option {name!r} in [{section}]"
                    yield self._finding(Severity.WARNING, problem, (section, name), near=near)

    def unused(self) -> Iterator[Finding]:
        """Options that are given, with another value than by default, and have no effect here."""
        for place, option in _OPTIONS.items():
            if option.reload is not Reload.UNUSED:
                continue
            if place in self._later:
                value, source = self._later[place].value, self._later[place].source
            elif place in self._text.options:
                value, source = self._text.options[place][-1].value, ""
            else:
                continue
            if option.is_default(value):
                continue
            shown = option.shown(value)
            yield self._finding(Severity.NOTE, IDLE, place, value=shown, source=source)


def differing(before: Settings, after: Settings) -> Iterator[Option]:
    """The options whose values differ."""
    for option in TABLE:
        if before.raw(option) != after.raw(option):
            yield option
