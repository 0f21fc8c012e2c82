"""Turns a content of the past into one that can be sent now. Pure.

Since the version was made, fields, locales, models, records and uploads may be gone, and rules may be others. What
cannot come back is left out and noted as a loss. What upstream would refuse in spite of that is noted as a problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from versionsync.history.diff.model import Json
from versionsync.history.projections.changes import VersionContent
from versionsync.restore.field_matches import matches
from versionsync.restore.inspection import LIMIT_CODE, Inspection
from versionsync.restore.model import Fitted, Problem
from versionsync.restore.rules import ModelRules, ProjectRules
from versionsync.restore.value_fitting import Existing, ValueFitting

__all__ = ["PARENT", "Existing", "fitted"]

POSITION: Final = "position"
PARENT: Final = "parent_id"


def fitted(
    content: VersionContent,
    rules: ProjectRules,
    existing: Existing,
    *,
    main_locale: str | None = None,
    is_draft: bool = False,
    is_new: bool = False,
) -> Fitted:
    """Return a content of the past as it can be sent now, with its links, and what is lost or refused.

    Args:
        content: The version, and the schema of then.
        rules: The project as it is now.
        existing: The records and uploads that links may lead to.
        main_locale: The locale of values that were not localized. None: the first one of the project.
        is_draft: Whether it is sent as a draft, which some models allow to be invalid.
        is_new: Whether a record is created with it. Then required fields cannot be missing.
    """
    model = rules.models.get(content.model_id)
    if model is None or model.is_block:
        return _refused(content, "ITEM_TYPE_NOT_FOUND", "The model of the record does not exist any more.")
    main = main_locale or next(iter(rules.locales), "")
    try:
        return _fitted(
            content,
            rules,
            existing,
            model,
            main,
            is_checked=not (is_draft and model.allows_invalid_drafts),
            is_new=is_new,
        )
    except RecursionError:
        return _refused(content, LIMIT_CODE, "The content is nested too deep.")


def _refused(content: VersionContent, code: str, what: str) -> Fitted:
    problem = Problem(record_id=content.record_id, path=(), code=code, what=what)
    return Fitted(version_id=content.version_id, attributes={}, problems=(problem,))


def _fitted(
    content: VersionContent,
    rules: ProjectRules,
    existing: Existing,
    model: ModelRules,
    main_locale: str,
    *,
    is_checked: bool,
    is_new: bool,
) -> Fitted:
    fitting = ValueFitting(content.record_id, rules, existing, matches(content.state, rules), main_locale)
    attributes = _attributes(content, fitting, model)
    found = Inspection(content.record_id, rules, is_checked=is_checked, is_new=is_new, losses=fitting.losses)
    found.record(attributes, model)
    return Fitted(
        version_id=content.version_id,
        attributes=attributes,
        links=tuple(found.links),
        uniques=found.uniques,
        losses=tuple(fitting.losses),
        problems=tuple(found.problems),
    )


def _attributes(content: VersionContent, fitting: ValueFitting, model: ModelRules) -> dict[str, Json]:
    result: dict[str, Json] = {}
    localized: dict[str, dict[str, Json]] = {}
    spread: dict[str, Json] = {}
    for key, match, now, value in fitting.members(content.attributes, content.model_id):
        values = fitting.by_locale(match, now, value)
        name = now.api_key
        if not now.is_localized:
            one = value if values is None else fitting.only_main(values, now, (key,))
            result[name] = fitting.value(one, match, now, (key,))
        elif values is None:
            result[name] = None
            spread[name] = fitting.value(value, match, now, (key,))
        else:
            kept = fitting.known_locales(values, (key,))
            result[name] = None
            localized[name] = {
                locale: fitting.value(inner, match, now, (key, locale)) for locale, inner in kept.items()
            }
    _fill_locales(result, localized, spread, fitting, model)
    _add_place(result, content, fitting, model)
    return result


def _fill_locales(
    result: dict[str, Json],
    localized: Mapping[str, Mapping[str, Json]],
    spread: Mapping[str, Json],
    fitting: ValueFitting,
    model: ModelRules,
) -> None:
    """Give all localized fields the same locales. `spread` has the values that were not localized."""
    locales = dict.fromkeys(locale for values in localized.values() for locale in values)
    if not locales and spread:
        locales[fitting.main_locale] = None
    if model.all_locales_required:
        locales |= dict.fromkeys(fitting.rules.locales)
    for name, values in localized.items():
        result[name] = {locale: values.get(locale) for locale in locales}
    main = fitting.main_locale if fitting.main_locale in locales else next(iter(locales), None)
    for name, value in spread.items():
        result[name] = {locale: value if locale == main else None for locale in locales}


def _add_place(result: dict[str, Json], content: VersionContent, fitting: ValueFitting, model: ModelRules) -> None:
    """Add the place in a tree or in an order, if the model has one."""
    attributes = content.attributes
    if POSITION in attributes and POSITION not in model.fields and (model.is_sortable or model.is_tree):
        result[POSITION] = attributes[POSITION]
    if PARENT in attributes and PARENT not in model.fields and model.is_tree:
        parent = attributes[PARENT]
        if isinstance(parent, str) and parent not in fitting.existing.records:
            fitting.lose((PARENT,), f"The parent {parent} was deleted: the record goes to the top of the tree.")
            parent = None
        result[PARENT] = parent
