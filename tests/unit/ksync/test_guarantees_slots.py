"""The guarantees of ksync for what cannot change in place, slots, and covering routes."""

from __future__ import annotations

import errno
import random

import pytest

from agent.ksync import Released
from agent.sandesh.vrouter import VrRouteReq
from tests.unit.ksync import world as w
from tests.unit.ksync.guarantee_scene import ADD, DEL, LABEL, NH, ROUTE, world

__all__ = ["world"]  # the fixture

# ---- changes that the datapath cannot make


@pytest.mark.parametrize(
    "change",
    [
        {"nhr_type": 1, "nhr_encap": b""},
        {"nhr_encap": w.ENCAP_BYTES + b"\x81\0\0\2"},
        {"nhr_flags": 0x600001},
    ],
    ids=["type", "encapsulation size", "indirect"],
)
def test_a_nexthop_that_cannot_change_is_made_anew_under_its_referrers(world, change):
    world.apply(*w.port())
    world.run()
    world.datapath.log.clear()
    world.apply(w.encap(14, 3, **{"nhr_flags": 0x200003} | change))
    world.run()
    world.assert_equal()
    order = world.write_names()
    assert (NH, DEL) in order
    assert order.index((NH, DEL)) > order.index((LABEL, DEL))
    assert order.index((NH, ADD)) > order.index((NH, DEL))
    assert order.index((LABEL, ADD)) > order.index((NH, ADD))
    assert world.told(Released) == []


def test_a_new_device_under_a_vif_makes_everything_above_it_anew(world):
    world.apply(*w.port())
    world.run()
    world.apply(w.vif(3, vifr_nh_id=14, vifr_os_idx=99))
    world.run()
    world.assert_equal()
    assert world.datapath.objects["vif"][3].vifr_os_idx == 99


def test_an_impossible_change_that_is_taken_back_in_time_costs_only_what_had_begun(world):
    world.apply(w.vif(3), w.encap(5, 3), w.label(16, 5))
    world.run()
    world.datapath.hold()
    world.apply(w.vif(3, vifr_name="other"))
    world.run()
    assert world.write_names()[3:] == [(LABEL, DEL)]
    world.apply(w.vif(3))
    world.datapath.release()
    world.run()
    assert world.write_names()[4:] == [(LABEL, ADD)]
    world.assert_equal()


def test_a_referrer_that_moves_elsewhere_is_not_deleted(world):
    world.apply(w.discard(5), w.discard(6), w.label(16, 5))
    world.run()
    world.datapath.log.clear()
    world.apply(w.encap(5, 3), w.vif(3), w.label(16, 6))
    world.run()
    world.assert_equal()
    assert (LABEL, DEL) not in world.write_names()


# ---- slots that change hands


def test_a_new_index_for_a_key_is_made_before_the_old_one_is_broken(world):
    world.apply(w.discard(5, name="n"), w.label(16, "n", nh_id=5))
    world.run()
    world.datapath.log.clear()
    world.apply(w.discard(9, name="n"), w.label(16, "n", nh_id=9))
    world.run()
    assert world.write_names() == [(NH, ADD), (LABEL, ADD), (NH, DEL)]
    world.assert_equal()
    assert [event.identity.number for event in world.told(Released)] == [5]


def test_an_index_that_another_key_takes_over_waits_for_the_old_users(world):
    world.apply(w.discard(5, name="old"), w.label(16, "old", nh_id=5))
    world.run()
    world.datapath.log.clear()
    world.apply(
        w.discard(6, name="old"),
        w.label(16, "old", nh_id=6),
        w.encap(5, 3, name="new"),
        w.vif(3),
        w.label(17, "new", nh_id=5),
    )
    world.run()
    world.assert_equal()
    names = world.write_names()
    moved = world.datapath.log.index(w.label(16, "old", nh_id=6).message)
    assert moved < names.index((NH, DEL))


def test_what_a_slot_held_before_is_not_what_its_new_key_is(world):
    """Nothing may use a slot as its new key's object before that has been accepted there."""
    world.apply(w.vif(3), w.vif(4), w.encap(5, 3, name="old"))
    world.run()
    world.datapath.fail(NH, errno.ENOMEM)
    world.datapath.log.clear()
    new = [w.encap(5, 4, name="new"), w.label(16, "new", nh_id=5)]
    world.apply(*new, removed=[w.nexthop_key("old")])
    world.run()
    assert world.write_names() == [(NH, ADD)]
    assert world.datapath.objects["label"] == {}
    world.pass_time(2.0)
    assert world.write_names() == [(NH, ADD), (NH, ADD), (LABEL, ADD)]
    world.assert_equal()


def test_two_keys_may_swap_their_indexes(world):
    first = [w.discard(5, name="a"), w.encap(6, 3, name="b"), w.vif(3)]
    world.apply(*first, w.label(16, "a", nh_id=5), w.label(17, "b", nh_id=6))
    world.run()
    swapped = [w.discard(6, name="a"), w.encap(5, 3, name="b")]
    world.apply(*swapped, w.label(16, "a", nh_id=6), w.label(17, "b", nh_id=5))
    world.run()
    world.assert_equal()
    assert world.session.in_sync


