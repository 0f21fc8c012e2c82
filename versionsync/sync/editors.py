"""Names for those who made the versions, as far as the token may read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from versionsync import cma
from versionsync.ledger.records import Editor
from versionsync.mirror.tables.editors import EditorRow

__all__ = ["read_editors"]

# Accounts and organizations are known as owners of the project only.
_LISTED_AS = {"account": "owner", "organization": "owner"}


async def read_editors(client: cma.Client, wanted: Iterable[Editor]) -> tuple[list[EditorRow], list[str]]:
    """What upstream says of the kinds of editor in `wanted`, and what to tell of those that cannot be read.

    One request a kind. Of somebody who is in no answer, having been removed upstream, the row says just that: it has a
    payload, so that nobody asks for it again in every run.
    """
    rows: list[EditorRow] = []
    refused: list[str] = []
    unreadable: list[str] = []
    unknown: list[str] = []
    wanted = set(wanted)
    kinds = {_LISTED_AS.get(editor.type, editor.type) for editor in wanted}
    for kind in sorted(kinds):
        try:
            editors = await _read(client, kind)
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
    rows.extend(_row_without_name(editor) for editor in sorted(nameless, key=lambda editor: (editor.type, editor.id)))
    return rows, notes


async def _read(client: cma.Client, kind: str) -> Sequence[cma.Editor] | None:
    match kind:
        case "user":
            return await client.users()
        case "sso_user":
            return await client.sso_users()
        case "access_token":
            return await client.access_tokens()
        case "owner":
            return await client.owners()
        case _:
            return None  # a kind that did not exist when this was written


def _row(editor: cma.Editor) -> EditorRow:
    return EditorRow(type=editor.type, id=editor.id, name=editor.name, email=editor.email, payload=editor.raw.decode())


def _row_without_name(editor: Editor) -> EditorRow:
    payload = json.dumps({"type": editor.type, "id": editor.id})
    return EditorRow(type=editor.type, id=editor.id, name=None, email=None, payload=payload)
