"""How many requests may search for a change that no list shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.ledger.ids import ModelId, RecordId
from versionsync.ledger.records import KnownRecord
from versionsync.sync.unexplained_changes import ReadLimit, requests_for, within

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def record(versions: int) -> KnownRecord:
    """Return a record with this many versions."""
    return KnownRecord(
        id=RecordId("r"),
        model_id=ModelId("m"),
        fingerprint=b"",
        created_at=None,
        updated_at=None,
        published_at=None,
        first_published_at=None,
        current_version_id=None,
        published_version_id=None,
        version_count=versions,
        synced_at=NOW,
        deleted_at=None,
    )


@pytest.mark.parametrize(
    ("last_read_at", "expected"),
    [
        (None, 60),
        (NOW, 0),
        (NOW - timedelta(minutes=10), 5),
        (NOW - timedelta(hours=1), 30),
        (NOW - timedelta(days=1), 60),
        (NOW + timedelta(days=1), 60),  # the clock was set back: what it said is worth nothing
    ],
)
def test_the_limit_fills_up_with_time(last_read_at: datetime | None, expected: int) -> None:
    """At first all of it may be sent at once, then what the time since the last search allows."""
    assert ReadLimit(at_once=60, per_hour=30).allowance(last_read_at, NOW) == expected


def test_a_budget_lowers_the_limit() -> None:
    """In both numbers. A run without other work waits until a search is worth a request for the schema."""
    assert ReadLimit().at_most(8) == ReadLimit(8, 8)
    assert ReadLimit().at_most(1000) == ReadLimit()
    assert (ReadLimit().least, ReadLimit().at_most(8).least, ReadLimit().at_most(0).least) == (10, 8, 1)


@pytest.mark.parametrize(("versions", "expected"), [(0, 2), (1, 2), (49, 2), (50, 3), (120, 4)])
def test_a_history_costs_the_record_and_its_pages(versions: int, expected: int) -> None:
    """One version more than is known fits into the count: the one that is searched for."""
    assert requests_for(record(versions)) == expected


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(0, 200))
def test_the_limit_is_never_passed(versions: list[int], requests: int) -> None:
    """The first candidates whose histories fit, and no other."""
    candidates = [record(each) for each in versions]
    chosen = list(within(requests, candidates))
    assert chosen == candidates[: len(chosen)]
    spent = sum(map(requests_for, chosen))
    assert spent <= requests
    if len(chosen) < len(candidates):
        assert spent + requests_for(candidates[len(chosen)]) > requests
