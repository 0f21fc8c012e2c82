"""How fast a run goes is told from the last twenty seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, lists

from versionsync.cli.views.remaining_time import Pace, Sample, sample_of
from versionsync.mirror.tables.runs import Counts
from versionsync.sync.report import Progress


def at(settled: int, requests: int = 0, total: int | None = 100) -> Sample:
    return Sample(settled, total, versions=0, requests=requests)


def test_nothing_is_told_too_early() -> None:
    pace = Pace()
    assert (pace.requests_per_second, pace.seconds_left) == (None, None)
    pace.add(at(0), 100.0)
    pace.add(at(10, 10), 100.5)
    assert (pace.requests_per_second, pace.seconds_left) == (None, None)


def test_speed_and_time_left_follow_what_was_seen() -> None:
    pace = Pace()
    pace.add(at(0), 100.0)
    pace.add(at(20, 40), 102.0)
    assert pace.requests_per_second == pytest.approx(20.0)
    assert pace.seconds_left == pytest.approx(8.0)


def test_what_an_interrupted_run_left_behind_does_not_shorten_the_rest() -> None:
    """Of 1,500 records 225 were mirrored before, and settle with the first page; the others take a pull each."""
    pace = Pace()
    for second in range(5):
        counts = Counts(records_swept=1500 if second else 0, records_pulled=17 * second)
        progress = Progress("web", records_total=1500, records_planned=1275 if second else 0, counts=counts)
        pace.add(sample_of(progress), float(second))
    assert pace.seconds_left == pytest.approx((1275 - 68) / 17)


def test_what_was_not_listed_yet_is_taken_to_be_like_the_rest() -> None:
    """Of 10,000 records half were listed, and one in a hundred of these has changed."""
    pace = Pace()
    for second in range(3):
        counts = Counts(records_swept=5000, records_pulled=10 * second)
        progress = Progress("web", records_total=10000, records_planned=50, counts=counts)
        pace.add(sample_of(progress), float(second))
    assert pace.seconds_left == pytest.approx((30 + 50) / 10)


def test_what_is_long_ago_does_not_count() -> None:
    pace = Pace()
    for second in range(100):
        pace.add(at(min(second, 50), requests=20 * min(second, 50)), float(second))
    assert pace.requests_per_second == 0.0
    assert pace.seconds_left is None


def test_without_a_total_there_is_no_time_left() -> None:
    pace = Pace()
    pace.add(at(0, total=None), 0.0)
    pace.add(at(10, total=None), 10.0)
    assert pace.seconds_left is None


@given(lists(integers(0, 100), min_size=2, max_size=50), floats(0.01, 5))
def test_time_left_is_never_negative(settled: list[int], step: float) -> None:
    pace = Pace()
    for number, value in enumerate(sorted(settled)):
        pace.add(at(value), number * step)
        assert pace.seconds_left is None or pace.seconds_left >= 0


def test_a_record_is_settled_when_it_needs_nothing_more() -> None:
    progress = Progress(source="web", records_total=100, records_planned=30)
    progress.counts = Counts(records_swept=80, records_pulled=9, records_failed=1)
    assert sample_of(progress).settled == 60
    assert sample_of(progress).total == 100


def test_a_run_of_single_records_counts_those() -> None:
    progress = Progress(source="web", records_planned=3, counts=Counts(records_pulled=2))
    assert (sample_of(progress).settled, sample_of(progress).total) == (2, 3)
