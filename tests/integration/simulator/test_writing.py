"""What the API does for editors, and how it answers them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.simulator.conftest import Served


def item(served: Served, attributes: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The body of a create."""
    link = {"item_type": {"data": {"id": served.post.id, "type": "item_type"}}}
    return {"data": {"type": "item", "attributes": attributes, "relationships": link, **members}}


def create(served: Served, attributes: dict[str, Any], **members: Any) -> Any:
    """The record that a create answers with."""
    return served.send("POST", "/items", item(served, attributes, **members), status=201)["data"]


def versions(served: Served, id: str) -> list[dict[str, Any]]:
    """The versions of a record, newest first."""
    found: list[dict[str, Any]] = served.get(f"/items/{id}/versions?nested=true")["data"]
    return found


def test_a_record_goes_through_its_life(served: Served) -> None:
    made = create(served, {"title": {"en": "a"}, "body": [served.paragraph("one")]})
    id, url = made["id"], f"/items/{made['id']}"
    assert made["meta"]["status"] == "draft"
    assert served.send("PUT", f"{url}/publish")["data"]["meta"]["status"] == "published"
    sent = {"data": {"type": "item", "id": id, "attributes": {"title": {"en": "b"}}}}
    assert served.send("PUT", url, sent)["data"]["meta"]["status"] == "updated"
    assert served.send("PUT", f"{url}/unpublish")["data"]["meta"]["status"] == "draft"
    status, payload = served.job("DELETE", url)
    assert (status, payload["data"]["id"]) == (200, id)
    assert served.http.get(url).status_code == 404
    assert create(served, {}, id=id)["id"] == id
    assert len(versions(served, id)) == 1


def test_a_draft_was_never_published_unless_the_request_says_so(served: Served) -> None:
    """`first_published_at` is null, or what was sent; `updated_at` and `published_at` cannot be sent."""
    assert create(served, {})["meta"]["first_published_at"] is None
    past = "2018-11-24T10:00"
    sent = dict.fromkeys(("created_at", "first_published_at", "updated_at", "published_at"), past)
    made = create(served, {}, meta=sent)
    assert made["meta"]["created_at"] == made["meta"]["first_published_at"] == "2018-11-24T10:00:00Z"
    assert (made["meta"]["updated_at"], made["meta"]["published_at"]) == ("2026-09-01T09:00:00Z", None)
    published = served.send("PUT", f"/items/{made['id']}/publish")["data"]["meta"]
    assert published["first_published_at"] == "2018-11-24T10:00:00Z"
    assert published["published_at"] == "2026-09-01T09:00:00Z"


@pytest.mark.parametrize("act", ["publication", "unpublishing"])
def test_a_plan_is_told_with_the_text_that_was_sent(served: Served, act: str) -> None:
    """The record prints the same moment in the form of the project."""
    made = create(served, {})
    path, name = f"/items/{made['id']}/scheduled-{act}", f"{act}_scheduled_at"
    plan = served.send("POST", path, {"data": {"attributes": {name: "2056-02-10T12:03:42.208+01:00"}}}, status=201)
    assert plan["data"]["attributes"][name] == "2056-02-10T12:03:42.208+01:00"
    assert plan["included"][0]["meta"][name] == "2056-02-10T11:03:42Z"
    assert served.send("DELETE", path)["data"]["meta"][name] is None


def test_a_page_of_none_gives_the_count_alone(served: Served) -> None:
    """For each list that has pages."""
    made = create(served, {})
    create(served, {})
    assert served.get("/items?page[limit]=0") == {"data": [], "meta": {"total_count": 2}}
    assert served.get(f"/items?filter[type]={served.post.id}&page[limit]=0")["meta"]["total_count"] == 2
    versions_page = served.get(f"/items/{made['id']}/versions?page[limit]=0")
    assert (versions_page["data"], versions_page["meta"]["total_count"]) == ([], 1)
    assert served.get("/uploads?page[limit]=0") == {"data": [], "meta": {"total_count": 0}}
    assert served.get("/webhook_calls?page[limit]=0")["data"] == []


def test_the_editor_of_a_version_is_whoever_the_token_speaks_for(served: Served) -> None:
    made = create(served, {})
    api = served.act(lambda world: world.api)
    (version,) = versions(served, made["id"])
    assert version["relationships"]["editor"]["data"] == {"type": "access_token", "id": api.id}


