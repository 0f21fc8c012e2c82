"""Whether a project has what a mirror has, record by record. Pure.

Contents are compared by their values. A date-time in another zone or precision is the same time. Other times are
compared in whole seconds, since many projects have no finer ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from versionsync.history.diff.schema import Schema
from versionsync.ledger.content import canonical, canonical_value, parse_value
from versionsync.ledger.records import Editor
from versionsync.ledger.sameness import same_value
from versionsync.restore.model import LeftAlone, Loss

__all__ = ["Comparison", "Difference", "DrillReport", "Outcome", "RecordState", "Why", "compare_with_mirror", "is_said"]


class Why(StrEnum):
    """How something differs. The values are public."""

    MISSING = "missing"
    """The mirror has it, the project has not."""
    UNEXPECTED = "unexpected"
    """The project has it, the mirror has not."""
    BLOCK_IDS = "block_ids"
    """Only the ids of blocks differ."""
    LINKS = "links"
    """Only the records that it links to differ, and perhaps the ids of blocks."""
    VALUE = "value"
    """Another value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordState:
    """A record without its past. `current` and `published` are contents, as JSON texts; None: there is none."""

    id: str
    model_id: str
    current: bytes | None
    published: bytes | None
    status: str | None
    stage: str | None
    creator: Editor | None
    created_at: datetime | None
    first_published_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which a record of the project is not as the mirror has it.

    Attributes:
        record_id: The record.
        model_id: Its model, as the mirror has it if it has the record.
        part: `record`, `current`, `published`, or a member of a record's meta, such as `creator`.
        why: How it differs.
        field: The API key of the field that differs. None: this is about no single field.
    """

    record_id: str
    model_id: str
    part: str
    why: Why
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the records of a project and those of a mirror compare.

    Attributes:
        records: How many records the mirror has.
        versions: How many contents were compared: one for each record, two if another one is live.
        equal: How many records are the same in all that is compared.
        different: What differs in the others.
    """

    records: int
    versions: int
    equal: int
    different: tuple[Difference, ...]


class Outcome(Protocol):
    """What a restore came to, as far as a drill asks."""

    @property
    def left_alone(self) -> Sequence[LeftAlone]:
        """The records that it did not restore, and why."""
        ...

    @property
    def losses(self) -> Sequence[Loss]:
        """What it said that cannot come back as it was."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport(Comparison):
    """What a rehearsal showed.

    Attributes:
        different: What differs although the restore did not say so.
        said: What differs as the restore said.
        left_alone: The records that were not restored, and why. They count neither as equal nor as different.
        requests: How many requests the restore took.
        seconds: How long it took.
    """

    said: tuple[Difference, ...] = ()
    left_alone: tuple[LeftAlone, ...]
    requests: int
    seconds: float


def compare_with_mirror(
    mirrored: Iterable[RecordState],
    restored: Iterable[RecordState],
    schema: Schema,
    *,
    ignored: Iterable[str] = (),
) -> Comparison:
    """Compare two lists of records, each in the order of ids. Only one record of each is in memory at a time.

    Args:
        mirrored: The records as the mirror has them.
        restored: The records of the project.
        schema: The fields of all models, to tell the links.
        ignored: The ids of records that are only counted.
    """
    left_out = frozenset(ignored)
    records = versions = equal = 0
    different: list[Difference] = []
    for expected, found in _pairs(iter(mirrored), iter(restored)):
        if expected is not None:
            records += 1
        if (expected or found).id in left_out:  # type: ignore[union-attr]  # one of them exists
            continue
        if expected is not None and found is not None:
            versions += 1 if expected.published in (None, expected.current) else 2
        differences = list(_differences(expected, found, schema))
        equal += not differences
        different += differences
    return Comparison(records=records, versions=versions, equal=equal, different=tuple(different))


def is_said(difference: Difference, losses: Iterable[Loss]) -> bool:
    """Return whether losses of the same record explain a difference.

    A loss with a path is about a field. One without is about the record itself, or the ids of its blocks.
    """
    return any(
        loss.path[0] == difference.field if loss.path else difference.field is None or difference.why is Why.BLOCK_IDS
        for loss in losses
    )


_Pair: TypeAlias = tuple[RecordState, RecordState] | tuple[RecordState, None] | tuple[None, RecordState]


def _pairs(left: Iterator[RecordState], right: Iterator[RecordState]) -> Iterator[_Pair]:
    """Yield the records of both sides with the same id together, the others alone."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if one is not None and (other is None or one.id < other.id):
            yield one, None
            one = next(left, None)
        elif other is not None and (one is None or other.id < one.id):
            yield None, other
            other = next(right, None)
        elif one is not None and other is not None:
            yield one, other
            one, other = next(left, None), next(right, None)


