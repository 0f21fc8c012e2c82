"""A mirrored project: the sources themselves, their models, fields and editors."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Identity, Index, Integer, Named, Table, TypedColumns

from versionsync.mirror.schema.columns import (
    binary,
    boolean,
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

__all__ = ["editors", "fields", "models", "sources"]


class _Sources(TypedColumns):
    id: Named[int] = Column(Integer(), Identity(), primary_key=True, comment="A small number, never used again.")
    name: Named[str] = text("The name in the settings; unique.")
    project_id: Named[str] = identifier("DatoCMS's id of the project.")
    project_name: Named[str | None] = text("The project's name, as last seen.")
    environment: Named[str] = text("The environment that is mirrored; of a source that follows: the last one seen.")
    follows_primary: Named[bool] = boolean(
        "Whether the settings name no environment: it is the primary one, whichever."
    )
    base_url: Named[str] = text("Where the API is.")
    locales: Named[str] = json("The project's locales, as a JSON list; the first is the main one.", "'[]'")
    last_data_change_at: Named[datetime | None] = timestamp(
        "The environment's own time of its last change, as it was before the last complete sweep: the beacon."
    )
    last_data_change_is_settled: Named[bool] = boolean(
        "Whether a sweep began after the second of `last_data_change_at` was over, so that it cannot hide a change.",
        "false",
    )
    environment_created_at: Named[datetime | None] = timestamp(
        "When upstream made the environment: another time under the same name is another environment."
    )
    last_complete_sweep_at: Named[datetime | None] = timestamp("When the last sweep that saw every record began.")
    last_scrub_at: Named[datetime | None] = timestamp("When old histories were last re-read.")
    last_success_at: Named[datetime | None] = timestamp(
        "When the last run that succeeded ended, be it one that read a few records only."
    )
    created_at: Named[datetime] = timestamp("When the source was first registered.")
    complete_as_of: Named[datetime | None] = timestamp(
        "The moment of which the mirror holds all that was upstream: when the last run began that looked at all of the "
        "source and succeeded; NULL: it was never whole."
    )
    unexplained_change_since: Named[datetime | None] = timestamp(
        "Since when upstream's time of the last change shows a change that no run has found. NULL: there is none."
    )
    unexplained_read_at: Named[datetime | None] = timestamp("When histories were last read to find that change.")
    project_hash: Named[bytes | None] = binary(
        "SHA-256 of the project's own description, to recognise a change of the project itself."
    )
    time_precision: Named[int | None] = number(
        "How many decimal places of a second upstream's times have (0 or 3). NULL: not known yet."
    )
    time_zone: Named[str | None] = text("The project's time zone, as upstream names it.")
    history_retention_days: Named[int | None] = number(
        "For how many days upstream keeps versions, where its plan says so. NULL: for good, or not known."
    )
    blocked_views: Named[str] = json(
        "The typed views that could not follow the schema, as they were before: a JSON object of each view's name and "
        "what is in its way. The next run tries again.",
        "'{}'",
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
    api_key: Named[str | None] = text("The name in the API; NULL: the token may not read this model.")
    name: Named[str | None] = text("The name for editors.")
    is_block: Named[bool | None] = boolean("Whether it is a block model, whose records live inside others.")
    is_singleton: Named[bool | None] = boolean("Whether it has a single record.")
    draft_mode: Named[bool | None] = boolean("Whether saving and publishing are two acts.")
    payload: Named[str | None] = json("The whole description, as sent.")
    first_seen_at: Named[datetime] = timestamp("When the mirror first saw it.")
    deleted_at: Named[datetime | None] = timestamp("When it was seen to be gone upstream.")


models = Table(
    "models",
    metadata,
    _Models,
    foreign_key_to_source("models"),
    comment="Models (`item_type` in the API), deleted ones too.",
)


class _Fields(TypedColumns):
    source_id: Named[int] = source()
    id: Named[str] = identifier("DatoCMS's id; it survives a renaming.", key=True)
    model_id: Named[str] = identifier("The model that it belongs to.")
    api_key: Named[str] = text("The member of `versions.attributes` that holds its value.")
    label: Named[str] = text("The name for editors.")
    field_type: Named[str] = text("DatoCMS's type: `string`, `structured_text`, …")
    is_localized: Named[bool] = boolean("Whether its value is an object by locale.")
    position: Named[int] = number("Its place in the form.")
    payload: Named[str] = json("The whole description, as sent.")
    first_seen_at: Named[datetime] = timestamp("When the mirror first saw it.")
    deleted_at: Named[datetime | None] = timestamp("When it was seen to be gone upstream.")


fields = Table(
    "fields",
    metadata,
    _Fields,
    foreign_key("fields", "models", "model_id"),
    Index("fields_of_model", "source_id", "model_id", "position"),
    comment="Fields of models, deleted ones too.",
)


class _Editors(TypedColumns):
    source_id: Named[int] = source()
    type: Named[str] = identifier(
        "`account`, `user`, `sso_user`, `access_token`, `organization`, or what may come.", key=True
    )
    id: Named[str] = identifier("DatoCMS's id.", key=True)
    name: Named[str | None] = text("As far as the token may read it; NULL: only type and id are known.")
    email: Named[str | None] = text("As far as the token may read it.")
    payload: Named[str | None] = json("The whole description, without secrets.")


editors = Table(
    "editors",
    metadata,
    _Editors,
    foreign_key_to_source("editors"),
    comment="Who saved versions and created records; kept when they leave.",
)
