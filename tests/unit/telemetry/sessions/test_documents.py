"""Sessions as JSON lines and in syslog, and who is told of which."""

from __future__ import annotations

import json
import re

import pytest

from agent.errors import ConfigError
from agent.settings import parse
from agent.telemetry.sessions.documents import lines
from agent.telemetry.sessions.routing import Target, targets
from agent.telemetry.sessions.syslog import datagrams
from tests.unit.telemetry.sessions.told import session

NOW = 1_700_000_061.0
WHOLE = {
    "@timestamp": "2023-11-14T22:14:21Z",
    "host": "compute-1",
    "kind": "sample",
    "vmi": "default-domain:demo:vmi1",
    "vn": "default-domain:demo:red",
    "remote_vn": "default-domain:demo:blue",
    "role": "client",
    "local_ip": "10.1.1.3",
    "remote_ip": "10.2.2.4",
    "protocol": 6,
    "service_port": 8080,
    "client_port": 40000,
    "action": "pass",
    "forward_bytes": 1500,
    "forward_packets": 15,
    "reverse_bytes": 22500,
    "reverse_packets": 18,
    "start_time": "2023-11-14T22:13:20.250000Z",
    "session_id": "11111111-2222-4333-8000-000000000002",
    "end_time": "2023-11-14T22:14:20.500000Z",
    "end_reason": "closed",
    "total_forward_bytes": 1600,
    "total_forward_packets": 16,
    "total_reverse_bytes": 19000,
    "total_reverse_packets": 17,
    "forward_tcp_flags": 0x29,
    "reverse_tcp_flags": 0x28,
    "sampling_scale": 2.5,
    "vm": "vm1",
    "vrouter_ip": "10.0.0.1",
    "other_vrouter_ip": "10.0.0.2",
    "underlay": "MPLSoUDP",
    "remote_prefix": "10.2.0.0/16",
    "firewall_rule": "bbbbbbbb-0000-4000-8000-000000000002",
    "policy_rule": "bbbbbbbb-0000-4000-8000-000000000002",
    "security_group_rule": "aaaaaaaa-0000-4000-8000-000000000001",
    "tier": "tier=web",
    "labels": ["label=a", "label=b"],
    "remote_application": "application=hr",
    "remote_custom_tags": ["zone=1"],
}


def test_a_line_is_a_flat_document() -> None:
    text = lines([session(scale=2.5)], "compute-1", NOW)
    assert text.endswith(b"}\n")
    assert json.loads(text) == WHOLE


def test_a_running_session_has_no_end() -> None:
    [found] = map(json.loads, lines([session(ended=None)], "compute-1", NOW).splitlines())
    assert not {"end_time", "end_reason", "total_forward_bytes"} & found.keys()
    assert "sampling_scale" not in found or found["sampling_scale"] == 1.0


def test_a_session_that_is_logged_and_a_sample_is_two_documents() -> None:
    made = lines([session(scale=2.5, logged=True), session(1, scale=0.0, logged=True)], "h", NOW)
    found = [json.loads(line) for line in made.splitlines()]
    assert [(one["kind"], one["forward_bytes"]) for one in found] == [
        ("sample", 1500), ("slo", 600), ("slo", 600),
    ]  # fmt: skip


def test_a_message_of_syslog_has_the_document_as_its_text() -> None:
    [made] = datagrams([session(scale=2.5)], "compute-1", 4711, 16, NOW)
    head, _, text = made.partition(b" - {")
    assert head == b"<134>1 2023-11-14T22:14:21.000Z compute-1 vrouter-agent 4711 session"
    assert json.loads(b"{" + text) == WHOLE


def test_a_host_name_cannot_break_the_head_of_a_message() -> None:
    [made] = datagrams([session()], "a b\nc", 1, 3, NOW)
    assert re.match(rb"<30>1 \S+ a_b_c vrouter-agent 1 session - \{", made)
    [empty] = datagrams([session()], "", 1, 3, NOW)
    assert b"Z - vrouter-agent" in empty


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("[DEFAULT]\ncollectors = 10.0.0.9\n", (Target("collector", True, True),)),
        ("[SESSION]\nsample_destination = file syslog\nslo_destination = file\n",
         (Target("file", True, True), Target("syslog", True, False))),
        ("[SESSION]\nsample_destination =\nslo_destination = SYSLOG syslog\n",
         (Target("syslog", False, True),)),
        ("[SESSION]\nipfix_collector = 10.0.0.8\n", (Target("ipfix", True, True),)),
    ],
)  # fmt: skip
def test_destinations_are_configured(text: str, expected: tuple[Target, ...]) -> None:
    assert targets(parse(text)) == expected


def test_a_destination_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[SESSION\] slo_destination = kafka: expected one of"):
        parse("[SESSION]\nslo_destination = kafka\n")


def test_each_is_told_of_what_it_wants_as_if_there_was_nothing_else() -> None:
    both, sample = session(0, logged=True, scale=2.0), session(1)
    logged, told = session(2, logged=True, scale=0.0), Target.chosen
    all_of_it = [both, sample, logged]
    assert told(Target("file", True, True), all_of_it) == all_of_it
    kept = told(Target("file", True, False), all_of_it)
    assert [(one.port, one.scale, one.logged) for one in kept] == [
        (40000, 2.0, False), (40001, 1.0, False),
    ]  # fmt: skip
    kept = told(Target("file", False, True), all_of_it)
    assert [(one.port, one.sampled, one.logged) for one in kept] == [
        (40000, False, True), (40002, False, True),
    ]  # fmt: skip
