"""Times in one spelling, so that the order of texts is the order of times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.times import (
    format_time,
    is_before,
    parse_time,
    read_time,
    same_instant,
    same_time_text,
    same_wall_clock,
)

from .printing import FORMATS, INSTANTS, Format, print_time

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


# --- the same instant in another form ---

SECOND = datetime(2026, 3, 1, 10, 0, 49, tzinfo=UTC)


def after(**passed: float) -> datetime:
    return SECOND + timedelta(**passed)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (SECOND, SECOND, True),
        (SECOND, after(milliseconds=195), True),
        (SECOND, after(microseconds=999_999), True),
        (SECOND, after(seconds=1), False),
        (SECOND, after(milliseconds=-1), False),
        (after(milliseconds=195), after(milliseconds=196), False),
        (after(milliseconds=195), after(milliseconds=195, microseconds=7), True),
        (after(milliseconds=195), after(milliseconds=194, microseconds=999), False),
        (after(microseconds=195_007), after(microseconds=195_008), False),
        (SECOND, SECOND.astimezone(timezone(timedelta(hours=2))), True),
    ],
)
def test_times_are_compared_at_the_coarser_precision(one: datetime, other: datetime, same: bool) -> None:
    assert same_instant(one, other) == same_instant(other, one) == same
    assert is_before(one, other) == (one < other and not same)
    assert is_before(other, one) == (other < one and not same)


def test_no_time_is_the_same_only_as_no_time() -> None:
    assert same_instant(None, None)
    assert not same_instant(None, SECOND)
    assert not same_instant(SECOND, None)


@given(INSTANTS, FORMATS, FORMATS)
def test_two_printings_of_one_instant_are_the_same(time: datetime, one: Format, other: Format) -> None:
    texts = [read_time(print_time(time, form)) for form in (one, other)]
    assert texts[0] is not None
    assert texts[1] is not None
    assert same_time_text(texts[0], texts[1])
    datetimes = [datetime.fromisoformat(print_time(time, Format(form.decimals, 0))) for form in (one, other)]
    assert same_instant(datetimes[0], datetimes[1])


@given(INSTANTS, FORMATS, FORMATS, st.sampled_from([-3600, -1, 1, 3600]))
def test_two_instants_are_not_the_same_in_any_printing(
    time: datetime, one: Format, other: Format, seconds: int
) -> None:
    texts = read_time(print_time(time, one)), read_time(print_time(time + timedelta(seconds=seconds), other))
    assert texts[0] is not None
    assert texts[1] is not None
    assert not same_time_text(texts[0], texts[1])


@pytest.mark.parametrize(
    ("text", "second", "fraction"),
    [
        ("2026-03-01T10:00:49Z", SECOND, ""),
        ("2026-03-01T10:00:49", SECOND, ""),
        ("2026-03-01 10:00:49 UTC", SECOND, ""),
        ("2026-03-01T10:00:49.000Z", SECOND, "000"),
        ("2026-03-01T12:00:49.1+02:00", SECOND, "1"),
        ("2026-03-01T12:00:49.123456789+0200", SECOND, "123456789"),
        ("2026-03-01T04:30:49-05:30", SECOND, ""),
    ],
)
def test_a_printed_time_is_read_in_every_form(text: str, second: datetime, fraction: str) -> None:
    read = read_time(text)
    assert read is not None
    assert (read.second, read.fraction) == (second, fraction)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "10:00:49Z",
        "2026-03-01T10:00Z",
        "2026-13-01T10:00:49Z",
        "2026-02-29T10:00:49Z",
        "2026-03-01T10:00:61Z",
        "2026-03-01T10:00:49Z ",
        " 2026-03-01T10:00:49Z",
        "2026-03-01T10:00:49Z\n",
        "2026-03-01T10:00:49.Z",
        "2026-03-01T10:00:49+2",
        "0001-01-01T00:00:00+02:00",
        "２026-03-01T10:00:49Z",
        "at 2026-03-01T10:00:49Z",
    ],
)
def test_a_text_that_is_no_time_is_not_read_as_one(text: str) -> None:
    assert read_time(text) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2026-03-01T10:00:49Z", "2026-03-01T10:00:49+02:00", True),
        ("2026-03-01T10:00:49.195+01:00", "2026-03-01T10:00:49+02:00", True),
        ("2026-03-01T10:00:49.195+01:00", "2026-03-01T10:00:49.196+02:00", False),
        ("2026-03-01T10:00:49+02:00", "2026-03-01T10:00:49+0200", False),
        ("2026-03-01T10:00:49Z", "2026-03-01T12:00:49+02:00", False),
    ],
)
def test_one_time_of_day_in_two_zones_is_recognised(one: str, other: str, same: bool) -> None:
    texts = read_time(one), read_time(other)
    assert texts[0] is not None
    assert texts[1] is not None
    assert same_wall_clock(texts[0], texts[1]) == same
