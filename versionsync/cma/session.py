"""One request from its first attempt to its last: limit the rate, send, interpret, wait, retry, count.

All clients of one project share a session: connections, rate limiter, counters, and what was learned so far.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache, partial
from typing import Final, Generic, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from versionsync import __version__
from versionsync.cma.errors import CmaError, EnvironmentChanged, ProtocolError
from versionsync.cma.jsonapi import InvalidJson, NotADocument, ShapeError
from versionsync.cma.rate_limit_rules import Slot
from versionsync.cma.rate_limiter import Blocked, RateLimiter
from versionsync.cma.responses import Response, error_of, interpret, is_json, rate
from versionsync.cma.retry import Failure, Kind, Policy
from versionsync.cma.times import http_date
from versionsync.cma.transport import ACCEPTED, Timeouts, exchange
from versionsync.secret import Secret

__all__ = [
    "ApiRequest",
    "ApiResult",
    "ApiSession",
    "ClockOffset",
    "Exchange",
    "Result",
    "Usage",
    "checked_base_url",
    "checked_token",
    "path_id",
]


class Result(StrEnum):
    """The results of an attempt."""

    OK = "ok"
    """A valid response."""
    THROTTLED = "throttled"
    """429."""
    REFUSED = "refused"
    """Any other 4xx; also the 404 that proves a deletion."""
    ERROR = "error"
    """5xx, or an invalid response."""
    NO_ANSWER = "no_answer"
    """A network failure: not connected, cut off, or too late."""

    @classmethod
    def of(cls, status: int | None, *, is_throttled: bool, is_valid: bool) -> Result:
        """Return the result of an attempt with the answer `status`; None: no response."""
        if status is None:
            return cls.NO_ANSWER
        if is_throttled:
            return cls.THROTTLED
        if is_valid:
            return cls.OK
        return cls.REFUSED if 300 <= status < 500 else cls.ERROR


@dataclass(slots=True)
class Usage:
    """Counters that only rise. Each attempt counts as a request, as upstream counts; bytes are those on the wire.

    `results` also counts the attempts that never left because there was no connection.
    """

    requests: int = 0
    throttled: int = 0
    retries: int = 0
    bytes_received: int = 0
    results: Counter[Result] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Exchange:
    """An attempt, for logs and metrics, without query, token and content. `status` None: no response."""

    method: str
    path: str
    status: int | None
    seconds: float
    bytes: int
    failure: str | None = None


class ClockOffset:
    """Estimates how far upstream's clock is ahead of the local one.

    A `Date` of 10:00:05 means that it was between 10:00:05 and 10:00:06 upstream, at some moment between sending and
    receiving. Each answer bounds the offset from both sides; the bounds of many answers meet within milliseconds.
    """

    def __init__(self) -> None:
        self._low = float("-inf")
        self._high = float("inf")

    def observe(self, date: datetime, *, sent_at: float, received_at: float) -> None:
        """Use the `Date` of one answer; `sent_at` and `received_at` are local, in seconds since the epoch."""
        low = date.timestamp() - received_at
        high = date.timestamp() + 1.0 - sent_at
        if low > high:  # the local clock was set during the request
            return
        if max(low, self._low) <= min(high, self._high):
            self._low, self._high = max(low, self._low), min(high, self._high)
        else:  # one of the clocks was set, or drifted: the old bounds are invalid
            self._low, self._high = low, high

    @property
    def seconds(self) -> float | None:
        """Upstream's time minus the local one; None before the first response."""
        return None if self._low == float("-inf") else (self._low + self._high) / 2


T = TypeVar("T")

API_VERSION: Final = "3"
# Errors show the values of these parameters; those of others may be content.
_SHOWN_PARAMETERS: Final = frozenset(
    {"page[offset]", "page[limit]", "version", "nested", "include", "order_by", "filter[type]"}
)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request. `environment` None: the primary one.

    `content`: the answer belongs to an environment, so the answering environment must be the requested one.
    `max_timeouts`: the maximum attempts for timeouts of an answer that may be too large.
    """

    path: str
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)
    environment: str | None = None
    content: bool = True
    max_timeouts: int | None = None

    def __str__(self) -> str:
        query = "&".join(f"{name}={value if name in _SHOWN_PARAMETERS else '…'}" for name, value in self.params)
        return f"{self.method} {self.path}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class ApiResult(Generic[T]):
    """A decoded answer, and upstream's time of it."""

    value: T
    at: datetime | None


