"""Opening a connection, adopting what is there, sweeping, and losing the connection."""

from __future__ import annotations

import errno

import pytest

from agent.ksync import (
    Backlog,
    Dumped,
    InSync,
    LinkChanged,
    Lost,
    Opening,
    Released,
    State,
    identity_of,
)
from agent.objects import Identity, Kind
from agent.sandesh.framing import reply_frame
from agent.sandesh.vrouter import (
    SandeshOp,
    VrFcMapReq,
    VrHugepageConfig,
    VrInterfaceReq,
    VrMirrorReq,
    VrNexthopReq,
    VrQosMapReq,
    VrRouteReq,
    VrVrfAssignReq,
    VrVxlanReq,
)
from tests.fake.datapath import FakeDatapath
from tests.unit.ksync import world as w


def programmed(*objects):
    """A datapath that an earlier agent has left behind."""
    before = w.World()
    before.up(*(objects or w.port()))
    before.cut()
    before.datapath.writes.clear()
    before.datapath.log.clear()
    return before.datapath


# ---- what is told unasked


@pytest.mark.parametrize(("status", "up"), [(0, False), (1, True)])
def test_a_link_that_changes_is_told_and_costs_nothing(status, up):
    world = w.World()
    world.up(*w.port())
    writes = world.writes()
    vif = VrInterfaceReq(vifr_idx=3, vifr_intf_status=status).encode()
    world.session.receive(reply_frame(vif, family=24, seq=0, more=False), world.now)
    assert world.session.events() == [LinkChanged(3, up)]
    world.run()
    assert world.session.in_sync
    assert world.writes() == writes


# ---- opening


def test_nothing_is_written_before_something_is_applied():
    world = w.World(programmed())
    world.start()
    assert world.session.running
    assert world.writes() == 0
    assert world.told(InSync) == []
    (dumped,) = world.told(Dumped)
    assert dumped.limits.vo_nexthops == 524288
    assert dumped.flow_table.ftable_file_path == "/run/vrouter/flow.shmem"
    assert dumped.bridge_table.btable_file_path == "/run/vrouter/bridge.shmem"


@pytest.mark.parametrize("page", [1, 2, 5, 100])
def test_a_dump_gives_everything_whatever_its_pages(page):
    datapath = programmed()
    datapath.page = page
    world = w.World(datapath)
    world.start()
    (dumped,) = world.told(Dumped)
    found = {identity_of(message) for message in dumped.messages}
    assert found == {identity_of(each.message) for each in w.port()}


def test_every_kind_is_dumped():
    datapath = FakeDatapath(page=2)
    for kind, index, message in (
        ("vif", 3, w.vif(3).message),
        ("vif", 4353, VrInterfaceReq(vifr_idx=4353, vifr_type=7)),
        ("nexthop", 5, w.discard(5).message),
        ("vxlan", 7, VrVxlanReq(vxlanr_vnid=7, vxlanr_nhid=5)),
        ("mirror", 1, VrMirrorReq(mirr_index=1, mirr_nhid=5)),
        ("vrf-assign", (3, 10), VrVrfAssignReq(var_vif_index=3, var_vlan_id=10, var_nh_id=5)),
        ("vrf-assign", (3, 11), VrVrfAssignReq(var_vif_index=3, var_vlan_id=11, var_vif_vrf=-1)),
        ("qos-map", 2, VrQosMapReq(qmr_id=2)),
        (
            "forwarding-class",
            1,
            VrFcMapReq(
                fmr_id=(1,),
                fmr_dscp=b"\1",
                fmr_mpls_qos=b"\1",
                fmr_dotonep=b"\1",
                fmr_queue_id=b"\1",
            ),
        ),
    ):
        datapath.objects[kind][index] = message
    for index in range(10):
        datapath.objects["label"][16 + index] = w.label(16 + index, 5).message
    world = w.World(datapath)
    world.start()
    (dumped,) = world.told(Dumped)
    kinds = [identity_of(message).kind for message in dumped.messages]
    assert kinds.count(Kind.LABEL) == 10
    assert sorted(kind.value for kind in set(kinds)) == [
        "forwarding-class",
        "label",
        "mirror",
        "nexthop",
        "qos-map",
        "vif",
        "vrf-assign",
        "vxlan",
    ]
    assert {message.h_op for message in dumped.messages} == {SandeshOp.ADD}
    assert kinds.count(Kind.VIF) == kinds.count(Kind.NEXTHOP) == kinds.count(Kind.VRF_ASSIGN) == 1


