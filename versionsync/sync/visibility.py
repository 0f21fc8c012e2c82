"""What the token is shown: whether upstream's "not found" for a record says that it was deleted, or nothing at all.

Upstream answers 404 for what a role hides as it does for what does not exist. So after such an answer the engine asks
for the token's own role, but only in runs in which something is not there. The role may change during a run: before a
record is marked deleted, the role is asked for once more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from versionsync import cma
from versionsync.ledger.ids import ModelId

__all__ = ["Visibility", "model_names"]


def model_names(schema: cma.Schema) -> dict[ModelId, str]:
    """The models that upstream has, by their names."""
    return {ModelId(model.id): model.api_key for model in schema.item_types}


class Visibility:
    """What the token's role says of the records of each model, and how many of them were left alone because of it."""

    def __init__(self, client: cma.Client, models: Mapping[ModelId, str], *, believes_all: bool) -> None:
        """`models` are those that upstream has, and their names; `believes_all`: whatever the role says."""
        self.models = models
        self._client = client
        self.assume_visible = believes_all
        self._role: cma.Role | None = None
        self._was_asked = False
        self._verdicts: dict[ModelId, bool] = {}
        self._hidden: Counter[ModelId] = Counter()
        self._asking = asyncio.Lock()

    @property
    def is_unknown(self) -> bool:
        """Whether upstream was asked, and did not say what the role may read."""
        return self._was_asked and self._role is None

    @property
    def hidden(self) -> int:
        """How many records are not there, and are not held to be deleted."""
        return self._hidden.total()

    async def is_hidden(self, model: ModelId) -> bool:
        """Whether the role does not show all records of `model`, so that none can be said to be gone.

        Of a model that upstream no longer has, nothing is hidden; but see `hides_even`. Raises CmaError.
        """
        if self.assume_visible or model not in self.models:
            return False
        async with self._asking:
            if model not in self._verdicts:
                self._verdicts[model] = await self._decide(model)
        return self._verdicts[model]

    async def shows_none_of(self, model: ModelId) -> bool:
        """Return whether the role shows no record of `model`, so that it need not be listed. Raises CmaError."""
        if self.assume_visible:
            return False
        role = await self._own_role()
        environment = self._client.environment_id
        if role is None or environment is None or role.reading(model, environment) is not cma.ReadAccess.NONE:
            return False
        return await self.is_hidden(model)

    async def is_hidden_now(self, models: Iterable[ModelId]) -> frozenset[ModelId]:
        """Return the models of which the role, as it is by now, does not show all records. Raises CmaError.

        So it is even with models that upstream does not name: what the role said before may have been an old answer.
        """
        async with self._asking:
            if self._role is not None:  # a token that is not told its role is not told a minute later
                self._was_asked = False
                self._verdicts.clear()
        return frozenset(
            [model for model in models if await self.is_unlisted_model_hidden(model, self.models.get(model, model))]
        )

    async def is_unlisted_model_hidden(self, model: ModelId, name: str) -> bool:
        """As `hides`, of a model that upstream does not name: whether it is hidden, and counts as one that is there."""
        others, self.models = self.models, {**self.models, model: name}
        hidden = await self.is_hidden(model)
        if not hidden:
            self.models = others
        return hidden

    def count_hidden(self, model: ModelId, number: int) -> None:
        """Note that so many records of `model` are not there, and are not held to be deleted."""
        self._hidden[model] += number

    def warning(self, source: str) -> str | None:
        """What to tell of them; None: there were none."""
        if not self._hidden or self._role is None:
            return None
        names = ", ".join(sorted(self.models.get(model, model) for model in self._hidden))
        return (
            f"the token's role {self._role.name} does not show all records of: {names}. "
            f"{self.hidden} that are not there any more are not held to be deleted. Let the role read them; "
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
        reading = role.reading(model, environment)
        if reading is cma.ReadAccess.NONE:
            # A role that shows what we took it to hide was misread: then it says nothing.
            return not await self._is_listed(model)
        return reading is cma.ReadAccess.SOME

    async def _is_listed(self, model: ModelId) -> bool:
        try:
            page = await self._client.items_page(offset=0, limit=1, models=(model,))
        except (cma.NotFound, cma.PermissionDenied, cma.InvalidRequest):
            return False
        # Upstream may ignore a model that it does not accept, and list everything else.
        return any(item.item_type_id == model for item in page.items)
