"""Asynchronous jobs: done at once in truth, but told only when somebody asks after a while."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from versionsync.simulator.errors import not_found
from versionsync.simulator.world.world import World

__all__ = ["JobResult", "Jobs"]

A_MOMENT: Final = timedelta(milliseconds=100)
RESULTS_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class JobResult:
    """What the request would have answered, had it answered at once."""

    id: str
    status: int
    payload: bytes
    ready_at: datetime


class Jobs:
    """The results of the latest jobs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._results: OrderedDict[str, JobResult] = OrderedDict()

    def finish(self, status: int, payload: bytes) -> JobResult:
        """Keep the outcome of a job; it can be seen when the job's delay is over."""
        result = JobResult(self._world.ids.new(), status, payload, self._world.clock.now() + self._delay())
        self._results[result.id] = result
        if len(self._results) > RESULTS_KEPT:
            self._results.popitem(last=False)
        return result

    def result(self, job_id: str) -> JobResult:
        """The outcome of a job. Raises Refused (404) when there is none, or not yet."""
        result = self._results.get(job_id)
        if result is None or self._world.clock.now() < result.ready_at:
            raise not_found("job_result", job_id)
        return result

    def _delay(self) -> timedelta:
        chosen = self._world.options.job_delay
        if chosen is not None:
            return chosen
        return timedelta(0) if self._world.clock.is_stopped else A_MOMENT
