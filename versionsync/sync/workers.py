"""Many records at once: a few readers share the work, and one record's trouble stays its own.

How many requests a second go out is the pace's business, not theirs: there are just enough of them to keep the
allowed rate busy over a slow line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from structlog.contextvars import bound_contextvars

from versionsync import cma
from versionsync.ledger.content import ContentError
from versionsync.ledger.ids import RecordId
from versionsync.sync.pull import IsBlock, RecordMissing, StaleResponse
from versionsync.sync.report import RecordFailure

__all__ = ["Workers", "first_error"]

WORKERS = 16
MAX_CONSECUTIVE_FAILURES = 3

T = TypeVar("T")


class Workers:
    """Does work for many records; what went wrong with single ones is in `failures`, who had gone in `gone`."""

    def __init__(self, on_done: Callable[[], object]) -> None:
        self._on_done = on_done
        self._succeeded = 0
        self._strikes = 0
        self.failures: list[RecordFailure] = []
        self.missing: list[RecordId] = []

    async def map(
        self, things: Iterable[T], id_of: Callable[[T], RecordId], work: Callable[[T], Awaitable[None]]
    ) -> None:
        """Do `work` for each of `things`, several at a time.

        Raises what stops all of it: a refused token, another environment, an upstream that is not there. It comes as
        an exception group; see `first_error`.
        """
        shared = iter(things)
        async with asyncio.TaskGroup() as readers:
            for _ in range(WORKERS):
                readers.create_task(self._read(shared, id_of, work))

    async def _read(
        self, things: Iterator[T], id_of: Callable[[T], RecordId], work: Callable[[T], Awaitable[None]]
    ) -> None:
        for thing in things:
            await self._one(id_of(thing), work(thing))
            self._on_done()

    async def _one(self, id: RecordId, work: Awaitable[None]) -> None:
        try:
            with bound_contextvars(record=id):
                await work
        except RecordMissing:
            self.missing.append(id)
        except (cma.AuthenticationError, cma.EnvironmentNotFound, cma.EnvironmentChanged):
            raise
        except cma.PermissionDenied as error:
            if error.is_of_project or not self._succeeded:
                raise  # nobody's versions may be read: that is not the record's fault
            self._fail(id, error)
        except cma.Unavailable as error:
            self._fail(id, error)
            self._strikes += 1
            if self._strikes >= MAX_CONSECUTIVE_FAILURES:
                raise  # it is upstream that is not there; every other record would only wait as long
        except (cma.CmaError, IsBlock, StaleResponse, ContentError) as error:
            self._fail(id, error)
        else:
            self._succeeded += 1
            self._strikes = 0

    def _fail(self, id: RecordId, error: Exception) -> None:
        self.failures.append(RecordFailure(id, str(error), is_unknown=isinstance(error, cma.NotFound)))


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group of errors, however deep it lies."""
    first = group.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
