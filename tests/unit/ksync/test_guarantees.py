"""G1 to G5 and G7 of docs/architecture.md, one by one: order, refusals, coalescing, bounds."""

from __future__ import annotations

import errno
import random

import pytest

from agent.ksync import InSync, Refused, Released, State
from agent.objects import Identity, Kind
from agent.sandesh.framing import request_frame
from agent.sandesh.vrouter import VrNexthopReq
from tests.fake.datapath import FakeDatapath
from tests.unit.ksync import world as w
from tests.unit.ksync.guarantee_scene import ADD, DEL, LABEL, MIRROR, NH, ROUTE, VIF, world

__all__ = ["world"]  # the fixture

# ---- G1: after every referent's acknowledgement


def test_each_level_waits_for_the_answer_to_the_one_below(world):
    world.datapath.hold()
    world.apply(w.route("1.0.0.0/8", 5), w.label(16, 5), w.encap(5, 3), w.vif(3))
    world.run()
    assert world.write_names() == [(VIF, ADD)]
    assert world.state(w.nexthop_key(5)) is State.WAIT
    world.datapath.release()
    world.step()
    world.datapath.hold()
    world.run()
    assert world.write_names() == [(VIF, ADD), (NH, ADD)]
    world.datapath.release()
    world.run()
    assert sorted(world.write_names()[2:]) == [(LABEL, ADD), (ROUTE, ADD)]
    world.assert_equal()


def test_a_stitched_route_waits_for_its_bridge_route(world):
    world.apply(w.discard(5), w.route("1.0.0.1/32", 5, mac=w.MAC))
    world.run()
    assert world.write_names() == [(NH, ADD)]
    snapshot = {view.key: view for view in world.session.snapshot()}
    waiting = snapshot[w.route_key("1.0.0.1/32")]
    assert waiting.state is State.WAIT
    assert waiting.waits_for == str(w.bridge_key(w.MAC))
    world.apply(w.bridge(w.MAC, 5))
    world.run()
    world.assert_equal()


def test_objects_and_not_kinds_are_ordered(world):
    """vif 4 is mirrored through a nexthop that leaves by vif 3."""
    mirrored = w.vif(4, vifr_flags=0x2001C9, vifr_mir_id=1)
    world.apply(mirrored, w.mirror(1, 5), w.encap(5, 3), w.vif(3), w.encap(6, 4))
    world.run()
    assert [name for name, _ in world.write_names()] == [VIF, NH, MIRROR, VIF, NH]
    world.assert_equal()


def test_the_order_in_which_objects_are_applied_does_not_matter():
    chooser = random.Random(7)
    for _ in range(20):
        objects = w.port()
        chooser.shuffle(objects)
        shuffled = w.World()
        shuffled.up()
        cut = chooser.randrange(len(objects))
        shuffled.apply(*objects[:cut])
        shuffled.step()
        shuffled.apply(*objects[cut:])
        shuffled.run()
        shuffled.assert_equal()
        assert shuffled.writes() == len(objects)


def test_a_vacant_reference_is_filled_by_whatever_slot_its_key_gets(world):
    world.apply(w.label(16, "late", nh_id=9))
    world.run()
    assert world.writes() == 0
    world.apply(w.discard(9, name="late"))
    world.run()
    world.assert_equal()


# ---- G2: deletes after referrers


def test_deletes_go_from_the_top_down(world):
    world.apply(*w.port())
    world.run()
    world.datapath.log.clear()
    world.apply(removed=[each.key for each in w.port()])
    world.run()
    world.assert_equal()
    names = [name for name, _ in world.write_names()]
    assert names.index(VIF) > max(i for i, name in enumerate(names) if name == NH)
    assert {op for _, op in world.write_names()} == {DEL}


def test_a_delete_waits_for_the_answer_to_the_referrers_delete(world):
    world.apply(w.discard(5), w.label(16, 5))
    world.run()
    world.datapath.hold()
    world.apply(removed=[w.nexthop_key(5), w.label(16, 5).key])
    world.run()
    assert world.write_names()[2:] == [(LABEL, DEL)]
    assert world.state(w.nexthop_key(5)) is State.WAIT
    world.datapath.release()
    world.run()
    assert world.write_names()[3:] == [(NH, DEL)]


