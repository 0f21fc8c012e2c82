"""The time of the next check: never too late, never at once, never without end."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis.strategies import floats, integers, randoms, sampled_from

from versionsync.daemon.next_check import MIN_INTERVAL_SECONDS, RETRIES, next_check, reason, retry_wait
from versionsync.errors import ErrorKind

quiet = floats(0, 1e9)
staleness = floats(1, 604_800)


@given(quiet, staleness)
def test_the_next_check_is_never_later_than_max_staleness(quiet: float, limit: float) -> None:
    """And never at once."""
    assert 0 < next_check(quiet_seconds=quiet, max_staleness=limit) <= limit


@given(quiet, staleness)
def test_there_is_a_pause_however_busy_a_project_is(quiet: float, limit: float) -> None:
    """Unless max_staleness is shorter."""
    assert next_check(quiet_seconds=quiet, max_staleness=limit) >= min(MIN_INTERVAL_SECONDS, limit)


@given(quiet, quiet, staleness)
def test_a_quiet_project_is_checked_no_more_often_than_a_busy_one(one: float, two: float, limit: float) -> None:
    less, more = sorted((one, two))
    assert next_check(quiet_seconds=less, max_staleness=limit) <= next_check(quiet_seconds=more, max_staleness=limit)


@given(sampled_from(ErrorKind), integers(1, 10**9), randoms(use_true_random=False))
def test_a_failure_is_retried_within_minutes_without_end(kind: ErrorKind, failures: int, random: Random) -> None:
    """However many there were, and never at once."""
    assert 1 <= retry_wait(kind, failures, random=random) <= min(RETRIES[kind].maximum, 300)


def test_the_first_retries_come_soon_and_later_ones_less_often() -> None:
    """A failure shortens the wait at first."""
    waits = [retry_wait(ErrorKind.UNAVAILABLE, failures, random=Random(1)) for failures in range(1, 12)]
    assert waits[0] <= 5 < next_check(quiet_seconds=3600, max_staleness=60)
    assert waits == sorted(waits)


def test_sources_that_failed_together_come_back_apart() -> None:
    """Each wait has some randomness."""
    random = Random(1)
    assert len({retry_wait(ErrorKind.UNAVAILABLE, 5, random=random) for _ in range(50)}) > 40


def test_a_quiet_night_costs_few_checks() -> None:
    """Ten hours after the last edit, with a max_staleness of an hour."""
    checks, elapsed = 0, 0.0
    while elapsed < 10 * 3600:
        elapsed += next_check(quiet_seconds=elapsed, max_staleness=3600)
        checks += 1
    assert checks < 80


def test_the_reason_is_true_and_readable() -> None:
    """It never says that nothing has changed for 0 s, and has no weekend in seconds."""
    assert reason(quiet_seconds=0.2, has_changed=True) == "something has just changed"
    assert reason(quiet_seconds=0.2, has_changed=False) == "the daemon has just started"
    assert reason(quiet_seconds=90.4, has_changed=False) == "nothing has changed for 90 seconds"
    assert reason(quiet_seconds=3600.0, has_changed=True) == "nothing has changed for 60 minutes"
