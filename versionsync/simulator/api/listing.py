"""Which records a request may see, and which of them `/items` lists in which order."""

from __future__ import annotations

import re
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import attrgetter, ge, gt, le, lt
from typing import Any, Final

from versionsync.simulator.api.request import Request
from versionsync.simulator.errors import ApiError, invalid_params, not_found
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.blocks import own_records
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.serialization import TIMES_OF_ITEMS
from versionsync.simulator.world.times import parse_time

__all__ = [
    "Listings",
    "can_read_model",
    "is_listed",
    "named_model",
    "named_models",
    "requested_block",
    "version_choice",
    "visible_record",
]

VERSION_CHOICES: Final = frozenset({"current", "published", "published-or-current"})


def can_read_model(request: Request, model: Model) -> bool:
    """Return whether the token may read records of *model*."""
    return not request.role.hides(model, request.environment.id)


def named_models(request: Request) -> list[Model]:
    """Return the models that the token can see."""
    models = request.environment.models.values()
    return [
        model for model in models if request.world.options.hidden_models_are_named or can_read_model(request, model)
    ]


def named_model(request: Request, key: str) -> Model:
    """Return the model with this id or api_key. Raise ApiError (404) if there is none that the token can see."""
    model = request.environment.model(key)
    if model not in named_models(request):
        raise not_found("item_type", key)
    return model


def visible_record(request: Request, record_id: str) -> Record:
    """Return the record. Raise ApiError (404) if there is none that the token may see."""
    record = request.environment.record(record_id)
    if not can_read_model(request, record.model):
        raise not_found("item", record_id)
    return record


def requested_block(request: Request, answer: str) -> Record | None:
    """Return the block that the path's `item_id` names, unless *answer*, the value of a switch, hides it.

    Return None if the path names no block, or if *answer* is `404`. Raise ApiError (422) if it is `422`.
    """
    record_id = request.ids["item_id"]
    known = request.environment.records.get(record_id)
    if answer == "404" or (known is not None and not known.model.is_block):
        return None
    block = request.project.blocks.find(request.environment, record_id)
    if block is None or not can_read_model(request, block.model):
        return None
    if answer == "422":
        raise ApiError("INVALID_ENTITY_ID", id=record_id, reason="a block")
    return block


def version_choice(request: Request, default: str) -> str:
    """Return the parameter `version`: `current`, `published` or `published-or-current`. Raise ApiError (422)."""
    choice = request.query.get("version") or default
    if choice not in VERSION_CHOICES:
        raise invalid_params("version", f"one of {', '.join(sorted(VERSION_CHOICES))}")
    return choice


def is_listed(request: Request, record: Record) -> bool:
    """Return whether a listing shows *record*: the token may see it, and no fault hides it."""
    share = request.project.faults.vanished_share
    if share and zlib.crc32(record.id.encode()) / 2**32 < share:
        return False
    return request.role.reads_all_models or can_read_model(request, record.model)


LISTINGS_KEPT: Final = 16

_FILTER: Final = re.compile(r"filter\[fields\]\[(\w+)\]\[(\w+)\](?:\[\w+\]|\[\])?")
_ORDER: Final = re.compile(r"(\w+)_(ASC|DESC)", re.IGNORECASE)

Predicate = Callable[[Record], bool]
Column = Callable[[Record], Any]

_META_COLUMNS: Final[Mapping[str, Column]] = {
    "id": lambda record: record.id,
    **{f"_{name}": attrgetter(name) for name in (*TIMES_OF_ITEMS, "status")},
    "_is_valid": lambda record: record.head.is_valid,
    "_creator": lambda record: None if record.model.is_block else record.creator.id,
}
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {"gt": gt, "lt": lt, "gte": ge, "lte": le}


