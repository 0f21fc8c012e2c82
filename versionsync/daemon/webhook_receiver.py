"""The receiver of DatoCMS's webhooks: `POST /webhooks/{source}`.

A call is never used as data: it only names a record to check. Repeated, late and reordered calls are harmless, and the
next check finds what was never delivered. With automatic retries a call may come again up to seven times, the last time
more than three days after the change. So nothing here depends on its age. No call is refused because its id was seen
before: the first one may have reached a daemon whose database then became unavailable.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import BasicAuth, web
from structlog.typing import FilteringBoundLogger

from versionsync.daemon.source_worker import SourceWorker
from versionsync.mirror.errors import MirrorError
from versionsync.webhooks.payload import WebhookResult, parse_payload

__all__ = ["WebhookReceiver"]

BODY_BYTES: Final = 8 * 1024 * 1024
"""More than any record has; a longer body is not read to its end."""
BODY_SECONDS: Final = 10.0
REFUSE_SECONDS: Final = 1.0
MAX_REFUSALS: Final = 10
"""The passwords a second that can be tried for one source, over any number of connections."""


class WebhookReceiver:
    """Passes calls to the workers. A source without a password for its webhook has no receiver.

    A call with a wrong password is answered after `refuse_seconds`, and at most MAX_REFUSALS of a source wait for that.
    With more, no password is checked for the moment, not even a right one: a fast response would otherwise give away
    the right one. The next check finds what such a call would have reported.
    """

    def __init__(
        self,
        workers: Callable[[], Mapping[str, SourceWorker]],
        *,
        log: FilteringBoundLogger,
        refuse_seconds: float = REFUSE_SECONDS,
    ) -> None:
        self._workers = workers
        self._log = log
        self._refuse_seconds = refuse_seconds
        self._refusing: Counter[str] = Counter()
        self._logged: set[tuple[str, WebhookResult]] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one call: 2xx once it is saved, so that upstream need not send it again."""
        worker = self._workers().get(request.match_info["source"])
        login = None if worker is None else worker.source.webhook
        if worker is None or login is None:
            raise web.HTTPNotFound(text="there is no webhook here\n")
        if self._refusing[worker.name] >= MAX_REFUSALS:
            self._count(worker, WebhookResult.UNAUTHORIZED)
            raise web.HTTPTooManyRequests(
                text="too many calls with a wrong password: try again later\n", headers={"Retry-After": "1"}
            )
        credentials = _credentials(request.headers.get("Authorization", ""))
        if credentials is None or not login.matches(credentials.login, credentials.password):
            self._count(worker, WebhookResult.UNAUTHORIZED)
            await self._hold(worker.name)
            raise web.HTTPUnauthorized(
                text="the user or the password is wrong\n", headers={"WWW-Authenticate": 'Basic realm="versionsync"'}
            )
        body = await self._body(request, worker)
        call = parse_payload(body)
        if call is None:
            self._count(worker, WebhookResult.INVALID)
            worker.check_soon()
            raise web.HTTPBadRequest(text="this is not a webhook call of DatoCMS\n")
        try:
            result = await worker.on_webhook(call)
        except MirrorError:
            worker.check_soon()
            raise web.HTTPServiceUnavailable(text="the database is unavailable: try again later\n") from None
        self._count(worker, result)
        return web.Response(status=202 if result is WebhookResult.ACCEPTED else 200, text=f"{result.value}\n")

    async def _hold(self, source: str) -> None:
        """Delay a refused call. It counts as waiting until then, even if the client has hung up."""
        self._refusing[source] += 1
        try:
            await asyncio.sleep(self._refuse_seconds)
        finally:
            self._refusing[source] -= 1

    async def _body(self, request: web.Request, worker: SourceWorker) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > BODY_BYTES:
                        self._count(worker, WebhookResult.INVALID)
                        worker.check_soon()
                        raise web.HTTPRequestEntityTooLarge(max_size=BODY_BYTES, actual_size=len(body))
        except TimeoutError:
            self._count(worker, WebhookResult.INVALID)
            raise web.HTTPRequestTimeout(text="the call did not end\n") from None
        return bytes(body)

    def _count(self, worker: SourceWorker, result: WebhookResult) -> None:
        """Count the result of a call. Each kind of rejection is logged once."""
        worker.state.webhook_results[result] += 1
        if (
            result in (WebhookResult.UNAUTHORIZED, WebhookResult.INVALID, WebhookResult.OTHER_ENVIRONMENT)
            and (worker.name, result) not in self._logged
        ):
            self._logged.add((worker.name, result))
            log = self._log.info if result is WebhookResult.OTHER_ENVIRONMENT else self._log.warning
            log("webhook.rejected", source=worker.name, why=result.value)


def _credentials(header: str) -> BasicAuth | None:
    try:
        return BasicAuth.decode(header, encoding="utf-8")
    except (ValueError, UnicodeDecodeError):
        return None
