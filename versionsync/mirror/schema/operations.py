"""What versionsync does and must remember: runs, leases, followers, requests, webhooks, notices."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Named, Table, Text, TypedColumns

from versionsync.mirror.schema.columns import (
    autoincrement,
    boolean,
    both_or_none,
    column,
    count,
    foreign_key_to_source,
    identifier,
    json,
    metadata,
    source,
    text,
    timestamp,
)

__all__ = [
    "leases",
    "request_usage",
    "runs",
    "sent_notifications",
    "source_claims",
    "webhook_log_cursors",
    "webhook_queue",
    "webhooks",
]


class _Runs(TypedColumns):
    id: Named[int] = autoincrement("Rises.")
    source_id: Named[int] = source(key=False)
    kind: Named[str] = text("`backfill`, `incremental`, `full`, `records`, `scrub`: what it set out to do.")
    trigger: Named[str] = text("What asked for it: the command line, the schedule, a webhook.")
    holder: Named[str] = text("The process that did it.")
    started_at: Named[datetime] = timestamp("Before its first request.")
    finished_at: Named[datetime | None] = timestamp("When its outcome was recorded.")
    outcome: Named[str] = text(
        "`running`; `succeeded`: all that it planned was applied; else `partial`, `failed` or `interrupted`."
    )
    requests: Named[int] = count("Requests sent; like all counts, it rises while the run goes on.")
    throttled: Named[int] = count("Answers that said `slower` (429).")
    bytes_received: Named[int] = count("Bytes of all answers.", big=True)
    records_swept: Named[int] = count("Records whose fingerprint was compared.")
    records_pulled: Named[int] = count("Records whose versions were read.")
    records_failed: Named[int] = count("Records that could not be mirrored this time.")
    versions_inserted: Named[int] = count("Versions that were new.")
    versions_changed: Named[int] = count("Known versions whose row changed.")
    versions_rewritten: Named[int] = count("Of these: other content under the same id.")
    events_written: Named[int] = count("Events.")
    error: Named[str | None] = text("Why it failed, or what it could not do.")
    error_kind: Named[str | None] = text(
        "The same as one word, for programs: `refused` (token, role, environment), `unavailable`, `stalled` (it hung), "
        "`database`, `configuration` (the settings lead elsewhere), `partial` (some records), `unknown_record` "
        "(neither upstream nor the mirror has it), `mass_delete` (more than the limit), `budget` (spent), "
        "`unexpected` (a fault of our own); NULL: nothing was wrong, or it was interrupted."
    )


runs = Table(
    "runs",
    metadata,
    _Runs,
    foreign_key_to_source("runs"),
    CheckConstraint(
        "outcome IN ('running', 'succeeded', 'partial', 'failed', 'interrupted')", name="ck_runs_outcome_is_known"
    ),
    CheckConstraint("(outcome = 'running') = (finished_at IS NULL)", name="ck_runs_only_running_is_unfinished"),
    CheckConstraint(
        "error_kind IN ('refused', 'unavailable', 'stalled', 'database', 'configuration', 'partial', 'unknown_record', "
        "'mass_delete', 'budget', 'unexpected')",
        name="ck_runs_error_kind_is_known",
    ),
    Index("runs_in_order", "source_id", "id"),
    comment="Every sync of a source, with what it cost, what it did and how it ended.",
    sqlite_autoincrement=True,
)


class _Leases(TypedColumns):
    source_id: Named[int] = source()
    holder: Named[str | None] = json("The process that may write: host, pid, start; NULL: nobody.")
    epoch: Named[int] = column(BigInteger(), "Rises with each holder: an earlier one can write no more.", default="0")
    expires_at: Named[datetime | None] = timestamp("By the database's clock; renewed while the holder lives.")


leases = Table(
    "leases",
    metadata,
    _Leases,
    foreign_key_to_source("leases"),
    CheckConstraint("epoch >= 0", name="ck_leases_epoch_rises"),
    both_or_none("holder", "expires_at", "ck_leases_holder_has_an_end"),
    comment="Who may write to a source now.",
)


class _SourceClaims(TypedColumns):
    source_id: Named[int] = source()
    holder: Named[str | None] = json("The daemon that follows the source: host, pid, start; NULL: none.")
    expires_at: Named[datetime | None] = timestamp("By the database's clock; renewed while that daemon lives.")
    next_check_at: Named[datetime | None] = timestamp("When it means to look next.")
    next_check_reason: Named[str | None] = text("Why then.")


source_claims = Table(
    "source_claims",
    metadata,
    _SourceClaims,
    foreign_key_to_source("source_claims"),
    both_or_none("holder", "expires_at", "ck_source_claims_holder_has_an_end"),
    comment="Which daemon follows a source; another one stands by. The right to write is the lease alone.",
)


class _RequestUsage(TypedColumns):
    source_id: Named[int] = source()
    day: Named[str] = identifier("The day in UTC, as `2026-03-01`.", key=True)
    requests: Named[int] = count(
        "Requests sent for the source on that day, by the daemon and by `sync`, each try counted."
    )


request_usage = Table(
    "request_usage",
    metadata,
    _RequestUsage,
    foreign_key_to_source("request_usage"),
    CheckConstraint("requests >= 0", name="ck_request_usage_requests_rise"),
    comment="How many requests were sent: what a budget is measured by.",
)


class _WebhookQueue(TypedColumns):
    id: Named[int] = autoincrement("Rises.")
    source_id: Named[int] = source(key=False)
    record_id: Named[str] = identifier("The record that may have changed; it need not be known.")
    event_type: Named[str] = text("What the webhook said: `create`, `update`, `delete`, `publish`, `unpublish`.")
    received_at: Named[datetime] = timestamp("When it was received.")


webhook_queue = Table(
    "webhook_queue",
    metadata,
    _WebhookQueue,
    foreign_key_to_source("webhook_queue"),
    Index("webhook_queue_in_order", "source_id", "id"),
    comment="What webhooks told and no run has mirrored yet.",
    sqlite_autoincrement=True,
)


class _WebhookLogCursors(TypedColumns):
    source_id: Named[int] = source()
    webhook_id: Named[str] = identifier("The webhook of DatoCMS whose log of calls is read.")
    read_at: Named[datetime] = timestamp("When it was last read and told something, by upstream's clock.")
    last_call_id: Named[str | None] = identifier("The newest call seen; NULL: the log was empty.")
    last_call_at: Named[datetime | None] = timestamp("When that call was made, by upstream's clock.")


webhook_log_cursors = Table(
    "webhook_log_cursors",
    metadata,
    _WebhookLogCursors,
    foreign_key_to_source("webhook_log_cursors"),
    both_or_none("last_call_id", "last_call_at", "ck_webhook_log_cursors_call_has_a_time"),
    comment="How far the log of a webhook's calls was read: the next reading proves by it that none was missed.",
)


class _Webhooks(TypedColumns):
    source_id: Named[int] = source()
    receives: Named[bool] = boolean(
        "Whether the daemon's settings have a password for calls, so that its receiver hears them.", "false"
    )
    last_call_at: Named[datetime | None] = timestamp(
        "When a call that told of a change was last received, or found in the log, by our clock."
    )
    log_state: Named[str] = column(
        Text(),
        "What the daemon knows of the log of calls: `unknown` (not asked for), `absent` (no webhook, or none that "
        "tells all), `refused` (the token may not read it), `read`.",
        default="'unknown'",
    )
    log_read_at: Named[datetime | None] = timestamp(
        "When the log was last read, by our clock; noted every few seconds."
    )
    log_gaps: Named[int] = count(
        "How often a reading could not prove that no call was missed: a whole look followed each."
    )
    last_gap_at: Named[datetime | None] = timestamp("When that last happened.")
    undelivered_changes: Named[int] = count(
        "Looks in a row that found changes of which no call had told; a call sets it to 0."
    )


webhooks = Table(
    "webhooks",
    metadata,
    _Webhooks,
    foreign_key_to_source("webhooks"),
    CheckConstraint(
        "log_state IN ('unknown', 'absent', 'refused', 'active', 'not_in_plan')", name="ck_webhooks_log_state_is_known"
    ),
    CheckConstraint("log_gaps >= 0 AND undelivered_changes >= 0", name="ck_webhooks_counts_are_no_debt"),
    comment="How the webhook of a source does, as the daemon that follows it last knew.",
)


class _SentNotifications(TypedColumns):
    source_id: Named[int] = source()
    channel: Named[str] = identifier(
        "Who was told: the kind of service, and four digits that tell addresses apart.", key=True
    )
    kind: Named[str] = text("The worst that was told since all was well: `stale`, `failing`, `mass_delete`.")
    sent_at: Named[datetime] = timestamp("When.")


sent_notifications = Table(
    "sent_notifications",
    metadata,
    _SentNotifications,
    foreign_key_to_source("sent_notifications"),
    CheckConstraint("kind IN ('failing', 'stale', 'mass_delete')", name="ck_sent_notifications_kind_is_known"),
    comment="Troubles that were told and are not over: a daemon that starts again tells them no second time.",
)
