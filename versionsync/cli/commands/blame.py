"""`versionsync blame`: who wrote each passage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import VERSION_HELP, Ids, Sources, Zone

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.console import Console
    from rich.text import Text

    from versionsync.api import Authorship, Version
    from versionsync.history.render.words import Names

__all__ = ["blame"]

EDITOR_WIDTH: Final = 14
LEAST_TEXT: Final = 24
READABLE_WIDTH: Final = 120
PLACEHOLDER: Final = "\ufffc"


def blame(
    session: CliContext,
    record: Annotated[str, typer.Argument(metavar="RECORD", help=VERSION_HELP)],
    field: Annotated[str | None, typer.Argument(metavar="FIELD", help="Only this field: API key, label or id.")] = None,
    *,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show who wrote each passage of a text, and when.

    Text that was moved or restored keeps its author. Formatting has none. Of a value that is no text, such as a date,
    you see who set it.

    Examples:
        # Who wrote each sentence of a record.
        versionsync blame "The old fish market"

        # One field, as one JSON object for each passage.
        versionsync blame article:old-fish-market title --json
    """
    from versionsync.history.model import columns_of

    with session.open_history(sources=source or (), zone=zone) as history:
        found = history.blame(record, field)
        if session.output.as_json:
            for one in found:
                session.output.json(columns_of(one))
            return
        passages, version = list(found), history.shown(record)
        _head(session, version, ids=ids)
        _show(session, passages, history.names(version), history.zone, ids=ids)


def _head(session: CliContext, version: Version, *, ids: bool) -> None:
    from versionsync.history.names import short_id

    record_id, version_id = (id if ids else short_id(id) for id in (version.record_id, version.version_id))
    session.output.paragraph(
        (version.title or version.model, "bold italic"), f"  {version.model} {record_id}, version {version_id}"
    )


def _show(session: CliContext, passages: list[Authorship], names: Names, zone: tzinfo, *, ids: bool) -> None:
    from rich.cells import cell_len
    from rich.console import Console

    from versionsync.text import printable

    output = session.output
    width = min(EDITOR_WIDTH, max((cell_len(printable(one.editor)) for one in passages), default=0))
    console = Console(width=min(output.results.width, READABLE_WIDTH))
    for (label, locale), of_field in groupby(passages, key=lambda one: (one.label, one.locale)):
        output.plain_line()
        output.paragraph((label, "bold"), *([(f" ({locale})", "dim")] if locale else []))
        output.live(_lines(of_field, console, names, zone, width, ids=ids))
    if not passages:
        output.note("The record has no text.")


def _lines(
    passages: Iterable[Authorship], console: Console, names: Names, zone: tzinfo, width: int, *, ids: bool
) -> Iterator[Text]:
    """Yield a line for each passage: when, who, which version, and its words, wrapped."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    from versionsync.history.moments import in_zone
    from versionsync.history.names import short_id
    from versionsync.text import printable

    last = None
    for one in passages:
        version_id = one.version_id if ids else short_id(one.version_id)
        lead = f"{in_zone(one.created_at, zone)[:10]} {set_cell_size(printable(one.editor), width)} {version_id}  "
        if cell_len(lead) + LEAST_TEXT > console.width:
            lead = f"{in_zone(one.created_at, zone)[:10]} {version_id}  "
        # A mark begins each paragraph: passages alone do not show where it ends.
        mark = "¶ " if one.number != last else "  "
        text = Text()
        if one.number != last:
            text.append(_place(one, names), style="dim")
        text.append(_words(one, names))
        wrapped = text.wrap(console, max(console.width - cell_len(lead) - 2, LEAST_TEXT)) if text.plain else [text]
        for number, line in enumerate(wrapped):
            line.rstrip()
            head = Text().append(lead, style="dim") if not number else Text(" " * cell_len(lead))
            yield head + (mark if not number else "  ") + line
        last = one.number


def _place(one: Authorship, names: Names) -> str:
    """Where in its field a paragraph is, if it is in a block or a member: `Quote › Words: `."""
    from versionsync.history.render.words import label_of_member
    from versionsync.text import printable

    parts = [label_of_member(one.member)] if one.member else []
    if one.block_field is not None:
        block = names.model(one.block_model_id) or "block"
        parts = [block, names.field(one.block_model_id, one.block_field), *parts]
    return printable(f"{' › '.join(parts)}: ") if parts else ""


def _words(one: Authorship, names: Names) -> str:
    """The words of a passage on one line; a value that is no text in words."""
    from versionsync.history.render.words import value_in_words
    from versionsync.text import printable

    text = one.text
    if one.node_type == "value":
        with suppress(ValueError):  # otherwise it is shown as it is spelled
            text = value_in_words(json.loads(text), names.field_type(one.model_id, one.field), names)
    elif one.member == "image":
        text = names.file(text)
    elif one.member is not None:
        text = {"true": "yes", "false": "no"}.get(text, text)
    for record_id in one.inline_record_ids:
        text = text.replace(PLACEHOLDER, f"[{names.record(record_id) if record_id else 'block'}]", 1)
    return " ".join(filter(None, (printable(line).strip() for line in text.split("\n"))))
