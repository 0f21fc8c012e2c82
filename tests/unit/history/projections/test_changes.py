"""What a version changed: fields by their ids, whatever they were called."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.history.projections.changes import VersionContent, changes_of
from versionsync.history.schema_at import SchemaState
from versionsync.ledger.content import canonical_value
from versionsync.mirror.tables.changes import ChangeRow

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def state(number: int = 0, former: dict[str, dict[str, str]] | None = None, **fields: str) -> SchemaState:
    """A schema of the model `m`: the id of each field by its API key. Fields of `b`, a block model, begin with `b_`."""
    schema = Schema.of(
        (
            "b" if id.startswith("b_") else "m",
            SchemaField(id=id, api_key=key, label=key, field_type="string", is_localized=False),
        )
        for key, id in fields.items()
    )
    return SchemaState(number, schema, former or {}, {})


def version(id: str, attributes: dict[str, Any], of: SchemaState) -> VersionContent:
    """A version with this content."""
    return VersionContent(
        version_id=id,
        record_id="r",
        model_id="m",
        created_at=NOW,
        hash=canonical_value(attributes),
        attributes=attributes,
        state=of,
    )


def shown(rows: list[ChangeRow]) -> set[tuple[str, str | None, str]]:
    """Field, its id, and what happened to it."""
    return {(row.field, row.field_id, row.operation) for row in rows}


def test_the_first_version_adds_its_fields() -> None:
    rows = changes_of(version("a", {"title": "Fish"}, state(title="f")), None)
    assert shown(rows) == {("title", "f", "added")}
    assert (rows[0].number, rows[0].previous_version_id, rows[0].before_hash) == (1, None, None)
    assert len(rows[0].after_hash or b"") == 16


def test_equal_contents_have_no_changes() -> None:
    of = state(title="f")
    assert changes_of(version("b", {"title": "Fish"}, of), version("a", {"title": "Fish"}, of)) == []


def test_equal_values_have_equal_hashes() -> None:
    of = state(title="f")
    (first,) = changes_of(version("b", {"title": "B"}, of), version("a", {"title": "A"}, of))
    (second,) = changes_of(version("c", {"title": "A"}, of), version("b", {"title": "B"}, of))
    assert (first.before_hash, first.after_hash) == (second.after_hash, second.before_hash)


def test_a_renamed_field_is_the_same_field() -> None:
    before, after = state(0, title="f"), state(1, {"m": {"title": "headline"}}, headline="f")
    assert changes_of(version("b", {"headline": "A"}, after), version("a", {"title": "A"}, before)) == []
    changed = changes_of(version("b", {"headline": "B"}, after), version("a", {"title": "A"}, before))
    assert shown(changed) == {("headline", "f", "changed")}


def test_two_fields_that_exchange_their_names_are_still_two() -> None:
    before, after = state(0, one="f", two="g"), state(1, one="g", two="f")
    first = version("a", {"one": "A", "two": "B"}, before)
    assert changes_of(version("b", {"one": "B", "two": "A"}, after), first) == []


def test_a_content_that_still_has_the_former_name_counts_too() -> None:
    """Some answers show old versions under the old names."""
    after = state(1, {"m": {"title": "headline"}}, headline="f")
    assert changes_of(version("b", {"headline": "A"}, after), version("a", {"title": "A"}, after)) == []


def test_a_removed_field_keeps_its_name_and_id() -> None:
    before, after = state(0, title="f", price="g"), state(1, title="f")
    rows = changes_of(version("b", {"title": "A"}, after), version("a", {"title": "A", "price": "1"}, before))
    assert shown(rows) == {("price", "g", "removed")}


def test_a_name_that_is_used_again_is_another_field() -> None:
    """The field that had it was removed with its value, and the new one was added."""
    before, after = state(0, title="f"), state(1, title="g")
    rows = changes_of(version("b", {"title": "B"}, after), version("a", {"title": "A"}, before))
    assert shown(rows) == {("title", "f", "removed"), ("title", "g", "added")}


def test_fields_of_blocks_are_renamed_too() -> None:
    def content(key: str, text: str) -> dict[str, Any]:
        block = {
            "id": "block",
            "type": "item",
            "attributes": {key: text},
            "relationships": {"item_type": {"data": {"id": "b", "type": "item_type"}}},
        }
        return {"parts": [block]}

    before = state(0, parts="f", text="b_g")
    after = state(1, parts="f", words="b_g")
    assert changes_of(version("b", content("words", "A"), after), version("a", content("text", "A"), before)) == []
    rows = changes_of(version("b", content("words", "B"), after), version("a", content("text", "A"), before))
    assert {(row.field, row.block_id, row.block_path, row.field_id) for row in rows} == {
        ("words", "block", "block", "b_g")
    }


def test_a_field_that_the_schema_does_not_know_has_no_id() -> None:
    of = state(title="f")
    rows = changes_of(version("b", {"title": "A", "odd\0": 2}, of), version("a", {"title": "A", "odd\0": 1}, of))
    assert shown(rows) == {("odd\ufffd", None, "changed")}
