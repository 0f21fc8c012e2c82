"""One record upstream, as an editor works on it; it writes down what really happens.

Nothing here is shared with the ledger but the types in which a pull is handed over: what happened, and what of it
upstream still states, is found without any of its rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count

from versionsync.ledger.events import EventType
from versionsync.ledger.ids import VersionId
from versionsync.ledger.records import KnownRecord, SeenRecord, SeenVersion
from versionsync.ledger.version_order import oldest_first

from .build import EPOCH, Pull, record, seen

__all__ = ["Happening", "Upstream"]


@dataclass(slots=True, eq=False)
class Happening:
    """One true transition. `at` holds each time that upstream states for it, or once stated; empty: it never does.

    `by_hand`: an unpublication that is no take-over, or whose take-over upstream has forgotten: its place within its
    instant is not stated. `is_open`:
    upstream contradicts itself about it, so that it may be told or not. `is_restated`: upstream no longer shows what it
    showed then (a burst moved a time, a successor is gone), so that who looks now sees it at another place.
    """

    type: EventType
    version_id: VersionId | None
    at: list[datetime]
    by_hand: bool = False
    is_open: bool = False
    is_restated: bool = False


@dataclass(slots=True, eq=False)
class _Version:
    id: VersionId
    created_at: datetime
    content: str
    is_current: bool = True
    is_published: bool = False
    published_from: datetime | None = None
    published_until: datetime | None = None
    was_published: bool = False
    created: Happening = field(init=False)
    became_current: Happening = field(init=False)
    superseded: Happening | None = None
    successor: _Version | None = None
    took_over: Happening | None = None
    published: Happening | None = None
    unpublished: Happening | None = None


class Upstream:
    """A record and its versions. Each method but the reading ones is an act; `truth` holds what the acts did."""

    def __init__(
        self, *, draft_mode: bool = True, whole_seconds: bool = False, keeps_published_at: bool = True
    ) -> None:
        self.draft_mode = draft_mode
        self.whole_seconds = whole_seconds
        self.was_reprinted = False
        self.keeps_published_at = keeps_published_at
        self.now = EPOCH + timedelta(milliseconds=123)  # never `.000`, which is compared as a time without milliseconds
        self.tracks_intervals = True
        self.truth: list[Happening] = []
        self.made: list[_Version] = []  # oldest first
        self.versions: list[_Version] = []  # those of them that are listed
        self.exists = False
        self.still_listed: list[SeenVersion] = []  # after a deletion
        self.published_at: datetime | None = None
        self.record_created: Happening | None = None
        self._numbers = count(1)

    # --- what is there ---

    @property
    def current(self) -> _Version | None:
        return next((version for version in self.versions if version.is_current), None)

    @property
    def published(self) -> _Version | None:
        return next((version for version in self.versions if version.is_published), None)

    @property
    def can_merge(self) -> bool:
        """Whether the current version was never live, so that a burst may go on in it."""
        return self.exists and self.current is not None and not self.current.was_published

    @property
    def can_purge(self) -> bool:
        return self.exists and len(self.versions) > 1 and not self.versions[0].is_published

    # --- acts ---

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def create(self) -> None:
        """Make the record, perhaps again under its old id: then its old versions are gone, flags and all."""
        type = EventType.RECORD_RETURNED if self.record_created else EventType.RECORD_CREATED
        self.record_created = self._tell(type, None, [self.now])
        self.exists, self.created_at, self.published_at = True, self.now, None
        current, published = self.current, self.published
        for version in self.versions:
            self._tell(EventType.VERSION_MISSING, version.id, [])
        self.versions = []
        if published is not None:
            ended = [v.published_until for v in self.still_listed if v.id == published.id and v.published_until]
            self._tell(EventType.VERSION_UNPUBLISHED, published.id, ended, by_hand=True)
        self._make(self.now, after=current)
        if current is not None and current.superseded is not None:
            current.superseded.is_restated = True  # by a version of another life: upstream says nothing of it
        self._restate()

    def edit(self) -> None:
        self._make(self.now)

    def publish(self) -> None:
        version, before = self.current, self.published
        assert version is not None
        assert version is not before
        if version.took_over is not None:
            version.took_over.by_hand = True  # the interval whose start told it is overwritten now
        version.took_over = self._end(before, by_hand=False) if before else None
        version.is_published = version.was_published = True
        version.published_from, version.published_until = (self.now if self.tracks_intervals else None), None
        version.published = self._tell(EventType.VERSION_PUBLISHED, version.id, [self.now])
        version.unpublished = None
        self.published_at = self.now

    def unpublish(self) -> None:
        version = self.published
        assert version is not None
        self._end(version, by_hand=True)
        if not self.keeps_published_at:
            self.published_at = None

    def merge_in_place(self, *, moves_time: bool) -> None:
        """A burst: the current version keeps its id, its content changes, perhaps its time."""
        version = self.current
        assert version is not None
        version.content = f"content {next(self._numbers)}"
        if moves_time:
            version.created_at = self.now
            version.created.is_restated = version.became_current.is_restated = True
            version.created.at.append(self.now)
            version.became_current.at.append(self.now)
            self._restate()
        self._tell(EventType.VERSION_REWRITTEN, version.id, [])

    def merge_as_new(self, *, keeps_time: bool) -> None:
        """A burst: the current version is gone, another one stands in its place."""
        swallowed = self.current
        assert swallowed is not None
        self.versions.remove(swallowed)
        created_at = swallowed.created_at if keeps_time else self.now
        self._make(created_at, after=swallowed)
        self._tell(EventType.VERSION_MISSING, swallowed.id, [])
        self._restate()

    def reprint(self) -> None:
        """The project's times are printed in another precision from now on; nothing happens."""
        self.whole_seconds, self.was_reprinted = not self.whole_seconds, True

    def purge_oldest(self) -> None:
        self._tell(EventType.VERSION_MISSING, self.versions.pop(0).id, [])
        self._restate()

    def delete(self, still_listed: str) -> None:
        """The record goes; upstream goes on to list `nothing`, `all`, `all without flags` or `all ended` of it.

        The last is without flags as well, and the version that was live is said to have been so until now.
        """
        listed, live = list(self._listing()), self.published
        if still_listed in ("all without flags", "all ended"):
            listed = [replace(version, is_current=False, is_published=False) for version in listed]
        if still_listed == "all ended" and live is not None:
            listed = [replace(v, published_until=self._shown(self.now)) if v.id == live.id else v for v in listed]
            self._tell(EventType.VERSION_UNPUBLISHED, live.id, [self.now], by_hand=True, is_open=True)
        self.still_listed = [] if still_listed == "nothing" else listed
        self.exists = False
        self._tell(EventType.RECORD_DELETED, None, [])

    def come_back(self) -> None:
        """It was not deleted after all (the token could not see it): the same versions, the same flags."""
        self.exists = True
        self._tell(EventType.RECORD_RETURNED, None, [])
        live = self.published
        if live is not None and live.published is not None:
            self._tell(EventType.VERSION_PUBLISHED, live.id, list(live.published.at), is_open=True)

    # --- what upstream answers ---

    def meta(self) -> SeenRecord:
        live, current = self.published, self.current
        status = "draft" if live is None else "published" if live is current else "updated"
        return record(
            status=status if self.draft_mode else None,
            current_version_id=current.id if current else None,
            created_at=self._shown(self.created_at),
            published_at=self._shown(self.published_at) if self.published_at else None,
        )

    def everything(self) -> Pull:
        return Pull(record=self.meta(), seen=oldest_first([*self._listing()]), is_complete=True)

    def as_little_as_needed(self, known: KnownRecord | None, page: int) -> Pull:
        """A pull that stops after the page with the last known current version, where the counts allow it.

        The version that was published then may lie below: it is asked for by itself.
        """
        listed, meta = list(self._listing()), self.meta()
        if known is None or known.deleted_at is not None:
            return self.everything()
        ids = [version.id for version in listed]
        if known.current_version_id not in ids:
            return self.everything()
        place = ids.index(known.current_version_id)
        if place + known.version_count != len(listed):
            return self.everything()
        read = listed[: (place // page + 1) * page]
        if len(read) == len(listed):
            return self.everything()
        live = meta.status in ("published", "updated") or (meta.status is None and meta.published_at is not None)
        if live and not any(version.is_published for version in read):
            if known.published_version_id is None or meta.published_at != known.published_at:
                return self.everything()
            former = []
        else:
            former = [v for v in listed[len(read) :] if v.id == known.published_version_id]
        return Pull(record=meta, seen=(*former, *oldest_first(read)), is_complete=False)

    def stated(self) -> list[Happening]:
        """What upstream's answers tell of the past, if asked now."""
        if not self.exists:
            return []
        told = {id(self.record_created)}
        for version in self.versions:
            told |= {id(version.created), id(version.became_current)}
            if not version.is_current:
                told.add(id(version.superseded))
            if version.published_from is not None or version.is_published:
                told.add(id(version.published))
            if version.published_until is not None:
                told.add(id(version.unpublished))
        return [happening for happening in self.truth if id(happening) in told]

    def shown(self, happening: Happening) -> set[datetime]:
        """The times that upstream states or stated for it, as precisely as it does or did."""
        cut = {at.replace(microsecond=0) for at in happening.at}
        if not self.was_reprinted:
            return cut if self.whole_seconds else set(happening.at)
        return cut | set(happening.at)

    # --- inside ---

    def _tell(self, type: EventType, version: VersionId | None, at: list[datetime], **more: bool) -> Happening:
        happening = Happening(type, version, list(at), **more)
        self.truth.append(happening)
        return happening

    def _make(self, created_at: datetime, after: _Version | None = None) -> _Version:
        number = next(self._numbers)
        version = _Version(VersionId(f"v{number}"), created_at, f"content {number}")
        version.created = self._tell(EventType.VERSION_CREATED, version.id, [created_at])
        before = after or self.current
        if before is not None:
            before.is_current, before.successor = False, version
            before.superseded = self._tell(EventType.VERSION_SUPERSEDED, before.id, [created_at])
        version.became_current = self._tell(EventType.VERSION_BECAME_CURRENT, version.id, [created_at])
        self.made.append(version)
        self.versions.append(version)
        if not self.draft_mode:
            self.publish()
        return version

    def _end(self, version: _Version, *, by_hand: bool) -> Happening:
        version.is_published = False
        version.published_until = self.now if self.tracks_intervals else None
        stated = [self.now] if self.tracks_intervals else []
        version.unpublished = self._tell(EventType.VERSION_UNPUBLISHED, version.id, stated, by_hand=by_hand)
        return version.unpublished

    def _restate(self) -> None:
        """Who knows a version as the current one now sees it superseded by the next one that is listed, at its time."""
        listed: _Version | None = None
        for version in reversed(self.made):
            if version.superseded and listed:
                version.superseded.is_restated |= listed is not version.successor or listed.created.is_restated
                version.superseded.at.append(listed.created_at)
            if version in self.versions:
                listed = version

    def _listing(self) -> Iterator[SeenVersion]:
        """Newest first, as upstream lists."""
        for version in reversed(self.versions):
            shown = seen(version.id)
            yield replace(
                shown,
                created_at=self._shown(version.created_at),
                is_current=version.is_current,
                is_published=version.is_published,
                published_from=self._shown(version.published_from) if version.published_from else None,
                published_until=self._shown(version.published_until) if version.published_until else None,
                content_hash=sha256(version.content.encode()).digest(),
            )

    def _shown(self, time: datetime) -> datetime:
        return time.replace(microsecond=0) if self.whole_seconds else time
