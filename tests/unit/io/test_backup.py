"""The directory of backups: the newest whole file counts, whatever else lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.backup import FAMILY
from agent.io.backup import BackupDirectory
from agent.objects import Kind, Numbered
from agent.telemetry.meters import FileMeter
from tests.unit.backup import reference_files


def rows(name: str) -> list[Numbered]:
    return [Numbered(Kind.VRF, 2, f'"{name}"'), Numbered(Kind.LABEL, 16, '["vrf","x"]')]


def aged(folder: Path) -> list[Path]:
    """Our files, the newest first; each is made a second older than the next."""
    found = sorted(folder.glob(f"{FAMILY}-*"), key=lambda path: path.stat().st_mtime_ns)
    for at, path in enumerate(found):
        os.utime(path, (at, at))
    return found[::-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with three backups, of which two are kept."""
    directory = BackupDirectory(tmp_path / "new" / "backup", 2)
    for at, name in enumerate("abc"):
        assert directory.write(rows(name), at)
        aged(tmp_path / "new" / "backup")
    return tmp_path / "new" / "backup"


def read(folder: Path) -> list[Numbered]:
    return sorted(BackupDirectory(folder, 2).read(), key=str)


def test_the_newest_is_read_and_the_oldest_gone(folder: Path) -> None:
    assert read(folder) == sorted(rows("c"), key=str)
    assert len(os.listdir(folder)) == 2


def test_the_same_again_is_the_newest(folder: Path) -> None:
    assert BackupDirectory(folder, 2).write(rows("b"), 1)
    assert len(os.listdir(folder)) == 2
    assert read(folder) == sorted(rows("b"), key=str)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "a folder", "renamed"])
def test_a_damaged_file_is_told_of_and_the_one_before_is_read(folder: Path, damage: str) -> None:
    newest = aged(folder)[0]
    content = newest.read_bytes()
    if damage == "cut":
        newest.write_bytes(content[:-3])
    elif damage == "flipped":
        newest.write_bytes(bytes((content[0] ^ 1,)) + content[1:])
    elif damage == "renamed":
        newest.rename(newest.with_name(f"{FAMILY}-1"))
    else:
        newest.unlink()
        newest.write_bytes(b"") if damage == "empty" else newest.mkdir()
    with capture_logs() as told:
        assert read(folder) == sorted(rows("b"), key=str)
    assert [line["event"] for line in told] == ["backup is not used", "backup read"]


def test_drafts_and_files_of_others_are_passed_over(folder: Path) -> None:
    for name in (f".{FAMILY}-1.tmp", "notes", f"{FAMILY}-x"):
        (folder / name).write_bytes(b"?")
    with capture_logs() as told:
        assert read(folder) == sorted(rows("c"), key=str)
    assert len(told) == 1


def test_there_need_be_none(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere") == []
    with capture_logs() as told:
        assert read(Path("/proc/self/mem")) == []
    assert told[0]["event"] == "no backups read"


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    meter = FileMeter()
    directory = BackupDirectory(tmp_path / "file", 2, meter)
    with capture_logs() as told:
        assert not directory.write(rows("a"), 1)
    assert told[0]["event"] == "backup not written"
    assert meter == FileMeter(1, 1, f"{tmp_path}/file: File exists")
    (tmp_path / "file").unlink()
    assert directory.write(rows("a"), 1)
    assert (meter.failures, meter.waiting) == (1, 0)


def test_a_directory_of_others_is_not_used(folder: Path) -> None:
    """Who may write there could give the numbers of one VM to another."""
    meter = FileMeter()
    folder.chmod(0o777)
    with capture_logs() as told:
        assert read(folder) == []
        assert not BackupDirectory(folder, 2, meter).write(rows("d"), 1)
    assert {line["reason"] for line in told} == {"everybody may write there; chmod o-w"}
    assert meter.reason == f"{folder}: everybody may write there; chmod o-w"
    folder.chmod(0o750)
    assert read(folder) == sorted(rows("c"), key=str)
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
        assert read(folder) == []


def test_a_crowd_of_other_files_hides_none(folder: Path) -> None:
    for at in range(1100):
        (folder / f"a{at}").touch()
    assert read(folder) == sorted(rows("c"), key=str)


def test_a_newer_backup_of_the_reference_agent_is_taken(folder: Path) -> None:
    aged(folder)
    reference_files.write(folder)
    found = read(folder)
    assert Numbered(Kind.VRF, 2, f'"{reference_files.VRF}"') in found
    assert {row.kind for row in found} == {Kind.VIF, Kind.VRF, Kind.LABEL, Kind.MIRROR}


def test_an_older_or_damaged_one_of_the_reference_agent_is_not(folder: Path) -> None:
    reference_files.write(folder)
    theirs = list(folder.glob("contrail_*"))
    for path in theirs:
        os.utime(path, (0, 0))
    newest = aged(folder)[0]
    os.utime(newest, (9, 9))
    assert read(folder) == sorted(rows("c"), key=str)
    for path in theirs:
        path.write_bytes(path.read_bytes() + b"?")
    with capture_logs() as told:
        assert read(folder) == sorted(rows("c"), key=str)
    assert sum(line["event"] == "backup is not used" for line in told) == len(theirs)
