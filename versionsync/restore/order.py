"""The order of a restore: from tasks, one a record, to steps, one a request that changes something. Pure.

Each record has one or two *phases*: the live content, then a newer draft. A phase is written, and published if
it must be. A write waits for the records that it links to, and for the unique values that others must give up first.
Where such waits have a cycle, a write is sent without some links or values, and a closing update sends them later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import pairwise
from typing import Final, TypeAlias

from versionsync.history.diff.model import Json
from versionsync.restore.cycles import components, cycles, levels, put_off, sorted_by_needs
from versionsync.restore.model import Act, Fitted, LeftAlone, Link, Loss, Reason, Step, Task
from versionsync.restore.rules import FieldRules, ModelRules, ProjectRules

__all__ = ["MOST_IN_BULK", "Contents", "Ordered", "Upstream", "least_requests", "ordered"]

MOST_IN_BULK: Final = 200
"""How many records one bulk request can name."""

_BULK: Final = (Act.PUBLISH, Act.UNPUBLISH, Act.DELETE)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Steps in order, what is impossible, and the links that are lost since they lead to nothing that will exist."""

    steps: tuple[Step, ...]
    impossible: tuple[LeftAlone, ...] = ()
    losses: tuple[Loss, ...] = ()


class _Strength(IntEnum):
    FIRM = 0
    REQUIRED = 1
    SOFT = 2


_UniqueKey: TypeAlias = tuple[str, str]
_What: TypeAlias = "str | _UniqueKey | None"
"""What a wait is for: the record that a link leads to, a unique value, or what cannot be put off."""


@dataclass(slots=True)
class _Wait:
    node: int
    what: _What
    strength: _Strength


@dataclass(slots=True)
class _Target:
    """All links of one content to one record."""

    links: list[Link]
    is_required: bool = False
    must_be_live: bool = False


@dataclass(slots=True)
class _Phase:
    fitted: Fitted
    publishes: bool
    write_is_live: bool
    targets: dict[str, _Target]
    attributes: Mapping[str, Json] | None = None
    write: int = -1
    publish: int = -1
    for_write: list[_Wait] = field(default_factory=list)
    for_publish: list[_Wait] = field(default_factory=list)
    off: set[_What] = field(default_factory=set)
    substitutes: dict[str, str] = field(default_factory=dict)
    is_early: bool = False

    @property
    def goes_live(self) -> bool:
        return self.publishes or self.write_is_live


@dataclass(slots=True)
class _Record:
    task: Task
    model: ModelRules
    phases: list[_Phase]
    unpublish: int = -1
    delete: int = -1

    @property
    def key(self) -> tuple[str, str]:
        return (self.model.api_key, self.task.record_id)

    @property
    def becomes_live(self) -> bool:
        return any(phase.goes_live for phase in self.phases)


@dataclass(slots=True)
class _Op:
    act: Act
    reason: Reason
    record: _Record
    needs: list[int] = field(default_factory=list)
    attributes: Mapping[str, Json] | None = None
    version_id: str | None = None
    at: int = -1


def ordered(
    tasks: Sequence[Task],
    rules: ProjectRules,
    *,
    upstream: Upstream,
    contents: Contents,
    bulk_publishes_together: bool = False,
) -> Ordered:
    """Put tasks in order, with as few requests as possible. The same tasks give the same steps.

    Args:
        tasks: What must become of each record. One a record.
        rules: The rules of the project now.
        upstream: What is known about the records upstream.
        contents: What can be asked about contents.
        bulk_publishes_together: Records that one request publishes may link to each other although none is live yet.

    Returns:
        The steps, and the records that no order can bring back.
    """
    why: dict[str, str] = {}
    while True:
        attempt = _Attempt(tasks, rules, upstream, contents, together=bulk_publishes_together)
        found = attempt.drop_what_cannot_be(why) or attempt.build() or attempt.break_cycles()
        if found is None:
            ops = attempt.operations()
            steps = _steps(ops, attempt.groups)
            if not isinstance(steps, dict):
                break
            found = steps
        why |= found
    left = tuple(
        LeftAlone(record_id=task.record_id, model_id=task.model_id, title=task.title, why=why[task.record_id])
        for task in tasks
        if task.record_id in why
    )
    return Ordered(steps=steps, impossible=left, losses=tuple(attempt.losses))


