"""The validators of a field, each as a rule for one value: what the vendor's types document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.models import Field
from versionsync.simulator.world.times import parse_time
from versionsync.simulator.world.uploads import Upload

__all__ = ["allowed_blocks", "broken_rules", "is_empty", "uploads_in"]

Rule: TypeAlias = Mapping[str, Any]
Uploads: TypeAlias = Mapping[str, Upload]

_PATTERNS: Final = {
    "email": re.compile(r"\A[^\s@]+@[^\s@]+\.[^\s@]+\Z"),
    "url": re.compile(r"\Ahttps?://[^\s/]+\S*\Z"),
    "webpage_slug": re.compile(r"\A[a-z0-9_]+(?:-[a-z0-9_]+)*\Z"),
}
_UNITS: Final = {"B": 1, "KB": 1024, "MB": 1024 * 1024}
_EXTENSIONS: Final = {
    "image": frozenset({"png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "tif", "tiff", "bmp", "ico", "psd"}),
    "transformable_image": frozenset({"png", "jpg", "jpeg", "gif", "webp", "avif", "tif", "tiff"}),
    "video": frozenset({"mp4", "mov", "avi", "mkv", "webm", "m4v", "mpg", "mpeg", "ogv"}),
    "document": frozenset({"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp", "rtf", "txt"}),
}
_BLOCK_RULES: Final = {
    "rich_text": ("rich_text_blocks",),
    "single_block": ("single_block_blocks",),
    "structured_text": ("structured_text_blocks", "structured_text_inline_blocks"),
}


def broken_rules(field: Field, value: Json, uploads: Uploads) -> Iterator[str]:
    """Yield the names of the validators of *field* that *value*, its value in one locale, does not satisfy.

    `required` and `unique` are not among them: they need more than the value.
    """
    for name, rule in field.validators.items():
        check = _RULES.get(name)
        if check is not None and not check(value, rule or {}, uploads):
            yield name


def allowed_blocks(field: Field) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the validators of *field* that name block models, with their ids."""
    for name in _BLOCK_RULES.get(field.field_type, ()):
        chosen = field.validators.get(name)
        if chosen is not None:
            yield name, frozenset(chosen.get("item_types") or ())


def is_empty(value: Json) -> bool:
    """Return whether *value* counts as missing: null, an empty text or list, or a document without any words."""
    match value:
        case None | "" | []:
            return True
        case {"schema": "dast", "document": document}:
            return not _words(document) and not _has_item(document)
    return False


def uploads_in(field: Field, value: Json) -> list[str]:
    """Return the ids of the uploads in a *value* of *field* in one locale."""
    match field.field_type, value:
        case "file", {"upload_id": str(id)}:
            return [id]
        case "gallery", list():
            return [
                one["upload_id"] for one in value if isinstance(one, dict) and isinstance(one.get("upload_id"), str)
            ]
        case "seo", {"image": str(id)}:
            return [id]
    return []


def _words(node: Json) -> str:
    if not isinstance(node, dict):
        return ""
    own = node.get("value") or node.get("code") or ""
    return str(own) + "".join(_words(child) for child in node.get("children") or ())


def _has_item(node: Json) -> bool:
    return isinstance(node, dict) and ("item" in node or any(_has_item(child) for child in node.get("children") or ()))


def _within(number: Any, rule: Rule, minimum: str = "min", maximum: str = "max") -> bool:
    low, high = rule.get(minimum), rule.get(maximum)
    return (low is None or number >= low) and (high is None or number <= high)


def _has_length(text: str, rule: Rule) -> bool:
    return _within(len(text), rule) and (rule.get("eq") is None or len(text) == rule["eq"])


def _length(value: Json, rule: Rule, uploads: Uploads) -> bool:
    match value:
        case str() if value:
            return _has_length(value, rule)
        case {"document": document}:
            return _has_length(_words(document), rule)
    return True


def _format(value: Json, rule: Rule, uploads: Uploads) -> bool:
    if not isinstance(value, str) or not value:
        return True
    if (known := _PATTERNS.get(rule.get("predefined_pattern", ""))) is not None:
        return known.search(value) is not None
    try:
        return re.search(rule.get("custom_pattern") or "", value) is not None
    except re.error:  # a pattern that only Ruby knows
        return True


def _enum(value: Json, rule: Rule, uploads: Uploads) -> bool:
    return is_empty(value) or value in (rule.get("values") or ())


def _number_range(value: Json, rule: Rule, uploads: Uploads) -> bool:
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return True
    return _within(value, {name: None if limit is None else Decimal(str(limit)) for name, limit in rule.items()})


def _date_range(value: Json, rule: Rule, uploads: Uploads) -> bool:
    days = {name: str(limit)[:10] for name, limit in rule.items() if limit}
    return not isinstance(value, str) or not value or _within(value[:10], days)


