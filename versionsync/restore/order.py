"""The order of a restore: from tasks, one a record, to steps, one a request that changes something. Pure.

Each record has one or two *phases*: the live content, then a newer draft. A phase is written, and published if
it must be. A write waits for the records that it links to, and for the unique values that others must give up first.
Where such waits have a cycle, a write is sent without some links or values, and a closing update sends them later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from versionsync.history.diff.model import Json
from versionsync.restore.cycles import components, cycles, levels, put_off, sorted_by_needs
from versionsync.restore.model import Act, LeftAlone, Loss, Reason, Step, Task
from versionsync.restore.rules import ProjectRules
from versionsync.restore.waits import (
    PARENT,
    Contents,
    Phase,
    Record,
    Strength,
    Upstream,
    Wait,
    Waits,
    What,
    changed,
    meanwhile,
)

__all__ = ["MOST_IN_BULK", "Contents", "Ordered", "Upstream", "least_requests", "ordered"]

MOST_IN_BULK: Final = 200
"""How many records one bulk request can name."""

_BULK: Final = (Act.PUBLISH, Act.UNPUBLISH, Act.DELETE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Steps in order, what is impossible, and the links that are lost since they lead to nothing that will exist."""

    steps: tuple[Step, ...]
    impossible: tuple[LeftAlone, ...] = ()
    losses: tuple[Loss, ...] = ()


@dataclass(slots=True)
class _Op:
    act: Act
    reason: Reason
    record: Record
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
    found = _ordered(tasks, rules, upstream, contents, bulk_publishes_together, waits_for_moves=True)
    if found.impossible:
        # Waiting for what moves in a tree can close a cycle. Without it, a move may be refused.
        other = _ordered(tasks, rules, upstream, contents, bulk_publishes_together, waits_for_moves=False)
        return other if len(other.impossible) < len(found.impossible) else found
    return found


def _ordered(
    tasks: Sequence[Task],
    rules: ProjectRules,
    upstream: Upstream,
    contents: Contents,
    together: bool,
    *,
    waits_for_moves: bool,
) -> Ordered:
    why: dict[str, str] = {}
    while True:
        attempt = _Attempt(tasks, rules, upstream, contents, together=together, waits_for_moves=waits_for_moves)
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