def least_requests(steps: Iterable[Step]) -> int:
    """Return how many requests steps need at least: jobs are looked at once, and each record's history is read once."""
    jobs = (Act.DELETE, Act.PUBLISH, Act.UNPUBLISH)
    count = 0
    touched: set[str] = set()
    for step in steps:
        count += 2 if step.act in jobs else 1
        touched.update(step.record_ids)
    return count + len(touched)


class _Attempt:
    """One try to put tasks in order. Each method that finds records impossible returns why, and the next try leaves
    them out."""

    def __init__(
        self, tasks: Sequence[Task], rules: ProjectRules, upstream: Upstream, contents: Contents, *, together: bool
    ) -> None:
        self._rules, self._upstream, self._contents, self._together = rules, upstream, contents, together
        self._fields: dict[str, FieldRules] = {
            one.id: one for model in rules.models.values() for one in model.fields.values()
        }
        records = sorted(map(self._record, tasks), key=lambda one: one.key)
        self.records = {record.task.record_id: record for record in records}
        self._titles = {task.record_id: task.title or task.record_id for task in tasks}
        self._left: list[_Record] = []
        self.losses: list[Loss] = []
        self.groups: dict[int, int] = {}
        self._count = 0

    def _record(self, task: Task) -> _Record:
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
        return _Record(task, model, [self._phase(one, publishes, model) for one, publishes in phases])

    def _phase(self, fitted: Fitted, publishes: bool, model: ModelRules) -> _Phase:
        targets: dict[str, _Target] = {}
        for link in fitted.links:
            one = targets.setdefault(link.target, _Target([]))
            one.links.append(link)
            one.is_required |= link.is_required
            one.must_be_live |= link.must_be_live or link.is_parent
        return _Phase(fitted, publishes, not model.has_drafts, targets)

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

    def _drop_links(self, record_id: str, phase: _Phase) -> None:
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
                    sent: Mapping[str, Json] = _changed(before.attributes, phase.fitted.attributes)
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
        return None

    def _wait_for_links(self, record: _Record) -> None:
        for phase in record.phases:
            for target, one in phase.targets.items():
                strength = _Strength.REQUIRED if one.is_required else _Strength.SOFT
                other = self.records.get(target)
                if other is None:
                    continue
                must_be_live = one.must_be_live and not self._stays_live(target)
                live = self._makes_live(other) if must_be_live else -1
                if other.task.is_new and phase.write >= 0:
                    phase.for_write.append(_Wait(other.phases[0].write, target, strength))
                    phase.for_publish.append(phase.for_write[-1])
                elif any(link.is_parent for link in one.links) and other is not record and phase.write >= 0:
                    # Moving what is above first never makes a record its own ancestor in between.
                    phase.for_write.extend(
                        _Wait(above.write, None, _Strength.FIRM) for above in other.phases[:1] if above.write >= 0
                    )
                if live >= 0 and phase.write_is_live and phase.write >= 0:
                    phase.for_write.append(_Wait(live, target, strength))
                elif live >= 0:
                    phase.for_publish.append(_Wait(live, target, strength))

    def _stays_live(self, target: str) -> bool:
        record = self.records[target]
        return not record.task.is_new and self._upstream.is_live(target)

    @staticmethod
    def _makes_live(record: _Record) -> int:
        return next(
            (max(phase.publish, -1 if phase.publishes else phase.write) for phase in record.phases if phase.goes_live),
            -1,
        )

    def _wait_for_singletons(self) -> dict[str, str] | None:
        leaving = {one.model.id: one for one in self.records.values() if one.model.is_singleton and one.task.deletes}
        coming: dict[str, _Record] = {}
        found = {}
        for record in sorted(self.records.values(), key=lambda one: one.key):
            if not (record.model.is_singleton and record.task.is_new):
                continue
            first = coming.setdefault(record.model.id, record)
            if first is not record:
                title = self._titles[first.task.record_id]
                found[record.task.record_id] = f'Its model allows one record, and "{title}" is created.'
            elif record.model.id in leaving:
                wait = _Wait(leaving[record.model.id].delete, None, _Strength.FIRM)
                record.phases[0].for_write.append(wait)
        return found or None

    def _wait_for_uniques(self) -> dict[str, str] | None:
        """Let each holder of a unique value wait until the one before has given it up."""
        holders: dict[tuple[str, _UniqueKey, bytes], list[tuple[int, tuple[str, str], _Holding]]] = {}
        kept = [_Holding(one, key, one.task.frees[key], None, -1) for one in self._left for key in one.task.frees]
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
                can_wait = _meanwhile(other.record, other.start, key) is not _IMPOSSIBLE
                wait = _Wait(one.end, key, _Strength.SOFT if can_wait else _Strength.FIRM)
                other.start.for_write.append(wait)
                if can_wait:
                    other.start.for_publish.append(wait)
        return found or None

    def _firm(self) -> tuple[list[list[int]], list[_Record]]:
        """Return what each node waits for in any case, and the record of each node."""
        firm: list[list[int]] = [[] for _ in range(self._count)]
        owners: dict[int, _Record] = {}
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

    def _group(self) -> None:
        """Find what one bulk request must do together, since each of it waits for the others."""
        self.groups = {}
        deletes: list[list[int]] = [[] for _ in range(self._count)]
        gone = {record.delete for record in self.records.values() if record.delete >= 0}
        for node, needed in self._leaving():
            if node in gone and needed in gone:
                deletes[node].append(needed)
        if self._together:
            published = {phase.publish for record in self.records.values() for phase in record.phases} - {-1}
            for record in self.records.values():
                for phase in record.phases:
                    if phase.publish >= 0:
                        deletes[phase.publish].extend(one.node for one in phase.for_publish if one.node in published)
        for nodes in cycles(deletes):
            if len(nodes) <= MOST_IN_BULK or nodes[0] in gone:
                self.groups.update((node, min(nodes)) for node in nodes)

    def _waits(self) -> Iterator[tuple[int, _Phase, _Wait]]:
        for record in self.records.values():
            for phase in record.phases:
                if phase.write >= 0:
                    yield from ((phase.write, phase, wait) for wait in phase.for_write)
                if phase.publish >= 0:
                    yield from ((phase.publish, phase, wait) for wait in phase.for_publish)

    def _edge(self, graph: list[list[int]], node: int, needed: int) -> None:
        if node in self.groups and self.groups[node] == self.groups.get(needed):
            return
        graph[self.groups.get(node, node)].append(self.groups.get(needed, needed))

    def break_cycles(self) -> dict[str, str] | None:
        """Choose which links and values are sent later, and which required links lead elsewhere for a while."""
        self._group()
        own, owners = self._firm()
        costs = [1] * self._count
        for record in self.records.values():
            for phase in record.phases:
                if phase.publish >= 0:
                    costs[self.groups.get(phase.publish, phase.publish)] = 3

        def empty() -> list[list[int]]:
            return [[] for _ in range(self._count)]

        firm = empty()
        for node, needs in enumerate(own):
            for needed in needs:
                self._edge(firm, node, needed)
        both = [list(needs) for needs in firm]
        for node, _, wait in self._waits():
            if wait.strength is not _Strength.SOFT:
                self._edge(both, node, wait.node)
        # Cycles of what is required come first. Whatever cycle is left then has something optional in it.
        where = components(both)
        stays, elsewhere = [list(needs) for needs in firm], empty()
        substitutes: dict[tuple[int, _What], str] = {}
        for node, phase, wait in self._waits():
            if wait.strength is _Strength.SOFT:
                continue
            at, needed = (self.groups.get(one, one) for one in (node, wait.node))
            other = self._substitute(phase, wait.what) if wait.strength and where[at] == where[needed] else None
            if other is not None:
                substitutes[node, wait.what] = other
            self._edge(stays if other is None else elsewhere, node, wait.node)
        found = self._stuck(stays, owners)
        if found:
            return found
        self._put_off(put_off(stays, elsewhere, costs), _Strength.REQUIRED, substitutes)

        soft = empty()
        for node, phase, wait in self._waits():
            if wait.strength is _Strength.SOFT:
                self._edge(soft, node, wait.node)
            elif wait.what not in phase.off or (node == phase.publish and not phase.is_early):
                self._edge(firm, node, wait.node)
        found = self._stuck(firm, owners)
        if found:
            return found
        self._put_off(put_off(firm, soft, costs), _Strength.SOFT, {})
        return None

    def _put_off(
        self, chosen: Mapping[int, set[int]], strength: _Strength, substitutes: Mapping[tuple[int, _What], str]
    ) -> None:
        for node, phase, wait in self._waits():
            dropped = chosen.get(self.groups.get(node, node), ())
            if wait.strength is not strength or self.groups.get(wait.node, wait.node) not in dropped:
                continue
            phase.off.add(wait.what)
            phase.is_early |= node == phase.publish
            if isinstance(wait.what, str) and strength is _Strength.REQUIRED:
                phase.substitutes[wait.what] = substitutes[node, wait.what]

    def _substitute(self, phase: _Phase, what: _What) -> str | None:
        """Return a record that exists and may stand in for the target of a required link, or None."""
        if not isinstance(what, str):
            return None
        allowed: frozenset[str] | None = None
        for link in phase.targets[what].links:
            rules = self._fields.get(link.field_id or "")
            models = rules.linked_models if rules else None
            if models is None or link.is_parent:
                return None
            allowed = models if allowed is None else allowed & models
        other = self._contents.substitute(allowed or frozenset(), phase.targets[what].must_be_live and phase.goes_live)
        known = self.records.get(other) if other is not None else None
        return None if known is not None and (known.task.deletes or known.task.unpublishes) else other

    def _stuck(self, graph: list[list[int]], owners: Sequence[_Record]) -> dict[str, str] | None:
        return _need_each_other([[owners[node] for node in nodes] for nodes in cycles(graph)]) or None

    # What is done.

    def operations(self) -> list[_Op]:
        """Return what is done. Its place in the list is its node."""
        done: dict[int, _Op] = {}
        for record in self.records.values():
            last: list[int] = []
            for place, phase in enumerate(record.phases):
                last = self._phase_operations(record, phase, place, last, done)
            if record.delete >= 0:
                done[record.delete] = _Op(Act.DELETE, Reason.NEW, record)
            if record.unpublish >= 0:
                done[record.unpublish] = _Op(Act.UNPUBLISH, Reason.NOT_LIVE, record, list(last))
                last = [record.unpublish]
            for at, _ in enumerate(record.task.schedules):
                node = self._node()
                done[node] = _Op(Act.SCHEDULE, Reason.SCHEDULED, record, last, at=at)
                last = [node]
        for node, needed in self._leaving():
            done[node].needs.append(needed)
        return [done[node] for node in range(self._count)]

    def _phase_operations(
        self, record: _Record, phase: _Phase, place: int, last: list[int], done: dict[int, _Op]
    ) -> list[int]:
        full = phase.fitted.attributes
        sent = phase.attributes or {}
        reason = Reason.DRAFT if place else Reason.LIVE if phase.publishes else Reason.DIFFERS
        if record.task.is_new and not place:
            reason = Reason.MISSING
        later: Mapping[str, Json] = {}
        if phase.off:
            first = self._meantime(record, phase)
            later = _changed(first, full)
            sent = {key: value for key, value in first.items() if key in sent or key in later}
            if phase.write < 0:
                phase.write = self._node()
        version = phase.fitted.version_id

        def do(
            node: int, act: Act, reason: Reason, attributes: Mapping[str, Json] | None, needs: list[int]
        ) -> list[int]:
            source = version if attributes is not None else None
            done[node] = _Op(act, reason, record, needs, attributes, source)
            return [node]

        def waits(all: list[_Wait], *, off: bool) -> list[int]:
            return [wait.node for wait in all if (wait.what in phase.off) is off]

        if phase.write >= 0:
            act = Act.CREATE if reason is Reason.MISSING else Act.UPDATE
            last = do(phase.write, act, reason, sent, last + waits(phase.for_write, off=False))
        if phase.publish >= 0 and (phase.is_early or not phase.off):
            needs = last + waits(phase.for_publish, off=False)
            last = do(phase.publish, Act.PUBLISH, Reason.LIVE, None, needs)
        if phase.off:
            reason = Reason.LINKS if any(isinstance(what, str) for what in phase.off) else Reason.UNIQUE
            last = do(self._node(), Act.UPDATE, reason, later, last + waits(phase.for_write, off=True))
            if phase.publish >= 0:
                again = self._node() if phase.is_early else phase.publish
                needs = last + waits(phase.for_publish, off=True)
                if not phase.is_early:
                    needs += waits(phase.for_publish, off=False)
                last = do(again, Act.PUBLISH, Reason.LIVE, None, needs)
        return last

    def _meantime(self, record: _Record, phase: _Phase) -> Mapping[str, Json]:
        """Return the content without what is put off."""
        fitted = phase.fitted
        without = frozenset(what for what in phase.off if isinstance(what, str) and what not in phase.substitutes)
        if without:
            fitted = replace(fitted, attributes=self._contents.without_links(fitted, without))
        if phase.substitutes:
            fitted = replace(fitted, attributes=self._contents.with_substitutes(fitted, phase.substitutes))
        attributes = dict(fitted.attributes)
        for what in phase.off:
            if isinstance(what, tuple):
                api_key, locale = what
                value = _meanwhile(record, phase, what)
                attributes[api_key] = {**attributes[api_key], locale: value} if locale else value
        return attributes


