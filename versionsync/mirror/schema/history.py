"""What the mirror is for: records, their versions, and every transition as an event."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Named, Table, TypedColumns

from versionsync.mirror.engine.types import UuidText
from versionsync.mirror.schema.columns import (
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

__all__ = ["events", "records", "version_rewrites", "versions"]


class _Records(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id.", key=True)
    model_id: Named[str] = identifier("The model that it belongs to.")
    status: Named[str | None] = text(
        "`draft`, `updated` or `published`; `published` in a model without draft mode. NULL: upstream gave none."
    )
    stage: Named[str | None] = text("The id of its stage in a workflow.")
    current_version_id: Named[str | None] = identifier("The version with `is_current`.")
    published_version_id: Named[str | None] = identifier("The version with `is_published`.")
    created_at: Named[datetime | None] = timestamp("As upstream says.")
    updated_at: Named[datetime | None] = timestamp("As upstream says.")
    published_at: Named[datetime | None] = timestamp("When it was last published, as upstream says.")
    first_published_at: Named[datetime | None] = timestamp("When it was first published, as upstream says.")
    publication_scheduled_at: Named[datetime | None] = timestamp("When it will be published by itself.")
    unpublishing_scheduled_at: Named[datetime | None] = timestamp("When it will be unpublished by itself.")
    creator_type: Named[str | None] = identifier("Who made it: `editors.type`.")
    creator_id: Named[str | None] = identifier("Who made it: `editors.id`.")
    fingerprint: Named[bytes] = binary(
        "A hash of all of its meta; times count as instants, whatever their zone and precision. Another one means that "
        "something changed."
    )
    version_count: Named[int] = count("How many of its versions upstream listed at the last look.")
    first_seen_at: Named[datetime] = timestamp("When the mirror first saw it.")
    synced_at: Named[datetime] = timestamp("When its versions were last read.")
    deleted_at: Named[datetime | None] = timestamp("When it was known to be gone upstream; its rows stay.")
    deletion_evidence: Named[str | None] = text(
        "How we know: `not_found` (upstream answered 404 for it), `model_deleted` (its model is gone)."
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
    created_at: Named[datetime] = timestamp("When it was made, as upstream says.")
    editor_type: Named[str | None] = identifier("Who saved it, which may not be who published it: `editors.type`.")
    editor_id: Named[str | None] = identifier("The same person or token: `editors.id`.")
    is_current: Named[bool] = boolean("Whether it is the newest one: at most one of a record.")
    is_published: Named[bool] = boolean("Whether it is the live one: at most one of a record.")
    published_from: Named[datetime | None] = timestamp(
        "Since when it was live the last time; NULL: never, or before upstream kept such times."
    )
    published_until: Named[datetime | None] = timestamp(
        "Until when it was live the last time; NULL: it still is, or was when last seen. Where a missing version's "
        "time, or a deleted record's, ended is in the view `publications`."
    )
    is_valid: Named[bool | None] = boolean("Whether it obeys its model's validations, where upstream says so.")
    attributes: Named[str] = json("The content: a JSON object, a member a field, blocks whole.")
    attributes_exact: Named[bytes | None] = binary(
        "The content's text as sent, where `jsonb` cannot hold it (U+0000, lone surrogates, numbers beyond range, "
        "members twice); otherwise NULL."
    )
    attributes_hash: Named[bytes] = binary(
        "SHA-256 of the content's value as first seen, however it is spelled. The same content in other words, such as "
        "times in another zone, does not change it."
    )
    first_seen_at: Named[datetime] = timestamp("When the mirror first saw it.")
    changed_at: Named[datetime] = timestamp("When this row was last changed; at first `first_seen_at`.")
    missing_since: Named[datetime | None] = timestamp("Since when upstream lists it no more, while its record lives.")


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
        "versions_live_at",
        "source_id",
        "published_from",
        "published_until",
        **partial("published_from IS NOT NULL"),
    ),
    Index("versions_missing", "source_id", "missing_since", **partial("missing_since IS NOT NULL")),
    comment="Every version of every record (`item_version` in the API); never deleted.",
)


class _VersionRewrites(TypedColumns):
    source_id: Named[int] = source()
    version_id: Named[str] = identifier("The version that came back with other content under the same id.", key=True)
    observed_at: Named[datetime] = timestamp("When the other content was first seen.", key=True)
    created_at: Named[datetime] = timestamp("The version's time before.")
    editor_type: Named[str | None] = identifier("Who had saved it before: `editors.type`.")
    editor_id: Named[str | None] = identifier("The same person or token: `editors.id`.")
    attributes: Named[str] = json("Its content before.")
    attributes_exact: Named[bytes | None] = binary("Its content's text as sent, as in `versions`.")
    attributes_hash: Named[bytes] = binary("SHA-256 of the value of its content before.")
    first_seen_at: Named[datetime] = timestamp("When the content before was first seen.")
    run_id: Named[int | None] = column(BigInteger(), "The run that saw it.")


version_rewrites = Table(
    "version_rewrites",
    metadata,
    _VersionRewrites,
    foreign_key("version_rewrites", "versions", "version_id"),
    foreign_key("version_rewrites", "editors", "editor_type", "editor_id"),
    foreign_key_to_run("version_rewrites"),
    CheckConstraint("length(attributes_hash) = 32", name="ck_version_rewrites_attributes_hash_is_sha256"),
    Index("version_rewrites_of_run", "run_id"),
    comment="What a version held before upstream rewrote it in place (a burst of edits that was merged).",
)


class _Events(TypedColumns):
    id: Named[int] = autoincrement("Rises; within a source in the order of commits, so that `id > ?` misses nothing.")
    source_id: Named[int] = source(key=False)
    type: Named[str] = identifier("`version.created`, `version.published`, …")
    record_id: Named[str | None] = identifier("The record that it is about.")
    version_id: Named[str | None] = identifier("The version that it is about.")
    model_id: Named[str | None] = identifier("The model that it is about, or whose record.")
    occurred_at: Named[datetime] = timestamp("When it happened.")
    occurred_basis: Named[str] = text("`upstream` said when; or only `observed` to have happened by `observed_at`.")
    observed_at: Named[datetime] = timestamp("When the mirror saw it.")
    run_id: Named[int | None] = column(BigInteger(), "The run that saw it.")
    data: Named[str] = json("What else is known of it.", "'{}'")
    key: Named[str] = identifier("Derived from the transition itself: one event for one transition.")
    actor_type: Named[str | None] = identifier(
        "Who published, unpublished or deleted, from the project's audit log, where it can be read: `editors.type`."
    )
    actor_id: Named[str | None] = identifier("The same actor: `editors.id`.")


events = Table(
    "events",
    metadata,
    _Events,
    foreign_key("events", "records", "record_id"),
    foreign_key("events", "versions", "version_id"),
    foreign_key_to_run("events"),
    CheckConstraint("occurred_basis IN ('upstream', 'observed')", name="ck_events_occurred_basis_is_known"),
    both_or_none("actor_type", "actor_id", "ck_events_actor_is_whole"),
    Index("events_key", "source_id", "key", unique=True),
    Index("events_in_order", "source_id", "id"),
    Index("events_of_record", "source_id", "record_id", "id"),
    Index("events_of_version", "source_id", "version_id", "id"),
    Index("events_of_run", "run_id"),
    comment="Every transition of a version, a record or the schema, once; written with the change itself.",
    sqlite_autoincrement=True,
)
