"""The delays between attempts."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from versionsync.backoff import Backoff


def test_delays_double_up_to_the_maximum() -> None:
    assert [Backoff(5, 60).delay(failures) for failures in range(1, 7)] == [5, 10, 20, 40, 60, 60]


@given(st.integers(1, 10**9), st.integers(0, 2**32))
def test_jitter_shortens_a_delay_by_at_most_a_half_and_never_lengthens_it(failures: int, seed: int) -> None:
    backoff = Backoff(0.5, 20)
    longest = backoff.delay(failures)
    assert longest <= 20
    assert longest / 2 <= backoff.delay(failures, Random(seed)) <= longest
