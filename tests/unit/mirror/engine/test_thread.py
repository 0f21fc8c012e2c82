"""Lanes: their functions run one after the other, on few threads, and none waits for all of another's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from versionsync.mirror.engine.thread import DatabaseThread, ThreadPool


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """Two threads that lanes share."""
    made = ThreadPool(2)
    yield made
    made.close()


class Watched:
    """Counts what runs at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: dict[str, int] = {}
        self.most = 0
        self.done: list[tuple[str, int]] = []
        self.threads: set[int] = set()

    def work(self, lane: str, number: int) -> int:
        """Take a moment, and return the number."""
        with self.lock:
            assert lane not in self.running, "two functions of a lane run at once"
            self.running[lane] = number
            self.most = max(self.most, len(self.running))
            self.threads.add(threading.get_ident())
        time.sleep(0.0005)
        with self.lock:
            del self.running[lane]
            self.done.append((lane, number))
        return number


@given(
    threads=st.integers(1, 4),
    calls=st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), min_size=1, max_size=30),
)
@settings(max_examples=40)
def test_functions_of_a_lane_run_in_order(threads: int, calls: Sequence[tuple[str, bool]]) -> None:
    """Also when some callers are cancelled, and never more at once than there are threads."""
    watched = Watched()

    async def run() -> None:
        pool = ThreadPool(threads)
        lanes = {name: DatabaseThread(name, pool) for name in "abcde"}
        tasks = [
            asyncio.create_task(lanes[name].run(watched.work, name, number)) for number, (name, _) in enumerate(calls)
        ]
        await asyncio.sleep(0)
        for task, (_, is_cancelled) in zip(tasks, calls, strict=True):
            if is_cancelled:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for lane in lanes.values():
            await lane.close()
        pool.close()
        expected = [number for number, (_, is_cancelled) in enumerate(calls) if not is_cancelled]
        assert [result for result in results if isinstance(result, int)] == expected

    asyncio.run(run())
    assert watched.most <= threads
    assert len(watched.threads) <= threads
    for name in "abcde":
        numbers = [number for lane, number in watched.done if lane == name]
        assert numbers == sorted(numbers)
    assert {(name, number) for number, (name, is_cancelled) in enumerate(calls) if not is_cancelled} <= set(
        watched.done
    )


async def test_a_lane_with_much_to_do_does_not_keep_others_waiting() -> None:
    """Each lane waits for one function of each other, not for all of them."""
    pool, order = ThreadPool(1), list[str]()
    first, second = DatabaseThread("first", pool), DatabaseThread("second", pool)
    begun, go = threading.Event(), threading.Event()

    def begin() -> None:
        begun.set()
        go.wait(10)

    tasks = [asyncio.create_task(first.run(begin))]
    tasks += [asyncio.create_task(first.run(order.append, f"first {number}")) for number in range(5)]
    tasks += [asyncio.create_task(second.run(order.append, "second"))]
    await asyncio.to_thread(begun.wait, 10)
    go.set()
    await asyncio.gather(*tasks)
    assert order.index("second") <= 1
    await first.close()
    await second.close()
    pool.close()


async def test_errors_reach_their_caller(pool: ThreadPool) -> None:
    """And the lane goes on."""
    async with DatabaseThread("lane", pool) as lane:
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)
        assert await lane.run(lambda: 1) == 1


@pytest.mark.parametrize("has_pool", [False, True])
async def test_close_waits_for_what_has_begun(pool: ThreadPool, has_pool: bool) -> None:
    """Only that can roll back its transaction. Its caller may have been cancelled."""
    lane, began, ended = DatabaseThread("lane", pool if has_pool else None), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        time.sleep(0.05)
        ended.set()

    task = asyncio.create_task(lane.run(work))
    await asyncio.to_thread(began.wait, 10)
    task.cancel()
    await lane.close()
    assert ended.is_set()
    with pytest.raises(RuntimeError):
        await lane.run(work)
    await lane.close()


async def test_the_pool_ends_after_all_that_was_asked_for() -> None:
    pool, done = ThreadPool(1), list[int]()
    lane, go = DatabaseThread("lane", pool), threading.Event()
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(lane.run(go.wait, 10))]
    tasks += [asyncio.create_task(lane.run(done.append, number)) for number in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(pool.close))
    await asyncio.sleep(0.02)
    go.set()
    await asyncio.gather(closing, *tasks)
    assert done == [0, 1, 2]


async def test_lanes_of_a_pool_make_no_threads_of_their_own(pool: ThreadPool) -> None:
    before = threading.active_count()
    lanes = [DatabaseThread(f"lane {number}", pool) for number in range(500)]
    await asyncio.gather(*(lane.run(time.sleep, 0) for lane in lanes))
    assert threading.active_count() <= before + 2
    await asyncio.gather(*(lane.close() for lane in lanes))
