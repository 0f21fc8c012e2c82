"""What is worth asking again, and when: pure.

A failure is a value, not an exception: what kind it was, and whether the request can have reached upstream. Reads are
asked again whenever that can help. A write is asked again only when it certainly did not happen: it was never sent, or
upstream refused it with a 429.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Failure", "Kind", "Policy", "backoff"]


class Kind(StrEnum):
    """What went wrong with one try."""

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
# How often at most, whatever the deadline: what does not mend within these tries will not, or asking for less may help.
_MAX_ATTEMPTS: Final = {Kind.TIMEOUT: 5, Kind.TORN: 5, Kind.NOT_JSON: 5, Kind.PROXY: 4}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed try. `detail` is a sentence without content; `retry_after` is in seconds, if upstream said."""

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
        """Whether a write that failed so may have been done all the same."""
        return self.kind not in _CERTAINLY_REFUSED


def backoff(tries: int, *, random: random.Random, first: float = 0.5, most: float = 20.0) -> float:
    """Seconds to wait after the `tries`-th failure in a row: doubling, capped, with jitter down to a half."""
    return min(most, first * 2.0 ** min(tries - 1, 30)) * (0.5 + random.random() / 2)


@dataclass(frozen=True, slots=True)
class Policy:
    """`deadline` is the most seconds a request may take from its first try on, waits included.

    `first_contact_tries` holds as long as upstream never answered at all, also where it hangs up on us: then the
    address is probably wrong, and whoever typed it wants to know now.
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
        most_timeouts: int | None = None,
    ) -> float | None:
        """Seconds until the next try, or None to give up.

        `tries` counts those that failed with this request so far, `elapsed` the seconds since its first. A 429 waits
        for 0 s here: it is the governor that holds everybody.
        """
        if failure.kind in _NOT_RETRYABLE:
            return None
        if method != "GET" and not (failure.kind is Kind.THROTTLED or not failure.was_sent):
            return None
        is_no_contact = not failure.was_sent or failure.kind is Kind.RESET
        if not answered_before and is_no_contact and tries >= self.first_request_attempts:
            return None
        most = _MAX_ATTEMPTS.get(failure.kind)
        if failure.kind is Kind.TIMEOUT and most_timeouts is not None:
            most = most_timeouts
        if most is not None and tries >= most:
            return None
        throttled = failure.kind is Kind.THROTTLED
        wait = 0.0 if throttled else max(backoff(tries, random=random), failure.retry_after or 0.0)
        return wait if elapsed + wait < self.deadline else None
