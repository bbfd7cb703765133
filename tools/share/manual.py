"""Man pages."""

from __future__ import annotations

from collections.abc import Iterator

from tools.share.surface import Command, Option

_DATAPATH = "sock-dir"
_STATUS = """\
0 also when the datapath refuses a request: the refusal is then one line on standard output,
vRouter(Response): and the reason. With \\-\\-json a refusal goes to standard error and the
status is 1."""
_ENVIRONMENT = (
    ("VROUTER_RUN_DIR", "run directory of the datapath, unless --sock-dir names it"),
    ("PAGER", "what shows long texts on a terminal (default: less -FRX; cat for none)"),
    ("NO_COLOR", "no colours on a terminal when it is set"),
)
_FILES = (
    ("/run/vrouter/dpdk_netlink, /var/run/vrouter/dpdk_netlink", "socket of the datapath"),
    (
        "/etc/contrail/contrail-vrouter-agent.conf",
        "names the platform of the datapath: dpdk or nic, which have a socket, or the kernel",
    ),
)


def render(command: Command, version: str, date: str, others: list[str]) -> str:
    """The page of a command in section 8; `others` are the project's commands."""
    lines = [
        f'.TH {command.name.upper()} 8 "{date}" "vrouter-agent {version}" "vrouter"',
        ".SH NAME",
        f"{escaped(command.name)} \\- {escaped(_summary(command))}",
        ".SH SYNOPSIS",
    ]
    lines += _usage(command)
    lines += [".SH DESCRIPTION", *_paragraphs(command.purpose)]
    lines += _options(command, ".SH OPTIONS")
    lines += _commands(command, others)
    if command.epilog and not command.commands:
        lines += [".SH NOTES", *_paragraphs(command.epilog)]
    lines += _surroundings(command)
    see = sorted(name for name in others if name != command.name)
    lines += [".SH SEE ALSO"]
    lines += [f".BR {escaped(name)} (8){',' if name != see[-1] else ''}" for name in see]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text as roff takes it: hyphens that can be copied, no accidental requests."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in (".", "'") else text


def _summary(command: Command) -> str:
    first = " ".join(command.purpose.split("\n\n")[0].split()).rstrip(".")
    return first[:1].lower() + first[1:] if first else command.name


def _usage(command: Command) -> Iterator[str]:
    yield ".nf"
    for line in command.usage.splitlines():
        yield escaped(line)
    yield ".fi"


def _paragraphs(text: str) -> Iterator[str]:
    for number, part in enumerate(part for part in text.strip().split("\n\n") if part.strip()):
        if number:
            yield ".PP"
        yield escaped(" ".join(part.split()))


def _options(command: Command, heading: str) -> Iterator[str]:
    if not command.options and not any(one.help for one in command.arguments):
        return
    if heading:
        yield heading
    for argument in command.arguments:
        if argument.help:
            yield from (".TP", f".I {escaped(argument.name)}", escaped(argument.help))
    for option in command.options:
        yield ".TP"
        yield _names(option)
        words = " ".join(option.help.split())
        if option.choices:
            words = f"{words}{'; ' if words else ''}one of {', '.join(option.choices)}"
        yield escaped(words) or "\\&"


def _names(option: Option) -> str:
    names = ", ".join(f"\\fB{escaped(name)}\\fR" for name in option.names)
    if not option.value:
        return names
    value = f"\\fI{escaped(option.value)}\\fR"
    return f"{names} [{value}]" if option.value_optional else f"{names} {value}"


def _commands(command: Command, others: list[str]) -> Iterator[str]:
    """Each subcommand under a heading; those with a page of their own in a line."""
    if not command.commands:
        return
    yield ".SH COMMANDS"
    for inner in command.commands:
        if inner.name in others:
            yield from (".TP", f".B {escaped(inner.name)}", f"{escaped(_summary(inner))}; see")
            yield f".BR {escaped(inner.name)} (8)"
            continue
        yield f".SS {escaped(inner.name)}"
        yield from _usage(inner)
        yield ".PP"
        yield from _paragraphs(inner.purpose)
        yield from _options(inner, "")
        for deeper in inner.commands:
            yield ".PP"
            yield f"\\fB{escaped(deeper.name)}\\fR: {escaped(_summary(deeper))}"


def _surroundings(command: Command) -> Iterator[str]:
    """Statuses, environment and files of what speaks with the datapath."""
    if not any(f"--{_DATAPATH}" in option.names for option in command.options):
        return
    yield from (".SH EXIT STATUS", _STATUS)
    misuse = 2 if command.misuse is None else command.misuse
    yield from (".PP", f"1 when there is no datapath or it does not answer, {misuse} for wrong")
    yield "options, 130 when interrupted."
    yield from _table(".SH ENVIRONMENT", _ENVIRONMENT)
    yield from _table(".SH FILES", _FILES)


def _table(heading: str, rows: tuple[tuple[str, str], ...]) -> Iterator[str]:
    yield heading
    for name, meaning in rows:
        yield from (".TP", f".I {escaped(name)}", escaped(meaning))
