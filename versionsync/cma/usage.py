"""What was sent, and what came of it: counters of a client, and one try as logs and metrics see it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Exchange", "Result", "Usage"]


class Result(StrEnum):
    """How one try ended."""

    OK = "ok"
    """An answer that was understood."""
    THROTTLED = "throttled"
    """429: slower."""
    REFUSED = "refused"
    """Any other 4xx; also a 404 for a record that has gone, which is how that is proven."""
    ERROR = "error"
    """5xx, or an answer that makes no sense."""
    NO_ANSWER = "no_answer"
    """The network: not connected, cut off, or too late."""

    @classmethod
    def of(cls, status: int | None, *, is_throttled: bool, is_understood: bool) -> Result:
        """The result of a try that was answered with `status`; None: with nothing."""
        if status is None:
            return cls.NO_ANSWER
        if is_throttled:
            return cls.THROTTLED
        if is_understood:
            return cls.OK
        return cls.REFUSED if 300 <= status < 500 else cls.ERROR


@dataclass(slots=True)
class Usage:
    """Counters that only rise. Every try counts as a request, as it does upstream; bytes are those on the wire.

    `results` counts also the tries that never left, since there was no connection.
    """

    requests: int = 0
    throttled: int = 0
    retries: int = 0
    bytes_received: int = 0
    results: Counter[Result] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One try, for logs and metrics: never a query, a token or content. `status` is None when no answer came."""

    method: str
    path: str
    status: int | None
    seconds: float
    bytes: int
    failure: str | None = None