def test_a_composite_of_many_is_read_whole_and_left_alone():
    """A dump shows 16 of its members, a GET all: what is as wanted is not written again."""
    members = [w.discard(1 + at) for at in range(40)]
    objects = [*members, w.composite(60, *range(1, 41)), w.composite(61, *range(1, 17))]
    datapath = programmed(*objects)
    world = w.World(datapath)
    world.start()
    world.apply(*objects)
    world.complete()
    world.run()
    assert world.session.in_sync
    assert world.writes() == 0
    world.apply(w.composite(60, *range(1, 40)))
    world.run()
    assert world.writes() == 1


def test_a_composite_that_cannot_be_read_whole_is_written_again():
    members = [w.discard(1 + at) for at in range(20)]
    many = w.composite(60, *range(1, 21))
    datapath = programmed(*members, many)
    datapath.fail("vr_nexthop_req", errno.EOPNOTSUPP, op=SandeshOp.GET)
    world = w.World(datapath)
    world.start()
    world.apply(*members, many)
    world.complete()
    world.run()
    assert world.session.in_sync
    assert world.writes() == 1


def test_vrfs_are_found_through_vifs_and_nexthops():
    datapath = programmed(
        w.vif(3, vifr_vrf=7),
        w.discard(1),
        w.encap(5, 3, nhr_vrf=8),
        w.route("7.0.0.0/8", 1, vrf=7),
        w.route("8.0.0.0/8", 1, vrf=8),
        w.bridge(w.MAC, 1, vrf=0),
    )
    world = w.World(datapath)
    world.start()
    (dumped,) = world.told(Dumped)
    routes = [m for m in dumped.messages if isinstance(m, VrRouteReq)]
    assert sorted((r.rtr_vrf_id, r.rtr_family) for r in routes) == [(0, 7), (7, 2), (8, 2)]


def test_a_datapath_that_is_not_ready_is_asked_again():
    world = w.World()
    world.datapath.not_ready(3)
    world.start()
    assert not world.session.running
    world.pass_time(5.0)
    assert world.session.running
    assert world.session.counters.resyncs == 0


def test_refused_limits_make_the_connection_useless():
    world = w.World()
    world.datapath.fail("vrouter_ops", errno.EPERM)
    world.start()
    assert world.told(Lost) == [Lost("the datapath refused VrouterOps: EPERM")]
    world.start()
    assert world.session.running


def test_refused_tables_and_dumps_are_just_not_there():
    world = w.World()
    for name in ("vr_flow_table_data", "vr_bridge_table_data", "vr_mirror_req", "vr_qos_map_req"):
        world.datapath.fail(name, errno.EOPNOTSUPP)
    world.start()
    (dumped,) = world.told(Dumped)
    assert dumped.flow_table is None
    assert dumped.bridge_table is None


def test_a_dump_that_fails_is_not_an_empty_datapath():
    world = w.World(programmed())
    world.apply(*w.port())
    world.complete()
    world.datapath.fail("vr_nexthop_req", errno.ENOMEM)
    world.start()
    assert world.told(Lost) == [Lost("the datapath refused a dump of VrNexthopReq: ENOMEM")]
    world.settle()
    assert world.writes() == 0


def test_priority_tagging_is_set_only_when_it_differs():
    world = w.World(opening=Opening(priority_tagging=True))
    world.start()
    assert world.datapath.writes == {("vrouter_ops", "ADD"): 1}
    sent = world.datapath.log[-1]
    assert sent.vo_priority_tagging == 1
    assert (sent.vo_perfr, sent.vo_burst_tokens, sent.vo_packet_dump) == (-1, -1, -1)
    assert (sent.vo_pkt_droplog_en, sent.vo_log_level) == (-1, 0)
    world.cut()
    world.start()
    assert world.writes() == 1


def test_a_datapath_without_tables_gets_them_before_anything_else():
    world = w.World()
    world.datapath.without_tables = True
    world.start()
    assert world.datapath.log == [VrHugepageConfig(vhp_op=SandeshOp.ADD)]
    assert world.told(Dumped)[0].flow_table.ftable_file_path == "/run/vrouter/flow.shmem"
    world.apply(*w.port())
    world.complete()
    world.run()
    world.assert_equal()
    assert world.datapath.violations == []
    world.cut()
    world.start()
    asked = [each for each in world.datapath.log if isinstance(each, VrHugepageConfig)]
    assert len(asked) == 1