_META: Final = ("model_id", "status", "stage", "creator", "created_at", "first_published_at")


def _differences(expected: RecordState | None, found: RecordState | None, schema: Schema) -> Iterator[Difference]:
    if expected is None or found is None:
        record = expected or found
        assert record is not None
        side = Why.UNEXPECTED if expected is None else Why.MISSING
        yield Difference(record_id=record.id, model_id=record.model_id, part="record", why=side)
        return
    about = {"record_id": expected.id, "model_id": expected.model_id}
    for name in _META:
        if (why := _compared(_whole(getattr(expected, name)), _whole(getattr(found, name)))) is not None:
            yield Difference(**about, part=name, why=why)
    for part in ("current", "published"):
        before, after = getattr(expected, part), getattr(found, part)
        if before is None or after is None:
            if (why := _compared(before, after)) is not None:
                yield Difference(**about, part=part, why=why)
        elif not (before == after or canonical(before) == canonical(after)):
            for field, how in _fields(before, after, expected.model_id, schema):
                yield Difference(**about, part=part, why=how, field=field)


def _whole(value: object) -> object:
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


def _compared(expected: object, found: object) -> Why | None:
    if expected == found:
        return None
    return Why.MISSING if found is None else Why.UNEXPECTED if expected is None else Why.VALUE


def _fields(expected: bytes, found: bytes, model_id: str, schema: Schema) -> Iterator[tuple[str, Why]]:
    """Yield the fields that differ between two contents, and how. A member that is null differs from a missing one."""
    before, after = _members(expected), _members(found)
    types = {key: field.field_type for key, field in schema.of_model(model_id).items()}
    for key in sorted(before.keys() | after.keys()):
        if key not in after:
            yield key, Why.MISSING
        elif key not in before:
            yield key, Why.UNEXPECTED
        elif not _is_same(before[key], after[key]):
            yield key, _how(before[key], after[key], types.get(key), schema)


def _members(content: bytes) -> Mapping[str, object]:
    value = parse_value(content)
    return value if isinstance(value, dict) else {}


def _is_same(one: object, other: object) -> bool:
    before, after = canonical_value(one), canonical_value(other)
    return before == after or same_value(before, after)


def _how(expected: object, found: object, field_type: str | None, schema: Schema) -> Why:
    """Return how two values of a field that are not the same differ."""
    for why, ids, links in ((Why.BLOCK_IDS, True, False), (Why.LINKS, False, True), (Why.LINKS, True, True)):
        try:
            before, after = (_masked(value, field_type, schema, ids, links) for value in (expected, found))
        except RecursionError:
            break
        if _is_same(before, after):
            return why
    return Why.VALUE


def _masked(value: object, field_type: str | None, schema: Schema, ids: bool, links: bool) -> object:
    """Return a value of a field without the ids of blocks (`ids`), without links (`links`), or without both."""
    if links and field_type in {"link", "links"}:
        return dict.fromkeys(value) if isinstance(value, dict) else None
    if isinstance(value, list):
        return [_masked(inner, field_type, schema, ids, links) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "item" and isinstance(value.get("attributes"), dict):
        types = schema.of_model(_model_id(value))
        attributes = {
            key: _masked(inner, types[key].field_type if key in types else None, schema, ids, links)
            for key, inner in value["attributes"].items()
        }
        return {**value, "attributes": attributes, "id": None if ids else value.get("id")}
    is_link = links and value.get("type") in {"itemLink", "inlineItem"}
    return {
        key: None if is_link and key == "item" else _masked(inner, field_type, schema, ids, links)
        for key, inner in value.items()
    }


def _model_id(block: Mapping[str, object]) -> str | None:
    match block.get("relationships"):
        case {"item_type": {"data": {"id": str(id)}}}:
            return id
    return None
