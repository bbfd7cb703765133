"""python -m tools.share DIRECTORY: writes every completion and man page below it."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from agent import __version__
from tools.share import bash, fish, manual, zsh
from tools.share.surface import Command, commands

ROOT = Path(__file__).parents[2]


def files(known: list[Command]) -> dict[str, str]:
    """The text of each file by its path."""
    date = datetime.fromtimestamp(_built_at(), UTC).date().isoformat()
    names = [command.name for command in known]
    made = {}
    for command in known:
        name = command.name
        made[f"bash-completion/completions/{name}"] = bash.render(command)
        made[f"zsh/site-functions/_{name}"] = zsh.render(command)
        made[f"fish/vendor_completions.d/{name}.fish"] = fish.render(command)
        made[f"man/man8/{name}.8"] = manual.render(command, __version__, date, names)
    return made


def _built_at() -> float:
    """When this is built, or what a reproducible build is told."""
    return float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())


def main(words: list[str]) -> int:
    """Write the files; 2 without a directory."""
    if len(words) != 1:
        print("usage: python -m tools.share DIRECTORY", file=sys.stderr)
        return 2
    for name, text in files(commands(ROOT / "pyproject.toml")).items():
        path = Path(words[0], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
