"""One thread each for reads and writes, so that the event loop never waits for a disk."""

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
    """Run functions one after the other, always on the same thread, as the drivers' connections need it."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the thread after its last function: only that one can roll back its transaction."""
        await asyncio.get_running_loop().run_in_executor(None, self._executor.shutdown)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of `work(*args, **kwargs)`, which runs after all earlier calls. Raises what it raises.

        If the caller is cancelled, work that has begun still runs to its end.
        """
        future = self._executor.submit(work, *args, **kwargs)
        return await asyncio.wrap_future(future)
