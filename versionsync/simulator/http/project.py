"""One project as it is served: headers, tokens, limits and faults around the handlers of the routes."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from aiohttp import web

from versionsync.simulator.api.environments import may_access
from versionsync.simulator.api.jobs import Jobs
from versionsync.simulator.api.request import Request, Response, Route, Services
from versionsync.simulator.errors import ApiError
from versionsync.simulator.http.fault_answers import ANSWERED_INSTEAD, answer_instead, cut_off, distort, wait
from versionsync.simulator.http.faults import Fault, FaultKind, Faults
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.http.requests_log import REQUESTS_KEPT, LoggedRequest, RequestsLog
from versionsync.simulator.world.audit_log import NOT_AUDITED, AuditLog, action_name
from versionsync.simulator.world.blocks import BlockRecords
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.people import Token
from versionsync.simulator.world.world import World

__all__ = ["Project", "secret_of"]

SMALLEST_COMPRESSED_BYTES: Final = 1024
COMPRESSION_LEVEL: Final = 1  # a local server's time is dearer than its bytes
QUEUE_MILLISECONDS: Final = (2, 0, 8, -1, 4)
"""What `X-Queue-Time` says, in turn: the clocks of two machines differ, so it can be negative."""
API_VERSIONS: Final = frozenset({"2", "3"})
_SCHEMA_PATHS: Final = ("/site", "/item-types", "/fields")
_GO_ON: Final = ("/maintenance-mode", "/items/validate", "/items/{item_id}/validate", "/audit-log-events/query")
"""What goes on during maintenance although it is no GET: it writes nothing, or ends the maintenance."""
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
        """*limits* None: no rate limit at all. *requests_kept*: by the log of requests."""
        self.world = world
        self.faults = faults or Faults()
        self.limits = limits
        self.requests = RequestsLog(requests_kept)
        self.jobs = Jobs(world)
        self.audit_log = AuditLog()
        self._services = Services(self.jobs, self.faults, self.requests, BlockRecords(), self.audit_log)
        self.compress = compress
        self._date: tuple[int, str] = (0, "")
        self._request_number = 0

    async def handle(self, route: Route, request: web.Request) -> web.StreamResponse:
        """Answer *request*, which *route* matches."""
        began = time.monotonic()
        method, target = request.method, request.path_qs
        fault = self.faults.choose(method, target)
        if fault is not None and fault.kind is FaultKind.LATE:
            await wait(fault)
        now, headers = self._moment()
        token: Token | None = None
        try:
            token = self._token(request)
            rate = self._count(token, headers)
            if fault is not None and fault.kind is not FaultKind.LATE:
                await wait(fault)
                now, headers = self._moment()
                headers |= rate
            if fault is not None and fault.kind in ANSWERED_INSTEAD:
                reply, headers = answer_instead(fault, headers)
            else:
                reply = await self._answer(route, request, token, now, headers, fault)
        except ApiError as refused:
            reply = Response(refused.document(), refused.status)
        where = headers.get("X-Environment", "")  # no cache gives the answers of one environment for another's
        if fault is not None and 200 <= reply.status < 300:
            reply = distort(fault, reply, self.faults, path=where + request.path, url=where + target)
        elif method == "GET" and reply.status == 200:
            self.faults.remember(where + request.path, where + target, reply.body)
        name = token.editor.name if token else None
        self.requests.add(
            LoggedRequest(
                now,
                method,
                target,
                route.path,
                name,
                reply.status,
                len(reply.body),
                fault.kind.value if fault else None,
            )
        )
        for act in self.faults.acts_after(method, target):
            act(self.world)
        if "X-Request-Id" in headers:  # a gateway adds none of these
            headers["X-Runtime"] = f"{time.monotonic() - began:.6f}"
            if reply.status in {200, 201}:
                headers["ETag"] = f'W/"{hashlib.blake2b(reply.body, digest_size=16).hexdigest()}"'
        if fault is not None and fault.kind is FaultKind.RESET:
            return await cut_off(request, reply, headers)
        return self._response(request, reply, headers)

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
        environment = self._environment(request, token, now)
        headers["X-Environment"] = environment.id
        if fault is not None and request.method == "GET":
            environment = _of_earlier(fault, environment, request.path)
        call = Request(
            self.world,
            environment,
            token,
            request.method,
            request.path,
            request.match_info,
            request.query,
            await request.read() if request.can_read_body else b"",
            now,
            self._services,
            f"{request.scheme}://{request.host}",
        )
        if self.world.maintenance_mode and request.method != "GET" and not route.path.startswith(_GO_ON):
            status = self.world.options.maintenance_status
            raise ApiError("MAINTENANCE_MODE", status, details={"reason": "writes wait until the maintenance is over"})
        reply = route.handler(call)
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
                request=call.body,
                status=reply.status,
                response=reply.body,
            )
        return reply

    def _token(self, request: web.Request) -> Token:
        secret = secret_of(request)
        if secret is None:
            raise ApiError("INVALID_SITE", 401)
        token = self.world.people.tokens.get(secret)
        if token is None:
            raise ApiError("INVALID_AUTHORIZATION_HEADER", 401)
        if not token.can_access_cma:
            raise ApiError("INSUFFICIENT_PERMISSIONS", 401, details={"ability": "can_access_cma"})
        self.world.people.last_used[token.editor.id] = self.world.clock.now()
        return token

    def _count(self, token: Token, headers: dict[str, str]) -> dict[str, str]:
        """Count a request that has arrived; returns the headers that tell of it."""
        if self.limits is None:
            return {}
        allowance = self.limits.take(token.secret)
        rate = allowance.headers()
        headers |= rate
        if allowance.is_refused:
            raise ApiError("RATE_LIMIT_EXCEEDED", 429, transient=True)
        return rate

    def _environment(self, request: web.Request, token: Token, now: datetime) -> Environment:
        environment = self.world.environment(request.headers.get("X-Environment"))
        if not may_access(token.role.final_environments_access, environment):
            details = {"ability": "environments_access", "environment": environment.id}
            raise ApiError("INSUFFICIENT_PERMISSIONS", 401, details=details)
        if not request.path.startswith("/environments"):
            environment.demand_ready(now)
        return environment

    def _moment(self) -> tuple[datetime, dict[str, str]]:
        """What time it is, and the headers of an answer that is given now."""
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

    def _response(self, request: web.Request, reply: Response, headers: Mapping[str, str]) -> web.Response:
        body = reply.body
        response = web.Response(body=body or None, status=reply.status, headers=headers)
        if (
            self.compress
            and len(body) >= SMALLEST_COMPRESSED_BYTES
            and "gzip" in request.headers.get("Accept-Encoding", "")
        ):
            packer = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP_WINDOW_BITS)
            response.body = packer.compress(body) + packer.flush()
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Vary"] = "Accept-Encoding"
        return response


def secret_of(request: web.Request) -> str | None:
    """The API token that *request* shows: empty where it is none at all, None where there is no such header."""
    if "Authorization" not in request.headers:
        return None
    scheme, _, secret = request.headers["Authorization"].partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _of_earlier(fault: Fault, environment: Environment, path: str) -> Environment:
    """The environment as it was before, where *fault* wants the answer to be old."""
    match fault.kind:
        case FaultKind.OLD_SCHEMA if path.startswith(_SCHEMA_PATHS):  # how records look is no part of the schema
            return environment.former_schema or environment
        case FaultKind.LAGGING:
            return environment.lagging(fault.records)
        case _:
            return environment


def _check_headers(request: web.Request) -> None:
    accept = request.headers.get("Accept", "")  # upstream takes neither a missing one nor `*/*`
    if not any(type in accept for type in _JSON_TYPES):
        raise ApiError("INVALID_ACCEPT_HEADER", 406, details={"accept": accept})
    version = request.headers.get("X-Api-Version", "3")
    if version not in API_VERSIONS:
        raise ApiError("INVALID_API_VERSION", 400, details={"version": version})
    if request.can_read_body and request.content_type not in _JSON_TYPES:
        raise ApiError("INVALID_CONTENT_TYPE_HEADER", 415, details={"content_type": request.content_type})
