"""The receiver of DatoCMS's webhooks: `POST /webhooks/{source}`.

A call is a hint, never data: it names a record to look at. Doubled, late and reordered ones are harmless, and what is
never delivered is found by the next look. With automatic retries a call may come again up to seven times, the last time
more than three days after the act. So nothing here depends on its age, and no call is refused for its id: the first one
may have been taken by a daemon whose database then went away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import BasicAuth, web
from structlog.typing import FilteringBoundLogger

from versionsync.daemon.worker import SourceWorker
from versionsync.mirror.errors import MirrorError
from versionsync.webhooks.payload import WebhookResult, parse_payload

__all__ = ["WebhookReceiver"]

BODY_BYTES: Final = 8 * 1024 * 1024
"""More than a record has; what is longer is not read to its end."""
BODY_SECONDS: Final = 10.0
REFUSE_SECONDS: Final = 1.0
MAX_REFUSALS: Final = 10
"""So many passwords a second can be tried for one source, over however many connections."""


class WebhookReceiver:
    """Hears calls and tells the followers. A source without a password for its webhook has none.

    A call with a wrong password is answered after `refuse_seconds`, and at most MOST_REFUSALS of a source are on their
    way to that. With more, no password is looked at for the moment, not even a right one: a right one would otherwise
    be found by how fast it is answered. What such a call would have told is found by the next look.
    """

    def __init__(
        self,
        followers: Callable[[], Mapping[str, SourceWorker]],
        *,
        log: FilteringBoundLogger,
        refuse_seconds: float = REFUSE_SECONDS,
    ) -> None:
        self._followers = followers
        self._log = log
        self._refuse_seconds = refuse_seconds
        self._refusing: Counter[str] = Counter()
        self._said: set[tuple[str, WebhookResult]] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one call: 2xx once it is kept, so that upstream may forget it."""
        follower = self._followers().get(request.match_info["source"])
        login = None if follower is None else follower.source.webhook
        if follower is None or login is None:
            raise web.HTTPNotFound(text="there is no webhook here\n")
        if self._refusing[follower.name] >= MAX_REFUSALS:
            self._count(follower, WebhookResult.UNAUTHORIZED)
            raise web.HTTPTooManyRequests(
                text="too many calls with a wrong password: try again later\n", headers={"Retry-After": "1"}
            )
        said = _credentials(request.headers.get("Authorization", ""))
        if said is None or not login.matches(said.login, said.password):
            self._count(follower, WebhookResult.UNAUTHORIZED)
            await self._hold(follower.name)
            raise web.HTTPUnauthorized(
                text="the user or the password is wrong\n", headers={"WWW-Authenticate": 'Basic realm="versionsync"'}
            )
        body = await self._body(request, follower)
        call = parse_payload(body)
        if call is None:
            self._count(follower, WebhookResult.INVALID)
            follower.check_soon()
            raise web.HTTPBadRequest(text="this is no call of a webhook of DatoCMS\n")
        try:
            heard = await follower.on_webhook(call)
        except MirrorError:
            follower.check_soon()
            raise web.HTTPServiceUnavailable(text="the database is away: try again later\n") from None
        self._count(follower, heard)
        return web.Response(status=202 if heard is WebhookResult.ACCEPTED else 200, text=f"{heard.value}\n")

    async def _hold(self, source: str) -> None:
        """Let a refused call wait. It takes its place until then, also where the caller has hung up."""
        self._refusing[source] += 1
        try:
            await asyncio.sleep(self._refuse_seconds)
        finally:
            self._refusing[source] -= 1

    async def _body(self, request: web.Request, follower: SourceWorker) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > BODY_BYTES:
                        self._count(follower, WebhookResult.INVALID)
                        follower.check_soon()
                        raise web.HTTPRequestEntityTooLarge(max_size=BODY_BYTES, actual_size=len(body))
        except TimeoutError:
            self._count(follower, WebhookResult.INVALID)
            raise web.HTTPRequestTimeout(text="the call did not end\n") from None
        return bytes(body)

    def _count(self, follower: SourceWorker, heard: WebhookResult) -> None:
        """Count it; what somebody should know is told once."""
        follower.state.webhook_results[heard] += 1
        if (
            heard in (WebhookResult.UNAUTHORIZED, WebhookResult.INVALID, WebhookResult.OTHER_ENVIRONMENT)
            and (follower.name, heard) not in self._said
        ):
            self._said.add((follower.name, heard))
            tell = self._log.info if heard is WebhookResult.OTHER_ENVIRONMENT else self._log.warning
            tell("webhook.rejected", source=follower.name, why=heard.value)


def _credentials(header: str) -> BasicAuth | None:
    try:
        return BasicAuth.decode(header, encoding="utf-8")
    except (ValueError, UnicodeDecodeError):
        return None
