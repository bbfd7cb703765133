"""Who may use a run directory, and what a killed lab leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.lab.connection import attach
from agent.lab.errors import LabError
from agent.lab.rundir import RunDir


def test_only_one_lab_claims_a_directory(tmp_path):
    run_dir = RunDir(tmp_path / "lab")
    lock = run_dir.claim()
    assert run_dir.in_use()
    with pytest.raises(UsageError, match="already runs"):
        RunDir(tmp_path / "lab").claim()
    os.close(lock)


def test_what_a_killed_lab_left_is_removed(tmp_path):
    run_dir = RunDir(tmp_path / "lab")
    os.close(run_dir.claim())
    assert not run_dir.in_use()
    assert not run_dir.path.exists()
    os.close(run_dir.claim())


def test_a_directory_of_something_else_is_never_touched(tmp_path):
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UsageError, match="not a lab's directory"):
        RunDir(tmp_path).claim()
    with pytest.raises(UsageError, match="not a lab's directory"):
        attach(RunDir(tmp_path))
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_place_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Not a directory; choose another --run-dir"):
        RunDir(tmp_path / "file" / "lab").claim()


def test_below_run_the_lab_would_hide_itself():
    with pytest.raises(UsageError, match="choose another"):
        RunDir(Path("/run/lab")).claim()


def test_nothing_runs(tmp_path):
    with pytest.raises(UsageError, match=r"no lab runs in .* vrouter-lab up"):
        attach(RunDir(tmp_path / "lab"))


def test_the_control_socket_works_in_a_deep_directory(tmp_path):
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    run_dir = RunDir(deep)
    lock = run_dir.claim()
    with pytest.raises(LabError, match="starting or ending"):
        run_dir.connect()
    with run_dir.listen() as listener, run_dir.connect() as client:
        client.sendall(b"hello")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"
    os.close(lock)
