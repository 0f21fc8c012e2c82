"""Names for those who made the versions, as far as the token may read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from versionsync import cma
from versionsync.ledger.records import Editor
from versionsync.mirror.editors import EditorRow

__all__ = ["read_editors"]


async def read_editors(client: cma.Client, wanted: Iterable[Editor]) -> tuple[list[EditorRow], list[str]]:
    """What upstream says of the kinds of editor in `wanted`, and which kinds this token may not read.

    One request a kind. Somebody who has been removed upstream is in no answer, and keeps type and id.
    """
    rows: list[EditorRow] = []
    refused: list[str] = []
    kinds = {editor.type for editor in wanted}
    for kind in sorted(kinds):
        try:
            rows.extend(_row(editor) for editor in await _read(client, kind))
        except (cma.PermissionDenied, cma.NotFound, cma.Rejected):
            refused.append(kind)
    return rows, refused


async def _read(client: cma.Client, kind: str) -> Sequence[cma.Editor]:
    readers: dict[str, Callable[[], Awaitable[Sequence[cma.Editor]]]] = {
        "user": client.users,
        "sso_user": client.sso_users,
        "access_token": client.access_tokens,
        "account": client.owners,
        "organization": client.owners,
    }
    return await readers[kind]() if kind in readers else ()


def _row(editor: cma.Editor) -> EditorRow:
    return EditorRow(type=editor.type, id=editor.id, name=editor.name, email=editor.email, payload=editor.raw.decode())
