"""Faults between a client and DatoCMS: at random from a seed, or planted for a certain request; and their answers."""

from __future__ import annotations

import asyncio
import random
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final, Generic, TypeVar

import msgspec
from aiohttp import web

from versionsync.simulator.api.request import Response, encode
from versionsync.simulator.errors import ApiError
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.world import World

__all__ = [
    "ANSWERED_INSTEAD",
    "NOT_CARRIED_OUT",
    "Fault",
    "FaultKind",
    "Faults",
    "answer_instead",
    "cut_off",
    "distort",
    "wait",
]

T = TypeVar("T")

URLS_REMEMBERED: Final = 2_000


class FaultKind(StrEnum):
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
    """404 with an error document for what exists, as a lagging replica may answer."""
    RESET = "reset"
    """The connection is cut in the middle of the body."""
    LOST = "lost"
    """The connection is cut without any answer: before the request is carried out, or with `after` when it was."""
    TRUNCATED = "truncated"
    """A complete answer with half of the JSON."""
    WRONG_SHAPE = "wrong_shape"
    """Valid JSON that is no JSON:API document."""
    SLOW = "slow"
    """A slow answer, as of a busy server: the request is counted when it arrives."""
    LATE = "late"
    """A request that arrives late, as on a busy network: it is counted only then."""
    STALL = "stall"
    """The answer takes longer than any client waits."""
    REPEATED_PAGE = "repeated_page"
    """The previous page again."""
    EMPTY_PAGE = "empty_page"
    """No data, although the count says that there is some."""
    STALE = "stale"
    """An earlier answer, although a newer one was given since."""
    REORDERED = "reordered"
    """A list in reverse order."""
    REFUSED = "refused"
    """An error document with any code and status; at random: a temporary one."""
    NULL_BODY = "null_body"
    """200 with the body `null`."""
    OLD_SCHEMA = "old_schema"
    """The schema, and the site, as they were before the last change of the schema."""
    LAGGING = "lagging"
    """The records as they were at `World.remember`: an answer of a cache, or of a lagging replica."""


TEMPORARY_CODES: Final = ("SITE_NOT_READY", "PLATFORM_SCHEDULED_MAINTENANCE", "SERVICE_UNAVAILABLE")
"""The codes of temporary errors."""
TEMPORARY_STATUSES: Final = (422, 423, 503)
"""Statuses for them: the vendor does not document which they have."""
NEED_MEMORY: Final = frozenset({FaultKind.REPEATED_PAGE, FaultKind.STALE})


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a request; *seconds*: how long it takes."""

    kind: FaultKind
    seconds: float = 0.0
    code: str = "SITE_NOT_READY"
    """The error's code, for `REFUSED`; *status* and *transient* likewise."""
    status: int = 503
    transient: bool = False
    records: frozenset[str] | None = None
    """The ids of the records whose state is old, for `LAGGING`; None: all."""
    after: bool = False
    """It happens after the request was carried out: a write is done, and its client sees an error."""


@dataclass(slots=True)
class _Planted(Generic[T]):
    """A fault, or an action on the world, that waits for its request."""

    path: re.Pattern[str]
    method: str | None
    nth: int
    times: int
    what: T
    seen: int = 0


def _hits(planted: list[_Planted[T]], method: str, path: str) -> list[T]:
    """Count a request, return what hits it, and remove what has hit as many requests as planned."""
    hits: list[T] = []
    for one in list(planted):
        if (one.method and method != one.method) or one.path.search(path) is None:
            continue
        one.seen += 1
        if one.nth <= one.seen < one.nth + one.times:
            hits.append(one.what)
        if one.seen >= one.nth + one.times - 1:
            planted.remove(one)
    return hits


