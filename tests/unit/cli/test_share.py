"""Completions and man pages of the console commands, looked at by their real readers."""

from __future__ import annotations

import argparse
import os
import pty
import select
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from tools.share import manual
from tools.share.__main__ import files, main
from tools.share.surface import Argument, Command, Option, commands, parser_of

ROOT = Path(__file__).parents[3]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
TEXTS = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
    "man": "man/man8/{}.8",
}


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}")
    return found


@pytest.fixture(scope="module")
def known() -> list[Command]:
    return commands(ROOT / "pyproject.toml")


@pytest.fixture(scope="module")
def share(known: list[Command], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("share")
    for name, text in files(known).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def find(known: Iterable[Command], *names: str) -> Command:
    command = next(one for one in known if one.name == names[0])
    return find(command.commands, *names[1:]) if names[1:] else command


# --- what commands take


def test_every_command_is_there(known: list[Command], share: Path) -> None:
    assert [command.name for command in known] == sorted(SCRIPTS)
    for pattern in TEXTS.values():
        for name in SCRIPTS:
            assert (share / pattern.format(name)).stat().st_size > 100


def test_options_of_a_tool(known: list[Command]) -> None:
    options = {name: one for one in find(known, "qosmap").options for name in one.names}
    assert options["--dcbx"].choices == ("cee", "ieee")
    assert (options["--watch"].value, options["--watch"].value_optional) == ("SECONDS", True)
    assert (options["--json"].value, options["--json"].help) == ("", "print JSON instead of text")
    assert options["--sock-dir"].offers == "directories"
    assert find(known, "qosmap").misuse == 22


def test_subcommands_of_each_kind(known: list[Command]) -> None:
    vif = find(known, "vrouter", "vif")
    assert vif.usage.startswith("vrouter vif [-h]")
    assert {"explain", "replay"} <= {one.name for one in find(known, "vrouter-agent").commands}
    assert [one.name for one in find(known, "vrouter-agent", "replay").arguments] == ["FILE"]
    up = find(known, "vrouter-lab", "up")
    assert any("--run-dir" in option.names for option in up.options)
    assert all(one.purpose for one in find(known, "vrouter-lab").commands)


def test_what_parses_nothing() -> None:
    with pytest.raises(LookupError, match="parses no arguments"):
        parser_of(lambda _: 0, [])


def test_parsers_parse_again_afterwards(known: list[Command]) -> None:
    made = argparse.ArgumentParser()
    made.add_argument("--x")
    assert made.parse_args(["--x", "1"]).x == "1"


def test_the_module_writes_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "man/man8/vif.8").is_file()
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


# --- bash


