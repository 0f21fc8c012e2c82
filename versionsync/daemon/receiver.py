"""The receiver of DatoCMS's webhooks: `POST /webhooks/{source}`.

A call is a hint, never data: it names a record to look at. Doubled, late and reordered ones are harmless, and what is
never delivered is found by the next look. With automatic retries a call may come again up to seven times, the last time
more than three days after the act. So nothing here depends on its age, and no call is refused for its id: the first one
may have been taken by a daemon whose database then went away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import BasicAuth, web
from structlog.typing import FilteringBoundLogger

from versionsync.daemon.follower import Follower
from versionsync.daemon.hints import Heard, read_call
from versionsync.mirror.errors import MirrorError

__all__ = ["Receiver"]

BODY_BYTES: Final = 8 * 1024 * 1024
"""More than a record has; what is longer is not read to its end."""
BODY_SECONDS: Final = 10.0


class Receiver:
    """Hears calls and tells the followers. A source without a password for its webhook has none."""

    def __init__(self, followers: Callable[[], Mapping[str, Follower]], *, log: FilteringBoundLogger) -> None:
        self._followers = followers
        self._log = log
        self._said: set[tuple[str, Heard]] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one call: 2xx once it is kept, so that upstream may forget it."""
        follower = self._followers().get(request.match_info["source"])
        login = None if follower is None else follower.source.webhook
        if follower is None or login is None:
            raise web.HTTPNotFound(text="there is no webhook here\n")
        said = _credentials(request.headers.get("Authorization", ""))
        if said is None or not login.is_said_by(said.login, said.password):
            self._count(follower, Heard.REFUSED)
            raise web.HTTPUnauthorized(
                text="the user or the password is wrong\n", headers={"WWW-Authenticate": 'Basic realm="versionsync"'}
            )
        body = await self._body(request, follower)
        call = read_call(body)
        if call is None:
            self._count(follower, Heard.UNREADABLE)
            follower.look_soon()
            raise web.HTTPBadRequest(text="this is no call of a webhook of DatoCMS\n")
        try:
            heard = await follower.hear(call)
        except MirrorError:
            follower.look_soon()
            raise web.HTTPServiceUnavailable(text="the database is away: try again later\n") from None
        self._count(follower, heard)
        return web.Response(status=202 if heard is Heard.TAKEN else 200, text=f"{heard.value}\n")

    async def _body(self, request: web.Request, follower: Follower) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > BODY_BYTES:
                        self._count(follower, Heard.UNREADABLE)
                        follower.look_soon()
                        raise web.HTTPRequestEntityTooLarge(max_size=BODY_BYTES, actual_size=len(body))
        except TimeoutError:
            self._count(follower, Heard.UNREADABLE)
            raise web.HTTPRequestTimeout(text="the call did not end\n") from None
        return bytes(body)

    def _count(self, follower: Follower, heard: Heard) -> None:
        """Count it; what somebody should know is told once."""
        follower.state.heard[heard] += 1
        if heard in (Heard.REFUSED, Heard.UNREADABLE, Heard.ELSEWHERE) and (follower.name, heard) not in self._said:
            self._said.add((follower.name, heard))
            tell = self._log.info if heard is Heard.ELSEWHERE else self._log.warning
            tell("webhook.not_taken", source=follower.name, why=heard.value)


def _credentials(header: str) -> BasicAuth | None:
    try:
        return BasicAuth.decode(header, encoding="utf-8")
    except (ValueError, UnicodeDecodeError):
        return None
