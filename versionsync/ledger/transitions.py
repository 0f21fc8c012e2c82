"""The transitions of one version between what the mirror holds and what upstream shows, as events in time.

Two facts make this exact. Only the current version can be published (or a mixture of it and what is live, which is
listed after it), so within one instant a version's publication comes before its successor is made. And upstream
states a version's last interval of being live, so that an interval that came and went between two looks is told all
the same; of several, only the last is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from versionsync.ledger.events import Basis, Event, EventType, JsonValue
from versionsync.ledger.look import Look, Moment, Rank
from versionsync.ledger.times import format_time, is_before
from versionsync.ledger.versions import Change, Version

__all__ = ["transitions"]


def transitions(change: Change, look: Look) -> Iterator[tuple[Moment, Event]]:
    """Every transition that `change` tells, each with its place in time."""
    yield from _existence(change, look)
    yield from _currency(change, look)
    yield from _publication(change, look)


def _existence(change: Change, look: Look) -> Iterator[tuple[Moment, Event]]:
    before, after = change.before, change.after
    place = look.places[after.id]
    if before is None:
        moment = Moment(look.starts[place], place, Rank.CREATED)
        yield moment, _stated(EventType.VERSION_CREATED, after, look, at=after.created_at, key=after.id)
        return
    if change.is_rewrite:
        yield _seen(
            EventType.VERSION_REWRITTEN,
            after,
            look,
            data={
                "previous_hash": before.content_hash.hex(),
                "hash": after.content_hash.hex(),
                "previous_created_at": format_time(before.created_at),
                **({"cause": change.cause} if change.cause else {}),
            },
        )
    if before.missing_since is None and after.missing_since is not None:
        yield _seen(EventType.VERSION_MISSING, after, look)
    if before.missing_since is not None and after.missing_since is None:
        yield _seen(EventType.VERSION_RETURNED, after, look)


def _currency(change: Change, look: Look) -> Iterator[tuple[Moment, Event]]:
    before, after = change.before, change.after
    place = look.places[after.id]
    was_current = before is not None and before.is_current
    # A version made before the current one was current in its time; one listed after it (a published mixture) never.
    # Nor was a mixture that the current one has passed: with an edit merged into it, it moves to the end of the list.
    came_before = look.current_place is None or place < look.current_place
    is_overtaken = look.moved_from is not None and not is_before(after.created_at, look.moved_from)
    passed = before is None and (after.is_current or (came_before and not is_overtaken))
    if passed:
        moment = Moment(look.starts[place], place, Rank.BECAME_CURRENT)
        yield moment, _stated(EventType.VERSION_BECAME_CURRENT, after, look, at=after.created_at, key=after.id)
    elif after.is_current and not was_current:
        yield _seen(EventType.VERSION_BECAME_CURRENT, after, look, rank=Rank.BECAME_CURRENT)
    if (passed or was_current) and not after.is_current:
        if was_current and look.went_with_the_last(after):
            yield look.beginning, _observed(EventType.VERSION_SUPERSEDED, after, look)
            return
        successor = look.successor(after)
        if successor is None:
            yield _seen(EventType.VERSION_SUPERSEDED, after, look, rank=Rank.PREDECESSOR_SUPERSEDED)
            return
        place = look.places[successor.id]
        moment = Moment(look.starts[place], place, Rank.PREDECESSOR_SUPERSEDED)
        if was_current and look.is_reborn and after.missing_since is not None:
            # It went with an earlier life of its record: who followed it in that one cannot be seen any more.
            event = _observed(EventType.VERSION_SUPERSEDED, after, look)
        else:
            key = f"{after.id}:{successor.id}"
            event = _stated(EventType.VERSION_SUPERSEDED, after, look, at=successor.created_at, key=key)
        yield moment, event


def _publication(change: Change, look: Look) -> Iterator[tuple[Moment, Event]]:
    before, after = change.before, change.after
    if before is None:
        if after.is_published or after.published_from is not None:
            yield _published(after, look)
        if not after.is_published and (after.published_from is not None or after.published_until is not None):
            yield _unpublished(after, look)
        return
    if _is_another_publication(before, after, look):
        if before.is_published:
            yield _unpublished_meanwhile(before, after, look)
        yield _published(after, look)
        if not after.is_published:
            yield _unpublished(after, look)
    elif before.is_published and not after.is_published:
        if look.went_with_the_last(after):
            yield look.beginning, _observed(EventType.VERSION_UNPUBLISHED, after, look)
            return
        yield _unpublished(after, look)
    elif after.is_published and not before.is_published:
        yield _published(after, look)
    elif _ended_later(before, after):
        yield _published(after, look, again=True)
        yield _unpublished(after, look)


def _is_another_publication(before: Version, after: Version, look: Look) -> bool:
    if after.published_from is None or after.published_from == before.published_from:
        return False
    if before.published_from is None and before.is_published:
        # Live before and now with a start: the same publication, unless it began after the last one known then.
        return look.published_before is not None and is_before(look.published_before, after.published_from)
    return True


def _ended_later(before: Version, after: Version) -> bool:
    """Whether a version, published and unpublished before, was so again within the second in which it had been."""
    return (
        not after.is_published
        and before.published_until is not None
        and after.published_until is not None
        and after.published_from == before.published_from
        and after.published_until > before.published_until
    )


def _published(version: Version, look: Look, *, again: bool = False) -> tuple[Moment, Event]:
    at = look.began(version)
    if at is None:
        return _seen(EventType.VERSION_PUBLISHED, version, look, rank=Rank.PUBLISHED)
    interval = "" if version.published_from else ":"  # of the record's time another publication may be, too
    until = f":{format_time(version.published_until)}" if again and version.published_until else ""
    key = f"{version.id}:{interval}{format_time(at)}{until}"
    return _publishing_moment(version, look, at), _stated(EventType.VERSION_PUBLISHED, version, look, at=at, key=key)


def _unpublished(version: Version, look: Look) -> tuple[Moment, Event]:
    until = version.published_until
    successor = look.taken_over_by(version, until)
    if until is None:
        event = _observed(EventType.VERSION_UNPUBLISHED, version, look)
        return _unpublishing_moment(version, look, look.observed_at, successor), event
    began = format_time(version.published_from) if version.published_from else ""
    key = f"{version.id}:{began}:{format_time(until)}"
    event = _stated(EventType.VERSION_UNPUBLISHED, version, look, at=until, key=key)
    return _unpublishing_moment(version, look, until, successor), event


def _unpublished_meanwhile(before: Version, after: Version, look: Look) -> tuple[Moment, Event]:
    """The end of a publication that upstream has overwritten with the next one of the same version."""
    assert after.published_from is not None
    began = format_time(after.published_from)
    event = _observed(EventType.VERSION_UNPUBLISHED, before, look, data={"before": began})
    event = replace(event, key=f"{event.type}:{before.id}:before:{began}")
    mixture = look.mixture_between(after)
    return _unpublishing_moment(after, look, after.published_from, mixture or after), event


def _publishing_moment(version: Version, look: Look, at: datetime) -> Moment:
    place = look.places[version.id]
    if mixture := look.mixture_before(version, at):
        place = look.places[mixture.id]
        return Moment(max(at, look.starts[place]), place, Rank.PUBLISHED_OVER_MIXTURE)
    return Moment(max(at, look.starts[place]), place, Rank.PUBLISHED)


def _unpublishing_moment(version: Version, look: Look, at: datetime, successor: Version | None) -> Moment:
    place = look.places[version.id]
    began = look.began(successor) if successor else None
    if successor is None or began is None or look.places[successor.id] < place:
        return Moment(max(at, look.starts[place]), place, Rank.UNPUBLISHED)
    begins = _publishing_moment(successor, look, began)
    return Moment(begins.at, begins.place, Rank.PREDECESSOR_UNPUBLISHED)


def _stated(type: EventType, version: Version, look: Look, *, at: datetime, key: str) -> Event:
    return Event(
        type=type,
        key=f"{type}:{key}",
        occurred_at=at,
        basis=Basis.UPSTREAM,
        record_id=look.record_id,
        version_id=version.id,
        model_id=version.model_id,
    )


def _seen(
    type: EventType,
    version: Version,
    look: Look,
    *,
    data: Mapping[str, JsonValue] | None = None,
    rank: Rank = Rank.OBSERVED,
) -> tuple[Moment, Event]:
    moment = Moment(max(look.observed_at, look.starts[-1]), len(look.order), rank)
    return moment, _observed(type, version, look, data=data)


def _observed(type: EventType, version: Version, look: Look, *, data: Mapping[str, JsonValue] | None = None) -> Event:
    after = format_time(look.seen_before) if look.seen_before else None
    return Event(
        type=type,
        key=f"{type}:{version.id}:observed:{format_time(look.observed_at)}",
        occurred_at=look.observed_at,
        basis=Basis.OBSERVED,
        record_id=look.record_id,
        version_id=version.id,
        model_id=version.model_id,
        data={"after": after, **(data or {})},
    )
