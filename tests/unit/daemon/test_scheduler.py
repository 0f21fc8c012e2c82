"""Jobs run at their time, once, and never overlap with themselves, whatever the clock does."""

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
        """Take this long."""
        self.begun += 1
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1


@pytest.fixture
def logger() -> CapturingLogger:
    """What the scheduler says."""
    return CapturingLogger()


@pytest.fixture
async def scheduler(logger: CapturingLogger) -> AsyncIterator[SourceScheduler]:
    """Return a running scheduler."""
    scheduler = SourceScheduler(structlog.wrap_logger(logger, processors=[]))
    scheduler.start()
    yield scheduler
    await scheduler.stop()


async def test_a_job_starts_at_once_and_repeats(scheduler: SourceScheduler) -> None:
    """`first_in` decides about the first time, not the interval."""
    rare, often = Work(), Work()
    scheduler.add("rare", rare, every=3600, first_in=0)
    scheduler.add("often", often, every=0.1, first_in=0)
    await asyncio.sleep(0.55)
    assert rare.ended == 1
    assert 3 <= often.ended <= 6


async def test_a_slow_job_does_not_overlap_with_itself(scheduler: SourceScheduler) -> None:
    """And delays no other job."""
    slow, other = Work(0.5), Work()
    scheduler.add("slow", slow, every=0.1, first_in=0)
    scheduler.add("other", other, every=0.1, first_in=0)
    await asyncio.sleep(0.45)
    assert slow.begun == 1
    assert other.ended >= 2


async def test_the_next_time_can_be_set(scheduler: SourceScheduler) -> None:
    """Sooner or later than usual."""
    work = Work()
    scheduler.add("job", work, every=3600, first_in=3600)
    scheduler.next_in("job", 0.05)
    await asyncio.sleep(0.3)
    assert work.ended >= 1
    scheduler.next_in("job", 3600)
    await asyncio.sleep(0.1)
    ended = work.ended
    await asyncio.sleep(0.2)
    assert work.ended == ended


async def test_a_removed_job_is_cancelled_and_does_not_come_back(scheduler: SourceScheduler) -> None:
    """Not even if it is requested."""
    work = Work(60)
    scheduler.add("job", work, every=0.1, first_in=0)
    await asyncio.sleep(0.1)
    await scheduler.remove("job")
    assert work.cancelled == 1
    scheduler.next_in("job", 0)
    await asyncio.sleep(0.1)
    assert work.begun == 1


async def test_an_exception_is_logged_and_the_job_repeats(scheduler: SourceScheduler, logger: CapturingLogger) -> None:
    times = []

    async def fail() -> None:
        times.append(1)
        raise ZeroDivisionError

    scheduler.add("job", fail, every=0.1, first_in=0)
    await asyncio.sleep(0.35)
    assert len(times) >= 2
    errors = [call.kwargs for call in logger.calls if call.method_name == "error"]
    assert errors[0]["event"] == "job.failed"
    assert errors[0]["job"] == "job"
    assert "ZeroDivisionError" in errors[0]["error"]


async def test_a_clock_that_was_set_back_delays_no_job(scheduler: SourceScheduler) -> None:
    """All waits start again."""
    work = Work()
    scheduler.add("job", work, every=0.1, first_in=3600)
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)  # as it looks once the clock was set back by one
    scheduler._scheduler.modify_job("job", next_run_time=in_an_hour)
    await asyncio.sleep(0.2)
    assert work.begun == 0
    scheduler.restart()
    await asyncio.sleep(0.3)
    assert work.ended >= 1


async def test_a_clock_that_jumps_ahead_by_centuries_costs_one_run(scheduler: SourceScheduler) -> None:
    """Missed times are not enumerated: at one a second they would be 250 thousand million."""
    work = Work()
    scheduler.add("job", work, every=1, first_in=1)
    job = scheduler._scheduler.get_job("job")
    then = datetime.now(UTC) + timedelta(days=7900 * 365)
    assert job.trigger.get_next_fire_time(job.next_run_time, then) > then
    with time_machine.travel(then, tick=True):
        scheduler._scheduler.wakeup()
        await asyncio.sleep(0.2)
        assert work.ended == 1
        await asyncio.sleep(1.1)
        assert work.ended == 2


async def test_a_job_keeps_its_rhythm(scheduler: SourceScheduler) -> None:
    """Every wake-up is a little late, which must not add up."""
    scheduler.add("job", Work(), every=10, first_in=3600)
    job = scheduler._scheduler.get_job("job")
    due = job.next_run_time
    assert job.trigger.get_next_fire_time(due, due + timedelta(seconds=0.1)) == due + timedelta(seconds=10)
