"""Random tasks, put in order and carried out by a small upstream in any order that the needs of the steps allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.restore.small_upstream import FIELDS, RULES, STAND_INS, Saved, SmallUpstream, content
from versionsync.restore.model import Act, Fitted, Reason, Step, Task
from versionsync.restore.order import Ordered, ordered

_NEW, _CHANGED, _KEPT, _DELETED, _UNPUBLISHED = "new", "changed", "kept", "deleted", "unpublished"


@dataclass
class _World:
    """Records before, what is wanted of them, and how they were drawn."""

    upstream: SmallUpstream
    tasks: list[Task] = field(default_factory=list)
    is_sound: bool = True


def _drawn(rng: Random) -> _World:
    world = _World(SmallUpstream(together=rng.random() < 0.3), is_sound=rng.random() < 0.7)
    ids = [f"r{number:02}" for number in range(rng.randrange(1, 13))]
    fate = {id: rng.choice((_NEW, _NEW, _NEW, _CHANGED, _CHANGED, _KEPT, _DELETED, _UNPUBLISHED)) for id in ids}
    models = {id: rng.choice(("a", "a", "b", "c")) for id in ids}
    for id in ids:
        if fate[id] == _UNPUBLISHED:
            models[id] = rng.choice(("a", "b"))
    goes_live = {id: fate[id] in (_NEW, _CHANGED) and (models[id] == "c" or rng.random() < 0.6) for id in ids}
    here = [id for id in ids if fate[id] != _NEW]
    was_live = {id: models[id] == "c" or fate[id] == _UNPUBLISHED or rng.random() < 0.5 for id in here}
    slugs = [f"s{number}" for number in range(len(ids))]
    before, after = (dict(zip(ids, rng.sample(slugs, len(ids)), strict=True)) for _ in range(2))
    for id in ids:
        if fate[id] in (_KEPT, _UNPUBLISHED):
            other = next(one for one in ids if after[one] == before[id])
            after[other], after[id] = after[id], before[id]
    untouched = {id for id in here if fate[id] == _KEPT}
    for id in here:
        others = untouched if id in untouched else set(here)
        if not (fate[id] == _DELETED or goes_live[id]):
            # What is gone must be let go by a publication or a write of this plan.
            others = others - {one for one in here if fate[one] in (_DELETED, _UNPUBLISHED)}
        values = {key: rng.choice(sorted(others)) for key in ("any", "live") if others and rng.random() < 0.4}
        above = [
            one for one in sorted(others) if one < id and models[one] == models[id] and was_live[one] >= was_live[id]
        ]
        values["parent_id"] = rng.choice(above) if above and rng.random() < 0.5 else None
        one = {"text": "before", "slug": before[id], **dict.fromkeys(FIELDS[:2]), "live": None, **values}
        world.upstream.records[id] = Saved(models[id], one, dict(one) if was_live[id] else None)

    will_be = [id for id in ids if fate[id] != _DELETED]
    will_be_live = [id for id in will_be if goes_live[id] or (fate[id] not in (_NEW, _UNPUBLISHED) and was_live[id])]

    musts = {id: {key for key in ("must", "must_live") if rng.random() < 0.35} for id in ids}

    def wanted(id: str, name: str, *, is_live: bool) -> Fitted:
        targets, live = (will_be, will_be_live) if world.is_sound else (ids, ids)
        live = live if is_live else targets
        values: dict[str, Any] = {}
        for key in FIELDS[:-1]:
            among = live if "live" in key else targets
            if key.startswith("must"):
                if key in musts[id]:
                    values[key] = rng.choice(among) if among else STAND_INS["a"]
            else:
                values[key] = rng.choice(among) if among and rng.random() < 0.5 else None
        above = [one for one in live if one < id and models[one] == models[id]]
        values["parent_id"] = rng.choice(above) if above and rng.random() < 0.4 else None
        slug = after[id]
        if name == "live" and rng.random() < 0.2:
            kept = {before[one] for one in here if fate[one] in (_KEPT, _UNPUBLISHED)}
            if world.is_sound:
                kept |= {before[one] for one in here if before[one] == after[one]}
            slug = rng.choice([one for one in slugs if one not in kept] or [slug])
        return content(models[id], f"{name}-{id}", slug=slug, **values)

    for id in ids:
        is_new = fate[id] == _NEW
        live = draft = None
        if fate[id] in (_NEW, _CHANGED):
            has_both = models[id] != "c" and goes_live[id] and rng.random() < 0.4
            live = wanted(id, "live" if has_both else "draft", is_live=True) if goes_live[id] else None
            draft = wanted(id, "draft", is_live=False) if has_both or not goes_live[id] else live
        if fate[id] == _KEPT:
            continue
        saved = world.upstream.records.get(id)
        world.tasks.append(
            Task(
                record_id=id,
                model_id=models[id],
                title=id.upper(),
                live=live,
                draft=draft,
                is_new=is_new,
                expected_version=None if is_new else f"now-{id}",
                unpublishes=fate[id] == _UNPUBLISHED,
                deletes=fate[id] == _DELETED,
                frees=_held(saved.current) if saved else {},
                live_frees=_held(saved.published) if saved else {},
            )
        )
    return world


def _held(values: Mapping[str, Any] | None) -> dict[tuple[str, str], bytes]:
    slug = None if values is None else values.get("slug")
    return {} if slug is None else {("slug", ""): f'"{slug}"'.encode()}


def _ordered(world: _World) -> Ordered:
    upstream = world.upstream
    return ordered(
        world.tasks,
        RULES,
        upstream=upstream.known(),
        contents=upstream.contents(),
        bulk_publishes_together=upstream.together,
    )


def _carried_out(upstream: SmallUpstream, steps: tuple[Step, ...], rng: Random) -> None:
    done: set[int] = set()
    waiting = list(steps)
    while waiting:
        step = rng.choice([one for one in waiting if done.issuperset(one.needs)])
        upstream.carry_out(step)
        done.add(step.number)
        waiting.remove(step)


def _without_lost(fitted: Fitted, lost: set[tuple[str, str]], id: str) -> dict[str, Any]:
    return {key: None if (id, key) in lost else value for key, value in fitted.attributes.items()}


@settings(max_examples=400)
@given(seed=st.integers(0, 2**32))
def test_steps_in_any_order_that_their_needs_allow_are_accepted_and_end_in_what_was_wanted(seed: int) -> None:
    rng = Random(seed)
    world = _drawn(rng)
    plan = _ordered(world)
    before = {id: (one.current, one.published) for id, one in world.upstream.records.items()}
    # A live version keeps its value until another one is live, so records cannot swap such values in one go.
    live_values = [(values["slug"], id) for id, (_, values) in before.items() if values and values.get("slug")]
    live_values += [(one.live.attributes.get("slug"), one.record_id) for one in world.tasks if one.live]
    wanted = [(task.record_id, one) for task in world.tasks for one in (task.live, task.draft) if one is not None]
    takes_live_values = any(
        id != other and one.attributes.get("slug") == value for id, one in wanted for value, other in live_values
    )
    assert [step.number for step in plan.steps] == list(range(1, len(plan.steps) + 1))
    assert all(needed < step.number for step in plan.steps for needed in step.needs)
    _carried_out(world.upstream, plan.steps, rng)

    left = {one.record_id for one in plan.impossible}
    lost = {(one.record_id, str(one.path[0])) for one in plan.losses}
    for task in world.tasks:
        id, saved = task.record_id, world.upstream.records.get(task.record_id)
        if id in left:
            assert (saved and (saved.current, saved.published)) == before.get(id)
            assert not any(id in step.record_ids for step in plan.steps)
        elif task.deletes:
            assert saved is None
        elif task.unpublishes:
            assert saved is not None and saved.published is None
        else:
            assert saved is not None and task.draft is not None
            # Two contents can lose a link in the same field; the other one's is then not compared.
            assert saved.current | dict.fromkeys((key for one, key in lost if one == id), None) == _without_lost(
                task.draft, lost, id
            )
            if task.live is not None:
                assert saved.published is not None
                assert saved.published | dict.fromkeys((key for one, key in lost if one == id), None) == _without_lost(
                    task.live, lost, id
                )
    if world.is_sound and not takes_live_values:
        assert not plan.losses
        assert not plan.impossible


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32))
def test_closing_updates_are_fewer_than_the_records_of_each_cycle(seed: int) -> None:
    world = _drawn(Random(seed))
    steps = _ordered(world).steps
    closing = [id for step in steps if step.reason in (Reason.LINKS, Reason.UNIQUE) for id in step.record_ids]
    assert len(closing) <= 2 * sum(max(len(one) - 1, 1) for one in _cycles(world))
    assert all(step.act is Act.UPDATE for step in steps if step.reason in (Reason.LINKS, Reason.UNIQUE))


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_the_same_tasks_in_another_order_give_the_same_plan(seed: int) -> None:
    rng = Random(seed)
    world = _drawn(rng)
    plan = _ordered(world)
    rng.shuffle(world.tasks)
    assert _ordered(world).steps == plan.steps


def _cycles(world: _World) -> list[set[str]]:
    """Return the sets of records that wait for each other in some way, found by walking from each."""
    tasks = {task.record_id: task for task in world.tasks}
    waits: dict[str, set[str]] = {id: set() for id in tasks}
    held = {
        id: {item for one in (task.live, task.draft) if one for item in one.uniques.items()} | set(task.frees.items())
        for id, task in tasks.items()
    }
    here = tasks.keys() & world.upstream.records.keys()
    for id, task in tasks.items():
        waits[id] |= {other for other in tasks if other != id and held[other] & held[id]}
        for one in (task.live, task.draft):
            if one is not None:
                waits[id] |= {link.target for link in one.links} & tasks.keys()
        if task.deletes or task.unpublishes:
            waits[id] |= {other for other in here if id in world.upstream.known().leads_to(other)}
    reach: dict[str, set[str]] = {}
    for id in tasks:
        seen: set[str] = set()
        ahead = list(waits[id])
        while ahead:
            other = ahead.pop()
            if other not in seen:
                seen.add(other)
                ahead.extend(waits[other])
        reach[id] = seen
    found: list[set[str]] = []
    for id in tasks:
        if id in reach[id] and not any(id in one for one in found):
            found.append({id} | {other for other in reach[id] if id in reach[other]})
    return found
