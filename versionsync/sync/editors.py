"""Names for those who made the versions, as far as the token may read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from versionsync import cma
from versionsync.ledger.records import Editor
from versionsync.mirror.editors import EditorRow

__all__ = ["read_editors"]

# Accounts and organizations are known as owners of the project only.
_LISTED_AS = {"account": "owner", "organization": "owner"}


async def read_editors(client: cma.Client, wanted: Iterable[Editor]) -> tuple[list[EditorRow], list[str]]:
    """What upstream says of the kinds of editor in `wanted`, and what to tell of those that cannot be read.

    One request a kind. Somebody who has been removed upstream is in no answer, and keeps type and id.
    """
    rows: list[EditorRow] = []
    refused: list[str] = []
    unknown: list[str] = []
    kinds = {_LISTED_AS.get(editor.type, editor.type) for editor in wanted}
    for kind in sorted(kinds):
        try:
            editors = await _read(client, kind)
        except (cma.PermissionDenied, cma.NotFound, cma.Rejected):
            refused.append(kind)
            continue
        if editors is None:
            unknown.append(kind)
        else:
            rows.extend(map(_row, editors))
    notes = []
    if refused:
        notes.append(f"this token may not read editors of kind {', '.join(refused)}: ids only")
    if unknown:
        notes.append(f"editors of kind {', '.join(unknown)} are new to this program: ids only")
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
