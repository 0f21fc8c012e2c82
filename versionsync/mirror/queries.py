"""Everything that reads a mirror for the engine and for its status."""

from __future__ import annotations

from versionsync.mirror.editors import unknown_editors
from versionsync.mirror.event_rows import EventRow, events_after, last_event_id, last_events
from versionsync.mirror.followers import followed_by
from versionsync.mirror.freshness import lag
from versionsync.mirror.known import (
    former_contents,
    known_records,
    known_versions,
    live_counts_by_model,
    live_record_count,
    oldest_synced,
)
from versionsync.mirror.leases import current as current_lease
from versionsync.mirror.runs import RunRow, last_runs
from versionsync.mirror.schema import known_schema
from versionsync.mirror.sources import SourceRow, source, sources_of

__all__ = [
    "EventRow",
    "RunRow",
    "SourceRow",
    "current_lease",
    "events_after",
    "followed_by",
    "former_contents",
    "known_records",
    "known_schema",
    "known_versions",
    "lag",
    "last_event_id",
    "last_events",
    "last_runs",
    "live_counts_by_model",
    "live_record_count",
    "oldest_synced",
    "source",
    "sources_of",
    "unknown_editors",
]
