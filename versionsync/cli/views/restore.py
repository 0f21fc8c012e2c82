"""How a plan looks in a terminal and as JSON, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final

from versionsync.cli.terminal.output import Cell, Column, Output
from versionsync.cli.views.history import id_cell, title_cell
from versionsync.history.moments import in_zone, name_of_zone
from versionsync.history.names import short_id
from versionsync.restore.model import Act, LeftAlone, Plan, Reason, Step
from versionsync.text import ago, count, duration, span

if TYPE_CHECKING:
    from versionsync.history.render.view import DiffView
    from versionsync.mirror.tables.restores import PlanRow, StepState
    from versionsync.restore.compare_with_mirror import DrillReport
    from versionsync.restore.plan_diffs import StepDiff
    from versionsync.wiring.restore import Applied

__all__ = [
    "MIRRORED",
    "SHOWN",
    "PlanNames",
    "costs_of",
    "failure_line",
    "plan_json",
    "print_applied",
    "print_plan",
    "print_plans",
    "step_title",
    "why_step",
]

SHOWN: Final = 50
"""How many steps of a long plan are shown."""
SHOWN_LEFT: Final = 10
"""How many records that are left alone, and how many losses, are shown."""
MIRRORED: Final = "The mirror has read it again."
REQUESTS_A_SECOND: Final = 20.0
"""What DatoCMS allows, as it documents it."""

STYLES: Final = {
    Act.CREATE: "bold green",
    Act.UPDATE: "yellow",
    Act.PUBLISH: "green",
    Act.UNPUBLISH: "red",
    Act.SCHEDULE: "cyan",
    Act.DELETE: "bold red",
}
WHY: Final = {
    Reason.MISSING: "does not exist",
    Reason.DIFFERS: "is different now",
    Reason.LINKS: "links that must wait",
    Reason.UNIQUE: "frees a unique value",
    Reason.LIVE: "was live",
    Reason.NOT_LIVE: "was not live",
    Reason.DRAFT: "had a newer draft",
    Reason.SCHEDULED: "was planned",
    Reason.NEW: "did not exist then",
}
STATES: Final = {"done": "green", "partial": "yellow", "running": "cyan", "stopped": "yellow", "planned": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanNames:
    """What a view calls models and records, and the zone of its times.

    Attributes:
        model: Returns what a model is called, by its id.
        titles: The titles of records, by id.
        zone: The zone of times.
        ids: Whether ids are shown in full.
    """

    model: Callable[[str], str]
    titles: Mapping[str, str | None]
    zone: tzinfo
    ids: bool = False

    @classmethod
    def of(cls, plan: Plan, model: Callable[[str], str], zone: tzinfo, *, ids: bool) -> PlanNames:
        """Return the names for a plan."""
        known = {one.record_id: one.title for one in plan.left_alone}
        known |= {one.record_id: one.title for one in plan.records}
        known |= {step.record_ids[0]: step.title for step in plan.steps if step.title and len(step.record_ids) == 1}
        return cls(model=model, titles=known, zone=zone, ids=ids)

    def record(self, id: str) -> str:
        """Return a record with its title and id."""
        title = self.titles.get(id)
        return f"“{title}” ({self.id(id)})" if title else self.id(id)

    def id(self, id: str) -> str:
        """Return an id, or its beginning."""
        return id if self.ids else short_id(id)


def step_title(step: Step, names: PlanNames) -> str | None:
    """Return what a step is about: the title of its record, or how many records it has."""
    if len(step.record_ids) > 1:
        return count(len(step.record_ids), "record")
    return step.title or names.titles.get(step.record_ids[0])


def print_plan(
    output: Output,
    id: str,
    plan: Plan,
    names: PlanNames,
    *,
    requests_a_second: float | None,
    is_known: bool = False,
    shows: Callable[[Step], None] | None = None,
) -> None:
    """Write a plan for a person.

    Args:
        output: Where to.
        id: The plan's id.
        plan: The plan.
        names: What models and records are called.
        requests_a_second: How fast it is carried out. None: as fast as DatoCMS allows.
        is_known: It was shown before, and agreed to: only its outline is written.
        shows: Called for each shown step after its line, to show what it changes. None: the steps are a table.
    """
    head = [("Plan ", "bold"), (id, "bold cyan")] if id else [("No plan", "bold")]
    output.paragraph(*head, f": {plan.wanted}, {plan.source}/{plan.environment}")
    if is_known:
        output.paragraph(costs_of(plan, requests_a_second))
        return
    output.plain_line()
    if plan.steps:
        if shows is None:
            output.table(_columns(), [_row(step, names) for step in plan.steps[:SHOWN]])
            output.plain_line()
        else:
            for step in plan.steps[:SHOWN]:
                output.paragraph(*_heading(step, names))
                shows(step)
        if len(plan.steps) > SHOWN:
            output.plain_line(f"… and {count(len(plan.steps) - SHOWN, 'more step')}: --output FILE writes all of them.")
            output.plain_line()
            _print_counts(output, plan, names)
            output.plain_line()
    _print_left_alone(output, plan, names)
    _print_losses(output, plan, names)
    if plan.steps:
        for note in plan.notes:
            output.paragraph("Note: ", note, hang=6)
        output.paragraph(costs_of(plan, requests_a_second))
    output.paragraph(*_basis(plan))


def _columns() -> list[Column]:
    return [
        Column("step", "right", "dim"),
        Column("what"),
        Column("record", shrinks=True, least=20),
        Column("model", shrinks=True, least=7),
        Column("why", shrinks=True, least=14),
        Column("id", style="dim"),
    ]


def _row(step: Step, names: PlanNames) -> list[Cell]:
    is_one = len(step.record_ids) == 1
    model = "" if step.model_id is None else names.model(step.model_id)
    return [
        str(step.number),
        (step.act.value, STYLES[step.act]),
        title_cell(step_title(step, names), model),
        model or "–",
        why_step(step, names),
        id_cell(step.record_ids[0], in_full=names.ids) if is_one else "",
    ]


def _heading(step: Step, names: PlanNames) -> Iterator[str | tuple[str, str]]:
    model = "" if step.model_id is None else f"  {names.model(step.model_id)}"
    one = f" {names.id(step.record_ids[0])}" if len(step.record_ids) == 1 else ""
    yield f"{step.number} ", "dim"
    yield step.act.value, STYLES[step.act]
    yield "  "
    yield step_title(step, names) or "–", "bold italic"
    yield f"{model}{one}, {why_step(step, names)}"


def why_step(step: Step, names: PlanNames) -> str:
    """Return why a step is there, in a few words."""
    if step.schedule is not None:
        word = "live" if step.schedule.publishes else "offline"
        return f"{word} from {in_zone(step.schedule.at, names.zone)} {name_of_zone(names.zone)}"
    return WHY[step.reason]


def _print_counts(output: Output, plan: Plan, names: PlanNames) -> None:
    """Write how many steps of each kind each model has."""
    found: Counter[tuple[str, Act]] = Counter()
    models = {one.record_id: one.model_id for one in plan.records}
    for step in plan.steps:
        for id in step.record_ids:
            model_id = step.model_id or models.get(id)
            found[names.model(model_id) if model_id else "–", step.act] += 1
    acts = [act for act in Act if any(one == act for _, one in found)]
    columns = [Column("model", shrinks=True), *(Column(act.value, "right", STYLES[act]) for act in acts)]
    rows = [
        [model, *(f"{found[model, act]:,}" if found[model, act] else "" for act in acts)]
        for model in sorted({model for model, _ in found})
    ]
    output.table(columns, rows)


def _print_left_alone(output: Output, plan: Plan, names: PlanNames) -> None:
    """Write what is left alone, those with the same reason together."""
    if not plan.left_alone:
        return
    by_why: dict[str, list[LeftAlone]] = {}
    for one in plan.left_alone:
        by_why.setdefault(one.why, []).append(one)
    output.paragraph((f"Left alone: {count(len(plan.left_alone), 'record')}", "bold"))
    for why, those in sorted(by_why.items(), key=lambda item: -len(item[1]))[:SHOWN_LEFT]:
        shown = _some([one.record_id for one in those], names)
        output.paragraph("  ", shown, ": ", (why, "yellow" if those[0].problems else ""), hang=2)
        for one in those[:3]:
            for problem in one.problems[:SHOWN_LEFT]:
                if problem.what not in why:
                    output.paragraph("    ", problem.what, hang=4)
    if len(by_why) > SHOWN_LEFT:
        output.plain_line(f"  … {len(by_why) - SHOWN_LEFT:,} more reasons: --json shows all of them.")
    output.plain_line()


def _print_losses(output: Output, plan: Plan, names: PlanNames) -> None:
    if not plan.losses:
        return
    output.paragraph((f"Lost: {count(len(plan.losses), 'value')}", "bold red"))
    lost = Counter((loss.record_id, loss.what) for loss in plan.losses)
    for (record_id, what), number in list(lost.items())[:SHOWN_LEFT]:
        times = f" ({number} times)" if number > 1 else ""
        output.paragraph("  ", names.record(record_id), ": ", what, times, hang=2)
    if len(lost) > SHOWN_LEFT:
        output.plain_line(f"  … and {len(lost) - SHOWN_LEFT:,} more: --json shows all of them.")
    output.plain_line()


def costs_of(plan: Plan, requests_a_second: float | None) -> str:
    """Return how many changes and requests a plan is, and how long that takes. None: as fast as DatoCMS allows."""
    acts = Counter[Act]()
    for step in plan.steps:
        acts[step.act] += len(step.record_ids)
    parts = ", ".join(f"{acts[act]:,} {act.value}" for act in Act if acts[act])
    speed = requests_a_second or REQUESTS_A_SECOND
    seconds = plan.requests / speed
    time = "less than a minute" if seconds < 60 else f"about {span(timedelta(seconds=seconds))}"
    needed = f"At least {count(plan.requests, 'request')}: {time} at {speed:g} a second."
    return f"{count(sum(acts.values()), 'change')}: {parts}. {needed}"


def _basis(plan: Plan) -> Iterator[str]:
    """Yield what the plan was made with: the token, and the age of the mirror."""
    if plan.mirror_as_of is None:
        yield "The mirror never agreed with DatoCMS."
    else:
        yield f"The mirror agreed with DatoCMS {ago(plan.mirror_as_of, plan.made_at)}."
    if plan.role is not None:
        yield f" The restore token has the role “{plan.role}”."


def plan_json(id: str, plan: Plan, diffs: Sequence[StepDiff] = ()) -> Iterator[dict[str, Any]]:
    """Yield a plan as objects: itself, then its steps, what it leaves alone, and what is lost.

    With `diffs` each step has its `fields`: those that it changes, with the number of words.
    """
    views = {one.step.number: one.view for one in diffs}
    own = ("source", "environment", "project_id", "wanted", "made_at", "mirror_as_of", "role", "notes", "requests")
    changes = sum(len(step.record_ids) for step in plan.steps)
    counts = {"steps": len(plan.steps), "changes": changes, "left_alone": len(plan.left_alone)}
    yield {"type": "plan", "id": id} | {name: getattr(plan, name) for name in own} | {"undoes": plan.undoes} | counts
    for step in plan.steps:
        members = ("number", "act", "reason", "record_ids", "model_id", "title", "version_id", "needs", "schedule")
        shown = {name: getattr(step, name) for name in members}
        yield {"type": "step"} | shown | (_fields(views[step.number]) if step.number in views else {})
    for one in plan.left_alone:
        yield {
            "type": "left_alone",
            "record_id": one.record_id,
            "model_id": one.model_id,
            "title": one.title,
            "why": one.why,
            "problems": one.problems,
        }
    for loss in plan.losses:
        yield {"type": "loss", "record_id": loss.record_id, "path": loss.path, "what": loss.what}


def _fields(view: DiffView | None) -> dict[str, Any]:
    """Return what a step changes as members of its object."""
    if view is None:
        return {"fields": None}
    fields = [{"field": one.field, "locale": one.locale} for one in view.sections]
    return {"fields": fields, "words_added": view.words_added, "words_removed": view.words_removed}


def failure_line(plan: Plan, state: StepState, names: PlanNames) -> str:
    """Return a line about a step that failed or was skipped."""
    step = plan.steps[state.number - 1]
    what = step_title(step, names) or names.id(step.record_ids[0])
    return f"step {state.number} {state.state}: {step.act.value} {what}: {state.error} ({state.error_code})"


def print_applied(output: Output, applied: Applied, names: PlanNames, *, undo: str | None, again: str) -> None:
    """Write what came of a plan.

    Args:
        output: Where to.
        applied: What came of it.
        names: What records are called.
        undo: The command that takes it back. None: that cannot be done.
        again: The command that tries the rest again.
    """
    plan, states = applied.plan, applied.states
    ends = Counter(one.state for one in states)
    missing = len(plan.steps) - len(states)
    if output.as_json:
        for state in states:
            if state.state != "done" or state.error is not None:
                output.json({"type": "result"} | {name: getattr(state, name) for name in _RESULT})
        output.json(
            {
                "type": "applied",
                "id": applied.id,
                **{end: ends[end] for end in ("done", "failed", "skipped")},
                "not_begun": missing,
                "synced": applied.synced.is_done,
                "why_not_synced": applied.synced.why_not,
                "proven": applied.proof and applied.proof.proven,
                "findings": applied.proof.findings if applied.proof else (),
            }
        )
        return
    parts = [f"{ends['done']:,} done"]
    parts += [f"{ends[end]:,} {end}" for end in ("failed", "skipped") if ends[end]]
    parts += [f"{missing:,} not begun"] if missing else []
    output.paragraph(
        (f"{output.symbol(applied.is_done)} ", "bold green" if applied.is_done else "bold red"),
        f"Plan {applied.id}, {count(len(plan.steps), 'step')}: {', '.join(parts)}.",
    )
    wrong = [one for one in states if one.state in ("failed", "skipped")]
    for state in wrong[:SHOWN]:
        output.paragraph("  ", failure_line(plan, state, names), hang=2)
    if len(wrong) > SHOWN:
        output.plain_line(f"  … and {len(wrong) - SHOWN:,} more: --json shows all of them.")
    _print_left_out(output, plan, states, names)
    if applied.proof is not None:
        output.plain_line(f"{MIRRORED} {count(applied.proof.proven, 'record')} as planned.")
        for one in applied.proof.findings[:SHOWN]:
            output.paragraph("  ", names.record(one.record_id), ": ", (one.what, "bold red"), hang=2)
    elif applied.synced.why_not:
        output.paragraph(applied.synced.why_not)
    if not applied.is_done:
        output.plain_line("What is done is not done again. To try the rest:")
        output.plain_line(f"  {again}")
    if ends["done"] and undo is not None:
        output.plain_line("To take it back:")
        output.plain_line(f"  {undo}")


def _print_left_out(output: Output, plan: Plan, states: Sequence[StepState], names: PlanNames) -> None:
    """Write what DatoCMS did not take of steps that are done, those with the same sentence together."""
    left_out: dict[str, dict[str, None]] = {}
    for state in states:
        if state.state == "done" and state.error is not None:
            left_out.setdefault(state.error, {}).update(dict.fromkeys(plan.steps[state.number - 1].record_ids))
    for what, ids in left_out.items():
        output.paragraph("  ", _some(list(ids), names), ": ", (what, "yellow"), ".", hang=2)


def _some(ids: Sequence[str], names: PlanNames) -> str:
    """Return the first records, and how many more there are."""
    more = f" and {len(ids) - 3:,} more" if len(ids) > 3 else ""
    return ", ".join(names.record(id) for id in ids[:3]) + more


_RESULT: Final = ("number", "state", "version_id", "error_code", "error")


def print_drill(
    output: Output, source: str, report: DrillReport, titles: Mapping[str, str | None], *, ids: bool
) -> None:
    """Write what a rehearsal showed.

    Args:
        output: Where to write.
        source: The name of the source.
        report: What came of it.
        titles: The titles of the records that differ, by id.
        ids: Whether to show ids in full.
    """
    if output.as_json:
        members = ("records", "versions", "equal", "requests", "seconds", "different", "said", "left_alone")
        output.json({"source": source} | {name: getattr(report, name) for name in members})
        return
    differing = dict.fromkeys(one.record_id for one in report.different)
    is_good = not differing
    parts = [f"{report.equal:,} came back equal"]
    parts += [f"{len(differing):,} different"] if differing else []
    said = dict.fromkeys(one.record_id for one in report.said if one.record_id not in differing)
    parts += [f"{len(said):,} left out and said"] if said else []
    parts += [f"{len(report.left_alone):,} left alone"] if report.left_alone else []
    output.paragraph(
        (f"{output.symbol(is_good)} ", "bold green" if is_good else "bold red"),
        f"Drill of {source}: of {count(report.records, 'record')}, {', '.join(parts)}.",
    )
    output.plain_line(
        f"{count(report.versions, 'content')} compared; {count(report.requests, 'request')} in "
        f"{duration(report.seconds)}, {duration(report.requests / REQUESTS_A_SECOND)} at DatoCMS's rate."
    )
    shown = list(differing)[:SHOWN]
    for id in shown:
        what = [f"{one.field or one.part} ({one.why})" for one in report.different if one.record_id == id]
        name = f"“{titles[id]}” ({id if ids else short_id(id)})" if titles.get(id) else id
        output.paragraph("  ", f"{name}: {', '.join(dict.fromkeys(what))}", hang=2)
    for left in report.left_alone[:SHOWN]:
        output.paragraph("  ", f"“{left.title or left.record_id}”: {left.why}", hang=2)
    hidden = len(differing) - len(shown) + max(len(report.left_alone) - SHOWN, 0)
    if hidden:
        output.plain_line(f"  … and {hidden:,} more: --json shows all of them.")


def print_plans(
    output: Output, source: str, plans: Sequence[PlanRow], counts: Mapping[str, Mapping[str, int]], zone: tzinfo
) -> None:
    """Write the plans that the mirror keeps, newest first."""
    if output.as_json:
        for one in plans:
            members = ("id", "environment", "wanted", "made_at", "made_by", "undoes_id", "state")
            fields = {name: getattr(one, name) for name in (*members, "started_at", "finished_at")}
            output.json({"source": source} | fields | {"steps": dict(counts.get(one.id, {}))})
        return
    columns = [
        Column(f"made ({name_of_zone(zone)})"),
        Column("plan", style="cyan"),
        Column("state"),
        Column("done", "right"),
        Column("what", shrinks=True, least=20),
        Column("by", shrinks=True, least=8),
    ]

    def row(one: PlanRow) -> list[Cell]:
        states = counts.get(one.id, {})
        done = f"{states.get('done', 0):,}/{sum(states.values()):,}"
        return [
            in_zone(one.made_at, zone),
            one.id,
            (one.state, STATES.get(one.state, "")),
            done,
            one.wanted,
            one.made_by,
        ]

    output.table(columns, [row(one) for one in plans])
