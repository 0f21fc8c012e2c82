"""One request from its first try to its last: pace, send, judge, wait, try again, count.

A session is what all clients of one project share: connections, governor, counters, and what was learned on the way.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

import httpx

from versionsync.cma.errors import CmaError, EnvironmentChanged, ProtocolError
from versionsync.cma.jsonapi import InvalidJson, NotADocument, ShapeError
from versionsync.cma.pacing import Slot
from versionsync.cma.rate_limiter import Blocked, RateLimiter
from versionsync.cma.responses import Response, error_of, is_json, judge, rate
from versionsync.cma.retry import Failure, Kind, Policy
from versionsync.cma.times import http_date
from versionsync.cma.transport import Timeouts, exchange
from versionsync.cma.unpacking import ACCEPTED
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
]


class Result(StrEnum):
    """How one try ended."""

    OK = "ok"
    """An answer that was understood."""
    THROTTLED = "throttled"
    """429: slower."""
    REFUSED = "refused"
    """Any other 4xx; also a 404 for a record that has gone, which is how that is proven."""
    ERROR = "error"
    """5xx, or an answer that makes no sense."""
    NO_ANSWER = "no_answer"
    """The network: not connected, cut off, or too late."""

    @classmethod
    def of(cls, status: int | None, *, is_throttled: bool, is_understood: bool) -> Result:
        """The result of a try that was answered with `status`; None: with nothing."""
        if status is None:
            return cls.NO_ANSWER
        if is_throttled:
            return cls.THROTTLED
        if is_understood:
            return cls.OK
        return cls.REFUSED if 300 <= status < 500 else cls.ERROR


@dataclass(slots=True)
class Usage:
    """Counters that only rise. Every try counts as a request, as it does upstream; bytes are those on the wire.

    `results` counts also the tries that never left, since there was no connection.
    """

    requests: int = 0
    throttled: int = 0
    retries: int = 0
    bytes_received: int = 0
    results: Counter[Result] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One try, for logs and metrics: never a query, a token or content. `status` is None when no answer came."""

    method: str
    path: str
    status: int | None
    seconds: float
    bytes: int
    failure: str | None = None


class ClockOffset:
    """Narrows down how far upstream's clock is ahead of ours.

    A `Date` of 10:00:05 means that it was between 10:00:05 and 10:00:06 there, at some moment between sending and
    receiving here. Each answer bounds the offset from both sides; the bounds of many answers meet within milliseconds.
    """

    def __init__(self) -> None:
        self._low = float("-inf")
        self._high = float("inf")

    def observe(self, date: datetime, *, sent_at: float, received_at: float) -> None:
        """One answer: `sent_at` and `received_at` are ours, in seconds since the epoch."""
        low = date.timestamp() - received_at
        high = date.timestamp() + 1.0 - sent_at
        if low > high:  # our own clock was set while the request was under way
            return
        if max(low, self._low) <= min(high, self._high):
            self._low, self._high = max(low, self._low), min(high, self._high)
        else:  # one of the clocks was set, or drifted: what was known before is over
            self._low, self._high = low, high

    @property
    def seconds(self) -> float | None:
        """Upstream's time minus ours; None until an answer told."""
        return None if self._low == float("-inf") else (self._low + self._high) / 2


T = TypeVar("T")

API_VERSION: Final = "3"
# Of these parameters errors show the values too; those of others may be content.
_TELLING: Final = frozenset({"page[offset]", "page[limit]", "version", "nested", "include", "order_by", "filter[type]"})


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What is asked. `environment` is None for the primary one.

    `content` is true for what belongs to an environment: only there the environment that answered must be the one that
    was asked. `most_timeouts` limits the tries of what may be too large to be answered in time.
    """

    path: str
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)
    environment: str | None = None
    content: bool = True
    most_timeouts: int | None = None

    def __str__(self) -> str:
        query = "&".join(f"{name}={value if name in _TELLING else '…'}" for name, value in self.params)
        return f"{self.method} {self.path}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class ApiResult(Generic[T]):
    """A decoded answer, and upstream's clock when it was given."""

    value: T
    at: datetime | None


