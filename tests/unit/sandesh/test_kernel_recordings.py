"""What was recorded on a real module says the same to us as to those who recorded it."""

from __future__ import annotations

from typing import Any

import pytest

from agent.sandesh import decode
from agent.sandesh.framing import NLMSG_DONE, read_frames
from agent.sandesh.genetlink import split_datagram
from tests.unit.sandesh.sandesh_vectors import vector_rows

FILES = ("kernel-captures.jsonl", "kernel-scenario.jsonl")


def answers(name: str) -> list[tuple[str, bytes, list[Any]]]:
    """(what, all bytes received for a request so far, what they were decoded to) of each answer."""
    found: list[tuple[str, bytes, list[Any]]] = []
    got = b""
    for row in vector_rows(name):
        if row.get("dir") == "tx":
            got = b""
        elif row.get("dir") == "rx":
            got += bytes.fromhex(row["hex"])
            if "decoded" in row:
                found.append((row["what"], got, row["decoded"]))
    return found


ANSWERS = [(name, *answer) for name in FILES for answer in answers(name)]


def brief(fields: dict[str, Any]) -> dict[str, Any]:
    """The recordings leave out what is 0 or empty."""
    return {name: value for name, value in fields.items() if value not in (0, "", [])}


@pytest.mark.parametrize(
    ("what", "data", "decoded"),
    [answer[1:] for answer in ANSWERS],
    ids=[f"{name.split('-')[1][:4]}-{at}-{what}" for at, (name, what, *_) in enumerate(ANSWERS)],
)
def test_answers_say_what_they_were_taken_to_say(
    what: str, data: bytes, decoded: list[Any]
) -> None:
    frames = [
        frame
        for message in split_datagram(data)
        for frame in read_frames(message)
        if frame.type != NLMSG_DONE
    ]
    ours = [
        {"struct": name, "fields": brief(fields)}
        for frame in frames
        for name, fields in decode(frame.payload)
    ]
    theirs = [
        {"struct": one["struct"], "fields": brief(one["fields"])}
        for one in decoded
        if one["struct"] is not None  # bytes that only fill a message up
    ]
    assert ours == theirs, what


def test_no_line_is_of_a_kind_that_no_test_takes() -> None:
    kinds = {
        (row.get("dir"), row["what"] if "dir" not in row else "")
        for name in FILES
        for row in vector_rows(name)
    }
    assert kinds == {
        ("tx", ""),  # requests: unit/sandesh, unit/forwarder/test_netlink*.py
        ("rx", ""),  # answers: the same
        ("pkt0", ""),  # unit/io/tap_scene.py, unit/pkt/test_recorded.py
        (None, "vm sends"),  # unit/forwarder/test_flow_scenario.py
        (None, "fabric sends"),
        (None, "vm received"),
        (None, "fabric received"),
        (None, "agent writes to pkt0"),  # unit/io/tap_scene.py
    }
