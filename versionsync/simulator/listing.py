"""Which records `/items` lists, and in which order."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import ge, gt, le, lt
from typing import Any, Final

from versionsync.simulator import content as contents
from versionsync.simulator.blocks import own_records
from versionsync.simulator.calls import Call
from versionsync.simulator.models import Model
from versionsync.simulator.problems import Refused, invalid_params
from versionsync.simulator.records import Record
from versionsync.simulator.times import parse_time
from versionsync.simulator.visibility import is_listed, sees_model

__all__ = ["VERSION_CHOICES", "Listings"]

VERSION_CHOICES: Final = frozenset({"current", "published", "published-or-current"})
LISTINGS_KEPT: Final = 16

_FILTER: Final = re.compile(r"filter\[fields\]\[(\w+)\]\[(\w+)\](?:\[\w+\]|\[\])?")
_ORDER: Final = re.compile(r"(\w+)_(ASC|DESC)", re.IGNORECASE)

Predicate = Callable[[Record], bool]
Column = Callable[[Record], Any]

_META_COLUMNS: Final[Mapping[str, Column]] = {
    "id": lambda record: record.id,
    "_created_at": lambda record: record.created_at,
    "_updated_at": lambda record: record.updated_at,
    "_published_at": lambda record: record.published_at,
    "_first_published_at": lambda record: record.first_published_at,
    "_publication_scheduled_at": lambda record: record.publication_scheduled_at,
    "_unpublishing_scheduled_at": lambda record: record.unpublishing_scheduled_at,
    "_status": lambda record: record.status,
    "_is_valid": lambda record: record.head.is_valid,
    "_creator": lambda record: None if record.model.is_block else record.creator.id,
}
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {"gt": gt, "lt": lt, "gte": ge, "lte": le}


class Listings:
    """The matching records of the latest queries: the pages of one walk do not filter and sort anew."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: OrderedDict[object, Sequence[Record]] = OrderedDict()

    def records(self, call: Call) -> Sequence[Record]:
        """All records that the query of *call* asks for, in its order. Raises Refused (422)."""
        where, switches = call.environment, call.world.switches
        query = tuple(sorted((key, value) for key, value in call.query.items() if not key.startswith("page[")))
        rules = (switches.lists_blocks, switches.unknown_model_in_filter, switches.date_filters_cut_to_minute)
        key = (where, where.revision, call.role, call.services.faults.vanished_share, rules, query)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = _find(call)
            if len(self._kept) > LISTINGS_KEPT:
                self._kept.popitem(last=False)
        return found


def _find(call: Call) -> Sequence[Record]:
    models = _models(call)
    by_id = _ids(call, models)
    model = models[0] if models is not None and len(models) == 1 else None
    predicates = [*_predicates(call, model)]
    if models is not None:
        wanted = frozenset(models)
        predicates.insert(0, lambda record: record.model in wanted)
    candidates = _candidates(call, models) if by_id is None else by_id
    found = [
        record for record in candidates if is_listed(call, record) and all(matches(record) for matches in predicates)
    ]
    return _ordered(call, found, model)


def _candidates(call: Call, models: Sequence[Model] | None) -> Iterable[Record]:
    """The records, and the blocks where the query may be about some; otherwise no content is read."""
    records = own_records(call.environment)
    wants_blocks = call.world.switches.lists_blocks if models is None else any(model.is_block for model in models)
    return chain(records, call.services.blocks.of(call.environment).values()) if wants_blocks else records


def _models(call: Call) -> list[Model] | None:
    """The models of `filter[type]`; None: no filter. The switch says what becomes of an id that is not seen."""
    wanted = call.query.get("filter[type]")
    if wanted is None:
        return None
    seen: list[Model] = []
    unseen: list[str] = []
    for key in (part.strip() for part in wanted.split(",")):
        model = call.environment.find_model(key)
        if model is None or not sees_model(call, model):
            unseen.append(key)
        elif model not in seen:
            seen.append(model)
    if not unseen:
        return seen
    match call.world.switches.unknown_model_in_filter:
        case "refused":
            raise Refused("ITEM_TYPE_NOT_FOUND", details={"item_type": unseen[0]})
        case "ignored":
            return seen or None
        case "all_ignored":
            return None
        case "empty":
            return seen
        case "all_empty":
            return []


def _ids(call: Call, models: list[Model] | None) -> list[Record] | None:
    wanted = call.query.get("filter[ids]")
    if wanted is None:
        return None
    if models is not None:
        raise invalid_params("filter[ids]", "cannot go together with filter[type]")
    asked = list(dict.fromkeys(id.strip() for id in wanted.split(",")))
    known = call.environment.records
    found = [known[id] for id in asked if id in known]
    if len(found) < len(asked):
        blocks = call.services.blocks.of(call.environment)
        found += [blocks[id] for id in asked if id not in known and id in blocks]
    return found


