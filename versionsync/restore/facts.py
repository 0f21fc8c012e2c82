"""What a plan is made of: what upstream has now, and what the mirror knows of it and of the past."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, select

from versionsync import cma
from versionsync.history.projections.changes import VersionContent
from versionsync.history.questions.compared import content_of
from versionsync.history.schema_at import SchemaHistory
from versionsync.ledger.content import ContentError, canonical_value, parse_value
from versionsync.ledger.ids import VersionId
from versionsync.ledger.upload_ids import upload_ids_in
from versionsync.mirror.database import Mirror
from versionsync.mirror.engine.bulk import chunked, field_names
from versionsync.mirror.schema import records, version_rewrites
from versionsync.mirror.tables.sources import SourceRow
from versionsync.mirror.tables.versions import former_texts
from versionsync.restore.elsewhere import read_contents
from versionsync.restore.errors import CannotApply, StaleMirror
from versionsync.restore.model import Target
from versionsync.restore.rules import ProjectRules
from versionsync.sync.api_to_ledger import schema_of, seen_record

__all__ = ["Facts", "Known", "read_facts", "read_rules", "records_by_id"]

FRESH: Final = timedelta(minutes=15)
"""A mirror that was checked this recently is not stale, also if something changed upstream since."""
IDS_IN_A_LIST: Final = 100
"""The number of ids in one address. It stays below the lengths that gateways refuse."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the mirror knows of a record. The fields are columns of `records`."""

    model_id: str
    fingerprint: bytes
    current_version_id: str | None
    published_version_id: str | None
    created_at: datetime | None
    first_published_at: datetime | None
    creator_type: str | None
    creator_id: str | None
    stage: str | None
    publication_scheduled_at: datetime | None
    unpublishing_scheduled_at: datetime | None
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known when a plan is made.

    Attributes:
        rules: The rules of the project now.
        environment: The id of the environment.
        role: The role of the token. None: not known.
        upstream: The records of the plan that exist upstream.
        uploads: Those of the uploads in the contents that exist. None: the role may not read them.
        known: The records of the plan in the mirror.
        contents: All contents that the plan may need, by version.
        former: The contents that versions had at the time that is wanted, if upstream rewrote them since.
        living: The models of all records that the mirror knows to exist.
        published: Those of them that are live.
        now: Upstream's time.
    """

    rules: ProjectRules
    environment: str
    role: cma.Role | None
    upstream: Mapping[str, cma.Item]
    uploads: frozenset[str] | None
    known: Mapping[str, Known]
    contents: Mapping[str, VersionContent]
    former: Mapping[str, VersionContent]
    living: Mapping[str, str]
    published: frozenset[str]
    now: datetime


async def read_rules(
    client: cma.Client,
    row: SourceRow,
    now: datetime,
    *,
    stale_ok: bool,
    is_elsewhere: bool,
    shown: Callable[[datetime], str],
) -> tuple[ProjectRules, str]:
    """Return the rules of the project, and the id of its environment.

    Args:
        client: A client of the environment.
        row: The source in the mirror.
        now: The time.
        stale_ok: Accept a mirror that is older than upstream.
        is_elsewhere: The client leads to another environment than the mirrored one.
        shown: Returns a time as people read it.

    Raises:
        CannotApply: The client leads to another project.
        StaleMirror: The mirror is older than upstream.
    """
    schema = await client.schema()
    if schema.site.id != row.project.id:
        raise CannotApply(
            f"the token leads to the project {schema.site.name} (id {schema.site.id}), but the source {row.name} "
            f"mirrors {row.project.name} (id {row.project.id})"
        )
    environment = client.environment_id or client.last_environment or row.project.environment
    checked = row.checkpoint.last_success_at
    if not stale_ok and (checked is None or now - checked > FRESH):
        beacon = await client.environment(row.project.environment if is_elsewhere else environment)
        if checked is None or beacon.last_data_change_at != row.checkpoint.last_data_change_at:
            when = "never" if checked is None else f"last at {shown(checked)}"
            raise StaleMirror(
                f"the mirror agreed with DatoCMS {when}, and something changed there since",
                hint="Run `versionsync sync` first, or add --stale-ok to plan with what the mirror knows.",
            )
    return ProjectRules.of(schema_of(schema), schema.site.locales), environment


async def read_facts(
    mirror: Mirror,
    client: cma.Client,
    source_id: int,
    targets: Sequence[Target],
    rules: tuple[ProjectRules, str],
    *,
    at: datetime | None,
    now: datetime,
    is_elsewhere: bool = False,
) -> Facts:
    """Return what a plan for these records is made of.

    Args:
        mirror: The mirror.
        client: A client of the environment.
        source_id: The source.
        targets: The records.
        rules: What `read_rules` returned.
        at: The time that is wanted, if one is.
        now: The time.
        is_elsewhere: The client leads to another environment than the mirrored one.
    """
    role = await client.own_role()
    upstream = await records_by_id(client, [one.record_id for one in targets])
    stored = await asyncio.to_thread(mirror.query, lambda connection: _stored(connection, source_id, targets, at))
    if is_elsewhere:
        stored = await _elsewhere(client, stored, upstream, rules[0])
    return Facts(
        rules=rules[0],
        environment=rules[1],
        role=role,
        upstream=upstream,
        uploads=await _uploads(client, (*stored.contents.values(), *stored.former.values())),
        known=stored.known,
        contents=stored.contents,
        former=stored.former,
        living=stored.living,
        published=stored.published,
        now=now,
    )


async def _elsewhere(
    client: cma.Client, stored: _Stored, upstream: Mapping[str, cma.Item], rules: ProjectRules
) -> _Stored:
    """Return what is known, with the records of another environment in place of those of the mirrored one."""
    read = await read_contents(client, upstream.values(), rules)
    known = {
        id: replace(
            one,
            fingerprint=seen_record(upstream[id]).fingerprint,
            current_version_id=read[id].current.version_id,
            published_version_id=live.version_id if (live := read[id].live) else None,
        )
        if id in read
        else one
        for id, one in stored.known.items()
    }
    contents = dict(stored.contents)
    for content in read.values():
        contents |= {one.version_id: one for one in (content.current, content.live) if one is not None}
    mentioned = {id for one in stored.contents.values() for id in _texts(one.attributes) if id in stored.living}
    there = {**await records_by_id(client, sorted(mentioned - upstream.keys())), **upstream}
    living = {id: item.item_type_id for id, item in there.items()}
    published = frozenset(id for id, item in there.items() if item.status in ("published", "updated"))
    return _Stored(known, contents, stored.former, living, published)


def _texts(value: Any) -> Iterable[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


async def records_by_id(client: cma.Client, ids: Sequence[str]) -> dict[str, cma.Item]:
    """Return the records that exist upstream, without blocks."""

    async def some(chunk: list[str]) -> list[cma.Item]:
        return list((await client.items_page(ids=chunk, limit=len(chunk))).items)

    pages = await asyncio.gather(*(some(chunk) for chunk in chunked(ids, IDS_IN_A_LIST)))
    return {item.id: item for page in pages for item in page}


async def _uploads(client: cma.Client, contents: Iterable[VersionContent]) -> frozenset[str] | None:
    ids = sorted({id for content in contents for id in upload_ids_in(canonical_value(dict(content.attributes)))})
    try:
        pages = await asyncio.gather(*(client.uploads(chunk) for chunk in chunked(ids, IDS_IN_A_LIST)))
    except (cma.PermissionDenied, cma.InvalidRequest):
        return None
    return frozenset(id for page in pages for id in page.ids if id is not None)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the mirror knows: see `Facts`."""

    known: dict[str, Known]
    contents: dict[str, VersionContent]
    former: dict[str, VersionContent]
    living: dict[str, str]
    published: frozenset[str]


