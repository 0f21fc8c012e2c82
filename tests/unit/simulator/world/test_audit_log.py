"""The audit log by itself: its ids, the names of acts, and the language of its filter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versionsync.simulator import ApiError, World
from versionsync.simulator.http.server import ALL_ROUTES
from versionsync.simulator.world.audit_log import (
    EVENTS_KEPT,
    MAX_PAYLOAD_BYTES,
    AuditLog,
    action_name,
    lowest_id,
    read_filter,
)

EVENT: dict[str, Any] = {
    "id": lowest_id(1_700_000_000.5),
    "action_name": "items.update",
    "actor": {"type": "user", "id": "42", "name": "ann@example.com"},
    "environment": {"id": "main", "primary": True},
    "request": {
        "method": "PUT",
        "path": "/items/it's",
        "payload": {
            "data": {"relationships": {"items": {"data": [{"id": "a"}, {"id": "b"}]}}, "price": Decimal("1.5")}
        },
    },
    "response": None,
}


@pytest.mark.parametrize(
    "holds",
    [
        "action_name = 'items.update'",
        "action_name <> 'items.publish' AND actor.type = 'user'",
        "begins_with(action_name, 'items')",
        "contains(action_name, 'upd')",
        "actor.type = 'account' OR actor.id = '42'",
        "actor.type = 'account' AND actor.id = '1' OR actor.id = '42'",
        "actor.id = '42' AND (actor.type = 'account' OR NOT action_name = 'x')",
        "request.path = '/items/it''s'",
        "request.payload.data.relationships.items.data[1].id = 'b'",
        'request."payload".data.price >= 1.5',
        "request.payload.data.price > 1 AND request.payload.data.price < 2",
        "id >= min_ulid(1700000000) AND id < min_ulid(1700000001)",
        "environment.primary",
        "environment.primary = TRUE",
        "actor.type IN ('account', 'user')",
        "response IS NULL AND nothing IS MISSING AND actor IS NOT MISSING",
        "-- who\nactor.id = '42' -- and no other\n",
    ],
)
def test_a_condition_holds(holds: str) -> None:
    """And its opposite does not."""
    assert read_filter(holds)(EVENT)
    assert not read_filter(f"NOT ({holds})")(EVENT)


@pytest.mark.parametrize(
    "fails",
    [
        "foo",
        "foo = 'a'",
        "foo <> 'a'",
        "actor.type",
        "actor.id = 42",
        "environment.primary = 1",
        "request.payload.data.relationships.items.data[2].id = 'b'",
        "action_name > 3",
        "contains(environment, 'a')",
        "id >= min_ulid('x')",
        "id >= min_ulid(-5)",
    ],
)
def test_what_is_not_there_or_of_another_type_does_not_hold(fails: str) -> None:
    """It is no mistake either: events differ."""
    assert not read_filter(fails)(EVENT)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "actor.id =",
        "= 'a'",
        "(a",
        "a b",
        "f(a)",
        "begins_with(a)",
        "a = 'b",
        "a IN ()",
        "a ; b",
        "a IS 3",
        "(" * 99,
    ],
)
def test_what_is_no_condition_is_refused(wrong: str) -> None:
    """Also what is nested without end, or longer than anybody would write."""
    for text in (wrong, f"{wrong} {'x' * 5000}"):
        with pytest.raises(ApiError) as refusal:
            read_filter(text)
        assert refusal.value.code == "INVALID_ATTRIBUTES"


@given(st.text(alphabet="ab.'\"()=<> ANDORTIS[]0,-", max_size=60))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    """Nothing else happens."""
    try:
        condition = read_filter(text)
    except ApiError:
        return
    assert condition(EVENT) in {True, False}


@pytest.mark.parametrize(
    ("method", "route", "name"),
    [
        ("POST", "/items", "items.create"),
        ("PUT", "/items/{item_id}", "items.update"),
        ("DELETE", "/items/{item_id}", "items.destroy"),
        ("PUT", "/items/{item_id}/publish", "items.publish"),
        ("POST", "/items/bulk/move-to-stage", "item_bulk_operations.move_to_stage"),
        ("POST", "/item-types/{model}/fields", "fields.create"),
        ("DELETE", "/items/{item_id}/scheduled-publication", "scheduled_publications.destroy"),
        ("POST", "/versions/{version_id}/restore", "item_versions.restore"),
        ("PUT", "/maintenance-mode/activate", "maintenance_mode.activate"),
        ("PUT", "/site", "site.update"),
    ],
)
def test_an_act_is_called_what_upstream_calls_it(method: str, route: str, name: str) -> None:
    """By its resource and what is done to it."""
    assert action_name(method, route) == name


def test_every_route_that_writes_has_a_name() -> None:
    """Of the form `resources.act`."""
    for route in ALL_ROUTES:
        if route.method != "GET":
            resources, dot, act = action_name(route.method, route.path).partition(".")
            assert resources and dot and act.isidentifier(), route.path


def test_ids_rise_with_time_and_within_one_moment() -> None:
    """They are ULIDs: their first ten characters are the time. Only the latest events are kept."""
    log, at = AuditLog(), datetime(2026, 9, 1, tzinfo=UTC)
    world = World()
    role = next(iter(world.people.roles.values()))
    for number in range(EVENTS_KEPT + 10):
        log.add(
            at + timedelta(milliseconds=number // 2),
            action="items.create",
            actor=world.user,
            role=role,
            environment="main",
            is_primary=True,
            method="POST",
            path="/items",
            request_id="r",
            request=b"{}" if number % 2 else b'"%b"' % (b"x" * MAX_PAYLOAD_BYTES),
            status=201,
            response=b"",
        )
    ids = [event.id for event in log]
    assert len(ids) == EVENTS_KEPT
    assert ids == sorted(set(ids))
    assert ids == [event.id for event in reversed(log)][::-1]
    assert all(len(id) == 26 for id in ids)
    latest = next(reversed(log))
    assert latest.id[:10] == lowest_id(latest.at.timestamp())[:10]
    assert {event.request for event in log} == {b"{}", b""}
