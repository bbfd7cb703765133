"""The shared tables in files that an agent names: taken over whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.forwarder.huge_pages import INVALID, NOT_TO_BE_HAD, PARTLY, USED, take
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrBridgeTableData,
    VrFlowTableData,
    VrHugepageConfig,
    VrNexthopReq,
    VrRouteReq,
    VrVrfReq,
)
from agent.shm import BridgeTable
from tests.unit.forwarder.stage import Stage

PAGE = 4096
MAC = bytes.fromhex("02a77fd887a5")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def config(stage: Stage, *names: str, **changes: object) -> VrHugepageConfig:
    """Files of the tables' sizes and a little more, as an agent tells of them."""
    sizes = [len(stage.bridge_table), len(stage.flow_table)]
    paths = []
    for at, name in enumerate(names):
        path = stage.control.run_dir / name
        if not path.exists() and not name.startswith("absent"):
            path.write_bytes(bytes(sizes[at % 2] + 100))
        paths.append(os.fsencode(path) + b"\0")
    told = VrHugepageConfig(
        vhp_op=SandeshOp.ADD,
        vhp_mem=tuple(PAGE * (at + 1) for at in range(len(names))),
        vhp_psize=(PAGE,) * len(names),
        vhp_mem_sz=tuple(sizes[at % 2] for at in range(len(names))),
        vhp_file_paths=b"".join(paths),
        vhp_file_path_sz=tuple(map(len, paths)),
    )
    return told.replace(**changes)


def places(stage: Stage) -> tuple[str, str]:
    ((_, bridge),) = stage.ask(VrBridgeTableData(btable_op=SandeshOp.GET))
    ((_, flow),) = stage.ask(VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET))
    assert isinstance(bridge, VrBridgeTableData)
    assert isinstance(flow, VrFlowTableData)
    return Path(bridge.btable_file_path).name, Path(flow.ftable_file_path).name


def test_what_is_in_the_tables_stays_and_what_comes_is_in_the_files(stage: Stage) -> None:
    stage.ask(VrVrfReq(h_op=SandeshOp.ADD, vrf_idx=1))
    stage.ask(VrNexthopReq(h_op=SandeshOp.ADD, nhr_id=3, nhr_type=8, nhr_flags=1))
    first = VrRouteReq(h_op=SandeshOp.ADD, rtr_family=7, rtr_vrf_id=1, rtr_nh_id=3, rtr_mac=MAC)
    stage.ask(first)
    assert take(stage.control, config(stage, "b", "f")) == USED
    assert places(stage) == ("b", "f")
    stage.ask(first.replace(rtr_mac=MAC[::-1]))
    entries = stage.control.sizes.bridge_entries
    with BridgeTable.open(stage.control.bridge_file, entries, len(stage.bridge_table)) as table:
        assert {bytes(row.mac) for row in table} == {MAC, MAC[::-1]}


def test_of_several_files_the_last_that_can_be_had(stage: Stage) -> None:
    assert take(stage.control, config(stage, "b", "f", "b2", "f2")) == USED
    assert places(stage) == ("b2", "f2")
    assert take(stage.control, config(stage, "b", "f", "absent", "f3")) == PARTLY
    assert places(stage) == ("b", "f3")


@pytest.mark.parametrize("names", [("absent", "f"), ("b", "absent"), ("b",), ("same", "same")])
def test_tables_without_a_file_stay_where_they_are(stage: Stage, names: tuple[str, ...]) -> None:
    assert take(stage.control, config(stage, *names)) == NOT_TO_BE_HAD
    assert places(stage) == ("bridge.shmem", "flow.shmem")


def test_files_that_are_too_small_or_no_files(stage: Stage) -> None:
    told = config(stage, "b", "f")
    assert take(stage.control, told.replace(vhp_mem_sz=(1, 1))) == NOT_TO_BE_HAD
    (stage.control.run_dir / "f").write_bytes(b"short")
    assert take(stage.control, told) == NOT_TO_BE_HAD
    (stage.control.run_dir / "f").unlink()
    os.mkfifo(stage.control.run_dir / "f")
    assert take(stage.control, told) == NOT_TO_BE_HAD


@pytest.mark.parametrize(
    "changes",
    [
        {"vhp_mem": ()},
        {"vhp_mem": (PAGE,)},
        {"vhp_mem": (PAGE + 8, PAGE)},
        {"vhp_psize": (0, PAGE)},
        {"vhp_file_path_sz": (1, 2)},
        {"vhp_file_paths": b""},
    ],
)
def test_what_does_not_fit_together(stage: Stage, changes: dict[str, object]) -> None:
    assert take(stage.control, config(stage, "b", "f", **changes)) == INVALID
    assert places(stage) == ("bridge.shmem", "flow.shmem")


def test_nothing_and_too_many(stage: Stage) -> None:
    assert take(stage.control, config(stage)) == INVALID
    assert take(stage.control, config(stage, *("b", "f") * 3)) == INVALID


def test_a_table_moves_to_a_place_of_its_size_alone(stage: Stage) -> None:
    flow, bridge = len(stage.flow_table), len(stage.bridge_table)
    for sizes in ((flow - 256, bridge), (flow, bridge + 64)):
        with pytest.raises(ValueError, match="not as large"):
            stage.datapath.move_tables(
                flow_table=bytearray(sizes[0]), bridge_table=bytearray(sizes[1])
            )
