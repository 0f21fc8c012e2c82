"""When to look next, whatever happened before: never too late, never without an end, never a flood."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis.strategies import floats, integers, randoms, sampled_from

from versionsync.daemon.intervals import MIN_INTERVAL_SECONDS, RETRIES, next_check, reason, retry_wait
from versionsync.errors import ErrorKind

quiet = floats(0, 1e9)
staleness = floats(1, 604_800)


@given(quiet, staleness)
def test_the_next_look_is_never_later_than_the_mirror_may_be_old(quiet: float, most: float) -> None:
    """And never at once."""
    assert 0 < next_check(quiet_seconds=quiet, max_staleness=most) <= most


@given(quiet, staleness)
def test_however_busy_a_project_is_there_is_a_pause(quiet: float, most: float) -> None:
    """Unless it must be fresher than that."""
    assert next_check(quiet_seconds=quiet, max_staleness=most) >= min(MIN_INTERVAL_SECONDS, most)


@given(quiet, quiet, staleness)
def test_a_quiet_project_is_looked_at_no_more_often_than_a_busy_one(one: float, two: float, most: float) -> None:
    """Whatever else there is."""
    less, more = sorted((one, two))
    assert next_check(quiet_seconds=less, max_staleness=most) <= next_check(quiet_seconds=more, max_staleness=most)


@given(sampled_from(ErrorKind), integers(1, 10**9), randoms(use_true_random=False))
def test_a_failure_is_tried_again_within_minutes_for_ever(trouble: ErrorKind, failures: int, random: Random) -> None:
    """However many there were, and never at once."""
    assert 1 <= retry_wait(trouble, failures, random=random) <= min(RETRIES[trouble].maximum, 300)


def test_the_first_tries_come_soon_and_the_later_ones_less_often() -> None:
    """A failure shortens the wait at first."""
    waits = [retry_wait(ErrorKind.UNAVAILABLE, failures, random=Random(1)) for failures in range(1, 12)]
    assert waits[0] <= 5 < next_check(quiet_seconds=3600, max_staleness=60)
    assert waits == sorted(waits)


def test_who_failed_together_comes_back_apart() -> None:
    """Some of each wait is left to chance."""
    random = Random(1)
    assert len({retry_wait(ErrorKind.UNAVAILABLE, 5, random=random) for _ in range(50)}) > 40


def test_a_quiet_night_costs_few_looks() -> None:
    """Ten hours after the last edit, where the mirror may be an hour old."""
    looks, elapsed = 0, 0.0
    while elapsed < 10 * 3600:
        elapsed += next_check(quiet_seconds=elapsed, max_staleness=3600)
        looks += 1
    assert looks < 80


def test_it_is_told_why_then_in_words_that_are_true() -> None:
    """Nobody is told that nothing has changed for 0 s, nor how many seconds a weekend has."""
    assert reason(quiet_seconds=0.2, has_changed=True) == "something has just changed"
    assert reason(quiet_seconds=0.2, has_changed=False) == "the daemon has just started"
    assert reason(quiet_seconds=90.4, has_changed=False) == "nothing has changed for 90 s"
    assert reason(quiet_seconds=3600.0, has_changed=True) == "nothing has changed for 60 minutes"
