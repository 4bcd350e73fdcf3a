from cspine.node.receiving.completeness import Completeness
from tests.node.times import Clock


def _made() -> tuple[Completeness, Clock]:
    clock = Clock(0.0)
    return Completeness(5, 60, clock), clock


def test_a_series_is_complete_a_while_after_its_association_was_released() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.ended("a", released=True)
    clock.now = 4.9
    assert completeness.take() == []
    clock.now = 5

    assert completeness.take() == [("1.2", "CT1", "ER")]
    assert completeness.take() == []


def test_a_series_is_never_complete_while_an_association_carries_it() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.came("1.2", "b", "CT1", "ER")
    completeness.ended("a", released=True)
    clock.now = 1e6

    assert completeness.take() == []
    assert completeness.is_pending("1.2")
    completeness.ended("b", released=True)
    clock.now += 5
    assert len(completeness.take()) == 1


def test_after_an_abort_the_quiet_time_is_longer_until_the_rest_comes() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.ended("a", released=False)
    clock.now = 59
    assert completeness.take() == []

    completeness.came("1.2", "b", "CT1", "ER")
    completeness.ended("b", released=True)
    clock.now = 64
    assert len(completeness.take()) == 1


def test_an_abort_that_follows_a_release_counts_for_nothing() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.ended("a", released=True)
    completeness.ended("a", released=False)
    clock.now = 5

    assert len(completeness.take()) == 1


def test_an_association_that_ended_without_a_word_counts_as_aborted() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.came("1.2", "b", "CT1", "ER")
    completeness.ended_if(lambda carrier: carrier == "a")
    clock.now = 100
    assert completeness.take() == []

    completeness.ended_if(lambda _: True)
    clock.now = 159
    assert completeness.take() == []
    clock.now = 160
    assert len(completeness.take()) == 1


def test_what_was_there_at_the_start_waits_as_after_an_abort() -> None:
    completeness, clock = _made()
    completeness.found("1.2", "CT1", "ER")
    clock.now = 59
    assert completeness.take() == []
    clock.now = 60

    assert completeness.take() == [("1.2", "CT1", "ER")]


def test_an_image_begins_the_quiet_time_anew() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.ended("a", released=True)
    clock.now = 4
    completeness.came("1.2", "b", "CT1", "ER")
    completeness.ended("b", released=True)
    clock.now = 8

    assert completeness.take() == []


def test_a_series_that_could_not_be_queued_comes_again() -> None:
    completeness, clock = _made()
    completeness.put_back("1.2", "CT1", "ER")
    clock.now = 5

    assert completeness.take() == [("1.2", "CT1", "ER")]


def test_other_series_do_not_wait_for_one_that_still_comes() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.came("1.3", "b", "CT2", "")
    completeness.ended("b", released=True)
    clock.now = 5

    assert completeness.take() == [("1.3", "CT2", "")]