def test_a_key_that_wants_a_taken_slot_gets_it_when_it_is_given_up(world):
    world.apply(w.discard(5, name="a"))
    world.run()
    world.session.apply([w.encap(5, 3, name="b"), w.vif(3)], [], world.now)
    world.run()
    assert not world.session.in_sync
    assert world.datapath.objects["nexthop"][5].nhr_type == 5
    world.session.apply([], [w.nexthop_key("a")], world.now)
    world.run()
    assert world.session.in_sync
    assert world.datapath.objects["nexthop"][5].nhr_type == 2


def test_a_waiting_key_may_lose_interest(world):
    world.apply(w.discard(5, name="a"))
    world.run()
    world.session.apply([w.discard(5, name="b")], [], world.now)
    world.session.apply([], [w.nexthop_key("b")], world.now)
    world.run()
    assert world.session.in_sync
    world.assert_equal()


# ---- deletes of inet routes


def dels(world):
    """(prefix length, replacing length, nexthop) of every inet DEL so far."""
    return [
        (m.rtr_prefix_len, m.rtr_replace_plen, m.rtr_nh_id)
        for m in world.datapath.log
        if isinstance(m, VrRouteReq) and m.h_op == DEL
    ]


def test_a_deleted_route_shows_the_closest_programmed_cover(world):
    world.apply(*(w.discard(i) for i in (5, 6, 7)))
    world.apply(w.route("0.0.0.0/0", 5), w.route("10.0.0.0/8", 6, flags=1, label=33))
    world.apply(w.route("10.1.0.0/16", 7), w.route("10.1.1.1/32", 7))
    world.run()
    world.apply(removed=[w.route_key("10.1.0.0/16")])
    world.run()
    world.apply(removed=[w.route_key("10.1.1.1/32")])
    world.run()
    assert dels(world) == [(16, 8, 6), (32, 8, 6)]
    assert world.datapath.log[-1].rtr_label == 33
    assert world.datapath.log[-1].rtr_label_flags == 1
    world.apply(removed=[w.route_key("10.0.0.0/8")])
    world.run()
    world.apply(removed=[w.route_key("0.0.0.0/0")])
    world.run()
    assert dels(world)[2:] == [(8, 0, 5), (0, 0, 0)]
    world.assert_equal()


def test_covers_do_not_cross_vrfs(world):
    world.apply(w.discard(5), w.route("10.0.0.0/8", 5, vrf=1), w.route("10.0.0.1/32", 5, vrf=2))
    world.run()
    world.apply(removed=[w.route_key("10.0.0.1/32", 2)])
    world.run()
    assert dels(world) == [(32, 0, 0)]


def test_a_delete_waits_for_a_cover_on_its_way(world):
    world.apply(w.discard(5), w.discard(6), w.route("10.0.0.1/32", 5))
    world.run()
    world.datapath.hold()
    world.apply(w.route("10.0.0.0/8", 6))
    world.run()
    world.apply(removed=[w.route_key("10.0.0.1/32")])
    world.run()
    assert dels(world) == []
    world.datapath.release()
    world.run()
    assert dels(world) == [(32, 8, 6)]
    world.assert_equal()


def test_a_refused_cover_does_not_stand_in_the_way(world):
    world.apply(w.discard(5), w.discard(6), w.route("10.0.0.1/32", 5))
    world.run()
    world.datapath.fail(ROUTE, errno.ENOMEM, 9, ADD)
    world.apply(w.route("10.0.0.0/8", 6), removed=[w.route_key("10.0.0.1/32")])
    world.run()
    assert dels(world) == [(32, 0, 0)]


def test_the_covers_nexthop_stays_until_the_delete_is_answered(world):
    world.apply(w.discard(5), w.discard(6), w.route("10.0.0.0/8", 6), w.route("10.0.0.1/32", 5))
    world.run()
    world.datapath.hold()
    world.apply(removed=[w.route_key("10.0.0.1/32")])
    world.run()
    world.datapath.log.clear()
    world.apply(removed=[w.route_key("10.0.0.0/8"), w.nexthop_key(6)])
    world.run()
    assert (NH, DEL) not in world.write_names()
    world.datapath.release()
    world.run()
    world.assert_equal()


def test_whole_tables_go_in_any_order(world):
    chooser = random.Random(3)
    texts = [f"10.{i}.0.0/16" for i in range(5)] + [
        f"10.{i}.{j}.1/32" for i in range(5) for j in range(9)
    ]
    texts += ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/12"]
    objects = [w.discard(i) for i in range(1, 5)]
    objects += [w.route(text, chooser.randrange(1, 5)) for text in texts]
    world.apply(*objects)
    world.run()
    keys = [each.key for each in objects]
    chooser.shuffle(keys)
    while keys:
        part, keys = keys[:13], keys[13:]
        world.apply(removed=part)
        world.step()
    world.run()
    world.assert_equal()
