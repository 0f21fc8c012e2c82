"""The mirror's tables: every column with its meaning, every rule as a constraint.

CHECKs hold our own invariants only, never what upstream may send: an interval that ends before it starts is stored.
Migrations are what makes a database; a test compares them with this. docs/schema.md is made from it.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    Named,
    Table,
    Text,
    TypedColumns,
)

from versionsync.mirror.columns import (
    both_or_none,
    column,
    count,
    flag,
    identifier,
    json,
    number,
    octets,
    only_where,
    refer,
    refer_to_run,
    refer_to_source,
    refer_to_version,
    rising,
    source,
    time,
    words,
)
from versionsync.mirror.types import UuidText

__all__ = [
    "editors",
    "events",
    "fields",
    "followers",
    "hints",
    "leases",
    "metadata",
    "models",
    "notices",
    "records",
    "runs",
    "sources",
    "usage",
    "version_rewrites",
    "versions",
    "webhook_logs",
    "webhooks",
]

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})


class _Sources(TypedColumns):
    id: Named[int] = Column(Integer(), Identity(), primary_key=True, comment="A small number, never used again.")
    name: Named[str] = words("The name in the settings; unique.")
    project_id: Named[str] = identifier("DatoCMS's id of the project.")
    project_name: Named[str | None] = words("The project's name, as last seen.")
    environment: Named[str] = words("The environment that is mirrored; of a source that follows: the last one seen.")
    follows_primary: Named[bool] = flag("Whether the settings name no environment: it is the primary one, whichever.")
    base_url: Named[str] = words("Where the API is.")
    locales: Named[str] = json("The project's locales, as a JSON list; the first is the main one.", "'[]'")
    last_data_change_at: Named[datetime | None] = time(
        "The environment's own time of its last change, as it was before the last complete sweep: the beacon."
    )
    beacon_is_settled: Named[bool] = flag(
        "Whether a sweep began after the second of `last_data_change_at` was over, so that it cannot hide a change.",
        "false",
    )
    environment_created_at: Named[datetime | None] = time(
        "When upstream made the environment: another time under the same name is another environment."
    )
    last_complete_sweep_at: Named[datetime | None] = time("When the last sweep that saw every record began.")
    last_scrub_at: Named[datetime | None] = time("When old histories were last re-read.")
    last_success_at: Named[datetime | None] = time(
        "When the last run that succeeded ended, be it one that read a few records only."
    )
    created_at: Named[datetime] = time("When the source was first registered.")
    whole_as_of: Named[datetime | None] = time(
        "The moment of which the mirror holds all that was upstream: when the last run began that looked at all of the "
        "source and succeeded; NULL: it was never whole."
    )


sources = Table(
    "sources",
    metadata,
    _Sources,
    Index("sources_name", "name", unique=True),
    comment="A project and an environment, mirrored under one name; and how far the mirror has come.",
    sqlite_autoincrement=True,
)


class _Models(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id.", key=True)
    api_key: Named[str | None] = words("The name in the API; NULL: the token may not read this model.")
    name: Named[str | None] = words("The name for editors.")
    is_block: Named[bool | None] = flag("Whether it is a block model, whose records live inside others.")
    is_singleton: Named[bool | None] = flag("Whether it has a single record.")
    draft_mode: Named[bool | None] = flag("Whether saving and publishing are two acts.")
    payload: Named[str | None] = json("The whole description, as sent.")
    first_seen_at: Named[datetime] = time("When the mirror first saw it.")
    deleted_at: Named[datetime | None] = time("When it was seen to be gone upstream.")


models = Table(
    "models", metadata, _Models, refer_to_source("models"), comment="Models (`item_type` in the API), deleted ones too."
)


class _Fields(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id; it survives a renaming.", key=True)
    model_id: Named[str] = identifier("The model that it belongs to.")
    api_key: Named[str] = words("The member of `versions.attributes` that holds its value.")
    label: Named[str] = words("The name for editors.")
    field_type: Named[str] = words("DatoCMS's type: `string`, `structured_text`, …")
    is_localized: Named[bool] = flag("Whether its value is an object by locale.")
    position: Named[int] = number("Its place in the form.")
    payload: Named[str] = json("The whole description, as sent.")
    first_seen_at: Named[datetime] = time("When the mirror first saw it.")
    deleted_at: Named[datetime | None] = time("When it was seen to be gone upstream.")


fields = Table(
    "fields",
    metadata,
    _Fields,
    refer("fields", "models", "model_id"),
    Index("fields_of_model", "source_id", "model_id", "position"),
    comment="Fields of models, deleted ones too.",
)


class _Editors(TypedColumns):
    source_id: Named[int] = source()
    type: Named[str] = identifier(
        "`account`, `user`, `sso_user`, `access_token`, `organization`, or what may come.", key=True
    )
    id: Named[str] = identifier("DatoCMS's id.", key=True)
    name: Named[str | None] = words("As far as the token may read it; NULL: only type and id are known.")
    email: Named[str | None] = words("As far as the token may read it.")
    payload: Named[str | None] = json("The whole description, without secrets.")


editors = Table(
    "editors",
    metadata,
    _Editors,
    refer_to_source("editors"),
    comment="Who made versions and records; kept when they leave.",
)


class _Records(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id.", key=True)
    model_id: Named[str] = identifier("The model that it belongs to.")
    status: Named[str | None] = words("`draft`, `updated`, `published`; NULL in a model without draft mode.")
    stage: Named[str | None] = words("The id of its stage in a workflow.")
    current_version_id: Named[str | None] = identifier("The version with `is_current`.")
    published_version_id: Named[str | None] = identifier("The version with `is_published`.")
    created_at: Named[datetime | None] = time("As upstream says.")
    updated_at: Named[datetime | None] = time("As upstream says.")
    published_at: Named[datetime | None] = time("When it was last published, as upstream says.")
    first_published_at: Named[datetime | None] = time("When it was first published, as upstream says.")
    publication_scheduled_at: Named[datetime | None] = time("When it will be published by itself.")
    unpublishing_scheduled_at: Named[datetime | None] = time("When it will be unpublished by itself.")
    creator_type: Named[str | None] = identifier("Who made it: `editors.type`.")
    creator_id: Named[str | None] = identifier("Who made it: `editors.id`.")
    fingerprint: Named[bytes] = octets("SHA-256 of all of its meta: another one means that something changed.")
    version_count: Named[int] = count("How many of its versions upstream listed at the last full look.")
    first_seen_at: Named[datetime] = time("When the mirror first saw it.")
    synced_at: Named[datetime] = time("When its versions were last read.")
    deleted_at: Named[datetime | None] = time("When it was known to be gone upstream; its rows stay.")
    deletion_evidence: Named[str | None] = words(
        "How we know: `not_found` (upstream answered 404 for it), `model_deleted` (its model is gone)."
    )


records = Table(
    "records",
    metadata,
    _Records,
    refer("records", "models", "model_id"),
    refer("records", "editors", "creator_type", "creator_id"),
    refer_to_version("current_version_id"),
    refer_to_version("published_version_id"),
    CheckConstraint("length(fingerprint) = 32", name="ck_records_fingerprint_is_sha256"),
    CheckConstraint("version_count >= 0", name="ck_records_version_count_is_no_debt"),
    CheckConstraint(
        "deletion_evidence IN ('not_found', 'model_deleted')", name="ck_records_deletion_evidence_is_known"
    ),
    both_or_none("deleted_at", "deletion_evidence", "ck_records_deletion_has_evidence"),
    both_or_none("creator_type", "creator_id", "ck_records_creator_is_whole"),
    Index("records_of_model", "source_id", "model_id", "updated_at"),
    Index("records_by_synced_at", "source_id", "synced_at"),
    Index(
        "records_to_be_published",
        "source_id",
        "publication_scheduled_at",
        **only_where("publication_scheduled_at IS NOT NULL"),
    ),
    Index(
        "records_to_be_unpublished",
        "source_id",
        "unpublishing_scheduled_at",
        **only_where("unpublishing_scheduled_at IS NOT NULL"),
    ),
    Index("records_deleted", "source_id", "deleted_at", **only_where("deleted_at IS NOT NULL")),
    comment="Records (`item` in the API) as they are now, deleted ones too.",
)


class _Versions(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id: URL-safe base64 of a UUID, or a number in old projects.", key=True)
    uuid: Named[UUID | None] = column(UuidText(), "`id` decoded; NULL for a number.")
    record_id: Named[str] = identifier("The record that it is a version of.")
    model_id: Named[str] = identifier("The record's model.")
    ordinal: Named[int] = column(
        BigInteger(), "Rises in upstream's order within a record, with gaps: it orders versions of one second."
    )
    created_at: Named[datetime] = time("When it was made, as upstream says.")
    editor_type: Named[str | None] = identifier("Who made it: `editors.type`.")
    editor_id: Named[str | None] = identifier("Who made it: `editors.id`.")
    is_current: Named[bool] = flag("Whether it is the newest one: at most one of a record.")
    is_published: Named[bool] = flag("Whether it is the live one: at most one of a record.")
    published_from: Named[datetime | None] = time(
        "Since when it was live the last time; NULL: never, or before upstream kept such times."
    )
    published_until: Named[datetime | None] = time("Until when it was live the last time; NULL: it still is.")
    is_valid: Named[bool | None] = flag("Whether it obeys its model's validations, where upstream says so.")
    attributes: Named[str] = json("The content: a JSON object, a member a field, blocks whole.")
    attributes_exact: Named[bytes | None] = octets(
        "The content's text as sent, where `jsonb` cannot hold it (U+0000, lone surrogates, numbers beyond range, "
        "members twice); otherwise NULL."
    )
    attributes_hash: Named[bytes] = octets("SHA-256 of the content's value, however it is spelled.")
    first_seen_at: Named[datetime] = time("When the mirror first saw it.")
    changed_at: Named[datetime] = time("When this row was last changed; at first `first_seen_at`.")
    missing_since: Named[datetime | None] = time("Since when upstream lists it no more, while its record lives.")


versions = Table(
    "versions",
    metadata,
    _Versions,
    refer("versions", "records", "record_id"),
    refer("versions", "models", "model_id"),
    refer("versions", "editors", "editor_type", "editor_id"),
    CheckConstraint("length(attributes_hash) = 32", name="ck_versions_attributes_hash_is_sha256"),
    CheckConstraint(
        "missing_since IS NULL OR NOT (is_current OR is_published)", name="ck_versions_missing_has_no_flag"
    ),
    both_or_none("editor_type", "editor_id", "ck_versions_editor_is_whole"),
    Index("versions_of_record", "source_id", "record_id", "ordinal", unique=True),
    Index("versions_one_current", "source_id", "record_id", unique=True, **only_where("is_current")),
    Index("versions_one_published", "source_id", "record_id", unique=True, **only_where("is_published")),
    Index("versions_of_model", "source_id", "model_id", "created_at"),
    Index("versions_by_editor", "source_id", "editor_type", "editor_id", "created_at"),
    Index(
        "versions_live_at",
        "source_id",
        "published_from",
        "published_until",
        **only_where("published_from IS NOT NULL"),
    ),
    Index("versions_missing", "source_id", "missing_since", **only_where("missing_since IS NOT NULL")),
    comment="Every version of every record (`item_version` in the API); never deleted.",
)


class _VersionRewrites(TypedColumns):
    source_id: Named[int] = source()
    version_id: Named[str] = identifier("The version that came back with other content under the same id.", key=True)
    observed_at: Named[datetime] = time("When the other content was first seen.", key=True)
    created_at: Named[datetime] = time("The version's time before.")
    editor_type: Named[str | None] = identifier("Its editor before: `editors.type`.")
    editor_id: Named[str | None] = identifier("Its editor before: `editors.id`.")
    attributes: Named[str] = json("Its content before.")
    attributes_exact: Named[bytes | None] = octets("Its content's text as sent, as in `versions`.")
    attributes_hash: Named[bytes] = octets("SHA-256 of the value of its content before.")
    first_seen_at: Named[datetime] = time("When the content before was first seen.")
    run_id: Named[int | None] = column(BigInteger(), "The run that saw it.")


version_rewrites = Table(
    "version_rewrites",
    metadata,
    _VersionRewrites,
    refer("version_rewrites", "versions", "version_id"),
    refer("version_rewrites", "editors", "editor_type", "editor_id"),
    refer_to_run("version_rewrites"),
    CheckConstraint("length(attributes_hash) = 32", name="ck_version_rewrites_attributes_hash_is_sha256"),
    Index("version_rewrites_of_run", "run_id"),
    comment="What a version held before upstream rewrote it in place (a burst of edits that was merged).",
)


class _Events(TypedColumns):
    id: Named[int] = rising("Rises; within a source in the order of commits, so that `id > ?` misses nothing.")
    source_id: Named[int] = source(key=False)
    type: Named[str] = identifier("`version.created`, `version.published`, …")
    record_id: Named[str | None] = identifier("The record that it is about.")
    version_id: Named[str | None] = identifier("The version that it is about.")
    model_id: Named[str | None] = identifier("The model that it is about, or whose record.")
    occurred_at: Named[datetime] = time("When it happened.")
    occurred_basis: Named[str] = words("`upstream` said when; or only `observed` to have happened by `observed_at`.")
    observed_at: Named[datetime] = time("When the mirror saw it.")
    run_id: Named[int | None] = column(BigInteger(), "The run that saw it.")
    data: Named[str] = json("What else is known of it.", "'{}'")
    key: Named[str] = identifier("Derived from the transition itself: one event for one transition.")


events = Table(
    "events",
    metadata,
    _Events,
    refer("events", "records", "record_id"),
    refer("events", "versions", "version_id"),
    refer_to_run("events"),
    CheckConstraint("occurred_basis IN ('upstream', 'observed')", name="ck_events_occurred_basis_is_known"),
    Index("events_key", "source_id", "key", unique=True),
    Index("events_in_order", "source_id", "id"),
    Index("events_of_record", "source_id", "record_id", "id"),
    Index("events_of_version", "source_id", "version_id", "id"),
    Index("events_of_run", "run_id"),
    comment="Every transition of a version, a record or the schema, once; written with the change itself.",
    sqlite_autoincrement=True,
)


class _Runs(TypedColumns):
    id: Named[int] = rising("Rises.")
    source_id: Named[int] = source(key=False)
    kind: Named[str] = words("`backfill`, `incremental`, `full`, `records`, `scrub`: what it set out to do.")
    trigger: Named[str] = words("What asked for it: the command line, the schedule, a webhook.")
    holder: Named[str] = words("The process that did it.")
    started_at: Named[datetime] = time("Before its first request.")
    finished_at: Named[datetime | None] = time("When its outcome was recorded.")
    outcome: Named[str] = words(
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
    error: Named[str | None] = words("Why it failed, or what it could not do.")
    error_kind: Named[str | None] = words(
        "The same as one word, for programs: `refused` (token, role, environment), `unavailable`, `stalled` (it hung), "
        "`database`, `settings` (they lead elsewhere), `partial` (some records), `vanished` (too many to believe), "
        "`budget` (spent), `unexpected` (a fault of our own); NULL: nothing was wrong, or it was interrupted."
    )


runs = Table(
    "runs",
    metadata,
    _Runs,
    refer_to_source("runs"),
    CheckConstraint(
        "outcome IN ('running', 'succeeded', 'partial', 'failed', 'interrupted')", name="ck_runs_outcome_is_known"
    ),
    CheckConstraint("(outcome = 'running') = (finished_at IS NULL)", name="ck_runs_only_running_is_unfinished"),
    CheckConstraint(
        "error_kind IN ('refused', 'unavailable', 'stalled', 'database', 'settings', 'partial', 'vanished', 'budget', "
        "'unexpected')",
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
    expires_at: Named[datetime | None] = time("By the database's clock; renewed while the holder lives.")


leases = Table(
    "leases",
    metadata,
    _Leases,
    refer_to_source("leases"),
    CheckConstraint("epoch >= 0", name="ck_leases_epoch_rises"),
    both_or_none("holder", "expires_at", "ck_leases_holder_has_an_end"),
    comment="Who may write to a source now.",
)


class _Followers(TypedColumns):
    source_id: Named[int] = source()
    holder: Named[str | None] = json("The daemon that follows the source: host, pid, start; NULL: none.")
    expires_at: Named[datetime | None] = time("By the database's clock; renewed while that daemon lives.")
    next_look_at: Named[datetime | None] = time("When it means to look next.")
    next_look_reason: Named[str | None] = words("Why then.")


followers = Table(
    "followers",
    metadata,
    _Followers,
    refer_to_source("followers"),
    both_or_none("holder", "expires_at", "ck_followers_holder_has_an_end"),
    comment="Which daemon follows a source; another one stands by. The right to write is the lease alone.",
)


class _Usage(TypedColumns):
    source_id: Named[int] = source()
    day: Named[str] = identifier("The day in UTC, as `2026-03-01`.", key=True)
    requests: Named[int] = count("Requests that the daemon sent for the source on that day, each try counted.")


usage = Table(
    "usage",
    metadata,
    _Usage,
    refer_to_source("usage"),
    CheckConstraint("requests >= 0", name="ck_usage_requests_rise"),
    comment="How many requests the daemon sent: what a budget is measured by.",
)


class _Hints(TypedColumns):
    id: Named[int] = rising("Rises.")
    source_id: Named[int] = source(key=False)
    record_id: Named[str] = identifier("The record that may have changed; it need not be known.")
    event_type: Named[str] = words("What the webhook said: `create`, `update`, `delete`, `publish`, `unpublish`.")
    received_at: Named[datetime] = time("When it was received.")


hints = Table(
    "hints",
    metadata,
    _Hints,
    refer_to_source("hints"),
    Index("hints_in_order", "source_id", "id"),
    comment="What webhooks told and no run has looked at yet.",
    sqlite_autoincrement=True,
)


class _WebhookLogs(TypedColumns):
    source_id: Named[int] = source()
    webhook_id: Named[str] = identifier("The webhook of DatoCMS whose log of calls is read.")
    read_at: Named[datetime] = time("When it was last read and told something, by upstream's clock.")
    last_call_id: Named[str | None] = identifier("The newest call seen; NULL: the log was empty.")
    last_call_at: Named[datetime | None] = time("When that call was made, by upstream's clock.")


webhook_logs = Table(
    "webhook_logs",
    metadata,
    _WebhookLogs,
    refer_to_source("webhook_logs"),
    both_or_none("last_call_id", "last_call_at", "ck_webhook_logs_call_has_a_time"),
    comment="How far the log of a webhook's calls was read: the next reading proves by it that none was missed.",
)


class _Webhooks(TypedColumns):
    source_id: Named[int] = source()
    receives: Named[bool] = flag(
        "Whether the daemon's settings have a password for calls, so that its receiver hears them.", "false"
    )
    last_call_at: Named[datetime | None] = time(
        "When a call that told of a change was last received, or found in the log, by our clock."
    )
    log: Named[str] = column(
        Text(),
        "What the daemon knows of the log of calls: `unknown` (not asked for), `absent` (no webhook, or none that "
        "tells all), `refused` (the token may not read it), `read`.",
        default="'unknown'",
    )
    log_read_at: Named[datetime | None] = time("When the log was last read, by our clock; noted every few seconds.")
    gaps: Named[int] = count("How often a reading could not prove that no call was missed: a whole look followed each.")
    last_gap_at: Named[datetime | None] = time("When that last happened.")
    untold: Named[int] = count("Looks in a row that found changes of which no call had told; a call sets it to 0.")


webhooks = Table(
    "webhooks",
    metadata,
    _Webhooks,
    refer_to_source("webhooks"),
    CheckConstraint("log IN ('unknown', 'absent', 'refused', 'read')", name="ck_webhooks_log_is_known"),
    CheckConstraint("gaps >= 0 AND untold >= 0", name="ck_webhooks_counts_are_no_debt"),
    comment="How the webhook of a source does, as the daemon that follows it last knew.",
)


class _Notices(TypedColumns):
    source_id: Named[int] = source()
    place: Named[str] = identifier(
        "Who was told: the kind of service, and four digits that tell addresses apart.", key=True
    )
    told: Named[str] = words("The worst that was told since all was well: `stale`, `failing`, `vanished`.")
    told_at: Named[datetime] = time("When.")


notices = Table(
    "notices",
    metadata,
    _Notices,
    refer_to_source("notices"),
    CheckConstraint("told IN ('failing', 'stale', 'vanished')", name="ck_notices_told_is_known"),
    comment="Troubles that were told and are not over: a daemon that starts again tells them no second time.",
)