def test_a_record_can_claim_another_time_and_creator(served: Served) -> None:
    user = served.act(lambda world: world.user)
    body = item(served, {}, meta={"created_at": "2020-02-02T02:02:02+02:00"})
    body["data"]["relationships"]["creator"] = {"data": {"type": "user", "id": user.id}}
    made = served.send("POST", "/items", body, status=201)["data"]
    assert made["meta"]["created_at"] == "2020-02-02T00:02:02Z"
    assert made["relationships"]["creator"]["data"] == {"type": "user", "id": user.id}


def test_the_optimistic_lock_is_in_the_meta(served: Served) -> None:
    made = create(served, {})
    lock = {"current_version": made["meta"]["current_version"]}
    sent = {"data": {"type": "item", "id": made["id"], "attributes": {"title": {"en": "b"}}, "meta": lock}}
    served.send("PUT", f"/items/{made['id']}", sent)
    answer = served.http.put(f"/items/{made['id']}", json=sent)
    assert served.refused(answer) == (422, "STALE_ITEM_VERSION")


def test_numbers_are_stored_as_they_were_sent(served: Served) -> None:
    served.act(lambda world: world.create_field(world.account, "post", "price", "float"))
    link = b'{"item_type":{"data":{"id":"%b","type":"item_type"}}}' % served.post.id.encode()
    body = b'{"data":{"type":"item","attributes":{"price":1.2300e0},"relationships":%b}}' % link
    answer = served.http.post("/items", content=body, headers={"Content-Type": "application/vnd.api+json"})
    assert answer.status_code == 201
    assert b'"price":1.2300e0' in answer.content


def test_restoring_is_a_job_that_yields_the_record_and_its_version(served: Served) -> None:
    made = create(served, {"title": {"en": "a"}})
    sent = {"data": {"type": "item", "id": made["id"], "attributes": {"title": {"en": "b"}}}}
    served.send("PUT", f"/items/{made['id']}", sent)
    oldest = versions(served, made["id"])[-1]
    status, payload = served.job("POST", f"/versions/{oldest['id']}/restore")
    record, version = payload["data"]
    assert status == 200
    assert (record["type"], version["type"]) == ("item", "item_version")
    assert record["meta"]["current_version"] == version["id"] != oldest["id"]
    assert version["attributes"] == oldest["attributes"]
    assert version["meta"]["is_current"]


def test_a_job_is_not_found_until_it_is_ready(served: Served) -> None:
    served.act(lambda world: setattr(world.options, "job_delay", timedelta(seconds=5)))
    id = create(served, {})["id"]
    job = served.send("DELETE", f"/items/{id}", status=202)["data"]
    assert served.refused(served.http.get(f"/job-results/{job['id']}")) == (404, "NOT_FOUND")
    served.act(lambda world: world.clock.advance(timedelta(seconds=5)))
    assert served.get(f"/job-results/{job['id']}")["data"]["attributes"]["status"] == 200


def test_a_job_that_fails_tells_why_in_its_result(served: Served) -> None:
    def forbid(world: Any) -> str:
        rule = {"item_item_type": {"on_reference_delete_strategy": "fail"}}
        world.create_field(world.account, "post", "next", "link", validators=rule)
        target = world.create(world.user, "post", {})
        world.create(world.user, "post", {"next": target.id})
        return str(target.id)

    status, payload = served.job("DELETE", f"/items/{served.act(forbid)}")
    assert status == 422
    assert payload["data"][0]["attributes"]["code"] == "DELETE_RESTRICTION"


def test_a_part_of_a_record_can_be_published_and_unpublished(served: Served) -> None:
    id = create(served, {"title": {"en": "a", "it": "a"}})["id"]
    part = {"content_in_locales": ["it"], "non_localized_content": False}
    served.send("PUT", f"/items/{id}/publish", {"data": {"type": "selective_publish_operation", "attributes": part}})
    live = [version["attributes"]["title"] for version in versions(served, id) if version["meta"]["is_published"]]
    assert live == [{"it": "a"}]
    part = {"content_in_locales": ["it"]}
    served.send(
        "PUT", f"/items/{id}/unpublish", {"data": {"type": "selective_unpublish_operation", "attributes": part}}
    )
    assert not any(version["meta"]["is_published"] for version in versions(served, id))


