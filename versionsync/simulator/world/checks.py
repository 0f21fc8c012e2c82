"""What is wrong with the content of a record: broken validators, dangling links and uploads, locales, and limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

import msgspec

from versionsync.simulator.errors import ApiError, invalid_field
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.content import Block, Json, Members
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.field_rules import allowed_blocks, broken_rules, is_empty, uploads_in
from versionsync.simulator.world.links import LINK_RULES, links_in
from versionsync.simulator.world.models import Field, Model
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.records import Record

__all__ = ["Checks"]

_NULL: Final = msgspec.Raw(b"null")
_HOLD_UPLOADS: Final = frozenset({"file", "gallery", "seo"})


@dataclass(frozen=True, slots=True)
class Checks:
    """The rules for the content of records of *model*. Upstream reports all errors at once."""

    environment: Environment
    model: Model
    options: SimulatorOptions

    def broken_structure(self, members: Members, record: Record | None) -> list[ApiError]:
        """Return what no draft may have either: dangling links and uploads, and wrong locales.

        What the current version of *record* points to already is not looked up again.
        """
        known = b"" if record is None else record.head.read()
        errors = list(self._wrong_locales(members))
        for field in self.model.ordered_fields:
            if self._points(field):
                value = contents.load(members.get(field.api_key, _NULL))
                errors += self._dangling(field, value, field.api_key, known)
        return errors

    def broken_rules(self, members: Members, record: Record | None) -> list[ApiError]:
        """Return an error for each validator that the content does not satisfy, in blocks too."""
        return list(chain.from_iterable(self._broken_in(field, members, record) for field in self.model.ordered_fields))

    def check_limits(self, content: bytes) -> None:
        """Raise TECHNICAL_LIMIT_REACHED if *content* is too large, or has too many or too deep blocks."""
        options = self.options
        _limit("record_bytes", len(content), options.max_record_bytes)
        if b'"item"' in content:
            value = contents.load(content)
            _limit("blocks", sum(1 for _ in contents.complete_blocks(value)), options.max_blocks)
            _limit("block_depth", _depth(value), options.max_block_depth)

    def _points(self, field: Field) -> bool:
        return field.holds_blocks or field.field_type in LINK_RULES or field.field_type in _HOLD_UPLOADS

    def _wrong_locales(self, members: Members) -> Iterator[ApiError]:
        """Yield an error for each localized field whose locales are not those of the record, or of the project."""
        if not self.options.locales_must_agree:
            return
        by_field: dict[Field, list[str]] = {}
        for field in self.model.ordered_fields:
            text = bytes(members.get(field.api_key, _NULL)).strip()
            if field.localized and text.startswith(b"{"):
                by_field[field] = list(contents.split(text))
        project = self.environment.locales
        needed = project if self.model.all_locales_required else list(dict.fromkeys(chain(*by_field.values())))
        needed = [locale for locale in needed if locale in project]
        for field, locales in by_field.items():
            if set(locales) != set(needed):
                code = self.options.wrong_locales_code
                yield self._error(field, code, field.api_key, required_locales=needed)

    def _dangling(self, field: Field, value: Json, path: str, known: bytes) -> Iterator[ApiError]:
        """Yield an error for each link to a record, and each id of an upload, that does not exist."""
        records, options = self.environment.records, self.options
        for place, inner in field.by_locale(value, path):
            for link in links_in(field, inner, place) if options.links_must_exist else ():
                found = records.get(link.record_id)
                if (found is None or found.model.is_block) and not _quotes(known, link.record_id):
                    code = options.missing_link_code or _code(link.rule)
                    yield self._error(field, code, place, missing=link.record_id)
            for upload_id in uploads_in(field, inner) if options.uploads_must_exist else ():
                if upload_id not in self.environment.uploads and not _quotes(known, upload_id):
                    yield self._error(field, options.missing_upload_code, place, missing=upload_id)
            if field.holds_blocks:
                for block_path, block in contents.blocks_by_path(inner, place):
                    for own in self._fields_of(block):
                        if self._points(own):
                            own_value = block["attributes"].get(own.api_key)
                            yield from self._dangling(own, own_value, f"{block_path}.{own.api_key}", known)

    def _broken_in(self, field: Field, members: Members, record: Record | None) -> Iterator[ApiError]:
        key, text = field.api_key, members.get(field.api_key, _NULL)
        if not field.validators and not field.holds_blocks:
            return
        value = contents.load(text)
        if "required" in field.validators and _misses(field, value):
            yield self._error(field, "VALIDATION_REQUIRED", key)
        elif "unique" in field.validators and self._is_used(field, bytes(text).strip(), record):
            yield self._error(field, "VALIDATION_UNIQUE", key)
        for place, inner in field.by_locale(value, key):
            yield from self._broken_value(field, inner, place)

    def _broken_value(self, field: Field, value: Json, path: str) -> Iterator[ApiError]:
        """Yield the errors of a *value* in one locale, and of its blocks."""
        for name in broken_rules(field, value, self.environment.uploads):
            yield self._error(field, _code(name), path)
        for link in links_in(field, value, path):
            found = self.environment.records.get(link.record_id)
            allowed = link.allowed_models
            if found is not None and allowed is not None and found.model.id not in allowed:
                yield self._error(field, _code(link.rule), path, wrong=link.record_id)
        if not field.holds_blocks:
            return
        rules = list(allowed_blocks(field))
        allowed_ids = frozenset(chain.from_iterable(ids for _, ids in rules))
        for block_path, block in contents.blocks_by_path(value, path):
            if rules and contents.model_id(block) not in allowed_ids:
                yield self._error(field, _code(rules[0][0]), block_path)
            for own in self._fields_of(block):
                own_value = block["attributes"].get(own.api_key)
                own_path = f"{block_path}.{own.api_key}"
                if "required" in own.validators and _misses(own, own_value):
                    yield self._error(own, "VALIDATION_REQUIRED", own_path)
                for place, inner in own.by_locale(own_value, own_path):
                    yield from self._broken_value(own, inner, place)

    def _fields_of(self, block: Block) -> Iterable[Field]:
        model = self.environment.models.get(contents.model_id(block))
        return model.ordered_fields if model is not None else ()

    def _is_used(self, field: Field, text: bytes, record: Record | None) -> bool:
        """Return whether another record of the model has the value, in its current or published version."""
        own = _by_locale(field, text)
        for other in self.environment.records.values():
            if other.model is self.model and other is not record:
                for version in other.shown_versions:
                    theirs = bytes(contents.split(version.read()).get(field.api_key, _NULL)).strip()
                    if any(value == own.get(locale) for locale, value in _by_locale(field, theirs).items()):
                        return True
        return False

    def _error(self, field: Field, code: str, path: str, **details: object) -> ApiError:
        top = path.partition(".")[0]
        in_block = field.model_id != self.model.id
        name = top if in_block and self.options.block_problems_name == "field" else path
        return invalid_field(
            name, code, field_id=field.id, field_label=field.label, field_type=field.field_type, **details
        )


def _code(validator: str) -> str:
    return f"VALIDATION_{validator.upper()}"


def _misses(field: Field, value: Json) -> bool:
    """Return whether the value of a required field is missing, in any of its locales."""
    if field.localized and contents.is_by_locale(value):
        return not value or any(is_empty(inner) for inner in value.values())
    return is_empty(value)


def _by_locale(field: Field, text: bytes) -> Mapping[str, bytes]:
    """Return the values of a unique field by locale, as text; empty ones may be there many times."""
    localized = field.localized and text.startswith(b"{")
    values = {locale: bytes(one) for locale, one in contents.split(text).items()} if localized else {"": text}
    return {locale: one for locale, one in values.items() if one not in {b"null", b'""'}}


def _quotes(known: bytes, id: str) -> bool:
    return bool(known) and f'"{id}"'.encode() in known


def _depth(value: Json) -> int:
    """Return how deeply blocks are nested in a decoded *value*: 1 for a block without blocks."""
    if isinstance(value, dict):
        inner = max((_depth(one) for one in value.values()), default=0)
        return inner + 1 if contents.is_block(value) else inner
    if isinstance(value, list):
        return max((_depth(one) for one in value), default=0)
    return 0


def _limit(name: str, count: int, maximum: int | None) -> None:
    if maximum is not None and count > maximum:
        raise ApiError("TECHNICAL_LIMIT_REACHED", limit=name, count=count, maximum=maximum)
