"""A plan as a page that stands alone: it can be printed, mailed and signed. It loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from jinja2 import ChoiceLoader, Environment, PackageLoader

from versionsync.history.render.html import SYMBOLS, environment
from versionsync.history.render.passages import Shown
from versionsync.history.render.terminal import summary_of
from versionsync.restore.model import Act, Plan, Step
from versionsync.restore.plan_diffs import StepDiff

__all__ = ["plan_page"]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    own = environment()
    assert own.loader is not None
    return own.overlay(loader=ChoiceLoader([PackageLoader("versionsync.restore"), own.loader]))


def plan_page(
    id: str,
    plan: Plan,
    diffs: Sequence[StepDiff],
    *,
    titles: Mapping[str, str | None],
    model: Callable[[str], str],
    why: Callable[[Step], str],
    shown: Callable[[datetime], str],
    costs: str,
    command: str,
) -> str:
    """Return a plan as a page.

    Args:
        id: The plan's id.
        plan: The plan.
        diffs: Its steps with what each changes.
        titles: The titles of records, by id.
        model: Returns what a model is called, by its id.
        why: Returns why a step is there.
        shown: Returns a time as people read it.
        costs: How many changes and requests it is, in words.
        command: The command that carries it out.
    """
    changes = {act: sum(len(step.record_ids) for step in plan.steps if step.act is act) for act in Act}
    return (
        _environment()
        .get_template("plan.html.jinja")
        .render(
            id=id,
            plan=plan,
            diffs=[(one.step, one.view, summary_of(one.view) if one.view else "") for one in diffs],
            changes={act.value: number for act, number in changes.items() if number},
            titles=titles,
            model=model,
            why=why,
            shown=shown,
            costs=costs,
            command=command,
            symbols=SYMBOLS,
            Shown=Shown,
        )
    )
