"""One project as it is served: headers, tokens, limits, faults and the log of requests around the handlers."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from aiohttp import web

from versionsync.simulator.api.listing import Listings
from versionsync.simulator.api.request import Jobs, Request, Response, Route
from versionsync.simulator.errors import ApiError
from versionsync.simulator.http.faults import (
    ANSWERED_INSTEAD,
    NOT_CARRIED_OUT,
    Fault,
    FaultKind,
    Faults,
    answer_instead,
    cut_off,
    distort,
    wait,
)
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.world.audit_log import NOT_AUDITED, AuditLog, action_name
from versionsync.simulator.world.blocks import BlockRecords
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.people_roles_tokens import Token
from versionsync.simulator.world.world import World

__all__ = ["REQUESTS_KEPT", "LoggedRequest", "Project", "RequestsLog", "secret_of"]

REQUESTS_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request, without its token.

    *route* is the pattern of the path, *token* the name of the API token, *size* the bytes of the answer.
    """

    at: datetime
    method: str
    path: str
    route: str
    token: str | None
    status: int
    size: int
    fault: str | None = None


class RequestsLog:
    """The latest requests, and counts of all of them."""

    def __init__(self, kept: int = REQUESTS_KEPT) -> None:
        """*kept*: how many of the latest requests are kept; each takes about 400 bytes."""
        self._latest: deque[LoggedRequest] = deque(maxlen=kept)
        self.reset()

    def reset(self) -> None:
        self._latest.clear()
        self.total = 0
        self.bytes_sent = 0
        self.by_route: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()

    def add(self, request: LoggedRequest) -> None:
        self._latest.append(request)
        self.total += 1
        self.bytes_sent += request.size
        self.by_route[f"{request.method} {request.route}"] += 1
        self.by_status[request.status] += 1

    def count(self, route: str | None = None) -> int:
        """Return the number of requests; *route*: of one pattern, such as `GET /items/{item_id}/versions`."""
        return self.total if route is None else self.by_route[route]

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(self._latest)

    def __len__(self) -> int:
        return len(self._latest)


MIN_COMPRESSED_BYTES: Final = 1024
COMPRESSION_LEVEL: Final = 1  # for a local server, time matters more than bytes
QUEUE_MILLISECONDS: Final = (2, 0, 8, -1, 4)
"""The values of `X-Queue-Time`, in turn. The clocks of two machines differ, so it can be negative."""
API_VERSIONS: Final = frozenset({"2", "3"})
_SCHEMA_PATHS: Final = ("/site", "/item-types", "/fields")
_ALLOWED_DURING_MAINTENANCE: Final = ("/maintenance-mode", *NOT_AUDITED)
"""Routes other than GET that work during maintenance: they write nothing, or end the maintenance."""
_JSON_TYPES: Final = frozenset({"application/json", "application/vnd.api+json"})
_GZIP_WINDOW_BITS: Final = 31


