"""Work on many records at once. A failure of one record stops no other (invariant 13).

The rate limiter decides how many requests go out in a second. There are just enough workers to keep the allowed rate
busy over a slow connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from structlog.contextvars import bound_contextvars

from versionsync import cma
from versionsync.ledger.content import ContentError
from versionsync.ledger.ids import RecordId
from versionsync.sync.pull import IsBlock, RecordMissing, StaleResponse
from versionsync.sync.report import RecordFailure
from versionsync.sync.stage_results import StageResult

__all__ = ["WORKERS", "WorkerPool", "first_error"]

WORKERS = 16
MAX_CONSECUTIVE_FAILURES = 3

T = TypeVar("T")


class WorkerPool:
    """The workers of one run. Between calls they remember whether DatoCMS has answered at all, and how it fails."""

    def __init__(self, on_done: Callable[[], object]) -> None:
        self._on_done = on_done
        self._has_succeeded = False
        self._consecutive_failures = 0

    async def map(
        self, things: Iterable[T], id_of: Callable[[T], RecordId], work: Callable[[T], Awaitable[None]]
    ) -> StageResult:
        """Do `work` for each of `things`, several at a time. Return those that failed, and that no longer exist.

        Args:
            things: What to work on, such as pull tasks. Read as the workers get to it.
            id_of: Return the id of the record that a thing is about.
            work: The work. It raises RecordMissing if the record no longer exists.

        Raises:
            ExceptionGroup: What stops all work: a refused token, another environment, DatoCMS unavailable.
                See `first_error`.
        """
        shared = iter(things)
        failures, missing = list[RecordFailure](), list[RecordId]()

        async def run() -> None:
            for thing in shared:
                await self._one(id_of(thing), work(thing), failures, missing)
                self._on_done()

        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(run())
        return StageResult(failures=tuple(failures), missing=tuple(missing))

    async def _one(
        self, id: RecordId, work: Awaitable[None], failures: list[RecordFailure], missing: list[RecordId]
    ) -> None:
        try:
            with bound_contextvars(record=id):
                await work
        except RecordMissing:
            missing.append(id)
        except (cma.AuthenticationError, cma.EnvironmentNotFound, cma.EnvironmentChanged):
            raise
        except (cma.CmaError, IsBlock, StaleResponse, ContentError) as error:
            if isinstance(error, cma.PermissionDenied) and (error.is_of_project or not self._has_succeeded):
                raise  # no record may be read: that is not this record's fault
            failures.append(RecordFailure(id, str(error), is_unknown=isinstance(error, cma.NotFound)))
            if isinstance(error, cma.Unavailable):
                self._consecutive_failures += 1
                if self._consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
                    raise  # DatoCMS is unavailable: every other record would only wait as long
        else:
            self._has_succeeded = True
            self._consecutive_failures = 0


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group of errors, however deeply it is nested."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
