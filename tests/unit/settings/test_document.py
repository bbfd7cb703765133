"""What is documented of options is what the table says, and what the table says is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.settings import TABLE, Reload, examine, parse
from tools import config_docs

ROOT = Path(__file__).parents[3]
SOURCES = [
    path.read_text()
    for path in (ROOT / "agent").rglob("*.py")
    if "settings" not in path.relative_to(ROOT).parts
]
_TOGETHER = re.compile(r'"([A-Z][A-Z-]+)",\s*"(\w+)"')
_NAME = re.compile(r'"(\w+)"')
SHOWN_ONLY = {
    ("DEFAULT", "log_flow"),
    ("DEFAULT", "log_local"),
    ("DEFAULT", "log_property_file"),
    ("HYPERVISOR", "type"),
    ("VIRTUAL-HOST-INTERFACE", "loopback_ip"),
    ("DNS", "servers"),
    ("QOS", "priority_tagging"),
}
"""Options that are told to whoever asks what is configured, or warned of, and do nothing else."""


@pytest.mark.parametrize("path", [config_docs.PAGE, config_docs.SAMPLE], ids=str)
def test_the_files_are_current(path: Path) -> None:
    wanted = config_docs.texts()[path]
    assert (ROOT / path).read_text() == wanted, "run: python -m tools.config_docs"


def test_the_sample_says_the_defaults() -> None:
    text = (ROOT / config_docs.SAMPLE).read_text()
    active = re.sub(r"(?m)^#(?=\S+ =)", "", text)
    examined, plain = examine(active, "sample"), parse("")
    assert examined.findings == []
    assert examined.settings is not None
    for option in TABLE:
        assert examined.settings.raw(option) == plain.raw(option)
        is_there = f"\n{option.name} =" in active
        assert is_there or option.reload is Reload.UNUSED, option.title


def test_options_have_the_effect_that_is_told() -> None:
    """Asked for by section and name, or at least by the name in a list of names."""
    together = {pair for text in SOURCES for pair in _TOGETHER.findall(text)}
    names = {name for text in SOURCES for name in _NAME.findall(text)}
    for option in TABLE:
        if option.reload is not Reload.UNUSED:
            assert option.name in names, f"{option.title}: nothing asks for it"
        elif (option.section, option.name) not in SHOWN_ONLY:
            place = (option.section, option.name)
            assert place not in together, f"{option.title} is asked for: say what it does"


def test_every_option_says_what_it_is_for() -> None:
    for option in TABLE:
        assert option.text, option.title
        assert not option.text.endswith("."), option.title
        assert option.kind.convert(option.default) is not None or option.name == "ip"
