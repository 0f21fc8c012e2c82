"""When upstream's stamp of the last change is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from versionsync.sync.beacon import BEACON_TRUST, is_trusted

NOW = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("swept_before", "expected"),
    [
        (timedelta(0), True),
        (BEACON_TRUST - MOMENT, True),
        (BEACON_TRUST, False),
        (-MOMENT, True),  # another machine's clock is a little ahead
        (timedelta(days=-400), False),  # the clock was wrong when it swept, and is not any more
    ],
)
def test_for_a_day_after_a_complete_sweep(swept_before: timedelta, expected: bool) -> None:
    """Whatever the clock of this machine has been set to meanwhile."""
    assert is_trusted(was_settled=True, last_complete_sweep_at=NOW - swept_before, now=NOW) is expected


def test_not_without_a_sweep_and_not_before_it_was_settled() -> None:
    """Then a change may hide in the stamp's own second."""
    assert not is_trusted(was_settled=True, last_complete_sweep_at=None, now=NOW)
    assert not is_trusted(was_settled=False, last_complete_sweep_at=NOW, now=NOW)
