"""Accepts the connections of the daemon's server, and limits their number and duration.

Any client that reaches the port may open connections and send nothing, or half a request. aiohttp waits for them
without end, and each takes a file descriptor that a request to DatoCMS or the database needs. The number of
connections is therefore limited, and each step of one has a time limit. When the limit is reached, a new connection
replaces the one that has waited longest without a request. A client that sends its request at once gets an answer,
even while another client holds all connections open.

Connections are accepted here, one at a time. asyncio's own loop logs a hundred errors a second, each with a traceback,
once the process has no descriptor left.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, cast

from structlog.typing import FilteringBoundLogger

__all__ = ["Limits", "Listener", "bind", "max_connections"]

MAX_CONNECTIONS: Final = 100
MIN_CONNECTIONS: Final = 4
DESCRIPTOR_SHARE: Final = 5
"""One of this many descriptors may be a connection; the others are for requests, the database and files."""
BACKLOG: Final = 128
SWEEP_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 1.0
"""How long a response may take to be sent. A client that has not read it by then counts as waiting."""
PAUSE_SECONDS: Final = 1.0
"""The pause before the next connection is accepted when the process has no descriptor left."""
WARN_SECONDS: Final = 60.0
FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of connections.

    Attributes:
        connections: The number of connections at a time.
        head_seconds: From the connection, or the first byte of a later request, until its head is complete.
        request_seconds: From the head until the response is ready.
        idle_seconds: From a response until the next request; more than the minute after which many clients ask again.
    """

    connections: int
    head_seconds: float = 10.0
    request_seconds: float = 30.0
    idle_seconds: float = 75.0


def max_connections(descriptors: int | None = None) -> int:
    """Return the limit of connections for a process that may open `descriptors` (None: this process)."""
    if descriptors is None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, max(descriptors // DESCRIPTOR_SHARE, MIN_CONNECTIONS))


async def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to every address of `host`, which do not listen yet. Raises OSError, UnicodeError."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port, start_serving=False)
    try:
        return [each.dup() for each in server.sockets]
    finally:
        server.close()


class Listener:
    """Accepts connections on `sockets` and gives each to a protocol that `new` makes."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        new: Callable[[], asyncio.Protocol],
        *,
        limits: Limits,
        log: FilteringBoundLogger,
    ) -> None:
        self._sockets = sockets
        self._new = new
        self._limits = limits
        self._log = log
        self._open: dict[asyncio.BaseTransport, _Connection] = {}
        self._room = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._warned_at: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def start(self) -> None:
        for each in self._sockets:
            each.setblocking(False)
            if not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):  # an inherited one listens already
                each.listen(BACKLOG)
            self._tasks.append(asyncio.create_task(self._accept(each)))
        self._tasks.append(asyncio.create_task(self._sweep()))

    async def stop(self) -> None:
        """Accept no more connections. Open ones stay open."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for each in self._sockets:
            each.close()

    @property
    def is_crowded(self) -> bool:
        """Whether the limit is reached: then each connection should end with its response."""
        return len(self._open) >= self._limits.connections

    @contextmanager
    def answering(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """While the block runs, a request of this connection is in progress, and no other connection replaces it."""
        connection = None if transport is None else self._open.get(transport)
        if connection is None:
            yield
            return
        connection.enter(_BUSY, self._limits.request_seconds)
        try:
            yield
        finally:
            connection.enter(_IDLE, self._limits.idle_seconds)

    def opened(self, connection: _Connection, transport: asyncio.BaseTransport) -> None:
        self._open[transport] = connection
        connection.enter(_HEAD, self._limits.head_seconds)

    def received(self, connection: _Connection) -> None:
        """Record data from a connection; if it was idle, a request begins."""
        if connection.at == _IDLE:
            connection.enter(_HEAD, self._limits.head_seconds)

    def closed(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None:
            self._open.pop(transport, None)
        self._room.set()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in FULL:
                    self._warn("http.cannot_accept", reason=error.strerror, hint="Raise LimitNOFILE= or `ulimit -n`.")
                    await asyncio.sleep(PAUSE_SECONDS)
                continue  # otherwise the client was gone before it was accepted
            try:
                await self._make_room()
                await loop.connect_accepted_socket(lambda: _Connection(self, self._new()), accepted)
            except OSError:
                accepted.close()
            except asyncio.CancelledError:
                accepted.close()
                raise

    async def _make_room(self) -> None:
        """Wait until one more connection is allowed; the one that has waited longest without a request is closed."""
        while self.is_crowded:
            now = time.monotonic()
            waiting = [each for each in self._open.items() if each[1].is_waiting(now)]
            self._warn("http.crowded", connections=len(self._open), waiting=len(waiting))
            if waiting:
                transport, _ = min(waiting, key=lambda each: each[1].since)
                self._drop(transport)
                await asyncio.sleep(0)  # its descriptor is closed by the loop
            else:
                self._room.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_SECONDS):
                        await self._room.wait()

    async def _sweep(self) -> None:
        """Close connections that exceed their time."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for transport, connection in list(self._open.items()):
                if now > connection.until:
                    self._log.debug("http.too_slow", at=connection.at, seconds=round(now - connection.since, 1))
                    self._drop(transport)

    def _drop(self, transport: asyncio.BaseTransport) -> None:
        self._open.pop(transport, None)
        with suppress(RuntimeError):
            cast(asyncio.WriteTransport, transport).abort()

    def _warn(self, event: str, **facts: object) -> None:
        """Log a warning at most once a minute, with the number of times since the last one."""
        now, times = time.monotonic(), self._suppressed.get(event, 0) + 1
        if now - self._warned_at.get(event, float("-inf")) < WARN_SECONDS:
            self._suppressed[event] = times
            return
        self._warned_at[event], self._suppressed[event] = now, 0
        self._log.warning(event, **facts, times=times)


_HEAD: Final = "head"
_BUSY: Final = "request"
_IDLE: Final = "idle"


class _Connection(asyncio.Protocol):
    """Passes the events of one connection on to `inner`. Its step `at` began at `since` and must end by `until`."""

    def __init__(self, listener: Listener, inner: asyncio.Protocol) -> None:
        self._listener = listener
        self._inner = inner
        self._transport: asyncio.BaseTransport | None = None
        self.at, self.since, self.until = _HEAD, time.monotonic(), float("inf")

    def enter(self, at: str, seconds: float) -> None:
        """Begin a step that may take `seconds`."""
        self.at, self.since = at, time.monotonic()
        self.until = self.since + seconds

    def is_waiting(self, now: float) -> bool:
        """Return whether it can be closed: it has no request, and its last response was read or never will be."""
        return self.at == _HEAD or (self.at == _IDLE and now - self.since > ANSWER_SECONDS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._listener.opened(self, transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._listener.received(self)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.closed(self._transport)
        self._inner.connection_lost(error)