def test_huge_pages_that_are_configured_are_told():
    config = VrHugepageConfig(vhp_op=SandeshOp.ADD, vhp_psize=(2,))
    world = w.World(opening=Opening(hugepages=config))
    world.datapath.without_tables = True
    world.start()
    assert world.datapath.log == [config]
    assert world.session.running


def test_a_datapath_with_tables_is_not_told_of_huge_pages():
    world = w.World(programmed())
    world.start()
    assert world.datapath.log == []
    assert world.session.running


def test_a_datapath_without_memory_for_tables_is_no_datapath():
    world = w.World()
    world.datapath.without_tables = True
    world.datapath.memory = -1
    world.start()
    (lost,) = world.told(Lost)
    assert lost.reason == "the datapath refused memory for its flow and bridge tables: ENOMEM"


def test_reset_is_for_the_first_connection_only():
    world = w.World(programmed(), opening=Opening(reset=True))
    world.start()
    assert world.told(Dumped)[0].messages == ()
    world.apply(*w.port())
    world.complete()
    world.run()
    world.assert_equal()
    world.cut()
    world.start()
    assert len(world.told(Dumped)[1].messages) == len(w.port())


# ---- adoption (G5)


def test_an_agent_that_wants_what_is_there_writes_nothing():
    world = w.World(programmed())
    world.up(*w.port())
    assert world.writes() == 0
    assert world.session.in_sync
    assert world.session.counters.adopted == len(w.port())
    world.assert_equal()


def test_only_differences_are_written():
    world = w.World(programmed())
    changed = w.vif(3, vifr_nh_id=14, vifr_flags=0x2000C1)
    objects = {each.key: each for each in w.port()} | {changed.key: changed}
    del objects[w.route_key("169.254.0.3/32", 0)]
    world.up(*objects.values(), w.label(99, 14))
    assert dict(world.datapath.writes) == {
        ("vr_interface_req", "ADD"): 1,
        ("vr_mpls_req", "ADD"): 1,
        ("vr_route_req", "DEL"): 1,
    }
    world.assert_equal()


def test_leftovers_stay_until_all_is_known():
    world = w.World(programmed())
    world.start()
    world.apply(w.discard(1))
    world.run()
    assert world.writes() == 0
    assert world.session.in_sync
    waiting = [view for view in world.session.snapshot() if view.key is None]
    assert len(waiting) == len(w.port()) - 1
    assert {view.state for view in waiting} == {State.WAIT}
    assert {view.waits_for for view in waiting} == {"complete configuration"}
    world.complete()
    assert not world.session.in_sync
    world.run()
    world.assert_equal()
    assert world.session.counters.swept == len(w.port()) - 1
    released = {event.identity for event in world.told(Released)}
    assert Identity(Kind.VIF, 3) in released
    assert {event.key for event in world.told(Released)} == {None}


def test_leftovers_may_be_claimed_until_then():
    world = w.World(programmed())
    world.start()
    for each in reversed(w.port()):
        world.apply(each)
        world.run()
    world.complete()
    world.run()
    assert world.writes() == 0
    world.assert_equal()


def test_what_the_owner_removes_goes_before_the_sweep():
    world = w.World(programmed())
    world.start()
    world.apply(*w.port())
    world.apply(removed=[w.route_key("15.0.0.3/32")])
    world.run()
    assert world.writes() == 1


def test_a_leftover_on_something_that_must_be_made_anew_goes_at_once():
    world = w.World(programmed(w.vif(3), w.encap(5, 3), w.label(16, 5)))
    world.start()
    world.apply(w.vif(3, vifr_os_idx=77))
    world.run()
    assert world.datapath.objects["label"] == {}
    assert world.datapath.objects["vif"][3].vifr_os_idx == 77
    world.complete()
    world.run()
    world.assert_equal()


def test_a_route_through_a_missing_nexthop_is_written_again():
    datapath = programmed(w.discard(5), w.route("1.0.0.0/8", 5), w.vrf(2))
    del datapath.objects["nexthop"][5]
    world = w.World(datapath)
    world.up(w.discard(5), w.route("1.0.0.0/8", 5), w.vrf(2))
    assert dict(datapath.writes) == {("vr_nexthop_req", "ADD"): 1, ("vr_route_req", "ADD"): 1}


def test_a_covering_leftover_is_named_by_deletes():
    both = [w.vrf(2), w.discard(5), w.discard(6), w.route("1.0.0.0/8", 5)]
    world = w.World(programmed(*both, w.route("1.0.0.1/32", 6)))
    world.up(w.vrf(2), w.discard(6))
    world.assert_equal()