@dataclass(slots=True)
class _Holding:
    """From when (None: from now) to which node a record has a unique value. A negative end: it keeps it."""

    record: _Record
    key: _UniqueKey
    value: bytes
    start: _Phase | None
    end: int


def _holdings(record: _Record) -> Iterator[_Holding]:
    writes = [phase for phase in record.phases if phase.write >= 0]
    keys = sorted({*record.task.frees, *(key for phase in writes for key in phase.fitted.uniques)})
    for key in keys:
        start: _Phase | None = None
        value = record.task.frees.get(key)
        for phase in writes:
            fresh = phase.fitted.uniques.get(key)
            if fresh != value:
                if value is not None:
                    yield _Holding(record, key, value, start, phase.write)
                start, value = phase, fresh
        if value is not None:
            yield _Holding(record, key, value, start, record.delete)


_IMPOSSIBLE: Final = object()


def _meanwhile(record: _Record, phase: _Phase, key: _UniqueKey) -> Json:
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


def _changed(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in after.items() if key not in before or before[key] != value}


def _need_each_other(stuck: Iterable[Sequence[_Record]]) -> dict[str, str]:
    found = {}
    for records in stuck:
        by_id = {one.task.record_id: one for one in sorted(records, key=lambda one: one.key)}
        titles = [f'"{one.task.title or id}"' for id, one in by_id.items()]
        named = ", ".join(titles[:10]) + (f" and {len(titles) - 10} more" if len(titles) > 10 else "")
        why = f"Each of these records must come before the others: {named}."
        if len(titles) == 1:
            why = f"{named} must come before itself, since a required link leads to it."
        found.update(dict.fromkeys(by_id, why))
    return found


