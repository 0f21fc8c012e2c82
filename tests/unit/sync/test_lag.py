"""The lag of versions: a histogram of one size."""

from __future__ import annotations

import pytest

from versionsync.sync.report import LAG_SECONDS, LagHistogram


@pytest.mark.parametrize(("seconds", "place"), [(-3.0, 0), (0.0, 0), (0.25, 0), (0.3, 1), (60.0, 7), (1e9, -1)])
def test_a_lag_is_counted_in_the_first_bucket_that_holds_it(seconds: float, place: int) -> None:
    """An upper bound belongs to its bucket, as in Prometheus. A negative lag counts as zero."""
    lag = LagHistogram()
    lag.observe(seconds)
    assert sum(lag.counts) == lag.counts[place] == 1
    assert lag.seconds == max(seconds, 0)


def test_two_add_up() -> None:
    """And the other one stays as it is."""
    one, other = LagHistogram(), LagHistogram()
    one.observe(1.0)
    other.observe(LAG_SECONDS[-1] + 1)
    one.add(other)
    assert (sum(one.counts), sum(other.counts)) == (2, 1)
    assert one.seconds == LAG_SECONDS[-1] + 2
