"""Other clients at the daemon's port cannot take what its work needs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
import structlog
from aiohttp import web
from structlog.testing import CapturingLogger

from versionsync.daemon.http.app import App, serving
from versionsync.daemon.http.metrics import Metrics
from versionsync.daemon.http_listener import Limits, max_connections

FEW = Limits(connections=5, head_seconds=60, request_seconds=60, idle_seconds=60)


@pytest.fixture
def logger() -> CapturingLogger:
    """What the server says."""
    return CapturingLogger()


@asynccontextmanager
async def served(logger: CapturingLogger, limits: Limits, *, request_seconds: float = 0.0) -> AsyncIterator[int]:
    """A server with these limits, on the port that is the value; its receiver takes so long."""

    async def receive(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(request_seconds)
        return web.Response(text="heard")

    app = App(dict, Metrics(dict, now=lambda: datetime.now(UTC)), redact=str, receiver=receive)
    log = structlog.wrap_logger(logger, processors=[])
    async with serving(app, host="127.0.0.1", port=0, log=log, limits=limits) as url:
        yield int(url.rpartition(":")[2])


async def connected(port: int, said: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has said this."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    await writer.drain()
    return reader, writer


async def status(port: int) -> int:
    """What somebody is answered who asks over a new connection."""
    async with httpx.AsyncClient(timeout=60) as http:
        return (await http.get(f"http://127.0.0.1:{port}/livez")).status_code


async def is_closed(reader: asyncio.StreamReader, *, seconds: float = 60.0) -> bool:
    """Return whether the other end closes the connection within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read() == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\n"])
async def test_a_new_client_replaces_a_silent_one(logger: CapturingLogger, said: bytes) -> None:
    """The one that has waited longest goes first; it is logged once."""
    async with served(logger, FEW) as port:
        silent = [await connected(port, said) for _ in range(7)]
        for ended in (2, 3):
            assert [await is_closed(reader) for reader, _ in silent[:ended]] == [True] * ended
            assert [await is_closed(reader, seconds=0.1) for reader, _ in silent[ended:]] == [False] * (7 - ended)
            assert await status(port) == 200
        for _, writer in silent:
            writer.close()
    assert [call.kwargs["event"] for call in logger.calls if call.method_name == "warning"] == ["http.crowded"]


async def test_a_request_in_progress_is_not_ended_for_a_new_one(logger: CapturingLogger) -> None:
    """The new one waits."""
    async with served(logger, FEW, request_seconds=0.5) as port, httpx.AsyncClient(timeout=60) as http:
        began = time.monotonic()
        calls = [asyncio.create_task(http.post(f"http://127.0.0.1:{port}/webhooks/x")) for _ in range(5)]
        await asyncio.sleep(0.2)
        assert await status(port) == 200
        assert time.monotonic() - began > 0.4
        assert {(await call).status_code for call in calls} == {200}


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        (b"", replace(FEW, head_seconds=0.3)),
        (b"POST /webhooks/x HTTP/1.1\r\nX-Half: ", replace(FEW, head_seconds=0.3)),
        (b"POST /webhooks/x HTTP/1.1\r\nHost: x\r\n\r\n", replace(FEW, request_seconds=0.3)),
    ],
    ids=["idle", "half a head", "an answer that never comes"],
)
async def test_a_slow_request_is_ended(logger: CapturingLogger, said: bytes, limits: Limits) -> None:
    """Even if it sends a little more all the time."""
    async with served(logger, limits, request_seconds=60) as port:
        reader, writer = await connected(port, said)

        async def trickle() -> None:
            while True:
                await asyncio.sleep(0.1)
                writer.write(b"x" if said else b"")

        trickling = asyncio.create_task(trickle())
        assert await is_closed(reader)
        trickling.cancel()
        await asyncio.wait([trickling])
        writer.close()


async def test_a_kept_connection_may_be_idle_and_is_then_ended(logger: CapturingLogger) -> None:
    """Prometheus asks again over the same one."""
    async with served(logger, replace(FEW, head_seconds=0.2, idle_seconds=4.0)) as port:
        reader, writer = await connected(port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.9)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(60):
            await reader.read()
        writer.close()


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000])
async def test_a_malformed_request_is_no_error(logger: CapturingLogger, said: bytes) -> None:
    """Network scanners send such requests all day."""
    async with served(logger, FEW) as port:
        reader, writer = await connected(port, said)
        assert b" 400 " in await reader.read()
        writer.close()
    assert {call.method_name for call in logger.calls} == {"info", "debug"}


@pytest.mark.parametrize(("descriptors", "most"), [(1024, 100), (20_000, 100), (256, 51), (10, 4), (-1, 100)])
def test_most_descriptors_are_kept_for_the_work(descriptors: int, most: int) -> None:
    """-1 is no limit."""
    assert max_connections(descriptors) == most


async def test_a_port_that_one_of_the_addresses_has_is_refused(logger: CapturingLogger) -> None:
    """Binding is as before."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        app = App(dict, Metrics(dict, now=lambda: datetime.now(UTC)), redact=str)
        log, port = structlog.wrap_logger(logger, processors=[]), other.getsockname()[1]
        with pytest.raises(Exception, match="another program already listens"):
            async with serving(app, host="127.0.0.1", port=port, log=log):
                pass
