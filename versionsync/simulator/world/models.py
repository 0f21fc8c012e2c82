"""Models, fields, fieldsets and workflows of an environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from versionsync.simulator.world.content import BLOCK_FIELD_TYPES, Json, is_by_locale

__all__ = ["FIELD_TYPES", "MODEL_FIELDS", "Field", "Fieldset", "Model", "Workflow"]

FIELD_TYPES: Final = frozenset(
    {
        *("boolean", "color", "date", "date_time", "file", "float", "gallery", "integer", "json", "lat_lon"),
        *("link", "links", "rich_text", "seo", "single_block", "slug", "string", "structured_text", "text", "video"),
    }
)

LIST_TYPES: Final = frozenset({"gallery", "links", "rich_text"})
"""The types of field whose empty value is a list."""

MODEL_FIELDS: Final = (
    "presentation_title_field",
    "presentation_image_field",
    "title_field",
    "image_preview_field",
    "excerpt_field",
    "ordering_field",
)
"""The relationships of a model to some of its fields, such as the one that is a record's title."""


@dataclass(slots=True, eq=False)
class Field:
    id: str
    model_id: str
    api_key: str
    field_type: str
    label: str
    localized: bool = False
    position: int = 1
    hint: str | None = None
    validators: dict[str, Json] = field(default_factory=dict)
    default_value: Json = None
    appearance: dict[str, Json] | None = None
    deep_filtering_enabled: bool = False
    content_link_enabled: bool = False
    fieldset_id: str | None = None

    @property
    def initial_value(self) -> Json:
        """Its value in a record that does not set it; if it is localized, in each locale."""
        if self.default_value is None and self.field_type in LIST_TYPES:
            return []
        return self.default_value

    @property
    def holds_files(self) -> bool:
        """Whether its value is a file of the media area, or a list of files."""
        return self.field_type in {"file", "gallery"}

    def by_locale(self, value: Json, path: str) -> Iterator[tuple[str, Json]]:
        """Yield the value of each locale of a decoded *value*, with *path* and the locale; or the only value."""
        if self.localized and is_by_locale(value):
            yield from ((f"{path}.{locale}", inner) for locale, inner in value.items())
        else:
            yield path, value

    @property
    def holds_blocks(self) -> bool:
        """Whether its value consists of blocks or can contain some."""
        return self.field_type in BLOCK_FIELD_TYPES


@dataclass(slots=True, eq=False)
class Fieldset:
    """A group of a model's fields in the editor."""

    id: str
    model_id: str
    title: str
    hint: str | None = None
    collapsible: bool = False
    start_collapsed: bool = False
    position: int = 1


@dataclass(slots=True, eq=False)
class Model:
    """A model: what its records look like, and how they are saved."""

    id: str
    api_key: str
    name: str
    draft_mode: bool = True
    is_singleton: bool = False
    is_block: bool = False
    sortable: bool = False
    tree: bool = False
    all_locales_required: bool = False
    draft_saving: bool = False
    hint: str | None = None
    collection_appearance: str = "table"
    ordering_direction: str | None = None
    ordering_meta: str | None = None
    inverse_relationships_enabled: bool = False
    workflow_id: str | None = None
    fields: dict[str, Field] = field(default_factory=dict)
    fieldsets: dict[str, Fieldset] = field(default_factory=dict)
    chosen_fields: dict[str, str] = field(default_factory=dict)
    """The ids of fields by those names of `MODEL_FIELDS` that point to one."""
    previous_keys: dict[str, str] = field(default_factory=dict)
    """Old api_keys of renamed fields with the current ones, if old versions keep the old key."""

    def copy(self) -> Model:
        """Return a copy with its own fields and fieldsets. Their values are shared: they are replaced, not changed."""
        return replace(
            self,
            fields={id: replace(field) for id, field in self.fields.items()},
            fieldsets={id: replace(fieldset) for id, fieldset in self.fieldsets.items()},
            chosen_fields=dict(self.chosen_fields),
            previous_keys=dict(self.previous_keys),
        )

    def field_by_key(self, api_key: str) -> Field | None:
        return next((field for field in self.fields.values() if field.api_key == api_key), None)

    @property
    def ordered_fields(self) -> list[Field]:
        """The fields in the order of the editor: those of a fieldset at its position."""
        return sorted(self.fields.values(), key=self._position)

    @property
    def ordered_fieldsets(self) -> list[Fieldset]:
        """The fieldsets in the order of the editor."""
        return sorted(self.fieldsets.values(), key=lambda fieldset: fieldset.position)

    def next_position(self, fieldset_id: str | None) -> int:
        """Return the position after all fields in a fieldset; None: after the fields and fieldsets of the model."""
        inner = [field.position for field in self.fields.values() if field.fieldset_id == fieldset_id]
        sets = [] if fieldset_id is not None else [fieldset.position for fieldset in self.fieldsets.values()]
        return max([0, *inner, *sets]) + 1

    def _position(self, field: Field) -> tuple[int, int]:
        if field.fieldset_id is None:
            return field.position, 0
        return self.fieldsets[field.fieldset_id].position, field.position

    @property
    def title_key(self) -> str | None:
        """The api_key of the field with a record's title: the chosen one, or the first single-line string."""
        chosen = self.fields.get(self.chosen_fields.get("title_field", ""))
        if chosen is not None:
            return chosen.api_key
        return next((field.api_key for field in self.ordered_fields if field.field_type == "string"), None)

    @property
    def block_keys(self) -> tuple[str, ...]:
        """The api_keys of the fields that hold blocks, with their previous keys."""
        keys = tuple(field.api_key for field in self.fields.values() if field.holds_blocks)
        if not keys or not self.previous_keys:
            return keys
        return keys + tuple(old for old, new in self.previous_keys.items() if new in keys)

    @property
    def localized_keys(self) -> frozenset[str]:
        return frozenset(field.api_key for field in self.fields.values() if field.localized)


@dataclass(frozen=True, slots=True)
class Workflow:
    """The stages of the records of some models."""

    id: str
    name: str
    api_key: str
    stages: tuple[str, ...]
    """The ids of the stages, the initial one first."""
