"""The text of times, which can change in mid-life while no instant does, and the one case in which instants move."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import World


def add_events(world: World) -> None:
    """A model `event` with a date-time, a localized one, one in its blocks, and a string that is a date-time."""
    talk = world.create_model(world.account, "talk", is_block=True)
    world.create_field(world.account, talk, "begins", "date_time")
    event = world.create_model(world.account, "event")
    world.create_field(world.account, event, "starts_at", "date_time")
    world.create_field(world.account, event, "ends_at", "date_time", localized=True)
    world.create_field(world.account, event, "talks", "rich_text")
    world.create_field(world.account, event, "code")


def add_event(served: Served) -> str:
    """The id of an event, published and edited since."""
    served.act(add_events)

    def write(world: World) -> str:
        talk = {
            "type": "item",
            "attributes": {"begins": "2026-07-01T08:00:00.5+00:00"},
            "relationships": {"item_type": {"data": {"id": world.primary.model("talk").id, "type": "item_type"}}},
        }
        content = {
            "starts_at": "2026-03-01T10:49:40.195Z",
            "ends_at": {"en": "2026-03-01T12:00:00+01:00", "it": None},
            "talks": [talk],
            "code": "2026-03-01T10:49:40.195Z",
        }
        world.clock.advance(timedelta(milliseconds=250))
        id = world.create(world.user, "event", content).id
        world.publish(world.user, id)
        world.clock.advance(timedelta(hours=1))
        world.update(world.user, id, {"starts_at": "2026-03-02T00:00:00Z"})
        return id

    return served.act(write)


def switch(served: Served, **switches: object) -> None:
    """Set *switches*, as another process would."""
    answer = served.http.post("/_simulator/switches", json=switches)
    assert answer.status_code == 200, answer.text


def set_zone(served: Served, zone: str) -> None:
    """Change the time zone, as an administrator does."""
    body = {"data": {"id": "205", "type": "site", "attributes": {"timezone": zone}}}
    status, payload = served.job("PUT", "/site", body)
    assert (status, payload["data"]["attributes"]["timezone"]) == (200, zone)


def first_version(served: Served, id: str) -> dict[str, Any]:
    """The oldest version of a record, with complete blocks."""
    version: dict[str, Any] = served.get(f"/items/{id}/versions?nested=true")["data"][-1]
    return version


def times_of(version: dict[str, Any]) -> list[str]:
    """The texts of the date-times in a version of an event: of fields, of a block, and of a string."""
    content = version["attributes"]
    begins = content["talks"][0]["attributes"]["begins"]
    return [content["starts_at"], content["ends_at"]["en"], begins, content["code"]]


PLAIN = ["2026-03-01T10:49:40Z", "2026-03-01T11:00:00Z", "2026-07-01T08:00:00Z", "2026-03-01T10:49:40.195Z"]


def test_milliseconds_can_be_switched_on_and_off_and_are_those_of_the_past(served: Served) -> None:
    id = add_event(served)
    assert times_of(first_version(served, id)) == PLAIN
    meta = first_version(served, id)["meta"]
    assert (meta["created_at"], meta["published_from"]) == ("2026-09-01T09:00:00Z", "2026-09-01T09:00:00Z")
    history = served.get("/_simulator/truth")

    switch(served, milliseconds=True)
    version = first_version(served, id)
    assert times_of(version) == [
        "2026-03-01T10:49:40.195Z",
        "2026-03-01T11:00:00.000Z",
        "2026-07-01T08:00:00.500Z",
        "2026-03-01T10:49:40.195Z",
    ]
    assert version["meta"]["created_at"] == version["meta"]["published_from"] == "2026-09-01T09:00:00.250Z"
    item = served.get(f"/items/{id}")["data"]
    assert item["meta"]["created_at"] == "2026-09-01T09:00:00.250Z"
    assert item["meta"]["updated_at"] == "2026-09-01T10:00:00.250Z"
    environment = served.get("/environments/main")["data"]["meta"]
    assert environment["last_data_change_at"] == "2026-09-01T10:00:00.250Z"
    assert served.get("/site")["data"]["meta"]["milliseconds_in_datetime"] is True

    switch(served, milliseconds=False)
    assert times_of(first_version(served, id)) == PLAIN
    assert served.get("/_simulator/truth") == history


def test_the_time_zone_changes_the_text_of_all_times_and_back(served: Served) -> None:
    id = add_event(served)
    before = [served.get(path) for path in (f"/items/{id}/versions", f"/items/{id}")]
    history = served.get("/_simulator/truth")
    set_zone(served, "Europe/Rome")
    version = first_version(served, id)
    assert times_of(version) == [
        "2026-03-01T11:49:40+01:00",
        "2026-03-01T12:00:00+01:00",
        "2026-07-01T10:00:00+02:00",
        "2026-03-01T10:49:40.195Z",
    ]
    assert version["meta"]["created_at"] == "2026-09-01T11:00:00+02:00"
    assert served.get(f"/items/{id}")["data"]["meta"]["updated_at"] == "2026-09-01T12:00:00+02:00"
    site = served.get("/site")["data"]
    assert site["attributes"]["last_data_change_at"] == "2026-09-01T12:00:00+02:00"
    assert site["meta"]["created_at"].endswith("+02:00")
    set_zone(served, "UTC")
    assert [served.get(path) for path in (f"/items/{id}/versions", f"/items/{id}")] == before
    assert served.get("/_simulator/truth") == history


def test_london_prints_an_offset_in_winter_where_utc_prints_a_letter(served: Served) -> None:
    id = add_event(served)
    set_zone(served, "Europe/London")
    assert first_version(served, id)["attributes"]["starts_at"] == "2026-03-01T10:49:40+00:00"
    set_zone(served, "UTC")
    assert first_version(served, id)["attributes"]["starts_at"] == "2026-03-01T10:49:40Z"
    switch(served, times_with_offset=True)
    assert first_version(served, id)["attributes"]["starts_at"] == "2026-03-01T10:49:40+00:00"


def test_without_improved_management_a_change_of_zone_moves_the_instants_of_fields_alone(served: Served) -> None:
    id = add_event(served)
    switch(served, improved_timezone_management=False)
    assert served.get("/site")["data"]["meta"]["improved_timezone_management"] is False
    set_zone(served, "America/New_York")
    version = first_version(served, id)
    assert times_of(version) == [
        "2026-03-01T10:49:40-05:00",
        "2026-03-01T11:00:00-05:00",
        "2026-07-01T08:00:00-04:00",
        "2026-03-01T10:49:40.195Z",
    ]
    assert datetime.fromisoformat(version["meta"]["created_at"]) == datetime(2026, 9, 1, 9, tzinfo=UTC)
    story = served.get("/_simulator/truth")
    causes = [one["cause"] for one in story["transitions"] if one["type"] == "version.rewritten"]
    assert causes == ["time_zone_changed", "time_zone_changed"]
    (true,) = [one for one in story["versions"] if one["id"] == version["id"]]
    assert true["content"]["starts_at"] == "2026-03-01T15:49:40.195000Z"


def test_an_unknown_zone_is_refused(served: Served) -> None:
    body = {"data": {"type": "site", "attributes": {"timezone": "Europe/Nowhere"}}}
    status, payload = served.job("PUT", "/site", body)
    assert (status, payload["data"][0]["attributes"]["code"]) == (422, "INVALID_FIELD")
    assert served.get("/site")["data"]["attributes"]["timezone"] == "UTC"


def test_the_site_can_be_changed_and_that_moves_the_beacon(served: Served) -> None:
    before = served.get("/environments/main")["data"]["meta"]["last_data_change_at"]
    served.act(lambda world: world.clock.advance(timedelta(hours=1)))
    body = {"data": {"type": "site", "attributes": {"name": "Renamed", "locales": ["en", "de"], "no_index": True}}}
    payload = served.job("PUT", "/site", body)[1]["data"]
    assert (payload["attributes"]["name"], payload["attributes"]["locales"]) == ("Renamed", ["en", "de"])
    assert served.get("/environments/main")["data"]["meta"]["last_data_change_at"] > before


def test_the_format_can_be_changed_by_requests_and_by_name(served: Served) -> None:
    switch(served, improved_timezone_management=False)
    site = served.send("PUT", "/site/activate-milliseconds-in-datetime")["data"]
    assert site["meta"]["milliseconds_in_datetime"] is True
    status, payload = served.job("PUT", "/site/activate-improved-timezone-management")
    assert (status, payload["data"]["meta"]["improved_timezone_management"]) == (200, True)
    order = {"act": "update_site", "editor": "account", "arguments": {"timezone": "Asia/Tokyo", "locales": ["it"]}}
    assert served.http.post("/_simulator/act", json=order).status_code == 200
    attributes = served.get("/site")["data"]["attributes"]
    assert (attributes["timezone"], attributes["locales"]) == ("Asia/Tokyo", ["it"])


def test_records_may_repeat_their_times_among_their_attributes(served: Served) -> None:
    id = add_event(served)
    plain = served.get(f"/items/{id}")["data"]["attributes"]
    switch(served, items_repeat_times=True)
    item = served.get(f"/items/{id}")["data"]
    times = {name: item["meta"][name] for name in ("created_at", "updated_at")}
    assert item["attributes"] == {**plain, **times}
    assert "created_at" not in first_version(served, id)["attributes"]
    switch(served, items_repeat_times=False)
    assert served.get(f"/items/{id}")["data"]["attributes"] == plain


def test_versions_may_repeat_their_time_among_their_attributes(served: Served) -> None:
    id = add_event(served)
    plain = first_version(served, id)
    switch(served, versions_repeat_times=True)
    version = first_version(served, id)
    time = version["meta"]["created_at"]
    assert version["attributes"] == {**plain["attributes"], "created_at": time, "updated_at": time}
    assert "created_at" not in served.get(f"/items/{id}")["data"]["attributes"]
    switch(served, versions_repeat_times=False)
    assert first_version(served, id) == plain


@pytest.mark.parametrize("zone", ["UTC", "Europe/Rome"])
def test_webhook_calls_print_times_in_the_format_of_the_project(served: Served, zone: str) -> None:
    def act(world: World) -> None:
        world.update_site(world.account, timezone=zone)
        world.webhooks.register("all", "http://127.0.0.1:9/")
        world.create(world.user, "post", {})

    served.act(act)
    expected = "2026-09-01T09:00:00Z" if zone == "UTC" else "2026-09-01T11:00:00+02:00"
    (call,) = served.get("/webhook_calls")["data"]
    payload = json.loads(call["attributes"]["request_payload"])
    assert call["attributes"]["created_at"] == payload["event_triggered_at"] == expected
    assert payload["entity"]["meta"]["created_at"] == expected
