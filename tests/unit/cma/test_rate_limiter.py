"""The rate limiter among many tasks, in virtual time, against both readings of upstream's limit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.unit.cma.fake_limits import WINDOW, Fixed, Limiter, Sliding
from tests.unit.cma.virtual_time import run
from versionsync.cma.rate_limit_rules import GUARD_SECONDS
from versionsync.cma.rate_limiter import UNLIMITED, Blocked, RateLimiter

Clock = Callable[[], float]


class Upstream:
    """Counts arrivals behind a way of 40 ms with jitter, and answers like DatoCMS."""

    def __init__(self, limiter: Limiter, clock: Clock, seed: int = 1) -> None:
        self.limiter, self.clock, self.random = limiter, clock, random.Random(seed)
        self.accepted = self.refused = 0

    async def request(self, shared: RateLimiter) -> bool:
        async with shared.acquire() as slot:
            shared.sent(slot)
            await asyncio.sleep(0.04 + self.random.uniform(0, 0.02))
            verdict = self.limiter.hit(self.clock())
            await asyncio.sleep(0.04 + self.random.uniform(0, 0.1))
            limit: int = self.limiter.limit  # type: ignore[attr-defined]
            shared.answered(slot, limit=limit, remaining=verdict.remaining)
            if verdict.accepted:
                self.accepted += 1
            else:
                self.refused += 1
                shared.throttled(slot, reset=verdict.reset)
            return verdict.accepted


async def work(upstream: Upstream, shared: RateLimiter, *, tasks: int, seconds: float) -> None:
    until = upstream.clock() + seconds

    async def worker() -> None:
        while upstream.clock() < until:
            await upstream.request(shared)

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(worker())


@pytest.mark.parametrize("limiter", [Sliding, Fixed])
@pytest.mark.parametrize(("limit", "seconds"), [(60, 300.0), (600, 60.0)])
def test_it_uses_98_percent_and_gets_no_429(limiter: Callable[[int], Limiter], limit: int, seconds: float) -> None:
    """Minutes of more work than is allowed."""

    async def main(clock: Clock) -> Upstream:
        upstream = Upstream(limiter(limit), clock)
        shared = RateLimiter(concurrency=64, clock=clock)
        await work(upstream, shared, tasks=64, seconds=seconds)
        return upstream

    upstream = run(main)
    assert upstream.refused == 0
    assert upstream.accepted >= 0.98 * limit * seconds / WINDOW


@pytest.mark.parametrize("limiter", [Sliding, Fixed])
def test_several_clients_of_one_token_share_the_limit(limiter: Callable[[], Limiter]) -> None:
    """Two groups of tasks with one limiter are one user of the API."""

    async def main(clock: Clock) -> Upstream:
        upstream, shared = Upstream(limiter(), clock), RateLimiter(clock=clock)
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(work(upstream, shared, tasks=10, seconds=60.0))
        return upstream

    upstream = run(main)
    assert upstream.refused == 0
    assert upstream.accepted >= 0.98 * 60 * 20


@pytest.mark.parametrize("limiter", [Sliding, Fixed])
def test_another_program_keeps_its_share(limiter: Callable[[], Limiter]) -> None:
    """A program that uses a third of the limit meets next to no 429 once it was noticed; we get most of the rest."""

    async def main(clock: Clock) -> tuple[Upstream, list[bool]]:
        upstream, shared = Upstream(limiter(), clock), RateLimiter(clock=clock)
        noticed_by, others = clock() + 10.0, []

        async def other() -> None:
            while True:
                await asyncio.sleep(WINDOW / 20)
                accepted = upstream.limiter.hit(clock()).accepted
                if clock() > noticed_by:
                    others.append(accepted)

        program = asyncio.create_task(other())
        await work(upstream, shared, tasks=24, seconds=180.0)
        program.cancel()
        return upstream, others

    upstream, others = run(main)
    assert others.count(False) <= 0.02 * len(others)
    assert upstream.refused <= 0.01 * upstream.accepted
    assert upstream.accepted >= 0.45 * 60 * 60


def test_after_a_429_nobody_sends_before_the_reset() -> None:
    """All tasks wait, not only the one that got the 429."""

    async def main(clock: Clock) -> list[float]:
        shared, left = RateLimiter(clock=clock), []
        async with shared.acquire() as slot:
            shared.throttled(slot, reset=2.0)

        async def one() -> None:
            async with shared.acquire():
                left.append(clock())

        began = clock()
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(one())
        return [moment - began for moment in left]

    assert min(run(main)) >= 2.0


def test_unlimited_does_not_pace_but_honours_a_429() -> None:
    """For a local server: a thousand requests take no time, until it says stop."""

    async def main(clock: Clock) -> tuple[float, float]:
        shared, began = RateLimiter(UNLIMITED, clock=clock), clock()
        for _ in range(1000):
            async with shared.acquire() as slot:
                shared.answered(slot, limit=60, remaining=0)
        unpaced = clock() - began
        async with shared.acquire() as slot:
            shared.throttled(slot, reset=1.0)
        async with shared.acquire():
            return unpaced, clock() - began

    assert run(main) == (0.0, pytest.approx(1.0 + GUARD_SECONDS))


def test_no_more_than_concurrency_are_under_way() -> None:
    """The cap holds also where the rate would allow more."""

    async def main(clock: Clock) -> int:
        shared, under_way, most = RateLimiter(UNLIMITED, concurrency=5, clock=clock), 0, 0

        async def one() -> None:
            nonlocal under_way, most
            async with shared.acquire():
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.1)
                under_way -= 1

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(one())
        return most

    assert run(main) == 5


def test_a_hold_longer_than_ones_patience_is_told_at_once() -> None:
    """A silent wait of an hour does not help."""

    async def main(clock: Clock) -> float:
        shared = RateLimiter(clock=clock)
        async with shared.acquire() as slot:
            shared.throttled(slot, reset=3600.0)
        began = clock()
        with pytest.raises(Blocked) as held:
            async with shared.acquire(max_wait=60.0):
                raise AssertionError
        assert clock() == began
        return held.value.seconds

    assert run(main) == pytest.approx(3600, abs=1)


def test_a_cancelled_task_gives_its_place_back() -> None:
    """Ctrl-C in the queue must not leave the others waiting for ever."""

    async def main(clock: Clock) -> bool:
        shared = RateLimiter(1, concurrency=2, clock=clock)

        async def one() -> None:
            async with shared.acquire():
                await asyncio.sleep(0.1)

        first, second, third = (asyncio.create_task(one()) for _ in range(3))
        await asyncio.sleep(1.0)
        second.cancel()
        await asyncio.wait([first, second, third])
        return third.exception() is None and second.cancelled()

    assert run(main)


def test_a_request_that_waits_for_its_connection_holds_the_next_until_it_left() -> None:
    """And from then on until its answer: only that shows the latest time at which upstream can have counted it."""

    async def main(clock: Clock) -> list[float]:
        shared, left = RateLimiter(1, clock=clock), []
        began = clock()

        async def one() -> None:
            async with shared.acquire() as slot:
                await asyncio.sleep(0.7)
                shared.sent(slot)
                left.append(clock() - began)
                await asyncio.sleep(9.0)

        async with asyncio.TaskGroup() as group:
            group.create_task(one())
            group.create_task(one())
        return left

    assert run(main) == pytest.approx([0.7, 9.7 + WINDOW + GUARD_SECONDS + 0.7])


def test_requests_leave_in_the_order_in_which_they_asked() -> None:
    """Each task gets its turn."""

    async def main(clock: Clock) -> list[int]:
        shared, order = RateLimiter(2, concurrency=3, clock=clock), []

        async def one(number: int) -> None:
            async with shared.acquire():
                order.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(9):
                group.create_task(one(number))
        return order

    assert run(main) == list(range(9))
