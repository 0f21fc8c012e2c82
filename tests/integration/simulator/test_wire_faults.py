"""How faults look to a client."""

from __future__ import annotations

import time
from datetime import timedelta

import httpx
import msgspec
import pytest

from tests.integration.simulator.conftest import Served
from versionsync.simulator import FaultKind, Faults

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
    faults.interject(lambda world: world.delete(world.user, ids[0]), path="/items")
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