# ---- losing the connection


def test_a_reconnect_without_changes_writes_nothing():
    world = w.World()
    world.up(*w.port())
    before = world.writes()
    for _ in range(3):
        world.cut()
        world.start()
    assert world.writes() == before
    assert world.session.in_sync
    assert len(world.told(Lost)) == 3
    assert len(world.told(InSync)) == 4


def test_an_empty_datapath_is_programmed_anew():
    world = w.World()
    world.up(*w.port())
    before = world.writes()
    world.datapath.restart()
    world.run()
    world.start()
    world.assert_equal()
    assert world.writes() == before + len(w.port())


def test_what_changes_while_disconnected_is_made_so():
    world = w.World()
    world.up(*w.port())
    world.cut()
    world.apply(w.label(99, 14), removed=[w.label(23, 14).key, w.route_key("15.0.0.3/32")])
    world.events.clear()
    world.start()
    world.assert_equal()
    numbers = [event.identity.number for event in world.told(Released)]
    assert 23 in numbers


def test_an_index_is_not_released_while_the_datapath_may_have_it():
    world = w.World()
    world.up(w.discard(5))
    world.datapath.hold()
    world.apply(removed=[w.nexthop_key(5)])
    world.run()
    world.cut()
    assert world.told(Released) == []
    world.datapath.release()
    world.start()
    assert [event.identity.number for event in world.told(Released)] == [5]
    world.assert_equal()


def test_a_lost_reply_is_counted_and_the_connection_made_anew():
    world = w.World(reply_timeout=10.0)
    world.up()
    world.datapath.lose_replies(1)
    world.apply(w.discard(5), w.label(16, 5))
    world.run()
    assert world.state(w.nexthop_key(5)) is State.SENT
    assert world.session.deadline() == world.now + 10.0
    world.pass_time(11.0)
    assert world.told(Lost) == [Lost("no reply for 10 seconds")]
    assert world.session.counters.timeouts == 1
    assert world.link is None
    world.settle()
    world.assert_equal()
    assert world.datapath.writes["vr_nexthop_req", "ADD"] == 1


@pytest.mark.parametrize("how", ["missing", "extra", "sequence", "garbage", "length"])
def test_nonsense_makes_the_connection_anew(how):
    world = w.World()
    world.up(w.vif(3))
    world.datapath.corrupt(how)
    world.apply(w.encap(5, 3), w.discard(6), w.label(16, 5))
    world.run()
    assert len(world.told(Lost)) == 1
    assert world.session.counters.resyncs == 1
    assert not world.session.running
    world.settle()
    world.assert_equal()


@pytest.mark.parametrize("how", ["missing", "extra", "sequence", "garbage", "length"])
@pytest.mark.parametrize("after", range(0, 18, 3))
def test_nonsense_during_the_dump_makes_the_connection_anew(how, after):
    world = w.World(programmed())
    world.connect()
    for _ in range(after):
        world.step()
    world.datapath.corrupt(how)
    world.apply(*w.port())
    world.complete()
    world.settle()
    assert world.session.counters.resyncs == 1
    assert world.writes() == 0
    world.assert_equal()


class Stuck(FakeDatapath):
    """Announces more and gives the same page for ever."""

    def pages(self, objects):
        found = list(objects)
        return len(found[:1]) | 0x40000000, found[:1]


def test_a_dump_that_does_not_advance_is_given_up():
    datapath = Stuck()
    datapath.objects["vif"][3] = w.vif(3).message

    world = w.World(datapath)
    world.start()
    assert "does not advance" in world.told(Lost)[0].reason


def test_a_broken_session_is_silent_until_the_shell_has_closed():
    world = w.World()
    world.up(w.vif(3))
    world.datapath.corrupt("garbage")
    world.apply(w.discard(5))
    out = world.session.data_to_send()
    world.link.feed(out)
    world.session.receive(world.link.take(), world.now)
    assert world.session.broken
    assert world.session.deadline() is None
    world.session.receive(b"more", world.now)
    world.session.tick(world.now + 1000)
    world.apply(w.discard(6))
    assert world.session.data_to_send() == b""
    world.cut()
    assert len(world.told(Lost)) == 1
    world.settle()
    world.assert_equal()


