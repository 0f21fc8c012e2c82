"""The mirror's tables: every column with its meaning, every rule as a constraint.

CHECK constraints state our own invariants only, never what upstream may send: an interval that ends before it starts is
stored. Migrations make the database, and a test compares them with these tables. docs/schema.md is generated from them.
"""

from versionsync.mirror.schema.column_helpers import metadata
from versionsync.mirror.schema.history_tables import erasures, events, records, version_rewrites, versions
from versionsync.mirror.schema.operational_tables import (
    daemons,
    leases,
    request_usage,
    restore_plans,
    restore_steps,
    runs,
    sent_notifications,
    source_claims,
    webhook_log_cursors,
    webhook_queue,
    webhooks,
)
from versionsync.mirror.schema.project_tables import (
    editors,
    fields,
    models,
    sources,
    upload_changes,
    uploads,
)
from versionsync.mirror.schema.projection_tables import (
    changes,
    intervals,
    links,
    passages,
    projection_cursors,
    reordered_records,
    titles,
)

__all__ = [
    "changes",
    "daemons",
    "editors",
    "erasures",
    "events",
    "fields",
    "intervals",
    "leases",
    "links",
    "metadata",
    "models",
    "passages",
    "projection_cursors",
    "records",
    "reordered_records",
    "request_usage",
    "restore_plans",
    "restore_steps",
    "runs",
    "sent_notifications",
    "source_claims",
    "sources",
    "titles",
    "upload_changes",
    "uploads",
    "version_rewrites",
    "versions",
    "webhook_log_cursors",
    "webhook_queue",
    "webhooks",
]
