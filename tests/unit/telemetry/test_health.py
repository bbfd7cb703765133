from __future__ import annotations

import json
from collections.abc import Callable

from agent.telemetry import Finding, Health, Part, Report, State


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Health, Clock]:
    clock = Clock()
    return Health(host="h1", version="1.0", pid=7, started=clock.now, wall=clock), clock


def constant(*findings: Finding) -> Callable[[], list[Finding]]:
    return lambda: list(findings)


def the(report: Report, title: str) -> Part:
    return next(part for part in report.parts if part.title == title)


def test_nothing_to_judge_is_well() -> None:
    health, _ = made()
    report = health.report()
    assert (report.state, report.ready, report.parts) == (State.OK, True, ())


def test_the_agent_is_down_with_a_vital_part_and_degraded_with_another() -> None:
    health, _ = made()
    health.add("collector", constant(Finding(State.DOWN, "refused")))
    assert health.report().state is State.DEGRADED
    health.add("datapath", constant(Finding(State.DOWN, "gone")), vital=True)
    report = health.report()
    assert report.state is State.DOWN
    assert report.reason == "datapath: gone; collector: refused"


def test_a_part_keeps_the_time_at_which_its_state_began() -> None:
    health, clock = made()
    found = [Finding(State.OK, instance="a"), Finding(State.DOWN, "gone", instance="b")]
    health.add("controller", lambda: found)
    began = health.report().time
    clock.now += 5
    found[0] = Finding(State.DOWN, "gone too", instance="a")
    clock.now += 1
    changed = health.report().time
    clock.now += 60
    found[1] = Finding(State.DOWN, "for another reason", instance="b")
    report = health.report()
    assert the(report, "controller a").since == changed
    assert the(report, "controller b").since == began
    assert the(report, "controller b").reason == "for another reason"
    assert report.since == began


def test_the_whole_knows_since_when_it_is_as_it_is() -> None:
    health, clock = made()
    found = [Finding(State.OK)]
    health.add("loop", lambda: found)
    health.report()
    clock.now += 10
    found[0] = Finding(State.DEGRADED, "slow")
    assert health.report().since == clock.now
    clock.now += 10
    assert health.report().since == clock.now - 10


def test_a_part_that_went_and_came_back_begins_anew() -> None:
    health, clock = made()
    found = [Finding(State.OK, instance="10.0.0.5:5269")]
    health.add("controller", lambda: found)
    health.report()
    kept, found[:] = found[:], []
    health.report()
    clock.now += 10
    found[:] = kept
    assert health.report().parts[0].since == clock.now


def test_a_check_that_fails_is_a_part_that_is_down() -> None:
    health, _ = made()

    def fails() -> list[Finding]:
        raise ZeroDivisionError("division by zero")

    health.add("statistics", fails)
    (part,) = health.report().parts
    assert part.state is State.DOWN
    assert part.reason == "cannot be judged: ZeroDivisionError: division by zero"


def test_what_is_well_may_still_not_be_ready() -> None:
    health, _ = made()
    health.add("datapath", constant(Finding(State.OK, "5 objects are on their way", ready=False)))
    report = health.report()
    assert report.state is State.OK
    assert not report.ready
    assert report.waits_for == "datapath: 5 objects are on their way"
    assert report.reason == ""


def test_a_removed_part_is_judged_no_longer() -> None:
    health, _ = made()
    health.add("loop", constant(Finding(State.DOWN, "gone")))
    health.remove("loop")
    assert health.report().state is State.OK


def test_the_json_form() -> None:
    health, clock = made()
    found = Finding(State.DEGRADED, "79 % full", instance="vif", numbers={"used": 79})
    health.add("table", constant(found))
    clock.now += 1.5
    record = json.loads(json.dumps(health.report().record()))
    assert record == {
        "host": "h1",
        "version": "1.0",
        "pid": 7,
        "started": "2023-11-14T22:13:20.000+00:00",
        "time": "2023-11-14T22:13:21.500+00:00",
        "uptime": 1.5,
        "state": "degraded",
        "since": "2023-11-14T22:13:21.500+00:00",
        "reason": "table vif: 79 % full",
        "ready": True,
        "waits_for": "",
        "parts": [
            {
                "part": "table",
                "instance": "vif",
                "state": "degraded",
                "reason": "79 % full",
                "since": "2023-11-14T22:13:21.500+00:00",
                "ready": True,
                "vital": False,
                "numbers": {"used": 79},
            }
        ],
    }
