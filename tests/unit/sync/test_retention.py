"""When a run asks for how long DatoCMS keeps versions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from versionsync.mirror.tables.sources import Checkpoint
from versionsync.sync.project_update import is_retention_due

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, True),
        (datetime(2026, 11, 1, 12, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 1, 12, 1, tzinfo=UTC), False),
        (NOW, False),
    ],
)
def test_it_asks_once_a_day(last: datetime | None, expected: bool) -> None:
    """So that editing all day costs one request, and a new plan is noticed within a day of the next change."""
    checkpoint = Checkpoint(
        last_data_change_at=None,
        last_data_change_is_settled=True,
        last_complete_sweep_at=last,
        last_scrub_at=None,
        last_success_at=last,
    )
    assert is_retention_due(checkpoint, now=NOW) is expected
