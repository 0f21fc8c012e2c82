"""The mirror's tables: every column with its meaning, every rule as a constraint.

CHECKs hold our own invariants only, never what upstream may send: an interval that ends before it starts is stored.
Migrations are what makes a database; a test compares them with this. docs/schema.md is made from it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Named,
    Table,
    Text,
    TypedColumns,
    text,
)
from sqlalchemy.types import TypeEngine

from versionsync.mirror.types import IdText, JsonText, UtcTime, UuidText

__all__ = [
    "editors",
    "events",
    "fields",
    "leases",
    "metadata",
    "models",
    "records",
    "runs",
    "sources",
    "version_rewrites",
    "versions",
]

RISING = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers only an INTEGER PRIMARY KEY by itself

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})


def _col(type_: TypeEngine[Any], comment: str, *, key: bool = False, default: str | None = None) -> Column[Any]:
    return Column(
        type_,
        primary_key=key,
        autoincrement=False,
        comment=comment,
        server_default=None if default is None else text(default),
    )


def _id(comment: str, *, key: bool = False) -> Column[Any]:
    return _col(IdText(), comment, key=key)


def _text(comment: str) -> Column[Any]:
    return _col(Text(), comment)


def _flag(comment: str, default: str | None = None) -> Column[Any]:
    return _col(Boolean(), comment, default=default)


def _time(comment: str, *, key: bool = False) -> Column[Any]:
    return _col(UtcTime(), comment, key=key)


def _json(comment: str, default: str | None = None) -> Column[Any]:
    return _col(JsonText(), comment, default=default)


def _number(comment: str) -> Column[Any]:
    return _col(Integer(), comment)


def _count(comment: str, *, big: bool = False) -> Column[Any]:
    return _col(BigInteger() if big else Integer(), comment, default="0")


def _hash(comment: str) -> Column[Any]:
    return _col(LargeBinary(), comment)


def _source(*, key: bool = True) -> Column[Any]:
    return _col(Integer(), "The source that this row belongs to: `sources.id`.", key=key)


def _rising(comment: str) -> Column[Any]:
    return Column(RISING, Identity(), primary_key=True, comment=comment)


def _to(table: str, target: str, *columns: str) -> ForeignKeyConstraint:
    """A foreign key within the source, from `columns` to the rest of the primary key of `target`."""
    rest = ["type", "id"] if target == "editors" else ["id"]
    name = f"fk_{table}_{columns[-1]}"
    return ForeignKeyConstraint(
        ["source_id", *columns], [f"{target}.{column}" for column in ("source_id", *rest)], name=name
    )


def _to_source(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["source_id"], ["sources.id"], name=f"fk_{table}_source_id")


def _to_run(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{table}_run_id")


def _to_version_of_record(column: str) -> ForeignKeyConstraint:
    """From a record to one of its versions. Of the two tables one has to be made first: this comes after both."""
    return ForeignKeyConstraint(
        ["source_id", column],
        ["versions.source_id", "versions.id"],
        name=f"fk_records_{column}",
        use_alter=True,
    )


def _both_or_none(first: str, second: str, name: str) -> CheckConstraint:
    return CheckConstraint(f"({first} IS NULL) = ({second} IS NULL)", name=name)


def _only(condition: str) -> dict[str, Any]:
    """What makes an index partial, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class _Sources(TypedColumns):
    id: Named[int] = Column(Integer(), Identity(), primary_key=True, comment="A small number, never used again.")
    name: Named[str] = _text("The name in the settings; unique.")
    project_id: Named[str] = _id("DatoCMS's id of the project.")
    project_name: Named[str | None] = _text("The project's name, as last seen.")
    environment: Named[str] = _text("The environment that is mirrored; of a source that follows: the last one seen.")
    follows_primary: Named[bool] = _flag("Whether the settings name no environment: it is the primary one, whichever.")
    base_url: Named[str] = _text("Where the API is.")
    locales: Named[str] = _json("The project's locales, as a JSON list; the first is the main one.", "'[]'")
    last_data_change_at: Named[datetime | None] = _time(
        "The environment's own time of its last change, as it was before the last complete sweep: the beacon."
    )
    beacon_is_settled: Named[bool] = _flag(
        "Whether a sweep began after the second of `last_data_change_at` was over, so that it cannot hide a change.",
        "false",
    )
    environment_created_at: Named[datetime | None] = _time(
        "When upstream made the environment: another time under the same name is another environment."
    )
    last_complete_sweep_at: Named[datetime | None] = _time("When the last sweep that saw every record began.")
    last_scrub_at: Named[datetime | None] = _time("When old histories were last re-read.")
    last_success_at: Named[datetime | None] = _time("When the last run that succeeded ended.")
    created_at: Named[datetime] = _time("When the source was first registered.")


