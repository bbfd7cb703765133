"""Every line of vectors/rest.jsonl through a real HTTP socket."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.fake.rest_server import Answer, RestServer, rest_server

VECTORS = Path(__file__).parent.parent / "vectors" / "rest.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text().splitlines()]


def send(server: RestServer, request: dict[str, Any]) -> Answer:
    raw = request["raw_body"].encode() if "raw_body" in request else None
    return server.request(
        request["method"],
        request["path"],
        request.get("body"),
        raw=raw,
        headers=request.get("headers"),
    )


def run_setup(server: RestServer, case: dict[str, Any]) -> None:
    for step in case.get("setup", ()):
        if "sleep" in step:
            wait_for_stale(server, step["sleep"])
        else:
            assert send(server, step).status == 200


def wait_for_stale(server: RestServer, seconds: float) -> None:
    """The vector's pause is for the stale timer: wait for that, at most as long as it says."""
    give_up = time.monotonic() + seconds
    while server.on_loop(server.api.store.next_deadline) is not None:
        assert time.monotonic() < give_up
        time.sleep(0.02)


def check_answer(case: dict[str, Any], answer: Answer) -> None:
    wanted = case.get("expect_status_any", [case.get("expect_status")])
    assert answer.status in wanted, answer.text
    body = answer.json
    if "expect_json" in case:
        assert body == case["expect_json"]
    if "expect_error_contains" in case:
        assert case["expect_error_contains"] in body["error"]
    if "expect_error_not_contains" in case:
        assert case["expect_error_not_contains"] not in body["error"]
    if "expect_array_of" in case:
        check_array(case, body)
    else:
        assert set(case.get("expect_present", ())) <= set(body)
        assert not set(case.get("expect_absent", ())) & set(body)
        members = case.get("expect_members", {})
        assert {name: body.get(name) for name in members} == members


def check_array(case: dict[str, Any], body: list[dict[str, Any]]) -> None:
    assert len(body) == case["expect_array_of"]
    members = case.get("expect_first_members", {})
    assert {name: body[0].get(name) for name in members} == members
    assert not set(case.get("expect_first_absent", ())) & set(body[0])


def check_files(case: dict[str, Any], root: Path) -> None:
    for path, members in case.get("expect_files", {}).items():
        stored = json.loads((root / path).read_text())
        assert {name: stored.get(name) for name in members} == members
        assert not set(case.get("expect_file_absent_members", ())) & set(stored)
    for path in case.get("expect_no_files", ()):
        assert not (root / path).exists()


def check_subscription(case: dict[str, Any], server: RestServer) -> None:
    """`expect_introspect` names a row of the plugged ports, which the store answers here."""
    if "expect_introspect" not in case:
        return
    row = case["expect_introspect"]["one"]
    port = server.on_loop(lambda: server.api.store.port(UUID(row["vmi_uuid"])))
    assert port is not None
    assert str(port.instance_uuid) == row["vm_uuid"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_vector(case: dict[str, Any], tmp_path: Path) -> None:
    for path, text in case.get("files_before", {}).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    timeout = case.get("options", {}).get("stale_interface_cleanup_timeout", 60)
    with rest_server(tmp_path / "ports", stale_timeout=timeout) as server:
        if case.get("config_first"):
            server.view.config = case["config"]
        run_setup(server, case)
        server.view.config = case.get("config", {})
        answer = send(server, case)
        check_answer(case, answer)
        assert answer.headers["content-type"] == "application/json; charset=UTF-8"
        check_files(case, tmp_path)
        check_subscription(case, server)
