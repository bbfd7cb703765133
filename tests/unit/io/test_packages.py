"""Packages whose modules are imported without their own `__init__`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from agent.io.packages import in_parts

NAME = "large_package_of_this_test"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One that takes the whole of itself in when it is imported."""
    directory = tmp_path / NAME
    directory.mkdir()
    (directory / "__init__.py").write_text(
        f"from {NAME}.first import FIRST\nfrom {NAME}.second import SECOND\nWHOLE = True\n"
    )
    (directory / "first.py").write_text(f"from {NAME} import third\nFIRST = third.THIRD\n")
    (directory / "second.py").write_text("SECOND = 2\n")
    (directory / "third.py").write_text("THIRD = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield directory
    for name in loaded():
        del sys.modules[name]


def loaded() -> set[str]:
    return {name for name in sys.modules if name.partition(".")[0] == NAME}


def test_a_module_is_imported_with_what_itself_imports_alone(package: Path) -> None:
    in_parts(NAME)
    assert import_module(f"{NAME}.first").FIRST == 3
    assert loaded() == {NAME, f"{NAME}.first", f"{NAME}.third"}


def test_whoever_asks_for_the_whole_gets_it_once(package: Path) -> None:
    in_parts(NAME)
    first = import_module(f"{NAME}.first")
    whole = import_module(NAME)
    assert (whole.WHOLE, whole.FIRST, whole.SECOND) == (True, 3, 2)
    assert whole.first is first is import_module(f"{NAME}.first")
    with pytest.raises(AttributeError):
        _ = whole.nothing_of_that_name


def test_what_is_imported_or_not_there_stays_as_it_is(package: Path) -> None:
    whole = import_module(NAME)
    in_parts(NAME, "no_package_of_that_name")
    assert import_module(NAME) is whole
    assert whole.SECOND == 2
    with pytest.raises(ImportError):
        import_module("no_package_of_that_name")