def test_a_delete_waits_while_a_referrer_changes_away(world):
    world.apply(w.discard(5), w.label(16, 5))
    world.run()
    world.apply(w.discard(6), w.label(16, 6), removed=[w.nexthop_key(5)])
    world.run()
    assert world.write_names()[2:] == [(NH, ADD), (LABEL, ADD), (NH, DEL)]
    world.assert_equal()


def test_what_is_still_referred_to_stays_until_the_referrer_goes(world):
    world.apply(w.discard(5), w.label(16, 5))
    world.run()
    world.apply(removed=[w.nexthop_key(5)])
    world.run()
    assert world.writes() == 2
    assert 5 in world.datapath.objects["nexthop"]
    world.apply(removed=[w.label(16, 5).key])
    world.run()
    world.assert_equal()


def test_a_vrf_goes_after_its_routes(world):
    world.apply(w.vrf(2), w.discard(5), w.route("1.0.0.0/8", 5), w.bridge(w.MAC, 5))
    world.run()
    world.apply(removed=[w.vrf(2).key])
    world.run()
    assert 2 in world.datapath.objects["vrf"]
    world.apply(removed=[w.route_key("1.0.0.0/8"), w.bridge_key(w.MAC)])
    world.run()
    world.assert_equal()
    assert world.datapath.objects["vrf"] == {}


def ring(world):
    """vif 3 mirrored through a nexthop that leaves by vif 3: changes in place make it so."""
    world.apply(w.vif(3), w.encap(5, 3), w.mirror(1, 5))
    world.run()
    world.apply(w.vif(3, vifr_flags=0x2001C9, vifr_mir_id=1))
    world.run()
    world.assert_equal()


def test_a_ring_in_the_datapath_is_taken_apart(world):
    ring(world)
    world.apply(removed=[w.vif_key(3), w.nexthop_key(5), w.mirror_key(1)])
    world.run()
    assert len(world.datapath.violations) == 1
    world.datapath.violations.clear()
    world.assert_equal()
    assert world.session.in_sync


def test_a_ring_that_must_be_made_anew_is(world):
    ring(world)
    world.apply(w.vif(3, vifr_os_idx=99))
    world.run()
    assert len(world.datapath.violations) == 1
    world.datapath.violations.clear()
    world.assert_equal()
    assert world.session.in_sync


# ---- G3: refusals


def test_a_refusal_is_seen_and_keeps_dependents_waiting(world):
    world.datapath.fail(NH, errno.ENOMEM)
    world.apply(w.discard(5), w.label(16, 5))
    world.run()
    assert world.told(Refused) == [
        Refused(Identity(Kind.NEXTHOP, 5), w.nexthop_key(5), errno.ENOMEM)
    ]
    held = next(v for v in world.session.snapshot() if v.key == w.nexthop_key(5))
    assert (held.state, held.errno, held.refusals) == (State.HELD, errno.ENOMEM, 1)
    assert held.desired == w.discard(5).message
    assert world.state(w.label(16, 5).key) is State.WAIT
    assert world.session.counters.nacks == {errno.ENOMEM: 1}
    assert not world.session.in_sync
    world.pass_time(5.0)
    world.assert_equal()
    assert world.session.in_sync
    assert world.state(w.nexthop_key(5)) is State.SYNCED


def test_retries_back_off_and_are_spread_by_jitter():
    world = w.World(jitter=lambda: 0.25)
    world.up()
    world.datapath.fail(NH, errno.ENOSPC, 1000)
    world.apply(w.discard(5))
    world.run()
    pauses = []
    for _ in range(10):
        due = world.session.deadline()
        pauses.append(due - world.now)
        world.now = due
        world.session.tick(due)
        world.run()
    assert pauses[:4] == pytest.approx([0.375, 0.75, 1.5, 3.0])
    assert pauses[-1] == pytest.approx(45.0)
    assert world.session.counters.nacks[errno.ENOSPC] == 11


def test_a_changed_referent_makes_the_refused_try_again_at_once(world):
    world.apply(w.vif(3))
    world.run()
    world.datapath.fail(NH, errno.EINVAL, op=ADD)
    world.apply(w.encap(5, 3))
    world.run()
    assert world.state(w.nexthop_key(5)) is State.HELD
    world.apply(w.vif(3, vifr_vrf=7))
    world.run()
    assert world.session.in_sync
    world.assert_equal()


