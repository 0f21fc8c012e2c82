"""The daemon's server: liveness, readiness, metrics and status. It listens on loopback by default.

It runs in the daemon's event loop, so that it answers exactly as long as the daemon does its work.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CONTENT_TYPE_LATEST
from structlog.typing import FilteringBoundLogger

from versionsync.daemon.errors import CannotListen
from versionsync.daemon.http.health_client import reachable, url_of
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.http.page import page
from versionsync.daemon.http.status import (
    PROGRAM,
    REASONS,
    SHOWN,
    Selection,
    identity,
    reasons,
    status,
    survey,
)
from versionsync.daemon.http_listener import Limits, Listener, bind, max_connections
from versionsync.daemon.worker_state import WorkerState
from versionsync.status.ranking import HealthState
from versionsync.status.snapshot import ActivityReader
from versionsync.text import count

__all__ = ["App", "serving"]

SHUTDOWN_SECONDS: Final = 0.2
ASK_SECONDS: Final = 1.0
LIMIT_DIGITS: Final = 6
LINGER_SECONDS: Final = 2.0
"""How long the unread rest of a body may take, so that its sender sees the response."""

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


class App:
    """Answers requests.

    Args:
        states: Returns the state of each source.
        metrics: The metrics.
        redact: Masks secrets in errors.
        stuck: Returns the activities that are stuck.
        receiver: Answers the calls of webhooks.
        activity: Reads what `/status` shows from the database.
    """

    def __init__(
        self,
        states: Callable[[], Mapping[str, WorkerState]],
        metrics: Metrics,
        *,
        redact: Callable[[str], str],
        stuck: Callable[[], Sequence[str]] = tuple,
        receiver: Handler | None = None,
        activity: ActivityReader | None = None,
    ) -> None:
        self._states = states
        self._metrics = metrics
        self._redact = redact
        self._stuck = stuck
        self._activity = activity
        self._started_at = datetime.now(UTC)
        self.listener: Listener | None = None
        self.web = web.Application(middlewares=[self._in_progress, _with_headers])
        self.web.add_routes(
            [
                web.get("/", self._home),
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics_text),
                web.get("/status", self._status),
            ]
        )
        if receiver is not None:
            self.web.router.add_post("/webhooks/{source}", receiver)

    async def close(self) -> None:
        """End the reads of the database."""
        if self._activity is not None:
            await self._activity.close()

    @web.middleware
    async def _in_progress(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.listener is None:
            return await handler(request)
        with self.listener.answering(request.transport):
            response = await handler(request)
            if self.listener.is_crowded:
                response.force_close()
            return response

    async def _home(self, _: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/status")

    async def _livez(self, _: web.Request) -> web.StreamResponse:
        stuck = self._stuck()
        return _json(identity() | {"hanging": stuck}, status=503 if stuck else 200)

    async def _readyz(self, _: web.Request) -> web.StreamResponse:
        found = reasons(self._states(), datetime.now(UTC))
        named = [self._redact(reason) for reason in found[:REASONS]]
        if len(found) > REASONS:
            named.append(f"and {count(len(found) - REASONS, 'more source')}")
        return _json({"ready": not found, "reasons": named}, status=503 if found else 200)

    async def _metrics_text(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=await self._metrics.read(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        found = survey(self._states(), datetime.now(UTC), _selection(request))
        names = [state.name for state in found.shown]
        activity = {} if self._activity is None else await self._activity.read(names)
        fields = status(found, started_at=self._started_at, redact=self._redact, activity=activity)
        if request.query.get("format") != "json" and "text/html" in request.headers.get("Accept", ""):
            return web.Response(
                text=page(fields, finds="find" in request.query), content_type="text/html", charset="utf-8"
            )
        return _json(fields)


def _selection(request: web.Request) -> Selection:
    """Return which sources a request asks for. Raises HTTPBadRequest, which says what is wrong."""
    query = request.query
    limit, states = query.get("limit", str(SHOWN)), [text for text in query.getall("state", []) if text]
    if unknown := [text for text in states if text not in set(HealthState)]:
        known = ", ".join(HealthState)
        raise web.HTTPBadRequest(text=f"there is no state {unknown[0]!r}; there are: {known}\n")
    if not limit.isascii() or not limit.isdigit() or len(limit) > LIMIT_DIGITS:
        raise web.HTTPBadRequest(text="limit must be a whole number, 0 or more\n")
    patterns = [text.strip() for text in query.getall("source", []) if text.strip()]
    return Selection(states=[HealthState(text) for text in states], patterns=patterns, limit=int(limit))


@asynccontextmanager
async def serving(
    app: App,
    *,
    host: str,
    port: int,
    log: FilteringBoundLogger,
    inherited: socket.socket | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[str]:
    """Answer requests while the block runs, and yield the URL. Raises CannotListen.

    Args:
        app: Answers the requests.
        host: The address to listen on.
        port: The port to listen on; 0: any free one.
        log: The log.
        inherited: A socket that listens already, to be used instead.
        limits: The limits of connections; None: they follow from the descriptors of this process.
    """
    runner = web.AppRunner(
        app.web,
        access_log=None,
        logger=_ServerLog(log),
        shutdown_timeout=SHUTDOWN_SECONDS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,  # DatoCMS does not compress its calls
    )
    await runner.setup()
    assert runner.server is not None
    try:
        try:
            sockets = [inherited] if inherited else await bind(host, port)
            limits = limits or Limits(connections=max_connections())
            listener = app.listener = Listener(sockets, runner.server, limits=limits, log=log)
            listener.start()
        except (OSError, UnicodeError) as error:
            raise await _cannot_listen(error, host, port) from error
        try:
            url = url_of(*sockets[0].getsockname()[:2])
            log.info("http.listening", url=url)
            yield url
        finally:
            await listener.stop()
            await app.close()
    finally:
        await runner.cleanup()


class _ServerLog(logging.Logger):
    """The log of aiohttp's server. Malformed requests are not errors; bugs go to the log of libraries."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__("versionsync.http")
        self._events = log

    def handle(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._events.debug("http.malformed", reason=f"{type(error).__name__}: {error.message}"[:200])
        else:
            logging.getLogger("aiohttp.server").handle(record)


async def _cannot_listen(error: OSError | UnicodeError, host: str, port: int) -> CannotListen:
    """Return what is wrong with the address, and what to do about it."""
    code, url = getattr(error, "errno", None), url_of(host, port)
    reason = error.strerror if isinstance(error, OSError) else str(error)
    what, hint = f"cannot listen on {url}: {reason}", "Check [http] host and port."
    if isinstance(error, socket.gaierror | UnicodeError):
        what, hint = f"there is no address {host}", "Set [http] host to an address of this machine."
    elif code == errno.EADDRINUSE and (pid := await _other_daemon(host, port)):
        what = f"another versionsync (process {pid}) already listens on {url}"
        hint = "Stop that one. For a standby beside it, set [http] port to another port (0: any)."
    elif code == errno.EADDRINUSE:
        what = f"another program already listens on {url}"
        hint = "Set [http] port, or VERSIONSYNC_HTTP_PORT, to another port; 0 takes any free one."
    elif code in (errno.EACCES, errno.EPERM):
        what, hint = f"this user may not listen on port {port} of {host}", "Set [http] port to 1024 or more."
    elif code == errno.EADDRNOTAVAIL:
        what, hint = f"this machine has no address {host}", "Set [http] host to 127.0.0.1, or to one that it has."
    return CannotListen(what, hint=hint)


async def _other_daemon(host: str, port: int) -> int | None:
    """Return the process of the versionsync that has the port; None: it is another program, or does not answer."""
    host = reachable(host)
    try:
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url_of(host, port)}/livez") as answer:
            fields = msgspec.json.decode(await answer.content.read(4096))
    except (TimeoutError, aiohttp.ClientError, msgspec.DecodeError, OSError):
        return None
    return fields.get("pid") if isinstance(fields, dict) and fields.get("program") == PROGRAM else None


def _json(value: Mapping[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")


@web.middleware
async def _with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        answer.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response
