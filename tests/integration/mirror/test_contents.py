"""What the mirror gives back of contents and fields, to compare what is seen with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.integration.mirror.writing import MODEL, Desk, Shown, a_field, at, model
from versionsync.ledger.content import content_hash
from versionsync.ledger.ids import ModelId, VersionId
from versionsync.ledger.sameness import ContentFields
from versionsync.ledger.schema import Field, Schema, plan_schema
from versionsync.mirror.schema import events
from versionsync.mirror.tables.events import write_events
from versionsync.mirror.tables.models import content_fields, load_schema, normalized, upsert_schema
from versionsync.mirror.tables.versions import CONTENTS_AT_ONCE, former_texts, stored_texts

EXACT = b'{"title": "\\ud800\\u0000", "n": 1e200000}'


@pytest.mark.parametrize("raw", [b'{"title": "a", "n": 1.0}', EXACT], ids=["plain", "exact"])
def test_a_stored_content_has_the_value_that_was_seen(desk: Desk, raw: bytes) -> None:
    """Also what `jsonb` cannot hold."""
    desk.look(Shown("a", 1, "c", content=raw))
    with desk.mirror.read() as connection:
        (stored,) = stored_texts(connection, desk.lease.source_id, [VersionId("a"), VersionId("unknown")])
    assert content_hash(stored.text) == stored.hash == content_hash(raw)
    assert (stored.version_id, stored.stored_by) == ("a", event_ids(desk, "version.created")[0])


def test_of_a_rewritten_version_all_contents_come_back(desk: Desk) -> None:
    texts = [b'{"n": 1}', EXACT, b'{"n": 3}']
    for text in texts:
        desk.look(Shown("a", 1, "c", content=text))
    with desk.mirror.read() as connection:
        (stored,) = stored_texts(connection, desk.lease.source_id, [VersionId("a")])
        former = list(former_texts(connection, desk.lease.source_id, VersionId("a")))
        assert list(former_texts(connection, desk.lease.source_id, VersionId("b"))) == []
    (created,), rewritten = event_ids(desk, "version.created"), event_ids(desk, "version.rewritten")
    assert (content_hash(stored.text), stored.stored_by) == (content_hash(texts[2]), rewritten[1])
    assert {(content_hash(one.text), one.stored_by) for one in former} == {
        (content_hash(texts[0]), created),
        (content_hash(texts[1]), created),
    }


def test_any_number_of_contents_is_read_a_few_at_a_time(desk: Desk) -> None:
    count = 2 * CONTENTS_AT_ONCE + 1
    desk.look(*(Shown(f"v{n}", n, "c" if n + 1 == count else "") for n in range(count)))
    with desk.mirror.read() as connection:
        ids = [VersionId(f"v{n}") for n in range(count)]
        assert {one.version_id for one in stored_texts(connection, desk.lease.source_id, ids)} == set(ids)


def event_ids(desk: Desk, type: str) -> list[int]:
    """The ids of all events of this type, in their order."""
    with desk.mirror.read() as connection:
        return list(connection.scalars(select(events.c.id).where(events.c.type == type).order_by(events.c.id)))


def is_about(desk: Desk, id: int, field: Field) -> bool:
    """Whether an event is about this field."""
    with desk.mirror.read() as connection:
        data = connection.scalar(select(events.c.data).where(events.c.id == id))
    return bool(json.loads(data)["field"]["id"] == field.id)


def see(desk: Desk, *fields: Field) -> None:
    """Read the schema, with these fields of MODEL and of a block model."""
    now = desk.now()
    models = {ModelId(id): model(id, is_block=id != MODEL) for id in (MODEL, "block")}
    with desk.mirror.write() as tx:
        dialect = desk.mirror.dialect
        seen = Schema(
            {id: normalized(one, dialect) for id, one in models.items()},
            {one.id: normalized(one, dialect) for one in fields},
        )
        plan = plan_schema(load_schema(tx, desk.lease.source_id), seen, seen_before=at(0), observed_at=now)
        upsert_schema(tx, desk.lease, plan.models, plan.fields, deleted_fields=plan.deleted_fields, observed_at=now)
        write_events(tx, desk.lease, plan.events, observed_at=now, run_id=desk.run_id)


def known_fields(desk: Desk) -> ContentFields:
    with desk.mirror.read() as connection:
        return content_fields(connection, desk.lease.source_id)


def payload(**attributes: object) -> str:
    return json.dumps({"attributes": attributes})


def test_the_fields_are_those_that_are_there_by_their_names_now(desk: Desk) -> None:
    other = Desk.open(desk.mirror, "second", id="p2")
    see(other, a_field("elsewhere"))
    title, text = a_field("title"), a_field("text", "text", model_id=ModelId("block"))
    assert known_fields(desk) == ContentFields({}, {})
    see(desk, title, text)
    assert known_fields(desk) == ContentFields({MODEL: {"title": "string"}, ModelId("block"): {"text": "text"}}, {})
    see(desk, replace(title, api_key="headline", payload=payload(field_type="string", api_key="headline")))
    assert known_fields(desk) == ContentFields({MODEL: {"headline": "string"}, ModelId("block"): {}}, {})


def test_a_field_of_another_shape_says_since_when(desk: Desk) -> None:
    title, price = a_field("title"), a_field("price", "float")
    see(desk, title, price)
    see(desk, replace(title, label="Name", payload=payload(field_type="string", label="Name")), price)
    assert known_fields(desk).reshaped == {}, "another label is no other shape"
    relabelled = event_ids(desk, "field.changed")
    see(desk, replace(title, field_type="integer", payload=payload(field_type="integer")), price)
    (first,) = [id for id in event_ids(desk, "field.changed") if id not in relabelled]
    assert known_fields(desk).reshaped == {MODEL: {"title": first}}
    renamed = replace(
        title, api_key="name", field_type="integer", payload=payload(field_type="integer", api_key="name")
    )
    localized = replace(price, is_localized=True, payload=payload(field_type="float", localized=True))
    before = event_ids(desk, "field.changed")
    see(desk, renamed, localized)
    (second,) = [id for id in event_ids(desk, "field.changed") if id not in before and is_about(desk, id, price)]
    assert known_fields(desk) == ContentFields(
        {MODEL: {"name": "integer", "price": "float"}}, {MODEL: {"name": first, "price": second}}
    )
    see(desk, localized)
    assert known_fields(desk).reshaped == {MODEL: {"price": second}}


def test_a_renamed_field_keeps_its_former_names(desk: Desk) -> None:
    title = a_field("title", "text")
    for name in ("title", "headline", "name"):
        see(desk, replace(title, api_key=name, payload=payload(field_type="text", api_key=name)))
    assert known_fields(desk).former == {MODEL: {"title": "name", "headline": "name"}}
    see(desk)
    assert known_fields(desk).former == {}