class ApiSession:
    """Connections, governor and counters of one project. See `Client` for the arguments."""

    def __init__(
        self,
        base_url: str,
        token: Secret,
        *,
        http: httpx.AsyncBaseTransport,
        governor: RateLimiter,
        user_agent: str,
        timeouts: Timeouts,
        policy: Policy,
        on_request: Callable[[Exchange], None] | None,
    ) -> None:
        self.base_url = base_url
        self.http = http
        self.governor = governor
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
                "User-Agent": user_agent,
            }
        )
        self._policy = policy
        self._on_request = on_request
        self._random = random.Random()  # noqa: S311 - jitter
        self._answered = False
        self._large = asyncio.Lock()

    async def send(self, call: ApiRequest, read: Callable[[bytes], T]) -> ApiResult[T]:
        """Send `call` until it is answered or not worth another try, and decode the answer with `read`.

        Raises a CmaError. `read` may raise InvalidJson or NotADocument, which are worth another try, or ShapeError,
        which is not.
        """
        tries = 0
        first_try: float | None = None
        while True:
            elapsed = 0.0 if first_try is None else time.monotonic() - first_try
            try:
                async with self.governor.acquire(patience=self._policy.deadline - elapsed) as slot:
                    first_try = first_try or time.monotonic()
                    left = self._policy.deadline - (time.monotonic() - first_try)
                    outcome = await self._attempt(call, read, slot, left)
            except Blocked as held:
                outcome = Failure(
                    Kind.THROTTLED, "upstream asks everybody to wait", retry_after=held.seconds, status=429
                )
                raise error_of(outcome, method=call.method, request=str(call), tries=tries) from None
            if not isinstance(outcome, Failure):
                return outcome
            tries += 1
            wait = self._policy.wait(
                outcome,
                method=call.method,
                tries=tries,
                elapsed=time.monotonic() - first_try,
                random=self._random,
                answered_before=self._answered,
                most_timeouts=call.most_timeouts,
            )
            if wait is None:
                raise error_of(outcome, method=call.method, request=str(call), tries=tries)
            self.usage.retries += 1
            if wait:
                await asyncio.sleep(wait)

    async def _attempt(
        self, call: ApiRequest, read: Callable[[bytes], T], slot: Slot, seconds: float
    ) -> ApiResult[T] | Failure:
        started, started_at = time.monotonic(), time.time()
        outcome = await self._send(call, slot, seconds)
        if isinstance(outcome, Response):
            self._answered = True
            self.usage.requests += 1
            self.usage.bytes_received += outcome.size
            at = http_date(outcome.headers.get("date"))
            if at is not None:
                self.clock.observe(at, sent_at=started_at, received_at=time.time())
            told = rate(outcome.headers)
            self.governor.answered(slot, limit=told.limit, remaining=told.remaining)
            verdict: ApiResult[T] | Failure | CmaError = self._read(call, read, outcome, at)
        else:
            verdict = outcome
            if outcome.was_sent:
                self.usage.requests += 1
            else:
                self.governor.unsent(slot)
        if is_throttled := isinstance(verdict, Failure) and verdict.kind is Kind.THROTTLED:
            self.usage.throttled += 1
            self.governor.throttled(slot, reset=verdict.retry_after)
        status = outcome.status if isinstance(outcome, Response) else None
        result = Result.of(status, is_throttled=is_throttled, is_understood=isinstance(verdict, ApiResult))
        self.usage.results[result] += 1
        self._report(call, outcome, verdict, time.monotonic() - started)
        if isinstance(verdict, CmaError):
            raise verdict
        return verdict

    async def _send(self, call: ApiRequest, slot: Slot, seconds: float) -> Response | Failure:
        request = httpx.Request(
            call.method,
            self.base_url + call.path,
            params=call.params or None,
            content=call.body,
            headers=self._headers_of(call),
            extensions={"timeout": self._timeouts},
        )
        try:
            async with asyncio.timeout(max(seconds, 1.0)):
                return await exchange(
                    self.http,
                    request,
                    on_sent=partial(self.governor.sent, slot),
                    on_answered=partial(self.governor.over, slot),
                    large=self._large,
                )
        except TimeoutError:
            return Failure(Kind.TIMEOUT, "no complete answer before the deadline")

    def _headers_of(self, call: ApiRequest) -> httpx.Headers:
        headers = self._headers
        if call.environment is not None or call.body is not None:
            headers = headers.copy()
            if call.environment is not None:
                headers["X-Environment"] = call.environment
            if call.body is not None:
                headers["Content-Type"] = "application/json"
        return headers

    def _read(
        self, call: ApiRequest, read: Callable[[bytes], T], answer: Response, at: datetime | None
    ) -> ApiResult[T] | Failure | CmaError:
        """What the answer means, decoded if it is one of the API."""
        of_api = is_json(answer.headers.get("content-type")) or answer.status == 204
        if not (200 <= answer.status < 300 and of_api):
            return judge(answer, request=str(call), now=time.time())
        request_id = answer.headers.get("x-request-id")
        environment = answer.headers.get("x-environment")
        if call.content and environment:
            if call.environment is not None and environment != call.environment:
                return EnvironmentChanged(
                    f"the environment {environment} answered, {call.environment} was asked",
                    request=str(call),
                    request_id=request_id,
                )
            self.last_environment = environment
        try:
            return ApiResult(read(answer.body), at)
        except InvalidJson as error:
            return Failure(Kind.TORN, f"the answer is no JSON: {error}", None, answer.status, None, request_id)
        except NotADocument as error:
            detail = f"the answer is no document of the API: {error}"
            return Failure(Kind.TORN, detail, None, answer.status, None, request_id)
        except ShapeError as error:
            return ProtocolError(
                error.expected, request=str(call), where=error.where, status=answer.status, request_id=request_id
            )

    def _report(self, call: ApiRequest, outcome: Response | Failure, verdict: object, seconds: float) -> None:
        if self._on_request is None:
            return
        failure = verdict.kind if isinstance(verdict, Failure) else None
        size = outcome.size if isinstance(outcome, Response) else 0
        self._on_request(Exchange(call.method, call.path, outcome.status, seconds, size, failure))


def checked_base_url(base_url: str) -> str:
    """The address of the API without a slash at its end; ValueError when it cannot be one."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"base_url must be an http or https address, not {base_url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("base_url must hold no user, password, query or fragment")
    return base_url.rstrip("/")


def checked_token(token: Secret) -> Secret:
    """The token without white space around it; ValueError, without the token in it, when no token looks like this."""
    value = token.reveal().strip()
    if not value:
        raise ValueError("the API token is empty")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("the API token holds characters that no token has: was something else pasted?")
    return Secret(value)