def test_a_reply_after_the_answered_object_is_gone_is_harmless():
    """The order: sent, cut, reconnected; the old connection's reply must not count."""
    world = w.World()
    world.up()
    world.datapath.hold()
    world.apply(w.discard(5))
    world.run()
    old = world.link
    world.cut()
    world.apply(removed=[w.nexthop_key(5)])
    world.datapath.release()
    late = old.take()
    world.start()
    world.session.receive(late, world.now)
    world.run()
    world.settle()
    world.assert_equal()


def test_replies_cut_at_every_byte_are_the_same():
    world = w.World()
    world.connect()
    while not world.session.in_sync:
        if world.session.running and not world.desired:
            world.apply(*w.port())
            world.complete()
        world.link.feed(world.session.data_to_send())
        for byte in world.link.take():
            world.session.receive(bytes((byte,)), world.now)
    world.assert_equal()


def test_the_snapshot_tells_what_each_state_is():
    world = w.World()
    world.up(w.vif(3), w.encap(5, 3))
    world.datapath.fail("vr_nexthop_req", errno.ENOMEM)
    world.apply(w.discard(6))
    world.run()
    world.datapath.hold()
    world.apply(w.vif(4), w.label(16, 77), w.discard(9), removed=[w.vif_key(3)])
    states = {view.key: (view.state.value, view.waits_for) for view in world.session.snapshot()}
    assert states[w.vif_key(4)] == ("due", "")
    world.run()
    states = {view.key: (view.state.value, view.waits_for) for view in world.session.snapshot()}
    assert states == {
        w.vif_key(3): ("wait", "1 objects that use it"),
        w.vif_key(4): ("sent", "an answer"),
        w.nexthop_key(5): ("synced", ""),
        w.nexthop_key(6): ("held", "the next attempt"),
        w.nexthop_key(9): ("sent", "an answer"),
        w.label(16, 77).key: ("wait", str(w.nexthop_key(77))),
    }


def test_a_delete_of_what_a_reset_datapath_never_had_is_not_sent():
    world = w.World()
    world.up(*w.port())
    world.datapath.restart()
    world.run()
    world.apply(removed=[each.key for each in w.port()])
    before = world.writes()
    world.start()
    assert world.writes() == before
    assert world.session.in_sync
    assert not list(world.session.snapshot())


def test_op_of_every_written_message_is_add_or_del():
    world = w.World()
    world.up(*w.port())
    world.apply(removed=[each.key for each in w.port()])
    world.run()
    assert {message.h_op for message in world.datapath.log} == {SandeshOp.ADD, SandeshOp.DEL}
    assert VrNexthopReq(h_op=SandeshOp.DEL, nhr_id=14) in world.datapath.log


# ---- audits


def test_what_nobody_asked_for_is_deleted_when_it_is_seen():
    world = w.World()
    world.up(*w.port())
    stray = w.bridge(b"\2\0\0\0\0\x99", 5, vrf=2)
    w.store(world.datapath, stray.message)
    world.session.found([stray.message], 0.0)
    world.settle()
    world.assert_equal()
    assert world.write_names()[-1] == ("vr_route_req", SandeshOp.DEL)


def test_what_is_wanted_stays_when_it_is_seen():
    world = w.World()
    world.up(*w.port())
    before = world.writes()
    world.session.found([each.message for each in w.port()], 0.0)
    world.settle()
    assert world.writes() == before
    world.assert_equal()


def test_one_record_and_what_is_around_it_can_be_looked_at():
    world = w.World()
    world.up(*w.port())
    session = world.session
    shown = session.look(w.vif_key(3))
    assert shown is not None
    assert session.look(shown.identity) == shown
    assert shown.identity in session.identities()
    users, count = session.above(w.vif_key(3), 1)
    assert count >= len(users) == 1
    assert shown in session.beneath(users[0].identity)
    assert session.look(w.vif_key(99)) is None
    assert session.above(w.vif_key(99), 1) == ([], 0)


def test_what_waits_for_an_answer_is_told_with_how_long_it_waited():
    world = w.World()
    world.up()
    asked = world.session.counters.latency.count
    assert world.session.backlog == Backlog(0, 0, 0, 0)
    world.datapath.hold()
    world.apply(w.discard(5), w.label(16, 5), w.label(17, 9))
    world.run()
    assert world.session.backlog == Backlog(queued=0, in_flight=1, unsettled=3, frames=1)
    world.now += 0.3
    world.datapath.release()
    world.run()
    assert world.session.backlog == Backlog(0, 0, 1, 0)  # a label waits for its nexthop
    latency = world.session.counters.latency
    assert latency.count == asked + 2
    assert latency.total == pytest.approx(0.3, abs=0.05)
