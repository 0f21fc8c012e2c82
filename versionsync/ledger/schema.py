"""Models and fields, and what changed between two looks at them."""

from __future__ import annotations

from dataclasses import dataclass

from versionsync.ledger.ids import ModelId

__all__ = ["Field", "Model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as upstream described it. `payload` is its JSON document as sent."""

    id: ModelId
    api_key: str
    name: str
    is_block: bool
    is_singleton: bool
    draft_mode: bool
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a model as upstream described it. `payload` is its JSON document as sent."""

    id: str
    model_id: ModelId
    api_key: str
    label: str
    field_type: str
    is_localized: bool
    position: int
    payload: str