def test_a_newer_wish_is_tried_at_once(world):
    world.datapath.fail(NH, errno.EINVAL)
    world.apply(w.encap(5, 3), w.vif(3))
    world.run()
    world.apply(w.encap(5, 3, nhr_vrf=9))
    world.run()
    assert world.session.in_sync
    world.assert_equal()


def test_a_refused_change_is_written_again_even_when_it_is_taken_back(world):
    """A refused label change leaves no label: the datapath removes the old entry first."""
    world.apply(w.discard(5), w.discard(6), w.label(16, 5))
    world.run()
    world.datapath.fail(LABEL, errno.EINVAL)
    world.apply(w.label(16, 6))
    world.run()
    del world.datapath.objects["label"][16]
    world.apply(w.label(16, 5))
    world.run()
    world.assert_equal()


def test_a_refused_change_does_not_let_new_dependents_through(world):
    world.apply(w.discard(5))
    world.run()
    world.datapath.fail(NH, errno.ENOMEM)
    world.apply(w.encap(7, 3), w.vif(3))
    world.run()
    world.apply(w.label(16, 7))
    world.run()
    assert world.datapath.objects["label"] == {}
    world.pass_time(2.0)
    world.assert_equal()


def test_a_refused_delete_is_tried_again(world):
    world.apply(w.discard(5))
    world.run()
    world.datapath.fail(NH, errno.EBUSY, op=DEL)
    world.apply(removed=[w.nexthop_key(5)])
    world.run()
    assert world.told(Released) == []
    world.pass_time(2.0)
    world.assert_equal()
    assert [event.identity.number for event in world.told(Released)] == [5]


def test_exists_and_absent_are_success(world):
    world.datapath.fail(NH, errno.EEXIST, op=ADD)
    world.apply(w.discard(5))
    world.run()
    assert world.session.in_sync
    world.datapath.fail(NH, errno.EINVAL, op=DEL)
    world.apply(removed=[w.nexthop_key(5)])
    world.run()
    assert world.session.in_sync
    assert [event.key for event in world.told(Released)] == [w.nexthop_key(5)]
    assert world.told(Refused) == []


def test_one_refusal_in_a_frame_spoils_no_other(world):
    world.datapath.fail(NH, errno.ENOMEM)
    world.apply(*(w.discard(i) for i in range(1, 11)))
    world.run()
    assert sorted(world.datapath.objects["nexthop"]) == list(range(2, 11))
    world.pass_time(2.0)
    world.assert_equal()


def test_a_message_too_long_for_any_frame_is_held_and_seen(world):
    members = [w.discard(i) for i in range(1, 3)]
    huge = w.composite(9, *([1, 2] * 5000))
    world.apply(*members, huge)
    world.run()
    assert world.told(Refused) == [
        Refused(Identity(Kind.NEXTHOP, 9), w.nexthop_key(9), errno.EMSGSIZE)
    ]
    assert world.session.counters.unsendable == 1
    assert 9 not in world.datapath.objects["nexthop"]
    assert world.state(w.nexthop_key(9)) is State.HELD
    world.apply(w.composite(9, 1, 2))
    world.run()
    world.assert_equal()


# ---- G4: changes coalesce


def test_changes_in_flight_become_one_message_with_the_newest(world):
    world.datapath.hold()
    world.apply(w.discard(5), w.vif(3))
    world.run()
    world.apply(w.vif(3, vifr_vrf=5))
    world.apply(w.vif(3, vifr_vrf=6))
    world.apply(w.vif(3, vifr_vrf=7))
    world.run()
    assert world.writes() == 2
    world.datapath.release()
    world.run()
    assert world.writes() == 3
    world.assert_equal()


def test_a_change_that_is_taken_back_in_flight_is_not_sent(world):
    world.datapath.hold()
    world.apply(w.vif(3))
    world.run()
    world.apply(w.vif(3, vifr_vrf=5))
    world.apply(w.vif(3))
    world.datapath.release()
    world.run()
    assert world.writes() == 1
    world.assert_equal()


def test_an_equal_object_is_not_written(world):
    world.apply(*w.port())
    world.run()
    world.apply(*w.port())
    world.run()
    assert world.writes() == len(w.port())


def test_delete_then_add_before_the_answer_ends_present(world):
    world.apply(w.discard(5), w.label(16, 5))
    world.run()
    world.datapath.hold()
    world.apply(removed=[w.label(16, 5).key])
    world.run()
    world.apply(w.label(16, 5))
    world.datapath.release()
    world.run()
    assert world.write_names()[2:] == [(LABEL, DEL), (LABEL, ADD)]
    world.assert_equal()