def _stored(connection: Connection, source_id: int, targets: Sequence[Target], at: datetime | None) -> _Stored:
    columns = [records.c[name] for name in ("id", *field_names(Known))]
    known: dict[str, Known] = {}
    for chunk in chunked([one.record_id for one in targets]):
        query = select(*columns).where(records.c.source_id == source_id, records.c.id.in_(chunk))
        for row in connection.execute(query):
            known[row.id] = Known(*row[1:])
    wanted = {id for one in targets for id in (one.version_id, one.live_version_id) if id}
    now = {id for one in known.values() for id in (one.current_version_id, one.published_version_id) if id}
    schemas = SchemaHistory.load(connection, source_id)
    contents = {id: content_of(connection, source_id, id, schemas) for id in sorted(wanted | now)}
    former = {} if at is None else dict(_former(connection, source_id, sorted(wanted), contents, schemas, at))
    alive = select(records.c.id, records.c.model_id, records.c.published_version_id).where(
        records.c.source_id == source_id, records.c.deleted_at.is_(None)
    )
    living, published = {}, set()
    for id, model_id, live in connection.execute(alive):
        living[id] = model_id
        if live is not None:
            published.add(id)
    return _Stored(known, contents, former, living, frozenset(published))


def _former(
    connection: Connection,
    source_id: int,
    version_ids: Sequence[str],
    contents: Mapping[str, VersionContent],
    schemas: SchemaHistory,
    at: datetime,
) -> Iterator[tuple[str, VersionContent]]:
    """Yield the contents that versions had at a time, if they were rewritten since then."""
    later: Counter[str] = Counter()
    for chunk in chunked(version_ids):
        query = select(version_rewrites.c.version_id).where(
            version_rewrites.c.source_id == source_id,
            version_rewrites.c.version_id.in_(chunk),
            version_rewrites.c.observed_at > at,
        )
        later.update(connection.scalars(query))
    for id, number in later.items():
        newest_first = former_texts(connection, source_id, VersionId(id))
        stored = next(islice(newest_first, number - 1, None))
        with suppress(ContentError):
            attributes = parse_value(stored.text)
            if isinstance(attributes, dict):
                state = schemas.at(stored.stored_by)
                yield id, replace(contents[id], attributes=attributes, hash=stored.hash, state=state)
