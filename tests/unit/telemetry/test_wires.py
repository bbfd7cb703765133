"""What is counted below the protocols, where it is shown."""

from __future__ import annotations

import asyncio
from functools import partial

from agent.introspect.pace import Pace
from agent.introspect.pages import datapath
from agent.introspect.pages.asked import Asked
from agent.introspect.pages.shown import Facts, Text, Tone
from agent.introspect.slices import PACE
from agent.telemetry.health import State
from agent.telemetry.prometheus import exposition
from agent.telemetry.wire_checks import pkt0
from agent.telemetry.wires import (
    ConnectCounters,
    NetlinkCounters,
    Pkt0Counters,
    QuestionCounters,
    Wires,
)
from tests.unit.telemetry.node_world import NodeWorld


def busy() -> Wires:
    return Wires(
        pkt0=Pkt0Counters(
            received=11, batches=2, sent=7, not_connected=3, queue_full=4, send_errors=5, foreign=6,
            remade=1,
        ),
        netlink=NetlinkCounters(overruns=8, waits=9),
        questions=QuestionCounters(asked=20, late=1, refused=2),
        connects={"ksync": ConnectCounters(made=2, failed=3)},
    )  # fmt: skip


def test_all_of_it_is_a_metric() -> None:
    world = NodeWorld()
    world.node.wires = busy()
    lines = b"".join(exposition(world.node)).decode().splitlines()
    shown = [line for line in lines if line.startswith(("vrouter_pkt0", "vrouter_netlink"))]
    assert shown == [
        "vrouter_pkt0_received_packets_total 11",
        "vrouter_pkt0_received_batches_total 2",
        "vrouter_pkt0_sent_packets_total 7",
        'vrouter_pkt0_drops_total{reason="not_connected"} 3',
        'vrouter_pkt0_drops_total{reason="queue_full"} 4',
        'vrouter_pkt0_drops_total{reason="send_errors"} 5',
        'vrouter_pkt0_drops_total{reason="foreign"} 6',
        "vrouter_pkt0_remade_total 1",
        "vrouter_netlink_overruns_total 8",
        "vrouter_netlink_waits_total 9",
    ]
    assert "vrouter_datapath_questions_total 20" in lines
    assert 'vrouter_datapath_connects_total{connection="ksync",result="made"} 2' in lines
    assert 'vrouter_datapath_connects_total{connection="ksync",result="failed"} 3' in lines
    assert 'vrouter_datapath_questions_failed_total{reason="late"} 1' in lines
    assert 'vrouter_datapath_questions_failed_total{reason="refused"} 2' in lines


def test_status_says_whether_pkt0_is_there() -> None:
    (well,) = pkt0(busy().pkt0)
    assert (well.state, well.reason) == (State.OK, "")
    assert well.numbers == {"received": 11, "sent": 7, "lost": 12, "foreign": 6}
    (gone,) = pkt0(Pkt0Counters(fault="the interface pkt0 is gone"))
    assert (gone.state, gone.reason) == (State.DOWN, "the interface pkt0 is gone")


async def test_the_page_of_the_datapath_shows_it() -> None:
    world = NodeWorld()
    world.node.wires = busy()
    PACE.set(Pace(lambda: 0.0, partial(asyncio.sleep, 0)))

    async def facts() -> dict[str, object]:
        shown = await datapath.show(world.node, Asked({}, {}))
        (section,) = [each for each in shown.sections if each.id == "wires"]
        (found,) = section.parts
        assert isinstance(found, Facts)
        return dict(found.rows)

    assert list((await facts()).values()) == [
        "in place", "11 in 2 batches", 7, 12, 6, 8, 9, 20, 3,
    ]  # fmt: skip
    world.node.wires.pkt0.fault = "gone"
    assert (await facts())["pkt0"] == Text("gone", tone=Tone.BAD)