def test_add_then_delete_before_the_answer_ends_absent(world):
    world.datapath.hold()
    world.apply(w.discard(5))
    world.run()
    world.apply(removed=[w.nexthop_key(5)])
    world.datapath.release()
    world.run()
    world.assert_equal()
    assert [event.identity.number for event in world.told(Released)] == [5]


def test_removed_and_added_in_one_batch_ends_present(world):
    world.apply(w.discard(5))
    world.run()
    world.session.apply([w.discard(5)], [w.nexthop_key(5)], world.now)
    world.run()
    assert world.writes() == 1
    world.assert_equal()


def test_what_was_never_sent_is_released_without_a_word(world):
    world.apply(w.label(16, 99))
    world.apply(removed=[w.label(16, 99).key])
    world.run()
    assert world.writes() == 0
    assert [event.identity for event in world.told(Released)] == [Identity(Kind.LABEL, 16)]
    assert list(world.session.snapshot()) == []


# ---- bounds and events


def test_in_sync_is_told_at_the_edge(world):
    assert world.session.in_sync
    world.apply(w.discard(5))
    assert not world.session.in_sync
    world.run()
    world.apply(w.discard(5))
    world.run()
    world.apply(w.discard(6))
    world.run()
    assert len(world.told(InSync)) == 2


def test_counters_tell_writes_by_kind_and_verb(world):
    world.apply(w.vif(3), w.encap(5, 3))
    world.run()
    world.apply(w.vif(3, vifr_vrf=9), removed=[w.nexthop_key(5)])
    world.run()
    assert dict(world.session.counters.writes) == {
        ("vif", "add"): 1,
        ("nexthop", "add"): 1,
        ("vif", "change"): 1,
        ("nexthop", "del"): 1,
    }
    assert world.session.counters.acks == 4


def test_nothing_is_left_of_objects_that_are_gone():
    world = w.World()
    world.up()
    for round_ in range(3):
        objects = [*w.port(), *(w.route(f"9.{round_}.{i}.0/24", 1) for i in range(50))]
        world.apply(*objects)
        world.run()
        world.apply(removed=[each.key for each in objects])
        world.run()
    registry = world.session._reconciler._registry
    assert not registry.slots
    assert not registry.owners
    assert not registry.lengths
    assert not registry.occupants


def test_the_window_bounds_what_is_outstanding():
    world = w.World(window=3, messages_per_frame=2)
    world.up()
    world.datapath.hold()
    world.apply(*(w.discard(i) for i in range(1, 50)))
    world.run()
    assert world.writes() == 6
    world.datapath.release()
    world.run()
    world.assert_equal()


def test_one_call_gives_a_bounded_number_of_bytes():
    world = w.World(window=100_000)
    world.up()
    world.apply(*(w.vif(i) for i in range(2000)))
    sizes = []
    while data := world.session.data_to_send():
        sizes.append(len(data))
        world.link.feed(data)
        world.session.receive(world.link.take(), world.now)
    assert len(sizes) > 3
    assert max(sizes) < 256 * 1024 + 16 * 1024
    assert world.session.in_sync


def test_a_real_change_of_nexthop_is_sent_in_place(world):
    world.apply(w.vif(3), w.encap(5, 3), w.label(16, 5))
    world.run()
    world.apply(w.encap(5, 3, nhr_encap=bytes(14)))
    world.run()
    assert world.write_names()[3:] == [(NH, ADD)]
    sent = world.datapath.log[-1]
    assert isinstance(sent, VrNexthopReq)
    assert sent.nhr_encap == bytes(14)


def test_a_fake_datapath_notices_what_is_out_of_order():
    """The judge of these tests is itself right."""
    datapath = FakeDatapath()
    link = datapath.connect()

    def ask(message):
        link.feed(request_frame(message.encode(), family=24, seq=1, pid=1))
        return link.take()

    ask(w.label(16, 5).message)
    assert len(datapath.violations) == 1
    ask(w.discard(5).message)
    ask(w.label(16, 5).message)
    assert len(datapath.violations) == 1
    ask(VrNexthopReq(h_op=DEL, nhr_id=5))
    assert "used by ['label 16']" in datapath.violations[1]
