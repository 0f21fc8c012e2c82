"""`versionsync show`: what one version says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import VERSION_HELP, Ids, Sources, Zone

if TYPE_CHECKING:
    from datetime import tzinfo

    from versionsync.api import Version
    from versionsync.history.render.content import Value

__all__ = ["show"]

INDENT = 4


def show(
    session: CliContext,
    version: Annotated[str, typer.Argument(metavar="VERSION", help=VERSION_HELP)],
    *,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show what a version says: its fields with their values in words.

    Linked records are shown by their titles. Fields without a value are left out.

    Examples:
        # What a record says now.
        versionsync show "The old fish market"

        # The same with everything the mirror knows of it, as JSON.
        versionsync show article:old-fish-market --json
    """
    from versionsync.history.model import columns_of
    from versionsync.history.render.content import values_of

    with session.open_history(sources=source or (), zone=zone) as history:
        found = history.shown(version)
        if session.output.as_json:
            session.output.json(columns_of(found))
            return
        _head(session, found, history.zone, ids=ids)
        for value in values_of(found.attributes or {}, found.model_id, history.names(found)):
            _value(session, value)


def _head(session: CliContext, version: Version, zone: tzinfo, *, ids: bool) -> None:
    from versionsync.cli.views.history import live_cell
    from versionsync.history.moments import in_zone, name_of_zone
    from versionsync.history.names import short_id

    output = session.output
    record_id, version_id = (id if ids else short_id(id) for id in (version.record_id, version.version_id))
    output.paragraph((version.title or version.model, "bold italic"), f"  {version.model} {record_id}")
    marks = [word for word, is_so in (("current", version.is_current), ("live", version.is_published)) if is_so]
    about = f"version {version_id} of {in_zone(version.created_at, zone)} {name_of_zone(zone)}, by {version.editor}"
    output.paragraph(about, f" ({', '.join(marks)})" if marks else "")
    if version.published:
        output.paragraph(f"live {live_cell(version.published, zone, is_wide=True)[0]}")


def _value(session: CliContext, value: Value) -> None:
    output = session.output
    output.plain_line()
    output.paragraph((value.label, "bold"), *([(f" ({value.locale})", "dim")] if value.locale else []))
    for line in value.lines:
        for number, text in enumerate(line.text.split("\n")):
            label = f"{line.label}: " if line.label and not number else ""
            if text or label:
                output.paragraph(" " * INDENT, (label, "dim"), text, hang=INDENT)
