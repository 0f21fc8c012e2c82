"""How faults look to a client."""

from __future__ import annotations

import time
from datetime import timedelta

import httpx
import msgspec
import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import FaultKind, Faults, World

PAGES = "/items?filter[type]=post&order_by=id_ASC&page[limit]=2&page[offset]="


@pytest.fixture
def ids(served: Served) -> list[str]:
    """The ids of five records, sorted."""
    return sorted(served.act(lambda world: [world.create(world.user, "post", {}).id for _ in range(5)]))


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.INTERNAL_ERROR, 500, "EXCEPTION"),
        (FaultKind.UNAVAILABLE, 503, "SERVICE_UNAVAILABLE"),
        (FaultKind.THROTTLED, 429, "RATE_LIMIT_EXCEEDED"),
        (FaultKind.THROTTLED_BARE, 429, "RATE_LIMIT_EXCEEDED"),
    ],
)
def test_errors_take_the_place_of_an_answer_once(
    served: Served, faults: Faults, kind: FaultKind, status: int, code: str
) -> None:
    faults.plant(kind)
    answer = served.http.post("/items", json={})
    assert served.refused(answer) == (status, code)
    assert ("X-RateLimit-Reset" in answer.headers) == (kind is FaultKind.THROTTLED)
    assert answer.json()["data"][0]["attributes"].get("transient") == (True if status != 500 else None)
    assert served.get("/items")["data"] == []