sources = Table(
    "sources",
    metadata,
    _Sources,
    Index("sources_name", "name", unique=True),
    comment="A project and an environment, mirrored under one name; and how far the mirror has come.",
    sqlite_autoincrement=True,
)


class _Models(TypedColumns):
    source_id: Named[int] = _source()
    id: Named[str] = _id("DatoCMS's id.", key=True)
    api_key: Named[str | None] = _text("The name in the API; NULL: the token may not read this model.")
    name: Named[str | None] = _text("The name for editors.")
    is_block: Named[bool | None] = _flag("Whether it is a block model, whose records live inside others.")
    is_singleton: Named[bool | None] = _flag("Whether it has a single record.")
    draft_mode: Named[bool | None] = _flag("Whether saving and publishing are two acts.")
    payload: Named[str | None] = _json("The whole description, as sent.")
    first_seen_at: Named[datetime] = _time("When the mirror first saw it.")
    deleted_at: Named[datetime | None] = _time("When it was seen to be gone upstream.")


models = Table(
    "models", metadata, _Models, _to_source("models"), comment="Models (`item_type` in the API), deleted ones too."
)


class _Fields(TypedColumns):
    source_id: Named[int] = _source()
    id: Named[str] = _id("DatoCMS's id; it survives a renaming.", key=True)
    model_id: Named[str] = _id("The model that it belongs to.")
    api_key: Named[str] = _text("The member of `versions.attributes` that holds its value.")
    label: Named[str] = _text("The name for editors.")
    field_type: Named[str] = _text("DatoCMS's type: `string`, `structured_text`, …")
    is_localized: Named[bool] = _flag("Whether its value is an object by locale.")
    position: Named[int] = _number("Its place in the form.")
    payload: Named[str] = _json("The whole description, as sent.")
    first_seen_at: Named[datetime] = _time("When the mirror first saw it.")
    deleted_at: Named[datetime | None] = _time("When it was seen to be gone upstream.")


fields = Table(
    "fields",
    metadata,
    _Fields,
    _to("fields", "models", "model_id"),
    Index("fields_of_model", "source_id", "model_id", "position"),
    comment="Fields of models, deleted ones too.",
)


class _Editors(TypedColumns):
    source_id: Named[int] = _source()
    type: Named[str] = _id("`account`, `user`, `sso_user`, `access_token`, `organization`, or what may come.", key=True)
    id: Named[str] = _id("DatoCMS's id.", key=True)
    name: Named[str | None] = _text("As far as the token may read it; NULL: only type and id are known.")
    email: Named[str | None] = _text("As far as the token may read it.")
    payload: Named[str | None] = _json("The whole description, without secrets.")


editors = Table(
    "editors", metadata, _Editors, _to_source("editors"), comment="Who made versions and records; kept when they leave."
)


class _Records(TypedColumns):
    source_id: Named[int] = _source()
    id: Named[str] = _id("DatoCMS's id.", key=True)
    model_id: Named[str] = _id("The model that it belongs to.")
    status: Named[str | None] = _text("`draft`, `updated`, `published`; NULL in a model without draft mode.")
    stage: Named[str | None] = _text("The id of its stage in a workflow.")
    current_version_id: Named[str | None] = _id("The version with `is_current`.")
    published_version_id: Named[str | None] = _id("The version with `is_published`.")
    created_at: Named[datetime | None] = _time("As upstream says.")
    updated_at: Named[datetime | None] = _time("As upstream says.")
    published_at: Named[datetime | None] = _time("When it was last published, as upstream says.")
    first_published_at: Named[datetime | None] = _time("When it was first published, as upstream says.")
    publication_scheduled_at: Named[datetime | None] = _time("When it will be published by itself.")
    unpublishing_scheduled_at: Named[datetime | None] = _time("When it will be unpublished by itself.")
    creator_type: Named[str | None] = _id("Who made it: `editors.type`.")
    creator_id: Named[str | None] = _id("Who made it: `editors.id`.")
    fingerprint: Named[bytes] = _hash("SHA-256 of all of its meta: another one means that something changed.")
    version_count: Named[int] = _count("How many of its versions upstream listed at the last full look.")
    first_seen_at: Named[datetime] = _time("When the mirror first saw it.")
    synced_at: Named[datetime] = _time("When its versions were last read.")
    deleted_at: Named[datetime | None] = _time("When it was known to be gone upstream; its rows stay.")
    deletion_evidence: Named[str | None] = _text(
        "How we know: `not_found` (upstream answered 404 for it), `model_deleted` (its model is gone)."
    )