def _date_time_range(value: Json, rule: Rule, uploads: Uploads) -> bool:
    if not isinstance(value, str) or not value:
        return True
    try:
        return _within(parse_time(value), {name: parse_time(limit) for name, limit in rule.items() if limit})
    except ApiError:
        return False


def _size(value: Json, rule: Rule, uploads: Uploads) -> bool:
    count = len(value) if isinstance(value, list) else 0
    multiple = rule.get("multiple_of")
    return (
        _within(count, rule)
        and (rule.get("eq") is None or count == rule["eq"])
        and (not multiple or count % multiple == 0)
    )


def _required_alt_title(value: Json, rule: Rule, uploads: Uploads) -> bool:
    for file in _files(value):
        default = _metadata(uploads.get(file["upload_id"]))
        if any(rule.get(name) and not (file.get(name) or default.get(name)) for name in ("alt", "title")):
            return False
    return True


def _metadata(upload: Upload | None) -> dict[str, Json]:
    """Return the default members of *upload*, those of any locale."""
    found: dict[str, Json] = {}
    for members in upload.metadata.values() if upload is not None else ():
        if isinstance(members, dict):
            found |= {name: value for name, value in members.items() if value}
    return found


def _required_seo_fields(value: Json, rule: Rule, uploads: Uploads) -> bool:
    has = value if isinstance(value, dict) else {}
    return all(has.get(name) for name, is_needed in rule.items() if is_needed)


def _seo_length(member: str) -> Callable[[Json, Rule, Uploads], bool]:
    def check(value: Json, rule: Rule, uploads: Uploads) -> bool:
        text = value.get(member) if isinstance(value, dict) else None
        return not text or _has_length(text, rule)

    return check


def _of_uploads(check: Callable[[Upload, Rule], bool]) -> Callable[[Json, Rule, Uploads], bool]:
    """Return the rule that *check* holds for every upload in a value; unknown uploads are another rule's subject."""

    def check_all(value: Json, rule: Rule, uploads: Uploads) -> bool:
        if isinstance(value, dict) and "upload_id" not in value:  # the metadata for search engines
            ids = [value["image"]] if isinstance(value.get("image"), str) else []
        else:
            ids = [file["upload_id"] for file in _files(value)]
        return all(check(uploads[id], rule) for id in ids if id in uploads)

    return check_all


def _files(value: Json) -> list[dict[str, Json]]:
    files = value if isinstance(value, list) else [value]
    return [file for file in files if isinstance(file, dict) and file.get("upload_id")]


def _extension(upload: Upload, rule: Rule) -> bool:
    extension = upload.file.filename.rpartition(".")[2].lower()
    known = _EXTENSIONS.get(rule.get("predefined_list") or "")
    allowed = known if known is not None else [str(one).lower() for one in rule.get("extensions") or ()]
    return extension in allowed


def _file_size(upload: Upload, rule: Rule) -> bool:
    limits = {
        name: rule[f"{name}_value"] * _UNITS.get(rule.get(f"{name}_unit") or "B", 1)
        for name in ("min", "max")
        if rule.get(f"{name}_value") is not None
    }
    return _within(upload.file.size, limits)


def _image_dimensions(upload: Upload, rule: Rule) -> bool:
    width, height = upload.file.width, upload.file.height
    if width is None or height is None:
        return True
    return _within(width, rule, "width_min_value", "width_max_value") and _within(
        height, rule, "height_min_value", "height_max_value"
    )


def _image_aspect_ratio(upload: Upload, rule: Rule) -> bool:
    if not upload.file.width or not upload.file.height:
        return True
    ratio = Decimal(upload.file.width) / Decimal(upload.file.height)
    ratios = {
        name: Decimal(rule[f"{name}_ar_numerator"]) / Decimal(rule[f"{name}_ar_denominator"])
        for name in ("min", "eq", "max")
        if rule.get(f"{name}_ar_numerator") and rule.get(f"{name}_ar_denominator")
    }
    return _within(ratio, ratios) and ratios.get("eq", ratio) == ratio


_RULES: Final[Mapping[str, Callable[[Json, Rule, Uploads], bool]]] = {
    "length": _length,
    "format": _format,
    "slug_format": _format,
    "enum": _enum,
    "number_range": _number_range,
    "date_range": _date_range,
    "date_time_range": _date_time_range,
    "size": _size,
    "required_alt_title": _required_alt_title,
    "required_seo_fields": _required_seo_fields,
    "title_length": _seo_length("title"),
    "description_length": _seo_length("description"),
    "extension": _of_uploads(_extension),
    "file_size": _of_uploads(_file_size),
    "image_dimensions": _of_uploads(_image_dimensions),
    "image_aspect_ratio": _of_uploads(_image_aspect_ratio),
}
