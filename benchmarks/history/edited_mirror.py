"""A mirror that is written directly, without an upstream: articles that editors change a few words at a time."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from versionsync.ledger.content import content_hash
from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.plan import plan_deletion, plan_record
from versionsync.ledger.records import DeletionEvidence, Editor, SeenRecord, SeenVersion
from versionsync.ledger.schema import Field, Model
from versionsync.mirror.apply import apply
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.bulk import chunked
from versionsync.mirror.schema.migrate import upgrade
from versionsync.mirror.tables.leases import Holder, acquire, release
from versionsync.mirror.tables.models import upsert_schema
from versionsync.mirror.tables.records import load_records
from versionsync.mirror.tables.runs import start_run
from versionsync.mirror.tables.sources import Project, add_sources, register_project
from versionsync.mirror.tables.versions import load_versions
from versionsync.simulator.scenarios.news.prose import paragraph

__all__ = ["START", "build_edited", "delete_records"]

START = datetime(2026, 1, 1, tzinfo=UTC)
DELETED = START + timedelta(days=300)
STEP = timedelta(minutes=37)
APART = timedelta(milliseconds=20)
MODEL = ModelId("article")
RECORDS_AT_ONCE = 50
FRAME_BYTES = 550
PARAGRAPH_BYTES = 330
FIELDS = (
    ("title", "string", False),
    ("slug", "slug", False),
    ("teaser", "text", True),
    ("body", "structured_text", False),
    ("price", "float", False),
    ("published_on", "date", False),
    ("seo", "seo", False),
    ("author", "link", False),
    ("related", "links", False),
    ("picture", "file", False),
)


def build_edited(url: str, *, records: int, versions: int, bytes_per_version: int) -> int:
    """Make a mirror at `url` of articles of about this size, with this number of versions each; return its source."""
    upgrade(url)
    rng = random.Random(7)
    with Mirror.open(url) as mirror:
        project = Project(
            id="p",
            name="News",
            environment="main",
            follows_primary=True,
            base_url="http://localhost",
            locales=("en", "it"),
        )
        source_id = mirror.transact(lambda tx: add_sources(tx, ["website"]))["website"]
        lease = acquire(mirror, source_id, Holder.of_this_process())
        with mirror.write() as tx:
            register_project(tx, lease, project, observed_at=START)
            upsert_schema(tx, lease, [_model()], _fields(), observed_at=START)
            run_id = start_run(tx, lease, kind="backfill", trigger="benchmark", started_at=START)
        for first in range(0, records, RECORDS_AT_ONCE):
            plans, contents = [], {}
            for number in range(first, min(first + RECORDS_AT_ONCE, records)):
                record, seen, texts = _history(rng, number, versions, bytes_per_version)
                plans.append(plan_record(None, (), record, seen, is_complete=True, observed_at=START))
                contents.update(texts)
            with mirror.write() as tx:
                apply(tx, lease, plans, contents, observed_at=START, run_id=run_id)
        release(mirror, lease)
    return source_id


def delete_records(mirror: Mirror, source_id: int, numbers: Iterable[int]) -> None:
    """Mark these records deleted, as a sync that gets a 404 for them does: each has the event last."""
    lease = acquire(mirror, source_id, Holder.of_this_process())
    for chunk in chunked([_record_id(number) for number in numbers]):
        with mirror.write() as tx:
            known = load_records(tx, source_id, chunk)
            seen = load_versions(tx, source_id, chunk)
            plans = [
                plan_deletion(
                    known[id], seen[id], still_listed=(), evidence=DeletionEvidence.NOT_FOUND, observed_at=DELETED
                )
                for id in chunk
            ]
            apply(tx, lease, plans, {}, observed_at=DELETED, run_id=None)
    release(mirror, lease)


def _model() -> Model:
    link = {"presentation_title_field": {"data": {"id": "title", "type": "field"}}}
    payload = json.dumps({"id": MODEL, "attributes": {}, "relationships": link})
    return Model(
        id=MODEL,
        api_key="article",
        name="Article",
        is_block=False,
        is_singleton=False,
        draft_mode=True,
        payload=payload,
    )


def _fields() -> list[Field]:
    return [
        Field(
            id=key,
            model_id=MODEL,
            api_key=key,
            label=key.title(),
            field_type=type,
            is_localized=is_localized,
            position=position,
            payload="{}",
        )
        for position, (key, type, is_localized) in enumerate(FIELDS, start=1)
    ]


def _history(
    rng: random.Random, number: int, versions: int, size: int
) -> tuple[SeenRecord, list[SeenVersion], dict[VersionId, bytes]]:
    record_id = _record_id(number)
    count = max((size - FRAME_BYTES) // PARAGRAPH_BYTES, 1)
    body = [paragraph(rng).en.split()[:50] for _ in range(count)]
    seen, texts = [], {}
    for place in range(versions):
        if place:
            _edit(rng, body)
        text = _content(number, place, body)
        id = VersionId(f"v{number:014}-{place:06}")
        texts[id] = text
        is_last = place == versions - 1
        at = START + STEP * place + APART * number
        seen.append(
            SeenVersion(
                id=id,
                model_id=MODEL,
                created_at=at,
                editor=Editor("user", str(rng.randrange(9))),
                is_current=is_last,
                is_published=is_last,
                published_from=at if is_last or place % 3 == 0 else None,
                published_until=None if is_last or place % 3 else at + STEP,
                is_valid=True,
                content_hash=content_hash(text),
            )
        )
    record = SeenRecord(
        id=record_id,
        model_id=MODEL,
        fingerprint=bytes(32),
        status="published",
        stage=None,
        current_version_id=seen[-1].id,
        creator=None,
        created_at=START,
        updated_at=START,
        published_at=START,
        first_published_at=START,
        publication_scheduled_at=None,
        unpublishing_scheduled_at=None,
    )
    return record, seen, texts


def _record_id(number: int) -> RecordId:
    return RecordId(f"record-{number:016}")


def _edit(rng: random.Random, body: list[list[str]]) -> None:
    """Change three words in a row of one paragraph; sometimes exchange a paragraph for another one."""
    words = body[rng.randrange(len(body))]
    if rng.random() < 0.1:
        words[:] = paragraph(rng).en.split()[:50]
        return
    at = rng.randrange(max(len(words) - 3, 1))
    words[at : at + 3] = paragraph(rng).en.split()[:3]


def _content(number: int, place: int, body: list[list[str]]) -> bytes:
    paragraphs = [
        {
            "type": "paragraph",
            "children": [
                {"type": "span", "value": " ".join(words[:10]) + " ", "marks": ["strong"]},
                {"type": "span", "value": " ".join(words[10:])},
            ],
        }
        for words in body
    ]
    attributes = {
        "title": f"Article {number}, edition {place // 4}",
        "slug": f"article-{number}",
        "teaser": {"en": " ".join(body[0][:12]), "it": "Il vecchio mercato del pesce"},
        "body": {"schema": "dast", "document": {"type": "root", "children": paragraphs}},
        "price": 1.5 + place // 5,
        "published_on": "2026-03-01",
        "seo": {"title": f"Article {number}", "description": "All about fish", "image": None, "twitter_card": None},
        "author": f"record-{number % 7:016}",
        "related": [f"record-{number + place // 5 + step:016}" for step in range(3)],
        "picture": {"upload_id": f"upload-{number + place // 7:015}", "alt": "A fish", "title": None},
    }
    return json.dumps(attributes).encode()
