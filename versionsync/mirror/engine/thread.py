"""One thread for each side of the database, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

__all__ = ["DatabaseThread"]

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThread:
    """Runs what it is given one after the other, always on the same thread: drivers' connections want that."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the thread, when what it was given is done: half a transaction is rolled back by nobody else."""
        await asyncio.get_running_loop().run_in_executor(None, self._executor.shutdown)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work(*args, **kwargs)`, after all that was given before. Raises what it raises.

        Cancelling the caller does not stop work that has begun; it only stops waiting for it.
        """
        future = self._executor.submit(work, *args, **kwargs)
        return await asyncio.wrap_future(future)
