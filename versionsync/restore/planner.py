"""Turn targets into tasks, and tasks into steps: what each record is now, what it must become, what keeps it. Pure.

The contents come from the mirror, also those that are upstream now: a record whose meta is as the mirror knows it has
the content that the mirror has. A record that was edited since the last sync is left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from versionsync import cma
from versionsync.history.diff.model import Json
from versionsync.ledger.content import canonical_value, parse_value, same_fingerprint
from versionsync.ledger.sameness import same_value
from versionsync.restore.facts import Facts, Known
from versionsync.restore.field_matches import remade_fields
from versionsync.restore.fitting import PARENT, Existing, fitted
from versionsync.restore.link_edits import with_substitute, without_links
from versionsync.restore.model import (
    AS_IT_SHOULD_BE,
    Before,
    Creation,
    Fitted,
    LeftAlone,
    Loss,
    Problem,
    Schedule,
    Step,
    Target,
    Task,
)
from versionsync.restore.order import Contents, Upstream, ordered
from versionsync.restore.parts import changed_attributes, only_parts, with_later_fields
from versionsync.restore.rules import BLOCK_TYPES, ModelRules
from versionsync.restore.selection import Wanted
from versionsync.sync.api_to_ledger import seen_record

__all__ = ["Planner"]

CANNOT_COME_BACK: Final = "It is as it can be."
EDITED_SINCE_SYNC: Final = "It was edited since the last sync: run `versionsync sync` first."
CHANGED_SINCE_SYNC: Final = "It changed since the last sync: run `versionsync sync` first."
EDITED_SINCE_PLAN: Final = "Someone edited it since, or made it again."
_CREATE, _UPDATE, _PUBLISH, _DELETE = "create", "update", "publish", "delete"


@dataclass(slots=True)
class Planner:
    """Makes tasks of targets, and steps of tasks. It gathers what is left alone, what is lost, and notes for people.

    Attributes:
        wanted: What is asked.
        facts: What is known.
        expected: The version of each record that must still be current. None: it is no undo.
    """

    wanted: Wanted
    facts: Facts
    expected: Mapping[str, str] | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    left_alone: list[LeftAlone] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    before: list[Before] = field(default_factory=list)
    _existing: Existing | None = None
    _now_by_id: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    _fitted: dict[tuple[str, bool, bool, bool], Fitted] = field(default_factory=dict)

    # From targets to tasks.

    def add(self, target: Target) -> None:
        """Make the task of a target, or note why it is left alone."""
        item, known = self.facts.upstream.get(target.record_id), self.facts.known.get(target.record_id)
        if why := target.why_not or self._why_not(target, item, known):
            self._leave(target, why)
            return
        self.before.append(
            Before(
                record_id=target.record_id,
                model_id=target.model_id,
                title=target.title,
                version_id=item.current_version if item else None,
                live_version_id=known.published_version_id if item and known else None,
                published_at=item.published_at if item else None,
            )
        )
        if target.note:
            self.notes.append(f"{target.title or target.record_id}: {target.note}")
        if item is None:
            assert known is not None
            task = self._creation(target, known)
        elif target.version_id is None:
            task = self._deletion(target, item)
        else:
            assert known is not None
            task = self._change(target, item, known)
        if task is not None and not self._is_forbidden(target, task):
            self.tasks[target.record_id] = task

    def _why_not(self, target: Target, item: cma.Item | None, known: Known | None) -> str | None:
        """Return why a target is left alone, as far as that needs no content."""
        wanted = self.wanted
        if item is None:
            if target.version_id is None:
                return AS_IT_SHOULD_BE
            if not target.can_be_missing:
                return "Someone deleted it since."
            if wanted.fields or wanted.locales or wanted.blocks or target.parts:
                return "It does not exist, so no part of it can be changed."
            return None if wanted.creates else "It is missing. Creating is off: --no-create."
        if target.version_id is None and not wanted.deletes:
            return "It is new. Deleting what is new is off: --delete-new."
        if target.version_id is not None and not wanted.updates:
            return "It exists. Updating is off: --no-update."
        if self.expected is not None and self.expected.get(target.record_id) != item.current_version:
            return EDITED_SINCE_PLAN
        if known is None or known.current_version_id != item.current_version:
            return EDITED_SINCE_SYNC
        if not same_fingerprint(known.fingerprint, seen_record(item).fingerprint):
            return CHANGED_SINCE_SYNC
        return None

    def _is_forbidden(self, target: Target, task: Task) -> bool:
        """Leave a target alone if the role can never do what its task needs, and return whether it cannot."""
        role, model = self.facts.role, self.facts.rules.models.get(task.model_id)
        if role is None:
            return False
        needed = [_DELETE] if task.deletes else [_CREATE] if task.is_new else []
        if not task.deletes and not task.is_new and (task.draft or (task.live and not task.is_live_already)):
            needed.append(_UPDATE)
        publishes = task.unpublishes or (task.live is not None and not task.is_live_already)
        if publishes and model is not None and model.has_drafts:
            needed.append(_PUBLISH)
        missing = [one for one in needed if role.can_never(one, task.model_id, self.facts.environment)]
        if missing:
            name = model.name if model else task.model_id
            self._leave(target, f'The role "{role.name}" may not {" or ".join(missing)} records of "{name}".')
        return bool(missing)

    def _deletion(self, target: Target, item: cma.Item) -> Task:
        current = self.facts.known[target.record_id].current_version_id
        return Task(
            record_id=target.record_id,
            model_id=target.model_id,
            title=target.title,
            deletes=True,
            expected_version=item.current_version,
            frees={} if current is None else self._fit(current, is_draft=True).uniques,
            live_frees=self._live_uniques(self.facts.known[target.record_id]),
        )

    def _live_uniques(self, known: Known) -> Mapping[tuple[str, str], bytes]:
        live = known.published_version_id
        return {} if live is None else self._fit(live, is_draft=False).uniques

    def _creation(self, target: Target, known: Known) -> Task | None:
        draft, live = self._wanted_contents(target, is_new=True)
        if draft.problems:
            self._leave(target, _refusal(draft.problems), draft.problems)
            return None
        self._lose(draft, live)
        model = self.facts.rules.models[target.model_id]
        return Task(
            record_id=target.record_id,
            model_id=target.model_id,
            title=target.title,
            live=live,
            draft=draft if live is None or live.version_id != draft.version_id else None,
            is_new=True,
            creation=self._claimed(target, known),
            stage=self._stage(target, known, model),
            schedules=self._schedules(known) if self.wanted.publishes and model.has_drafts else (),
        )

    def _claimed(self, target: Target, known: Known) -> Creation:
        claimed = Creation(
            created_at=known.created_at,
            first_published_at=known.first_published_at,
            creator_type=known.creator_type,
            creator_id=known.creator_id,
        )
        role = self.facts.role
        if role is None or not role.can_never("edit_creator", target.model_id, self.facts.environment):
            return claimed
        self._lose_part(target, f'Its creator: the role "{role.name}" may not name one.')
        return replace(claimed, creator_type=None, creator_id=None)

    def _stage(self, target: Target, known: Known, model: ModelRules) -> str | None:
        if known.stage is not None and model.workflow_id is None:
            self._lose_part(target, f'Its stage "{known.stage}": its model has no workflow any more.')
            return None
        return known.stage

    def _schedules(self, known: Known) -> tuple[Schedule, ...]:
        planned = ((known.publication_scheduled_at, True), (known.unpublishing_scheduled_at, False))
        return tuple(Schedule(at=at, publishes=publishes) for at, publishes in planned if at and at > self.facts.now)

    def _change(self, target: Target, item: cma.Item, known: Known) -> Task | None:
        assert known.current_version_id is not None
        current = self._fit(known.current_version_id, is_draft=True)
        now = self._now_by_id[target.record_id] = self._with_upstream(current, item)
        live_now = known.published_version_id
        if self._is_partial(target):
            draft = self._mixed(target, now, known.current_version_id)
            live = self._live_of_parts(target, draft, known)
            stops_live = False
        else:
            draft, live = self._wanted_contents(target, is_new=False)
            draft = self._with_later_fields(now, draft)
            live = None if live is None else self._with_later_fields(now, live)
            has_drafts = self._has_drafts(target.model_id)
            stops_live = target.is_live_wanted and target.live_version_id is None and has_drafts
        differs = bool(changed_attributes(now, draft.attributes))
        if differs and draft.problems:
            self._leave(target, _refusal(draft.problems), draft.problems)
            return None
        unpublishes = stops_live and live_now is not None
        is_one = live is not None and live.version_id == draft.version_id
        is_live_already = (
            live is not None
            and live_now is not None
            and not (is_one and differs)
            and self._is_live_as(live, live_now, known, now)
        )
        goes_live = live is not None and not is_live_already
        needs_draft = not is_one if goes_live else differs
        if not (needs_draft or goes_live or unpublishes):
            noted = [one for one in self.losses if one.record_id == target.record_id]
            lost = [one.what for one in (*noted, *draft.losses, *(live.losses if live else ()))]
            self._leave(target, f"{CANNOT_COME_BACK} {' '.join(dict.fromkeys(lost))}" if lost else AS_IT_SHOULD_BE)
            return None
        self._lose(draft, live)
        return Task(
            record_id=target.record_id,
            model_id=target.model_id,
            title=target.title,
            live=live,
            draft=draft if needs_draft else None,
            is_live_already=is_live_already,
            unpublishes=unpublishes,
            expected_version=item.current_version,
            frees=current.uniques,
            live_frees=self._live_uniques(known),
        )

    # Contents.

    def _wanted_contents(self, target: Target, *, is_new: bool) -> tuple[Fitted, Fitted | None]:
        """Return the newest content that a record must have, and the one that must be published, if any."""
        assert target.version_id is not None
        live_id = target.live_version_id if target.is_live_wanted else None
        if self._has_drafts(target.model_id):
            draft = self._fit(target.version_id, is_draft=True, is_new=is_new, is_former=True)
            live = None if live_id is None else self._fit(live_id, is_draft=False, is_new=is_new, is_former=True)
            if live is not None and live.problems and not draft.problems:
                why = " ".join(problem.what for problem in live.problems)
                self._lose_part(target, f"It does not go live: {why}")
                live = None
            return draft, live
        if target.is_live_wanted and live_id is None:
            self._lose_part(target, "It is live, although it was a draft: its model has no drafts now.")
        elif live_id is not None and live_id != target.version_id:
            self._lose_part(target, "Its newer draft: its model has no drafts now.")
        return self._fit(live_id or target.version_id, is_draft=False, is_new=is_new, is_former=True), None

    def _fit(self, version_id: str, *, is_draft: bool, is_new: bool = False, is_former: bool = False) -> Fitted:
        """Return a version as it can be sent now. `is_former`: as it was at the time that is wanted."""
        key = version_id, is_draft, is_new, is_former
        if key not in self._fitted:
            content = self.facts.contents[version_id]
            if is_former:
                content = self.facts.former.get(version_id, content)
            self._fitted[key] = fitted(content, self.facts.rules, self.existing, is_draft=is_draft, is_new=is_new)
        return self._fitted[key]

    def _with_later_fields(self, now: Mapping[str, Json], one: Fitted) -> Fitted:
        model_id = self.facts.contents[one.version_id].model_id
        return replace(one, attributes=with_later_fields(now, one.attributes, self.facts.rules, model_id))

    def _is_partial(self, target: Target) -> bool:
        wanted = self.wanted
        return bool(target.parts or wanted.fields or wanted.locales or wanted.blocks)

    def _mixed(self, target: Target, now: Mapping[str, Json], current: str) -> Fitted:
        """Return the content of now with the parts that are wanted."""
        assert target.version_id is not None
        wanted, rules = self.wanted, self.facts.rules
        then = self._fit(target.version_id, is_draft=True, is_former=True)
        attributes = now
        if target.parts:
            for name in sorted({name for name, _ in target.parts}):
                locales = [locale for field_name, locale in target.parts if field_name == name and locale is not None]
                attributes = only_parts(
                    attributes, then.attributes, rules, target.model_id, fields=(name,), locales=locales
                )
        else:
            attributes = only_parts(
                now,
                then.attributes,
                rules,
                target.model_id,
                fields=wanted.fields,
                locales=wanted.locales,
                blocks=wanted.blocks,
            )
        content = replace(self.facts.contents[current], attributes=attributes)
        mixed = fitted(content, rules, self.existing, is_draft=self._has_drafts(target.model_id))
        return replace(mixed, version_id=then.version_id, losses=then.losses)

    def _live_of_parts(self, target: Target, mixed: Fitted, known: Known) -> Fitted | None:
        """Return the content to publish if only parts change: a draft with other changes in it stays a draft."""
        is_wanted = target.is_live_wanted and target.live_version_id is not None
        if not is_wanted or not self._has_drafts(target.model_id) or mixed.problems:
            return None
        if known.published_version_id == known.current_version_id:
            return mixed
        if known.published_version_id is not None:
            self._lose_part(target, "It is not published: its draft has other changes, which would go live, too.")
        return None

    def _is_live_as(self, live: Fitted, live_now: str, known: Known, now: Mapping[str, Json]) -> bool:
        """Return whether a content is live. `now`: the current content as upstream has it."""
        assert known.current_version_id is not None
        if live_now != known.current_version_id:
            published = self._fit(live_now, is_draft=False)
            is_rewritten = now != self._fit(known.current_version_id, is_draft=True).attributes
            if is_rewritten or any(not self._exists(link.target) for link in published.links):
                return False  # upstream can have removed a link from this version, too
            now = published.attributes
        return not changed_attributes(now, live.attributes)

    def _with_upstream(self, current: Fitted, item: cma.Item) -> Mapping[str, Json]:
        """Return the content of the current version as upstream has it now.

        Upstream can rewrite a version without a sign in the record's meta, if a link or a parent was deleted. Fields
        with blocks are not shown here. So those with a link to what was deleted are left out, and count as different.
        """
        model = self.facts.rules.models.get(item.item_type_id)
        shown, stored = parse_value(item.attributes_raw), self.facts.contents[current.version_id].attributes
        if model is None or not isinstance(shown, dict):
            return current.attributes
        plain = {key for key, one in model.fields.items() if one.field_type not in BLOCK_TYPES} | {PARENT}
        rewritten = {
            key: shown[key]
            for key in plain & shown.keys() & stored.keys()
            if not same_value(canonical_value(shown[key]), canonical_value(stored[key]))
        }
        remade = remade_fields(self.facts.contents[current.version_id].state, self.facts.rules, item.item_type_id)
        unsure = remade | {str(link.path[0]) for link in current.links if not self._exists(link.target)} - plain
        return {key: one for key, one in {**current.attributes, **rewritten}.items() if key not in unsure}

    def _has_drafts(self, model_id: str) -> bool:
        model = self.facts.rules.models.get(model_id)
        return model is None or model.has_drafts

    @property
    def existing(self) -> Existing:
        """What will exist after the plan, as far as it is known before the steps are made."""
        if self._existing is None:
            facts = self.facts
            found = {**facts.living, **{id: item.item_type_id for id, item in facts.upstream.items()}}
            for id, known in facts.known.items():
                if known.deleted_at is not None and id not in facts.upstream:
                    found[id] = known.model_id  # it is created by this plan, or is found impossible with its links
            self._existing = Existing(records=found, uploads=facts.uploads)
        return self._existing

    # From tasks to steps.

    def steps(self) -> tuple[Step, ...]:
        """Return the steps of the tasks. Impossible tasks are left alone."""
        self._leave_second_singletons()
        found = ordered(
            list(self.tasks.values()),
            self.facts.rules,
            upstream=Upstream(exists=self._exists, is_live=self.facts.published.__contains__, leads_to=self._leads_to),
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
        self.losses += [loss for loss in (*found.losses, *self._published_along()) if loss not in self.losses]
        return found.steps

    def _published_along(self) -> Iterator[Loss]:
        """Yield the records that go live although they should not: publishing others publishes them, too."""
        fields = {one.id: one for model in self.facts.rules.models.values() for one in model.fields.values()}
        waiting = [task for task in self.tasks.values() if self._goes_live(task)]
        seen = {task.record_id for task in waiting}
        while waiting:
            task = waiting.pop()
            for one in (task.live, task.draft):
                for link in one.links if one else ():
                    rule, other = fields.get(link.field_id or ""), self.tasks.get(link.target)
                    is_live = link.target in self.facts.published and not (other and other.unpublishes)
                    if rule is None or not rule.publishes_links or is_live or link.target in seen:
                        continue
                    seen.add(link.target)
                    what = f'It goes live: "{task.title or task.record_id}" links to it and is published.'
                    yield Loss(record_id=link.target, path=(), what=what)
                    if other is not None:
                        waiting.append(other)

    def _goes_live(self, task: Task) -> bool:
        if task.deletes:
            return False
        return (task.live is not None and not task.is_live_already) or not self._has_drafts(task.model_id)

    def refuse(self, problems: Mapping[str, Sequence[Problem]]) -> None:
        """Leave alone the records that upstream would refuse."""
        for record_id, found in problems.items():
            task = self.tasks.pop(record_id)
            why = _refusal(found)
            self.left_alone.append(
                LeftAlone(
                    record_id=record_id,
                    model_id=task.model_id,
                    title=task.title,
                    why=why,
                    problems=tuple(dict.fromkeys(found)),
                )
            )

    def _leave_second_singletons(self) -> None:
        """Leave alone new records of models that allow one record, if another one exists and stays."""
        deleted = {id for id, task in self.tasks.items() if task.deletes}
        taken = {model_id: id for id, model_id in self.facts.living.items() if id not in deleted}
        for id, task in list(self.tasks.items()):
            model = self.facts.rules.models.get(task.model_id)
            other = taken.get(task.model_id)
            if task.is_new and model is not None and model.is_singleton and other not in (None, id):
                del self.tasks[id]
                why = f"Its model allows one record, and the record {other} exists."
                left = LeftAlone(record_id=id, model_id=task.model_id, title=task.title, why=why)
                self.left_alone.append(left)

    def _exists(self, id: str) -> bool:
        return id in self.facts.upstream or (id in self.facts.living and id not in self.facts.known)

    def _differing(self, record_id: str, one: Fitted) -> Mapping[str, Json]:
        return changed_attributes(self._now_by_id.get(record_id, {}), one.attributes)

    def _leads_to(self, record_id: str) -> set[str]:
        """Return the records that the versions of a record upstream link to."""
        known = self.facts.known.get(record_id)
        if known is None or known.deleted_at is not None:
            return set()
        ids = {known.current_version_id, known.published_version_id} - {None}
        contents = [self._fit(id, is_draft=True) for id in ids if id is not None]
        return {link.target for one in contents for link in one.links}

    def _with_substitutes(self, one: Fitted, others: Mapping[str, str]) -> Mapping[str, Json]:
        models = {id: self.existing.records[id] for id in others.values() if id in self.existing.records}
        return with_substitute(one, others.keys(), self.facts.rules, models)

    def _substitute(self, model_ids: frozenset[str], must_be_live: bool) -> str | None:
        for id, model_id in self.facts.living.items():
            if model_id in model_ids and id not in self.tasks and (not must_be_live or id in self.facts.published):
                return id
        return None

    # What people should know.

    def losses_of(self, touched: Collection[str]) -> Iterator[Loss]:
        """Yield the losses of records that the plan changes, or that it cannot keep from changing."""
        along = set(self._published_along())
        return (one for one in self.losses if one.record_id in touched or one.record_id in self.tasks or one in along)

    def _leave(self, target: Target, why: str, problems: Sequence[Problem] = ()) -> None:
        self.left_alone.append(
            LeftAlone(
                record_id=target.record_id,
                model_id=target.model_id,
                title=target.title,
                why=why,
                problems=tuple(problems),
            )
        )

    def _lose(self, draft: Fitted, live: Fitted | None) -> None:
        self.losses += draft.losses
        if live is not None and live.version_id != draft.version_id:
            self.losses += live.losses

    def _lose_part(self, target: Target, what: str) -> None:
        self.losses.append(Loss(record_id=target.record_id, path=(), what=what))


def _refusal(problems: Sequence[Problem]) -> str:
    return "DatoCMS would refuse it: " + " ".join(dict.fromkeys(problem.what for problem in problems))