def _steps(ops: Sequence[_Op], groups: Mapping[int, int]) -> tuple[Step, ...] | dict[str, str]:
    """Number what is done, with as few bulk requests as possible. If it has a cycle: which records, and why."""
    members: dict[int, list[int]] = {}
    for node in range(len(ops)):
        members.setdefault(groups.get(node, node), []).append(node)
    place = {node: number for number, nodes in enumerate(members.values()) for node in nodes}
    graph = [
        sorted(
            {place[one] for node in nodes for one in ops[node].needs} - ({place[first]} if first in groups else set())
        )
        for first, nodes in members.items()
    ]
    units = list(members.values())
    keys = [min(ops[node].record.key for node in nodes) for nodes in units]
    order = sorted_by_needs(graph, keys)
    if len(order) < len(units):
        return _need_each_other([[ops[node].record for unit in one for node in units[unit]] for one in cycles(graph)])
    acts = [ops[nodes[0]].act for nodes in units]
    depth = {act: levels(graph, order, [one is act for one in acts]) for act in _BULK}
    bundles = _bundles(units, acts, keys, depth)
    if not _is_acyclic(graph, bundles):
        # Waves of one act are as few as possible. Together with those of another act they can wait for each other.
        shared = levels(graph, order, [one in _BULK for one in acts])
        bundles = _bundles(units, acts, keys, dict.fromkeys(_BULK, shared))
    return _numbered(ops, units, bundles, graph, levels(graph, order, [one in _BULK for one in acts]))