records = Table(
    "records",
    metadata,
    _Records,
    _to("records", "models", "model_id"),
    _to("records", "editors", "creator_type", "creator_id"),
    _to_version_of_record("current_version_id"),
    _to_version_of_record("published_version_id"),
    CheckConstraint("length(fingerprint) = 32", name="ck_records_fingerprint_is_sha256"),
    CheckConstraint("version_count >= 0", name="ck_records_version_count_is_no_debt"),
    CheckConstraint(
        "deletion_evidence IN ('not_found', 'model_deleted')", name="ck_records_deletion_evidence_is_known"
    ),
    _both_or_none("deleted_at", "deletion_evidence", "ck_records_deletion_has_evidence"),
    _both_or_none("creator_type", "creator_id", "ck_records_creator_is_whole"),
    Index("records_of_model", "source_id", "model_id", "updated_at"),
    Index("records_by_synced_at", "source_id", "synced_at"),
    comment="Records (`item` in the API) as they are now, deleted ones too.",
)


class _Versions(TypedColumns):
    source_id: Named[int] = _source()
    id: Named[str] = _id("DatoCMS's id: URL-safe base64 of a UUID, or a number in old projects.", key=True)
    uuid: Named[UUID | None] = _col(UuidText(), "`id` decoded; NULL for a number.")
    record_id: Named[str] = _id("The record that it is a version of.")
    model_id: Named[str] = _id("The record's model.")
    ordinal: Named[int] = _col(
        BigInteger(), "Rises in upstream's order within a record, with gaps: it orders versions of one second."
    )
    created_at: Named[datetime] = _time("When it was made, as upstream says.")
    editor_type: Named[str | None] = _id("Who made it: `editors.type`.")
    editor_id: Named[str | None] = _id("Who made it: `editors.id`.")
    is_current: Named[bool] = _flag("Whether it is the newest one: at most one of a record.")
    is_published: Named[bool] = _flag("Whether it is the live one: at most one of a record.")
    published_from: Named[datetime | None] = _time(
        "Since when it was live the last time; NULL: never, or before upstream kept such times."
    )
    published_until: Named[datetime | None] = _time("Until when it was live the last time; NULL: it still is.")
    is_valid: Named[bool | None] = _flag("Whether it obeys its model's validations, where upstream says so.")
    attributes: Named[str] = _json("The content: a JSON object, a member a field, blocks whole.")
    attributes_exact: Named[bytes | None] = _hash(
        "The content's text as sent, where `jsonb` cannot hold it (U+0000, lone surrogates, numbers beyond range, "
        "members twice); otherwise NULL."
    )
    attributes_hash: Named[bytes] = _hash("SHA-256 of the content's value, however it is spelled.")
    first_seen_at: Named[datetime] = _time("When the mirror first saw it.")
    changed_at: Named[datetime] = _time("When this row was last changed; at first `first_seen_at`.")
    missing_since: Named[datetime | None] = _time("Since when upstream lists it no more, while its record lives.")


versions = Table(
    "versions",
    metadata,
    _Versions,
    _to("versions", "records", "record_id"),
    _to("versions", "models", "model_id"),
    _to("versions", "editors", "editor_type", "editor_id"),
    CheckConstraint("length(attributes_hash) = 32", name="ck_versions_attributes_hash_is_sha256"),
    CheckConstraint(
        "missing_since IS NULL OR NOT (is_current OR is_published)", name="ck_versions_missing_has_no_flag"
    ),
    _both_or_none("editor_type", "editor_id", "ck_versions_editor_is_whole"),
    Index("versions_of_record", "source_id", "record_id", "ordinal", unique=True),
    Index("versions_one_current", "source_id", "record_id", unique=True, **_only("is_current")),
    Index("versions_one_published", "source_id", "record_id", unique=True, **_only("is_published")),
    Index("versions_of_model", "source_id", "model_id", "created_at"),
    Index("versions_by_editor", "source_id", "editor_type", "editor_id", "created_at"),
    Index(
        "versions_live_at",
        "source_id",
        "published_from",
        "published_until",
        **_only("published_from IS NOT NULL"),
    ),
    comment="Every version of every record (`item_version` in the API); never deleted.",
)


class _VersionRewrites(TypedColumns):
    source_id: Named[int] = _source()
    version_id: Named[str] = _id("The version that came back with other content under the same id.", key=True)
    observed_at: Named[datetime] = _time("When the other content was first seen.", key=True)
    created_at: Named[datetime] = _time("The version's time before.")
    editor_type: Named[str | None] = _id("Its editor before: `editors.type`.")
    editor_id: Named[str | None] = _id("Its editor before: `editors.id`.")
    attributes: Named[str] = _json("Its content before.")
    attributes_exact: Named[bytes | None] = _hash("Its content's text as sent, as in `versions`.")
    attributes_hash: Named[bytes] = _hash("SHA-256 of the value of its content before.")
    first_seen_at: Named[datetime] = _time("When the content before was first seen.")
    run_id: Named[int | None] = _col(BigInteger(), "The run that saw it.")


