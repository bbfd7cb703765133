"""The client's side: messages, outputs of tools, texts for people."""

from __future__ import annotations

import msgspec
import pytest
import yaml

from agent import topology
from agent.lab.checks import Output, pairs, ping_counts
from agent.lab.console import show_controller, show_routes, show_state, table
from agent.lab.controller import messages as controls
from agent.lab.errors import LabError
from agent.lab.launch import load_plan
from agent.lab.messages import (
    Control,
    Controlled,
    DaemonState,
    Down,
    Failed,
    Follow,
    Kill,
    Lease,
    State,
    Step,
    VmState,
    line,
    read_reply,
    read_request,
)
from agent.lab.plan import make_plan
from agent.lab.prompt import hints
from agent.lab.rundir import RunDir
from agent.lab.sandbox import needs_user_namespace

ONE_HOST = """
hosts: {host1: {}}
networks: {red: {subnet: 10.1.1.0/24}, blue: {subnet: 10.2.2.0/24}}
vms:
  red1: {network: red, address: 10.1.1.3}
  red2: {network: red, address: 10.1.1.4}
  blue1: {network: blue, address: 10.2.2.3}
"""
STATE = State(
    "one-host",
    "/tmp/file.yaml",
    True,
    {"red1": 7, "red2": 8, "host1": 5},
    (DaemonState("host1", "agent", "killed by signal 9", None, 3.2),),
    (
        VmState("red1", "host1", "red", "tap1", "02:00:00:00:00:01", None),
        VmState(
            "red2",
            "host1",
            "red",
            "tap2",
            "02:00:00:00:00:02",
            Lease("10.1.1.4/24", "10.1.1.1", "10.1.1.2", "", 3600, 0.1),
        ),
    ),
)


@pytest.fixture
def plan():
    return make_plan(topology.parse(yaml.safe_load(ONE_HOST)))


@pytest.mark.parametrize(
    "request_",
    [Follow(), Down(), Kill("host1", "agent"), Control("control1", ["flap", "2", "0.5"])],
)
def test_requests_survive_the_wire(request_):
    assert read_request(line(request_)) == request_


@pytest.mark.parametrize(
    "reply",
    [Step("agents"), Step("agents", 0.5), Failed("why"), Controlled('{"reply":"done"}'), STATE],
)
def test_replies_survive_the_wire(reply):
    assert read_reply(line(reply)) == reply


@pytest.mark.parametrize("text", [b"", b"{}", b'{"op":"kill","node":"h","role":"x"}', b'{"op":1}'])
def test_what_is_no_request_is_refused(text):
    with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
        read_request(text)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("20 packets transmitted, 20 received, 0% packet loss, time 973ms", (20, 20)),
        ("3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 401ms", (3, 0)),
        ("5 packets transmitted, 4 packets received, 20% packet loss", (5, 4)),
    ],
)
def test_ping_summaries_of_both_tools(text, counts):
    assert ping_counts(Output("ping", 0, f"PING ...\n\n{text}\n")) == counts


def test_a_ping_without_summary_is_an_error_that_shows_what_was_printed():
    with pytest.raises(LabError, match=r"red1: ping.*\n.*unknown host"):
        ping_counts(Output("red1: ping", 2, "ping: unknown host"))


def test_pairs_are_ordered_and_split_by_network(plan):
    same = {(a.name, b.name) for a, b in pairs(plan.topology, same_network=True)}
    other = {(a.name, b.name) for a, b in pairs(plan.topology, same_network=False)}
    assert same == {("red1", "red2"), ("red2", "red1")}
    assert other == {("red1", "blue1"), ("red2", "blue1"), ("blue1", "red1"), ("blue1", "red2")}


def test_status_shows_what_ended_and_who_has_no_lease():
    text = show_state(STATE)
    assert "one-host: ready (/tmp/file.yaml)" in text
    assert "host1  agent   killed by signal 9  -    3 s" in text
    assert "red1  host1  red      no lease     02:00:00:00:00:01  tap1" in text
    assert "10.1.1.4/24" in text


def test_columns_are_as_wide_as_their_widest_cell():
    assert table(("A", "LONG"), [("wide cell", "x")]) == "A          LONG\nwide cell  x"


def test_a_controller_shows_its_sessions_and_what_was_done_to_it():
    agent = controls.Agent(
        "host1", "10.0.0.1", 12.0, {"red": 2}, ["uuid"], 7, 21, 9, 5, True, False
    )
    state = controls.State(
        "control1", True, 250.0, ["routes"], [agent], ["host2"], {}, ["host1: closed: strange"]
    )
    lines = show_controller(state).splitlines()
    assert lines[0] == (
        "control1: serving, everything 250 ms late, withholds routes, keeps the routes of host2"
    )
    assert lines[2].split() == ["host1", "10.0.0.1", "12", "s", "1", "7", "21", "objects", "9/5"]
    assert lines[-1] == "host1: closed: strange"


def test_routes_are_shown_with_who_says_them():
    routes = [controls.Route("inet", "10.1.1.3/32", {"host1": "10.0.0.1 17"})]
    assert show_routes(routes).splitlines()[1].split() == [
        "inet", "10.1.1.3/32", "host1", "10.0.0.1", "17",
    ]  # fmt: skip


def test_hints_name_what_exists(plan, tmp_path):
    text = hints(plan, RunDir(tmp_path), {"host1": "http://127.0.0.1:8085/"})
    assert "exec red1 -- ping -c 3 10.1.1.4" in text  # its own network
    assert "exec red1 -- ping -c 3 10.2.2.3" in text  # another network
    assert "kill host1 agent" in text
    assert "controller" not in text


def test_hints_tell_what_to_do_to_controllers(tmp_path):
    content = {**yaml.safe_load(ONE_HOST), "controllers": 1}
    text = hints(make_plan(topology.parse(content)), RunDir(tmp_path), {})
    assert "kill control1" in text
    assert "controller control1 withhold routes" in text
    assert "controller control1 routes default-domain:default-project:red:red" in text


@pytest.mark.parametrize(
    ("capabilities", "needed"),
    [("000001ffffffffff", False), ("0000000000200000", False), ("000001ffffdfffff", True)],
)
def test_who_may_make_namespaces_directly(capabilities, needed):
    assert needs_user_namespace(f"Name:\tx\nCapEff:\t{capabilities}\n") is needed


def test_errors_of_a_topology_file_name_the_file(tmp_path):
    file = tmp_path / "lab.yaml"
    for content, words in (("hosts: [", "lab.yaml:1: not YAML: "), ("hosts: {}", "no host")):
        file.write_text(content)
        with pytest.raises(Exception, match=words):
            load_plan(file)
    with pytest.raises(Exception, match=r"missing\.yaml: No such file"):
        load_plan(tmp_path / "missing.yaml")
