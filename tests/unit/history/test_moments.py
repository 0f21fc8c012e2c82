"""Times in any usual form are understood, with their zone, and what could mean two things is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from versionsync.history.errors import OddTime
from versionsync.history.moments import in_zone, read_moment, zone_named, zone_of_projects

NOW = datetime(2026, 11, 30, 9, 15, 30, tzinfo=UTC)  # a Monday
ROME = ZoneInfo("Europe/Rome")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("now", "2026-11-30 09:15:30"),
        ("2026-03-03", "2026-03-03 00:00:00"),
        ("2026-03", "2026-03-01 00:00:00"),
        ("2026", "2026-01-01 00:00:00"),
        ("20260303", "2026-03-03 00:00:00"),
        ("2026-03-03 12:00", "2026-03-03 12:00:00"),
        ("2026-03-03T12:00", "2026-03-03 12:00:00"),
        ("2026-03-03t12:00z", "2026-03-03 12:00:00"),
        ("2026-03-03T12:00:00Z", "2026-03-03 12:00:00"),
        ("2026-03-03T12:00:00.250000Z", "2026-03-03 12:00:00.250000"),
        ("2026-03-03T12:00:00+01:00", "2026-03-03 11:00:00"),
        ("2026-03-03 12:00:00 +0100", "2026-03-03 11:00:00"),
        ("2026-03-03 12:00 UTC", "2026-03-03 12:00:00"),
        ("2026-03-03 12:00 Europe/Rome", "2026-03-03 11:00:00"),
        ("2026-07-03 12:00 europe/rome", "2026-07-03 10:00:00"),
        ("20260303T120000Z", "2026-03-03 12:00:00"),
        ("2026-W10-2", "2026-03-03 00:00:00"),
        ("2026/03/03 12:00", "2026-03-03 12:00:00"),
        ("3.3.2026", "2026-03-03 00:00:00"),
        ("03.04.2026 8:05", "2026-04-03 08:05:00"),
        ("13/3/2026", "2026-03-13 00:00:00"),
        ("3/13/2026", "2026-03-13 00:00:00"),
        ("3 March 2026 12:00", "2026-03-03 12:00:00"),
        ("3rd of March, 2026 at 12:00", "2026-03-03 12:00:00"),
        ("12:00 on 3 March 2026", "2026-03-03 12:00:00"),
        ("noon, 3 March 2026", "2026-03-03 12:00:00"),
        ("March 3, 2026 3pm", "2026-03-03 15:00:00"),
        ("Mar 3 2026 12:30 am", "2026-03-03 00:30:00"),
        ("3 mar", "2026-03-03 00:00:00"),
        ("24 December", "2025-12-24 00:00:00"),
        ("29 February", "2024-02-29 00:00:00"),
        ("March 2026", "2026-03-01 00:00:00"),
        ("Sept 2026", "2026-09-01 00:00:00"),
        ("Tue, 03 Mar 2026 12:00:00 +0100", "2026-03-03 11:00:00"),
        ("08:00", "2026-11-30 08:00:00"),
        ("12:00", "2026-11-29 12:00:00"),
        ("8am", "2026-11-30 08:00:00"),
        ("today", "2026-11-30 00:00:00"),
        ("today 08:00", "2026-11-30 08:00:00"),
        ("yesterday", "2026-11-29 00:00:00"),
        ("Yesterday at noon", "2026-11-29 12:00:00"),
        ("tomorrow", "2026-12-01 00:00:00"),
        ("friday", "2026-11-27 00:00:00"),
        ("last friday", "2026-11-27 00:00:00"),
        ("last Friday 18:00", "2026-11-27 18:00:00"),
        ("monday", "2026-11-30 00:00:00"),
        ("last monday", "2026-11-23 00:00:00"),
        ("2 days ago", "2026-11-28 09:15:30"),
        ("2d", "2026-11-28 09:15:30"),
        ("two weeks ago", "2026-11-16 09:15:30"),
        ("an hour ago", "2026-11-30 08:15:30"),
        ("1 day 2 hours ago", "2026-11-29 07:15:30"),
        ("90 minutes ago", "2026-11-30 07:45:30"),
        ("9 months ago", "2026-02-28 09:15:30"),
        ("a year ago", "2025-11-30 09:15:30"),
        ("last week", "2026-11-23 09:15:30"),
        ("last month", "2026-10-30 09:15:30"),
        ("@1772539200", "2026-03-03 12:00:00"),
        ("1772539200", "2026-03-03 12:00:00"),
        ("1772539200000", "2026-03-03 12:00:00"),
        ("  2026-03-03   12:00 ", "2026-03-03 12:00:00"),
    ],
)
def test_a_time_in_a_usual_form_is_understood(text: str, time: str) -> None:
    assert read_moment(text, now=NOW).time == datetime.fromisoformat(time).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-03-03 12:00", "2026-03-03 12:00:00 +01:00 (Europe/Rome)"),
        ("2026-07-03 12:00", "2026-07-03 12:00:00 +02:00 (Europe/Rome)"),
        ("yesterday", "2026-11-29 00:00:00 +01:00 (Europe/Rome)"),
        ("10:00", "2026-11-30 10:00:00 +01:00 (Europe/Rome)"),
        ("2 days ago", "2026-11-28 10:15:30 +01:00 (Europe/Rome)"),
        ("2026-03-03T12:00:00Z", "2026-03-03 12:00:00 UTC"),
        ("2026-03-03 12:00 +02:00", "2026-03-03 12:00:00 +02:00"),
        ("2026-03-29 02:30", "2026-03-29 03:30:00 +02:00 (Europe/Rome)"),  # the hour that summer time skips
        ("2026-10-25 02:30", "2026-10-25 02:30:00 +02:00 (Europe/Rome)"),  # the first of two
        ("now", "2026-11-30 10:15:30 +01:00 (Europe/Rome)"),
    ],
)
def test_a_time_without_a_zone_is_one_of_the_project_and_shown_with_it(text: str, shown: str) -> None:
    assert str(read_moment(text, now=NOW, zone=ROME)) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "title", "the other day", "days ago", "5", "12", "1000000 years ago"),
        *("3 Marsh 2026", "2026-13-01", "2026-02-30", "31 June", "2026-3-3-3", "Monday, 3 March 2026"),
        *("25:00", "12:61", "13pm", "2026-03-03T12:00:00+99:00", "9999-12-31 23:00 -02:00", "0001-01-01 00:00 +02:00"),
        "2026-03-03 12:00 Europe/Roma",
    ],
)
def test_an_odd_time_is_refused_with_the_forms_that_are_understood(text: str) -> None:
    with pytest.raises(OddTime) as refused:
        read_moment(text, now=NOW)
    assert refused.value.hint


def test_a_date_that_could_mean_two_days_is_refused_with_both() -> None:
    with pytest.raises(OddTime, match="could be 3 April or 4 March") as refused:
        read_moment("03/04/2026", now=NOW)
    assert refused.value.hint == "Write 2026-04-03 or 2026-03-04."


def test_the_zone_of_several_projects_is_theirs_only_if_they_agree() -> None:
    assert zone_of_projects(["Europe/Rome", None, "Europe/Rome"]) == ROME
    assert zone_of_projects(["Europe/Rome", "UTC"]) is UTC
    assert zone_of_projects(["Nowhere/Land"]) is UTC
    assert zone_of_projects([]) is UTC


def test_a_wrong_zone_is_refused_with_the_nearest() -> None:
    with pytest.raises(OddTime) as refused:
        zone_named("Europe/Roma")
    assert refused.value.hint == "Did you mean Europe/Rome?"


def test_times_for_people_are_in_the_zone_that_is_named() -> None:
    assert in_zone(NOW, ROME) == "2026-11-30 10:15"
    assert in_zone(NOW, ROME, seconds=True) == "2026-11-30 10:15:30"
    assert in_zone(None) == "–"
