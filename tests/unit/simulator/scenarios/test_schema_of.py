"""A project from descriptions: what the API shows of it is what was described."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, SimulatorThread, World
from versionsync.simulator.scenarios.news.site import build_news
from versionsync.simulator.scenarios.schema_of import editor_of, world_of

HEADERS = {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}
PEOPLE = ("/users", "/sso-users", "/access_tokens")


def described(world: World) -> dict[str, list[Any]]:
    """What the API shows of a project without its records."""
    with SimulatorThread(world) as simulator, httpx.Client(base_url=simulator.url, headers=HEADERS) as http:
        site = http.get("/site", params={"include": "item_types,item_types.fields,account"}).json()
        people = [one for path in PEOPLE for one in http.get(path).json()["data"]]
    found: dict[str, list[Any]] = {"site": [site["data"]], "people": people}
    for one in site["included"]:
        found.setdefault(one["type"], []).append(one)
    return found


def test_a_news_site_is_described_as_it_was() -> None:
    original = World(seed=1, clock=Clock.stopped(), locales=("en", "it"), timezone="Europe/Rome")
    build_news(original)
    before = described(original)
    people = [*before["people"], *before["account"]]
    copy = world_of(before["site"][0], before["item_type"], before["field"], people, clock=Clock.stopped(), seed=2)
    after = described(copy)
    assert after["field"] == before["field"]
    assert after["account"] == before["account"]
    assert [_without_content(one) for one in after["item_type"]] == [
        _without_content(one) for one in before["item_type"]
    ]
    own = {one["id"]: one["attributes"] for one in after["people"] if one["type"] != "access_token"}
    assert own == {one["id"]: one["attributes"] for one in before["people"] if one["type"] != "access_token"}
    settings = ("name", "locales", "timezone")
    assert [after["site"][0]["attributes"][name] for name in settings] == [
        before["site"][0]["attributes"][name] for name in settings
    ]


def _without_content(model: dict[str, Any]) -> dict[str, Any]:
    """A model without what depends on its records."""
    attributes = {name: value for name, value in model["attributes"].items() if name != "has_singleton_item"}
    relationships = {name: value for name, value in model["relationships"].items() if name != "singleton_item"}
    return {"id": model["id"], "attributes": attributes, "relationships": relationships}


def minimal(**more: Any) -> World:
    site = {"id": "7", "attributes": {"name": "Shop", "locales": ["de"]}}
    model = {
        "id": "page",
        "attributes": {"api_key": "page", "name": "Page"},
        "relationships": {"workflow": {"data": {"type": "workflow", "id": "flow"}}},
    }
    field = {
        "id": "hologram",
        "attributes": {"api_key": "hologram", "field_type": "hologram", "position": 1},
        "relationships": {"item_type": {"data": {"type": "item_type", "id": "page"}}},
    }
    elsewhere = {**field, "id": "other", "relationships": {"item_type": {"data": {"type": "item_type", "id": "gone"}}}}
    return world_of(site, [model], [field, elsewhere], clock=Clock.stopped(), **more)


def test_a_type_of_field_that_is_not_known_is_a_field_like_others() -> None:
    world = minimal()
    record = world.create(world.user, "page", {"hologram": {"x": 1}})
    assert msgspec.json.decode(record.head.read()) == {"hologram": {"x": 1}}


def test_records_start_in_the_first_stage_that_is_named() -> None:
    world = minimal(stages={"flow": ("drafting", "reviewing")})
    assert world.create(world.user, "page", {}).stage == "drafting"
    assert minimal().create(world.user, "page", {}).stage == "flow-stage"


def test_uploads_are_files_without_content() -> None:
    world = minimal(upload_ids=["picture"])
    assert world.upload("picture").file.size == 0


def test_an_editor_who_is_not_listed_is_still_that_editor() -> None:
    world = minimal()
    gone = editor_of(world, "sso_user", "gone")
    assert (gone.kind.value, gone.id) == ("sso_user", "gone")
    assert ("sso_user", "gone") not in world.people.editors
    assert editor_of(world, "robot", "1") is world.api
