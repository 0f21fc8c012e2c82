"""Short ways to write a project, an old version of a record in it, and its blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.unit.history.diff.generator import SCHEMA
from versionsync.history.diff import Schema, SchemaField
from versionsync.history.projections.changes import VersionContent
from versionsync.history.schema_at import SchemaState
from versionsync.restore.fitting import Existing, fitted
from versionsync.restore.model import Fitted
from versionsync.restore.rules import FieldRules, ModelRules, ProjectRules

Json = Any

ARTICLE = "article"
QUOTE = "quote"
EXISTING = Existing(records={"ada": "author", "bob": "author", "home": ARTICLE}, uploads=frozenset({"photo"}))


def field(
    id: str,
    field_type: str = "string",
    *,
    key: str | None = None,
    localized: bool = False,
    default: Json = None,
    **validators: Json,
) -> FieldRules:
    """A field whose key is its id, and whose label says so."""
    return FieldRules(
        id=id,
        api_key=key or id,
        label=id.capitalize(),
        field_type=field_type,
        is_localized=localized,
        validators=validators,
        default=default,
    )


def model(id: str, *fields: FieldRules, **options: Any) -> ModelRules:
    return ModelRules(id=id, api_key=id, name=id.capitalize(), fields={one.api_key: one for one in fields}, **options)


def project(*fields: FieldRules, blocks: tuple[ModelRules, ...] = (), **options: Any) -> ProjectRules:
    """A project in English and Italian whose article has these fields."""
    quote = model(QUOTE, field("words", "text"), field("inner", "rich_text"), is_block=True)
    models = (model(ARTICLE, *fields, **options), model("author"), *(blocks or (quote,)))
    return ProjectRules(locales=("en", "it"), models={one.id: one for one in models})


def state_of(rules: ProjectRules, former: Mapping[str, Mapping[str, str]] | None = None) -> SchemaState:
    """The schema as a version sees it that was made under these rules."""
    fields = [
        (
            one.id,
            SchemaField(
                id=inner.id,
                api_key=inner.api_key,
                label=inner.label,
                field_type=inner.field_type,
                is_localized=inner.is_localized,
            ),
        )
        for one in rules.models.values()
        for inner in one.fields.values()
    ]
    names = {one.id: one.name for one in rules.models.values()}
    return SchemaState(1, Schema.of(fields, names), former or {}, {})


def version(attributes: Mapping[str, Json], state: SchemaState, model_id: str = ARTICLE) -> VersionContent:
    return VersionContent(
        version_id="v1",
        record_id="r1",
        model_id=model_id,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        hash=b"",
        attributes=attributes,
        state=state,
    )


def fit(
    attributes: Mapping[str, Json],
    now: ProjectRules,
    then: ProjectRules | SchemaState | None = None,
    existing: Existing = EXISTING,
    **options: Any,
) -> Fitted:
    """Fit a content of `then` to `now`; None: nothing changed since."""
    state = then if isinstance(then, SchemaState) else state_of(then or now)
    return fitted(version(attributes, state), now, existing, **options)


def lost(result: Fitted) -> list[str]:
    return [loss.what for loss in result.losses]


def refused(result: Fitted) -> list[tuple[str, tuple[str | int, ...]]]:
    return [(problem.code, problem.path) for problem in result.problems]


def block(id: str, model_id: str = QUOTE, **attributes: Json) -> Json:
    item_type = {"data": {"id": model_id, "type": "item_type"}}
    return {"type": "item", "id": id, "attributes": attributes, "relationships": {"item_type": item_type}}


def rules_of_diffs() -> ProjectRules:
    """The project that the generator of diffs writes contents of."""
    models = {}
    for id, fields in SCHEMA.fields.items():
        rules = [field(one.id, one.field_type, key=key, localized=one.is_localized) for key, one in fields.items()]
        models[id] = replace(model(id, *rules), is_block=id != ARTICLE)
    return ProjectRules(locales=("en", "it"), models=models)
