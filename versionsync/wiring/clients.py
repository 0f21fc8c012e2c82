"""Clients of DatoCMS, and the secrets of a source, as the settings describe them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import httpx
from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.config import Configuration, InvalidSetting, Secret, SourceSettings
from versionsync.config.definition import RateLimit
from versionsync.redaction import Redactor
from versionsync.sync.tracing import request_span
from versionsync.webhooks.payload import BasicAuth

__all__ = [
    "INTERACTIVE_TIMEOUT_SECONDS",
    "api_token",
    "open_client",
    "rate_limiter_of",
    "restore_token",
    "unusable",
    "webhook_login",
]

BATCH_TIMEOUT_SECONDS: Final = 120.0
"""For a sync: it outlasts an outage of a minute or two."""
INTERACTIVE_TIMEOUT_SECONDS: Final = 10.0
"""For a command whose answer a person waits for."""

WARN_AFTER_ATTEMPTS: Final = frozenset({5, 20, 80, 320, 1280})
"""The numbers of failed attempts in a row after which a warning is logged."""

TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500


def api_token(configuration: Configuration, source: SourceSettings, *, redactor: Redactor) -> Secret:
    """Return the token of `source`, which `redactor` masks from now on. Raises SecretProblem."""
    token = configuration.secrets.api_token(source)
    redactor.learn(token.reveal())
    return token


def restore_token(configuration: Configuration, source: SourceSettings, *, redactor: Redactor) -> Secret | None:
    """Return the token that may write to `source`, which `redactor` masks from now on; None: none is set.

    Raises SecretProblem.
    """
    token = configuration.secrets.restore_token(source)
    if token is not None:
        redactor.learn(token.reveal())
    return token


def webhook_login(configuration: Configuration, source: SourceSettings, *, redactor: Redactor) -> BasicAuth | None:
    """Return the user and password for webhook calls of `source`; None: none is set.

    `redactor` masks the password from now on. Raises SecretProblem.
    """
    password = configuration.secrets.webhook_password(source)
    if password is None:
        return None
    redactor.learn(password.reveal())
    return BasicAuth(source.webhook_user, password)


def open_client(
    source: SourceSettings,
    token: Secret,
    *,
    rate_limiter: cma.RateLimiter | None = None,
    log: FilteringBoundLogger | None = None,
    deadline: float | None = None,
    environment: str | None = None,
    http: httpx.AsyncBaseTransport | None = None,
    large: asyncio.Semaphore | None = None,
) -> cma.Client:
    """Return a client for `source`, an asynchronous context manager.

    Args:
        source: The source's settings.
        token: Its API token.
        rate_limiter: The one that all clients of this token share. None: the client gets its own.
        log: Where failed requests are logged.
        deadline: For how many seconds one request is tried again. None: BATCH_TIMEOUT_SECONDS.
        environment: Another environment than the source's. None: the source's.
        http: Connections that other clients use, too. None: the client makes its own.
        large: How many large answers all clients that share it read at once.

    Raises:
        InvalidSetting: The address, the proxy or a file of certificates cannot be used.
    """
    try:
        return cma.Client(
            source.base_url,
            token.reveal(),
            environment=environment or source.environment,
            rate_limiter=rate_limiter or rate_limiter_of([source.rate_limit]),
            deadline=BATCH_TIMEOUT_SECONDS if deadline is None else deadline,
            on_request=None if log is None else _RequestLog(log.bind(source=source.name)),
            http=http,
            large=large,
        )
    except ValueError as error:
        raise unusable(error) from None


def unusable(error: ValueError) -> InvalidSetting:
    """Return the error for an address, a proxy or a file of certificates. Its message holds no secret."""
    return InvalidSetting(str(error), hint="Fix or unset it; `versionsync doctor` tries it.")


class _RequestLog:
    """Traces and logs each request.

    An unusual answer is logged once a client, which is once a run. Repeated failures become a warning, since a person
    may be waiting. The rest is logged for debugging only: an outage must not fill the log.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._failures = 0
        self._logged: set[str] = set()

    def __call__(self, exchange: cma.Exchange) -> None:
        request_span(exchange)
        fields = {"request": f"{exchange.method} {exchange.path}", "status": exchange.status}
        seconds = round(exchange.seconds, 3)
        if exchange.status == TOO_MANY_REQUESTS:
            self._log_first("request.throttled")("request.throttled", **fields)
        elif exchange.failure is not None or exchange.status is None or exchange.status >= SERVER_ERROR:
            self._failures += 1
            self._log_first("request.failed")("request.failed", **fields, reason=exchange.failure, seconds=seconds)
            if self._failures in WARN_AFTER_ATTEMPTS:
                self._log.warning("upstream.failing", reason=exchange.failure, in_a_row=self._failures)
        else:
            self._failures = 0
            self._log.debug("request.finished", **fields, seconds=seconds, bytes=exchange.bytes)

    def _log_first(self, event: str) -> Callable[..., object]:
        is_first = event not in self._logged
        self._logged.add(event)
        return self._log.info if is_first else self._log.debug


def rate_limiter_of(rate_limits: Sequence[RateLimit | None]) -> cma.RateLimiter:
    """Return the rate limiter of one token. Its sources set these limits; the lowest applies to all of them."""
    numbers = [limit for limit in rate_limits if isinstance(limit, int)]
    if numbers:
        return cma.RateLimiter(min(numbers))
    return cma.RateLimiter(None if None in rate_limits else cma.UNLIMITED)