@dataclass
class Faults:
    """The faults of one project. There are none without rates and planted faults."""

    seed: int = 0
    rates: dict[FaultKind, float] = field(default_factory=dict)
    """The share of requests that each kind hits, 0 to 1."""
    path: str = ""
    """A regular expression: random faults hit only requests whose path and query it matches somewhere."""
    slow_seconds: tuple[float, float] = (0.05, 0.5)
    """The range of a slow answer."""
    stall_seconds: float = 120.0
    vanished_share: float = 0.0
    """The share of records that no listing shows, although each can be requested by its id."""

    def __post_init__(self) -> None:
        self.injected: dict[FaultKind, int] = {}
        self._planted: list[_Planted[Fault]] = []
        self._acts: list[_Planted[Callable[[World], object]]] = []
        self._acts_before: list[_Planted[Callable[[World], object]]] = []
        self._bodies: OrderedDict[str, tuple[bytes, bytes]] = OrderedDict()
        self._last_page: dict[str, bytes] = {}

    @cached_property
    def _random(self) -> random.Random:
        """Created when needed: it takes 2.5 KB, and most projects of a simulator have no faults."""
        return random.Random(f"faults:{self.seed}")  # noqa: S311 - repeatable on purpose

    def without_state(self) -> Faults:
        """Return the same rates and settings, with nothing planted or remembered."""
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
        after: bool = False,
    ) -> None:
        """Let *kind* hit the *nth* request from now on whose path and query match.

        Args:
            kind: The kind of fault.
            path: A regular expression that is searched for in the path and query.
            method: The method; None: any.
            nth: Which of the matching requests is the first to be hit.
            times: How many matching requests in a row are hit.
            seconds: How long it takes, for kinds that take time.
            code: The code of the error, for `REFUSED`.
            status: The status of the error, for `REFUSED`.
            transient: Whether the error is marked transient, for `REFUSED`.
            records: The records whose state is old, for `LAGGING`; None: all.
            after: Whether the request is carried out first, for kinds that answer something else or nothing.
        """
        seconds = seconds if seconds is not None else self._seconds(kind)
        chosen = None if records is None else frozenset(records)
        fault = Fault(kind, seconds, code, status, transient, chosen, after)
        self._planted.append(_Planted(re.compile(path), method, nth, times, fault))

    def run_before(
        self, act: Callable[[World], object], *, path: str = "", method: str | None = None, nth: int = 1, times: int = 1
    ) -> None:
        """Run *act* on the world right before the *nth* matching request: a foreign edit between two requests."""
        self._acts_before.append(_Planted(re.compile(path), method, nth, times, act))

    def run_after(
        self, act: Callable[[World], object], *, path: str = "", method: str | None = None, nth: int = 1, times: int = 1
    ) -> None:
        """Run *act* on the world right after the *nth* matching request, for instance between two pages."""
        self._acts.append(_Planted(re.compile(path), method, nth, times, act))

    def clear(self) -> None:
        """Remove all rates and planted faults, and show all records again."""
        self.rates.clear()
        self._planted.clear()
        self._acts.clear()
        self._acts_before.clear()
        self.vanished_share = 0.0

    def choose(self, method: str, path: str) -> Fault | None:
        """Return the fault that hits this request, if any."""
        if not self._planted and not self.rates:
            return None
        chosen = next(iter(_hits(self._planted, method, path)), None)
        if chosen is None and self.rates and re.search(self.path, path):
            draw = self._random.random()
            for kind, rate in self.rates.items():
                if draw < rate:
                    chosen = self._at_random(kind)
                    break
                draw -= rate
        if chosen is not None:
            self.injected[chosen.kind] = self.injected.get(chosen.kind, 0) + 1
        return chosen

    def acts_before(self, method: str, path: str) -> list[Callable[[World], object]]:
        """Return the actions on the world that come before this request."""
        return _hits(self._acts_before, method, path)

    def acts_after(self, method: str, path: str) -> list[Callable[[World], object]]:
        """Return the actions on the world that follow this request."""
        return _hits(self._acts, method, path)

    def remember(self, path: str, url: str, body: bytes) -> None:
        """Keep a good answer for faults that repeat it."""
        if NEED_MEMORY.isdisjoint([*self.rates, *(planted.what.kind for planted in self._planted)]):
            return
        self._last_page[path] = body
        before, last = self._bodies.pop(url, (body, body))
        self._bodies[url] = (before, body) if last == body else (last, body)
        if len(self._bodies) > URLS_REMEMBERED:
            self._bodies.popitem(last=False)

    def stale(self, url: str) -> bytes | None:
        """Return an answer to *url* before the last one, or the last one, or None."""
        return self._bodies.get(url, (None, None))[0]

    def last_page(self, path: str) -> bytes | None:
        return self._last_page.get(path)

    def describe(self) -> Mapping[str, object]:
        return {
            **asdict(self),
            "planted": len(self._planted) + len(self._acts) + len(self._acts_before),
            "injected": self.injected,
        }

    def _at_random(self, kind: FaultKind) -> Fault:
        if kind is not FaultKind.REFUSED:
            return Fault(kind, self._seconds(kind))
        return Fault(kind, code=self._random.choice(TEMPORARY_CODES), status=self._random.choice(TEMPORARY_STATUSES))

    def _seconds(self, kind: FaultKind) -> float:
        match kind:
            case FaultKind.SLOW | FaultKind.LATE:
                return self._random.uniform(*self.slow_seconds)
            case FaultKind.STALL:
                return self.stall_seconds
            case _:
                return 0.0