def test_plans_are_carried_out_before_the_next_request_is_answered(served: Served) -> None:
    id = create(served, {})["id"]
    plan = {"type": "scheduled_publication", "attributes": {"publication_scheduled_at": "2026-09-01T10:00:00Z"}}
    made = served.send("POST", f"/items/{id}/scheduled-publication", {"data": plan}, status=201)
    assert made["data"]["attributes"]["publication_scheduled_at"] == "2026-09-01T10:00:00Z"
    assert served.get(f"/items/{id}")["data"]["meta"]["publication_scheduled_at"] == "2026-09-01T10:00:00Z"
    end = {"type": "scheduled_unpublishing", "attributes": {"unpublishing_scheduled_at": "2026-09-01T11:00:00Z"}}
    served.send("POST", f"/items/{id}/scheduled-unpublishing", {"data": end}, status=201)
    served.send("DELETE", f"/items/{id}/scheduled-unpublishing")
    served.act(lambda world: world.clock.advance(timedelta(hours=3)))
    meta = served.get(f"/items/{id}")["data"]["meta"]
    assert (meta["status"], meta["published_at"]) == ("published", "2026-09-01T10:00:00Z")
    assert (meta["publication_scheduled_at"], meta["unpublishing_scheduled_at"]) == (None, None)


def test_bulk_operations_count_what_they_reached(served: Served) -> None:
    ids = [create(served, {})["id"] for _ in range(2)]
    for act, remaining in (("publish", 2), ("unpublish", 2), ("destroy", 0)):
        links = {"items": {"data": [{"type": "item", "id": id} for id in [*ids, "nobody"]]}}
        body = {"data": {"type": f"item_bulk_{act}_operation", "relationships": links}}
        status, payload = served.job("POST", f"/items/bulk/{act}", body)
        assert (status, payload["meta"]) == (200, {"successful": 2, "failed": 1})
        assert served.get("/items")["meta"]["total_count"] == remaining


def test_the_schema_can_be_written(served: Served) -> None:
    model = served.send(
        "POST",
        "/item-types",
        {"data": {"type": "item_type", "attributes": {"name": "Page", "api_key": "page", "draft_mode_active": False}}},
        status=201,
    )["data"]
    attributes = {"label": "Name", "api_key": "name", "field_type": "string", "localized": True}
    status, payload = served.job("POST", f"/item-types/{model['id']}/fields", {"data": {"attributes": attributes}})
    field = payload["data"]
    assert (status, field["attributes"]["localized"]) == (201, True)
    assert [one["id"] for one in served.get(f"/item-types/{model['id']}/fields")["data"]] == [field["id"]]
    _, payload = served.job("PUT", f"/fields/{field['id']}", {"data": {"attributes": {"api_key": "label"}}})
    assert served.get(f"/fields/{field['id']}")["data"] == payload["data"]
    _, payload = served.job("PUT", f"/item-types/{model['id']}", {"data": {"attributes": {"name": "Pages"}}})
    assert payload["data"]["attributes"]["name"] == "Pages"
    assert served.job("DELETE", f"/fields/{field['id']}")[0] == 200
    assert served.job("DELETE", f"/item-types/{model['id']}")[0] == 200
    assert served.http.get(f"/item-types/{model['id']}").status_code == 404


def test_environments_can_be_forked_promoted_renamed_and_destroyed(served: Served) -> None:
    id = create(served, {})["id"]
    status, payload = served.job("POST", "/environments/main/fork", {"data": {"type": "environment", "id": "next"}})
    assert (status, payload["data"]["meta"]["forked_from"]) == (200, "main")
    assert served.get(f"/items/{id}", **{"X-Environment": "next"})["data"]["id"] == id
    served.send("PUT", "/environments/next/promote")
    assert served.http.get("/site").headers["X-Environment"] == "next"
    served.send("PUT", "/environments/next/rename", {"data": {"type": "environment", "id": "better"}})
    assert served.job("DELETE", "/environments/main")[0] == 200
    assert [one["id"] for one in served.get("/environments")["data"]] == ["better"]
    assert served.refused(served.http.get("/site", headers={"X-Environment": "main"})) == (404, "INVALID_ENVIRONMENT")


