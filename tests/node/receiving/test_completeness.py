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


def test_a_calm_series_is_most_likely_complete_before_the_quiet_time_is_over() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    clock.now = 3
    assert completeness.take_early() == []
    completeness.ended("a", released=True)
    clock.now = 3.9
    assert completeness.take_early() == []
    clock.now = 4

    assert completeness.take_early() == [("1.2", "CT1", "ER", 4.0)]
    assert completeness.take_early() == []
    assert completeness.take() == []
    clock.now = 8
    assert completeness.take() == [("1.2", "CT1", "ER")]


def test_an_early_series_is_overtaken_by_further_images_and_not_early_again() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.ended("a", released=True)
    clock.now = 2
    assert len(completeness.take_early()) == 1
    assert completeness.take_overtaken() == []

    completeness.came("1.2", "b", "CT1", "ER")

    assert completeness.take_overtaken() == ["1.2"]
    assert completeness.take_overtaken() == []
    completeness.ended("b", released=True)
    clock.now = 4
    assert completeness.take_early() == []
    clock.now = 7
    assert len(completeness.take()) == 1


def test_a_series_whose_association_was_aborted_is_never_early() -> None:
    completeness, clock = _made()
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.ended("a", released=False)
    completeness.found("1.3", "CT1", "ER")
    clock.now = 59

    assert completeness.take_early() == []


def test_a_long_quiet_time_is_used_at_its_end_only() -> None:
    clock = Clock(0.0)
    completeness = Completeness(300, 300, clock)
    completeness.came("1.2", "a", "CT1", "ER")
    completeness.ended("a", released=True)
    clock.now = 289
    assert completeness.take_early() == []
    clock.now = 290

    assert completeness.take_early() == [("1.2", "CT1", "ER", 10.0)]
