"""The daemon's own server: whether it lives, whether all is well, metrics, status. It listens on loopback by default.

It runs in the daemon's event loop, so that it answers exactly as long as the daemon itself does its work.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CONTENT_TYPE_LATEST
from structlog.typing import FilteringBoundLogger

from versionsync.daemon.errors import CannotListen
from versionsync.daemon.http.client import reachable, url_of
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.http.page import page
from versionsync.daemon.http.status import PROGRAM, identity, status
from versionsync.daemon.listener import Limits, Listener, bind, max_connections
from versionsync.daemon.readiness import reasons
from versionsync.daemon.state import WorkerState

__all__ = ["App", "serving"]

SHUTDOWN_SECONDS: Final = 0.2
ASK_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 2.0
"""So long the rest of a body is waited for that nobody reads, so that its sender sees our answer."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}


class App:
    """What is answered to whom. `hanging` names what does not get on, `redact` masks secrets in errors, `receiver`
    answers the calls of webhooks.
    """

    def __init__(
        self,
        states: Callable[[], Mapping[str, WorkerState]],
        metrics: Metrics,
        *,
        redact: Callable[[str], str],
        hanging: Callable[[], Sequence[str]] = tuple,
        receiver: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None,
    ) -> None:
        self._states = states
        self._metrics = metrics
        self._redact = redact
        self._hanging = hanging
        self._started_at = datetime.now(UTC)
        self.listener: Listener | None = None
        self.web = web.Application(middlewares=[self._under_way, _with_headers])
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

    @web.middleware
    async def _under_way(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
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
        hanging = self._hanging()
        return _json(identity() | {"hanging": hanging}, status=503 if hanging else 200)

    async def _readyz(self, _: web.Request) -> web.StreamResponse:
        found = [self._redact(reason) for reason in reasons(self._states().values(), datetime.now(UTC))]
        return _json({"ready": not found, "reasons": found}, status=503 if found else 200)

    async def _metrics_text(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        told = status(self._states(), started_at=self._started_at, now=datetime.now(UTC), redact=self._redact)
        if request.query.get("format") != "json" and "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=page(told), content_type="text/html", charset="utf-8")
        return _json(told)


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
    """Answer on `host` and `port` (0: a free one) while the block runs; the value is the URL.

    `inherited` is a socket that listens already, and is used instead. `limits` are those of its connections (None: as
    this process has descriptors). Raises CannotListen.
    """
    runner = web.AppRunner(
        app.web,
        access_log=None,
        logger=_ServerLog(log),
        shutdown_timeout=SHUTDOWN_SECONDS,
        lingering_time=LINGER_SECONDS,
        auto_decompress=False,  # what DatoCMS sends is not packed, and nobody else need be unpacked
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
            raise await _why(error, host, port) from error
        try:
            url = url_of(*sockets[0].getsockname()[:2])
            log.info("http.listening", url=url)
            yield url
        finally:
            await listener.stop()
    finally:
        await runner.cleanup()


class _ServerLog(logging.Logger):
    """The log of aiohttp's server. What strangers send is no error of ours; faults go where those of libraries go."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__("versionsync.http")
        self._ours = log

    def handle(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._ours.debug("http.malformed", reason=f"{type(error).__name__}: {error.message}"[:200])
        else:
            logging.getLogger("aiohttp.server").handle(record)


async def _why(error: OSError | UnicodeError, host: str, port: int) -> CannotListen:
    """What is wrong with the address, and what to do about it."""
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror | UnicodeError):
        return CannotListen(f"there is no address {host}", hint="Set [http] host to an address of this machine.")
    if code == errno.EADDRINUSE:
        if pid := await _ours(host, port):
            return CannotListen(
                f"another versionsync (process {pid}) is running here already, and listens on {url_of(host, port)}",
                hint="Stop that one; or, for a second one that stands by, set [http] port to another one (0: any).",
            )
        return CannotListen(
            f"another program listens on {url_of(host, port)} already",
            hint="Set [http] port, or VERSIONSYNC_HTTP_PORT, to another one; 0 takes any that is free.",
        )
    if code in (errno.EACCES, errno.EPERM):
        return CannotListen(
            f"this user may not listen on port {port} of {host}", hint="Set [http] port to one of 1024 or more."
        )
    if code == errno.EADDRNOTAVAIL:
        return CannotListen(
            f"this machine has no address {host}", hint="Set [http] host to 127.0.0.1, or to an address that it has."
        )
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return CannotListen(f"cannot listen on {url_of(host, port)}: {reason}", hint="Check [http] host and port.")


async def _ours(host: str, port: int) -> int | None:
    """The process of the versionsync that has the port; None: it is another program, or does not say."""
    host = reachable(host)
    try:
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url_of(host, port)}/livez") as answer:
            told = msgspec.json.decode(await answer.content.read(4096))
    except (TimeoutError, aiohttp.ClientError, msgspec.DecodeError, OSError):
        return None
    return told.get("pid") if isinstance(told, dict) and told.get("program") == PROGRAM else None


def _json(value: Mapping[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")


@web.middleware
async def _with_headers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as answer:
        answer.headers.update(_HEADERS)
        raise
    response.headers.update(_HEADERS)
    return response
