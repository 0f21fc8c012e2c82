"""What a version is called: the value of its model's title field, in each locale. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from versionsync.history.schema_at import SchemaState
from versionsync.mirror.tables.titles import TitleRow

__all__ = ["LONGEST_TITLE", "storable", "titles_of"]

LONGEST_TITLE: Final = 300
LONGEST_KEY: Final = 200
"""Locales and API keys are shorter. PostgreSQL's indexes do not hold a text of any length."""
_NOT_STORABLE: Final = re.compile("[\0\ud800-\udfff]")


def storable(text: str, longest: int = LONGEST_KEY) -> str:
    """Return the start of `text` as both databases can store it: without U+0000 and halves of characters."""
    return _NOT_STORABLE.sub("\ufffd", text[:longest])


def titles_of(
    version_id: str, record_id: str, model_id: str, attributes: Mapping[str, Any], state: SchemaState
) -> list[TitleRow]:
    """Return the titles of a version, one for each locale that has one.

    The model says which field is the title; otherwise it is the first short text. A line break becomes a space.

    Args:
        version_id: The version.
        record_id: Its record.
        model_id: The record's model.
        attributes: Its content.
        state: The schema as it was when the content was read.
    """
    field = state.title_fields.get(model_id)
    if field is None:
        return []
    value = attributes.get(field.api_key)
    if value is None and field.api_key not in attributes:
        keys = state.former_keys.get(model_id, {}).items()
        value = next((attributes[old] for old, new in keys if new == field.api_key and old in attributes), None)
    by_locale = value if isinstance(value, dict) and field.is_localized else {"": value}
    found: dict[str, TitleRow] = {}
    for locale, text in by_locale.items():
        if isinstance(text, str) and (title := storable(" ".join(text.split()), LONGEST_TITLE)):
            key = storable(locale)
            found.setdefault(key, TitleRow(version_id=version_id, locale=key, record_id=record_id, title=title))
    return list(found.values())
