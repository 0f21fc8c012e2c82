"""Which records `/items` lists, and in which order."""

from __future__ import annotations

import re
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import ge, gt, le, lt
from typing import Any, Final

from versionsync.simulator.api.request import Request
from versionsync.simulator.errors import ApiError, invalid_params, not_found
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.blocks import own_records
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.records import Record
from versionsync.simulator.world.times import parse_time

__all__ = [
    "VERSION_CHOICES",
    "Listings",
    "can_read_model",
    "is_listed",
    "named_model",
    "named_models",
    "requested_block",
    "visible_record",
]


def can_read_model(call: Request, model: Model) -> bool:
    """Whether the token may read records of *model*."""
    return not call.role.hides(model, call.environment.id)


def named_models(call: Request) -> list[Model]:
    """The models that the token is told of."""
    models = call.environment.models.values()
    return [model for model in models if call.world.options.hidden_models_are_named or can_read_model(call, model)]


def named_model(call: Request, key: str) -> Model:
    """The model with this id or api_key, if the token is told of it. Raises Refused (404)."""
    model = call.environment.model(key)
    if model not in named_models(call):
        raise not_found("item_type", key)
    return model


def visible_record(call: Request, record_id: str) -> Record:
    """The record, if the token may see it. Raises Refused (404)."""
    record = call.environment.record(record_id)
    if not can_read_model(call, record.model):
        raise not_found("item", record_id)
    return record


def requested_block(call: Request, answer: str) -> Record | None:
    """The block that the path's `item_id` names, where *answer*, the value of a switch, wants it to be shown.

    None when the path names no block, or when *answer* is `404`, as for any unknown id. Raises Refused (422) for `422`.
    """
    record_id = call.ids["item_id"]
    known = call.environment.records.get(record_id)
    if answer == "404" or (known is not None and not known.model.is_block):
        return None
    block = call.services.blocks.find(call.environment, record_id)
    if block is None or not can_read_model(call, block.model):
        return None
    if answer == "422":
        raise ApiError("INVALID_ENTITY_ID", details={"id": record_id, "reason": "a block"})
    return block


def is_listed(call: Request, record: Record) -> bool:
    """Whether a listing shows *record*: the token may see it, and no fault hides it."""
    share = call.services.faults.vanished_share
    if share and zlib.crc32(record.id.encode()) / 2**32 < share:
        return False
    return call.role.sees_everything or can_read_model(call, record.model)


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

    def records(self, call: Request) -> Sequence[Record]:
        """All records that the query of *call* asks for, in its order. Raises Refused (422)."""
        where, switches = call.environment, call.world.options
        query = tuple(sorted((key, value) for key, value in call.query.items() if not key.startswith("page[")))
        rules = (switches.lists_blocks, switches.unknown_model_in_filter, switches.date_filters_cut_to_minute)
        key = (where, where.revision, call.role, call.services.faults.vanished_share, rules, query)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = _find(call)
            if len(self._kept) > LISTINGS_KEPT:
                self._kept.popitem(last=False)
        return found


def _find(call: Request) -> Sequence[Record]:
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


def _candidates(call: Request, models: Sequence[Model] | None) -> Iterable[Record]:
    """The records, and the blocks where the query may be about some; otherwise no content is read."""
    records = own_records(call.environment)
    wants_blocks = call.world.options.lists_blocks if models is None else any(model.is_block for model in models)
    return chain(records, call.services.blocks.of(call.environment).values()) if wants_blocks else records


def _models(call: Request) -> list[Model] | None:
    """The models of `filter[type]`; None: no filter. The switch says what becomes of an id that is not seen."""
    wanted = call.query.get("filter[type]")
    if wanted is None:
        return None
    seen: list[Model] = []
    unseen: list[str] = []
    for key in (part.strip() for part in wanted.split(",")):
        model = call.environment.find_model(key)
        if model is None or not can_read_model(call, model):
            unseen.append(key)
        elif model not in seen:
            seen.append(model)
    if not unseen:
        return seen
    match call.world.options.unknown_model_in_filter:
        case "refused":
            raise ApiError("ITEM_TYPE_NOT_FOUND", details={"item_type": unseen[0]})
        case "ignored":
            return seen or None
        case "all_ignored":
            return None
        case "empty":
            return seen
        case "all_empty":
            return []


def _ids(call: Request, models: list[Model] | None) -> list[Record] | None:
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


def _predicates(call: Request, model: Model | None) -> list[Predicate]:
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


def _field_predicate(call: Request, model: Model | None, name: str, value: str) -> Predicate:
    parsed = _FILTER.fullmatch(name)
    if parsed is None:
        raise ApiError("INVALID_FILTER_FIELDS_PARAM", details={"parameter": name})
    key, operator = parsed.groups()
    column = _META_COLUMNS.get(key)
    if column is None:
        if model is None:
            raise ApiError(
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
    raise ApiError("INVALID_FILTER_FIELDS_PARAM", details={"field": key, "operator": operator})


def _time_predicate(call: Request, column: Column, operator: str, value: str) -> Predicate:
    wanted = _cut(call, parse_time(value))
    if operator in _COMPARISONS:
        compare = _COMPARISONS[operator]
        return lambda record: (at := column(record)) is not None and compare(_cut(call, at), wanted)
    if operator in {"eq", "neq"}:
        return lambda record: (at := column(record)) is not None and (_cut(call, at) == wanted) == (operator == "eq")
    raise ApiError("INVALID_FILTER_FIELDS_PARAM", details={"operator": operator})


def _cut(call: Request, at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) if call.world.options.date_filters_cut_to_minute else at


def _field_column(model: Model, key: str) -> Column:
    if model.field_by_key(key) is None and not (key in {"position", "parent_id"} and (model.sortable or model.tree)):
        raise ApiError("INVALID_FILTER_FIELDS_PARAM", details={"field": key, "model": model.api_key})

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


def _ordered(call: Request, records: list[Record], model: Model | None) -> Sequence[Record]:
    order = call.query.get("order_by")
    if order is None:
        # Upstream's own order: what was touched last comes first, so the pages move while editors work.
        records.sort(key=lambda record: (record.updated_at, record.sequence), reverse=True)
        return records
    if model is None:
        raise ApiError(
            "INVALID_ORDERING", details={"order_by": order, "reason": "wants exactly one model in filter[type]"}
        )
    for part in reversed(order.split(",")):
        parsed = _ORDER.fullmatch(part.strip())
        if parsed is None:
            raise ApiError("INVALID_ORDERING", details={"order_by": part})
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
        raise ApiError("INVALID_ORDERING", details={"field": key, "model": model.api_key}) from None
    return lambda record: None if (value := column(record)) is None else _as_text(value)
