"""Which requests are retried, and when. Pure.

A failure is a value, not an exception: its kind shows whether the request can have reached upstream. Reads are retried
whenever that can help. A write is retried only if it certainly did not happen: it was never sent, or refused with a
429.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from versionsync.backoff import Backoff

__all__ = ["Failure", "Kind", "Policy", "backoff"]


class Kind(StrEnum):
    """The kinds of failed attempts."""

    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    PROXY = "proxy"
    CONNECT_TIMEOUT = "connect timeout"
    TIMEOUT = "timeout"
    RESET = "reset"
    TORN = "torn"
    NOT_JSON = "not json"
    TOO_LARGE = "too large"
    THROTTLED = "throttled"
    SERVER = "server"
    TRANSIENT = "transient"
    MAINTENANCE = "maintenance"


_NOT_SENT: Final = frozenset({Kind.DNS, Kind.REFUSED, Kind.TLS, Kind.PROXY, Kind.CONNECT_TIMEOUT})
_CERTAINLY_REFUSED: Final = _NOT_SENT | {Kind.THROTTLED, Kind.TRANSIENT, Kind.MAINTENANCE}
_NOT_RETRYABLE: Final = frozenset({Kind.TLS, Kind.TOO_LARGE, Kind.MAINTENANCE})
# The maximum attempts within the deadline: more do not help, or a smaller request may help.
_MAX_ATTEMPTS: Final = {Kind.TIMEOUT: 5, Kind.TORN: 5, Kind.NOT_JSON: 5, Kind.PROXY: 4}


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt. `detail` is a sentence without content; `retry_after` is in seconds, if upstream sent it."""

    kind: Kind
    detail: str
    retry_after: float | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None

    @property
    def was_sent(self) -> bool:
        """Whether the request can have reached upstream."""
        return self.kind not in _NOT_SENT

    @property
    def may_have_happened(self) -> bool:
        """Whether a write with this failure may have been done."""
        return self.kind not in _CERTAINLY_REFUSED


_DELAYS: Final = Backoff(0.5, 20.0)


def backoff(tries: int, *, random: random.Random) -> float:
    """Return the seconds to wait after the `tries`-th failure in a row: doubled, capped, with jitter down to a half."""
    return _DELAYS.delay(tries, random)


@dataclass(frozen=True, slots=True)
class Policy:
    """When a request is retried.

    `deadline`: the maximum seconds for a request from its first attempt on, with all waits. `first_request_attempts`:
    the maximum attempts while upstream never answered, also if it closed the connection: then the address is probably
    wrong, and the user should know soon.
    """

    deadline: float = 300.0
    first_request_attempts: int = 3

    def wait(
        self,
        failure: Failure,
        *,
        method: str,
        tries: int,
        elapsed: float,
        random: random.Random,
        answered_before: bool = True,
        max_timeouts: int | None = None,
    ) -> float | None:
        """Return the seconds until the next attempt, or None to give up.

        Args:
            failure: The last failure.
            method: The method of the request.
            tries: How many attempts of this request failed.
            elapsed: The seconds since its first attempt.
            random: The source of jitter.
            answered_before: Whether upstream answered any request before.
            max_timeouts: The maximum attempts for timeouts, if fewer than usual.

        A 429 waits for 0 s here: the rate limiter blocks all requests.
        """
        if failure.kind in _NOT_RETRYABLE:
            return None
        if method != "GET" and not (failure.kind is Kind.THROTTLED or not failure.was_sent):
            return None
        has_no_contact = not failure.was_sent or failure.kind is Kind.RESET
        if not answered_before and has_no_contact and tries >= self.first_request_attempts:
            return None
        maximum = _MAX_ATTEMPTS.get(failure.kind)
        if failure.kind is Kind.TIMEOUT and max_timeouts is not None:
            maximum = max_timeouts
        if maximum is not None and tries >= maximum:
            return None
        throttled = failure.kind is Kind.THROTTLED
        wait = 0.0 if throttled else max(backoff(tries, random=random), failure.retry_after or 0.0)
        return wait if elapsed + wait < self.deadline else None
