"""Which models there are, and which of their records the token's role may see.

DatoCMS returns 404 for a record that the role hides, as it does for one that does not exist. So after a 404 the engine
asks for the token's own role, but only in runs in which a record is not found. The role may change during a run, so it
is read again before a record is marked deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from versionsync import cma
from versionsync.ledger.ids import ModelId
from versionsync.ledger.schema import Schema

__all__ = ["ListedModels", "RoleVisibility"]


@dataclass(frozen=True, slots=True)
class ListedModels:
    """The models of one schema: `listed` are those that have records, `blocks` the block models."""

    listed: frozenset[ModelId]
    blocks: frozenset[ModelId]

    @classmethod
    def of(cls, schema: Schema) -> ListedModels:
        """Divide the models of `schema` into those with records and block models."""
        blocks = frozenset(model.id for model in schema.models.values() if model.is_block)
        return cls(frozenset(model.id for model in schema.models.values()) - blocks, blocks)

    @property
    def all(self) -> frozenset[ModelId]:
        """Return every model, block models included."""
        return self.listed | self.blocks


class RoleVisibility:
    """What the token's role says about the records of each model. It is read once, and only if it is needed."""

    def __init__(self, client: cma.Client, schema: Schema, *, assume_visible: bool) -> None:
        """`assume_visible`: treat every model as visible, whatever the role says."""
        self.models: Mapping[ModelId, str] = {model.id: model.api_key for model in schema.models.values()}
        self.assume_visible = assume_visible
        self._client = client
        self._role: cma.Role | None = None
        self._was_asked = False
        self._is_hidden: dict[ModelId, bool] = {}
        self._asking = asyncio.Lock()

    @property
    def is_unknown(self) -> bool:
        """Return whether DatoCMS was asked for the role, and did not show it."""
        return self._was_asked and self._role is None

    async def is_hidden(self, model: ModelId) -> bool:
        """Return whether the role hides records of `model`, so that a 404 does not show that one was deleted.

        False for a model that DatoCMS does not list; but see `is_unlisted_model_hidden`. Raises CmaError.
        """
        if self.assume_visible or model not in self.models:
            return False
        async with self._asking:
            if model not in self._is_hidden:
                self._is_hidden[model] = await self._decide(model)
        return self._is_hidden[model]

    async def shows_none_of(self, model: ModelId) -> bool:
        """Return whether the role shows no record of `model`, so that it need not be listed. Raises CmaError."""
        if self.assume_visible:
            return False
        role = await self._own_role()
        environment = self._client.environment_id
        if role is None or environment is None or role.reading(model, environment) is not cma.ReadAccess.NONE:
            return False
        return await self.is_hidden(model)

    async def are_hidden_now(self, models: Iterable[ModelId]) -> frozenset[ModelId]:
        """Return the models of which the role, read again, hides records. Raises CmaError.

        Models that DatoCMS does not list are included: the first answer about the role may have been old.
        """
        async with self._asking:
            if self._role is not None:  # if DatoCMS does not show the role, it will not do so a minute later
                self._was_asked = False
                self._is_hidden.clear()
        return frozenset(
            [model for model in models if await self.is_unlisted_model_hidden(model, self.models.get(model, model))]
        )

    async def is_unlisted_model_hidden(self, model: ModelId, name: str) -> bool:
        """Return whether the role hides records of a model that DatoCMS may not list. If so, treat it as existing."""
        others, self.models = self.models, {**self.models, model: name}
        is_hidden = await self.is_hidden(model)
        if not is_hidden:
            self.models = others
        return is_hidden

    def warning(self, source: str, hidden: Mapping[ModelId, int]) -> str | None:
        """Return a warning about the `hidden` records (their number by model), or None if there are none."""
        if not hidden or self._role is None:
            return None
        names = ", ".join(sorted(self.models.get(model, model) for model in hidden))
        return (
            f"the token's role {self._role.name} does not show all records of: {names}. "
            f"{sum(hidden.values())} that are not found any more are not marked as deleted. Let the role read them; "
            f"if they were really deleted, run `versionsync sync {source} --allow-mass-delete` once"
        )

    async def _own_role(self) -> cma.Role | None:
        if not self._was_asked:
            self._role = await self._client.own_role()
            self._was_asked = True
        return self._role

    async def _decide(self, model: ModelId) -> bool:
        role, environment = await self._own_role(), self._client.environment_id
        if role is None or environment is None:
            return False
        access = role.reading(model, environment)
        if access is cma.ReadAccess.NONE:
            # If the list shows records of the model all the same, the role was misread and says nothing.
            return not await self._is_listed(model)
        return access is cma.ReadAccess.SOME

    async def _is_listed(self, model: ModelId) -> bool:
        try:
            page = await self._client.items_page(offset=0, limit=1, models=(model,))
        except (cma.NotFound, cma.PermissionDenied, cma.InvalidRequest):
            return False
        # DatoCMS may ignore a model that it does not accept, and list everything else.
        return any(item.item_type_id == model for item in page.items)