_RATE_LIMIT: Final = ApiError("RATE_LIMIT_EXCEEDED", 429, transient=True)
_ERRORS: Final[Mapping[FaultKind, ApiError]] = {
    FaultKind.INTERNAL_ERROR: ApiError("EXCEPTION", 500),
    FaultKind.UNAVAILABLE: ApiError("SERVICE_UNAVAILABLE", 503, transient=True),
    FaultKind.NOT_FOUND: ApiError("NOT_FOUND", 404),
    FaultKind.THROTTLED: _RATE_LIMIT,
    FaultKind.THROTTLED_BARE: _RATE_LIMIT,
}
ANSWERED_INSTEAD: Final = frozenset({*_ERRORS, FaultKind.BAD_GATEWAY, FaultKind.REFUSED})
"""The kinds with another answer."""
NOT_CARRIED_OUT: Final = ANSWERED_INSTEAD | {FaultKind.LOST}
"""The kinds that do not carry out the request, unless they come after it."""

_GATEWAY_PAGE: Final = (
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
)


async def wait(fault: Fault) -> None:
    if fault.seconds > 0:
        await asyncio.sleep(fault.seconds)


def answer_instead(fault: Fault, headers: dict[str, str]) -> tuple[Response, dict[str, str]]:
    """Return the answer, with its headers, that replaces the real one."""
    if fault.kind is FaultKind.BAD_GATEWAY:
        return Response(_GATEWAY_PAGE, 502), {"Content-Type": "text/html", "Date": headers["Date"]}
    if fault.kind is FaultKind.THROTTLED:
        limit = headers.get("X-RateLimit-Limit", "60")
        headers = headers | {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}
    if fault.kind is FaultKind.THROTTLED_BARE:
        headers = {name: value for name, value in headers.items() if not name.startswith("X-RateLimit")}
    error = _ERRORS.get(fault.kind) or ApiError(fault.code, fault.status, transient=fault.transient)
    return Response(error.document(), error.status), headers


def distort(fault: Fault, response: Response, faults: Faults, *, path: str, url: str) -> Response:
    """Return what *fault* turns a good answer into. Faults of lists change only lists."""
    match fault.kind:
        case FaultKind.TRUNCATED:
            return Response(response.body[: len(response.body) // 2], response.status)
        case FaultKind.WRONG_SHAPE:
            return Response(b'{"data":"unexpected","jsonapi":null}', response.status)
        case FaultKind.NULL_BODY:
            return Response(b"null", response.status)
        case FaultKind.STALE:
            return Response(faults.stale(url) or response.body, response.status)
        case FaultKind.REPEATED_PAGE:
            return Response(faults.last_page(path) or response.body, response.status)
        case FaultKind.EMPTY_PAGE:
            return _with_data(response, lambda data: [])
        case FaultKind.REORDERED:
            return _with_data(response, lambda data: data[::-1])
        case _:
            return response


def _with_data(response: Response, change: Callable[[list[msgspec.Raw]], list[msgspec.Raw]]) -> Response:
    members = contents.split(response.body)
    if not bytes(members["data"]).startswith(b"["):
        return response
    return Response(encode({**members, "data": change(contents.split_list(bytes(members["data"])))}), response.status)


async def cut_off(request: web.Request, response: Response, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send half of *response*, then abort the connection."""
    answer = web.StreamResponse(status=response.status, headers=headers)
    answer.content_length = len(response.body)
    await answer.prepare(request)
    await answer.write(response.body[: len(response.body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return answer
