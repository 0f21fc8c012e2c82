"""Purpose-made upstreams: a real HTTP server for one handler, and one that speaks raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from versionsync import cma

__all__ = ["TOKEN", "api", "client_of", "raw_upstream", "upstream"]

TOKEN = "0123456789abcdef0123456789abcdef"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def upstream(handler: Handler, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that gives every request to `handler`; the value is its base URL."""
    app = web.Application(client_max_size=2**26)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def raw_upstream(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """A server that answers each request's head with whatever bytes, then cuts the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def api(body: bytes | str, *, status: int = 200, **headers: str) -> web.Response:
    """An answer of the API; underscores in the names of headers stand for dashes."""
    return web.Response(
        status=status,
        body=body if isinstance(body, bytes) else body.encode(),
        content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def client_of(url: str, **more: object) -> cma.Client:
    """A client without a pace, that gives up after a few seconds."""
    arguments = {"rate_limiter": cma.RateLimiter(cma.UNLIMITED), "deadline": 5.0} | more
    return cma.Client(url, TOKEN, **arguments)  # type: ignore[arg-type]
