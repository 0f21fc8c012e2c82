"""How it stands with each source, in memory: written by its follower, read by whoever is asked for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum

from versionsync.daemon.budget import Purse
from versionsync.daemon.hints import Heard
from versionsync.daemon.waits import Trouble
from versionsync.sync.report import Counts, Outcome, Progress

__all__ = ["LogReading", "LogStance", "SourceState", "Stance"]


class Stance(StrEnum):
    """What this daemon is to a source."""

    STARTING = "starting"
    """Nothing came of it yet."""
    FOLLOWING = "following"
    """It looks, and all is well."""
    STANDBY = "standby"
    """Another daemon follows the source, or another process writes to it."""
    FAILING = "failing"
    """The last look did not do all that it should; it is tried again."""


class LogStance(StrEnum):
    """What this daemon knows of the log of a source's webhook."""

    UNKNOWN = "unknown"
    """It was not asked for yet, or the settings do not want it."""
    ABSENT = "absent"
    """The source has no webhook, or none that tells every change of a record."""
    REFUSED = "refused"
    """The token may not read webhooks."""
    READ = "read"
    """It is read, and tells what changes."""


class LogReading(StrEnum):
    """How a reading of that log ended."""

    PROVEN = "proven"
    """No call can be missing between this reading and the one before."""
    UNPROVEN = "unproven"
    """Some may be: all of the source is looked at."""
    FAILED = "failed"
    """It could not be read."""


@dataclass(slots=True, kw_only=True)
class SourceState:
    """One source. `progress` is that of the run under way, if one is; `total` and `runs` count since the start."""

    name: str
    max_staleness: float
    since: datetime
    stance: Stance = Stance.STARTING
    trouble: Trouble | None = None
    error: str | None = None
    failures: int = 0
    other: str | None = None
    progress: Progress | None = None
    began_at: datetime | None = None
    last_run_at: datetime | None = None
    last_run_seconds: float | None = None
    last_success_at: datetime | None = None
    last_change_at: datetime | None = None
    next_look_at: datetime | None = None
    next_look_reason: str | None = None
    purse: Purse | None = None
    total: Counts = field(default_factory=Counts)
    heard: Counter[Heard] = field(default_factory=Counter)
    webhook_log: LogStance = LogStance.UNKNOWN
    log_readings: Counter[LogReading] = field(default_factory=Counter)
    log_read_at: datetime | None = None
    runs: Counter[Outcome] = field(default_factory=Counter)

    def add(self, counts: Counts) -> None:
        """Add the counts of a run to those since the start."""
        for each in fields(Counts):
            setattr(self.total, each.name, getattr(self.total, each.name) + getattr(counts, each.name))

    def staleness(self, now: datetime) -> float:
        """Seconds since the last look that succeeded began, or since the start where none has."""
        return max((now - (self.last_success_at or self.since)).total_seconds(), 0.0)
