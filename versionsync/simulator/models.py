"""Models and their fields, as one environment knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from versionsync.simulator.content import BLOCK_FIELD_TYPES, Json

__all__ = ["FIELD_TYPES", "Field", "Model", "Workflow"]

FIELD_TYPES: Final = frozenset(
    {
        *("boolean", "color", "date", "date_time", "file", "float", "gallery", "integer", "json", "lat_lon"),
        *("link", "links", "rich_text", "seo", "single_block", "slug", "string", "structured_text", "text", "video"),
    }
)


LIST_TYPES: Final = frozenset({"gallery", "links", "rich_text"})
"""The types of field whose emptiness is a list."""


@dataclass(slots=True, eq=False)
class Field:
    """A field of a model."""

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

    @property
    def initial_value(self) -> Json:
        """What it holds in a record that says nothing about it; in each locale, where it is localized."""
        if self.default_value is None and self.field_type in LIST_TYPES:
            return []
        return self.default_value

    @property
    def holds_files(self) -> bool:
        """Whether the field's value is a file of the media area, or a list of some."""
        return self.field_type in {"file", "gallery"}

    @property
    def holds_blocks(self) -> bool:
        """Whether the field's value consists of blocks, or may contain some."""
        return self.field_type in BLOCK_FIELD_TYPES


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
    workflow_id: str | None = None
    fields: dict[str, Field] = field(default_factory=dict)
    former_keys: dict[str, str] = field(default_factory=dict)
    """Old api_keys of renamed fields and what they are called now, where old versions keep the old key."""

    def field_by_key(self, api_key: str) -> Field | None:
        """The field called *api_key*, if there is one."""
        return next((field for field in self.fields.values() if field.api_key == api_key), None)

    @property
    def ordered_fields(self) -> list[Field]:
        """The fields as an editor sees them."""
        return sorted(self.fields.values(), key=lambda field: field.position)

    @property
    def title_key(self) -> str | None:
        """The api_key of the field that names its records: the first one that holds a line of text."""
        return next((field.api_key for field in self.ordered_fields if field.field_type == "string"), None)

    @property
    def block_keys(self) -> tuple[str, ...]:
        """The api_keys of the fields that hold blocks, old names included."""
        keys = tuple(field.api_key for field in self.fields.values() if field.holds_blocks)
        if not keys or not self.former_keys:
            return keys
        return keys + tuple(old for old, new in self.former_keys.items() if new in keys)

    @property
    def localized_keys(self) -> frozenset[str]:
        """The api_keys of the localized fields."""
        return frozenset(field.api_key for field in self.fields.values() if field.localized)


@dataclass(frozen=True, slots=True)
class Workflow:
    """The stages that records of some models go through."""

    id: str
    name: str
    api_key: str
    stages: tuple[str, ...]
    """Ids of the stages, the initial one first."""
