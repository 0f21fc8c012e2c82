"""The tables of versionsync's own state: runs, leases, claims, requests, webhooks, notifications."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
)

from versionsync.mirror.schema.column_helpers import (
    autoincrement,
    binary,
    boolean,
    both_or_none,
    column,
    count,
    foreign_key_to_source,
    identifier,
    json,
    metadata,
    partial,
    source,
    text,
    timestamp,
)

__all__ = [
    "daemons",
    "leases",
    "request_usage",
    "restore_plans",
    "restore_steps",
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
    kind: Named[str] = text("What it planned to do: `backfill`, `incremental`, `full`, `records` or `scrub`.")
    trigger: Named[str] = text("What started it: the command line, the schedule or a webhook.")
    holder: Named[str] = text("The process that ran it.")
    started_at: Named[datetime] = timestamp("Before its first request.")
    finished_at: Named[datetime | None] = timestamp("When its outcome was recorded.")
    outcome: Named[str] = text(
        "`running`, `succeeded` (everything planned was applied), `partial`, `failed` or `interrupted`."
    )
    requests: Named[int] = count("Requests sent. Like all counts, it rises during the run.")
    throttled: Named[int] = count("Responses with status 429 (rate limit).")
    bytes_received: Named[int] = count("Bytes of all responses.", big=True)
    records_swept: Named[int] = count("Records whose fingerprint was compared.")
    records_pulled: Named[int] = count("Records whose versions were read.")
    records_failed: Named[int] = count("Records that could not be mirrored this time.")
    versions_inserted: Named[int] = count("Versions that were new.")
    versions_changed: Named[int] = count("Known versions whose row changed.")
    versions_rewritten: Named[int] = count("Of these: with new content under the same id.")
    events_written: Named[int] = count("Events written.")
    error: Named[str | None] = text("Why it failed, or what it could not do.")
    error_kind: Named[str | None] = text(
        "The kind of error, for programs: `refused` (token, role or environment), `unavailable`, "
        "`stalled` (no progress), `database`, `configuration` (the settings name another project), "
        "`partial` (some records failed), "
        "`unknown_record` (not found in DatoCMS nor here), `mass_delete` (above the limit), `budget` (used up), "
        "`unexpected` (a bug in versionsync). NULL: there was no error, or the run was interrupted."
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
    # An idle source has thousands of runs that changed nothing between two that did.
    Index(
        "runs_with_changes",
        "source_id",
        "id",
        **partial("versions_inserted + versions_changed + events_written > 0"),
    ),
    comment="Every sync of a source: its cost, its results and its outcome.",
    sqlite_autoincrement=True,
)


class _Leases(TypedColumns):
    source_id: Named[int] = source()
    holder: Named[str | None] = json("The process that may write: host, pid and start. NULL: none.")
    epoch: Named[int] = column(BigInteger, "Rises with each holder. An earlier one cannot write any more.", default="0")
    expires_at: Named[datetime | None] = timestamp("When it expires, by the database's clock. Its holder renews it.")


leases = Table(
    "leases",
    metadata,
    _Leases,
    foreign_key_to_source("leases"),
    CheckConstraint("epoch >= 0", name="ck_leases_epoch_rises"),
    both_or_none("holder", "expires_at", "ck_leases_holder_has_an_end"),
    comment="Which process may write to a source now.",
)


class _Daemons(TypedColumns):
    id: Named[int] = autoincrement("Rises.")
    holder: Named[str] = json("Its process: host, pid and start.")
    sources: Named[str] = json("The names of the sources in its settings: a JSON list.")
    started_at: Named[datetime] = timestamp("When it started, by the database's clock.")
    expires_at: Named[datetime] = timestamp(
        "Until when it counts as alive, by the database's clock. It renews this every ten seconds."
    )


daemons = Table(
    "daemons",
    metadata,
    _Daemons,
    comment="The daemons that run now, and those that died within the last hour. They share the sources.",
    sqlite_autoincrement=True,
)


class _SourceClaims(TypedColumns):
    source_id: Named[int] = source()
    daemon_id: Named[int | None] = column(
        BigInteger, "The daemon that runs the source: `daemons.id`. NULL: none. A claim is as alive as its daemon."
    )
    next_check_at: Named[datetime | None] = timestamp("When it plans to check the source next.")
    next_check_reason: Named[str | None] = text("Why then.")


source_claims = Table(
    "source_claims",
    metadata,
    _SourceClaims,
    foreign_key_to_source("source_claims"),
    ForeignKeyConstraint(["daemon_id"], ["daemons.id"], name="fk_source_claims_daemon_id", ondelete="SET NULL"),
    comment="Which daemon runs a source. The right to write is in `leases`.",
)


class _RequestUsage(TypedColumns):
    source_id: Named[int] = source()
    day: Named[str] = identifier("The day in UTC, as `2026-03-01`.", key=True)
    requests: Named[int] = count(
        "Requests sent for the source on that day by the daemon and by `sync`, including retries."
    )


request_usage = Table(
    "request_usage",
    metadata,
    _RequestUsage,
    foreign_key_to_source("request_usage"),
    CheckConstraint("requests >= 0", name="ck_request_usage_requests_rise"),
    comment="How many requests were sent each day. Budgets count these.",
)


class _WebhookQueue(TypedColumns):
    id: Named[int] = autoincrement("Rises.")
    source_id: Named[int] = source(key=False)
    record_id: Named[str | None] = identifier(
        "The record that may have changed. The mirror may not have it yet. NULL: the call named none, so anything may."
    )
    event_type: Named[str] = text("The event of the call: `create`, `update`, `delete`, `publish` or `unpublish`.")
    received_at: Named[datetime] = timestamp("When it was received.")


webhook_queue = Table(
    "webhook_queue",
    metadata,
    _WebhookQueue,
    foreign_key_to_source("webhook_queue"),
    Index("webhook_queue_in_order", "source_id", "id"),
    comment="Webhook calls that no run has mirrored yet.",
    sqlite_autoincrement=True,
)


class _WebhookLogCursors(TypedColumns):
    source_id: Named[int] = source()
    webhook_id: Named[str] = identifier("The webhook whose log of calls is read.")
    read_at: Named[datetime] = timestamp("When it was last read with a result, by DatoCMS's clock.")
    last_call_id: Named[str | None] = identifier("The newest call in the log. NULL: the log was empty.")
    last_call_at: Named[datetime | None] = timestamp("When that call was made, by DatoCMS's clock.")


webhook_log_cursors = Table(
    "webhook_log_cursors",
    metadata,
    _WebhookLogCursors,
    foreign_key_to_source("webhook_log_cursors"),
    both_or_none("last_call_id", "last_call_at", "ck_webhook_log_cursors_call_has_a_time"),
    comment="How far a webhook's log was read. With it, the next poll proves that it missed no call.",
)


class _Webhooks(TypedColumns):
    source_id: Named[int] = source()
    receives: Named[bool] = boolean(
        "Whether the daemon's settings have a password for webhook calls, so that it accepts them.", "false"
    )
    last_call_at: Named[datetime | None] = timestamp(
        "When a call about a change was last received or found in the log, by our clock."
    )
    log_state: Named[str] = column(
        Text,
        "What the daemon knows of the log of calls: `unknown` (not read yet), `absent` (no webhook, or none with all "
        "events), `refused` (the token may not read it), `active`, `not_in_plan` (the budget leaves no requests).",
        default="'unknown'",
    )
    log_read_at: Named[datetime | None] = timestamp(
        "When the log was last read, by our clock. Updated every few seconds."
    )
    log_gaps: Named[int] = count(
        "How often a poll could not prove that it missed no call. A full check followed each time."
    )
    last_gap_at: Named[datetime | None] = timestamp("When that last happened.")
    undelivered_changes: Named[int] = count("Checks in a row that found changes without a call. A call sets it to 0.")


webhooks = Table(
    "webhooks",
    metadata,
    _Webhooks,
    foreign_key_to_source("webhooks"),
    CheckConstraint(
        "log_state IN ('unknown', 'absent', 'refused', 'active', 'not_in_plan')", name="ck_webhooks_log_state_is_known"
    ),
    CheckConstraint("log_gaps >= 0 AND undelivered_changes >= 0", name="ck_webhooks_counts_are_no_debt"),
    comment="The state of each source's webhook, as last reported by its daemon.",
)


class _SentNotifications(TypedColumns):
    source_id: Named[int] = source()
    channel: Named[str] = identifier(
        "Where it was sent: the kind of service, and four digits for the address.", key=True
    )
    kind: Named[str] = text(
        "The most severe problem sent since the source was last healthy: `stale`, `failing` or `mass_delete`."
    )
    sent_at: Named[datetime] = timestamp("When it was sent.")


sent_notifications = Table(
    "sent_notifications",
    metadata,
    _SentNotifications,
    foreign_key_to_source("sent_notifications"),
    CheckConstraint("kind IN ('failing', 'stale', 'mass_delete')", name="ck_sent_notifications_kind_is_known"),
    comment="Problems that were notified and are not over. A restarted daemon does not send these again.",
)


class _RestorePlans(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("Eight letters and digits.", key=True)
    hash: Named[bytes] = binary("SHA-256 of the plan with all its steps. A file of the plan names it.")
    environment: Named[str] = identifier("The environment that is written to.")
    wanted: Named[str] = text("What was asked, in words.")
    made_at: Named[datetime] = timestamp("When it was made.")
    made_by: Named[str] = text("The user and the host that made it.")
    undoes_id: Named[str | None] = identifier("The plan that this one takes back.")
    body: Named[str] = text("The plan without its steps: a JSON object.")
    state: Named[str] = text(
        "`planned`, `running`, `done`, `partial` (some steps failed), `stopped` (to be continued), or `erased` (it "
        "named a record that was erased, and holds nothing any more)."
    )
    holder: Named[str | None] = json("The process that carries it out.")
    expires_at: Named[datetime | None] = timestamp("When another process may continue it, if `holder` does not report.")
    started_at: Named[datetime | None] = timestamp("Before its first request.")
    finished_at: Named[datetime | None] = timestamp("When its outcome was recorded.")
    report: Named[str | None] = text("How it ended, with what was compared afterwards: a JSON object.")


restore_plans = Table(
    "restore_plans",
    metadata,
    _RestorePlans,
    foreign_key_to_source("restore_plans"),
    CheckConstraint(
        "state IN ('planned', 'running', 'done', 'partial', 'stopped', 'erased')",
        name="ck_restore_plans_state_is_known",
    ),
    both_or_none("holder", "expires_at", "ck_restore_plans_holder_has_an_end"),
    CheckConstraint("length(hash) = 32", name="ck_restore_plans_hash_is_sha256"),
    comment="Plans of `restore`, and how they were carried out.",
)


class _RestoreSteps(TypedColumns):
    source_id: Named[int] = source()
    plan_id: Named[str] = identifier("Its plan: `restore_plans.id`.", key=True)
    number: Named[int] = column(Integer, "Its place in the plan, from 1.", key=True)
    act: Named[str] = text("`create`, `update`, `publish`, `unpublish`, `schedule` or `delete`.")
    record_id: Named[str | None] = identifier("The record. NULL: it is about several.")
    body: Named[str] = text("The step, with the content that it sends: a JSON object.")
    state: Named[str] = text(
        "`planned`; `sent` (before the request, so its outcome is unknown if this stays); `done`; `failed`; `skipped`."
    )
    sent_at: Named[datetime | None] = timestamp("Before its request.")
    finished_at: Named[datetime | None] = timestamp("When its outcome was recorded.")
    version_id: Named[str | None] = identifier("The current version that it made upstream.")
    error_code: Named[str | None] = text("Upstream's code, or ours, if it failed or was skipped.")
    error: Named[str | None] = text("Why it failed or was skipped, in words.")


restore_steps = Table(
    "restore_steps",
    metadata,
    _RestoreSteps,
    ForeignKeyConstraint(
        ["source_id", "plan_id"], ["restore_plans.source_id", "restore_plans.id"], name="fk_restore_steps_plan_id"
    ),
    CheckConstraint(
        "state IN ('planned', 'sent', 'done', 'failed', 'skipped')", name="ck_restore_steps_state_is_known"
    ),
    comment="The steps of each plan of `restore`: the journal, written before and after each request.",
)
