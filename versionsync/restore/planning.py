"""Make a plan: compare what is wanted with what is upstream now, and check it before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from versionsync import cma
from versionsync.history.scope import Scope
from versionsync.mirror.database import Mirror
from versionsync.mirror.tables.sources import SourceRow
from versionsync.restore.elsewhere import read_contents
from versionsync.restore.errors import CannotApply, StaleMirror
from versionsync.restore.field_matches import remade_fields
from versionsync.restore.fitting import Existing, fitted
from versionsync.restore.link_edits import with_substitute, without_links
from versionsync.restore.model import (
    Act,
    Before,
    Creation,
    Fitted,
    LeftAlone,
    Plan,
    Problem,
    Schedule,
    Step,
    Target,
    Task,
)
from versionsync.restore.order import Contents, Upstream, least_requests, ordered
from versionsync.restore.parts import changed_attributes, only_parts, with_later_fields
from versionsync.restore.preflight import check_steps
from versionsync.restore.rules import ProjectRules
from versionsync.restore.selection import Wanted, targets_of
from versionsync.text import count

__all__ = ["PlanningOptions", "make_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningOptions:
    """How a plan is made.

    Attributes:
        stale_ok: Plan with a mirror that is older than upstream.
        checks: Whether to ask upstream whether it would accept each content, one request a step.
        undoes: The id of the plan that this one takes back.
        expected: For an undo: the version of each record that must still be current.
        is_elsewhere: The client leads to another environment than the mirrored one.
    """

    stale_ok: bool = False
    checks: bool = True
    undoes: str | None = None
    expected: Mapping[str, str] = field(default_factory=dict)
    is_elsewhere: bool = False


async def make_plan(
    mirror: Mirror,
    source: str,
    wanted: Wanted,
    client: cma.Client,
    *,
    now: Callable[[], datetime],
    options: PlanningOptions | None = None,
    targets: Sequence[Target] | None = None,
    zone_shown: Callable[[datetime], str] = str,
) -> Plan:
    """Return the plan for what is wanted. It reads upstream, and writes nothing there.

    Args:
        mirror: The mirror.
        source: The name of the source.
        wanted: What is asked.
        client: A client of the environment that is written to.
        now: The clock.
        options: How it is made.
        targets: The records, if they are known already. None: those that are wanted.
        zone_shown: Returns a time as people read it.

    Raises:
        StaleMirror: The mirror is older than upstream.
        CannotApply: The client leads to another project.
        HistoryError: A name is not known, or the time is before the history.
        CmaError: Upstream cannot be read.
    """
    options = options or PlanningOptions()
    row, found = await asyncio.to_thread(
        mirror.query, lambda connection: _selected(connection, source, wanted, targets)
    )
    rules = await read_rules(client, row, now(), stale_ok=options.stale_ok, shown=zone_shown)
    chosen = [one for one in found if one.why_not is None]
    upstream = await _read_many(client, [one.record_id for one in chosen])
    uploads = None
    facts = await asyncio.to_thread(mirror.query, lambda connection: _facts(connection, row.id, chosen))
    if options.is_elsewhere:
        facts = await _facts_elsewhere(client, facts, upstream, project.rules)
    uploads = await _uploads(client, facts.contents.values())
    planner = _Planner(wanted, options, project, facts, upstream, uploads, now())
    planner.left_alone += [_left(one, one.why_not) for one in found if one.why_not is not None]
    for target in chosen:
        planner.add(target)
    steps = planner.steps()
    if options.checks:
        steps = await _checked(planner, steps, Preflight(client, facts.rules))
    touched = {id for step in steps for id in step.record_ids}
    return Plan(
        source=source,
        environment=facts.environment,
        project_id=row.project.id,
        wanted=wanted.words,
        made_at=now(),
        mirror_as_of=row.checkpoint.last_success_at,
        role=facts.role.name if facts.role else None,
        steps=steps,
        records=tuple(before for before in planner.before if before.record_id in touched),
        left_alone=tuple(planner.left_alone),
        losses=tuple(
            loss for loss in dict.fromkeys(planner.losses) if loss.record_id in touched | planner.tasks.keys()
        ),
        notes=(*dict.fromkeys(planner.notes), *_notes(steps)),
        requests=least_requests(steps),
        undoes=options.undoes,
    )


def _selected(
    connection: Connection, source: str, wanted: Wanted, targets: Sequence[Target] | None
) -> tuple[SourceRow, list[Target]]:
    scope = Scope.load(connection, [source])
    return scope.sources[0], targets_of(connection, scope, wanted) if targets is None else list(targets)


async def _read_project(
    client: cma.Client,
    row: SourceRow,
    now: datetime,
    options: PlanningOptions,
    shown: Callable[[datetime], str],
) -> _Project:
    schema = await client.schema()
    if schema.site.id != row.project.id:
        raise CannotApply(
            f"the token leads to the project {schema.site.name} (id {schema.site.id}), but the source {row.name} "
            f"mirrors {row.project.name} (id {row.project.id})"
        )
    environment = client.environment_id or client.last_environment or row.project.environment
    checked = row.checkpoint.last_success_at
    if not options.stale_ok and (checked is None or now - checked > FRESH):
        beacon = await client.environment(row.project.environment if options.is_elsewhere else environment)
        if checked is None or beacon.last_data_change_at != row.checkpoint.last_data_change_at:
            when = "never" if checked is None else f"last at {shown(checked)}"
            raise StaleMirror(
                f"the mirror agreed with DatoCMS {when}, and something changed there since",
                hint="Run `versionsync sync` first, or add --stale-ok to plan with what the mirror knows.",
            )
    return _Project(ProjectRules.of(schema_of(schema), schema.site.locales), environment)


async def _read_many(client: cma.Client, ids: Sequence[str]) -> dict[str, cma.Item]:
    """Return the records that exist upstream, without blocks."""

    async def some(chunk: list[str]) -> list[cma.Item]:
        return list((await client.items_page(ids=chunk, limit=len(chunk))).items)

    pages = await asyncio.gather(*(some(chunk) for chunk in chunked(ids, IDS_IN_A_LIST)))
    return {item.id: item for page in pages for item in page}


async def _uploads(client: cma.Client, contents: Iterable[VersionContent]) -> frozenset[str] | None:
    """Return those of the uploads in the contents that exist. None: the role may not read them."""
    ids = sorted({id for content in contents for id in _upload_ids(content.attributes)})
    try:
        pages = await asyncio.gather(*(client.upload_ids(chunk) for chunk in chunked(ids, IDS_IN_A_LIST)))
    except (cma.PermissionDenied, cma.InvalidRequest):
        return None
    return frozenset().union(*pages)


async def _facts_elsewhere(
    client: cma.Client, facts: _Facts, upstream: Mapping[str, cma.Item], rules: ProjectRules
) -> _Facts:
    """Return the facts with the records of another environment in place of those of the mirrored one."""
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
        for id, one in facts.known.items()
    }
    contents = dict(facts.contents)
    for content in read.values():
        contents |= {one.version_id: one for one in (content.current, content.live) if one is not None}
    mentioned = {id for one in facts.contents.values() for id in _texts(one.attributes) if id in facts.living}
    there = {**await _read_many(client, sorted(mentioned - upstream.keys())), **upstream}
    living = {id: item.item_type_id for id, item in there.items()}
    published = frozenset(id for id, item in there.items() if item.status in ("published", "updated"))
    return _Facts(known, contents, living, published)


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


def _upload_ids(value: Any) -> Iterable[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            for name in ("upload_id", "image"):
                if isinstance(id := one.get(name), str):
                    yield id
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _facts(connection: Connection, source_id: int, targets: Sequence[Target]) -> _Facts:
    columns = [records.c[name] for name in ("id", *field_names(_Known))]
    known: dict[str, _Known] = {}
    for chunk in chunked([one.record_id for one in targets]):
        query = select(*columns).where(records.c.source_id == source_id, records.c.id.in_(chunk))
        for row in connection.execute(query):
            known[row.id] = _Known(*row[1:])
    wanted = {id for one in targets for id in (one.version_id, one.live_version_id)}
    wanted |= {id for one in known.values() for id in (one.current_version_id, one.published_version_id)}
    schemas = SchemaHistory.load(connection, source_id)
    contents = {id: content_of(connection, source_id, id, schemas) for id in sorted(id for id in wanted if id)}
    alive = select(records.c.id, records.c.model_id, records.c.published_version_id).where(
        records.c.source_id == source_id, records.c.deleted_at.is_(None)
    )
    living, published = {}, set()
    for id, model_id, live in connection.execute(alive):
        living[id] = model_id
        if live is not None:
            published.add(id)
    return _Facts(known, contents, living, frozenset(published))


@dataclass(slots=True)
class _Planner:
    """Makes tasks of targets, and steps of tasks."""

    wanted: Wanted
    options: PlanningOptions
    project: _Project
    facts: _Facts
    upstream: Mapping[str, cma.Item]
    uploads: frozenset[str] | None
    now: datetime
    tasks: dict[str, Task] = field(default_factory=dict)
    left_alone: list[LeftAlone] = field(default_factory=list)
    losses: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    before: list[Before] = field(default_factory=list)
    _existing: Existing | None = None
    _now_by_id: dict[str, Mapping[str, Json]] = field(default_factory=dict)

    def add(self, target: Target) -> None:
        """Make the task of a target, or note why it is left alone."""
        item = self.upstream.get(target.record_id)
        known = self.facts.known.get(target.record_id)
        if why := self._why_not(target, item, known):
            self.left_alone.append(_left(target, why))
            return
        self.before.append(
            Before(
                record_id=target.record_id,
                model_id=target.model_id,
                title=target.title,
                version_id=item.current_version if item else None,
                live_version_id=known.published_version_id if item and known else None,
            )
        )
        if target.note:
            self.notes.append(f"{target.title or target.record_id}: {target.note}")
        if target.version_id is None:
            assert item is not None
            self.tasks[target.record_id] = Task(
                record_id=target.record_id,
                model_id=target.model_id,
                title=target.title,
                deletes=True,
                expected_version=item.current_version,
            )
            return
        assert known is not None
        task = self._creation(target, known) if item is None else self._change(target, item, known)
        if task is not None:
            self.tasks[target.record_id] = task

    def _why_not(self, target: Target, item: cma.Item | None, known: _Known | None) -> str | None:
        wanted = self.wanted
        if target.version_id is None:
            if item is None:
                return AS_IT_SHOULD_BE
            return None if wanted.deletes else "It is new. Deleting what is new is off: --delete-new."
        if item is None:
            if wanted.fields or wanted.locales or wanted.blocks or target.parts:
                return "It does not exist, so no part of it can be changed."
            return None if wanted.creates else "It is missing. Creating is off: --no-create."
        if not wanted.updates:
            return "It exists. Updating is off: --no-update."
        expected = self.options.expected.get(target.record_id)
        if expected is not None and item.current_version != expected:
            return "Someone edited it since."
        if known is None or known.current_version_id != item.current_version:
            return "It was edited since the last sync: run `versionsync sync` first."
        if not same_fingerprint(known.fingerprint, seen_record(item).fingerprint):
            return "It changed since the last sync: run `versionsync sync` first."
        return None

    @property
    def existing(self) -> Existing:
        """What will exist after the plan, as far as it is known before the steps are made."""
        if self._existing is None:
            self._existing = Existing(records=self._records(), uploads=self.uploads)
        return self._existing

    def _records(self) -> dict[str, str]:
        found = {**self.facts.living, **{id: item.item_type_id for id, item in self.upstream.items()}}
        for target_id, known in self.facts.known.items():
            if known.deleted_at is not None and target_id not in self.upstream:
                found[target_id] = known.model_id  # it is created by this plan, or is found impossible with its links
        return found

    def _fitted(self, version_id: str, *, is_draft: bool, is_new: bool) -> Fitted:
        content = self.facts.contents[version_id]
        return fitted(content, self.project.rules, self.existing, is_draft=is_draft, is_new=is_new)

    def _creation(self, target: Target, known: _Known) -> Task | None:
        assert target.version_id is not None
        draft = self._fitted(target.version_id, is_draft=True, is_new=True)
        if draft.problems:
            self.left_alone.append(_refused(target, draft.problems))
            return None
        self.losses += draft.losses
        live = self._live(target, draft, is_new=True)
        return Task(
            record_id=target.record_id,
            model_id=target.model_id,
            title=target.title,
            live=live,
            draft=draft if live is None or live.version_id != draft.version_id else None,
            is_new=True,
            creation=Creation(
                created_at=known.created_at,
                first_published_at=known.first_published_at if live else None,
                creator_type=known.creator_type,
                creator_id=known.creator_id,
            ),
            stage=known.stage,
            schedules=self._schedules(known) if self.wanted.publishes else (),
        )

    def _live(self, target: Target, draft: Fitted, *, is_new: bool) -> Fitted | None:
        """Return the content that must be published, or None."""
        if not target.is_live_wanted or target.live_version_id is None:
            return None
        live = self._fitted(target.live_version_id, is_draft=False, is_new=is_new)
        if live.problems:
            why = "; ".join(problem.what for problem in live.problems)
            self.notes.append(f"{target.title or target.record_id} comes back as a draft: {why}")
            return None
        if live.version_id != draft.version_id:
            self.losses += live.losses
        return live

    def _change(self, target: Target, item: cma.Item, known: _Known) -> Task | None:
        assert target.version_id is not None and known.current_version_id is not None
        rules, model_id = self.project.rules, target.model_id
        now = self._attributes_now(known.current_version_id)
        self._now_by_id[target.record_id] = now
        draft = self._fitted(target.version_id, is_draft=True, is_new=False)
        wanted = self._only_parts(target, now, draft, known.current_version_id)
        if wanted is not draft:
            draft = wanted
        else:
            draft = replace(draft, attributes=with_later_fields(now, draft.attributes, rules, model_id))
        differing = changed_attributes(now, draft.attributes)
        if differing and draft.problems:
            self.left_alone.append(_refused(target, draft.problems))
            return None
        live_now = known.published_version_id
        is_partial = self._is_partial(target)
        live = self._live_part(target, known, draft) if is_partial else self._live(target, draft, is_new=False)
        is_live_already = live is not None and live_now is not None and self._is_live_as(live, live_now)
        unpublishes = (
            target.is_live_wanted and not is_partial and target.live_version_id is None and live_now is not None
        )
        needs_draft = bool(differing) if live is None or is_live_already else True
        if live is not None and not is_live_already and live.version_id == draft.version_id:
            needs_draft = False
        if not needs_draft and not unpublishes and (live is None or is_live_already):
            self.left_alone.append(_left(target, AS_IT_SHOULD_BE))
            return None
        self.losses += draft.losses
        return Task(
            record_id=target.record_id,
            model_id=model_id,
            title=target.title,
            live=live,
            draft=draft if needs_draft else None,
            is_live_already=is_live_already,
            unpublishes=unpublishes,
            expected_version=item.current_version,
            frees=self._fitted(known.current_version_id, is_draft=True, is_new=False).uniques,
        )

    def _is_partial(self, target: Target) -> bool:
        wanted = self.wanted
        return bool(target.parts or wanted.fields or wanted.locales or wanted.blocks)

    def _live_part(self, target: Target, known: _Known, draft: Fitted) -> Fitted | None:
        """Return the content to publish of a record of which only parts are restored: a draft of others stays one."""
        current, now = known.current_version_id, self._now_by_id[target.record_id]
        is_asked = self.wanted.publishes and not target.parts
        if not is_asked or current is None or known.published_version_id is None:
            return None
        if not changed_attributes(now, draft.attributes):
            return None
        title = target.title or target.record_id
        if known.published_version_id != current:
            self.notes.append(f"{title} has a draft that is not live. The draft is changed, and what is live stays.")
            return None
        mixed = replace(self.facts.contents[current], attributes=draft.attributes)
        live = fitted(mixed, self.project.rules, self.existing, is_draft=False, is_new=False)
        if live.problems:
            why = "; ".join(problem.what for problem in live.problems)
            self.notes.append(f"{title} is changed as a draft only: {why}")
            return None
        return replace(live, version_id=draft.version_id, losses=draft.losses)

    def _only_parts(self, target: Target, now: Mapping[str, Json], draft: Fitted, current: str) -> Fitted:
        """Return `draft` with the parts that are wanted, and all else as it is now."""
        wanted, rules = self.wanted, self.project.rules
        if not self._is_partial(target):
            return draft
        attributes: Mapping[str, Json] = now
        if target.parts:
            for name in sorted({name for name, _ in target.parts}):
                locales = [locale for field_name, locale in target.parts if field_name == name and locale is not None]
                attributes = only_parts(
                    attributes, draft.attributes, rules, target.model_id, fields=(name,), locales=locales
                )
        else:
            attributes = only_parts(
                now,
                draft.attributes,
                rules,
                target.model_id,
                fields=wanted.fields,
                locales=wanted.locales,
                blocks=wanted.blocks,
            )
        mixed = replace(self.facts.contents[current], attributes=attributes)
        again = fitted(mixed, rules, self.existing, is_draft=True, is_new=False)
        return replace(again, version_id=draft.version_id, losses=draft.losses)

    def _attributes_now(self, version_id: str) -> Mapping[str, Json]:
        content = self.facts.contents[version_id]
        remade = remade_fields(content.state, self.project.rules, content.model_id)
        known = renamed(content.attributes, content.state.former_keys, content.model_id)
        return {key: value for key, value in known.items() if key not in remade}

    def _is_live_as(self, live: Fitted, live_now: str) -> bool:
        return live.version_id == live_now or not changed_attributes(self._attributes_now(live_now), live.attributes)

    def _schedules(self, known: _Known) -> tuple[Schedule, ...]:
        planned = ((known.publication_scheduled_at, True), (known.unpublishing_scheduled_at, False))
        return tuple(Schedule(at=at, publishes=publishes) for at, publishes in planned if at and at > self.now)

    def steps(self) -> tuple[Step, ...]:
        """Return the steps of the tasks. Impossible tasks are left alone."""
        found = ordered(
            list(self.tasks.values()),
            self.project.rules,
            upstream=Upstream(
                exists=lambda record_id: (
                    record_id in self.upstream or (record_id in self.facts.living and record_id not in self.facts.known)
                ),
                is_live=self.facts.published.__contains__,
            ),
            contents=Contents(
                differing=self._differing,
                without_links=without_links,
                with_substitutes=self._with_substitutes,
                substitute=self._substitute,
            ),
        )
        for one in found.impossible:
            self.tasks.pop(one.record_id, None)
            self.left_alone.append(one)
        self.losses += [loss for loss in found.losses if loss not in self.losses]
        return found.steps

    def _differing(self, record_id: str, one: Fitted) -> Mapping[str, Json]:
        return changed_attributes(self._now_by_id.get(record_id, {}), one.attributes)

    def _with_substitutes(self, one: Fitted, others: Mapping[str, str]) -> Mapping[str, Json]:
        models = {id: self.existing.records[id] for id in others.values() if id in self.existing.records}
        return with_substitute(one, others.keys(), self.project.rules, models)

    def _substitute(self, model_ids: frozenset[str], must_be_live: bool) -> str | None:
        for id, model_id in self.facts.living.items():
            if model_id in model_ids and id not in self.tasks and (not must_be_live or id in self.facts.published):
                return id
        return None

    def uncheckable(self) -> frozenset[str]:
        """Return the records that do not exist yet: links to them cannot be checked before."""
        return frozenset(task.record_id for task in self.tasks.values() if task.is_new)

    def refuse(self, problems: Mapping[str, Sequence[Problem]]) -> None:
        """Leave alone the records that upstream would refuse."""
        for record_id, found in problems.items():
            task = self.tasks.pop(record_id)
            self.left_alone.append(
                LeftAlone(
                    record_id=record_id,
                    model_id=task.model_id,
                    title=task.title,
                    why="DatoCMS would refuse it.",
                    problems=tuple(found),
                )
            )


def _left(target: Target, why: str) -> LeftAlone:
    return LeftAlone(record_id=target.record_id, model_id=target.model_id, title=target.title, why=why)


def _refused(target: Target, problems: Sequence[Problem]) -> LeftAlone:
    why = "DatoCMS would refuse it: " + " ".join(problem.what for problem in problems)
    return replace(_left(target, why), problems=tuple(problems))


def _notes(steps: Sequence[Step]) -> list[str]:
    """Return what people should know before they apply the steps."""
    acts = sum(len(step.record_ids) for step in steps)
    if not acts:
        return []
    notes = [f"DatoCMS calls the project's webhooks for {count(acts, 'change')}, and may start builds."]
    if any(step.act is Act.DELETE for step in steps):
        notes.append("DatoCMS has no lock for deletions: an edit in the same second can be lost.")
    return notes