version_rewrites = Table(
    "version_rewrites",
    metadata,
    _VersionRewrites,
    _to("version_rewrites", "versions", "version_id"),
    _to("version_rewrites", "editors", "editor_type", "editor_id"),
    _to_run("version_rewrites"),
    CheckConstraint("length(attributes_hash) = 32", name="ck_version_rewrites_attributes_hash_is_sha256"),
    comment="What a version held before upstream rewrote it in place (a burst of edits that was merged).",
)


class _Events(TypedColumns):
    id: Named[int] = _rising("Rises; within a source in the order of commits, so that `id > ?` misses nothing.")
    source_id: Named[int] = _source(key=False)
    type: Named[str] = _id("`version.created`, `version.published`, …")
    record_id: Named[str | None] = _id("The record that it is about.")
    version_id: Named[str | None] = _id("The version that it is about.")
    model_id: Named[str | None] = _id("The model that it is about, or whose record.")
    occurred_at: Named[datetime] = _time("When it happened.")
    occurred_basis: Named[str] = _text("`upstream` said when; or only `observed` to have happened by `observed_at`.")
    observed_at: Named[datetime] = _time("When the mirror saw it.")
    run_id: Named[int | None] = _col(BigInteger(), "The run that saw it.")
    data: Named[str] = _json("What else is known of it.", "'{}'")
    key: Named[str] = _id("Derived from the transition itself: one event for one transition.")


events = Table(
    "events",
    metadata,
    _Events,
    _to("events", "records", "record_id"),
    _to("events", "versions", "version_id"),
    _to_run("events"),
    CheckConstraint("occurred_basis IN ('upstream', 'observed')", name="ck_events_occurred_basis_is_known"),
    Index("events_key", "source_id", "key", unique=True),
    Index("events_in_order", "source_id", "id"),
    Index("events_of_record", "source_id", "record_id", "id"),
    Index("events_of_version", "source_id", "version_id", "id"),
    comment="Every transition of a version, a record or the schema, once; written with the change itself.",
    sqlite_autoincrement=True,
)


class _Runs(TypedColumns):
    id: Named[int] = _rising("Rises.")
    source_id: Named[int] = _source(key=False)
    kind: Named[str] = _text("`backfill`, `incremental`, `full`, `records`, `scrub`: what it set out to do.")
    trigger: Named[str] = _text("What asked for it: the command line, the schedule, a webhook.")
    holder: Named[str] = _text("The process that did it.")
    started_at: Named[datetime] = _time("Before its first request.")
    finished_at: Named[datetime | None] = _time("When its outcome was recorded.")
    outcome: Named[str] = _text(
        "`running`; `succeeded`: all that it planned was applied; else `partial`, `failed` or `interrupted`."
    )
    requests: Named[int] = _count("Requests sent.")
    throttled: Named[int] = _count("Answers that said `slower` (429).")
    bytes_received: Named[int] = _count("Bytes of all answers.", big=True)
    records_swept: Named[int] = _count("Records whose fingerprint was compared.")
    records_pulled: Named[int] = _count("Records whose versions were read.")
    records_failed: Named[int] = _count("Records that could not be mirrored this time.")
    versions_inserted: Named[int] = _count("Versions that were new.")
    versions_changed: Named[int] = _count("Known versions whose row changed.")
    versions_rewritten: Named[int] = _count("Of these: other content under the same id.")
    events_written: Named[int] = _count("Events.")
    error: Named[str | None] = _text("Why it failed, or what it could not do.")


runs = Table(
    "runs",
    metadata,
    _Runs,
    _to_source("runs"),
    CheckConstraint(
        "outcome IN ('running', 'succeeded', 'partial', 'failed', 'interrupted')", name="ck_runs_outcome_is_known"
    ),
    CheckConstraint("(outcome = 'running') = (finished_at IS NULL)", name="ck_runs_only_running_is_unfinished"),
    Index("runs_in_order", "source_id", "id"),
    comment="Every sync of a source, with what it cost, what it did and how it ended.",
    sqlite_autoincrement=True,
)


class _Leases(TypedColumns):
    source_id: Named[int] = _source()
    holder: Named[str | None] = _json("The process that may write: host, pid, start; NULL: nobody.")
    epoch: Named[int] = _col(BigInteger(), "Rises with each holder: an earlier one can write no more.", default="0")
    expires_at: Named[datetime | None] = _time("By the database's clock; renewed while the holder lives.")


leases = Table(
    "leases",
    metadata,
    _Leases,
    _to_source("leases"),
    CheckConstraint("epoch >= 0", name="ck_leases_epoch_rises"),
    _both_or_none("holder", "expires_at", "ck_leases_holder_has_an_end"),
    comment="Who may write to a source now.",
)
