"""The audit log, as somebody reads it who may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import World


def events(served: Served, **sought: Any) -> list[dict[str, Any]]:
    """The events that are found; those of the first page."""
    found: list[dict[str, Any]] = query(served, **sought)["data"]
    return found


def query(served: Served, **sought: Any) -> Any:
    """The answer to a query."""
    return served.send("POST", "/audit-log-events/query", {"data": {"type": "audit_log_query", "attributes": sought}})


def write(served: Served, title: str = "a") -> str:
    """The id of a new record."""
    link = {"item_type": {"data": {"id": served.post.id, "type": "item_type"}}}
    body = {"data": {"type": "item", "attributes": {"title": {"en": title}}, "relationships": link}}
    return str(served.send("POST", "/items", body, status=201)["data"]["id"])


def test_it_tells_who_did_what_where_and_when(served: Served) -> None:
    """A detailed query also returns the bodies."""
    id = write(served)
    served.send("PUT", f"/items/{id}/publish")
    published, created = events(served, detailed_log=True)
    assert published["type"] == "audit_log_event"
    assert published["meta"] == {"occurred_at": "2026-09-01T09:00:00.000Z"}
    found = published["attributes"]
    api = served.act(lambda world: world.api)
    assert found["action_name"] == "items.publish"
    assert found["actor"] == {"type": "access_token", "id": api.id, "name": api.name}
    assert (found["role"]["id"], found["environment"]) == (api.role_id, {"id": "main", "primary": True})
    assert (found["request"]["method"], found["request"]["path"]) == ("PUT", f"/items/{id}/publish")
    assert (found["request"]["payload"], found["response"]["status"]) == (None, 200)
    assert found["response"]["payload"]["data"]["meta"]["status"] == "published"
    assert created["attributes"]["request"]["payload"]["data"]["attributes"] == {"title": {"en": "a"}}
    brief = events(served)[0]["attributes"]
    assert brief["response"] is None
    assert brief["request"] == {key: found["request"][key] for key in ("id", "method", "path")}


def test_only_what_was_done_is_in_it(served: Served) -> None:
    """Neither reading nor what was refused; a bulk act is one event that names its records."""
    id = write(served)
    served.get(f"/items/{id}")
    assert served.http.put("/items/nobody", json={"data": {"attributes": {}}}).status_code == 404
    assert served.http.post(f"/items/{id}/validate", json={"data": {"attributes": {}}}).status_code == 204
    items = {"data": [{"id": id, "type": "item"}]}
    served.job("POST", "/items/bulk/destroy", {"data": {"relationships": {"items": items}}})
    bulk, created = events(served, detailed_log=True)
    assert created["attributes"]["action_name"] == "items.create"
    assert bulk["attributes"]["action_name"] == "item_bulk_operations.destroy"
    assert bulk["attributes"]["request"]["payload"]["data"]["relationships"]["items"] == items


def test_events_are_found_by_condition_and_time(served: Served) -> None:
    """A condition about a member that no event has finds none; one that is none is refused."""
    first = write(served)
    served.http.post("/_simulator/clock", json={"advance_seconds": 3600})
    second = write(served)
    served.send("PUT", f"/items/{second}/publish")
    assert len(events(served)) == 3
    assert len(events(served, filter="action_name = 'items.create'")) == 2
    assert len(events(served, since="2026-09-01T10:00:00Z")) == 2
    assert len(events(served, before="2026-09-01T10:00:00Z")) == 1
    of_model = f"request.payload.data.relationships.item_type.data.id = '{served.post.id}'"
    assert len(events(served, filter=of_model, before="2026-09-01T10:00:00Z")) == 1
    assert len(events(served, filter=f"request.path = '/items/{second}/publish'")) == 1
    assert len(events(served, filter=f"contains(request.path, '{first}')")) == 0
    assert events(served, filter="foo", detailed_log=True) == []
    answer = served.http.post("/audit-log-events/query", json={"data": {"attributes": {"filter": "a ="}}})
    assert served.refused(answer) == (422, "INVALID_ATTRIBUTES")


@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
def test_a_long_log_is_read_page_by_page(served: Served, order: str) -> None:
    """Each event once, whatever is added meanwhile; its order is not documented."""
    served.http.post("/_simulator/switches", json={"audit_log_order": order})
    for _ in range(102):
        write(served)
    first = query(served, filter="action_name = 'items.create'")
    assert len(first["data"]) == 100
    write(served)
    rest = query(served, filter="action_name = 'items.create'", next_token=first["meta"]["next_token"])
    ids = [event["id"] for event in (*first["data"], *rest["data"])]
    assert len(set(ids)) == len(ids) == (102 if order == "newest_first" else 103)
    assert rest["meta"]["next_token"] is None
    assert ids == sorted(ids, reverse=order == "newest_first")
    answer = served.http.post("/audit-log-events/query", json={"data": {"attributes": {"next_token": "?"}}})
    assert served.refused(answer) == (422, "INVALID_ATTRIBUTES")


def test_the_role_and_the_plan_must_allow_it(served: Served) -> None:
    """The features of the plan say whether it does."""

    def enabled() -> bool:
        features = {one["id"]: one["attributes"] for one in served.get("/subscription-features")["data"]}
        return bool(features["audit_log"]["enabled"])

    body = {"data": {"attributes": {}}}
    assert enabled()
    served.http.post("/_simulator/switches", json={"plan_has_audit_log": False})
    assert not enabled()
    assert served.refused(served.http.post("/audit-log-events/query", json=body)) == (422, "PLAN_UPGRADE_REQUIRED")
    served.http.post("/_simulator/switches", json={"plan_has_audit_log": True})
    served.act(_forbid)
    assert served.refused(served.http.post("/audit-log-events/query", json=body)) == (401, "INSUFFICIENT_PERMISSIONS")


def _forbid(world: World) -> None:
    role = world.people.tokens[world.token].role
    world.people.add_role(replace(role, can_access_audit_log=False))
