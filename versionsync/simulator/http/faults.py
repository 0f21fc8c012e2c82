"""What can go wrong between a client and DatoCMS: at random from a seed, or planted at a certain request."""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from versionsync.simulator.world.world import World

__all__ = ["Fault", "FaultKind", "Faults"]

URLS_REMEMBERED: Final = 2_000


class FaultKind(StrEnum):
    """The kinds of fault."""

    INTERNAL_ERROR = "internal_error"
    """500 with an error document."""
    BAD_GATEWAY = "bad_gateway"
    """502 with a page of HTML, as gateways send."""
    UNAVAILABLE = "unavailable"
    """503 with an error document that is marked transient."""
    THROTTLED = "throttled"
    """429 with the rate headers, below the announced limit."""
    THROTTLED_BARE = "throttled_bare"
    """429 without any rate header."""
    NOT_FOUND = "not_found"
    """404 with an error document for what is there, as a replica may say that lags behind."""
    RESET = "reset"
    """The connection is cut in the middle of the body."""
    TRUNCATED = "truncated"
    """A complete answer with half of the JSON."""
    WRONG_SHAPE = "wrong_shape"
    """Valid JSON that is no document."""
    SLOW = "slow"
    """The answer takes a while, as that of a busy server: the request was counted when it came."""
    LATE = "late"
    """The request takes a while to arrive, as on a busy way: it is counted only then."""
    STALL = "stall"
    """The answer takes longer than anybody waits."""
    REPEATED_PAGE = "repeated_page"
    """The page before comes again."""
    EMPTY_PAGE = "empty_page"
    """No data, while the count says that there is some."""
    STALE = "stale"
    """An answer of earlier, though a newer one has been given since."""
    REORDERED = "reordered"
    """A list back to front."""
    REFUSED = "refused"
    """An error document with any code and status; at random: one of those that pass by themselves."""
    NULL_BODY = "null_body"
    """200 with the body `null`."""
    OLD_SCHEMA = "old_schema"
    """The schema, and the site, as they were before the last change of the schema."""
    LAGGING = "lagging"
    """The records as they were at `World.remember`: an answer of a cache, or of a replica that lags behind."""


PASSING_CODES: Final = ("SITE_NOT_READY", "PLATFORM_SCHEDULED_MAINTENANCE", "SERVICE_UNAVAILABLE")
"""The codes of errors that pass by themselves."""
PASSING_STATUSES: Final = (422, 423, 503)
"""Statuses for them: the vendor does not say which they have."""
NEED_MEMORY: Final = frozenset({FaultKind.REPEATED_PAGE, FaultKind.STALE})


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request; *seconds*: for how long."""

    kind: FaultKind
    seconds: float = 0.0
    code: str = "SITE_NOT_READY"
    """The error's code, for `REFUSED`; *status* and *transient* likewise."""
    status: int = 503
    transient: bool = False
    records: frozenset[str] | None = None
    """The ids of the records of which an answer is old, for `LAGGING`; None: of all."""


@dataclass(slots=True)
class _Planted:
    """A fault, or an act on the world, that waits for its request."""

    path: re.Pattern[str]
    method: str | None
    nth: int
    times: int
    fault: Fault | None = None
    act: Callable[[World], object] | None = None
    seen: int = 0

    def is_hit(self, method: str, path: str) -> bool:
        """Count a request, and say whether this one is meant."""
        if (self.method and method != self.method) or self.path.search(path) is None:
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times

    @property
    def is_over(self) -> bool:
        """Whether it has happened as often as it should."""
        return self.seen >= self.nth + self.times - 1


