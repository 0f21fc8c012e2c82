"""Clients of DatoCMS as the settings describe them."""

from __future__ import annotations

from collections.abc import Sequence

from versionsync import cma
from versionsync.config import Secret, SourceSettings
from versionsync.config.definition import RateLimit

__all__ = ["governor_of", "open_client"]


def open_client(source: SourceSettings, token: Secret, *, governor: cma.Governor | None = None) -> cma.Client:
    """A client for `source`, an asynchronous context manager; `governor` where others use the same token."""
    return cma.Client(
        source.base_url,
        token.reveal(),
        environment=source.environment,
        governor=governor or governor_of([source.rate_limit]),
    )


def governor_of(rate_limits: Sequence[RateLimit | None]) -> cma.Governor:
    """The governor of one token, whose sources set these limits: the lowest holds for all of them."""
    numbers = [limit for limit in rate_limits if isinstance(limit, int)]
    if numbers:
        return cma.Governor(min(numbers))
    return cma.Governor(None if None in rate_limits else cma.UNLIMITED)
