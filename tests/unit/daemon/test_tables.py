"""Where a table of the datapath is looked for, and what is told when it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.daemon.tables import opened
from agent.shm import FlowTable
from agent.shm.geometry import FLOW_ENTRY_SIZE


@pytest.mark.parametrize("said", [True, False])
def test_the_datapath_says_where_or_it_is_as_usual(tmp_path: Path, said: bool) -> None:
    there, nowhere = tmp_path / "table", tmp_path / "none"
    there.write_bytes(bytes(1536 * FLOW_ENTRY_SIZE))
    words = (str(there), nowhere) if said else ("", there)
    table = opened(FlowTable, *words, 1024, "trouble")
    assert table is not None
    with table:
        assert (len(table), table.geometry.main) == (1536, 1024)


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"", "is empty")]
)
def test_a_table_that_cannot_be_had_is_told(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "table"
    if content is not None:
        path.write_bytes(content)
    with capture_logs() as logged:
        assert opened(FlowTable, str(path), tmp_path / "none", 0, "trouble") is None
    [line] = logged
    assert (line["event"], line["log_level"], line["file"]) == ("trouble", "error", str(path))
    assert reason in line["reason"]
