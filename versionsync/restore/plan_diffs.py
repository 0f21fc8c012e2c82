"""What each step of a plan changes: what was upstream when the plan was made, compared with what will be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from versionsync.history.diff import compare
from versionsync.history.diff.model import Json
from versionsync.history.projections.changes import renamed
from versionsync.history.questions.compared import content_of, names_for
from versionsync.history.render.view import DiffView, view_of
from versionsync.history.schema_at import SchemaHistory
from versionsync.history.scope import Scope
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema import versions
from versionsync.restore.model import Act, Plan, Step

__all__ = ["StepDiff", "step_diffs"]

ABSENCES: Final = "It does not exist now", "It is deleted"
LATEST: Final = 2**62
"""Beyond every event: the schema of now."""


@dataclass(frozen=True, slots=True)
class StepDiff:
    """A step, and what it changes. `view` is None if it sends no content, or if what is there now is not known."""

    step: Step
    view: DiffView | None


def step_diffs(connection: Connection, scope: Scope, plan: Plan, *, steps: int | None = None) -> Iterator[StepDiff]:
    """Yield the steps of a plan with what each changes.

    A later step of a record is compared with what the earlier ones make of it.

    Args:
        connection: A snapshot.
        scope: The plan's source alone.
        plan: The plan.
        steps: How many of the steps. None: all.
    """
    chosen = plan.steps[:steps]
    (source_id,) = scope.ids
    schemas = SchemaHistory.load(connection, source_id)
    schema = schemas.at(LATEST).schema
    touched = {step.record_ids[0] for step in chosen if step.attributes is not None}
    before = {one.record_id: one.version_id for one in plan.records if one.record_id in touched}
    known = _known(connection, source_id, [id for id in before.values() if id is not None])
    contents: dict[str, Mapping[str, Json] | None] = {}

    def now(record_id: str) -> Mapping[str, Json] | None:
        if record_id not in contents:
            version_id = before[record_id]
            assert version_id is not None
            found = content_of(connection, source_id, version_id, schemas)
            then, living = found.state.schema.of_model(found.model_id), schema.of_model(found.model_id)
            ids = {one.id for one in living.values()}
            known = renamed(found.attributes, found.state.former_keys, found.model_id)
            # Upstream has no values of fields that were removed, also if they were made again.
            contents[record_id] = {key: one for key, one in known.items() if key not in then or then[key].id in ids}
        return contents[record_id]

    for step in chosen:
        record_id, version_id = step.record_ids[0], before.get(step.record_ids[0])
        is_new = step.act is Act.CREATE
        if step.attributes is None or not (is_new or record_id in contents or version_id in known):
            yield StepDiff(step, None)
            continue
        former = None if is_new else now(record_id)
        latter = {**(former or {}), **step.attributes}
        contents[record_id] = latter
        model_id = step.model_id or ""
        diff = compare(former, latter, schema, model_id)
        values = [value for change in diff.changes for value in (change.before, change.after)]
        names = names_for(connection, scope, source_id, schema, values)
        yield StepDiff(step, view_of(diff, names, before=former, after=latter, model_id=model_id, absences=ABSENCES))


def _known(connection: Connection, source_id: int, ids: list[str]) -> frozenset[str]:
    """Return those of some versions that the mirror has. Those of another environment are none of them."""
    found: set[str] = set()
    for chunk in chunked(ids):
        query = select(versions.c.id).where(versions.c.source_id == source_id, versions.c.id.in_(chunk))
        found.update(connection.scalars(query))
    return frozenset(found)
