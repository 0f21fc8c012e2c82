"""Clients of DatoCMS as the settings describe them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from versionsync import cma
from versionsync.config import InvalidSetting, Secret, SourceSettings
from versionsync.config.definition import RateLimit
from versionsync.sync.tracing import request_span

__all__ = ["INTERACTIVE_TIMEOUT_SECONDS", "open_client", "rate_limiter_of"]

BATCH_TIMEOUT_SECONDS: Final = 120.0
"""For a sync: an outage of a minute or two is waited out."""
INTERACTIVE_TIMEOUT_SECONDS: Final = 10.0
"""For a question that somebody waits for."""

WARN_AFTER_ATTEMPTS: Final = frozenset({5, 20, 80, 320, 1280})
"""So many tries in a row that all failed."""

TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500


def open_client(
    source: SourceSettings,
    token: Secret,
    *,
    governor: cma.RateLimiter | None = None,
    log: FilteringBoundLogger | None = None,
    deadline: float | None = None,
) -> cma.Client:
    """A client for `source`, an asynchronous context manager.

    `governor`: one that others of the same token use too. `deadline`: for how many seconds one request is
    tried again (None: PATIENT_SECONDS). Raises InvalidSetting for an address, a proxy or a file of CAs that is none.
    """
    try:
        return cma.Client(
            source.base_url,
            token.reveal(),
            environment=source.environment,
            rate_limiter=governor or rate_limiter_of([source.rate_limit]),
            deadline=BATCH_TIMEOUT_SECONDS if deadline is None else deadline,
            on_request=None if log is None else _Logged(log.bind(source=source.name)),
        )
    except ValueError as error:  # its words are made to be shown
        raise InvalidSetting(str(error), hint="Mend it or unset it; `versionsync doctor` tries it.") from None


class _Logged:
    """Tells whoever traces, and the log, of each try.

    What is not as usual is told once a client, which is once a run; as a warning only where tries go on failing, since
    somebody may be waiting. The rest is for debugging: an outage must not fill the log.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._failures = 0
        self._said: set[str] = set()

    def __call__(self, exchange: cma.Exchange) -> None:
        request_span(exchange)
        facts = {"request": f"{exchange.method} {exchange.path}", "status": exchange.status}
        seconds = round(exchange.seconds, 3)
        if exchange.status == TOO_MANY_REQUESTS:
            self._log_attempt("request.throttled")("request.throttled", **facts)
        elif exchange.failure is not None or exchange.status is None or exchange.status >= SERVER_ERROR:
            self._failures += 1
            self._log_attempt("request.failed")("request.failed", **facts, reason=exchange.failure, seconds=seconds)
            if self._failures in WARN_AFTER_ATTEMPTS:
                self._log.warning("upstream.failing", reason=exchange.failure, in_a_row=self._failures)
        else:
            self._failures = 0
            self._log.debug("request.finished", **facts, seconds=seconds, bytes=exchange.bytes)

    def _log_attempt(self, event: str) -> Callable[..., object]:
        is_first = event not in self._said
        self._said.add(event)
        return self._log.info if is_first else self._log.debug


def rate_limiter_of(rate_limits: Sequence[RateLimit | None]) -> cma.RateLimiter:
    """The governor of one token, whose sources set these limits: the lowest holds for all of them."""
    numbers = [limit for limit in rate_limits if isinstance(limit, int)]
    if numbers:
        return cma.RateLimiter(min(numbers))
    return cma.RateLimiter(None if None in rate_limits else cma.UNLIMITED)