class Project:
    """Answers the requests about *world*."""

    def __init__(
        self,
        world: World,
        *,
        faults: Faults | None = None,
        limits: RateLimit | None = None,
        compress: bool = True,
        requests_kept: int = REQUESTS_KEPT,
    ) -> None:
        """*limits* None: no rate limit. *requests_kept*: by the log of requests."""
        self.world = world
        self.faults = faults or Faults()
        self.limits = limits
        self.requests = RequestsLog(requests_kept)
        self.jobs = Jobs(world)
        self.audit_log = AuditLog()
        self.blocks = BlockRecords()
        self.listings = Listings()
        self.compress = compress
        self._date: tuple[int, str] = (0, "")
        self._request_number = 0
        self._writes = 0

    async def handle(self, route: Route, request: web.Request) -> web.StreamResponse:
        """Answer *request*, which matches *route*."""
        began = time.monotonic()
        method, target = request.method, request.path_qs
        for act in self.faults.acts_before(method, target):
            act(self.world)
        fault = self.faults.choose(method, target)
        if fault is not None and fault.kind is FaultKind.LATE:
            await wait(fault)
        now, headers = self._begin()
        token: Token | None = None
        response = Response(b"", 503)  # what the log shows of a request whose answer is lost
        try:
            token = _authorized_token(self.world, request)
            rate = self._count(token, headers)
            if fault is not None and fault.kind is not FaultKind.LATE and not fault.after:
                await wait(fault)
                now, headers = self._begin()
                headers |= rate
            if fault is None or fault.after or fault.kind not in NOT_CARRIED_OUT:
                response = await self._answer(route, request, token, now, headers, fault)
                if fault is not None and fault.after:
                    await wait(fault)
            if fault is not None and fault.kind in ANSWERED_INSTEAD:
                response, headers = answer_instead(fault, headers)
        except ApiError as error:
            response = Response(error.document(), error.status)
        # No cache gives the answers of one environment for another's.
        where = headers.get("X-Environment", "")
        if fault is not None and 200 <= response.status < 300:
            response = distort(fault, response, self.faults, path=where + request.path, url=where + target)
        elif method == "GET" and response.status == 200:
            self.faults.remember(where + request.path, where + target, response.body)
        name, size = token.editor.name if token else None, len(response.body)
        kind = fault.kind.value if fault else None
        self.requests.add(LoggedRequest(now, method, target, route.path, name, response.status, size, kind))
        for act in self.faults.acts_after(method, target):
            act(self.world)
        if "X-Request-Id" in headers:  # a gateway's answer has none of these
            headers["X-Runtime"] = f"{time.monotonic() - began:.6f}"
            if response.status in {200, 201}:
                headers["ETag"] = f'W/"{hashlib.blake2b(response.body, digest_size=16).hexdigest()}"'
        if fault is not None and fault.kind is FaultKind.RESET:
            return await cut_off(request, response, headers)
        if fault is not None and fault.kind is FaultKind.LOST and request.transport is not None:
            request.transport.abort()
        return self._response(request, response, headers)

    async def _answer(
        self,
        route: Route,
        request: web.Request,
        token: Token,
        now: datetime,
        headers: dict[str, str],
        fault: Fault | None,
    ) -> Response:
        _check_headers(request)
        environment = _accessible_environment(self.world, request, token, now)
        headers["X-Environment"] = environment.id
        if fault is not None and request.method == "GET":
            environment = _earlier(fault, environment, request.path)
        body = await request.read() if request.can_read_body else b""
        api_request = Request(
            self,
            environment,
            token,
            request.method,
            request.path,
            request.match_info,
            request.query,
            body,
            now,
            f"{request.scheme}://{request.host}",
        )
        writes = request.method != "GET" and not route.path.startswith(_ALLOWED_DURING_MAINTENANCE)
        if self.world.maintenance_mode and writes:
            status = self.world.options.maintenance_status
            raise ApiError("MAINTENANCE_MODE", status, reason="writes wait until the maintenance ends")
        if writes and not request.path.startswith("/environments"):
            self._check_writable(environment)
        response = route.handler(api_request)
        self._writes += writes and not request.path.endswith("/validate")
        if request.method != "GET" and route.path not in NOT_AUDITED:
            self.audit_log.add(
                self.world.now(),
                action=action_name(request.method, route.path),
                actor=token.editor,
                role=token.role,
                environment=environment.id,
                is_primary=environment.is_primary,
                method=request.method,
                path=request.path,
                request_id=headers["X-Request-Id"],
                request=body,
                status=response.status,
                response=response.body,
            )
        return response

    def _check_writable(self, environment: Environment) -> None:
        """Raise ApiError if *environment* is in read-only mode, or the quota of writes is used up."""
        options = self.world.options
        if environment.is_read_only:
            raise ApiError("ENVIRONMENT_IN_READ_ONLY_MODE", options.read_only_status, environment=environment.id)
        if options.max_writes is not None and self._writes >= options.max_writes:
            raise ApiError(options.max_writes_code, limit=options.max_writes)

    def _count(self, token: Token, headers: dict[str, str]) -> dict[str, str]:
        """Count a request that has arrived, and return its rate headers."""
        if self.limits is None:
            return {}
        allowance = self.limits.take(token.secret)
        rate = allowance.headers()
        headers |= rate
        if allowance.is_refused:
            raise ApiError("RATE_LIMIT_EXCEEDED", 429, transient=True)
        return rate

    def _begin(self) -> tuple[datetime, dict[str, str]]:
        """Return the time, and the headers of an answer at this time."""
        self.world.tick()
        now = self.world.clock.now()
        return now, self._headers(now)

    def _headers(self, now: datetime) -> dict[str, str]:
        second = int(now.timestamp())
        if self._date[0] != second:
            self._date = (second, format_datetime(now, usegmt=True))
        return {
            "Content-Type": "application/json; charset=utf-8",
            "Date": self._date[1],
            "Server": "versionsync simulator",
            "X-Api-Version": "3",
            "X-Request-Id": self._new_request_id(),
            "X-Queue-Time": f"{QUEUE_MILLISECONDS[self._request_number % len(QUEUE_MILLISECONDS)]}ms",
            "Cf-Ray": f"{self._request_number:016x}-SIM",
            "Cache-Control": "max-age=0, private, must-revalidate",
        }

    def _new_request_id(self) -> str:
        self._request_number += 1
        return f"simulated-{self._request_number:08d}"

    def _response(self, request: web.Request, response: Response, headers: Mapping[str, str]) -> web.Response:
        body = response.body
        answer = web.Response(body=body or None, status=response.status, headers=headers)
        if self.compress and len(body) >= MIN_COMPRESSED_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
            packer = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP_WINDOW_BITS)
            answer.body = packer.compress(body) + packer.flush()
            answer.headers["Content-Encoding"] = "gzip"
            answer.headers["Vary"] = "Accept-Encoding"
        return answer


