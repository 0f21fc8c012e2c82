"""Times in all forms that upstream may use, and upstream's clock."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.cma.session import ClockOffset
from versionsync.cma.times import http_date, parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00.123Z", datetime(2026, 3, 1, 10, 0, 0, 123_000, tzinfo=UTC)),
        ("2026-03-01T10:00:00.123456Z", datetime(2026, 3, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-03-01T10:00:00.123456789Z", datetime(2026, 3, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-03-01T10:00:00+01:00", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        ("2026-03-01T10:00:00-0930", datetime(2026, 3, 1, 19, 30, tzinfo=UTC)),
        ("2026-03-01T10:00:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01 10:00:00 UTC", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("20260301T100000Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
    ],
)
def test_every_form_is_read(text: str, expected: datetime) -> None:
    """Offset, Z, milliseconds, none."""
    assert parse_time(text) == expected
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "2026-03-01", "yesterday", "2026-13-01T10:00:00Z", "0001-01-01T00:00:00+05:00", "1772359200"]
)
def test_what_is_no_time_is_refused_without_being_repeated(text: str) -> None:
    """The text may be content: the error does not hold it."""
    with pytest.raises(ValueError, match=r"^expected a date-time$"):
        parse_time(text)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone.min])))
def test_every_time_survives_its_way(moment: datetime) -> None:
    """What Python writes as ISO 8601 comes back as the same moment."""
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return
    assert parse_time(moment.isoformat()) == expected


@given(st.text(max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    """A time or a ValueError, nothing else."""
    with contextlib.suppress(ValueError):
        assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize("value", [None, "", "soon", "Sun, 99 Mar 2026 10:00:00 GMT"])
def test_an_unreadable_date_header_is_none(value: str | None) -> None:
    """It is of use, not of need."""
    assert http_date(value) is None


def test_a_date_header_is_utc() -> None:
    """As RFC 9110 has it."""
    assert http_date("Sun, 01 Mar 2026 10:00:00 GMT") == datetime(2026, 3, 1, 10, tzinfo=UTC)


@given(
    offset=st.floats(-1e6, 1e6),
    moments=st.lists(st.tuples(st.floats(0, 1e5), st.floats(0.0, 2.0)), min_size=1, max_size=30),
)
def test_the_offset_is_always_within_its_bounds(offset: float, moments: list[tuple[float, float]]) -> None:
    """Whole seconds and a way of any length: never further off than half of the shortest way and of a second."""
    clock = ClockOffset()
    start = 1_700_000_000.0
    for at, way in moments:
        ours = start + at
        theirs = datetime.fromtimestamp(int(ours + way / 2 + offset), tz=UTC)
        clock.observe(theirs, sent_at=ours, received_at=ours + way)
    assert clock.seconds is not None
    assert abs(clock.seconds - offset) <= (1.0 + min(way for _, way in moments)) / 2 + 1e-3


def test_many_answers_tell_the_offset_within_milliseconds() -> None:
    """Though each tells whole seconds only."""
    clock = ClockOffset()
    for number in range(2000):
        ours = 1_700_000_000.0 + number * 0.101
        clock.observe(datetime.fromtimestamp(int(ours + 12.345), tz=UTC), sent_at=ours, received_at=ours + 0.001)
    assert clock.seconds == pytest.approx(12.345, abs=0.01)


def test_a_clock_that_was_set_is_followed() -> None:
    """What was known before is over."""
    clock = ClockOffset()
    clock.observe(datetime.fromtimestamp(1_700_000_000, tz=UTC), sent_at=1_700_000_000.0, received_at=1_700_000_000.1)
    clock.observe(datetime.fromtimestamp(1_700_003_600, tz=UTC), sent_at=1_700_000_001.0, received_at=1_700_000_001.1)
    assert clock.seconds == pytest.approx(3599.5, abs=1)


def test_without_an_answer_the_offset_is_unknown() -> None:
    """Not zero."""
    assert ClockOffset().seconds is None