class _Attempt(Waits):
    """One try to put tasks in order. What finds records impossible returns why, and the next try leaves them out."""

    groups: dict[int, int]

    def _group(self) -> None:
        """Find what one bulk request must do together, since each of it waits for the others."""
        self.groups = {}
        alike: list[list[int]] = [[] for _ in range(self._count)]
        gone = {record.delete for record in self.records.values() if record.delete >= 0}
        for node, needed in self._leaving():
            if node in gone and needed in gone:
                alike[node].append(needed)
        if self._together:
            published = {phase.publish for record in self.records.values() for phase in record.phases} - {-1}
            for record in self.records.values():
                for phase in record.phases:
                    if phase.publish >= 0:
                        alike[phase.publish].extend(one.node for one in phase.for_publish if one.node in published)
        for nodes in cycles(alike) if any(alike) else ():
            if len(nodes) <= MOST_IN_BULK or nodes[0] in gone:
                self.groups.update((node, min(nodes)) for node in nodes)

    def _waits(self) -> Iterator[tuple[int, Phase, Wait]]:
        for record in self.records.values():
            for phase in record.phases:
                if phase.write >= 0:
                    yield from ((phase.write, phase, wait) for wait in phase.for_write)
                if phase.publish >= 0:
                    yield from ((phase.publish, phase, wait) for wait in phase.for_publish)

    def _edge(self, graph: list[list[int]], node: int, needed: int) -> None:
        if not self.groups:
            graph[node].append(needed)
            return
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
        waits = list(self._waits())
        for node, _, wait in waits:
            if wait.strength is Strength.FIRM:
                self._edge(firm, node, wait.node)
        both = [list(needs) for needs in firm]
        for node, _, wait in waits:
            if wait.strength is Strength.REQUIRED:
                self._edge(both, node, wait.node)
        # Cycles of what is required come first. Whatever cycle is left then has something optional in it.
        where = components(both)
        elsewhere = empty()
        substitutes: dict[tuple[int, What], str] = {}
        for node, phase, wait in waits:
            if wait.strength is not Strength.REQUIRED:
                continue
            at, needed = (self.groups.get(one, one) for one in (node, wait.node))
            other = self._substitute(phase, wait.what) if where[at] == where[needed] else None
            if other is not None:
                substitutes[node, wait.what] = other
            self._edge(firm if other is None else elsewhere, node, wait.node)
        found = self._stuck(firm, owners)
        if found:
            return found
        if substitutes:
            self._put_off(put_off(firm, elsewhere, costs), Strength.REQUIRED, substitutes)
        for node, phase, wait in waits:
            stays = wait.what not in phase.off or (node == phase.publish and not phase.is_early)
            if (node, wait.what) in substitutes and stays:
                self._edge(firm, node, wait.node)
        soft = empty()
        for node, _, wait in waits:
            if wait.strength is Strength.SOFT:
                self._edge(soft, node, wait.node)
        self._put_off(put_off(firm, soft, costs), Strength.SOFT, {})
        return None

    def _put_off(
        self, chosen: Mapping[int, set[int]], strength: Strength, substitutes: Mapping[tuple[int, What], str]
    ) -> None:
        for node, phase, wait in self._waits():
            dropped = chosen.get(self.groups.get(node, node), ())
            if wait.strength is not strength or self.groups.get(wait.node, wait.node) not in dropped:
                continue
            phase.off.add(wait.what)
            phase.is_early |= node == phase.publish
            if isinstance(wait.what, str) and strength is Strength.REQUIRED:
                phase.substitutes[wait.what] = substitutes[node, wait.what]

    def _substitute(self, phase: Phase, what: What) -> str | None:
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

    def _stuck(self, graph: list[list[int]], owners: Sequence[Record]) -> dict[str, str] | None:
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
        self, record: Record, phase: Phase, place: int, last: list[int], done: dict[int, _Op]
    ) -> list[int]:
        full = phase.fitted.attributes
        sent = phase.attributes or {}
        reason = Reason.DRAFT if place else Reason.LIVE if phase.publishes else Reason.DIFFERS
        if record.task.is_new and not place:
            reason = Reason.MISSING
        later: Mapping[str, Json] = {}
        if phase.off:
            first = self._meantime(record, phase)
            later = changed(first, full)
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

        def waits(all: list[Wait], *, off: bool) -> list[int]:
            return [wait.node for wait in all if (wait.what in phase.off) is off]

        if phase.write >= 0:
            act = Act.CREATE if reason is Reason.MISSING else Act.UPDATE
            last = do(phase.write, act, reason, sent, last + waits(phase.for_write, off=False))
        if phase.publish >= 0 and (phase.is_early or not phase.off):
            needs = last + waits(phase.for_publish, off=False)
            last = do(phase.publish, Act.PUBLISH, Reason.LIVE, None, needs)
        if phase.off:
            reason = (
                Reason.LINKS if any(isinstance(what, str) or what == PARENT for what in phase.off) else Reason.UNIQUE
            )
            last = do(self._node(), Act.UPDATE, reason, later, last + waits(phase.for_write, off=True))
            if phase.publish >= 0:
                again = self._node() if phase.is_early else phase.publish
                needs = last + waits(phase.for_publish, off=True)
                if not phase.is_early:
                    needs += waits(phase.for_publish, off=False)
                last = do(again, Act.PUBLISH, Reason.LIVE, None, needs)
        return last

    def _meantime(self, record: Record, phase: Phase) -> Mapping[str, Json]:
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
                value = meanwhile(record, phase, what)
                attributes[api_key] = {**attributes[api_key], locale: value} if locale else value
        return attributes


def _need_each_other(stuck: Iterable[Sequence[Record]]) -> dict[str, str]:
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
    shared = levels(graph, order, [one in _BULK for one in acts])
    used: list[Act] = [act for act in _BULK if act in acts]
    if len(used) < 2:
        return _numbered(ops, units, _bundles(units, acts, keys, dict.fromkeys(used, shared)), graph, shared)
    depth = {act: levels(graph, order, [one is act for one in acts]) for act in used}
    bundles = _bundles(units, acts, keys, depth)
    if not _is_acyclic(graph, bundles):
        # Waves of one act are as few as possible. Together with those of another act they can wait for each other.
        bundles = _bundles(units, acts, keys, dict.fromkeys(used, shared))
    return _numbered(ops, units, bundles, graph, shared)


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
