"""Which records and uploads a content names, and in which versions it does. Pure.

A link is named by its target, field, locale and blocks. From one version to the next most links stay. So each version
has a `LinkStep`: what it adds to the links of the version before it, and what it lacks. `link_rows` joins the steps of
a record to intervals. Only the steps of new or rewritten versions, and of those after them, are computed again. The
other steps are read from the rows themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from versionsync.errors import VersionsyncError
from versionsync.history.diff.lines import block_id_of, block_model_of
from versionsync.history.diff.members import is_block
from versionsync.history.diff.schema import SchemaField
from versionsync.history.projections.changes import LONGEST_PATH, VersionContent
from versionsync.history.projections.titles import storable
from versionsync.history.schema_at import SchemaState
from versionsync.mirror.tables.links import RECORD, UPLOAD, LinkRow

__all__ = ["InconsistentSteps", "Link", "LinkKey", "LinkStep", "RecordLinks", "link_rows", "links_in", "step_between"]

LinkKey = tuple[str, str, str, str | None, str | None]
"""What two versions must have in common to have one link: kind and id of the target, field, locale, blocks."""

_PLAIN: Final = frozenset(
    {
        *("string", "text", "slug", "date", "date_time", "color", "lat_lon", "boolean", "integer", "float"),
        *("json", "video"),
    }
)
"""The types of fields that name nothing."""
_LINKS: Final = frozenset({"link", "links"})
_RECORD_NODES: Final = frozenset({"itemLink", "inlineItem"})
_MARKS: Final = ("upload_id", "document", "image", "attributes")
"""Members of values: an object by locale has none of them."""


class Link(NamedTuple):
    """A record or upload that a content names, and where."""

    target_kind: str
    target_id: str
    field_id: str | None
    field: str
    locale: str | None
    block_path: str | None

    @property
    def key(self) -> LinkKey:
        """What names it. A field keeps its links when it is renamed."""
        return self.target_kind, self.target_id, self.field_id or f"\0{self.field}", self.locale, self.block_path


@dataclass(frozen=True, slots=True)
class LinkStep:
    """What a version adds to the links of the one before it, in the order of the content, and what it lacks."""

    added: Sequence[Link] = ()
    removed: Collection[LinkKey] = ()


@dataclass(slots=True)
class RecordLinks:
    """The steps of a record that were computed.

    Attributes:
        ordinals: Those of all of its versions.
        steps: The steps by the ordinals of their versions.
    """

    ordinals: frozenset[int]
    steps: dict[int, LinkStep] = field(default_factory=dict)


class InconsistentSteps(VersionsyncError):
    """The rows do not go with the steps: compute all steps of the record."""


def links_in(version: VersionContent) -> dict[LinkKey, Link]:
    """Return the links in a content, in its order. A content that nests too deep has none."""
    reader = _Reader(version.state)
    try:
        reader.members(version.attributes, version.model_id, None, ())
    except RecursionError:
        return {}
    return reader.found


def step_between(before: Mapping[LinkKey, Link], after: Mapping[LinkKey, Link]) -> LinkStep:
    """Return the step from the links of a version to those of the next one."""
    return LinkStep(
        [link for key, link in after.items() if key not in before], [key for key in before if key not in after]
    )


def link_rows(record_id: str, record: RecordLinks, known: Iterable[LinkRow]) -> list[LinkRow]:
    """Return the rows of a record, from its computed steps and, for all other versions, from the rows it had.

    Raises:
        InconsistentSteps: The two do not go together, as when versions before others are not yet filled.
    """
    added: dict[int, list[tuple[int, Link]]] = {
        ordinal: list(enumerate(step.added, start=1)) for ordinal, step in record.steps.items() if step.added
    }
    removed: dict[int, list[LinkKey]] = {
        ordinal: list(step.removed) for ordinal, step in record.steps.items() if step.removed
    }
    for row in known:
        link = Link(row.target_kind, row.target_id, row.field_id, row.field, row.locale, row.block_path)
        if row.from_ordinal not in record.steps:
            added.setdefault(row.from_ordinal, []).append((row.number, link))
        if row.until_ordinal is not None and row.until_ordinal not in record.steps:
            removed.setdefault(row.until_ordinal, []).append(link.key)
    if not record.ordinals.issuperset(added.keys() | removed.keys()):
        raise InconsistentSteps
    rows: list[LinkRow] = []
    began: dict[LinkKey, tuple[int, int, Link]] = {}

    def end(key: LinkKey, until: int | None) -> None:
        if key not in began:
            raise InconsistentSteps
        ordinal, number, link = began.pop(key)
        rows.append(
            LinkRow(
                record_id,
                ordinal,
                number,
                until,
                link.target_kind,
                link.target_id,
                link.field_id,
                link.field,
                link.locale,
                link.block_path,
            )
        )

    for ordinal in sorted(added.keys() | removed.keys()):
        for key in removed.get(ordinal, ()):
            end(key, ordinal)
        for number, link in added.get(ordinal, ()):
            if link.key in began:
                raise InconsistentSteps
            began[link.key] = ordinal, number, link
    for key in list(began):
        end(key, None)
    return rows


Path = tuple[str, ...]


class _Reader:
    """Finds the links in one content."""

    __slots__ = ("_state", "found")

    def __init__(self, state: SchemaState) -> None:
        self._state = state
        self.found: dict[LinkKey, Link] = {}

    def members(self, attributes: Mapping[str, Any], model_id: str | None, locale: str | None, path: Path) -> None:
        """Read the fields of a record or block."""
        fields = self._state.schema.of_model(model_id)
        former: Mapping[str, str] = self._state.former_keys.get(model_id, {}) if model_id is not None else {}
        for name, value in attributes.items():
            if value is None or isinstance(value, (bool, int)):
                continue
            known = fields.get(name) or (fields.get(former[name]) if name in former else None)
            if known is not None and known.field_type in _PLAIN:
                continue
            place = _Place(known, name, locale, path)
            is_by_locale = known is not None and known.is_localized and isinstance(value, dict)
            if is_by_locale and not any(mark in value for mark in _MARKS):
                for one, inner in value.items():
                    self._value(inner, _Place(known, name, storable(one), path))
            else:
                self._value(value, place)

    def _value(self, value: Any, place: _Place) -> None:
        if isinstance(value, str):
            if place.known is not None and place.known.field_type in _LINKS:
                self._add(RECORD, value, place)
        elif isinstance(value, list):
            for one in value:
                self._value(one, place)
        elif isinstance(value, dict):
            self._object(value, place)

    def _object(self, value: dict[str, Any], place: _Place) -> None:
        if is_block(value):
            id = block_id_of(value) or ""
            self.members(value["attributes"], block_model_of(value), place.locale, (*place.path, id))
            return
        document = value.get("document")
        if isinstance(document, dict) and isinstance(document.get("children"), list):
            self._nodes(document["children"], place)
        elif isinstance(upload := value.get("upload_id"), str):
            self._add(UPLOAD, upload, place)
        elif place.known is not None and place.known.field_type == "seo":
            if isinstance(image := value.get("image"), str):
                self._add(UPLOAD, image, place)
        elif place.known is None:  # the schema has no such field, which may be an object by locale
            for one in value.values():
                if isinstance(one, (dict, list)):
                    self._value(one, place)

    def _nodes(self, nodes: list[Any], place: _Place) -> None:
        """Read the nodes of a structured text, in their order."""
        for node in nodes:
            if not isinstance(node, dict):
                continue
            if "item" in node:
                item = node["item"]
                if isinstance(item, dict):
                    self._object(item, place)
                elif isinstance(item, str) and node.get("type") in _RECORD_NODES:
                    self._add(RECORD, item, place)
            if "children" in node and isinstance(children := node["children"], list):
                self._nodes(children, place)

    def _add(self, kind: str, id: str, place: _Place) -> None:
        link = Link(
            kind,
            storable(id),
            place.known.id if place.known is not None else None,
            storable(place.name),
            place.locale,
            storable("/".join(place.path), LONGEST_PATH) if place.path else None,
        )
        self.found.setdefault(link.key, link)


class _Place(NamedTuple):
    """Where a value is: its field, its locale and the ids of the blocks around it."""

    known: SchemaField | None
    name: str
    locale: str | None
    path: Path
