"""`versionsync restore`: bring content of the past back into DatoCMS, by a plan that is shown first."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.history_options import Ids, Zone, echo_time
from versionsync.cli.options import flag, option
from versionsync.cli.restore_options import DRILL, PLANS, Asked, OddRestore, OnError, Shown, check
from versionsync.cli.signals import run_until_interrupted
from versionsync.errors import ErrorKind, VersionsyncError
from versionsync.text import count

if TYPE_CHECKING:
    from versionsync.api import Mirror as History
    from versionsync.cli.terminal.output import Output
    from versionsync.cli.views.restore import PlanNames
    from versionsync.config import SourceSettings
    from versionsync.history.render.view import DiffView
    from versionsync.mirror.database import Mirror
    from versionsync.restore.compare_with_mirror import DrillReport
    from versionsync.restore.kept_plans import KeptPlan
    from versionsync.restore.model import Plan
    from versionsync.restore.plan_diffs import StepDiff
    from versionsync.restore.selection import Wanted
    from versionsync.wiring.restore import RestoreJob

__all__ = ["restore"]

T = TypeVar("T")

READABLE_WIDTH: Final = 120
"""How wide a diff is in a file."""
WINDOW_SECONDS: Final = 3
"""The period of `rate_limit`."""


@dataclass(slots=True, kw_only=True)
class _Command:
    """One invocation, with what it needs to know of its source."""

    session: CliContext
    job: RestoreJob
    history: History
    shown: Shown
    repeated: list[str]
    """Options that the next command needs, too."""

    @property
    def zone(self) -> tzinfo:
        return self.history.zone

    def next_command(self, *words: str) -> str:
        """Return a command line that works as this one did."""
        return shlex.join(["versionsync", "restore", *words, *self.repeated])

    def time(self, at: datetime) -> str:
        return str(self.history.moment(at))


def restore(
    session: CliContext,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="A version (its id or the beginning of it), a record (id, model:slug, title, URL), a plan (its id or "
            "its file), or one of the words plans and drill.",
        ),
    ] = None,
    *,
    source: Annotated[str | None, option("--source", "NAME", "The source, if there are several.")] = None,
    at: Annotated[str | None, option("--at", "TIME", "As it was at this time.")] = None,
    model: Annotated[str | None, option("--model", "MODEL", "All records of this model.")] = None,
    changed_by: Annotated[
        str | None, option("--changed-by", "EDITOR", "Take back what this editor changed since --since.")
    ] = None,
    since: Annotated[str | None, option("--since", "TIME", "With --changed-by or --deleted.")] = None,
    deleted: Annotated[bool, flag("--deleted", help="All records that were deleted.")] = False,
    field: Annotated[list[str] | None, option("--field", "F", "Only this field. Repeatable.")] = None,
    locale: Annotated[list[str] | None, option("--locale", "L", "Only this locale. Repeatable.")] = None,
    block: Annotated[list[str] | None, option("--block", "ID", "Only this block. Repeatable.")] = None,
    publish: Annotated[
        bool, flag("--publish", help="Make records as live as they were. Otherwise what is live stays as it is.")
    ] = False,
    no_create: Annotated[bool, flag("--no-create", help="Leave out records that do not exist.")] = False,
    no_update: Annotated[bool, flag("--no-update", help="Leave out records that exist.")] = False,
    delete_new: Annotated[bool, flag("--delete-new", help="Delete records that did not exist then.")] = False,
    stale_ok: Annotated[
        bool, flag("--stale-ok", help="Plan with a mirror that is older than what is in DatoCMS.")
    ] = False,
    no_preflight: Annotated[
        bool, flag("--no-preflight", help="Do not ask DatoCMS in advance whether it would accept each content.")
    ] = False,
    upstream: Annotated[
        bool, flag("--upstream", help="Let DatoCMS itself restore one version. It has no lock against other edits.")
    ] = False,
    to_environment: Annotated[
        str | None, option("--to-environment", "NAME", "Write to this environment of the same project.")
    ] = None,
    output: Annotated[Path | None, option("--output", "FILE", "Write the plan to a file.")] = None,
    html: Annotated[Path | None, option("--html", "FILE", "Write the plan as a page that you can print.")] = None,
    diff: Annotated[bool, flag("--diff", help="Show what each step changes.")] = False,
    apply: Annotated[bool, flag("--apply", help="Carry the plan out. Without it nothing is written.")] = False,
    yes: Annotated[bool, flag("-y", "--yes", help="With --apply: do not ask for confirmation.")] = False,
    on_error: Annotated[
        OnError | None,
        option("--on-error", "stop|continue", "After a step that failed. Default: continue.", show_default=False),
    ] = None,
    undo: Annotated[str | None, option("--undo", "PLAN", "Take back what this plan did.")] = None,
    ids: Ids = False,
    zone: Zone = None,
) -> None:
    """Bring content of the past back into DatoCMS. You see a plan first; only --apply writes anything.

    A plan is kept in the mirror with each request that it will send. You can read it, have it read, and apply exactly
    that one. Records that someone edited since are left alone, and each plan can be taken back with --undo. Writing
    needs a second API token: see restore_token_env in the settings.

    Examples:
        # What would bring back what was deleted, live as it was?
        versionsync restore --deleted --publish

        # A record as it was, with the changes word by word.
        versionsync restore article:the-night-bus --at yesterday --diff

        # Rehearse: restore everything into a simulated project, and compare.
        versionsync restore drill
    """
    asked = Asked(
        target=target,
        at=at,
        model=model,
        changed_by=changed_by,
        deleted=deleted,
        since=since,
        fields=tuple(field or ()),
        locales=tuple(locale or ()),
        blocks=tuple(block or ()),
        publish=publish,
        no_create=no_create,
        no_update=no_update,
        delete_new=delete_new,
        undo=undo,
        upstream=upstream,
        to_environment=to_environment,
    )
    shown = Shown(output=output, html=html, diff=diff, ids=ids, apply=apply, yes=yes, on_error=on_error)
    check(asked, shown)
    settings = _source(session, source)
    with session.open_mirror() as mirror:
        command = _command(session, mirror, settings, shown, named=source, zone=zone)
        if target is not None and target in _BY_WORD:
            _BY_WORD[target](command)
        elif upstream:
            _restore_upstream(command, asked)
        else:
            _restore(command, asked, stale_ok=stale_ok, checks=not no_preflight)


def _source(session: CliContext, name: str | None) -> SourceSettings:
    """Return the source that is meant."""
    found = session.sources([name] if name is not None else [])
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise OddRestore("there are several sources", hint=f"Name one with --source: {names}.")
    return found[0]


def _command(
    session: CliContext, mirror: Mirror, source: SourceSettings, shown: Shown, *, named: str | None, zone: str | None
) -> _Command:
    from versionsync.api import Mirror as History
    from versionsync.wiring.restore import RestoreJob

    job = RestoreJob(
        mirror=mirror,
        source=source,
        reading=session.api_token(source),
        writing=session.restore_token(source),
        log=session.log,
    )
    options = session.options
    repeated = [
        *(["--source", named] if named is not None else []),
        *(["--config", str(options.config)] if options.config is not None else []),
        *(["--database", options.database] if options.database is not None else []),
    ]
    return _Command(
        session=session,
        job=job,
        history=History(mirror, sources=[source.name], zone=zone),
        shown=shown,
        repeated=repeated,
    )


def _restore(command: _Command, asked: Asked, *, stale_ok: bool, checks: bool) -> None:
    """Make a plan, or find the kept one that is named. Show it, and apply it if that is asked."""
    job = command.job
    kept = _kept(command, asked)
    if command.shown.apply:
        place = kept.plan.environment if kept is not None else asked.to_environment
        _run(command, "checking the token", lambda: job.check_writer(place))
    if kept is not None:
        id, plan = kept.id, kept.plan
    elif asked.undo is not None:
        undone = job.named(asked.undo) or job.kept(asked.undo)
        id, plan = _run(
            command,
            "planning",
            lambda: job.undo(undone.id, stale_ok=stale_ok, checks=checks, zone_shown=command.time),
        )
    else:
        wanted = _wanted(command, asked)
        id, plan = _run(
            command,
            "planning",
            lambda: job.plan(
                wanted,
                stale_ok=stale_ok,
                checks=checks,
                environment=asked.to_environment,
                zone_shown=command.time,
            ),
        )
    is_known = kept is not None and command.shown.apply and command.shown.yes
    names = _show(command, id, plan, is_known=is_known)
    if not plan.steps:
        _nothing_to_do(command, asked, plan)
        return
    if not command.shown.apply:
        _say_next(command, id, plan)
        return
    _apply(command, kept or job.kept(id), names)


def _kept(command: _Command, asked: Asked) -> KeptPlan | None:
    """Return the kept plan that the target names by its file or its id."""
    target = asked.target
    if target is None:
        return None
    found = command.job.named(target)
    if found is not None and asked.selects:
        raise OddRestore(
            f"{target} is a plan, which says already what is restored", hint="Leave out the other options, or the plan."
        )
    return found


def _wanted(command: _Command, asked: Asked) -> Wanted:
    """Return what is asked, with names and times understood."""
    from versionsync.history.names import FoundVersion, short_id
    from versionsync.history.scope import Scope
    from versionsync.restore.naming import check_parts, find_target
    from versionsync.restore.selection import Wanted

    history, mirror, name = command.history, command.job.mirror, command.job.source.name
    at = echo_time(command.session, history, "as it was at", asked.at)
    since = echo_time(command.session, history, "since", asked.since)
    version = record = owner = None
    words = "the whole project"
    if asked.target is not None:
        target = asked.target
        found = mirror.query(lambda one: find_target(one, Scope.load(one, [name]), target))
        owner = found.record_id
        if isinstance(found, FoundVersion):
            if at is not None:
                raise OddRestore(f"{target} is a version, which has its own time", hint="Leave out --at.")
            version, words = found.version_id, f"version {short_id(found.version_id)}"
        else:
            record = found.record_id
            words = f"“{found.title}”" if found.title else f"record {short_id(record)}"
            words += " as it was last" if at is None else ""
    elif asked.changed_by is not None:
        words = f"what {asked.changed_by} changed"
    elif asked.deleted:
        words = "deleted records" + (f" of {asked.model}" if asked.model else "")
    elif asked.model is not None:
        words = f"records of {asked.model}"
    if at is not None:
        words += f" as at {command.time(at)}"
    if since is not None:
        words += f" since {command.time(since)}"
    mirror.query(lambda one: check_parts(one, Scope.load(one, [name]), owner, asked.fields, asked.locales))
    parts = (*asked.fields, *asked.locales, *asked.blocks)
    if parts:
        words += f", only {', '.join(parts)}"
    return Wanted(
        version=version,
        record=record,
        model=asked.model,
        at=at,
        changed_by=asked.changed_by,
        since=since,
        deleted=asked.deleted,
        fields=asked.fields,
        locales=asked.locales,
        blocks=asked.blocks,
        publishes=asked.publish,
        creates=not asked.no_create,
        updates=not asked.no_update,
        deletes=asked.delete_new,
        words=words,
    )


def _run(command: _Command, what: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run something that sends requests, with its progress. An interrupt ends the program with code 130."""
    from versionsync.cli.views.restore_progress import requests_display

    session = command.session

    async def shown() -> T:
        async with requests_display(what, lambda: command.job.requests, session.output):
            return await work()

    try:
        return run_until_interrupted(
            shown, on_stop=lambda: session.output.note("Stopping cleanly… (press again to stop at once)")
        )
    except KeyboardInterrupt:
        session.output.note("Interrupted. Nothing was written to DatoCMS.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _show(command: _Command, id: str, plan: Plan, *, is_known: bool) -> PlanNames:
    """Show a plan in all forms that are asked for."""
    from versionsync.cli.views.restore import SHOWN, PlanNames, costs_of, plan_json, print_plan, why_step
    from versionsync.history.scope import Scope
    from versionsync.restore.plan_diffs import step_diffs
    from versionsync.restore.plan_text import PlanFile

    session, shown, job = command.session, command.shown, command.job
    output = session.output
    scope = job.mirror.query(lambda connection: Scope.load(connection, [job.source.name]))
    names = PlanNames.of(plan, lambda model: scope.model(scope.ids[0], model), command.zone, ids=shown.ids)
    limit = job.source.rate_limit
    speed = limit / WINDOW_SECONDS if isinstance(limit, int) else None
    diffs: list[StepDiff] = []
    if shown.diff or shown.html is not None:
        most = None if shown.html is not None or output.as_json else SHOWN
        diffs = job.mirror.query(lambda connection: list(step_diffs(connection, scope, plan, steps=most)))
    if output.as_json:
        for one in plan_json(id, plan, diffs if shown.diff else ()):
            output.json(one)
    else:
        views = {one.step.number: one.view for one in diffs}
        draw = (lambda step: _draw(output, views[step.number])) if shown.diff else None
        print_plan(output, id, plan, names, requests_a_second=speed, is_known=is_known, shows=draw)
    if shown.output is not None and plan.steps:
        shown.output.write_bytes(PlanFile.of(id, plan).text())
        output.note(f"The plan is in {shown.output}. To carry it out: --apply {shown.output}")
    if shown.html is not None and plan.steps:
        from versionsync.restore.page import plan_page

        page = plan_page(
            id,
            plan,
            diffs,
            titles=names.titles,
            model=names.model,
            why=lambda step: why_step(step, names),
            shown=command.time,
            costs=costs_of(plan, speed),
            command=command.next_command(id, "--apply"),
        )
        shown.html.write_text(page, encoding="utf-8")
        output.note(f"The page is in {shown.html}.")
    return names


def _draw(output: Output, view: DiffView | None) -> None:
    """Write what a step changes."""
    from rich.console import Console
    from rich.text import Text

    from versionsync.history.render.terminal import lines_of, summary_of

    if view is not None:
        results = output.results
        color = results.color_system is not None and not results.no_color
        width = results.width if results.is_terminal else min(results.width, READABLE_WIDTH)
        output.live(lines_of(view, Console(width=width), color=color))
        output.live([Text(summary_of(view))])
    output.plain_line()


def _say_next(command: _Command, id: str, plan: Plan) -> None:
    output = command.session.output
    if output.as_json:
        return
    output.plain_line()
    if command.job.writing is None:
        output.paragraph(
            "Nothing was written. No token is set that may write: put one into DATOCMS_RESTORE_TOKEN. Then carry the "
            "plan out:"
        )
    else:
        output.plain_line("Nothing was written. To carry the plan out:")
    output.plain_line(f"  {command.next_command(id, '--apply')}", style="bold")


def _nothing_to_do(command: _Command, asked: Asked, plan: Plan) -> None:
    """Say why there is nothing to do. A record that was named and cannot be restored is a failure."""
    from versionsync.restore.model import AS_IT_SHOULD_BE

    output = command.session.output
    others = [one for one in plan.left_alone if one.why != AS_IT_SHOULD_BE]
    if not plan.left_alone:
        output.note("There is nothing to restore: no record fits.")
    elif not others:
        output.note("There is nothing to do: everything is as it should be.")
    else:
        output.note("There is nothing to do.")
    if asked.target is not None and others:
        raise typer.Exit(ExitCode.PARTIAL)


def _apply(command: _Command, kept: KeptPlan, names: PlanNames) -> None:
    """Ask, carry a plan out, and say what came of it."""
    from versionsync.cli.views.restore import failure_line, print_applied
    from versionsync.cli.views.restore_progress import steps_display

    session, job, plan = command.session, command.job, kept.plan
    again = command.next_command(kept.id, "--apply")
    place = f"{job.row().project.name or plan.project_id}/{plan.environment}"
    left = {one.number for one in kept.steps if one.state != "done"}
    changes = sum(len(step.record_ids) for step in plan.steps if step.number in left)
    if 0 < len(left) < len(plan.steps):
        session.output.note(f"{len(plan.steps) - len(left):,} of {count(len(plan.steps), 'step')} are done already.")
    if left:
        _confirm(command, f"Write {count(changes, 'change')} to {place}?", again)
    progress = steps_display(plan, kept.steps, lambda: job.requests, session.output)

    async def work() -> Any:
        async with progress as seen:

            def on_result(state: Any) -> None:
                seen.add(state)
                if state.state == "failed":
                    session.output.note(failure_line(plan, state, names), style="red")

            return await job.apply(
                kept,
                stops_on_error=command.shown.on_error is OnError.STOP,
                on_result=on_result,
                on_sync=lambda sync: seen.syncing(lambda: sync.progress.counts.requests),
            )

    try:
        applied = run_until_interrupted(
            work, on_stop=lambda: session.output.note("Stopping cleanly… (press again to stop at once)")
        )
    except KeyboardInterrupt:
        session.output.note("Interrupted. What was done is in the journal of the plan. To go on:")
        session.output.note(f"  {again}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except VersionsyncError as error:
        if error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.DATABASE):
            session.output.note(f"What was done is in the journal of the plan. To go on:  {again}")
        raise
    is_mirrored = plan.environment == job.row().project.environment
    undo = command.next_command("--undo", kept.id) if is_mirrored else None
    print_applied(session.output, applied, names, undo=undo, again=again)
    if not applied.is_done:
        raise typer.Exit(ExitCode.PARTIAL)


def _confirm(command: _Command, question: str, again: str) -> None:
    """Ask whether to write. A no ends the command."""
    session = command.session
    if command.shown.yes:
        return
    if session.output.as_json or not sys.stdin.isatty():
        raise OddRestore("nothing was written: there is no terminal to ask on", hint=f"Add --yes: {again} --yes")
    if not typer.confirm(question, err=True):
        session.output.plain_line(f"Nothing was written. The plan is kept: {again}")
        raise typer.Exit(ExitCode.OK)


def _restore_upstream(command: _Command, asked: Asked) -> None:
    """Let DatoCMS restore one version."""
    from versionsync.cli.views.restore import MIRRORED
    from versionsync.history.names import short_id

    session, job = command.session, command.job
    output = session.output
    name = asked.target or ""
    version = command.history.version(name)
    assert version is not None
    title = version.title or version.record_id
    output.warning(
        "DatoCMS's own restore has no lock: an edit of the same moment is overwritten. It makes a new draft, and what "
        "is published stays as it is. It is no plan, and cannot be undone by --undo."
    )
    again = command.next_command(version.version_id, "--upstream", "--apply")
    if not command.shown.apply:
        output.result(
            {"type": "upstream", "version_id": version.version_id, "record_id": version.record_id, "done": False},
            f"Version {short_id(version.version_id)} of {title} would become its current one. Nothing was written.",
        )
        if not output.as_json:
            output.plain_line("To do it:")
            output.plain_line(f"  {again}", style="bold")
        return
    job.writer()
    place = f"{job.row().project.name}/{job.row().project.environment}"
    _confirm(command, f"Let DatoCMS restore version {short_id(version.version_id)} of {title} in {place}?", again)
    record_id, synced = _run(command, "restoring", lambda: job.restore_version(version.version_id))
    output.result(
        {
            "type": "upstream",
            "version_id": version.version_id,
            "record_id": record_id,
            "done": True,
            "synced": synced.is_done,
        },
        f"{output.symbol(True)} DatoCMS made a new version of {title}. {synced.why_not or MIRRORED}",
    )


def _show_plans(command: _Command) -> None:
    """Show the plans that the mirror keeps."""
    from versionsync.cli.views.restore import print_plans
    from versionsync.mirror.tables.restores import count_steps, load_plans

    source_id = command.job.row().id
    plans, counts = command.job.mirror.query(lambda one: (load_plans(one, source_id), count_steps(one, source_id)))
    print_plans(command.session.output, command.job.source.name, plans, counts, command.zone)
    if not plans:
        command.session.output.note("The mirror keeps no plans yet.")


def _drill(command: _Command) -> None:
    """Restore everything into a simulated project, compare, and report. DatoCMS is not asked."""
    from versionsync.cli.views.restore import SHOWN, print_drill
    from versionsync.cli.views.restore_progress import Counted, counted_display
    from versionsync.wiring.drill import drill

    session, job, counted = command.session, command.job, Counted()

    async def work() -> DrillReport:
        async with counted_display("restoring", counted, session.output):
            return await asyncio.to_thread(drill, job.mirror, job.row(), on_steps=counted.set)

    report = asyncio.run(work())
    shown = list(dict.fromkeys(one.record_id for one in report.different))[:SHOWN]
    titles = {id: command.history.record(id).title for id in shown}
    print_drill(session.output, job.source.name, report, titles, ids=command.shown.ids)
    if report.different:
        session.verdict = ExitCode.DIFFERENCES
        raise typer.Exit(ExitCode.DIFFERENCES)


_BY_WORD: Final[Mapping[str, Callable[[_Command], None]]] = {PLANS: _show_plans, DRILL: _drill}
"""What to do if the target is one of WORDS."""