def _predicates(call: Call, model: Model | None) -> list[Predicate]:
    predicates: list[Predicate] = []
    if call.query.get("filter[only_valid]", "false") == "true":
        predicates.append(lambda record: record.head.is_valid)
    if (text := call.query.get("filter[query]")) is not None:
        needle = text.encode().lower()
        predicates.append(lambda record: needle in record.head.read().lower())
    if call.query.get("version") == "published":
        predicates.append(lambda record: record.published is not None)
    for name, value in call.query.items():
        if name.startswith("filter[fields]"):
            predicates.append(_field_predicate(call, model, name, value))
    return predicates


def _field_predicate(call: Call, model: Model | None, name: str, value: str) -> Predicate:
    parsed = _FILTER.fullmatch(name)
    if parsed is None:
        raise Refused("INVALID_FILTER_FIELDS_PARAM", details={"parameter": name})
    key, operator = parsed.groups()
    column = _META_COLUMNS.get(key)
    if column is None:
        if model is None:
            raise Refused(
                "INVALID_FILTER_FIELDS_PARAM", details={"field": key, "reason": "wants one model in filter[type]"}
            )
        column = _field_column(model, key)
    if operator == "exists":
        return lambda record: (column(record) is not None) == (value == "true")
    if key.endswith("_at"):
        return _time_predicate(call, column, operator, value)
    if operator in {"eq", "neq"}:
        return lambda record: (_as_text(column(record)) == value) == (operator == "eq")
    if operator in {"in", "notIn"}:
        wanted = frozenset(value.split(","))
        return lambda record: (_as_text(column(record)) in wanted) == (operator == "in")
    if operator == "matches":
        pattern = re.compile(value, re.IGNORECASE)
        return lambda record: pattern.search(_as_text(column(record))) is not None
    if operator in _COMPARISONS:
        compare = _COMPARISONS[operator]
        return lambda record: column(record) is not None and compare(_as_text(column(record)), value)
    raise Refused("INVALID_FILTER_FIELDS_PARAM", details={"field": key, "operator": operator})


def _time_predicate(call: Call, column: Column, operator: str, value: str) -> Predicate:
    wanted = _cut(call, parse_time(value))
    if operator in _COMPARISONS:
        compare = _COMPARISONS[operator]
        return lambda record: (at := column(record)) is not None and compare(_cut(call, at), wanted)
    if operator in {"eq", "neq"}:
        return lambda record: (at := column(record)) is not None and (_cut(call, at) == wanted) == (operator == "eq")
    raise Refused("INVALID_FILTER_FIELDS_PARAM", details={"operator": operator})


def _cut(call: Call, at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) if call.world.switches.date_filters_cut_to_minute else at


def _field_column(model: Model, key: str) -> Column:
    if model.field_by_key(key) is None and not (key in {"position", "parent_id"} and (model.sortable or model.tree)):
        raise Refused("INVALID_FILTER_FIELDS_PARAM", details={"field": key, "model": model.api_key})

    def column(record: Record) -> Any:
        value = contents.split(record.head.read()).get(key)
        return None if value is None else contents.load(value)

    return column


def _as_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return bytes(contents.raw(value)).decode()
        case _:
            return str(value)


def _ordered(call: Call, records: list[Record], model: Model | None) -> Sequence[Record]:
    order = call.query.get("order_by")
    if order is None:
        # Upstream's own order: what was touched last comes first, so the pages move while editors work.
        records.sort(key=lambda record: (record.updated_at, record.sequence), reverse=True)
        return records
    if model is None:
        raise Refused(
            "INVALID_ORDERING", details={"order_by": order, "reason": "wants exactly one model in filter[type]"}
        )
    for part in reversed(order.split(",")):
        parsed = _ORDER.fullmatch(part.strip())
        if parsed is None:
            raise Refused("INVALID_ORDERING", details={"order_by": part})
        key, direction = parsed.groups()
        column = _META_COLUMNS.get(key) or _order_column(model, key)
        known = [record for record in records if column(record) is not None]
        known.sort(key=column, reverse=direction.upper() == "DESC")
        records = known + [record for record in records if column(record) is None]
    return records


def _order_column(model: Model, key: str) -> Column:
    try:
        column = _field_column(model, key)
    except Refused:
        raise Refused("INVALID_ORDERING", details={"field": key, "model": model.api_key}) from None
    return lambda record: None if (value := column(record)) is None else _as_text(value)
