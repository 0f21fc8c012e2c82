"""The tables of the history: records, their versions, and every transition as an event."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Named, Table, TypedColumns

from versionsync.mirror.engine.types import UuidText
from versionsync.mirror.schema.column_helpers import (
    autoincrement,
    binary,
    boolean,
    both_or_none,
    column,
    count,
    foreign_key,
    foreign_key_to_run,
    foreign_key_to_version,
    identifier,
    json,
    metadata,
    partial,
    source,
    text,
    timestamp,
)

__all__ = ["PENDING", "erasures", "events", "records", "version_rewrites", "versions"]

PENDING = "deleted_at IS NULL AND (status IS NULL OR status <> 'published')"
"""The condition of records that may have a version that is not live. A query that repeats it is answered by an index.

It is about `status`, as PostgreSQL knows how many records have which status. It cannot estimate for how many records
two columns differ, and would read all of them.
"""


class _Records(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id.", key=True)
    model_id: Named[str] = identifier("The model that it belongs to.")
    status: Named[str | None] = text(
        "`draft`, `updated` or `published`. Always `published` in a model without draft mode. NULL: DatoCMS sent none."
    )
    stage: Named[str | None] = text("The id of its stage in a workflow.")
    current_version_id: Named[str | None] = identifier("The version with `is_current`.")
    published_version_id: Named[str | None] = identifier("The version with `is_published`.")
    created_at: Named[datetime | None] = timestamp("When it was created, according to DatoCMS.")
    updated_at: Named[datetime | None] = timestamp("When it was last changed, according to DatoCMS.")
    published_at: Named[datetime | None] = timestamp("When it was last published, according to DatoCMS.")
    first_published_at: Named[datetime | None] = timestamp("When it was first published, according to DatoCMS.")
    publication_scheduled_at: Named[datetime | None] = timestamp("When DatoCMS will publish it on schedule.")
    unpublishing_scheduled_at: Named[datetime | None] = timestamp("When DatoCMS will unpublish it on schedule.")
    creator_type: Named[str | None] = identifier("Who created it: `editors.type`.")
    creator_id: Named[str | None] = identifier("Who created it: `editors.id`.")
    fingerprint: Named[bytes] = binary(
        "A hash of all of its meta. If it differs, the record changed. The zone and precision of times do not count."
    )
    version_count: Named[int] = count("How many of its versions the last check found upstream.")
    first_seen_at: Named[datetime] = timestamp("When the mirror first saw it.")
    synced_at: Named[datetime] = timestamp("When its versions were last read.")
    deleted_at: Named[datetime | None] = timestamp("When its deletion was observed. Its rows stay.")
    deletion_evidence: Named[str | None] = text(
        "Why it counts as deleted: `not_found` (DatoCMS returned 404 for it) or `model_deleted`."
    )


records = Table(
    "records",
    metadata,
    _Records,
    foreign_key("records", "models", "model_id"),
    foreign_key("records", "editors", "creator_type", "creator_id"),
    foreign_key_to_version("current_version_id"),
    foreign_key_to_version("published_version_id"),
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
        **partial("publication_scheduled_at IS NOT NULL"),
    ),
    Index(
        "records_to_be_unpublished",
        "source_id",
        "unpublishing_scheduled_at",
        **partial("unpublishing_scheduled_at IS NOT NULL"),
    ),
    Index("records_deleted", "source_id", "deleted_at", **partial("deleted_at IS NOT NULL")),
    Index("records_pending", "source_id", "updated_at", **partial(PENDING)),
    comment="Records (`item` in the API) in their last known state, including deleted ones.",
)


class _Versions(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id: URL-safe base64 of a UUID, or a number in old projects.", key=True)
    uuid: Named[UUID | None] = column(UuidText, "`id` decoded. NULL if it is a number.")
    record_id: Named[str] = identifier("Its record.")
    model_id: Named[str] = identifier("The record's model.")
    ordinal: Named[int] = column(BigInteger, "The order of a record's versions, also within one second. It has gaps.")
    created_at: Named[datetime] = timestamp("When it was made, according to DatoCMS.")
    editor_type: Named[str | None] = identifier("Who saved it: `editors.type`. Another editor may have published it.")
    editor_id: Named[str | None] = identifier("Who saved it: `editors.id`.")
    is_current: Named[bool] = boolean("Whether it is the newest version. At most one of a record.")
    is_published: Named[bool] = boolean("Whether it is the live version. At most one of a record.")
    published_from: Named[datetime | None] = timestamp(
        "When its last publication began. NULL: it was never published, or before DatoCMS recorded these times."
    )
    published_until: Named[datetime | None] = timestamp(
        "When its last publication ended. NULL: it was live when last seen. The view `publications` also has the ends "
        "for missing versions and deleted records."
    )
    is_valid: Named[bool | None] = boolean("Whether it satisfies its model's validations. NULL: not known.")
    attributes: Named[str] = json("The content: a JSON object with one member for each field. Blocks are included.")
    attributes_exact: Named[bytes | None] = binary(
        "The content exactly as sent, if `jsonb` cannot hold it; otherwise NULL. That is so for U+0000, lone "
        "surrogates, numbers beyond its range, and duplicate members."
    )
    attributes_hash: Named[bytes] = binary(
        "SHA-256 of the content's value as first seen. Its spelling does not count: the same times in another "
        "zone do not change it."
    )
    first_seen_at: Named[datetime] = timestamp("When the mirror first saw it.")
    changed_at: Named[datetime] = timestamp("When this row last changed. Initially `first_seen_at`.")
    missing_since: Named[datetime | None] = timestamp(
        "When it was first missing from the versions of its record, which still exists."
    )


versions = Table(
    "versions",
    metadata,
    _Versions,
    foreign_key("versions", "records", "record_id"),
    foreign_key("versions", "models", "model_id"),
    foreign_key("versions", "editors", "editor_type", "editor_id"),
    CheckConstraint("length(attributes_hash) = 32", name="ck_versions_attributes_hash_is_sha256"),
    CheckConstraint(
        "missing_since IS NULL OR NOT (is_current OR is_published)", name="ck_versions_missing_has_no_flag"
    ),
    both_or_none("editor_type", "editor_id", "ck_versions_editor_is_whole"),
    Index("versions_of_record", "source_id", "record_id", "ordinal", unique=True),
    Index("versions_one_current", "source_id", "record_id", unique=True, **partial("is_current")),
    Index("versions_one_published", "source_id", "record_id", unique=True, **partial("is_published")),
    Index("versions_of_model", "source_id", "model_id", "created_at"),
    Index("versions_by_editor", "source_id", "editor_type", "editor_id", "created_at"),
    Index(
        "versions_live_at", "source_id", "published_from", "published_until", **partial("published_from IS NOT NULL")
    ),
    Index("versions_missing", "source_id", "missing_since", **partial("missing_since IS NOT NULL")),
    comment="Every version of every record (`item_version` in the API). No row is ever deleted.",
)


class _VersionRewrites(TypedColumns):
    source_id: Named[int] = source()
    version_id: Named[str] = identifier("The version whose content was replaced under the same id.", key=True)
    observed_at: Named[datetime] = timestamp("When the new content was first seen.", key=True)
    created_at: Named[datetime] = timestamp("The version's previous `created_at`.")
    editor_type: Named[str | None] = identifier("Who saved the previous content: `editors.type`.")
    editor_id: Named[str | None] = identifier("Who saved the previous content: `editors.id`.")
    attributes: Named[str] = json("The previous content.")
    attributes_exact: Named[bytes | None] = binary("The previous content exactly as sent, as in `versions`.")
    attributes_hash: Named[bytes] = binary("SHA-256 of the previous content's value.")
    first_seen_at: Named[datetime] = timestamp("When the previous content was first seen.")
    run_id: Named[int | None] = column(BigInteger, "The run that observed it: `runs.id`.")


version_rewrites = Table(
    "version_rewrites",
    metadata,
    _VersionRewrites,
    foreign_key("version_rewrites", "versions", "version_id"),
    foreign_key("version_rewrites", "editors", "editor_type", "editor_id"),
    foreign_key_to_run("version_rewrites"),
    CheckConstraint("length(attributes_hash) = 32", name="ck_version_rewrites_attributes_hash_is_sha256"),
    Index("version_rewrites_of_run", "run_id"),
    comment="The previous content of versions that DatoCMS rewrote in place, as when it merges a burst of edits.",
)


class _Events(TypedColumns):
    id: Named[int] = autoincrement("Rises in the order of commits within a source, so `id > ?` misses no event.")
    source_id: Named[int] = source(key=False)
    type: Named[str] = identifier("`version.created`, `version.published`, …")
    record_id: Named[str | None] = identifier("The record concerned.")
    version_id: Named[str | None] = identifier("The version concerned.")
    model_id: Named[str | None] = identifier("The model concerned, or the record's model.")
    occurred_at: Named[datetime] = timestamp("When it happened.")
    occurred_basis: Named[str] = text(
        "`upstream`: DatoCMS states the time. `observed`: it had happened by `observed_at`."
    )
    observed_at: Named[datetime] = timestamp("When versionsync observed it.")
    run_id: Named[int | None] = column(BigInteger, "The run that observed it: `runs.id`.")
    data: Named[str] = json("Further details.", "'{}'")
    key: Named[str] = identifier("Derived from the transition, so each transition has one event.")
    actor_type: Named[str | None] = identifier(
        "Who published, unpublished or deleted, from the project's audit log: `editors.type`. NULL: not known."
    )
    actor_id: Named[str | None] = identifier("The same actor: `editors.id`.")


events = Table(
    "events",
    metadata,
    _Events,
    # No foreign keys: checking three of them took a third of the server's time of a first sync. Rows of records and
    # versions are never deleted, and `runs.events_written` protects a run. The random tests check all three in SQL.
    CheckConstraint("occurred_basis IN ('upstream', 'observed')", name="ck_events_occurred_basis_is_known"),
    both_or_none("actor_type", "actor_id", "ck_events_actor_is_whole"),
    # One index for keys, records and versions: a key starts with the event's type and the version. It begins with the
    # record, since versions arrive record by record: an event then changes a page that the one before it has changed.
    # With an index by key and one by version, each event changed two pages more, and a large file took twice the time.
    Index("events_of_record", "source_id", "record_id", "key", unique=True),
    Index("events_without_record", "source_id", "key", unique=True, **partial("record_id IS NULL")),  # NULLs differ
    Index("events_in_order", "source_id", "id"),
    comment="Every transition of a version, a record or the schema, written in the same transaction as the change.",
    sqlite_autoincrement=True,
)


class _Erasures(TypedColumns):
    id: Named[int] = autoincrement("Rises. `versionsync erase --lift` takes it.")
    source_id: Named[int] = source(key=False)
    record_id: Named[str | None] = identifier("The record whose content was erased. NULL: an upload was erased.")
    upload_id: Named[str | None] = identifier(
        "The upload that was erased, with what contents say of it. NULL: a record was erased. When the erasure of an "
        "upload is lifted, each record that names the upload gets a row with both."
    )
    field_id: Named[str | None] = identifier("The field: `fields.id`. NULL: all of the content.")
    locale: Named[str | None] = identifier("The locale. NULL: all locales.")
    erased_at: Named[datetime] = timestamp("When it was erased.")
    erased_by: Named[str] = text("The user and the host that erased it.")
    reason: Named[str | None] = text("The reason that was given.")
    cleaned_at: Named[datetime | None] = timestamp(
        "When the database was vacuumed after it. NULL: its files may still hold what was erased."
    )
    lifted_at: Named[datetime | None] = timestamp("When it was lifted: later versions are mirrored whole again.")
    lifted_by: Named[str | None] = text("The user and the host that lifted it.")
    lifted_after: Named[int | None] = column(
        BigInteger,
        "The last event when it was lifted: `events.id`. Versions that were mirrored by then stay erased.",
    )


erasures = Table(
    "erasures",
    metadata,
    _Erasures,
    foreign_key("erasures", "records", "record_id"),
    foreign_key("erasures", "uploads", "upload_id"),
    CheckConstraint("record_id IS NOT NULL OR upload_id IS NOT NULL", name="ck_erasures_names_what_was_erased"),
    both_or_none("lifted_at", "lifted_by", "ck_erasures_lift_is_signed"),
    both_or_none("lifted_at", "lifted_after", "ck_erasures_lift_has_an_event"),
    Index("erasures_of_record", "source_id", "record_id"),
    comment="What was erased on request. While a row is not lifted, syncs keep none of that content.",
    sqlite_autoincrement=True,
)
