"""`versionsync erase`: remove content from the mirror on request, and keep it away."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.exit_codes import ExitCode
from versionsync.cli.history_options import RECORD_HELP, Sources
from versionsync.cli.options import flag, option
from versionsync.cli.terminal.output import Column
from versionsync.text import count, when

if TYPE_CHECKING:
    from versionsync.erasure.carry_out import ErasePlan
    from versionsync.erasure.uploads import FoundUpload, UploadPlan
    from versionsync.mirror.database import Mirror
    from versionsync.mirror.erasable import Found
    from versionsync.mirror.tables.erasures import ErasureRow

__all__ = ["erase"]

WAIT_SECONDS: Final = 60.0
NOT_REACHED: Final = (
    "Not reached: DatoCMS itself, exports, feeds, backups, replicas, archived logs, and copies of other programs."
)


def erase(
    session: CliContext,
    record: Annotated[str | None, typer.Argument(metavar="RECORD", help=RECORD_HELP, show_default=False)] = None,
    *,
    upload: Annotated[
        str | None,
        option("--upload", "UPLOAD", "A file instead of a record: its id, the beginning of it, its name or URL."),
    ] = None,
    field: Annotated[
        str | None, option("--field", "FIELD", "Only this field: its API key, or block_model.field.")
    ] = None,
    locale: Annotated[str | None, option("--locale", "LOCALE", "Only this locale of the field.")] = None,
    reason: Annotated[
        str | None, option("--reason", "TEXT", "Why, such as a ticket number. It is kept: name no content.")
    ] = None,
    dry_run: Annotated[bool, flag("--dry-run", help="Show what would be erased. Change nothing.")] = False,
    yes: Annotated[bool, flag("-y", "--yes", help="Do not ask for confirmation.")] = False,
    wait: Annotated[
        float, option("--wait", "SECONDS", "Wait this long if another process writes to the source.", min=0)
    ] = WAIT_SECONDS,
    show_list: Annotated[bool, flag("--list", help="Show what was erased.")] = False,
    lift: Annotated[
        int | None, option("--lift", "ID", "Mirror later versions whole again. What was erased stays erased.")
    ] = None,
    source: Sources = None,
) -> None:
    """Erase the content of a record, or a file, from the mirror, in all versions, and keep it from coming back.

    It shows what it finds, and asks you to type the short id. Then one transaction erases the content, and
    the database file is written again: that needs free space of twice the file. Ids, times and authors stay. Later
    syncs keep none of the content, though DatoCMS still has it.

    It cannot be undone. It does not reach DatoCMS, exports, feeds and backups: see docs/erase.md.

    Examples:
        # Show what would be erased.
        versionsync erase article:old-fish-market --dry-run

        # Erase one field in all versions.
        versionsync erase article:old-fish-market --field title --yes

        # Show the same for the names and descriptions of a file.
        versionsync erase --upload fish-market.jpg --dry-run
    """
    if sum((record is not None, upload is not None, show_list, lift is not None)) != 1:
        raise typer.BadParameter("name one record, or use --upload, --list or --lift ID", param_hint="RECORD")
    if upload is not None and field is not None:
        raise typer.BadParameter("a file has no fields: leave it out with --upload", param_hint="--field")
    if locale is not None and field is None:
        raise typer.BadParameter("it needs --field: the field whose locale it is", param_hint="--locale")
    with session.open_mirror(reads_only=show_list or dry_run) as mirror:
        if show_list:
            _list(session, mirror, source or [])
        elif lift is not None:
            _lift(session, mirror, source or [], lift, wait)
        elif upload is not None:
            _erase_upload(session, mirror, upload, source or [], reason, wait, dry_run=dry_run, yes=yes)
        else:
            assert record is not None
            _erase(session, mirror, record, field, locale, source or [], reason, wait, dry_run=dry_run, yes=yes)


def _erase(
    session: CliContext,
    mirror: Mirror,
    record: str,
    field: str | None,
    locale: str | None,
    sources: list[str],
    reason: str | None,
    wait: float,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    from versionsync.erasure.carry_out import erase, plan_erasure

    plan = plan_erasure(mirror, tuple(sources), record, field=field, locale=locale)
    _show(session, plan)
    if dry_run:
        if session.output.as_json:
            session.output.json({**_fields(plan), "erased": False})
        return
    _confirm(session, plan.target.record.record_id, plan.target.record.title, yes=yes)
    erased = erase(mirror, plan.target, reason=reason, now=_now, wait_seconds=wait)
    session.log.info(
        "record.erased",
        source=plan.target.record.source,
        record=plan.target.record.record_id,
        field=plan.target.field_id,
        locale=locale,
        versions=erased.found.versions,
    )
    is_clean = _clean(session, mirror, plan.target.record.source_id, plan.target.record.record_id)
    if session.output.as_json:
        fields = {**_fields(plan), **_counts(erased.found)}
        session.output.json({**fields, "erased": True, "erasure": erased.erasure_id, "cleaned": is_clean})
    else:
        session.output.plain_line(
            f"Erased: {count(erased.found.versions, 'version')}, {count(erased.found.rewrites, 'former content')}. "
            f"Syncs keep none of it from now on (erasure {erased.erasure_id})."
        )
    if not is_clean:
        raise typer.Exit(ExitCode.PARTIAL)


def _erase_upload(
    session: CliContext,
    mirror: Mirror,
    upload: str,
    sources: list[str],
    reason: str | None,
    wait: float,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    from versionsync.erasure.uploads import erase_known_upload, plan_upload_erasure

    plan = plan_upload_erasure(mirror, tuple(sources), upload)
    target = plan.target
    _show_upload(session, plan)
    fields = {
        "source": target.source,
        "upload_id": target.target_id,
        "covered_by": plan.covered_by.id if plan.covered_by else None,
    }
    if dry_run:
        if session.output.as_json:
            session.output.json({**fields, **_upload_counts(plan.found), "erased": False})
        return
    _confirm(session, target.target_id, target.name, yes=yes)
    erased = erase_known_upload(mirror, target, reason=reason, now=_now, wait_seconds=wait)
    session.log.info("upload.erased", source=target.source, upload=target.target_id, records=len(erased.found.records))
    is_clean = _clean(session, mirror, target.source_id, target.target_id)
    if session.output.as_json:
        counts = _upload_counts(erased.found)
        session.output.json({**fields, **counts, "erased": True, "erasure": erased.erasure_id, "cleaned": is_clean})
    else:
        session.output.plain_line(
            f"Erased: what is known of the file, and what {count(erased.found.versions, 'version')} said of it. "
            f"Syncs keep none of it from now on (erasure {erased.erasure_id})."
        )
    if not is_clean:
        raise typer.Exit(ExitCode.PARTIAL)


def _show_upload(session: CliContext, plan: UploadPlan) -> None:
    """Show a person what is erased, without the name of the file."""
    from versionsync.history.names import short_id

    output, target, found = session.output, plan.target, plan.found
    if output.as_json:
        return
    output.paragraph(f"Erase what is known of the file {short_id(target.target_id)} ({target.source}):")
    rows = [
        ("name, address, size and description", f"{found.details}"),
        ("former ones", f"{found.changes:,}"),
        ("records whose contents describe it", f"{len(found.records):,}"),
        ("versions of these", f"{found.versions:,}"),
        ("former contents of rewritten versions", f"{found.rewrites:,}"),
        ("restore plans, emptied", ", ".join(found.plans) or "0"),
    ]
    _show_rows(session, rows, plan.covered_by)


def _clean(session: CliContext, mirror: Mirror, source_id: int, id: str) -> bool:
    """Free the files of what was erased. A failure is a warning: the erasure itself is done."""
    from versionsync.erasure.carry_out import clean
    from versionsync.mirror.errors import MirrorError

    session.output.note("Writing the database's files again…", style="dim")
    try:
        if clean(mirror, source_id, now=_now):
            return True
        why = "another process was reading an old state"
    except MirrorError as error:
        why = str(error)
    session.output.warning(
        f"the database's files may still hold what was erased ({why}): run the same command again, and name the record "
        f"or file by its id, {id}"
    )
    return False


def _show(session: CliContext, plan: ErasePlan) -> None:
    """Show a person what is erased. The title is content, so it is shown where somebody is asked, and nowhere else."""
    from versionsync.history.names import short_id

    output, target, found = session.output, plan.target, plan.found
    if output.as_json:
        return
    what = "all content" if target.field is None else f"the field {target.field.api_key}"
    if target.locale is not None:
        what += f" in {target.locale}"
    output.paragraph(
        f"Erase {what} of {target.record.model} {short_id(target.record.record_id)} ({target.record.source}):"
    )
    rows = [
        ("versions", f"{found.versions:,}"),
        ("former contents of rewritten versions", f"{found.rewrites:,}"),
        ("hashes of contents in events", f"{found.events:,}"),
        *((f"rows of {name}, computed again", f"{number:,}") for name, number in found.derived.items()),
        ("restore plans, emptied", ", ".join(found.plans) or "0"),
    ]
    _show_rows(session, rows, plan.covered_by)


def _show_rows(session: CliContext, rows: list[tuple[str, str]], covered_by: ErasureRow | None) -> None:
    """Show how much is erased, whether it was erased before, and what the erasure cannot reach."""
    output = session.output
    output.table([Column("what"), Column("how many", "right")], rows, indent=2)
    if covered_by is not None:
        output.paragraph(f"It was erased before, by erasure {covered_by.id}, which is in force.")
    output.paragraph(f"This cannot be undone. {NOT_REACHED}")


def _confirm(session: CliContext, id: str, name: str | None, *, yes: bool) -> None:
    from versionsync.history.names import short_id

    if yes:
        return
    if session.output.as_json or not sys.stdin.isatty():
        raise typer.BadParameter("nothing was erased: there is no terminal to ask on; use --yes", param_hint="--yes")
    wanted = short_id(id)
    if name:
        session.output.note(f"Its title is {name!r}.")
    if typer.prompt(f"Type {wanted} to erase it", err=True).strip() not in (wanted, id):
        session.output.plain_line("Nothing was erased.")
        raise typer.Exit(ExitCode.OK)


def _list(session: CliContext, mirror: Mirror, sources: list[str]) -> None:
    from versionsync.mirror.tables.erasures import list_erasures

    known = {one.id: one.name for one in session.known_sources(mirror, sources)}
    found = mirror.query(lambda connection: list_erasures(connection, list(known)))
    rows = [row for row in found if row.record_id is None or row.upload_id is None]
    if session.output.as_json:
        for row in rows:
            session.output.json({"source": known[row.source_id], **_row_fields(row)})
        return
    if not rows:
        session.output.plain_line("Nothing was erased.")
        return
    heads = ("id", "erased (UTC)", "record or file", "field", "locale", "by", "reason", "files", "in force")
    session.output.table(
        [Column(head) for head in heads],
        [
            (
                str(row.id),
                when(row.erased_at),
                row.record_id or row.upload_id or "",
                row.field_id or "all",
                row.locale or "all",
                row.erased_by,
                row.reason or "",
                "clean" if row.cleaned_at else "not clean",
                "yes" if row.lifted_at is None else f"lifted {when(row.lifted_at)}",
            )
            for row in rows
        ],
    )


def _lift(session: CliContext, mirror: Mirror, sources: list[str], id: int, wait: float) -> None:
    from versionsync.erasure.carry_out import lift

    known = {one.id: one.name for one in session.known_sources(mirror, sources)}
    row = lift(mirror, list(known), id, now=_now, wait_seconds=wait)
    name = known[row.source_id]
    session.log.info("erasure.lifted", source=name, record=row.record_id, upload=row.upload_id, erasure=id)
    what = (
        "the file is read again, and later versions" if row.record_id is None else f"later versions of {row.record_id}"
    )
    session.output.result(
        {"source": name, "erasure": id, "record_id": row.record_id, "upload_id": row.upload_id, "lifted": True},
        f"Erasure {id} is lifted: {what} are mirrored whole. What was erased stays erased.",
    )


def _fields(plan: ErasePlan) -> dict[str, Any]:
    target = plan.target
    return {
        "source": target.record.source,
        "record_id": target.record.record_id,
        "field_id": target.field_id,
        "locale": target.locale,
        "covered_by": plan.covered_by.id if plan.covered_by else None,
        **_counts(plan.found),
    }


def _counts(found: Found) -> dict[str, Any]:
    return {
        "versions": found.versions,
        "rewrites": found.rewrites,
        "events": found.events,
        "projections": dict(found.derived),
        "restore_plans": list(found.plans),
    }


def _upload_counts(found: FoundUpload) -> dict[str, Any]:
    return {
        "uploads": found.details,
        "upload_changes": found.changes,
        "records": sorted(found.records),
        "versions": found.versions,
        "rewrites": found.rewrites,
        "restore_plans": list(found.plans),
    }


def _row_fields(row: ErasureRow) -> dict[str, Any]:
    from versionsync.mirror.engine.bulk import field_names

    left_out = ("source_id",)
    return {name: getattr(row, name) for name in field_names(type(row), *left_out)}


def _now() -> datetime:
    return datetime.now(UTC)
