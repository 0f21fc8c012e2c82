"""What may be cast to a date or a time without an error."""

from __future__ import annotations

import calendar
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.mirror.engine.dialects import IS_DATE, IS_TIME, ColumnType
from versionsync.mirror.schema.typed_views import column_type


@given(year=st.integers(0, 9999), month=st.integers(0, 14), day=st.integers(0, 33))
def test_only_days_that_exist_are_dates(year: int, month: int, day: int) -> None:
    """PostgreSQL has no year 0."""
    exists = year > 0 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
    assert bool(re.search(IS_DATE, f"{year:04}-{month:02}-{day:02}")) == exists


@pytest.mark.parametrize(
    ("text", "is_time"),
    [
        ("2026-03-01T10:00:00Z", True),
        ("2026-03-01T10:00:00.123456789+05:30", True),
        ("2026-03-01T10:00-0800", True),
        ("2026-03-01T10:00:00", False),
        ("2026-03-01T24:00:00Z", False),
        ("2026-03-01T10:60:00Z", False),
        ("2026-03-01T10:00:00+15:00", False),
        ("2026-02-29T10:00:00Z", False),
        ("2026-03-01", False),
        ("2026-03-01T10:00:00Z\nx", False),
    ],
)
def test_only_moments_are_times(text: str, is_time: bool) -> None:
    """A time without a zone could be any of 24."""
    assert bool(re.search(IS_TIME, text)) == is_time


def test_a_localized_field_is_an_object_by_locale() -> None:
    """Whatever its type; and so is what has no native type."""
    assert column_type("string", is_localized=False) is ColumnType.TEXT
    assert column_type("string", is_localized=True) is ColumnType.JSON
    assert column_type("structured_text", is_localized=False) is ColumnType.JSON
    assert column_type("what_comes_next", is_localized=False) is ColumnType.JSON