@dataclass
class Faults:
    """The faults of one simulator. Without rates and without anything planted, nothing ever goes wrong."""

    seed: int = 0
    rates: dict[FaultKind, float] = field(default_factory=dict)
    """The share of requests that each kind hits, 0 to 1."""
    path: str = ""
    """A regular expression: faults at random hit only requests whose path and query it is found in."""
    slow_seconds: tuple[float, float] = (0.05, 0.5)
    """The range of a slow answer."""
    stall_seconds: float = 120.0
    vanished_share: float = 0.0
    """The share of records that no listing shows, though each can still be asked for."""

    def __post_init__(self) -> None:
        self.injected: dict[FaultKind, int] = {}
        self._planted: list[_Planted] = []
        self._bodies: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()
        self._last_page: dict[str, bytes] = {}

    @cached_property
    def _random(self) -> random.Random:
        """Made when it is needed: it takes 2.5 KB, and most projects of a simulator have no faults."""
        return random.Random(f"faults:{self.seed}")  # noqa: S311 - repeatable on purpose

    def alike(self) -> Faults:
        """The same rates and settings for another project, with nothing planted and no memory."""
        return replace(self, rates=dict(self.rates))

    def plant(
        self,
        kind: FaultKind,
        *,
        path: str = "",
        method: str | None = None,
        nth: int = 1,
        times: int = 1,
        seconds: float | None = None,
        code: str = "SITE_NOT_READY",
        status: int = 503,
        transient: bool = False,
        records: Iterable[str] | None = None,
    ) -> None:
        """Let *kind* hit the *nth* request from now on whose path and query contain the regular expression *path*.

        *times*: and as many in a row in all. *seconds*: how long it takes, for kinds that take time. *code*, *status*,
        *transient*: of the error, for `REFUSED`. *records*: whose answers are old, for `LAGGING`; None: all.
        """
        seconds = seconds if seconds is not None else self._seconds(kind)
        chosen = None if records is None else frozenset(records)
        fault = Fault(kind, seconds, code, status, transient, chosen)
        self._planted.append(_Planted(re.compile(path), method, nth, times, fault=fault))

    def run_after(
        self, act: Callable[[World], object], *, path: str = "", method: str | None = None, nth: int = 1, times: int = 1
    ) -> None:
        """Run *act* on the world right after the *nth* matching request was answered: between two pages, say."""
        self._planted.append(_Planted(re.compile(path), method, nth, times, act=act))

    def clear(self) -> None:
        """Stop everything: rates, what is planted, what vanished."""
        self.rates.clear()
        self._planted.clear()
        self.vanished_share = 0.0

    def choose(self, method: str, path: str) -> Fault | None:
        """What happens to this request, if anything."""
        if not self._planted and not self.rates:
            return None
        chosen: Fault | None = None
        for planted in [planted for planted in self._planted if planted.fault is not None]:
            if planted.is_hit(method, path):
                chosen = chosen or planted.fault
            if planted.is_over:
                self._planted.remove(planted)
        if chosen is None and self.rates and re.search(self.path, path):
            drawn = self._random.random()
            for kind, rate in self.rates.items():
                if drawn < rate:
                    chosen = self._at_random(kind)
                    break
                drawn -= rate
        if chosen is not None:
            self.injected[chosen.kind] = self.injected.get(chosen.kind, 0) + 1
        return chosen

    def acts_after(self, method: str, path: str) -> list[Callable[[World], object]]:
        """What is to be done to the world after this request."""
        acts: list[Callable[[World], object]] = []
        for planted in [planted for planted in self._planted if planted.act is not None]:
            if planted.is_hit(method, path) and planted.act is not None:
                acts.append(planted.act)
            if planted.is_over:
                self._planted.remove(planted)
        return acts

    def remember(self, path: str, url: str, body: bytes) -> None:
        """Keep a good answer, for faults that show it again."""
        if not (NEED_MEMORY & self.rates.keys() or any(self._needs_memory(planted) for planted in self._planted)):
            return
        self._last_page[path] = body
        before, last = self._bodies.pop(url, (body, body))
        self._bodies[url] = (before, body) if last == body else (last, body)
        if len(self._bodies) > URLS_REMEMBERED:
            self._bodies.popitem(last=False)

    def stale(self, url: str) -> bytes | None:
        """An answer to *url* that is older than the last, or the last itself; None: it was never asked."""
        return self._bodies.get(url, (None, None))[0]

    def last_page(self, path: str) -> bytes | None:
        """The page of *path* that was given last."""
        return self._last_page.get(path)

    def describe(self) -> Mapping[str, object]:
        """The settings and counts, for people."""
        return {
            "seed": self.seed,
            "rates": {kind.value: rate for kind, rate in self.rates.items()},
            "path": self.path,
            "slow_seconds": list(self.slow_seconds),
            "stall_seconds": self.stall_seconds,
            "vanished_share": self.vanished_share,
            "planted": len(self._planted),
            "injected": {kind.value: count for kind, count in self.injected.items()},
        }

    def _at_random(self, kind: FaultKind) -> Fault:
        if kind is not FaultKind.REFUSED:
            return Fault(kind, self._seconds(kind))
        return Fault(kind, code=self._random.choice(PASSING_CODES), status=self._random.choice(PASSING_STATUSES))

    def _seconds(self, kind: FaultKind) -> float:
        match kind:
            case FaultKind.SLOW | FaultKind.LATE:
                return self._random.uniform(*self.slow_seconds)
            case FaultKind.STALL:
                return self.stall_seconds
            case _:
                return 0.0

    @staticmethod
    def _needs_memory(planted: _Planted) -> bool:
        return planted.fault is not None and planted.fault.kind in NEED_MEMORY
