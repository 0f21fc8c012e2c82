"""The rules of a project that a restore must respect: its locales, models, fields and validators. Pure.

They come from the project's schema as DatoCMS shows it now. A rule that is not known counts as absent: upstream then
refuses the write, and the plan reports that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import msgspec

from versionsync.ledger.schema import Field, Model, Schema

__all__ = ["BLOCK_TYPES", "LINK_TYPES", "UPLOAD_TYPES", "FieldRules", "ModelRules", "ProjectRules"]

LINK_TYPES: Final = frozenset({"link", "links"})
"""The types of fields that are a link or a list of links. Structured text can contain links too."""
BLOCK_TYPES: Final = frozenset({"rich_text", "single_block", "structured_text"})
"""The types of fields that can contain blocks."""
UPLOAD_TYPES: Final = frozenset({"file", "gallery", "seo"})
"""The types of fields that can name uploads."""

_LINK_VALIDATORS: Final = ("item_item_type", "items_item_type", "structured_text_links")
_PUBLISH_THEM: Final = "publish_references"
_UNPUBLISHED_STRATEGY: Final = "on_publish_with_unpublished_references_strategy"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRules:
    """A field of a model or block model as it is now.

    Attributes:
        validators: All validators as DatoCMS shows them.
        default: The value that a new record gets if none is sent.
    """

    id: str
    api_key: str
    label: str
    field_type: str
    is_localized: bool
    validators: Mapping[str, Any] = field(default_factory=dict)
    default: Any = None

    @property
    def is_required(self) -> bool:
        """Whether an empty value is refused."""
        return "required" in self.validators

    @property
    def is_unique(self) -> bool:
        """Whether two records cannot have the same value."""
        return "unique" in self.validators

    @property
    def linked_models(self) -> frozenset[str] | None:
        """The ids of the models whose records it may link to. None: the rule is not known."""
        for name in _LINK_VALIDATORS:
            rule = self.validators.get(name)
            if isinstance(rule, Mapping) and isinstance(rule.get("item_types"), list):
                return frozenset(str(id) for id in rule["item_types"])
        return None

    @property
    def links_must_be_live(self) -> bool:
        """Whether a record cannot be published while a record that this field links to is not published."""
        return any(one != _PUBLISH_THEM for one in self._strategies())

    @property
    def publishes_links(self) -> bool:
        """Whether publishing a record publishes what this field links to."""
        return any(one == _PUBLISH_THEM for one in self._strategies())

    def _strategies(self) -> Iterator[Any]:
        """Yield what publishing does about links to what is not live. Without a strategy it is refused."""
        for name in _LINK_VALIDATORS:
            rule = self.validators.get(name)
            if isinstance(rule, Mapping):
                yield rule.get(_UNPUBLISHED_STRATEGY, "fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRules:
    """A model or block model as it is now, with its fields by API key."""

    id: str
    api_key: str
    name: str
    has_drafts: bool = True
    is_block: bool = False
    is_singleton: bool = False
    is_tree: bool = False
    is_sortable: bool = False
    allows_invalid_drafts: bool = False
    all_locales_required: bool = False
    workflow_id: str | None = None
    fields: Mapping[str, FieldRules] = field(default_factory=dict)

    def field_of_id(self, id: str) -> FieldRules | None:
        """Return the field of this id, or None."""
        return next((one for one in self.fields.values() if one.id == id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRules:
    """The locales of a project, the main one first, and its models and block models by id."""

    locales: tuple[str, ...]
    models: Mapping[str, ModelRules]

    @classmethod
    def of(cls, schema: Schema, locales: Iterable[str]) -> Self:
        """Return the rules in a schema."""
        by_model: dict[str, dict[str, FieldRules]] = {}
        for one in schema.fields.values():
            by_model.setdefault(one.model_id, {})[one.api_key] = _field_rules(one)
        models = {id: _model_rules(one, by_model.get(id, {})) for id, one in schema.models.items()}
        return cls(locales=tuple(locales), models=models)


def _field_rules(one: Field) -> FieldRules:
    attributes = _attributes(one.payload)
    validators = attributes.get("validators")
    return FieldRules(
        id=one.id,
        api_key=one.api_key,
        label=one.label,
        field_type=one.field_type,
        is_localized=one.is_localized,
        validators=validators if isinstance(validators, dict) else {},
        default=attributes.get("default_value"),
    )


def _model_rules(one: Model, fields: Mapping[str, FieldRules]) -> ModelRules:
    attributes = _attributes(one.payload)
    workflow = _member(msgspec.json.decode(one.payload), "relationships", "workflow", "data", "id")
    return ModelRules(
        id=one.id,
        api_key=one.api_key,
        name=one.name,
        has_drafts=one.draft_mode,
        is_block=one.is_block,
        is_singleton=one.is_singleton,
        is_tree=attributes.get("tree") is True,
        is_sortable=attributes.get("sortable") is True,
        allows_invalid_drafts=attributes.get("draft_saving_active") is True,
        all_locales_required=attributes.get("all_locales_required") is True,
        workflow_id=workflow if isinstance(workflow, str) else None,
        fields=fields,
    )


def _attributes(payload: str) -> Mapping[str, Any]:
    found = _member(msgspec.json.decode(payload), "attributes")
    return found if isinstance(found, dict) else {}


def _member(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
