"""Jobs come when they should, once, never beside themselves, and whatever the clock does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog
import time_machine
from structlog.testing import CapturingLogger

from versionsync.daemon.scheduler import SourceScheduler


class Work:
    """A job that counts."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.begun = self.ended = self.cancelled = 0

    async def __call__(self) -> None:
        """Take its time."""
        self.begun += 1
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1


@pytest.fixture
def logger() -> CapturingLogger:
    """What the timetable says."""
    return CapturingLogger()


@pytest.fixture
async def timetable(logger: CapturingLogger) -> AsyncIterator[SourceScheduler]:
    """A running one."""
    timetable = SourceScheduler(structlog.wrap_logger(logger, processors=[]))
    timetable.start()
    yield timetable
    await timetable.stop()


async def test_a_job_begins_at_once_and_comes_again(timetable: SourceScheduler) -> None:
    """However long its interval is, `first_in` decides."""
    rare, often = Work(), Work()
    timetable.add("rare", rare, every=3600, first_in=0)
    timetable.add("often", often, every=0.1, first_in=0)
    await asyncio.sleep(0.55)
    assert rare.ended == 1
    assert 3 <= often.ended <= 6


async def test_a_job_that_takes_long_does_not_run_beside_itself(timetable: SourceScheduler) -> None:
    """And delays no other."""
    slow, other = Work(0.5), Work()
    timetable.add("slow", slow, every=0.1, first_in=0)
    timetable.add("other", other, every=0.1, first_in=0)
    await asyncio.sleep(0.45)
    assert slow.begun == 1
    assert other.ended >= 2


async def test_the_next_time_can_be_set(timetable: SourceScheduler) -> None:
    """Sooner or later than usual."""
    work = Work()
    timetable.add("job", work, every=3600, first_in=3600)
    timetable.next_in("job", 0.05)
    await asyncio.sleep(0.3)
    assert work.ended >= 1
    timetable.next_in("job", 3600)
    await asyncio.sleep(0.1)
    ended = work.ended
    await asyncio.sleep(0.2)
    assert work.ended == ended


async def test_one_that_is_removed_is_ended_and_does_not_come_back(timetable: SourceScheduler) -> None:
    """Not even when it is asked for."""
    work = Work(60)
    timetable.add("job", work, every=0.1, first_in=0)
    await asyncio.sleep(0.1)
    await timetable.remove("job")
    assert work.cancelled == 1
    timetable.next_in("job", 0)
    await asyncio.sleep(0.1)
    assert work.begun == 1


async def test_a_fault_is_told_and_the_job_comes_again(timetable: SourceScheduler, logger: CapturingLogger) -> None:
    """An hour later it still does."""
    times = []

    async def fail() -> None:
        times.append(1)
        raise ZeroDivisionError

    timetable.add("job", fail, every=0.1, first_in=0)
    await asyncio.sleep(0.35)
    assert len(times) >= 2
    told = [call.kwargs for call in logger.calls if call.method_name == "error"]
    assert told[0]["event"] == "job.failed"
    assert told[0]["job"] == "job"
    assert "ZeroDivisionError" in told[0]["error"]


async def test_a_clock_that_was_set_back_makes_nobody_wait(timetable: SourceScheduler) -> None:
    """All waits are counted anew."""
    work = Work()
    timetable.add("job", work, every=0.1, first_in=3600)
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)  # as it looks once the clock was set back by one
    timetable._scheduler.modify_job("job", next_run_time=in_an_hour)
    await asyncio.sleep(0.2)
    assert work.begun == 0
    timetable.restart()
    await asyncio.sleep(0.3)
    assert work.ended >= 1


async def test_a_clock_that_jumps_ahead_by_centuries_costs_one_run(timetable: SourceScheduler) -> None:
    """What is missed is not counted out: of one second each that would be 250 thousand million runs."""
    work = Work()
    timetable.add("job", work, every=1, first_in=1)
    job = timetable._scheduler.get_job("job")
    then = datetime.now(UTC) + timedelta(days=7900 * 365)
    assert job.trigger.get_next_fire_time(job.next_run_time, then) > then
    with time_machine.travel(then, tick=True):
        timetable._scheduler.wakeup()
        await asyncio.sleep(0.2)
        assert work.ended == 1
        await asyncio.sleep(1.1)
        assert work.ended == 2


async def test_a_job_that_is_on_time_keeps_its_time(timetable: SourceScheduler) -> None:
    """The wake-up is always a little late: that adds up to nothing."""
    timetable.add("job", Work(), every=10, first_in=3600)
    job = timetable._scheduler.get_job("job")
    due = job.next_run_time
    assert job.trigger.get_next_fire_time(due, due + timedelta(seconds=0.1)) == due + timedelta(seconds=10)
