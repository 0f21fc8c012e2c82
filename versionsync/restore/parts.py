"""Takes parts of a content: what differs from another one, or only some fields, locales or blocks of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from versionsync.history.diff.model import Json
from versionsync.ledger.content import canonical_value
from versionsync.restore.field_matches import is_block
from versionsync.restore.rules import FieldRules, ProjectRules
from versionsync.restore.value_fitting import emptied

__all__ = ["changed_attributes", "only_parts", "with_later_fields"]

Blocks: TypeAlias = Mapping[str, Json]
"""Blocks by id."""


def changed_attributes(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    """Return the members of `after` that differ from `before`, whole."""
    return {
        name: value
        for name, value in after.items()
        if name not in before or canonical_value(before[name]) != canonical_value(value)
    }


def with_later_fields(
    before: Mapping[str, Json], after: Mapping[str, Json], rules: ProjectRules, model_id: str
) -> dict[str, Json]:
    """Return `after` with the localized fields that only `before` has, in the locales of `after`.

    Upstream refuses a record whose localized fields have different locales. A field that was made after a version
    must follow its locales, although the version does not have the field.
    """
    model = rules.models.get(model_id)
    known = model.fields if model else {}
    locales = dict.fromkeys(locale for values in _by_locale(after, known).values() for locale in values)
    later = {name: values for name, values in _by_locale(before, known).items() if name not in after}
    if not locales:
        return dict(after)
    return {**after, **{name: {one: values.get(one) for one in locales} for name, values in later.items()}}


def only_parts(
    before: Mapping[str, Json],
    wanted: Mapping[str, Json],
    rules: ProjectRules,
    model_id: str,
    *,
    fields: Collection[str] = (),
    locales: Collection[str] = (),
    blocks: Collection[str] = (),
) -> dict[str, Json]:
    """Return `before` with only some parts taken from `wanted`: what is in these fields, locales and blocks alike.

    Fields without locales do not change the locales of the record. A locale that `wanted` does not have is removed,
    unless only some fields are asked for. A block that `wanted` does not have is removed, and one that `before` does
    not have is added, if the block around it is there. An inline block is never added.

    Args:
        before: The content now, made to fit.
        wanted: The content of the past, made to fit.
        rules: The project.
        model_id: The model of the record.
        fields: The API keys of fields. None given: all.
        locales: Locales, which only localized fields have. None given: all.
        blocks: The ids of blocks, at any depth. None given: not only blocks.
    """
    if not (fields or locales or blocks):
        return {**before, **with_later_fields(before, wanted, rules, model_id)}
    model = rules.models.get(model_id)
    known = model.fields if model else {}
    if blocks:
        return _with_blocks(before, wanted, known, fields, locales, frozenset(blocks))
    result = dict(before)
    for name in fields or known:
        if name not in wanted:
            continue
        if not _is_localized(name, known):
            if not locales:
                result[name] = wanted[name]
        elif isinstance(old := before.get(name), dict) and isinstance(new := wanted[name], dict):
            taken = {locale: new[locale] for locale in locales or old if locale in new}
            result[name] = {**old, **taken}
        else:
            result[name] = wanted[name]
    if not fields:
        _remove_locales(result, wanted, known, locales)
    return _with_same_locales(result, known)


def _is_localized(name: str, known: Mapping[str, FieldRules]) -> bool:
    return name in known and known[name].is_localized


def _by_locale(content: Mapping[str, Json], known: Mapping[str, FieldRules]) -> dict[str, dict[str, Json]]:
    """Return the values of the localized fields."""
    return {name: value for name, value in content.items() if _is_localized(name, known) and isinstance(value, dict)}


def _remove_locales(
    result: dict[str, Json], wanted: Mapping[str, Json], known: Mapping[str, FieldRules], locales: Collection[str]
) -> None:
    there = {locale for values in _by_locale(wanted, known).values() for locale in values}
    gone = {locale for locale in locales if locale not in there}
    for name, values in _by_locale(result, known).items():
        left = {locale: value for locale, value in values.items() if locale not in gone}
        result[name] = left or values  # a record has at least one locale


def _with_same_locales(result: dict[str, Json], known: Mapping[str, FieldRules]) -> dict[str, Json]:
    localized = _by_locale(result, known)
    locales = dict.fromkeys(locale for values in localized.values() for locale in values)
    for name, values in localized.items():
        if len(values) < len(locales):
            result[name] = {**dict.fromkeys(locales), **values}
    return result


def _with_blocks(
    before: Mapping[str, Json],
    wanted: Mapping[str, Json],
    known: Mapping[str, FieldRules],
    fields: Collection[str],
    locales: Collection[str],
    ids: frozenset[str],
) -> dict[str, Json]:
    result = dict(before)
    for name in fields or known:
        if name not in before or name not in wanted:
            continue
        old, new = before[name], wanted[name]
        if not _is_localized(name, known):
            if not locales:
                result[name] = _blocks_of(old, new, ids)
        elif isinstance(old, dict) and isinstance(new, dict):
            # A locale that one of them does not have is no matter of blocks.
            chosen = [locale for locale in old if locale in new and (not locales or locale in locales)]
            result[name] = {**old, **{locale: _blocks_of(old[locale], new[locale], ids) for locale in chosen}}
    return result


def _blocks_of(before: Json, wanted: Json, ids: frozenset[str]) -> Json:
    """Return the value of a field with these blocks as they are in `wanted`."""
    there = {id: block for id, block in _blocks_in(wanted) if id in ids}
    present = {id for id, _ in _blocks_in(before)}
    value = _replaced({"": before}, ids, there)[""] if ids & present else before
    missing = {id: block for id, block in there.items() if id not in present}
    return _added(value, wanted, missing) if missing else value


def _blocks_in(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        if is_block(value) and isinstance(value.get("id"), str):
            yield value["id"], value
        for inner in value.values():
            yield from _blocks_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _blocks_in(inner)


def _id(value: Any) -> str | None:
    """Return the id of a block, or of the block in a node of a structured text. None: it is neither."""
    if isinstance(value, dict) and value.get("type") in ("block", "inlineBlock"):
        value = value.get("item")
    return value["id"] if is_block(value) and isinstance(value.get("id"), str) else None


def _replaced(value: Json, ids: frozenset[str], there: Blocks) -> Json:
    """Return a value whose blocks of these ids are those of `there`, or gone if they are not there."""
    if isinstance(value, list):
        return [left for one in value for left in _replaced_element(one, ids, there)]
    if not isinstance(value, dict):
        return value
    result = {name: _replaced_member(one, ids, there) for name, one in value.items()}
    document = result.get("document")
    is_emptied = isinstance(document, dict) and document.get("children") == [] and value["document"]["children"]
    return None if is_emptied else result


def _replaced_member(one: Json, ids: frozenset[str], there: Blocks) -> Json:
    id = _id(one) if is_block(one) else None
    return there.get(id) if id is not None and id in ids else _replaced(one, ids, there)


def _replaced_element(one: Json, ids: frozenset[str], there: Blocks) -> list[Json]:
    id = _id(one)
    if id is None or id not in ids:
        new = _replaced(one, ids, there)
        if isinstance(new, dict) and new.get("children") == [] and one["children"]:
            new = emptied(one, [])
        return [] if new is None and one is not None else [new]
    if id not in there:
        return []
    return [there[id] if is_block(one) else {**one, "item": there[id]}]


def _added(before: Json, wanted: Json, missing: Blocks) -> Json:
    """Return a value with the missing blocks at their places in `wanted`, which is the same kind of value."""
    if is_block(wanted):
        if wanted.get("id") in missing:
            return wanted
        return _added_within(before, wanted, missing) if _id(before) == _id(wanted) else before
    if isinstance(wanted, list) and any(map(is_block, wanted)):
        return _added_to_list(before if isinstance(before, list) else [], wanted, missing)
    if isinstance(wanted, dict) and isinstance(wanted.get("document"), dict):
        value = before if isinstance(before, dict) else {**wanted, "document": {**wanted["document"], "children": []}}
        document = value.get("document", {})
        nodes = _added_to_list(document.get("children", []), wanted["document"].get("children", []), missing)
        return {**value, "document": {**document, "children": nodes}} if nodes else before
    return before


def _added_to_list(before: list[Json], wanted: list[Json], missing: Blocks) -> list[Json]:
    """Add each missing block after the block that it follows in `wanted`."""
    result = list(before)
    at = 0
    for i, one in enumerate(wanted):
        id = _id(one)
        place = next((place for place, other in enumerate(result) if id is not None and _id(other) == id), None)
        if id in missing:
            at = at or i  # none of those before it is there
            result.insert(at, one)
            at = min(at, len(result) - 1) + 1
        elif place is not None:
            result[place] = _added_within(result[place], one, missing)
            at = place + 1
    return result


def _added_within(before: Json, wanted: Json, missing: Blocks) -> Json:
    """Add missing blocks within a block, or within the block of a node, that both have."""
    if not is_block(before):
        return {**before, "item": _added_within(before["item"], wanted["item"], missing)}
    inner, new = before["attributes"], wanted["attributes"]
    return {
        **before,
        "attributes": {**inner, **{key: _added(inner[key], new[key], missing) for key in new if key in inner}},
    }
