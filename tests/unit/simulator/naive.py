"""A second, naive model of what editors do: lists that are rewritten completely, without the world's code."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

Interval = tuple[datetime, datetime | None]


@dataclass
class NaiveVersion:
    """A version: its price, who wrote it when, and when it was live."""

    price: int
    editor: str
    created_at: datetime
    live: list[Interval] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether its last interval is open."""
        return bool(self.live) and self.live[-1][1] is None


@dataclass
class NaiveRecord:
    """A record: all of its versions, the last being the current one."""

    draft_mode: bool
    versions: list[NaiveVersion] = field(default_factory=list)
    alive: bool = True

    def save(self, price: int, editor: str, now: datetime, *, merges_within: timedelta, keeps_id: bool) -> None:
        """Write a version, or go on with the last one."""
        last = self.versions[-1] if self.versions else None
        goes_on = (
            last is not None
            and merges_within > timedelta(0)
            and last.editor == editor
            and now - last.created_at <= merges_within
            and (not last.live or not self.draft_mode)
        )
        if last is not None and goes_on and keeps_id:
            last.price, last.created_at = price, now
        else:
            if goes_on:
                self.versions.pop()
            self.versions.append(NaiveVersion(price, editor, now))
        if not self.draft_mode:
            self.publish(now)

    def publish(self, now: datetime) -> None:
        """Let the last version be the live one."""
        if not self.versions[-1].is_live:
            self.unpublish(now)
            self.versions[-1].live.append((now, None))

    def unpublish(self, now: datetime) -> None:
        """Let no version be live."""
        for version in self.versions:
            if version.is_live:
                version.live[-1] = (version.live[-1][0], now)
