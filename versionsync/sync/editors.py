"""The names of editors, as far as the token may read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from versionsync import cma
from versionsync.ledger.records import Editor
from versionsync.mirror.tables.editors import EditorRow, unknown_editors, upsert_editors
from versionsync.sync.context import RunContext
from versionsync.sync.stage_results import StageResult

__all__ = ["save_editors"]

# DatoCMS lists accounts and organizations only as owners of the project.
_LISTED_AS = {"account": "owner", "organization": "owner"}


async def save_editors(ctx: RunContext) -> StageResult:
    """Read and save the names of editors that no run has asked for yet. A full run also asks for unnamed ones again."""
    unknown = await ctx.read(unknown_editors, nameless_too=ctx.options.full)
    rows, notes = await _read_editors(ctx.client, unknown)
    if rows:
        await ctx.write(lambda tx: upsert_editors(tx, ctx.lease, rows))
    return StageResult(notes=tuple(notes))


async def _read_editors(client: cma.Client, wanted: Iterable[Editor]) -> tuple[list[EditorRow], list[str]]:
    """Return rows for all editors of the kinds in `wanted`, and notes about kinds that cannot be read.

    This takes one request per kind. An editor who is in no answer was removed from the project. Its row has a payload
    without a name, so that the next runs do not ask for it again.
    """
    rows: list[EditorRow] = []
    refused: list[str] = []
    unreadable: list[str] = []
    unknown: list[str] = []
    wanted = set(wanted)
    kinds = {_LISTED_AS.get(editor.type, editor.type) for editor in wanted}
    for kind in sorted(kinds):
        try:
            editors = await _read_kind(client, kind)
        except (cma.PermissionDenied, cma.NotFound, cma.InvalidRequest):
            refused.append(kind)
            continue
        except cma.EnvironmentChanged:
            raise
        except cma.ProtocolError:
            unreadable.append(kind)
            continue
        if editors is None:
            unknown.append(kind)
        else:
            rows.extend(map(_row, editors))
    notes = []
    if refused:
        notes.append(f"this token may not read editors of kind {', '.join(refused)}: ids only")
    if unreadable:
        notes.append(f"what upstream says of editors of kind {', '.join(unreadable)} cannot be read: ids only")
    if unknown:
        notes.append(f"editors of kind {', '.join(unknown)} are new to this program: ids only")
    nameless = wanted - {Editor(row.type, row.id) for row in rows}
    for editor in sorted(nameless, key=lambda editor: (editor.type, editor.id)):
        payload = json.dumps({"type": editor.type, "id": editor.id})
        rows.append(EditorRow(type=editor.type, id=editor.id, payload=payload))
    return rows, notes


async def _read_kind(client: cma.Client, kind: str) -> Sequence[cma.Editor] | None:
    readers = {
        "user": client.users,
        "sso_user": client.sso_users,
        "access_token": client.access_tokens,
        "owner": client.owners,
    }
    return await readers[kind]() if kind in readers else None  # DatoCMS may add kinds later


def _row(editor: cma.Editor) -> EditorRow:
    return EditorRow(type=editor.type, id=editor.id, name=editor.name, email=editor.email, payload=editor.raw.decode())