BASH = """
source {file}
COMP_WORDS=("${{@}}")
COMP_CWORD=$(( $# - 1 ))
cd {directory}
{function} 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(share: Path, directory: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    name = words[0]
    file = share / TEXTS["bash"].format(name)
    script = BASH.format(file=file, directory=directory, function="_" + name.replace("-", "_"))
    shown = subprocess.run(
        [program("bash"), "-c", script, "bash", *words], capture_output=True, text=True, check=True
    )
    return set(shown.stdout.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["mpls", "--du"], {"--dump"}),
        (["mpls", "--get", ""], set()),
        (["vrouter", "vrf"], {"vrfstats", "vrftable"}),
        (["vrouter", "qosmap", "--dump-"], {"--dump-fc", "--dump-qos"}),
        (["vrouter", "--perfr"], {"--perfr", "--perfr1", "--perfr2", "--perfr3"}),
        (["qosmap", "--dcbx", ""], {"cee", "ieee"}),
        (["vrouter", "qosmap", "--dcbx", "i"], {"ieee"}),
        (["rt", "--family", "in"], {"inet", "inet6"}),
        (["vrouter-agent", "re"], {"replay"}),
        (["vrouter-agent", "replay", "--un"], {"--until"}),
        (["vrouter-agent", "replay", "rec"], {"recording.1"}),
        (["vrouter-agent", "--config", "r"], {"recording.1", "run"}),
        (["dropstats", "--sock-dir", "r"], {"run"}),
        (["vrouter-lab", "rest"], {"restart"}),
        (["vrouter-port-control", "--op"], {"--oper"}),
        (["vrouter-forwarder", "--log-level", "d"], {"debug"}),
    ],
    ids=lambda value: " ".join(sorted(value) if isinstance(value, set) else value),
)
def test_bash_offers(share: Path, tmp_path: Path, words: list[str], offered: set[str]) -> None:
    (tmp_path / "recording.1").touch()
    (tmp_path / "run").mkdir()
    assert completed(share, tmp_path, *words) == offered


def test_bash_offers_every_option(share: Path, known: list[Command], tmp_path: Path) -> None:
    for command in known:
        options = {name for option in command.options for name in option.names}
        assert completed(share, tmp_path, command.name, "-") == options


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_can_read_the_files(share: Path, shell: str) -> None:
    for name in SCRIPTS:
        file = share / TEXTS[shell].format(name)
        read = subprocess.run(
            [program(shell), "-n", file], capture_output=True, text=True, check=False
        )
        assert (read.returncode, read.stderr) == (0, "")


# --- fish, zsh


def fish_offers(share: Path, line: str) -> dict[str, str]:
    file = share / TEXTS["fish"].format(line.split()[0])
    script = f"source {file}; complete -C {line!r}"
    shown = subprocess.run(
        [program("fish"), "--no-config", "-c", script],
        capture_output=True, text=True, check=True, env={**os.environ, "HOME": str(share)},
    )  # fmt: skip
    rows = (row.partition("\t") for row in shown.stdout.splitlines())
    return {word: meaning for word, _, meaning in rows}


def test_fish(share: Path) -> None:
    assert fish_offers(share, "mpls --du") == {"--dump": "every label"}
    assert set(fish_offers(share, "qosmap --dcbx ")) == {"cee", "ieee"}
    assert set(fish_offers(share, "vrouter vrf")) == {"vrfstats", "vrftable"}
    assert set(fish_offers(share, "vrouter qosmap --dump-")) == {"--dump-fc", "--dump-qos"}
    assert set(fish_offers(share, "vrouter-agent repl")) == {"replay"}


class Shell:
    """zsh on a terminal, with the completions and nothing of the user."""

    def __init__(self, share: Path, home: Path) -> None:
        folder = (share / TEXTS["zsh"]).parent
        (home / ".zshrc").write_text(
            f"fpath=({folder} $fpath)\nautoload -Uz compinit\ncompinit -u -d {home}/dump\n"
            "PS1='ready> '\nzstyle ':completion:*' list-prompt ''\nLISTMAX=1000\n"
        )
        ours, theirs = pty.openpty()
        self.fd = ours
        self.process = subprocess.Popen(
            [program("zsh"), "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
            env={"ZDOTDIR": str(home), "TERM": "dumb", "PATH": os.environ["PATH"]},
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.read_until("ready> ")

    def read_until(self, wanted: str) -> str:
        text, deadline = "", time.monotonic() + 20
        while wanted not in text and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.5)[0]:
                text += os.read(self.fd, 65536).decode(errors="replace")
        return text

    def offers(self, line: str, wanted: str) -> str:
        os.write(self.fd, line.encode() + b"\t")
        shown = self.read_until(wanted)
        os.write(self.fd, b"\x15")  # forget the line
        return shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


def test_zsh(share: Path, tmp_path: Path) -> None:
    shell = Shell(share, tmp_path)
    try:
        assert "--dump" in shell.offers("mpls --du", "--dump")
        assert "ieee" in shell.offers("qosmap --dcbx i", "ieee")
        assert "vrmemstats" in shell.offers("vrouter vrm", "vrmemstats")
        assert "--dump-fc" in shell.offers("vrouter qosmap --dump-f", "--dump-fc")
        assert "replay" in shell.offers("vrouter-agent rep", "replay")
    finally:
        shell.close()


# --- man pages


def test_the_pages_are_in_order(share: Path) -> None:
    pages = sorted((share / TEXTS["man"]).parent.glob("*.8"))
    lint = subprocess.run(
        [program("mandoc"), "-T", "lint", "-W", "warning", *pages],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert lint.stdout + lint.stderr == ""


def test_man_shows_a_page(share: Path) -> None:
    shown = subprocess.run(
        [program("man"), "-l", share / TEXTS["man"].format("dropstats")],
        capture_output=True, text=True, check=True,
        env={**os.environ, "LD_PRELOAD": "", "MANWIDTH": "80", "MANPAGER": "cat", "LC_ALL": "C"},
    ).stdout  # fmt: skip
    for words in (
        "dropstats - show how many packets were dropped, by reason",
        "--sock-dir DIR",
        "--watch [SECONDS]",
        "EXIT STATUS",
        "VROUTER_RUN_DIR",
        "vrouter-agent(8)",
    ):
        assert words in shown


def test_commands_with_a_page_are_not_told_twice(share: Path) -> None:
    page = (share / TEXTS["man"].format("vrouter")).read_text()
    assert ".B vif\n" in page
    assert ".BR vif (8)\n" in page
    assert "xconnect" not in page
    assert ".SS replay\n" in (share / TEXTS["man"].format("vrouter-agent")).read_text()


def test_text_that_roff_would_take_for_something_else() -> None:
    command = Command(
        "x", ".Dot first\\second", "x [-h]", (Option(("-o",), "'quoted' -\\", "V"),),
        (Argument("A", "an argument"),),
    )  # fmt: skip
    page = manual.render(command, "1", "2026-01-01", ["x", "y"])
    assert "\\&.Dot first\\esecond" in page
    assert "\\&'quoted' \\-\\e" in page
    assert ".BR y (8)\n" in page
    assert "EXIT STATUS" not in page
