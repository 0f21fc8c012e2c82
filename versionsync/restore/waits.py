"""What the records of a restore wait for: records that they link to, parents, unique values, singletons. Pure.

Each record has one or two *phases*: the live content, then a newer draft. A phase is written, and published if it must
be. What is done has a number, its *node*, and waits for other nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import pairwise
from typing import Final, TypeAlias

from versionsync.history.diff.model import Json
from versionsync.restore.model import Fitted, Link, Loss, Task
from versionsync.restore.rules import FieldRules, ModelRules, ProjectRules

__all__ = [
    "PARENT",
    "Contents",
    "Phase",
    "Record",
    "Strength",
    "Upstream",
    "Wait",
    "Waits",
    "What",
    "changed",
    "meanwhile",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What is known about the records upstream, each by its id.

    Attributes:
        exists: Whether the record exists.
        is_live: Whether it is published.
        leads_to: The records that its versions upstream link to, its parent included.
    """

    exists: Callable[[str], bool]
    is_live: Callable[[str], bool]
    leads_to: Callable[[str], Collection[str]] = lambda _: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What can be asked about contents.

    Attributes:
        differing: The attributes of a content that differ from what the record of this id has upstream.
        without_links: The attributes of a content without its links to these records. A parent is a link, too.
        with_substitutes: The attributes of a content in which links to these records lead to others.
        substitute: A record of one of these models that exists upstream, and is live if that is asked for. None: there
            is none.
    """

    differing: Callable[[str, Fitted], Mapping[str, Json]]
    without_links: Callable[[Fitted, frozenset[str]], Mapping[str, Json]]
    with_substitutes: Callable[[Fitted, Mapping[str, str]], Mapping[str, Json]]
    substitute: Callable[[frozenset[str], bool], str | None] = lambda _models, _must_be_live: None


class Strength(IntEnum):
    FIRM = 0
    REQUIRED = 1
    SOFT = 2


_UniqueKey: TypeAlias = tuple[str, str]
PARENT: Final[_UniqueKey] = ("parent_id", "")
"""The place in a tree. It can be put off while other links to the same record stay."""

What: TypeAlias = "str | _UniqueKey | None"
"""What a wait is for: the record that links lead to, a unique value, the parent, or what cannot be put off."""


@dataclass(slots=True)
class Wait:
    node: int
    what: What
    strength: Strength


@dataclass(slots=True)
class _Target:
    """All links of one content to one record."""

    links: list[Link]
    is_required: bool = False
    must_be_live: bool = False


@dataclass(slots=True)
class Phase:
    fitted: Fitted
    publishes: bool
    write_is_live: bool
    targets: dict[str, _Target]
    attributes: Mapping[str, Json] | None = None
    write: int = -1
    publish: int = -1
    for_write: list[Wait] = field(default_factory=list)
    for_publish: list[Wait] = field(default_factory=list)
    off: set[What] = field(default_factory=set)
    substitutes: dict[str, str] = field(default_factory=dict)
    is_early: bool = False

    @property
    def goes_live(self) -> bool:
        return self.publishes or self.write_is_live


@dataclass(slots=True)
class Record:
    task: Task
    model: ModelRules
    phases: list[Phase]
    unpublish: int = -1
    delete: int = -1

    @property
    def key(self) -> tuple[str, str]:
        return (self.model.api_key, self.task.record_id)

    @property
    def becomes_live(self) -> bool:
        return any(phase.goes_live for phase in self.phases)


def _parent_of(phase: Phase) -> str | None:
    return next((link.target for link in phase.fitted.links if link.is_parent), None)


class Waits:
    """All records of a plan, and what each waits for. What finds records impossible returns why."""

    def __init__(
        self,
        tasks: Sequence[Task],
        rules: ProjectRules,
        upstream: Upstream,
        contents: Contents,
        *,
        together: bool,
        waits_for_moves: bool,
    ) -> None:
        self._waits_for_moves = waits_for_moves
        self._rules, self._upstream, self._contents, self._together = rules, upstream, contents, together
        self._fields: dict[str, FieldRules] = {
            one.id: one for model in rules.models.values() for one in model.fields.values()
        }
        records = sorted(map(self._record, tasks), key=lambda one: one.key)
        self.records = {record.task.record_id: record for record in records}
        self._titles = {task.record_id: task.title or task.record_id for task in tasks}
        self._left: list[Record] = []
        self.losses: list[Loss] = []
        self._count = 0

    def _record(self, task: Task) -> Record:
        model = self._rules.models.get(task.model_id) or ModelRules(
            id=task.model_id, api_key=task.model_id, name=task.model_id
        )
        phases: list[tuple[Fitted, bool]] = []
        if task.deletes:
            pass
        elif not model.has_drafts:
            phases = [(one, False) for one in (task.draft or task.live,) if one and not task.is_live_already]
            if task.is_live_already and task.draft:
                phases = [(task.draft, False)]
        else:
            if task.live and not task.is_live_already and (task.is_new or not task.unpublishes):
                phases.append((task.live, True))
            if task.draft and (not phases or task.draft.attributes != phases[0][0].attributes):
                phases.append((task.draft, False))
        return Record(task, model, [self._phase(one, publishes, model) for one, publishes in phases])

    def _phase(self, fitted: Fitted, publishes: bool, model: ModelRules) -> Phase:
        targets: dict[str, _Target] = {}
        for link in fitted.links:
            one = targets.setdefault(link.target, _Target([]))
            one.links.append(link)
            one.is_required |= link.is_required
            one.must_be_live |= link.must_be_live or link.is_parent
        return Phase(fitted, publishes, not model.has_drafts, targets)

    # What cannot be at all.

    def _absence(self, target: str, must_be_live: bool) -> str | None:
        """Say why a link to a record would be refused even after all steps, or return None."""
        record = self.records.get(target)
        if record is None or not record.task.is_new:
            if not self._upstream.exists(target):
                return "does not exist"
            if record is not None and record.task.deletes:
                return "is deleted"
        if not must_be_live or (record is not None and record.becomes_live):
            return None
        if (record is not None and (record.task.is_new or record.task.unpublishes)) or not self._upstream.is_live(
            target
        ):
            return "is not live"
        return None

    def drop_what_cannot_be(self, why: Mapping[str, str]) -> dict[str, str] | None:
        """Leave out the impossible records, all that must link to them, and the links to them that can be missing."""
        found: dict[str, str] = {}
        linked_from: dict[str, list[str]] = {}
        for record_id, record in self.records.items():
            for phase in record.phases:
                for target in phase.targets:
                    linked_from.setdefault(target, []).append(record_id)
        waiting = list(self.records)
        self._left = [self.records.pop(record_id) for record_id in why if record_id in self.records]
        for record in self._left:
            # What stays as it is goes on to lead where it leads now.
            for target in () if record.task.is_new else self._upstream.leads_to(record.task.record_id):
                other = self.records.get(target)
                if other is not None and (other.task.deletes or other.task.unpublishes):
                    found[target] = f'"{self._titles[record.task.record_id]}" leads to it, and stays as it is.'
        for record_id in found:
            del self.records[record_id]
        while waiting:
            record_id = waiting.pop()
            if record_id not in self.records:
                continue
            task, phases = self.records[record_id].task, self.records[record_id].phases
            if task.is_new and not phases:
                found[record_id] = "No content is known to create it with."
            for phase in phases:
                for target, one in phase.targets.items():
                    if not one.is_required:
                        continue
                    absence = self._absence(target, one.must_be_live and phase.goes_live)
                    if absence:
                        found[record_id] = f'It must link to "{self._titles.get(target, target)}", which {absence}.'
            if record_id in found:
                del self.records[record_id]
                waiting.extend(linked_from.get(record_id, ()))
        if found:
            return found
        for record_id, record in self.records.items():
            for phase in record.phases:
                self._drop_links(record_id, phase)
        return None

    def _drop_links(self, record_id: str, phase: Phase) -> None:
        gone: set[str] = set()
        for target, one in phase.targets.items():
            absence = self._absence(target, one.must_be_live and phase.goes_live)
            if absence:
                gone.add(target)
                what = f'The link to "{self._titles.get(target, target)}", which {absence}.'
                self.losses.extend(Loss(record_id=record_id, path=link.path, what=what) for link in one.links)
        if gone:
            attributes = self._contents.without_links(phase.fitted, frozenset(gone))
            links = tuple(link for link in phase.fitted.links if link.target not in gone)
            phase.fitted = replace(phase.fitted, attributes=attributes, links=links)
            for target in gone:
                del phase.targets[target]

    # The graph.

    def _node(self) -> int:
        self._count += 1
        return self._count - 1

    def build(self) -> dict[str, str] | None:
        """Number what must be done, and say what each waits for."""
        for record_id, record in self.records.items():
            before: Fitted | None = None
            for phase in record.phases:
                if before is not None:
                    sent: Mapping[str, Json] = changed(before.attributes, phase.fitted.attributes)
                elif record.task.is_new:
                    sent = phase.fitted.attributes
                else:
                    sent = self._contents.differing(record_id, phase.fitted)
                is_first = before is None
                if sent or (is_first and (record.task.is_new or record.task.stage is not None)):
                    phase.attributes, phase.write = sent, self._node()
                if phase.publishes:
                    phase.publish = self._node()
                before = phase.fitted
            if record.task.deletes:
                record.delete = self._node()
            elif record.task.unpublishes and not record.task.is_new:
                record.unpublish = self._node()
        found = self._wait_for_uniques() or self._wait_for_singletons()
        if found:
            return found
        for record in self.records.values():
            self._wait_for_links(record)
            if self._waits_for_moves:
                self._wait_for_moves(record)
        return None

    def _wait_for_links(self, record: Record) -> None:
        for phase in record.phases:
            for target, one in phase.targets.items():
                strength = Strength.REQUIRED if one.is_required else Strength.SOFT
                other = self.records.get(target)
                if other is None:
                    continue
                must_be_live = one.must_be_live and not self._stays_live(target)
                live = self._makes_live(other) if must_be_live else -1
                if other.task.is_new and phase.write >= 0:
                    phase.for_write.append(Wait(other.phases[0].write, target, strength))
                    phase.for_publish.append(phase.for_write[-1])
                elif any(link.is_parent for link in one.links) and other is not record and phase.write >= 0:
                    # Moving what is above first never makes a record its own ancestor in between.
                    phase.for_write.extend(
                        Wait(above.write, None, Strength.FIRM) for above in other.phases[:1] if above.write >= 0
                    )
                if live >= 0 and phase.write_is_live and phase.write >= 0:
                    phase.for_write.append(Wait(live, target, strength))
                elif live >= 0:
                    phase.for_publish.append(Wait(live, target, strength))

    def _wait_for_moves(self, record: Record) -> None:
        """Let the last content wait until what will be above it has moved out of the way: a newer draft can move it."""
        phase = record.phases[-1] if record.phases else None
        if phase is None or phase.write < 0:
            return
        above = _parent_of(phase)
        seen = {record.task.record_id}
        while above is not None and above not in seen and (other := self.records.get(above)) is not None:
            seen.add(above)
            last = other.phases[-1] if other.phases else None
            if last is None:
                return
            if len(other.phases) > 1 and last.write >= 0 and "parent_id" in (last.attributes or {}):
                phase.for_write.append(Wait(last.write, PARENT, Strength.SOFT))
            above = _parent_of(last)

    def _stays_live(self, target: str) -> bool:
        record = self.records[target]
        return not record.task.is_new and self._upstream.is_live(target)

    @staticmethod
    def _makes_live(record: Record) -> int:
        return next(
            (max(phase.publish, -1 if phase.publishes else phase.write) for phase in record.phases if phase.goes_live),
            -1,
        )

    def _wait_for_singletons(self) -> dict[str, str] | None:
        leaving = {one.model.id: one for one in self.records.values() if one.model.is_singleton and one.task.deletes}
        coming: dict[str, Record] = {}
        found = {}
        for record in sorted(self.records.values(), key=lambda one: one.key):
            if not (record.model.is_singleton and record.task.is_new):
                continue
            first = coming.setdefault(record.model.id, record)
            if first is not record:
                title = self._titles[first.task.record_id]
                found[record.task.record_id] = f'Its model allows one record, and "{title}" is created.'
            elif record.model.id in leaving:
                wait = Wait(leaving[record.model.id].delete, None, Strength.FIRM)
                record.phases[0].for_write.append(wait)
        return found or None

    def _wait_for_uniques(self) -> dict[str, str] | None:
        """Let each holder of a unique value wait until the one before has given it up."""
        holders: dict[tuple[str, _UniqueKey, bytes], list[tuple[int, tuple[str, str], _Holding]]] = {}
        kept = [
            _Holding(one, key, value, None, -1)
            for one in self._left
            for key, value in {*one.task.frees.items(), *one.task.live_frees.items()}
        ]
        for holdings in (kept, *map(_holdings, self.records.values())):
            for holding in holdings:
                record = holding.record
                place = 0 if holding.start is None else 2 if holding.end < 0 else 1
                entry = (place, record.key, holding)
                holders.setdefault((record.model.id, holding.key, holding.value), []).append(entry)
        found: dict[str, str] = {}
        for (_, key, _), entries in holders.items():
            if len(entries) == 1:
                continue
            entries.sort(key=lambda entry: entry[:2])
            keeper = next(entry[2] for entry in (*(one for one in entries if one[2].end < 0), entries[-1]))
            for _, _, one in entries:
                # A value that is never given up is for one record alone. Others can have it before, for a while.
                if keeper.end < 0 and one is not keeper and (one.end < 0 or (keeper.start is None and one.start)):
                    title = self._titles[keeper.record.task.record_id]
                    found[one.record.task.record_id] = f'Its value of "{key[0]}" must be unique, and "{title}" has it.'
            for (_, _, one), (_, _, other) in pairwise(entries):
                if other.start is None or one.record is other.record or one.end < 0:
                    continue
                can_wait = meanwhile(other.record, other.start, key) is not _IMPOSSIBLE
                wait = Wait(one.end, key, Strength.SOFT if can_wait else Strength.FIRM)
                other.start.for_write.append(wait)
                if can_wait:
                    other.start.for_publish.append(wait)
        return found or None

    def _firm(self) -> tuple[list[list[int]], list[Record]]:
        """Return what each node waits for in any case, and the record of each node."""
        firm: list[list[int]] = [[] for _ in range(self._count)]
        owners: dict[int, Record] = {}
        for record in self.records.values():
            last = -1
            for phase in record.phases:
                for node in (phase.write, phase.publish):
                    if node >= 0:
                        owners[node] = record
                        firm[node].extend([last] if last >= 0 else [])
                        last = node
            for node in (record.unpublish, record.delete):
                if node >= 0:
                    owners[node] = record
                    firm[node].extend([last] if last >= 0 else [])
            for live, draft in pairwise(record.phases):
                # The live content is complete before the draft comes, even if a part of it is put off.
                if draft.write >= 0:
                    firm[draft.write].extend(wait.node for wait in live.for_publish)
        for node, needed in self._leaving():
            firm[node].append(needed)
        return firm, [owners[node] for node in range(self._count)]

    def _leaving(self) -> Iterator[tuple[int, int]]:
        """Yield what unpublishing and deleting wait for: all that links there now lets go before."""
        for record_id, record in self.records.items():
            if record.task.is_new:
                continue
            for target in self._upstream.leads_to(record_id):
                other = self.records.get(target)
                if other is None or other is record:
                    continue
                node = max(other.delete, other.unpublish)
                if node < 0:
                    continue
                own = [one for phase in record.phases[:1] for one in (phase.write, phase.publish)]
                for needed in (*own, record.unpublish, record.delete):
                    if needed >= 0:
                        yield node, needed


@dataclass(slots=True)
class _Holding:
    """From when (None: from now) to which node a record has a unique value. A negative end: it keeps it."""

    record: Record
    key: _UniqueKey
    value: bytes
    start: Phase | None
    end: int


def _holdings(record: Record) -> Iterator[_Holding]:
    """Yield from when to when a record has each unique value, in its newest version or in its live one."""
    task = record.task
    contents = [phase.fitted.uniques for phase in record.phases]
    for key in sorted({*task.frees, *task.live_frees, *(key for uniques in contents for key in uniques)}):
        current, live = task.frees.get(key), task.live_frees.get(key)
        since: dict[bytes, Phase | None] = {value: None for value in (current, live) if value is not None}
        for node, phase in _nodes(record):
            if phase is None:
                current = None if node == record.delete else current
                live = None
            elif node == phase.write:
                current = phase.fitted.uniques.get(key)
                live = current if phase.write_is_live else live
            else:
                live = phase.fitted.uniques.get(key)
            for value in [value for value in since if value not in (current, live)]:
                yield _Holding(record, key, value, since.pop(value), node)
            if current is not None:
                since.setdefault(current, phase)
        for value, start in since.items():
            yield _Holding(record, key, value, start, -1)


def _nodes(record: Record) -> Iterator[tuple[int, Phase | None]]:
    """Yield what is done to a record, in order, with the phase that it belongs to."""
    for phase in record.phases:
        yield from ((node, phase) for node in (phase.write, phase.publish) if node >= 0)
    yield from ((node, None) for node in (record.unpublish, record.delete) if node >= 0)


_IMPOSSIBLE: Final = object()


def meanwhile(record: Record, phase: Phase, key: _UniqueKey) -> Json:
    """Return what a unique field has until the final value is free, or `_IMPOSSIBLE`."""
    api_key, locale = key
    rules = record.model.fields.get(api_key)
    if rules is None or not rules.is_required:
        return None
    value = phase.fitted.attributes.get(api_key)
    if locale:
        value = value.get(locale) if isinstance(value, dict) else None
    has_other_rules = {"length", "format", "enum"} & rules.validators.keys()
    if rules.field_type not in ("slug", "string") or not isinstance(value, str) or has_other_rules:
        return _IMPOSSIBLE
    suffix = "".join(one for one in record.task.record_id.lower() if one.isascii() and one.isalnum())
    return f"{value}-{suffix[:8]}"


def changed(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in after.items() if key not in before or before[key] != value}
