"""Values for tests: one line for what matters in a test, defaults for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from versionsync.ledger.ids import ModelId, RecordId, VersionId
from versionsync.ledger.records import Editor, SeenRecord, SeenVersion, Version

__all__ = ["MODEL", "RECORD", "Pull", "at", "record", "seen", "version"]

RECORD = RecordId("record")
MODEL = ModelId("model")
EPOCH = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Pull(NamedTuple):
    """What one check read of the record: the arguments of `plan_record`."""

    record: SeenRecord
    seen: Sequence[SeenVersion]
    is_complete: bool


def at(seconds: float) -> datetime:
    """A moment of the test's story."""
    return EPOCH + timedelta(seconds=seconds)


def record(**members: Any) -> SeenRecord:
    """A record's meta, made at 0."""
    defaults: dict[str, Any] = {
        "id": RECORD,
        "model_id": MODEL,
        "fingerprint": bytes(32),
        "status": "draft",
        "stage": None,
        "current_version_id": None,
        "creator": Editor("user", "7"),
        "created_at": at(0),
        "updated_at": at(0),
        "published_at": None,
        "first_published_at": None,
        "publication_scheduled_at": None,
        "unpublishing_scheduled_at": None,
    }
    return SeenRecord(**defaults | members)


def seen(
    id: str,
    created: float = 0,
    flags: str = "",
    *,
    live: tuple[float | None, float | None] = (None, None),
    content: str | None = None,
) -> SeenVersion:
    """A version as upstream lists it; `flags` is some of `c` (current) and `p` (published), `live` its interval."""
    assert set(flags) <= set("cp")
    start, end = live
    return SeenVersion(
        id=VersionId(id),
        model_id=MODEL,
        created_at=at(created),
        editor=Editor("user", "7"),
        is_current="c" in flags,
        is_published="p" in flags,
        published_from=None if start is None else at(start),
        published_until=None if end is None else at(end),
        is_valid=True,
        content_hash=sha256((content or id).encode()).digest(),
    )


def version(id: str, ordinal: int, created: float = 0, flags: str = "") -> Version:
    """A version as the mirror holds it."""
    return Version(seen=seen(id, created, flags), ordinal=ordinal)
