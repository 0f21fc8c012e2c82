"""Another form of times is told once, and never the first one."""

from __future__ import annotations

import pytest

from versionsync.ledger.content import fingerprint
from versionsync.ledger.events import EventType, TimeBasis
from versionsync.ledger.time_formats import TimeFormat, finest_precision, plan_format_change
from versionsync.ledger.times import format_time

from .build import at

ROME, SECONDS, UNKNOWN = TimeFormat(3, "Europe/Rome"), TimeFormat(0, "UTC"), TimeFormat(None, None)


def test_a_change_says_what_was_and_what_is() -> None:
    event = plan_format_change(SECONDS, ROME, seen_before=at(1), observed_at=at(2))
    assert event is not None
    assert (event.type, event.basis, event.occurred_at) == (EventType.SOURCE_FORMAT_CHANGED, TimeBasis.OBSERVED, at(2))
    assert event.key == f"source.format_changed:observed:{format_time(at(2))}"
    assert event.data == {
        "after": format_time(at(1)),
        "before": {"time_precision": 0, "time_zone": "UTC"},
        "now": {"time_precision": 3, "time_zone": "Europe/Rome"},
    }


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        (ROME, ROME, False),
        (ROME, UNKNOWN, False),
        (UNKNOWN, ROME, False),
        (ROME, TimeFormat(None, "Europe/Rome"), False),
        (ROME, TimeFormat(3, None), False),
        (ROME, TimeFormat(0, None), True),
        (ROME, TimeFormat(None, "UTC"), True),
        (TimeFormat(None, "UTC"), ROME, True),
        (TimeFormat(0, None), ROME, True),
    ],
)
def test_what_is_not_known_has_not_changed(before: TimeFormat, now: TimeFormat, changed: bool) -> None:
    assert (plan_format_change(before, now, seen_before=None, observed_at=at(2)) is not None) == changed
    after = before.updated(now)
    assert plan_format_change(after, now, seen_before=None, observed_at=at(3)) is None, "it is told once"


def test_the_precision_is_that_of_the_finest_fingerprint() -> None:
    def of(text: str) -> bytes:
        return fingerprint(f'{{"at":"{text}"}}'.encode(), model_id="m", creator=None)

    none, seconds, millis = of("soon"), of("2026-03-01T10:00:00Z"), of("2026-03-01T10:00:00.000Z")
    assert finest_precision([none, seconds]) == 0
    assert finest_precision([seconds, millis, none]) == 3
    assert finest_precision([none]) is finest_precision([]) is None
