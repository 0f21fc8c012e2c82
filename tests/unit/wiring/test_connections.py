"""Runs share their connections to a host, until the CAs or the proxy change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from versionsync import cma
from versionsync.wiring.connections import SharedConnections


@pytest.fixture
async def shared() -> AsyncIterator[SharedConnections]:
    """The connections of a daemon."""
    made = SharedConnections()
    yield made
    await made.close()


class Server:
    """A server that answers every request with an empty document, and counts its connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer all requests of one connection."""
        self.connections += 1
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
                writer.write(head + b'{"data": []}')
                await writer.drain()
        writer.close()


async def test_runs_of_all_sources_use_the_same_connection(shared: SharedConnections) -> None:
    """Each with its own token. A handshake for each check would cost more than the check."""
    server = Server()
    async with await asyncio.start_server(server.answer, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        for token in ("one", "two", "three"):
            async with shared.to(url) as http, cma.Client(url, token, http=http) as client:
                with pytest.raises(cma.CmaError):
                    await client.site()
        await shared.close()
    assert server.requests >= 3
    assert server.connections == 1


async def test_another_host_has_connections_of_its_own(shared: SharedConnections) -> None:
    async with (
        shared.to("https://one.example/path") as one,
        shared.to("https://one.example") as same,
        shared.to("https://two.example") as other,
    ):
        assert one is same
        assert one is not other


async def test_a_new_proxy_is_for_new_runs(shared: SharedConnections, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old connections stay open until the last run that uses them has ended."""
    closed = []
    async with shared.to("https://one.example") as before:
        monkeypatch.setattr(before, "aclose", lambda: _note(closed))
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
        async with shared.to("https://one.example") as after:
            assert after is not before
        assert not closed
    assert closed
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example:3128")
    with pytest.raises(ValueError, match="SOCKS"):
        async with shared.to("https://one.example"):
            pass


async def _note(closed: list[None]) -> None:
    closed.append(None)