@pytest.mark.parametrize("code", ["SITE_NOT_READY", "PLATFORM_SCHEDULED_MAINTENANCE", "SERVICE_UNAVAILABLE"])
@pytest.mark.parametrize("status", [400, 422, 503])
@pytest.mark.parametrize("transient", [True, False])
def test_an_error_can_have_any_code_and_status(served: Served, code: str, status: int, transient: bool) -> None:
    plant = {"kind": "refused", "code": code, "status": status, "transient": transient, "times": 2}
    served.http.post("/_simulator/faults", json={"plant": [plant]})
    answers = [served.http.get("/site") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert [served.refused(answer) for answer in answers[:2]] == [(status, code)] * 2
    assert answers[0].json()["data"][0]["attributes"].get("transient", False) is transient
    assert answers[0].json() == answers[1].json()  # an error's id is that of its kind
    assert answers[0].headers["X-Request-Id"] != answers[1].headers["X-Request-Id"]


def test_errors_at_random_are_those_that_pass(served: Served, faults: Faults) -> None:
    faults.rates[FaultKind.REFUSED] = 1.0
    refusals = {served.refused(served.http.get("/site")) for _ in range(60)}
    assert {code for _, code in refusals} == {"SITE_NOT_READY", "PLATFORM_SCHEDULED_MAINTENANCE", "SERVICE_UNAVAILABLE"}
    assert {status for status, _ in refusals} == {422, 423, 503}


def test_a_body_may_be_null(served: Served, faults: Faults) -> None:
    faults.plant(FaultKind.NULL_BODY)
    answer = served.http.get("/items")
    assert (answer.status_code, answer.json()) == (200, None)
    assert served.get("/items")["data"] == []


SCHEMA = "/site?include=item_types,item_types.fields"


def test_the_schema_may_be_old_for_some_answers(served: Served) -> None:
    served.act(lambda world: world.create_field(world.account, served.post, "price", "integer"))
    before = served.get(SCHEMA)
    served.act(lambda world: world.clock.advance(timedelta(hours=1)))
    (field,) = [one["id"] for one in before["included"] if one["attributes"]["api_key"] == "price"]
    served.act(lambda world: world.update_field(world.account, field, api_key="cost"))
    after = served.get(SCHEMA)
    assert before != after
    served.http.post("/_simulator/faults", json={"plant": [{"kind": "old_schema", "path": "^/site", "times": 3}]})
    assert [served.get(SCHEMA) for _ in range(4)] == [before, before, before, after]


@pytest.mark.parametrize("change", ["create_model", "destroy_model", "update_model", "create_field", "destroy_field"])
def test_an_old_schema_is_that_before_the_last_change(served: Served, faults: Faults, change: str) -> None:
    def act(world: World) -> object:
        match change:
            case "create_model":
                return world.create_model(world.account, "page")
            case "destroy_model":
                return world.destroy_model(world.account, "post")
            case "update_model":
                return world.update_model(world.account, "post", name="Renamed")
            case "create_field":
                return world.create_field(world.account, "post", "extra")
            case _:
                return world.destroy_field(world.account, next(iter(served.post.fields)))

    before = served.get(SCHEMA)
    served.act(act)
    faults.plant(FaultKind.OLD_SCHEMA, path="^/site")
    assert [served.get(SCHEMA) == before for _ in range(2)] == [True, False]


def test_an_old_schema_changes_no_record(served: Served, faults: Faults, ids: list[str]) -> None:
    """They are listed, and look, as they do by the schema of now."""
    served.act(lambda world: world.update_model(world.account, "post", name="Renamed"))
    for path in ("/items?filter[type]=post", f"/items/{ids[0]}/versions"):
        now = served.get(path)
        faults.plant(FaultKind.OLD_SCHEMA)
        assert served.get(path) == now


def test_old_answers_of_records_may_last(served: Served, faults: Faults, ids: list[str]) -> None:
    id, paths = ids[0], ("/items", f"/items/{ids[0]}", f"/items/{ids[0]}/versions")
    before = [served.get(path) for path in paths]
    served.http.post("/_simulator/faults", json={"remember": True})

    def act(world: World) -> None:
        world.clock.advance(timedelta(hours=1))
        world.update(world.user, id, {"title": {"en": "new"}})
        world.publish(world.user, id)
        world.create(world.user, "post", {})

    served.act(act)
    after = [served.get(path) for path in paths]
    for path, old, new in zip(paths, before, after, strict=True):
        assert old != new
        faults.plant(FaultKind.LAGGING, path=rf"^{path}$", times=6)
        assert [served.get(path) for _ in range(7)] == [old] * 6 + [new]


def test_old_answers_may_be_those_of_one_record(served: Served, faults: Faults, ids: list[str]) -> None:
    served.act(lambda world: world.remember())

    def act(world: World) -> list[str]:
        world.clock.advance(timedelta(hours=1))
        return [world.update(world.user, id, {"title": {"en": "new"}}).head.id for id in ids[:2]]

    current = served.act(act)
    plant = {"kind": "lagging", "path": r"^/items\?", "times": 6, "records": [ids[0]]}
    served.http.post("/_simulator/faults", json={"plant": [plant]})
    for number in range(7):
        listed = {one["id"]: one["meta"]["current_version"] for one in served.get("/items?page[limit]=5")["data"]}
        assert (listed[ids[0]] == current[0]) == (number == 6)
        assert listed[ids[1]] == current[1]


def test_a_gateway_answers_with_html(served: Served, faults: Faults) -> None:
    faults.plant(FaultKind.BAD_GATEWAY)
    answer = served.http.get("/items")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert "X-Request-Id" not in answer.headers


def test_a_connection_is_cut_in_the_body(served: Served, faults: Faults, ids: list[str]) -> None:
    faults.plant(FaultKind.RESET)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        served.http.get("/items")
    assert len(served.get("/items")["data"]) == len(ids)


def test_a_write_may_be_done_though_its_answer_is_lost(served: Served, faults: Faults) -> None:
    id = served.act(lambda world: world.create(world.user, "post", {}).id)
    faults.plant(FaultKind.RESET, method="PUT")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        served.http.put(f"/items/{id}/publish")
    assert served.get(f"/items/{id}")["data"]["meta"]["status"] == "published"


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.WRONG_SHAPE])
def test_bodies_may_be_no_document(served: Served, faults: Faults, ids: list[str], kind: FaultKind) -> None:
    faults.plant(kind)
    answer = served.http.get("/items")
    assert answer.status_code == 200
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(answer.content, type=dict[str, list[object]])


