"""The tables of a project: sources, their models, fields, editors and uploads."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, Integer, Named, Table, TypedColumns

from versionsync.mirror.schema.column_helpers import (
    binary,
    boolean,
    column,
    foreign_key,
    foreign_key_to_source,
    identifier,
    json,
    metadata,
    number,
    source,
    text,
    timestamp,
)

__all__ = ["editors", "fields", "models", "sources", "upload_changes", "uploads"]


# What a first run reads of a source is known as a whole, or not at all.
PROJECT_IS_KNOWN = (
    "(project_id IS NULL) = (environment IS NULL) AND (project_id IS NULL) = (follows_primary IS NULL) "
    "AND (project_id IS NULL) = (base_url IS NULL)"
)


class _Sources(TypedColumns):
    id: Named[int] = Column(Integer(), Identity(), primary_key=True, comment="A small number. It is never used again.")
    name: Named[str] = text("The unique name in the settings.")
    project_id: Named[str | None] = identifier("DatoCMS's id of the project. NULL: no run has read it yet.")
    project_name: Named[str | None] = text("The project's name, as last seen.")
    environment: Named[str | None] = text(
        "The mirrored environment. If `follows_primary`, the last primary one. NULL: not known yet."
    )
    follows_primary: Named[bool | None] = boolean(
        "Whether the settings name no environment, so that the source follows the primary one. NULL: not known yet."
    )
    base_url: Named[str | None] = text("The base URL of the API. NULL: not known yet.")
    locales: Named[str] = json("The project's locales as a JSON list. The first is the main one.", "'[]'")
    last_data_change_at: Named[datetime | None] = timestamp(
        "The environment's time of its last change, read before the last complete sweep: the beacon."
    )
    last_data_change_is_settled: Named[bool] = boolean(
        "Whether a sweep began after the second of `last_data_change_at`. Then that second can hide no change.", "false"
    )
    environment_created_at: Named[datetime | None] = timestamp(
        "When DatoCMS made the environment. If this changes, the name now belongs to another environment."
    )
    last_complete_sweep_at: Named[datetime | None] = timestamp("When the last sweep that listed every record began.")
    last_scrub_at: Named[datetime | None] = timestamp("When old histories were last read again.")
    last_success_at: Named[datetime | None] = timestamp(
        "When the last successful run ended, even if it read only a few records."
    )
    created_at: Named[datetime] = timestamp("When its project was first read. Until then, when the row was made.")
    complete_as_of: Named[datetime | None] = timestamp(
        "The mirror holds everything that was upstream at this time: the last successful complete run began then. "
        "NULL: no complete run has succeeded yet."
    )
    unexplained_change_since: Named[datetime | None] = timestamp(
        "Since when DatoCMS reports a change that no run has found. NULL: there is none."
    )
    unexplained_read_at: Named[datetime | None] = timestamp("When histories were last read to find that change.")
    project_hash: Named[bytes | None] = binary("SHA-256 of the project's description, to notice when it changes.")
    time_precision: Named[int | None] = number(
        "How many decimals of a second DatoCMS's times have (0 or 3). NULL: not known yet."
    )
    time_zone: Named[str | None] = text("The project's time zone, as DatoCMS names it.")
    history_retention_days: Named[int | None] = number(
        "For how many days the project's plan keeps versions. NULL: permanently, or not known."
    )
    blocked_views: Named[str] = json(
        "The typed views that could not be updated: a JSON object of each view's name and the reason. They stay as "
        "they were. The next run tries again.",
        "'{}'",
    )
    uploads_refused_at: Named[datetime | None] = timestamp(
        "When DatoCMS last refused to show uploads to the token's role. NULL: it shows them, or no run has asked."
    )


sources = Table(
    "sources",
    metadata,
    _Sources,
    CheckConstraint(PROJECT_IS_KNOWN, name="sources_project"),
    Index("sources_name", "name", unique=True),
    comment="Each mirrored project and environment, with the progress of its mirror. A source has a row before its "
    "first request; the columns about its project follow once that is read.",
    sqlite_autoincrement=True,
)


class _Models(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id.", key=True)
    api_key: Named[str | None] = text("Its API key. NULL: the token may not read this model.")
    name: Named[str | None] = text("Its name in the editing interface.")
    is_block: Named[bool | None] = boolean("Whether it is a block model, whose records are part of others.")
    is_singleton: Named[bool | None] = boolean("Whether it has a single record.")
    draft_mode: Named[bool | None] = boolean("Whether saving and publishing are separate steps.")
    payload: Named[str | None] = json("Its complete description, as sent.")
    first_seen_at: Named[datetime] = timestamp("When the mirror first saw it.")
    deleted_at: Named[datetime | None] = timestamp("When its deletion was observed.")


models = Table(
    "models",
    metadata,
    _Models,
    foreign_key_to_source("models"),
    comment="Models (`item_type` in the API), including deleted ones.",
)


class _Fields(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id. It stays when the field is renamed.", key=True)
    model_id: Named[str] = identifier("The model that it belongs to.")
    api_key: Named[str] = text("Its API key: the member of `versions.attributes` with its value.")
    label: Named[str] = text("Its name in the editing interface.")
    field_type: Named[str] = text("DatoCMS's type: `string`, `structured_text`, …")
    is_localized: Named[bool] = boolean("Whether its value is an object with a member for each locale.")
    position: Named[int] = number("Its position in the form.")
    payload: Named[str] = json("Its complete description, as sent.")
    first_seen_at: Named[datetime] = timestamp("When the mirror first saw it.")
    deleted_at: Named[datetime | None] = timestamp("When its deletion was observed.")


fields = Table(
    "fields",
    metadata,
    _Fields,
    foreign_key("fields", "models", "model_id"),
    Index("fields_of_model", "source_id", "model_id", "position"),
    comment="Fields of models, including deleted ones.",
)


class _Editors(TypedColumns):
    source_id: Named[int] = source()
    type: Named[str] = identifier(
        "`account`, `user`, `sso_user`, `access_token`, `organization`, or a type that DatoCMS adds later.", key=True
    )
    id: Named[str] = identifier("DatoCMS's id.", key=True)
    name: Named[str | None] = text("NULL: the token may not read it.")
    email: Named[str | None] = text("NULL: the token may not read it.")
    payload: Named[str | None] = json("The complete description, without secrets. NULL: only type and id are known.")


editors = Table(
    "editors",
    metadata,
    _Editors,
    foreign_key_to_source("editors"),
    comment="Who saved versions and created records. They stay when DatoCMS removes them.",
)


class _Uploads(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id: the `upload_id` in contents.", key=True)
    filename: Named[str | None] = text("The name of the file. NULL: the upload was never read, or not found.")
    basename: Named[str | None] = text("The name without its extension.")
    url: Named[str | None] = text("The address of the file.")
    path: Named[str | None] = text("The path of the file in DatoCMS's storage. It changes when the file is replaced.")
    size: Named[int | None] = column(BigInteger, "The size in bytes.")
    width: Named[int | None] = number("The width in pixels, of a picture or video.")
    height: Named[int | None] = number("The height in pixels, of a picture or video.")
    mime_type: Named[str | None] = text("The type of the file, such as `image/jpeg`.")
    format: Named[str | None] = text("DatoCMS's word for the format, such as `jpg`.")
    md5: Named[str | None] = text("The MD5 of the file, in hexadecimal. It changes when the file is replaced.")
    default_field_metadata: Named[str | None] = json(
        "Alternative text, title and more that fields take over: a JSON object by locale."
    )
    tags: Named[str | None] = json("The tags as a JSON list.")
    created_at: Named[datetime | None] = timestamp("When it was made, according to DatoCMS.")
    updated_at: Named[datetime | None] = timestamp("When it was last changed, according to DatoCMS.")
    first_seen_at: Named[datetime] = timestamp("When a content first named it.")
    changed_at: Named[datetime] = timestamp("When this row last changed, except in `checked_at`.")
    checked_at: Named[datetime | None] = timestamp("When DatoCMS was last asked for it. NULL: not yet.")
    deleted_at: Named[datetime | None] = timestamp(
        "When it was first not found. It was deleted, or the token may not see it. What was known stays."
    )


uploads = Table(
    "uploads",
    metadata,
    _Uploads,
    foreign_key_to_source("uploads"),
    Index("uploads_by_checked_at", "source_id", "checked_at"),
    comment="Uploads that contents name, as DatoCMS last showed them. `sync` reads them after the records.",
)


class _UploadChanges(TypedColumns):
    source_id: Named[int] = source()
    upload_id: Named[str] = identifier("The upload.", key=True)
    observed_at: Named[datetime] = timestamp("When versionsync observed it.", key=True)
    kind: Named[str] = text("`changed`, `deleted` or `returned`.")
    updated_at: Named[datetime | None] = timestamp("When it changed, according to DatoCMS. NULL: it was deleted.")
    before: Named[str] = json("The previous values of the columns of `uploads` that changed: a JSON object.", "'{}'")


upload_changes = Table(
    "upload_changes",
    metadata,
    _UploadChanges,
    foreign_key("upload_changes", "uploads", "upload_id"),
    CheckConstraint("kind IN ('changed', 'deleted', 'returned')", name="ck_upload_changes_kind_is_known"),
    comment="What changed about uploads from one reading to the next, with the old values.",
)
