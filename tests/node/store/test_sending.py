"""Objects on their way to archives: when they are due, what is tried again, what an archive confirms."""

from cspine.node.store import DeliveryState, State, Store
from cspine.node.store.counting import read_counters
from cspine.node.store.nouns import Predecessor, Sending
from cspine.node.store.queue import finish
from cspine.node.store.sending import (
    answered,
    asked,
    claim_parcels,
    delivered,
    give_back,
    has_open_parcels,
    heal_due,
    refused,
    unconfirmed,
)
from cspine.node.store.worklist import worklist
from tests.node.series import NEGATIVE, POSITIVE, arrive, parcels, take
from tests.node.times import Clock


def _finished(store: Store, name: str = "1", images: int = 10, settle_s: float = 0.0) -> None:
    arrive(store, name, images)
    assert finish(store, take(store), POSITIVE, parcels(f"{name}.{images}"), settle_s)


def _due(store: Store, owner: str = "d", destination: str = "pacs") -> tuple[Sending, ...]:
    return claim_parcels(store, destination, owner, 60, 10)


def test_objects_wait_until_the_result_has_settled(store: Store, clock: Clock) -> None:
    _finished(store, settle_s=30)

    assert _due(store) == ()
    clock.now += 31
    assert [sending.parcel.file for sending in _due(store)] == ["result_sr.dcm", "result_seg.dcm"]


def test_an_object_is_taken_by_one_deliverer_and_by_another_when_that_one_died(store: Store, clock: Clock) -> None:
    _finished(store)
    assert len(_due(store, "a")) == 2

    assert _due(store, "b") == ()
    clock.now += 61
    assert len(_due(store, "b")) == 2


def test_what_was_delivered_is_not_sent_again(store: Store, clock: Clock) -> None:
    _finished(store)
    for sending in _due(store):
        delivered(store, sending, "d")

    clock.now += 10_000
    assert _due(store) == ()
    assert not has_open_parcels(store)
    assert worklist(store)[0].deliveries == {"pacs": {DeliveryState.DELIVERED: 2}}


def test_what_was_refused_is_tried_again_after_its_pause(store: Store, clock: Clock) -> None:
    _finished(store)
    first, second = _due(store)
    refused(store, first, "d", 4, "A700: it is full")
    give_back(store, [second], "d")

    assert [sending.parcel_id for sending in _due(store)] == [second.parcel_id]
    clock.now += 5
    (again,) = _due(store)
    assert (again.parcel_id, again.attempt) == (first.parcel_id, 2)


def test_a_clock_that_was_set_back_does_not_hold_objects(store: Store, clock: Clock) -> None:
    _finished(store)
    clock.now -= 86_400
    assert _due(store) == ()

    heal_due(store, 900)

    assert len(_due(store)) == 2


def test_objects_that_were_not_sent_are_cancelled_by_the_next_version(store: Store, clock: Clock) -> None:
    _finished(store, images=10, settle_s=30)
    _finished(store, images=12, settle_s=30)
    clock.now += 31

    assert [sending.key for sending in _due(store)] == ["key1-12", "key1-12"]
    assert read_counters(store).parcels == {("pacs", DeliveryState.CANCELLED): 2, ("pacs", DeliveryState.WAITING): 2}


def test_objects_wait_while_a_next_version_is_being_assessed(store: Store) -> None:
    _finished(store, images=10)
    arrive(store, images=12)

    assert _due(store) == ()
    finish(store, take(store), NEGATIVE, parcels("1.12"))
    assert [sending.parcel.sop_uid for sending in _due(store)] == ["2.25.1.12.0", "2.25.1.12.1"]


def test_a_report_names_the_one_that_the_archive_has_already(store: Store) -> None:
    _finished(store, images=10)
    for sending in _due(store):
        assert sending.replaces is None
        delivered(store, sending, "d")
    _finished(store, images=12)

    first = Predecessor("2.25.1.10.0", "key1-10", "result_sr.dcm")
    assert [sending.replaces for sending in _due(store)] == [first, Predecessor("2.25.1.10.1", "key1-10", "result_seg.dcm")]


def test_an_archive_that_took_an_object_while_it_was_superseded_has_it(store: Store) -> None:
    _finished(store, images=10)
    on_their_way = _due(store)
    _finished(store, images=12)
    delivered(store, on_their_way[0], "d")
    refused(store, on_their_way[1], "d", 0, "no")

    parcels_now = read_counters(store).parcels
    assert parcels_now[("pacs", DeliveryState.DELIVERED)] == 1
    assert parcels_now[("pacs", DeliveryState.CANCELLED)] == 1


def test_every_archive_has_its_own_pace(store: Store) -> None:
    arrive(store)
    finish(store, take(store), POSITIVE, [*parcels("1"), *parcels("1", "research")])
    for sending in _due(store):
        refused(store, sending, "d", 900, "dead")

    assert len(_due(store, destination="research")) == 2


def test_a_confirmation_is_asked_for_and_kept(store: Store, clock: Clock) -> None:
    _finished(store)
    for sending in _due(store):
        delivered(store, sending, "d")
    open_questions = unconfirmed(store, "pacs", 60, 10)
    assert [uid for _, uid in open_questions] == ["2.25.1.10.0", "2.25.1.10.1"]
    asked(store, "pacs", [uid for _, uid in open_questions], "2.25.77")

    assert unconfirmed(store, "pacs", 60, 10) == ()
    assert answered(store, "2.25.78", ["2.25.1.10.0"], []) == 0
    assert answered(store, "2.25.77", ["2.25.1.10.0"], ["2.25.1.10.1"]) == 2
    assert answered(store, "2.25.77", ["2.25.1.10.0"], []) == 0
    assert [sending.parcel.sop_uid for sending in _due(store)] == ["2.25.1.10.1"]
    assert read_counters(store).parcels[("pacs", DeliveryState.CONFIRMED)] == 1


def test_a_question_without_an_answer_is_asked_again(store: Store, clock: Clock) -> None:
    _finished(store)
    for sending in _due(store):
        delivered(store, sending, "d")
    asked(store, "pacs", ["2.25.1.10.0", "2.25.1.10.1"], "2.25.77")
    clock.now += 61

    assert len(unconfirmed(store, "pacs", 60, 10)) == 2


def test_a_result_that_is_made_again_sends_nothing_twice(store: Store) -> None:
    _finished(store)
    for sending in _due(store):
        delivered(store, sending, "d")
    arrive(store, "2")
    finish(store, take(store), POSITIVE, parcels("1.10"))

    assert _due(store) == ()


def test_counters_say_how_old_the_oldest_are(store: Store, clock: Clock) -> None:
    assert read_counters(store).oldest_queued_s is None
    _finished(store)
    clock.now += 40
    arrive(store, "2")
    clock.now += 2

    counters = read_counters(store)
    assert counters.oldest_queued_s == 2
    assert counters.oldest_parcel_s == {"pacs": 42}
    assert counters.jobs[State.QUEUED] == counters.jobs[State.DONE] == 1
