"""Every request that the simulator was sent, and what it answered; never a token."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["REQUESTS_KEPT", "LoggedRequest", "RequestsLog"]

REQUESTS_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request. *route* is the path's pattern, *token* the name of the API token, *size* the answer's bytes."""

    at: datetime
    method: str
    path: str
    route: str
    token: str | None
    status: int
    size: int
    fault: str | None = None


class RequestsLog:
    """The latest requests, and counts of all of them."""

    def __init__(self, kept: int = REQUESTS_KEPT) -> None:
        """*kept*: how many of the latest requests are remembered; each takes about 400 bytes."""
        self._latest: deque[LoggedRequest] = deque(maxlen=kept)
        self.reset()

    def reset(self) -> None:
        """Forget everything, and count from zero."""
        self._latest.clear()
        self.total = 0
        self.bytes_sent = 0
        self.by_route: Counter[str] = Counter()
        self.by_status: Counter[int] = Counter()

    def add(self, request: LoggedRequest) -> None:
        """Note *request*."""
        self._latest.append(request)
        self.total += 1
        self.bytes_sent += request.size
        self.by_route[f"{request.method} {request.route}"] += 1
        self.by_status[request.status] += 1

    def count(self, route: str | None = None) -> int:
        """How many requests there were; *route*: of this pattern, such as `GET /items/{item_id}/versions`."""
        return self.total if route is None else self.by_route[route]

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(self._latest)

    def __len__(self) -> int:
        return len(self._latest)
