"""Who runs next: a limited number of runs at once, first come, first served.

Long runs, such as first syncs and scrubs, hold at most half of the places. So a check never waits behind all of them,
and a long run waits only for long ones that came before it. Runs of one source come one after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

__all__ = ["LONG_SECONDS", "Places", "RunQueue", "Turn"]

LONG_SECONDS: Final = 30.0
"""A run that has held its place for longer counts as a long one, whatever it was announced as."""


@dataclass(eq=False, slots=True)
class Turn:
    """One wish to run. `began_at` is the time at which it got its place; None: it waits."""

    source: str
    is_long: bool
    began_at: float | None = None


@dataclass(slots=True)
class Places:
    """The places and who waits for one. Pure: times come in as arguments, in seconds of any one clock.

    Attributes:
        number: How many runs there may be at once.
        waiting: Those that wait, in the order in which they came.
        running: Those that have a place.
    """

    number: int
    waiting: list[Turn] = field(default_factory=list)
    running: list[Turn] = field(default_factory=list)

    @property
    def most_long(self) -> int:
        """How many places long runs may hold: half of them, and at least one."""
        return max(self.number // 2, 1)

    def join(self, turn: Turn, now: float) -> list[Turn]:
        """Add a turn. Return those that have a place from now on."""
        self.waiting.append(turn)
        return self._begin(now)

    def leave(self, turn: Turn, now: float) -> list[Turn]:
        """Remove a turn that has ended, or that waits no longer. Return those that have a place from now on."""
        (self.waiting if turn.began_at is None else self.running).remove(turn)
        return self._begin(now)

    def _begin(self, now: float) -> list[Turn]:
        begun: list[Turn] = []
        if len(self.running) >= self.number or not self.waiting:
            return begun
        sources = {turn.source for turn in self.running}
        long = sum(turn.is_long or _has_lasted(turn, now) for turn in self.running)
        for turn in tuple(self.waiting):
            if len(self.running) >= self.number:
                break
            if turn.source not in sources and (not turn.is_long or long < self.most_long):
                turn.began_at = now
                self.waiting.remove(turn)
                self.running.append(turn)
                begun.append(turn)
                sources.add(turn.source)
                long += turn.is_long
        return begun


def _has_lasted(turn: Turn, now: float) -> bool:
    return turn.began_at is not None and now - turn.began_at > LONG_SECONDS


class RunQueue:
    """The places of one daemon. Use it from one event loop."""

    def __init__(self, max_runs: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.places = Places(max_runs)
        self._clock = clock
        self._begun: dict[Turn, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def turn(self, source: str, *, is_long: bool) -> AsyncIterator[None]:
        """Wait for a place, and hold it while the block runs.

        Args:
            source: The source that runs. It has one place at most.
            is_long: Whether it probably takes long.
        """
        mine = Turn(source, is_long)
        begun = self._begun[mine] = asyncio.get_running_loop().create_future()
        self._wake(self.places.join(mine, self._clock()))
        try:
            await begun
            yield
        finally:
            del self._begun[mine]
            self._wake(self.places.leave(mine, self._clock()))

    def _wake(self, turns: list[Turn]) -> None:
        for turn in turns:
            if not self._begun[turn].done():  # one that was just cancelled leaves by itself
                self._begun[turn].set_result(None)
