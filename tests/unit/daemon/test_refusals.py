"""What the datapath refuses is told, however much of it there is."""

from __future__ import annotations

from structlog.testing import capture_logs

from agent.daemon.core import Core
from agent.ksync.events import Refused
from agent.objects import Identity, Kind
from agent.settings import parse

HOST = "[VIRTUAL-HOST-INTERFACE]\nphysical_interface = fabric0\nip = 10.0.0.1/24\n"


def test_refusals_of_one_kind_are_told_in_one_line() -> None:
    full = [Refused(Identity(Kind.LABEL, number), None, 28) for number in range(16, 100)]
    busy = Refused(Identity(Kind.NEXTHOP, 7), None, 16)
    core = Core(parse(HOST, "test"), None, pid=1, seed=2, now=0.0)
    with capture_logs() as lines:
        core.datapath_said([*full, busy], 1.0)
    assert [(line["error"], line["objects"], line["first"]) for line in lines] == [
        ("ENOSPC", 84, "label 16"),
        ("EBUSY", 1, "nexthop 7"),
    ]