def _earlier(fault: Fault, environment: Environment, path: str) -> Environment:
    """Return the environment as it was earlier, if *fault* needs an old answer."""
    match fault.kind:
        case FaultKind.OLD_SCHEMA if path.startswith(_SCHEMA_PATHS):  # how records look is no part of the schema
            return environment.previous_schema or environment
        case FaultKind.LAGGING:
            return environment.lagging(fault.records)
        case _:
            return environment


def _check_headers(request: web.Request) -> None:
    accept = request.headers.get("Accept", "")  # upstream takes neither a missing one nor `*/*`
    if not any(type in accept for type in _JSON_TYPES):
        raise ApiError("INVALID_ACCEPT_HEADER", 406, accept=accept)
    version = request.headers.get("X-Api-Version", "3")
    if version not in API_VERSIONS:
        raise ApiError("INVALID_API_VERSION", 400, version=version)
    if request.can_read_body and request.content_type not in _JSON_TYPES:
        raise ApiError("INVALID_CONTENT_TYPE_HEADER", 415, content_type=request.content_type)


def secret_of(request: web.Request) -> str | None:
    """Return the API token of *request*: empty if it has another form, None if there is no header."""
    if "Authorization" not in request.headers:
        return None
    scheme, _, secret = request.headers["Authorization"].partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _authorized_token(world: World, request: web.Request) -> Token:
    """Return the token of a request, and note its use. Raise ApiError if there is none, or it may not use the API."""
    secret = secret_of(request)
    if secret is None:
        raise ApiError("INVALID_SITE", 401)
    token = world.people.tokens.get(secret)
    if token is None:
        raise ApiError("INVALID_AUTHORIZATION_HEADER", 401)
    if not token.can_access_cma:
        raise ApiError("INSUFFICIENT_PERMISSIONS", 401, ability="can_access_cma")
    world.people.last_used[token.editor.id] = world.clock.now()
    return token


def _accessible_environment(world: World, request: web.Request, token: Token, now: datetime) -> Environment:
    """Return the environment of a request. Raise ApiError if the role may not use it, or it is not ready."""
    environment = world.environment(request.headers.get("X-Environment"))
    if not token.role.may_use(environment.is_primary):
        raise ApiError("INSUFFICIENT_PERMISSIONS", 401, ability="environments_access", environment=environment.id)
    if not request.path.startswith("/environments"):
        environment.check_ready(now)
    return environment
