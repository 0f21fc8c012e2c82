"""A project in which everything that makes a restore hard can happen, and editors who do it at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from versionsync.simulator import World
from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.models import Model
from versionsync.simulator.world.records import Record

__all__ = ["Picture", "RandomEditors", "State", "picture"]

Content = Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """What a record is: its newest content and its live content, with fields by id, not by API key."""

    draft: Content
    live: Content | None


@dataclass(frozen=True)
class Picture:
    """All records at a time, and the ids of the fields by model and API key."""

    records: Mapping[str, State]
    field_ids: Mapping[str, Mapping[str, str]]
    locales: tuple[str, ...]


def picture(world: World) -> Picture:
    """Return what all records are now."""
    where = world.environment()
    ids = {model.id: {one.api_key: one.id for one in model.ordered_fields} for model in where.models.values()}

    def by_id(members: Content, model_id: str) -> dict[str, Any]:
        known = ids.get(model_id, {})
        return {known.get(key, key): plain(value) for key, value in members.items()}

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        if isinstance(value, dict):
            if value.get("type") == "item":
                model_id = value["relationships"]["item_type"]["data"]["id"]
                return {**value, "attributes": by_id(value["attributes"], model_id)}
            return {key: plain(one) for key, one in value.items()}
        return value

    def read(record: Record) -> State:
        live = record.published
        return State(
            by_id(msgspec.json.decode(record.head.read()), record.model.id),
            None if live is None else by_id(msgspec.json.decode(live.read()), record.model.id),
        )

    records = {id: read(record) for id, record in where.records.items()}
    return Picture(records, ids, tuple(where.locales))


def link_rule(*models: Model, on_publish: str = "fail", on_delete: str = "delete_references") -> dict[str, Any]:
    """Return a validator of links."""
    return {
        "item_types": [model.id for model in models],
        "on_publish_with_unpublished_references_strategy": on_publish,
        "on_reference_unpublish_strategy": "delete_references",
        "on_reference_delete_strategy": on_delete,
    }


@dataclass
class RandomEditors:
    """They make the project with `begin`, and change it with `act`, always alike for a seed."""

    seed: int
    random: Random = field(init=False)
    places: int = 0

    def __post_init__(self) -> None:
        self.random = Random(f"restore:{self.seed}")

    def begin(self, world: World) -> None:
        """Make models with everything that a restore must respect."""
        owner = world.account
        world.add_locale(owner, "it")
        model, field = world.create_model, world.create_field
        flow = world.create_workflow(owner, "editorial", ("writing", "ready"), name="Editorial")
        quote = model(owner, "quote", is_block=True)
        tag = model(owner, "tag", draft_mode=False)
        post = model(owner, "post", workflow_id=flow.id)
        page = model(owner, "page", tree=True)
        home = model(owner, "home", is_singleton=True)
        cover = model(owner, "cover")
        field(owner, quote, "words", "text", validators={"required": {}})
        field(owner, quote, "about", "link", validators={"item_item_type": link_rule(post, page)})
        field(owner, quote, "inner", "rich_text", validators={"rich_text_blocks": {"item_types": [quote.id]}})
        field(owner, tag, "name", validators={"required": {}, "unique": {}})
        field(owner, tag, "best", "link", validators={"item_item_type": link_rule(post)})
        field(owner, post, "title", localized=True, validators={"required": {}})
        field(owner, post, "code", validators={"unique": {}})
        field(owner, post, "body", "rich_text", validators={"rich_text_blocks": {"item_types": [quote.id]}})
        field(owner, post, "friend", "link", validators={"item_item_type": link_rule(post)})
        field(
            owner,
            post,
            "tags",
            "links",
            validators={"items_item_type": link_rule(tag, post, on_publish="publish_references")},
        )
        field(owner, post, "count", "integer")
        field(owner, page, "title", validators={"required": {}})
        field(owner, home, "lead", "link", validators={"item_item_type": link_rule(post, page)})
        field(owner, cover, "of", "link", validators={"required": {}, "item_item_type": link_rule(post, cover)})

    def act(self, world: World) -> str:
        """Let an editor do something at random. Return what; a refusal changes nothing."""
        acts: dict[Callable[[World], None], int] = {
            self._create: 12,
            self._update: 12,
            self._publish: 10,
            self._unpublish: 3,
            self._delete: 4,
        }
        return self._do(world, acts)

    def spoil(self, world: World) -> str:
        """Like `act`, but more is destroyed, and the schema changes."""
        acts: dict[Callable[[World], None], int] = {
            self._create: 4,
            self._update: 9,
            self._publish: 5,
            self._unpublish: 3,
            self._delete: 16,
            self._change_schema: 2,
        }
        return self._do(world, acts)

    def _do(self, world: World, acts: Mapping[Callable[[World], None], int]) -> str:
        (act,) = self.random.choices(list(acts), weights=list(acts.values()))
        try:
            act(world)
        except ApiError as error:
            return f"{act.__name__} refused: {error.code}"
        return act.__name__

    def _some(self, world: World, *models: str) -> str | None:
        found = sorted(
            id for id, one in world.environment().records.items() if not models or one.model.api_key in models
        )
        return self.random.choice(found) if found else None

    def _word(self) -> str:
        self.places += 1
        return self.random.choice(("wind", "rain", "snow", "ice", "sun", "fog", f"day {self.places}"))

    def _block(self, world: World, depth: int = 0) -> dict[str, Any]:
        model = world.environment().model("quote")
        attributes: dict[str, Any] = {"words": self._word(), "about": self._some(world, "post", "page")}
        if depth < 2 and self.random.random() < 0.3:
            attributes["inner"] = [self._block(world, depth + 1)]
        return {
            "type": "item",
            "attributes": {key: value for key, value in attributes.items() if model.field_by_key(key)},
            "relationships": {"item_type": {"data": {"type": "item_type", "id": model.id}}},
        }

    def _attributes(self, world: World, model: Model, record: Record | None) -> dict[str, Any]:
        random = self.random
        match model.api_key:
            case "tag":
                found: dict[str, Any] = {"name": self._word(), "best": self._some(world, "post")}
            case "post":
                locales = random.choice((("en",), ("en", "it")))
                blocks: list[Any] = [self._block(world) for _ in range(random.randrange(3))]
                if record is not None and random.random() < 0.5:
                    old = msgspec.json.decode(record.head.read()).get("body") or []
                    blocks = [*random.sample(old, random.randrange(len(old) + 1)), *blocks[:1]]
                found = {
                    "title": {locale: self._word() for locale in locales},
                    "code": random.choice((None, self._word(), self._word())),
                    "body": blocks,
                    "friend": self._some(world, "post"),
                    "tags": [self._some(world, "tag", "post")] if random.random() < 0.6 else [],
                    "count": random.randrange(5),
                }
                found["tags"] = [one for one in found["tags"] if one]
            case "page":
                found = {
                    "title": self._word(),
                    "parent_id": self._some(world, "page") if random.random() < 0.6 else None,
                }
            case "home":
                found = {"lead": self._some(world, "post", "page")}
            case "cover":
                found = {"of": self._some(world, "post", "cover")}
            case _:
                found = {}
        return {key: value for key, value in found.items() if model.field_by_key(key) or key == "parent_id"}

    def _create(self, world: World) -> None:
        names = [
            key for key in ("tag", "post", "post", "post", "page", "page", "home", "cover") if self._has(world, key)
        ]
        if names:
            model = world.environment().model(self.random.choice(names))
            world.create(self._editor(world), model, self._attributes(world, model, None))

    def _has(self, world: World, api_key: str) -> bool:
        return any(one.api_key == api_key for one in world.environment().models.values())

    def _editor(self, world: World) -> Any:
        return self.random.choice((world.account, world.user, world.sso_user))

    def _update(self, world: World) -> None:
        if id := self._some(world):
            record = world.environment().record(id)
            sent = self._attributes(world, record.model, record)
            keys = [key for key in sent if self.random.random() < 0.6] or list(sent)
            world.update(self._editor(world), id, {key: sent[key] for key in keys})

    def _publish(self, world: World) -> None:
        if id := self._some(world):
            world.publish(world.account, id, recursive=self.random.random() < 0.7)

    def _unpublish(self, world: World) -> None:
        if id := self._some(world):
            world.unpublish(world.account, id)

    def _delete(self, world: World) -> None:
        if id := self._some(world):
            world.delete(world.account, id)

    def _change_schema(self, world: World) -> None:
        owner, where = world.account, world.environment()
        models = [one for one in where.models.values() if one.api_key in ("tag", "post", "page", "cover", "quote")]
        model = self.random.choice(models)
        fields = [one for one in model.ordered_fields if one.api_key not in ("title", "words")]
        match self.random.randrange(8):
            case 0 if fields:
                world.destroy_field(owner, self.random.choice(fields).id)
            case 1:
                world.create_field(owner, model, f"new_{self.places}", localized=model.api_key == "post")
                self.places += 1
            case 2 if fields:
                world.update_field(owner, self.random.choice(fields).id, api_key=f"renamed_{self.places}")
                self.places += 1
            case 3 if len(where.locales) > 1:
                world.remove_locale(owner, "it")
            case 4 if model.api_key == "cover":
                world.destroy_model(owner, model.id)
            case 5 if model.api_key in ("post", "cover"):
                world.update_model(owner, model.id, draft_mode=not model.draft_mode)
            case 6:
                world.create_field(owner, model, f"must_{self.places}", "string", validators={"required": {}})
                self.places += 1
            case 7 if (count := next((one for one in fields if one.api_key == "count"), None)) is not None:
                world.update_field(owner, count.id, validators={"number_range": {"min": 2}})
