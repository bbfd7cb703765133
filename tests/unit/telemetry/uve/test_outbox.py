"""What is to be sent: updates of UVEs, the queue of messages, rates, losses."""

from __future__ import annotations

from agent.telemetry.uve import Drop, Identity, Level, Outbox, SendQueue, Type, UveCache
from tests.fake.collector import Received, read

TAGS = "UVEVMITags"
SESSIONS = "SessionEndpointObject"


def outbox(size: int = 1 << 20) -> Outbox:
    box = Outbox(Identity("h", 7), UveCache(), lambda: 1.5, types=(TAGS,), queue=SendQueue(size))
    box.open = True
    return box


def taken(box: Outbox) -> list[Received]:
    found = []
    while data := box.take():
        found.append(read(data))
    return found


def said(box: Outbox, level: Level = Level.NOTICE, now: float = 0.0, size: int = 0) -> bool:
    values = {"session_data": [{"vmi": "x" * size, "vn": "n"}]}
    return box.send(SESSIONS, values, level, Type.SESSION, now)


def test_only_changed_fields_are_sent() -> None:
    box = outbox()
    box.resume({})
    box.put(TAGS, {"name": "a", "app": "x", "tier": "t"})
    assert taken(box)[0].fields == ["name", "app", "tier"]
    box.put(TAGS, {"name": "a", "app": "y", "tier": "t"})
    [update] = taken(box)
    assert update.fields == ["name", "app"]
    assert update.sequence == 2
    assert update.header["Hints"] == "1"
    box.put(TAGS, {"name": "a", "app": "y", "tier": "t"})
    assert taken(box) == []


def test_updates_that_wait_become_one() -> None:
    box = outbox()
    box.resume({})
    box.put(TAGS, {"name": "a", "app": "x", "tier": "t", "site": "s"})
    taken(box)
    box.put(TAGS, {"name": "a", "app": "1"})
    box.put(TAGS, {"name": "b", "app": "1"})
    box.put(TAGS, {"name": "a", "tier": "2"})
    assert len(box) == 2
    first, second = taken(box)
    assert (first.text("name"), first.sequence) == ("b", 3)
    assert (second.fields, second.sequence) == (["name", "app", "tier"], 4)


def test_a_deletion_follows_what_it_deletes() -> None:
    box = outbox()
    box.resume({})
    box.put(TAGS, {"name": "a", "app": "x"})
    box.delete(TAGS, "a")
    [gone] = taken(box)
    assert gone.fields == ["name", "deleted"]
    assert gone.text("deleted") == "true"
    box.delete(TAGS, "a")
    assert taken(box) == []
    box.put(TAGS, {"name": "a", "app": "x"})
    assert taken(box)[0].fields == ["name", "app"]


def test_who_comes_back_gets_what_he_lacks() -> None:
    box = outbox()
    for name in "abc":
        box.put(TAGS, {"name": name, "app": name})
    box.delete(TAGS, "b")
    assert taken(box) == []
    box.resume({"VMITags": 2})
    found = taken(box)
    assert [(one.text("name"), one.sequence) for one in found] == [("c", 3), ("b", 4)]
    assert {one.header["Hints"] for one in found} == {"5"}
    box.put(TAGS, {"name": "c", "app": "z"})
    box.rest()
    assert taken(box) == []
    box.resume({"VMITags": 4})
    [again] = taken(box)
    assert again.fields == ["name", "app"]


def test_a_deletion_that_is_forgotten_is_not_told() -> None:
    box = Outbox(Identity("h", 7), UveCache(most_deleted=0), lambda: 1.5, types=(TAGS,))
    box.put(TAGS, {"name": "a"})
    box.delete(TAGS, "a")
    box.resume({"VMITags": 1})
    assert len(box) == 1
    assert taken(box) == []
    assert len(box) == 0


def test_changes_while_somebody_catches_up_are_told_once() -> None:
    box = outbox()
    for name in "abc":
        box.put(TAGS, {"name": name, "app": "1"})
    box.resume({})
    box.put(TAGS, {"name": "a", "app": "2"})
    first = read(box.take())
    box.put(TAGS, {"name": "c", "app": "2"})
    rest = taken(box)
    assert [(one.text("name"), one.text("app")) for one in (first, *rest)] == [
        ("b", "1"), ("a", "2"), ("c", "2"),
    ]  # fmt: skip


def test_a_number_that_was_never_reached_is_of_another_process() -> None:
    box = outbox()
    box.put(TAGS, {"name": "a"})
    box.resume({"VMITags": 1000})
    assert len(taken(box)) == 1


def test_messages_are_numbered_and_counted() -> None:
    box = outbox()
    assert said(box)
    assert said(box)
    first, second = taken(box)
    assert (first.sequence, second.sequence) == (1, 2)
    assert (first.header["Type"], first.header["Level"]) == ("12", "5")
    assert first.message.findtext(".//SessionEndpoint/vn") == "n"
    stats = box.stats.by_type()[SESSIONS].values()
    assert stats == {"messages_sent": 2, "bytes_sent": first.size + second.size}


def test_uves_and_messages_take_turns() -> None:
    box = outbox()
    box.resume({})
    for name in "ab":
        box.put(TAGS, {"name": name})
        said(box)
    names = [one.name for one in taken(box)]
    assert sorted(names[:2]) == sorted(names[2:]) == sorted((SESSIONS, TAGS))


def test_the_fuller_the_queue_the_more_urgent_a_message_must_be() -> None:
    box = outbox(size=20_000)
    assert box.queue.level is Level.DEBUG
    while said(box, Level.DEBUG, size=500):
        pass
    assert box.queue.level is Level.NOTICE
    assert not said(box, Level.INFO, size=500)
    while said(box, Level.NOTICE, size=500):
        pass
    while said(box, Level.WARN, size=500):
        pass
    assert box.queue.level is Level.ERR
    while said(box, Level.EMERG, size=500):
        pass
    waiting = len(box)
    assert not said(box, Level.EMERG, size=500)
    assert len(box) == waiting
    dropped = box.stats.total.dropped[Drop.QUEUE_LEVEL]
    assert dropped.messages == 6
    values = box.stats.total.values()
    assert values["messages_sent_dropped"] == values["messages_sent_dropped_queue_level"] == 6
    assert values["bytes_sent_dropped"] == dropped.size > 3000
    assert len(taken(box)) == waiting == box.queue.most == box.queue.enqueued
    assert box.queue.level is Level.DEBUG


def test_a_rate_bounds_what_is_no_uve() -> None:
    box = outbox()
    box.limit(10, 0.0)
    assert [said(box, now=0.0) for _ in range(12)].count(True) == 10
    assert said(box, now=0.1)
    assert not said(box, now=0.1)
    assert box.stats.total.dropped[Drop.RATE_LIMITED].messages == 3
    box.limit(0, 0.2)
    assert all(said(box, now=0.2) for _ in range(100))


def test_without_collectors_nothing_is_kept() -> None:
    box = outbox()
    said(box)
    box.close()
    assert len(box) == 0
    assert not said(box)
    assert box.stats.total.dropped[Drop.NO_CLIENT].messages == 2
