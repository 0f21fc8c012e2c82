"""The simulator's clock."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from versionsync.simulator import Clock
from versionsync.simulator.world.times import DEFAULT_START


def test_a_stopped_clock_moves_only_when_told() -> None:
    clock = Clock.stopped()
    assert clock.now() == clock.now() == DEFAULT_START
    assert clock.advance(timedelta(hours=1)) == DEFAULT_START + timedelta(hours=1)


def test_a_running_clock_starts_where_it_is_told_and_goes_on() -> None:
    clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
    first = clock.now()
    assert timedelta(0) <= first - datetime(2030, 1, 1, tzinfo=UTC) < timedelta(seconds=5)
    assert clock.now() >= first


def test_stopping_and_running_keep_the_reading() -> None:
    clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
    clock.stop()
    stood_at = clock.now()
    assert clock.is_stopped
    clock.run()
    assert not clock.is_stopped
    assert timedelta(0) <= clock.now() - stood_at < timedelta(seconds=5)


def test_times_of_other_zones_are_read_as_the_same_instant() -> None:
    rome = timezone(timedelta(hours=2))
    assert Clock.stopped(datetime(2026, 9, 1, 11, tzinfo=rome)).now() == datetime(2026, 9, 1, 9, tzinfo=UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Clock.stopped(datetime(2026, 9, 1))  # noqa: DTZ001
