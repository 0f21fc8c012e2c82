"""Times in one spelling, so that the order of texts is the order of times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.times import format_time, parse_time

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=OFFSETS)  # noqa: DTZ001, offsets are drawn


@given(TIMES)
def test_what_goes_in_comes_out_in_utc(time: datetime) -> None:
    text = format_time(time)
    assert parse_time(text) == time
    assert parse_time(text).tzinfo is UTC
    assert (len(text), text[-1]) == (27, "Z")


@given(TIMES, TIMES)
def test_the_order_of_texts_is_the_order_of_times(one: datetime, other: datetime) -> None:
    assert (format_time(one) < format_time(other)) == (one < other)


def test_the_form_is_fixed_to_the_character() -> None:
    assert format_time(datetime(2026, 3, 1, 10, tzinfo=UTC)) == "2026-03-01T10:00:00.000000Z"
    assert format_time(datetime(987, 3, 1, tzinfo=UTC)) == "0987-03-01T00:00:00.000000Z"
    rome = timezone(timedelta(hours=1))
    assert format_time(datetime(2026, 3, 1, 0, 30, 0, 7, tzinfo=rome)) == "2026-02-28T23:30:00.000007Z"


def test_a_time_without_a_zone_is_refused_both_ways() -> None:
    with pytest.raises(ValueError, match="zone"):
        format_time(datetime(2026, 3, 1))  # noqa: DTZ001, that is the point
    with pytest.raises(ValueError, match="zone"):
        parse_time("2026-03-01T10:00:00.000000")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-03-01T25:00:00Z"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)
