"""A source as the daemon is to follow it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from versionsync import cma
from versionsync.daemon.budget import Budget
from versionsync.daemon.hints import Login
from versionsync.sync.report import SourceSpec

__all__ = ["Followed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A source as the settings have it. `open_client` makes a client for one run, with the token as it is by then.

    `max_staleness`: seconds that a look may be old; `scrub`: histories that are read again a day; `budget`: None is no
    limit. `webhook`: what a webhook must say to be heard; None: none is. `reads_webhook_log`: whether
    the log of its calls is read, where there is one.
    """

    spec: SourceSpec
    max_staleness: float
    scrub: int
    budget: Budget | None = None
    webhook: Login | None = None
    reads_webhook_log: bool = True
    open_client: Callable[[], AbstractAsyncContextManager[cma.Client]] = field(compare=False)
