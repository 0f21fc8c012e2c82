"""Threads for reads and writes, so that the event loop never waits for a disk.

A lane runs functions one after the other. A command has a thread for each of its lanes. A daemon has thousands of
lanes, which share a few threads. Each thread takes one function of one lane, then one of the next lane that waits. So
no lane holds a thread that it does not use, and none waits for more than one function of each other lane.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

__all__ = ["DatabaseThread", "ThreadPool"]

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPool:
    """Threads that any number of lanes share. They start when they are needed, and stay until `close`."""

    def __init__(self, threads: int, *, name: str = "database") -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    def submit(self, work: Callable[[], None]) -> bool:
        """Run `work` on the next thread that is free. It must not raise. Return False if the threads have ended."""
        try:
            self._executor.submit(work)
        except RuntimeError:
            return False
        return True

    def close(self) -> None:
        """Wait for all work that was submitted, and end the threads."""
        self._executor.shutdown()


class DatabaseThread:
    """A lane: it runs functions one after the other, and never two at once.

    Args:
        name: The name of its thread, if it has one of its own.
        pool: The threads that it shares with other lanes. None: it has one thread of its own.
    """

    def __init__(self, name: str, pool: ThreadPool | None = None) -> None:
        self._has_own = pool is None
        self._pool = pool or ThreadPool(1, name=name)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._is_running = False
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for the last function: only that one can roll back its transaction. No other can be run after that."""
        self._is_closed = True
        with self._lock:
            is_idle = not self._is_running
        if not is_idle:
            await asyncio.wrap_future(self._add(_nothing))
        if self._has_own:
            self._pool.close()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of `work(*args, **kwargs)`, which runs after all earlier calls. Raises what it raises.

        If the caller is cancelled, work that has begun still runs to its end.
        """
        if self._is_closed:
            raise RuntimeError("this lane is closed")
        return await asyncio.wrap_future(self._add(partial(work, *args, **kwargs)))

    def _add(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, work))
            is_first, self._is_running = not self._is_running, True
        if is_first and not self._pool.submit(self._run_next):
            raise RuntimeError("the threads of this lane have ended")
        return future

    def _run_next(self) -> None:
        """Run one function, then stand in line again behind the other lanes."""
        while True:
            with self._lock:
                future, work = self._waiting.popleft()
            _fulfil(future, work)
            del future, work  # an idle thread must not keep a result in memory
            with self._lock:
                self._is_running = bool(self._waiting)
                is_over = not self._is_running
            if is_over or self._pool.submit(self._run_next):
                return  # otherwise the pool ends, and this thread does what is left


def _fulfil(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _nothing() -> None:
    """Do nothing: when this has run, all before it has."""