def _bundles(
    units: Sequence[list[int]],
    acts: Sequence[Act],
    keys: Sequence[tuple[str, str]],
    depth: Mapping[Act, Sequence[int]],
) -> list[list[int]]:
    """Put units of the same act and level together."""
    waves: dict[tuple[Act, int], list[int]] = {}
    found: list[list[int]] = []
    for unit, act in enumerate(acts):
        if act in _BULK:
            waves.setdefault((act, depth[act][unit]), []).append(unit)
        else:
            found.append([unit])
    for wave in waves.values():
        size = MOST_IN_BULK
        for unit in sorted(wave, key=lambda one: (-len(units[one]), keys[one])):
            if size + len(units[unit]) > MOST_IN_BULK:
                found.append([])
                size = 0
            found[-1].append(unit)
            size += len(units[unit])
    return found


def _joined(graph: Sequence[Sequence[int]], bundles: Sequence[Sequence[int]]) -> list[list[int]]:
    place = {unit: number for number, bundle in enumerate(bundles) for unit in bundle}
    return [sorted({place[one] for unit in bundle for one in graph[unit]}) for bundle in bundles]


def _is_acyclic(graph: Sequence[Sequence[int]], bundles: Sequence[Sequence[int]]) -> bool:
    joined = _joined(graph, bundles)
    return len(sorted_by_needs(joined, [0] * len(joined))) == len(joined)


