"""The versions of the demo's news site, with every type of field, strange texts and numbers that floats lose."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Any

import jsonpatch
import msgspec

from versionsync.history.diff import ChangeKind, Schema, SchemaField, apply, compare, json_patch, summarize
from versionsync.ledger.content import canonical_value, parse_value
from versionsync.simulator import Clock, World
from versionsync.simulator.scenarios.news.site import build_news

Json = Any
Pair = tuple[str, dict[str, Json], dict[str, Json]]


@cache
def _site() -> tuple[Schema, list[Pair]]:
    """The schema of the site, and each two versions that follow one another, with their model."""
    world = World(seed="diff", clock=Clock(datetime(2026, 9, 1, 12, 0, tzinfo=UTC)))
    build_news(world)
    models = world.primary.models.values()
    schema = Schema.of(
        (
            (
                model.id,
                SchemaField(
                    id=field.id,
                    api_key=field.api_key,
                    label=field.label,
                    field_type=field.field_type,
                    is_localized=field.localized,
                    position=field.position,
                ),
            )
            for model in models
            for field in model.fields.values()
        ),
        {model.id: model.name for model in models},
    )
    pairs = []
    for record in world.primary.records.values():
        contents = [parse_value(version.read()) for version in record.versions]
        pairs += [(record.model.id, before, after) for before, after in pairwise(contents)]
    return schema, pairs  # type: ignore[return-value]


def _pairs() -> Iterator[tuple[Schema, Pair]]:
    schema, pairs = _site()
    assert len(pairs) > 100
    return ((schema, pair) for pair in pairs)


def test_each_version_is_the_one_before_with_its_diff_applied() -> None:
    for schema, (model_id, before, after) in _pairs():
        diff = compare(before, after, schema, model_id)
        assert canonical_value(apply(diff, before)) == canonical_value(after)
        assert canonical_value(apply(compare(after, before, schema, model_id), after)) == canonical_value(before)


def test_a_json_patch_makes_one_from_the_other() -> None:
    for _, (_, before, after) in _pairs():
        old, new, patch = (_plain(value) for value in (before, after, json_patch(before, after)))
        assert jsonpatch.apply_patch(old, patch) == new


def test_every_kind_of_change_is_in_the_history_and_each_has_its_line() -> None:
    kinds: Counter[ChangeKind] = Counter()
    for schema, (model_id, before, after) in _pairs():
        diff = compare(before, after, schema, model_id)
        kinds.update(change.kind for change in diff.changes)
        line = summarize(diff, schema)
        assert line.isprintable()
        assert (line == "no changes") == (not diff)
        assert all(change.place.field_id is not None for change in diff.changes)
    assert kinds.keys() >= {ChangeKind.TEXT, ChangeKind.ATTRIBUTE, ChangeKind.STRUCTURE, ChangeKind.REFERENCE}


def _plain(value: Json) -> Json:
    """A value as Python's own reader gives it, with each number as a text."""
    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        encoded = canonical_value(value)
    return json.loads(encoded, parse_float=str, parse_int=str)
