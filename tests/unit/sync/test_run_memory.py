"""What all runs hold together is bounded, none waits for ever, and one that waits for others is not stalled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from versionsync.sync.report import Progress
from versionsync.sync.run_limits import StalledError, within_limits
from versionsync.sync.run_memory import READING_BYTES, ByteSemaphore, RunMemory, SharedMemory

RECORDS = st.lists(st.integers(0, 300), min_size=1, max_size=30)
"""The sizes of the records of one run."""


class Run:
    """Readers that queue records, and a writer that writes them, as those of a sync do."""

    def __init__(self, shared: SharedMemory, sizes: Sequence[int], random: Random, *, queue_bytes: int = 100) -> None:
        self.progress = Progress(source="website")
        self.memory = RunMemory(shared, queue_bytes=queue_bytes, progress=self.progress)
        self.written: list[int] = []
        self._sizes = iter(sizes)
        self._random = random
        self._queue: asyncio.Queue[int | None] = asyncio.Queue()

    async def run(self) -> None:
        """Read and write everything."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write())
            async with asyncio.TaskGroup() as readers:
                for _ in range(4):
                    readers.create_task(self._read())
            self._queue.put_nowait(None)

    async def _read(self) -> None:
        for size in self._sizes:
            async with self.memory.reading():
                await self._moment()
                await self.memory.queue(size)
                self._queue.put_nowait(size)

    async def _write(self) -> None:
        while (size := await self._queue.get()) is not None:
            await self._moment()
            self.written.append(size)
            self.memory.written(size)

    async def _moment(self) -> None:
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)


def small(reading: int, queued: int) -> SharedMemory:
    """Return memory for `reading` records that are read, and so many bytes in the queue."""
    return SharedMemory(ByteSemaphore(reading * READING_BYTES), ByteSemaphore(queued))


@given(runs=st.lists(RECORDS, min_size=1, max_size=6), reading=st.integers(1, 5), seed=st.integers(0, 1000))
@settings(max_examples=60)
def test_runs_never_wait_in_a_circle(runs: Sequence[Sequence[int]], reading: int, seed: int) -> None:
    """Whatever they read at once. A record larger than the limit goes through alone."""
    shared, random = small(reading, 150), Random(seed)
    made = [Run(shared, sizes, random) for sizes in runs]
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, shared.queued.used)
            assert shared.reading.used <= reading * READING_BYTES
            await asyncio.sleep(0)

    async def run() -> None:
        watching = asyncio.create_task(watch())
        async with asyncio.timeout(30):
            await asyncio.gather(*(each.run() for each in made))
        watching.cancel()

    asyncio.run(run())
    assert [sorted(each.written) for each in made] == [sorted(sizes) for sizes in runs]
    assert most <= max(150, *(size for sizes in runs for size in sizes))
    assert shared.reading.used == shared.queued.used == 0


@given(sizes=st.lists(st.tuples(st.integers(1, 120), st.booleans()), min_size=1, max_size=20))
def test_bytes_are_given_in_the_order_in_which_they_are_wanted(sizes: Sequence[tuple[int, bool]]) -> None:
    """A large record is not overtaken for ever by small ones, and one that is cancelled keeps nothing."""
    order: list[int] = []

    async def run() -> None:
        semaphore = ByteSemaphore(100)
        await semaphore.acquire(100)

        async def take(number: int, size: int) -> None:
            await semaphore.acquire(size)
            order.append(number)
            semaphore.release(size)

        tasks = [asyncio.create_task(take(number, size)) for number, (size, _) in enumerate(sizes)]
        await asyncio.sleep(0)
        for task, (_, is_cancelled) in zip(tasks, sizes, strict=True):
            if is_cancelled:
                task.cancel()
        await asyncio.sleep(0)
        semaphore.release(100)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert semaphore.used == 0

    asyncio.run(run())
    assert order == [number for number, (_, is_cancelled) in enumerate(sizes) if not is_cancelled]


async def test_one_that_is_cancelled_while_it_gets_its_bytes_gives_them_back() -> None:
    semaphore = ByteSemaphore(10)
    await semaphore.acquire(10)
    waiting = asyncio.create_task(semaphore.acquire(10))
    await asyncio.sleep(0)
    semaphore.release(10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert semaphore.used == 0


async def test_a_run_that_waits_for_others_is_not_ended_as_stalled() -> None:
    """It is as soon as it can go on by itself and does not."""
    shared = small(1, 100)
    other, mine = Run(shared, [], Random(1)), Run(shared, [], Random(1))
    has_memory = asyncio.Event()

    def activity() -> object:
        return asyncio.get_running_loop().time() if mine.progress.waits_for_others else None

    async def read_and_hang() -> None:
        async with (
            within_limits(
                activity, lambda: 0, phase=lambda: "pulling", stall_seconds=1.0, max_requests=None, poll_seconds=0.01
            ),
            mine.memory.reading(),
        ):
            has_memory.set()
            await asyncio.Event().wait()

    async with other.memory.reading():
        running = asyncio.create_task(read_and_hang())
        await asyncio.sleep(2.0)
        assert not running.done()
        assert mine.progress.waits_for_others
        assert not other.progress.waits_for_others
    await has_memory.wait()
    with pytest.raises(StalledError):
        await running


async def test_a_run_that_waits_for_its_own_writer_does_not_wait_for_others() -> None:
    """If the database hangs, the run that writes is stalled."""
    run = Run(small(4, 100), [], Random(1))
    async with run.memory.reading():
        await run.memory.queue(100)
    waiting = asyncio.create_task(_queue(run, 50))
    await asyncio.sleep(0.01)
    assert run.progress.queued_bytes == 100
    assert not run.progress.waits_for_others
    run.memory.written(100)
    await waiting
    assert run.progress.queued_bytes == 50


async def _queue(run: Run, size: int) -> None:
    async with run.memory.reading():
        await run.memory.queue(size)