@lru_cache(maxsize=64)
def _query(params: tuple[tuple[str, str], ...]) -> str:
    return f"?{httpx.QueryParams(params)}" if params else ""


class ApiSession:
    """Connections, rate limiter and counters of one project. See `Client` for the arguments."""

    def __init__(
        self,
        base_url: str,
        token: Secret,
        *,
        http: httpx.AsyncBaseTransport,
        rate_limiter: RateLimiter,
        timeouts: Timeouts,
        policy: Policy,
        on_request: Callable[[Exchange], None] | None,
        large: asyncio.Semaphore | None = None,
    ) -> None:
        self.base_url = base_url
        self.http = http
        self.rate_limiter = rate_limiter
        self.usage = Usage()
        self.clock = ClockOffset()
        self.last_environment: str | None = None
        self.page_limits: dict[str, int] = {}
        self._timeouts = asdict(timeouts)
        # httpx.Headers masks the Authorization header in its repr, a dict would not.
        self._headers = httpx.Headers(
            {
                "Authorization": f"Bearer {token.reveal()}",
                "Accept": "application/json",
                "Accept-Encoding": ACCEPTED,
                "X-Api-Version": API_VERSION,
                "User-Agent": f"versionsync/{__version__}",
            }
        )
        self._policy = policy
        self._on_request = on_request
        self._random = random.Random()  # noqa: S311 - jitter
        self._answered = False
        self._large = asyncio.Lock()
        self._large_of_all = large
        self.waits_for_others = False

    async def send(self, request: ApiRequest, read: Callable[[bytes], T]) -> ApiResult[T]:
        """Send `request` until it is answered or not worth another attempt, and decode the answer with `read`.

        Raise a CmaError. `read` may raise InvalidJson or NotADocument, which are retried, or ShapeError, which is not.
        """
        tries = 0
        first_try: float | None = None
        while True:
            elapsed = 0.0 if first_try is None else time.monotonic() - first_try
            try:
                async with self.rate_limiter.acquire(max_wait=self._policy.deadline - elapsed) as slot:
                    first_try = first_try or time.monotonic()
                    remaining = self._policy.deadline - (time.monotonic() - first_try)
                    outcome = await self._attempt(request, read, slot, remaining)
            except Blocked as blocked:
                outcome = Failure(
                    Kind.THROTTLED, "upstream asks all clients to wait", retry_after=blocked.seconds, status=429
                )
                raise error_of(outcome, method=request.method, request=str(request), tries=tries) from None
            if not isinstance(outcome, Failure):
                return outcome
            tries += 1
            wait = self._policy.wait(
                outcome,
                method=request.method,
                tries=tries,
                elapsed=time.monotonic() - first_try,
                random=self._random,
                answered_before=self._answered,
                max_timeouts=request.max_timeouts,
            )
            if wait is None:
                raise error_of(outcome, method=request.method, request=str(request), tries=tries)
            self.usage.retries += 1
            if wait:
                await asyncio.sleep(wait)

    async def _attempt(
        self, request: ApiRequest, read: Callable[[bytes], T], slot: Slot, seconds: float
    ) -> ApiResult[T] | Failure:
        started, started_at = time.monotonic(), time.time()
        outcome = await self._send(request, slot, seconds)
        if isinstance(outcome, Response):
            self._answered = True
            self.usage.requests += 1
            self.usage.bytes_received += outcome.size
            at = http_date(outcome.headers.get("date"))
            if at is not None:
                self.clock.observe(at, sent_at=started_at, received_at=time.time())
            announced = rate(outcome.headers)
            self.rate_limiter.answered(slot, limit=announced.limit, remaining=announced.remaining)
            meaning: ApiResult[T] | Failure | CmaError = self._read(request, read, outcome, at)
        else:
            meaning = outcome
            if outcome.was_sent:
                self.usage.requests += 1
            else:
                self.rate_limiter.unsent(slot)
        if is_throttled := isinstance(meaning, Failure) and meaning.kind is Kind.THROTTLED:
            self.usage.throttled += 1
            self.rate_limiter.throttled(slot, reset=meaning.retry_after)
        status = outcome.status if isinstance(outcome, Response) else None
        result = Result.of(status, is_throttled=is_throttled, is_valid=isinstance(meaning, ApiResult))
        self.usage.results[result] += 1
        self._report(request, outcome, meaning, time.monotonic() - started)
        if isinstance(meaning, CmaError):
            raise meaning
        return meaning

    async def _send(self, request: ApiRequest, slot: Slot, seconds: float) -> Response | Failure:
        http_request = self._http_request(request)
        try:
            async with asyncio.timeout(max(seconds, 1.0)) as limit:
                return await exchange(
                    self.http,
                    http_request,
                    on_sent=partial(self.rate_limiter.sent, slot),
                    on_answered=partial(self.rate_limiter.over, slot),
                    large=self._large_answer(limit),
                )
        except TimeoutError:
            return Failure(Kind.TIMEOUT, "no complete answer before the deadline")

    @asynccontextmanager
    async def _large_answer(self, limit: asyncio.Timeout) -> AsyncIterator[None]:
        """Read one large answer at a time, and as many as all clients may. Waiting for those is not this one's time."""
        async with self._large:
            if self._large_of_all is None:
                yield
                return
            loop, ends_at = asyncio.get_running_loop(), limit.when() or 0.0
            began = loop.time()
            limit.reschedule(None)
            self.waits_for_others = True
            try:
                await self._large_of_all.acquire()
            finally:
                self.waits_for_others = False
            try:
                limit.reschedule(ends_at + loop.time() - began)
                yield
            finally:
                self._large_of_all.release()

    def _http_request(self, request: ApiRequest) -> httpx.Request:
        """Return `request` for the transport. Nothing is computed twice that is equal in thousands of requests."""
        url = self.base_url + request.path + _query(request.params)
        headers, extensions = self._headers_of(request), {"timeout": self._timeouts}
        if request.body is not None or request.method != "GET":
            return httpx.Request(request.method, url, content=request.body, headers=headers, extensions=extensions)
        made = httpx.Request("GET", url, stream=httpx.ByteStream(b""), headers=headers, extensions=extensions)
        made.read()  # as httpx does with content
        return made

    def _headers_of(self, request: ApiRequest) -> httpx.Headers:
        headers = self._headers
        if request.environment is not None or request.body is not None:
            headers = headers.copy()
            if request.environment is not None:
                headers["X-Environment"] = request.environment
            if request.body is not None:
                headers["Content-Type"] = "application/json"
        return headers

    def _read(
        self, request: ApiRequest, read: Callable[[bytes], T], response: Response, at: datetime | None
    ) -> ApiResult[T] | Failure | CmaError:
        """Return what the answer means, decoded if it is from the API."""
        is_from_api = is_json(response.headers.get("content-type")) or response.status == 204
        if not (200 <= response.status < 300 and is_from_api):
            return interpret(response, request=str(request), now=time.time())
        request_id = response.headers.get("x-request-id")
        environment = response.headers.get("x-environment")
        if request.content and environment:
            if request.environment is not None and environment != request.environment:
                return EnvironmentChanged(
                    f"the environment {environment} answered, {request.environment} was asked",
                    request=str(request),
                    request_id=request_id,
                )
            self.last_environment = environment
        try:
            return ApiResult(read(response.body), at)
        except InvalidJson as error:
            return Failure(Kind.TORN, f"the answer is no JSON: {error}", None, response.status, None, request_id)
        except NotADocument as error:
            detail = f"the answer is no document of the API: {error}"
            return Failure(Kind.TORN, detail, None, response.status, None, request_id)
        except ShapeError as error:
            return ProtocolError(
                error.expected, request=str(request), where=error.where, status=response.status, request_id=request_id
            )

    def _report(self, request: ApiRequest, outcome: Response | Failure, meaning: object, seconds: float) -> None:
        if self._on_request is None:
            return
        failure = meaning.kind if isinstance(meaning, Failure) else None
        size = outcome.size if isinstance(outcome, Response) else 0
        self._on_request(Exchange(request.method, request.path, outcome.status, seconds, size, failure))


def checked_base_url(base_url: str) -> str:
    """Return the address of the API without a slash at its end. Raise ValueError if it is invalid."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url must be an http or https address, not {base_url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("base_url must have no user, password, query or fragment")
    return base_url.rstrip("/")


def checked_token(token: Secret) -> Secret:
    """Return the token without surrounding white space. Raise ValueError, without the token, if it is invalid."""
    value = token.reveal().strip()
    if not value:
        raise ValueError("the API token is empty")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("the API token has invalid characters: was something else pasted?")
    return Secret(value)


def path_id(id: str) -> str:
    """Return an id as a part of a path. Raise ValueError if it would be another path."""
    if not id or id in (".", ".."):
        raise ValueError(f"{id!r} is not an id")
    return quote(id, safe="")
