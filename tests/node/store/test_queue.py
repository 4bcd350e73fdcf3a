"""Jobs: queued, taken, lost, finished, superseded; the same on SQLite and PostgreSQL."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from cspine.node.store import State, Store, open_store
from cspine.node.store.arrivals import enqueue, is_queued, while_nothing_is_queued, withdraw
from cspine.node.store.counting import read_counters
from cspine.node.store.nouns import Arrival, Finished, Snapshot
from cspine.node.store.queue import beat, claim, finish, is_held, open_jobs, release, requeue
from cspine.node.store.sending import claim_parcels
from cspine.node.store.tables import jobs
from cspine.node.store.worklist import worklist
from tests.node.series import FAILED, NEGATIVE, POSITIVE, SUSPICIOUS, arrive, parcels, take
from tests.node.times import Clock


def _states(store: Store) -> dict[str, str]:
    with store.reading() as connection:
        return {row.key: row.state for row in connection.execute(select(jobs))}


def test_the_same_images_are_queued_once(store: Store) -> None:
    first, second = arrive(store), arrive(store)

    assert first is not None
    assert second is None
    assert is_queued(store, "1.2.1", "digest10")
    assert not is_queued(store, "1.2.1", "digest11")
    assert open_jobs(store) == 1


def test_a_job_is_taken_by_one_worker_only(store: Store) -> None:
    arrive(store)

    claimed = take(store, "a")

    assert (claimed.key, claimed.owner, claimed.attempt) == ("key1-10", "a", 1)
    assert claim(store, "b", 60, 5) is None


def test_work_waits_in_the_order_in_which_it_came(store: Store, clock: Clock) -> None:
    for name in "312":
        arrive(store, name)
        clock.now += 1

    assert [take(store).key for _ in range(3)] == ["key3-10", "key1-10", "key2-10"]


def test_minutes_of_a_rule_let_a_series_pass_those_that_came_before(store: Store, clock: Clock) -> None:
    arrive(store, "1")
    clock.now += 60
    arrive(store, "2", minutes=2.0)

    assert take(store).key == "key2-10"


def test_a_lost_lease_counts_as_an_attempt_and_the_job_goes_to_another(store: Store, clock: Clock) -> None:
    arrive(store)
    lost = take(store, "a")
    clock.now += 61

    again = take(store, "b")

    assert again.attempt == 2
    assert not beat(store, lost, 60)
    assert not finish(store, lost, POSITIVE)
    assert finish(store, again, NEGATIVE)
    assert read_counters(store).events == {"leases_lost": 1}


def test_a_heartbeat_keeps_a_lease(store: Store, clock: Clock) -> None:
    arrive(store)
    claimed = take(store)
    for _ in range(5):
        clock.now += 50
        assert beat(store, claimed, 60)

    assert claim(store, "b", 60, 5) is None


def test_a_job_whose_lease_expired_too_often_has_failed_and_can_be_queued_again(store: Store, clock: Clock) -> None:
    arrive(store)
    for _ in range(3):
        take(store, attempts=3)
        clock.now += 61

    assert claim(store, "a", 60, 3) is None
    (row,) = worklist(store)
    assert (row.state, row.code, row.credit_minutes) == (State.FAILED, "worker_died", 60)
    assert "The worker that did it ended 3 times" in str(row.reason)
    assert requeue(store, row.key)
    assert take(store).attempt == 1


def test_a_clock_that_was_set_back_does_not_make_a_lease_endless(store: Store, clock: Clock) -> None:
    arrive(store)
    take(store, "a")
    clock.now -= 86_400

    assert take(store, "b").attempt == 2


def test_a_clock_that_was_set_back_does_not_hold_a_job_that_was_given_back(store: Store, clock: Clock) -> None:
    arrive(store)
    release(store, take(store), 60, "The disk is full.")
    clock.now -= 86_400

    assert take(store, "b").key == "key1-10"


def test_a_job_that_is_given_back_waits_and_does_not_count_as_tried(store: Store, clock: Clock) -> None:
    arrive(store)
    release(store, take(store), 30, "The disk is full.")

    assert claim(store, "a", 60, 5) is None
    assert worklist(store)[0].reason == "The disk is full."
    clock.now += 31
    assert take(store).attempt == 1


def test_late_images_make_a_version_that_supersedes_queued_work(store: Store) -> None:
    arrive(store, images=10)
    arrive(store, images=12)

    assert _states(store) == {"key1-10": "superseded", "key1-12": "queued"}
    assert take(store).key == "key1-12"


def test_late_images_supersede_running_work_whose_result_is_not_kept(store: Store) -> None:
    arrive(store, images=10)
    running = take(store)
    arrive(store, images=12)

    assert not beat(store, running, 60)
    assert not finish(store, running, POSITIVE, parcels("1"))
    assert claim_parcels(store, "pacs", "d", 60, 10) == ()
    assert _states(store) == {"key1-10": "superseded", "key1-12": "queued"}


def test_a_result_stays_until_that_of_the_next_version_takes_its_place(store: Store) -> None:
    arrive(store, images=10)
    finish(store, take(store), POSITIVE)
    arrive(store, images=12)

    (row,) = worklist(store)
    assert (row.key, row.state) == ("key1-12", State.QUEUED)
    assert row.result is not None
    assert (row.result.key, row.result.version) == ("key1-10", 1)

    finish(store, take(store), NEGATIVE)
    (row,) = worklist(store)
    assert row.result is not None
    assert (row.result.key, row.result.version, row.result.positive) == ("key1-12", 2, False)
    assert _states(store) == {"key1-10": "superseded", "key1-12": "done"}


def test_a_version_that_failed_leaves_the_result_of_the_one_before(store: Store) -> None:
    arrive(store, images=10)
    finish(store, take(store), POSITIVE)
    arrive(store, images=12)
    finish(store, take(store), FAILED)

    (row,) = worklist(store)
    assert row.state is State.FAILED
    assert row.result is not None
    assert row.result.key == "key1-10"


def test_a_version_of_a_positive_series_is_assessed_before_others(store: Store, clock: Clock) -> None:
    arrive(store, "1")
    finish(store, take(store), POSITIVE)
    clock.now -= 3600
    arrive(store, "2")
    clock.now += 3600
    arrive(store, "1", images=12)

    assert take(store).key == "key1-12"


def test_a_fragment_of_a_series_whose_images_were_erased_does_not_supersede_its_result(store: Store) -> None:
    arrive(store, images=10)
    finish(store, take(store), POSITIVE)
    arrive(store, images=1)

    assert _states(store) == {"key1-10": "done", "key1-1": "ignored"}
    (row,) = worklist(store)
    assert row.key == "key1-10"
    assert claim(store, "a", 60, 5) is None


def test_an_ignored_series_is_listed_with_the_reason_and_can_be_assessed_after_all(store: Store) -> None:
    arrive(store, ignored="A rule ignores it: Modality = 'PT'")

    (row,) = worklist(store)
    assert (row.state, row.reason) == (State.IGNORED, "A rule ignores it: Modality = 'PT'")
    assert claim(store, "a", 60, 5) is None
    assert requeue(store, row.key)
    assert take(store).key == row.key


def test_what_is_done_or_superseded_is_not_queued_again(store: Store) -> None:
    arrive(store, "1")
    finish(store, take(store), NEGATIVE)
    arrive(store, "2")
    finish(store, take(store), FAILED)
    arrive(store, "2", images=11)

    assert not requeue(store, "key1-10")
    assert not requeue(store, "key2-10")
    assert not requeue(store, "nothing")


def test_a_result_and_its_objects_are_recorded_together_or_not_at_all(store: Store) -> None:
    arrive(store)
    claimed = take(store)
    wrong = [*parcels("1"), replace(parcels("1")[0], destination=None, sop_uid="2.25.3")]  # type: ignore[arg-type]

    with pytest.raises(Exception, match=r"(?i)not.null"):
        finish(store, claimed, POSITIVE, wrong)

    assert claim_parcels(store, "pacs", "d", 60, 10) == ()
    assert worklist(store)[0].state is State.RUNNING
    assert finish(store, claimed, POSITIVE, parcels("1"))
    assert len(claim_parcels(store, "pacs", "d", 60, 10)) == 2


def test_the_credit_orders_the_worklist_and_waiting_ages_it(store: Store, clock: Clock) -> None:
    for name, finished in (("old", NEGATIVE), ("suspicious", SUSPICIOUS), ("positive", POSITIVE), ("failed", FAILED)):
        arrive(store, name)
        finish(store, take(store), finished)
        clock.now += 1
    clock.now += 9 * 3600
    arrive(store, "new")
    finish(store, take(store), POSITIVE)

    assert [row.patient.patient_id for row in worklist(store)] == ["IDpositive", "IDsuspicious", "IDfailed", "IDold", "IDnew"]
    clock.now -= 3600
    arrive(store, "newer")
    finish(store, take(store), replace(NEGATIVE, probability=0.2))
    assert [row.patient.patient_id for row in worklist(store)][-2:] == ["IDnew", "IDnewer"]


def test_many_workers_take_every_job_once(database: str, tmp_path: Path) -> None:
    stores = [open_store(database, tmp_path / "node") for _ in range(4)]
    for name in range(40):
        arrive(stores[0], str(name))

    def work(number: int) -> list[str]:
        done = []
        while (claimed := claim(stores[number], f"worker{number}", 60, 5)) is not None:
            assert finish(stores[number], claimed, Finished(State.DONE, probability=0.1, positive=False))
            done.append(claimed.key)
        return done

    with ThreadPoolExecutor(4) as threads:
        taken = Counter(key for done in threads.map(work, range(4)) for key in done)
    states = _states(stores[0])
    for store in stores:
        store.close()

    assert taken == Counter({f"key{name}-10": 1 for name in range(40)})
    assert set(states.values()) == {"done"}


def test_two_receivers_that_queue_the_same_series_at_once_make_one_job(database: str, tmp_path: Path) -> None:
    stores = [open_store(database, tmp_path / "node") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda store: arrive(store, "9"), stores))
    with while_nothing_is_queued(stores[0]) as known:
        keys = set(known)
    for store in stores:
        store.close()

    assert sum(job is not None for job in made) == 1
    assert keys == {"key9-10"}


def test_what_is_being_queued_is_known_to_who_clears_up(database: str, tmp_path: Path) -> None:
    stores = [open_store(database, tmp_path / "node") for _ in range(2)]
    begun, seen = threading.Event(), []

    def snapshot() -> Snapshot:
        begun.set()
        time.sleep(0.3)  # the folder is there, the row is not yet
        return Snapshot("key", "digest", 1)

    def clear() -> None:
        begun.wait(10)
        with while_nothing_is_queued(stores[1]) as known:
            seen.append(known)

    with ThreadPoolExecutor(1) as threads:
        cleared = threads.submit(clear)
        enqueue(stores[0], Arrival("1.2", "1.9", "CT1"), snapshot)
        cleared.result()
    for store in stores:
        store.close()

    assert seen == [frozenset({"key"})]


def test_images_are_listed_while_nobody_else_queues_the_series(database: str, tmp_path: Path) -> None:
    stores = [open_store(database, tmp_path / "node") for _ in range(2)]
    images = [10]

    def snapshot() -> Snapshot:
        count = images[0]
        images[0] += 1
        return Snapshot(f"key-{count}", f"digest{count}", count)

    def queue(store: Store) -> None:
        for _ in range(10):
            enqueue(store, Arrival("1.2", "1.9", "CT1"), snapshot)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(queue, stores))
    with stores[0].reading() as connection:
        versions = connection.execute(select(jobs.c.version, jobs.c.images).order_by(jobs.c.version)).all()
    for store in stores:
        store.close()

    assert [tuple(version) for version in versions] == [(number + 1, number + 10) for number in range(20)]


def test_a_job_is_begun_early_where_none_is_due(store: Store, clock: Clock) -> None:
    arrive(store, "1", hold_s=4)
    clock.now += 1
    arrive(store, "2")

    due, early = take(store, "a"), take(store, "b")

    assert (due.key, due.due_at) == ("key2-10", 0.0)
    assert (early.key, early.due_at) == ("key1-10", clock.now + 3)


def test_a_job_with_a_pause_is_not_begun_early(store: Store, clock: Clock) -> None:
    arrive(store)
    release(store, take(store), 60, "The disk is full.")
    clock.now += 40

    assert claim(store, "b", 60, 5) is None


def test_what_was_begun_early_is_withdrawn_and_queued_again_when_it_is_complete(store: Store, clock: Clock) -> None:
    arrive(store, hold_s=4)
    early = take(store)

    withdraw(store, "1.2.1")

    assert not is_held(store, early)
    assert not finish(store, early, POSITIVE)
    assert not is_queued(store, "1.2.1", "digest10")
    assert claim(store, "b", 60, 5) is None
    assert arrive(store) == early.job_id  # the images that came had come before
    assert is_queued(store, "1.2.1", "digest10")
    again = take(store)
    assert (again.job_id, again.due_at) == (early.job_id, 0.0)
    assert finish(store, again, POSITIVE)


def test_a_withdrawn_version_that_another_one_follows_is_not_queued_again(store: Store) -> None:
    arrive(store, hold_s=4)
    withdraw(store, "1.2.1")
    arrive(store, images=12)

    assert is_queued(store, "1.2.1", "digest10")
    assert arrive(store, images=10) is None
    assert _states(store) == {"key1-10": "superseded", "key1-12": "queued"}


def test_nothing_but_early_work_is_withdrawn(store: Store, clock: Clock) -> None:
    arrive(store, hold_s=4)
    arrive(store, "2", hold_s=4)
    clock.now += 5

    withdraw(store, "1.2.1")

    assert open_jobs(store) == 2
