"""The connections to DatoCMS that all runs of a daemon share.

All sources ask the same host, each with its own token. With connections of their own, each check of each source would
begin with a TLS handshake, which costs more CPU than the rest of an idle check.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx

from versionsync import cma
from versionsync.outgoing_http import Proxy, proxy_for, trust

__all__ = ["SharedConnections"]

ANY_NUMBER: Final = 0
"""The rate limiter of each token limits its connections."""


@dataclass(slots=True, eq=False)
class _Shared:
    """The connections to one host, made with these CAs and this proxy."""

    trust: ssl.SSLContext
    proxy: Proxy | None
    http: httpx.AsyncBaseTransport
    users: int = 0


class SharedConnections:
    """Connections by host. A connection that no one uses is closed after half a minute.

    If the CAs or the proxy change in the environment, new runs get new connections.
    """

    def __init__(self) -> None:
        self._current: dict[str, _Shared] = {}

    @asynccontextmanager
    async def to(self, base_url: str) -> AsyncIterator[httpx.AsyncBaseTransport]:
        """Return the connections to the host of `base_url`.

        Raises:
            ValueError: The CAs or the proxy cannot be used.
            Unavailable: No file can be opened.
        """
        shared = await self._shared(base_url)
        shared.users += 1
        try:
            yield shared.http
        finally:
            shared.users -= 1
            if shared.users == 0 and shared not in self._current.values():
                await shared.http.aclose()

    async def close(self) -> None:
        """Close all connections."""
        for shared in self._current.values():
            await shared.http.aclose()
        self._current.clear()

    async def _shared(self, base_url: str) -> _Shared:
        host, proxy = "{0.scheme}://{0.netloc}".format(urlsplit(base_url)), proxy_for(base_url)
        known = self._current.get(host)
        if known is not None and known.proxy == proxy and known.trust is trust():
            return known
        http = cma.open_http(base_url, connections=ANY_NUMBER)
        made = self._current[host] = _Shared(trust(), proxy, http)
        if known is not None and known.users == 0:
            await known.http.aclose()
        return made
