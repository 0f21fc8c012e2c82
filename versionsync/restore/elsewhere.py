"""The contents of another environment than the mirrored one. The mirror has none of them, so they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from versionsync import cma
from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.history.projections.changes import VersionContent
from versionsync.history.schema_at import SchemaState
from versionsync.ledger.content import parse_value
from versionsync.mirror.engine.bulk import chunked
from versionsync.restore.rules import ProjectRules

__all__ = ["ContentElsewhere", "read_contents"]

RECORDS_WITH_BLOCKS: Final = 30
"""The most records that a list shows with their blocks."""


@dataclass(frozen=True, slots=True)
class ContentElsewhere:
    """A record of another environment: its newest content, and the live one. None: it is not live."""

    current: VersionContent
    live: VersionContent | None


async def read_contents(
    client: cma.Client, items: Iterable[cma.Item], rules: ProjectRules
) -> Mapping[str, ContentElsewhere]:
    """Return the contents of some records of the client's environment, by record."""
    state = _state(rules)
    known = {item.id: item for item in items}

    async def some(chunk: list[str]) -> list[cma.Item]:
        return list((await client.items_page(ids=chunk, limit=len(chunk), nested=True)).items)

    async def published(item: cma.Item) -> tuple[str, VersionContent]:
        live = await client.item(item.id, nested=True, published=True)
        return item.id, _content(live, f"{item.id}/live", state)

    pages = await asyncio.gather(*(some(chunk) for chunk in chunked(list(known), RECORDS_WITH_BLOCKS)))
    current = {item.id: _content(item, item.current_version or item.id, state) for page in pages for item in page}
    behind = [item for item in known.values() if item.status == "updated"]
    live = dict(await asyncio.gather(*(published(item) for item in behind)))
    live |= {id: current[id] for id, item in known.items() if item.status == "published" and id in current}
    return {id: ContentElsewhere(one, live.get(id)) for id, one in current.items()}


def _content(item: cma.Item, version_id: str, state: SchemaState) -> VersionContent:
    attributes = parse_value(item.attributes_raw)
    return VersionContent(
        version_id=version_id,
        record_id=item.id,
        model_id=item.item_type_id,
        created_at=item.updated_at,
        hash=b"",
        attributes=attributes if isinstance(attributes, dict) else {},
        state=state,
    )


def _state(rules: ProjectRules) -> SchemaState:
    """Return the schema of now as that of a content."""
    fields = {
        model.id: {
            key: SchemaField(
                id=one.id,
                api_key=one.api_key,
                label=one.label,
                field_type=one.field_type,
                is_localized=one.is_localized,
            )
            for key, one in model.fields.items()
        }
        for model in rules.models.values()
    }
    names = {model.id: model.name for model in rules.models.values()}
    return SchemaState(number=-1, schema=Schema(fields, names), former_keys={}, title_fields={})