def _numbered(
    ops: Sequence[_Op],
    units: Sequence[list[int]],
    bundles: Sequence[Sequence[int]],
    graph: Sequence[Sequence[int]],
    depth: Sequence[int],
) -> tuple[Step, ...]:
    joined = _joined(graph, bundles)
    parts = [
        sorted((ops[node] for unit in one for node in units[unit]), key=lambda op: op.record.key) for one in bundles
    ]
    keys = [
        (max(depth[unit] for unit in bundle), one[0].act in _BULK, one[0].record.key)
        for bundle, one in zip(bundles, parts, strict=True)
    ]
    order = sorted_by_needs(joined, keys)
    number = {bundle: place for place, bundle in enumerate(order, 1)}
    seen: set[str] = set()
    steps = []
    for bundle in order:
        some = parts[bundle]
        task, op = some[0].record.task, some[0]
        ids = tuple(one.record.task.record_id for one in some)
        is_one, is_first = len(some) == 1, ids[0] not in seen
        models = {one.record.task.model_id for one in some}
        is_content = op.act in (Act.CREATE, Act.UPDATE)
        steps.append(
            Step(
                number=number[bundle],
                act=op.act,
                reason=op.reason,
                record_ids=ids,
                model_id=models.pop() if len(models) == 1 else None,
                title=task.title if is_one else None,
                attributes=op.attributes,
                version_id=op.version_id,
                needs=tuple(sorted(number[one] for one in joined[bundle])),
                expected_version=task.expected_version if is_one and is_first else None,
                creation=task.creation if op.act is Act.CREATE else None,
                stage=task.stage if is_content and is_first else None,
                schedule=task.schedules[op.at] if op.at >= 0 else None,
            )
        )
        seen.update(ids)
    return tuple(steps)