def test_a_fork_can_be_watched(served: Served) -> None:
    served.act(lambda world: setattr(world.options, "fork_duration", timedelta(minutes=4)))
    body = {"data": {"type": "environment", "id": "next"}}
    served.send("POST", "/environments/main/fork?immediate_return=true", body, status=201)
    served.act(lambda world: world.clock.advance(timedelta(minutes=1)))
    meta = served.get("/environments/next")["data"]["meta"]
    assert (meta["status"], meta["fork_completion_percentage"]) == ("creating", 25)
    answer = served.http.get("/items", headers={"X-Environment": "next"})
    assert served.refused(answer) == (422, "ENVIRONMENT_NOT_READY")
    served.act(lambda world: world.clock.advance(timedelta(minutes=3)))
    assert "fork_completion_percentage" not in served.get("/environments/next")["data"]["meta"]


@pytest.mark.parametrize("moves", [True, False])
def test_publishing_another_locale_may_leave_no_trace_in_the_meta(served: Served, moves: bool) -> None:
    served.http.post("/_simulator/switches", json={"republishing_moves_published_at": moves})
    id = create(served, {"title": {"en": "a", "it": "a"}})["id"]
    served.send("PUT", f"/items/{id}/publish")
    served.act(lambda world: world.clock.advance(timedelta(hours=1)))
    served.act(lambda world: world.update(world.user, id, {"title": {"en": "b", "it": "b"}}))
    before = served.get(f"/items/{id}")["data"]["meta"]
    served.act(lambda world: world.clock.advance(timedelta(hours=1)))
    beacon = served.get("/site")["data"]["attributes"]["last_data_change_at"]
    selected = {"content_in_locales": ["it"], "non_localized_content": False}
    body = {"data": {"type": "selective_publish_operation", "attributes": selected}}
    served.send("PUT", f"/items/{id}/publish", body)
    after = served.get(f"/items/{id}")["data"]["meta"]
    assert (after == before) is not moves
    assert (after["published_at"] == "2026-09-01T11:00:00Z") is moves
    assert served.get("/site")["data"]["attributes"]["last_data_change_at"] > beacon
    (live,) = [one for one in served.get(f"/items/{id}/versions")["data"] if one["meta"]["is_published"]]
    assert live["attributes"]["title"] == {"en": "a", "it": "b"}
    assert live["meta"]["published_from"] == "2026-09-01T11:00:00Z"

    served.act(lambda world: world.clock.advance(timedelta(hours=1)))
    selected = {"content_in_locales": ["en"]}
    body = {"data": {"type": "selective_unpublish_operation", "attributes": selected}}
    served.send("PUT", f"/items/{id}/unpublish", body)
    reduced = served.get(f"/items/{id}?version=published")["data"]
    assert reduced["attributes"]["title"] == {"it": "b"}
    assert reduced["meta"]["published_at"] == ("2026-09-01T12:00:00Z" if moves else after["published_at"])
    served.send("PUT", f"/items/{id}/unpublish")
    meta = served.get(f"/items/{id}")["data"]["meta"]
    assert (meta["status"], meta["published_at"], meta["first_published_at"]) == (
        "draft", None, "2026-09-01T09:00:00Z",
    )  # fmt: skip


def test_maintenance_stops_writes_and_not_reads(served: Served) -> None:
    served.send("PUT", "/maintenance-mode/activate")
    assert served.refused(served.http.post("/items", json=item(served, {})))[1] == "MAINTENANCE_MODE"
    assert served.get("/items")["data"] == []
    served.send("PUT", "/maintenance-mode/deactivate")
    create(served, {})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "INVALID_JSON_BODY"),
        (b"[]", "INVALID_FORMAT"),
        (b'{"data":{"attributes":{}}}', "INVALID_FORMAT"),
        (b'{"data":{"relationships":{"item_type":{"data":{"id":"x","type":"item_type"}}}}}', "ITEM_TYPE_NOT_FOUND"),
    ],
)
def test_bodies_that_make_no_sense_are_refused(served: Served, body: bytes, code: str) -> None:
    answer = served.http.post("/items", content=body, headers={"Content-Type": "application/json"})
    assert served.refused(answer) == (422, code)
