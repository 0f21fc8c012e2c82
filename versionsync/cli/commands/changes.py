"""`versionsync changes`: what changed in the project since a time, the most important first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from versionsync.cli.context import CliContext
from versionsync.cli.history_options import (
    Ids,
    Limit,
    Model,
    Sources,
    Until,
    Zone,
    echo_time,
    explain_nothing,
    show_rows,
    warn_unfilled,
)
from versionsync.cli.terminal.output import Cell, Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from versionsync.api import RecordChanges

__all__ = ["changes"]

NAMED: Final = 5
"""How many fields and editors the summary names."""


def changes(
    session: CliContext,
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Since this time: 2026-03-03 12:00, last friday, 2 days ago.")
    ],
    until: Until = None,
    model: Model = None,
    limit: Limit = None,
    ids: Ids = False,
    source: Sources = None,
    zone: Zone = None,
) -> None:
    """Show what changed in the project since a time: records, fields and editors, the most important first.

    What was deleted or unpublished comes first, then what was published, created and edited.

    Examples:
        # Since the last release.
        versionsync changes --since "last friday 18:00"

        # Articles in the last 30 days, as one JSON object a record.
        versionsync changes --since "30 days ago" --model article --json
    """
    with session.open_history(sources=source or (), zone=zone) as history:
        start, end = echo_time(session, history, "since", since), echo_time(session, history, "until", until)
        assert start is not None
        found = history.changes(start, end, model=model)
        if session.output.as_json:
            show_rows(session, (), found, lambda one: (), limit=limit)
        else:
            rows = list(found)
            if rows:
                _summary(session, rows)
                columns, row_of = _table(session, ids=ids)
                show_rows(session, columns, rows, row_of, limit=limit)
            else:
                explain_nothing(session, history, end)
        warn_unfilled(session, history, "changes", "intervals", "titles")


def _summary(session: CliContext, rows: Sequence[RecordChanges]) -> None:
    """Write a line on records, one on fields, one on editors."""
    from versionsync.history.questions.recent import IMPORTANCE
    from versionsync.text import count

    acts = Counter(act for row in rows for act in row.acts)
    fields = Counter(field for row in rows for field in row.fields or ())
    editors = Counter(editor for row in rows for editor in row.editors)
    versions = count(sum(row.versions for row in rows), "version")
    done = ", ".join(f"{acts[kind]:,} {kind.value}" for kind in IMPORTANCE if acts[kind])
    output = session.output
    output.paragraph((f"{count(len(rows), 'record')}, {versions}", "bold"), f": {done}", hang=2)
    for label, counted in (("fields: ", fields), ("saved by ", editors)):
        if counted:
            most = [f"{name} in {number:,}" for name, number in counted.most_common(NAMED)]
            most[0] = most[0].rpartition(" ")[0] + " " + count(counted.most_common(1)[0][1], "record")
            more = f" and {len(counted) - NAMED} more" if len(counted) > NAMED else ""
            output.paragraph((label, "dim"), f"{', '.join(most)}{more}", hang=2)
    output.plain_line()


def _table(session: CliContext, *, ids: bool) -> tuple[list[Column], Callable[[RecordChanges], list[Cell]]]:
    from versionsync.cli.views.history import acts_cell, id_cell, title_cell

    is_wide = session.output.is_wide
    columns = [
        Column("what", shrinks=True, least=16),
        Column("title", shrinks=True, least=26),
        *([Column("model", shrinks=True, least=7)] if is_wide else []),
        Column("fields", shrinks=True, least=10),
        Column("words", "right"),
        Column("saved by", shrinks=True, least=11),
        Column("record"),
    ]

    def row(one: RecordChanges) -> list[Cell]:
        words = [f"+{one.words_added:,}"] * bool(one.words_added) + [f"−{one.words_removed:,}"] * bool(
            one.words_removed
        )
        return [
            acts_cell(one.acts),
            title_cell(one.title, one.model),
            *([one.model] if is_wide else []),
            "not computed yet" if one.fields is None else ", ".join(one.fields) or "–",
            " ".join(words) or "–",
            ", ".join(one.editors) or "–",
            id_cell(one.record_id, in_full=ids),
        ]

    return columns, row
