"""The fields of all models, as a diff needs them. Pure data.

`versionsync.history.schema_at` reads it from the mirror.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Schema", "SchemaField"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaField:
    """A field of a model or block model. `field_type` is DatoCMS's own word, such as `structured_text`."""

    id: str
    api_key: str
    label: str
    field_type: str
    is_localized: bool
    position: int = 0


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields by model id and API key, and the names of the models by id. What is missing is unknown."""

    fields: Mapping[str, Mapping[str, SchemaField]] = field(default_factory=dict)
    model_names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, fields: Iterable[tuple[str, SchemaField]], model_names: Mapping[str, str] | None = None) -> Schema:
        """Build a schema from pairs of model id and field."""
        by_model: dict[str, dict[str, SchemaField]] = {}
        for model_id, one in fields:
            by_model.setdefault(model_id, {})[one.api_key] = one
        return cls(by_model, model_names or {})

    def of_model(self, model_id: str | None) -> Mapping[str, SchemaField]:
        """Return the known fields of a model by API key; of an unknown model none."""
        return self.fields.get(model_id, {}) if model_id is not None else {}