@pytest.mark.parametrize("kind", [FaultKind.SLOW, FaultKind.LATE])
def test_answers_may_be_slow(served: Served, faults: Faults, kind: FaultKind) -> None:
    faults.plant(kind, seconds=0.3)
    before = time.monotonic()
    served.get("/site")
    assert time.monotonic() - before >= 0.3


def test_answers_may_never_come_while_others_do(served: Served, faults: Faults) -> None:
    faults.plant(FaultKind.STALL, path="/items", seconds=30)
    with pytest.raises(httpx.ReadTimeout):
        served.http.get("/items", timeout=0.2)
    assert served.get("/site")


def test_a_page_may_come_again(served: Served, faults: Faults, ids: list[str]) -> None:
    faults.plant(FaultKind.REPEATED_PAGE, path="offset%5D=2|offset]=2")
    pages = [served.get(f"{PAGES}{offset}")["data"] for offset in (0, 2, 4)]
    assert pages[1] == pages[0]
    assert [one["id"] for one in pages[2]] == ids[4:]


def test_a_page_may_be_empty_though_there_is_more(served: Served, faults: Faults, ids: list[str]) -> None:
    faults.plant(FaultKind.EMPTY_PAGE, nth=2)
    assert len(served.get(f"{PAGES}0")["data"]) == 2
    assert served.get(f"{PAGES}2") == {"data": [], "meta": {"total_count": 5}}


def test_an_answer_may_be_older_than_the_last(served: Served, faults: Faults, ids: list[str]) -> None:
    faults.plant(FaultKind.STALE, nth=3)
    before = served.get("/items")
    served.act(lambda world: world.create(world.user, "post", {}))
    assert served.get("/items")["meta"]["total_count"] == 6
    assert served.get("/items") == before
    assert served.get("/items")["meta"]["total_count"] == 6


def test_a_list_may_come_back_to_front(served: Served, faults: Faults, ids: list[str]) -> None:
    faults.plant(FaultKind.REORDERED)
    assert [one["id"] for one in served.get(f"{PAGES}0")["data"]] == ids[:2][::-1]


def test_a_list_of_strange_content_can_be_distorted(served: Served, faults: Faults) -> None:
    served.act(lambda world: world.create(world.user, "post", rb'{"title":{"en":"\ud800"}}'))
    faults.plant(FaultKind.EMPTY_PAGE)
    assert served.get("/items")["data"] == []


def test_half_of_the_records_may_vanish_from_listings(served: Served, faults: Faults) -> None:
    made = served.act(lambda world: [world.create(world.user, "post", {}).id for _ in range(60)])
    faults.vanished_share = 0.5
    document = served.get("/items?page[limit]=500")
    assert 15 < document["meta"]["total_count"] == len(document["data"]) < 45
    assert served.get(f"/items/{made[0]}")["data"]["id"] == made[0]
    assert served.get("/items?page[limit]=500") == document
    faults.clear()
    assert served.get("/items")["meta"]["total_count"] == 60


def test_the_world_can_move_between_two_pages(served: Served, faults: Faults, ids: list[str]) -> None:
    faults.run_after(lambda world: world.delete(world.user, ids[0]), path="/items")
    first, second = served.get(f"{PAGES}0"), served.get(f"{PAGES}2")
    assert [one["id"] for one in first["data"]] == ids[:2]
    assert [one["id"] for one in second["data"]] == ids[3:5]
    assert (first["meta"]["total_count"], second["meta"]["total_count"]) == (5, 4)


def test_the_clock_may_be_ahead(served: Served) -> None:
    served.act(lambda world: world.clock.advance(timedelta(days=400)))
    assert served.http.get("/site").headers["Date"].startswith("Wed, 06 Oct 2027")


def test_faults_are_in_the_log(served: Served, faults: Faults) -> None:
    faults.plant(FaultKind.INTERNAL_ERROR, nth=2)
    for _ in range(3):
        served.http.get("/site")
    assert [one.fault for one in served.simulator.simulator.requests] == [None, "internal_error", None]
