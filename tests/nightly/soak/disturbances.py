"""What is done to two daemons and their database, one thing after the other, at random from a seed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from tests.fixtures.daemon_process import Program
from tests.fixtures.disk import Disk
from tests.nightly.soak.database import Database

__all__ = ["Mischief"]

PAUSE_SECONDS = (4.0, 14.0)
NAP_SECONDS = (1.0, 8.0)
DOWN_SECONDS = (0.5, 6.0)
FULL_SECONDS = 10.0
TAKEOVER_SECONDS = 75.0
"""A lease of half a minute, and what a server that just came back may add."""


class Mischief:
    """`mortal` is killed, suspended and stopped; `lasting` is suspended only, so that its memory can be watched."""

    def __init__(self, seed: int, mortal: Program, lasting: Program, database: Database, disk: Disk) -> None:
        self.done: Counter[str] = Counter()
        self.takeovers: dict[str, list[float]] = {"killed": [], "suspended": [], "ended": []}
        self.stops: list[float] = []
        self._random = random.Random(seed)
        self._mortal = mortal
        self._lasting = lasting
        self._database = database
        self._disk = disk

    def until(self, deadline: float, *, full_at: float) -> None:
        """Go on until the monotonic clock says `deadline`; the disk is filled once, at `full_at`."""
        deeds: list[tuple[int, str, Callable[[], None]]] = [
            (5, "killed", self._kill),
            (2, "ended by SIGTERM", self._end),
            (4, "suspended for a moment", self._nap),
            (2, "suspended until overtaken", self._sleep),
            (2, "PostgreSQL stopped", lambda: self._restart("fast")),
            (2, "PostgreSQL crashed", lambda: self._restart("immediate")),
        ]
        while (now := time.monotonic()) < deadline:
            if now >= full_at and self._disk.is_own and not self.done["disk filled"]:
                name, deed = "disk filled", self._fill
            else:
                _, name, deed = self._random.choices(deeds, weights=[weight for weight, _, _ in deeds])[0]
            deed()
            self.done[name] += 1
            time.sleep(self._random.uniform(*PAUSE_SECONDS))

    def _kill(self) -> None:
        followed = self._mortal.pid
        was_following = self._database.follower() == followed
        self._mortal.kill()
        if was_following:
            self._takeover("killed", by=self._lasting, begun=time.monotonic())
        time.sleep(self._random.uniform(*DOWN_SECONDS))
        self._mortal.start()

    def _end(self) -> None:
        was_following = self._database.follower() == self._mortal.pid
        begun = time.monotonic()
        self.stops.append(self._mortal.end())
        if was_following:
            self._takeover("ended", by=self._lasting, begun=begun)
        time.sleep(self._random.uniform(*DOWN_SECONDS))
        self._mortal.start()

    def _nap(self) -> None:
        victim = self._random.choice([self._mortal, self._lasting])
        victim.suspend()
        time.sleep(self._random.uniform(*NAP_SECONDS))
        victim.wake()

    def _sleep(self) -> None:
        """Whoever follows is suspended until the other one has taken its place."""
        follower = self._database.follower()
        victim, other = (
            (self._lasting, self._mortal) if follower == self._lasting.pid else (self._mortal, self._lasting)
        )
        begun = time.monotonic()
        victim.suspend()
        if follower == victim.pid:
            self._takeover("suspended", by=other, begun=begun)
        time.sleep(self._random.uniform(*NAP_SECONDS))
        victim.wake()

    def _takeover(self, why: str, *, by: Program, begun: float) -> None:
        while self._database.follower() != by.pid:
            took = time.monotonic() - begun
            assert took < TAKEOVER_SECONDS, f"nobody took over within {took:.0f} s"
            time.sleep(0.1)
        self.takeovers[why].append(time.monotonic() - begun)

    def _restart(self, mode: str) -> None:
        self._database.stop(mode)
        time.sleep(self._random.uniform(*DOWN_SECONDS))
        self._database.start()

    def _fill(self) -> None:
        self._disk.fill()
        try:
            time.sleep(FULL_SECONDS)
        finally:
            self._disk.empty()
            self._database.start()