class Listings:
    """The matching records of the latest queries, so that each page of a list does not filter and sort again."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: OrderedDict[object, Sequence[Record]] = OrderedDict()

    def records(self, request: Request) -> Sequence[Record]:
        """Return all records that match the query of *request*, in its order. Raise ApiError (422)."""
        where, options = request.environment, request.world.options
        query = tuple(sorted((key, value) for key, value in request.query.items() if not key.startswith("page[")))
        rules = (options.lists_blocks, options.unknown_model_in_filter, options.date_filters_cut_to_minute)
        key = (where, where.revision, request.role, request.project.faults.vanished_share, rules, query)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = _find(request)
            if len(self._kept) > LISTINGS_KEPT:
                self._kept.popitem(last=False)
        return found


def _find(request: Request) -> Sequence[Record]:
    models = _models(request)
    by_id = _ids(request, models)
    model = models[0] if models is not None and len(models) == 1 else None
    predicates = [*_predicates(request, model)]
    if models is not None:
        wanted = frozenset(models)
        predicates.insert(0, lambda record: record.model in wanted)
    candidates = _candidates(request, models) if by_id is None else by_id
    found = [
        record for record in candidates if is_listed(request, record) and all(matches(record) for matches in predicates)
    ]
    return _ordered(request, found, model)


def _candidates(request: Request, models: Sequence[Model] | None) -> Iterable[Record]:
    """Return the records, with the blocks if the query can match any; otherwise no content is read."""
    records = own_records(request.environment)
    wants_blocks = request.world.options.lists_blocks if models is None else any(model.is_block for model in models)
    return chain(records, request.project.blocks.of(request.environment).values()) if wants_blocks else records


def _models(request: Request) -> list[Model] | None:
    """Return the models of `filter[type]`, or None without a filter; see `unknown_model_in_filter`."""
    wanted = request.query.get("filter[type]")
    if wanted is None:
        return None
    known: list[Model] = []
    unknown: list[str] = []
    for key in (part.strip() for part in wanted.split(",")):
        model = request.environment.find_model(key)
        if model is None or not can_read_model(request, model):
            unknown.append(key)
        elif model not in known:
            known.append(model)
    if not unknown:
        return known
    match request.world.options.unknown_model_in_filter:
        case "refused":
            raise ApiError("ITEM_TYPE_NOT_FOUND", item_type=unknown[0])
        case "ignored":
            return known or None
        case "all_ignored":
            return None
        case "empty":
            return known
        case "all_empty":
            return []


def _ids(request: Request, models: list[Model] | None) -> list[Record] | None:
    wanted = request.query.get("filter[ids]")
    if wanted is None:
        return None
    if models is not None:
        raise invalid_params("filter[ids]", "cannot go together with filter[type]")
    asked = list(dict.fromkeys(id.strip() for id in wanted.split(",")))
    known = request.environment.records
    found = [known[id] for id in asked if id in known]
    if len(found) < len(asked):
        blocks = request.project.blocks.of(request.environment)
        found += [blocks[id] for id in asked if id not in known and id in blocks]
    return found


def _predicates(request: Request, model: Model | None) -> list[Predicate]:
    predicates: list[Predicate] = []
    if request.query.get("filter[only_valid]", "false") == "true":
        predicates.append(lambda record: record.head.is_valid)
    if (text := request.query.get("filter[query]")) is not None:
        needle = text.encode().lower()
        predicates.append(lambda record: needle in record.head.read().lower())
    if request.query.get("version") == "published":
        predicates.append(lambda record: record.published is not None)
    for name, value in request.query.items():
        if name.startswith("filter[fields]"):
            predicates.append(_field_predicate(request, model, name, value))
    return predicates


def _field_predicate(request: Request, model: Model | None, name: str, value: str) -> Predicate:
    parsed = _FILTER.fullmatch(name)
    if parsed is None:
        raise ApiError("INVALID_FILTER_FIELDS_PARAM", parameter=name)
    key, operator = parsed.groups()
    column = _META_COLUMNS.get(key)
    if column is None:
        if model is None:
            raise ApiError("INVALID_FILTER_FIELDS_PARAM", field=key, reason="needs one model in filter[type]")
        column = _field_column(model, key)
    if operator == "exists":
        return lambda record: (column(record) is not None) == (value == "true")
    if key.endswith("_at"):
        return _time_predicate(request, column, operator, value)
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
    raise ApiError("INVALID_FILTER_FIELDS_PARAM", field=key, operator=operator)


def _time_predicate(request: Request, column: Column, operator: str, value: str) -> Predicate:
    wanted = _cut(request, parse_time(value))
    if operator in _COMPARISONS:
        compare = _COMPARISONS[operator]
        return lambda record: (at := column(record)) is not None and compare(_cut(request, at), wanted)
    if operator in {"eq", "neq"}:
        return lambda record: (at := column(record)) is not None and (_cut(request, at) == wanted) == (operator == "eq")
    raise ApiError("INVALID_FILTER_FIELDS_PARAM", operator=operator)


def _cut(request: Request, at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) if request.world.options.date_filters_cut_to_minute else at


def _field_column(model: Model, key: str) -> Column:
    if model.field_by_key(key) is None and not (key in {"position", "parent_id"} and (model.sortable or model.tree)):
        raise ApiError("INVALID_FILTER_FIELDS_PARAM", field=key, model=model.api_key)

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


def _ordered(request: Request, records: list[Record], model: Model | None) -> Sequence[Record]:
    order = request.query.get("order_by")
    if order is None:
        # Upstream's own order: the latest change comes first, so pages shift while editors work.
        records.sort(key=lambda record: (record.updated_at, record.sequence), reverse=True)
        return records
    if model is None:
        raise ApiError("INVALID_ORDERING", order_by=order, reason="needs exactly one model in filter[type]")
    for part in reversed(order.split(",")):
        parsed = _ORDER.fullmatch(part.strip())
        if parsed is None:
            raise ApiError("INVALID_ORDERING", order_by=part)
        key, direction = parsed.groups()
        column = _META_COLUMNS.get(key) or _order_column(model, key)
        known = [record for record in records if column(record) is not None]
        known.sort(key=column, reverse=direction.upper() == "DESC")
        records = known + [record for record in records if column(record) is None]
    return records


def _order_column(model: Model, key: str) -> Column:
    try:
        column = _field_column(model, key)
    except ApiError:
        raise ApiError("INVALID_ORDERING", field=key, model=model.api_key) from None
    return lambda record: None if (value := column(record)) is None else _as_text(value)
