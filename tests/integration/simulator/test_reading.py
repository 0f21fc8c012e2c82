"""What the API answers to readers."""

from __future__ import annotations

import gzip
import re
import urllib.request
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.fixtures.old_project import AUTHOR, BLOCK, POST, build_old_project
from tests.integration.simulator.conftest import Served
from versionsync.simulator import FULL_ACCESS_TOKEN, LoadedVersion, SimulatorThread, World


def with_versions(world: World, count: int) -> str:
    """Return a record with a number of versions, a second apart."""
    start = world.now()
    versions = [
        LoadedVersion(b'{"title":{"en":"%d"},"body":[]}' % number, world.user, start + timedelta(seconds=number))
        for number in range(count)
    ]
    world.clock.advance(timedelta(seconds=count))
    return world.load(world.primary.model("post"), versions).id


def with_records(world: World, count: int) -> list[str]:
    """Return the ids of a number of new records, a minute apart."""
    made = []
    for number in range(count):
        made.append(world.create(world.user, "post", {"title": {"en": str(number)}}).id)
        world.clock.advance(timedelta(minutes=1))
    return made


def test_one_request_tells_the_whole_schema(served: Served) -> None:
    document = served.get("/site?include=item_types,item_types.fields")
    assert document["data"]["attributes"]["locales"] == ["en", "it"]
    kinds = [(one["type"], one["attributes"]["api_key"]) for one in document["included"]]
    assert kinds == [
        ("item_type", "paragraph"),
        ("item_type", "post"),
        ("field", "text"),
        ("field", "title"),
        ("field", "body"),
    ]
    assert "included" not in served.get("/site")


def test_the_beacon_moves_with_every_change(served: Served) -> None:
    before = served.get("/environments/main")["data"]["meta"]["last_data_change_at"]
    served.act(lambda world: (world.clock.advance(timedelta(minutes=1)), with_records(world, 1)))
    after = served.get("/environments/main")["data"]["meta"]["last_data_change_at"]
    assert before < after
    assert served.get("/site")["data"]["attributes"]["last_data_change_at"] == after


def test_a_record_tells_its_fingerprint(served: Served) -> None:
    id = served.act(lambda world: world.create(world.user, "post", {"title": {"en": "a"}}).id)
    served.act(lambda world: world.publish(world.user, id))
    served.act(lambda world: (world.clock.advance(timedelta(hours=1)), world.update(world.user, id, {"body": []})))
    data = served.get(f"/items/{id}")["data"]
    assert data["relationships"]["item_type"]["data"] == {"id": served.post.id, "type": "item_type"}
    assert data["relationships"]["creator"]["data"] == {
        "id": served.act(lambda world: world.user.id),
        "type": "user",
    }
    assert data["meta"] == {
        "created_at": "2026-09-01T09:00:00Z",
        "updated_at": "2026-09-01T10:00:00Z",
        "published_at": "2026-09-01T09:00:00Z",
        "first_published_at": "2026-09-01T09:00:00Z",
        "publication_scheduled_at": None,
        "unpublishing_scheduled_at": None,
        "status": "updated",
        "is_valid": True,
        "is_current_version_valid": True,
        "is_published_version_valid": True,
        "current_version": served.act(lambda world: world.primary.record(id).head.id),
        "stage": None,
        "has_children": None,
    }


@pytest.mark.parametrize(("order", "first"), [("newest_first", "6"), ("oldest_first", "0")])
def test_versions_come_in_pages_in_the_order_of_the_switch(served: Served, order: str, first: str) -> None:
    id = served.act(lambda world: with_versions(world, 7))
    served.act(lambda world: setattr(world.options, "versions_order", order))
    seen = []
    for offset in range(0, 9, 3):
        document = served.get(f"/items/{id}/versions?page[offset]={offset}&page[limit]=3")
        assert document["meta"] == {"total_count": 7}
        seen += [version["attributes"]["title"]["en"] for version in document["data"]]
    assert seen[0] == first
    assert sorted(seen) == list("0123456")
    assert seen in (sorted(seen), sorted(seen, reverse=True))


def test_a_page_of_versions_is_15_and_at_most_50(served: Served) -> None:
    id = served.act(lambda world: with_versions(world, 60))
    assert len(served.get(f"/items/{id}/versions")["data"]) == 15
    assert len(served.get(f"/items/{id}/versions?page[limit]=50&nested=true")["data"]) == 50
    assert served.refused(served.http.get(f"/items/{id}/versions?page[limit]=51")) == (422, "INVALID_PARAMS")
    served.act(lambda world: setattr(world.options, "nested_versions_limit", 20))
    assert served.refused(served.http.get(f"/items/{id}/versions?page[limit]=50&nested=true"))[0] == 422
    assert len(served.get(f"/items/{id}/versions?page[limit]=50")["data"]) == 50


def test_a_version_tells_its_last_interval_only_if_it_was_tracked(served: Served) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)

    def load(world: World) -> tuple[str, str]:
        post = world.primary.model("post")
        old = world.load(post, [LoadedVersion(b"{}", world.user, long_ago, live=((long_ago, None),))])
        first, second = (long_ago, long_ago + timedelta(days=1)), (world.now(), None)
        again = world.load(post, [LoadedVersion(b"{}", world.user, long_ago, live=(first, second))])
        return old.head.id, again.head.id

    old, again = served.act(load)
    assert _live(served, old) == (True, None, None)
    assert _live(served, again) == (True, "2026-09-01T09:00:00Z", None)


def _live(served: Served, version_id: str) -> tuple[object, ...]:
    meta = served.get(f"/versions/{version_id}")["data"]["meta"]
    return meta["is_published"], meta["published_from"], meta["published_until"]


def test_blocks_are_ids_or_whole(served: Served) -> None:
    record = served.act(lambda world: world.create(world.user, "post", {"body": [served.paragraph("a")]}))
    (flat,) = served.get(f"/items/{record.id}/versions")["data"][0]["attributes"]["body"]
    (block,) = served.get(f"/items/{record.id}/versions?nested=true")["data"][0]["attributes"]["body"]
    assert block["id"] == flat
    assert block["attributes"] == {"text": "a"}
    assert served.get(f"/items/{record.id}?nested=true")["data"]["attributes"]["body"] == [block]
    (asked,) = served.get(f"/items?filter[ids]={flat}")["data"]
    assert {key: value for key, value in asked.items() if key != "meta"} == block


def test_content_is_served_as_it_was_written(served: Served) -> None:
    content = rb'{"title":{"en":"\u0000\ud800"},"big":12345678901234567890123,"exact":1.00,"huge":1e400}'
    id = served.act(lambda world: world.create(world.user, "post", content).id)
    for nested in ("true", "false"):
        assert content in served.http.get(f"/items/{id}/versions?nested={nested}").content


def test_without_a_type_records_of_all_models_come_newest_change_first(served: Served) -> None:
    ids = served.act(lambda world: with_records(world, 5))
    assert [one["id"] for one in served.get("/items?version=current")["data"]] == ids[::-1]
    served.act(lambda world: world.update(world.user, ids[0], {"body": []}))
    assert next(one["id"] for one in served.get("/items?version=current")["data"]) == ids[0]


def test_a_listing_by_model_and_id_stands_still_while_editors_work(served: Served) -> None:
    ids = served.act(lambda world: with_records(world, 6))
    path = "/items?version=current&filter[type]=post&order_by=id_ASC&page[limit]=3"
    first = served.get(path)["data"]
    served.act(lambda world: world.update(world.user, ids[0], {"body": []}))
    second = served.get(path + "&page[offset]=3")["data"]
    assert [one["id"] for one in first + second] == sorted(ids)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter[type]=post", [4, 3, 2, 1, 0]),
        ("filter[type]=paragraph", []),
        ("filter[fields][_updated_at][gt]=2026-09-01T09:02:00Z", [4, 3]),
        ("filter[fields][_updated_at][gte]=2026-09-01T09:02:00Z", [4, 3, 2]),
        ("filter[fields][_created_at][lt]=2026-09-01T11:01:00%2B02:00", [0]),
        ("filter[fields][_status][eq]=published", [1]),
        ("filter[fields][_published_at][exists]=true", [1]),
        ("filter[type]=post&filter[fields][title][matches][pattern]=[34]", [4, 3]),
        ("filter[type]=post&order_by=_created_at_ASC", [0, 1, 2, 3, 4]),
        ("filter[type]=post&order_by=_published_at_DESC,id_ASC", None),
        ("filter[query]=THREE", []),
        ("version=published", [1]),
    ],
)
def test_listings_are_filtered_and_ordered(served: Served, query: str, expected: list[int] | None) -> None:
    ids = served.act(lambda world: with_records(world, 5))
    served.act(lambda world: world.publish(world.user, ids[1]))
    document = served.get(f"/items?{query}")
    seen = [ids.index(one["id"]) for one in document["data"]]
    assert seen == expected if expected is not None else seen[0] == 1 and len(seen) == 5
    assert document["meta"]["total_count"] == len(seen)


def test_date_filters_may_be_cut_to_the_minute(served: Served) -> None:
    served.act(lambda world: setattr(world.options, "date_filters_cut_to_minute", True))
    served.act(lambda world: (world.clock.advance(timedelta(seconds=30)), with_records(world, 1)))
    assert served.get("/items?filter[fields][_updated_at][gt]=2026-09-01T09:00:00Z")["data"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("order_by=id_ASC", "INVALID_ORDERING"),
        ("filter[type]=post,paragraph&order_by=id_ASC", "INVALID_ORDERING"),
        ("filter[type]=post&order_by=colour_ASC", "INVALID_ORDERING"),
        ("filter[type]=page", "ITEM_TYPE_NOT_FOUND"),
        ("filter[type]=post&filter[ids]=x", "INVALID_PARAMS"),
        ("filter[fields][title][eq]=a", "INVALID_FILTER_FIELDS_PARAM"),
        ("filter[fields][_updated_at][near]=2026-01-01T00:00:00Z", "INVALID_FILTER_FIELDS_PARAM"),
        ("filter[fields][_updated_at][gt]=yesterday", "INVALID_DATE"),
        ("page[limit]=501", "INVALID_PARAMS"),
        ("page[limit]=31&nested=true", "INVALID_PARAMS"),
        ("page[offset]=-1", "INVALID_PARAMS"),
        ("version=latest", "INVALID_PARAMS"),
        ("nested=perhaps", "INVALID_PARAMS"),
    ],
)
def test_queries_that_make_no_sense_are_refused(served: Served, query: str, code: str) -> None:
    assert served.refused(served.http.get(f"/items?{query}")) == (422, code)


def test_older_projects_list_what_is_published_unless_current_is_asked_for(served: Served) -> None:
    served.act(lambda world: setattr(world.options, "lists_current_versions", False))
    id = served.act(lambda world: world.create(world.user, "post", {"title": {"en": "live"}}).id)
    served.act(lambda world: world.publish(world.user, id))
    served.act(lambda world: world.update(world.user, id, {"title": {"en": "draft"}}))
    titles = [
        served.get(f"/items{query}")["data"][0]["attributes"]["title"]["en"] for query in ("", "?version=current")
    ]
    assert titles == ["live", "draft"]


def test_versions_of_a_deleted_record_are_gone_or_still_readable(served: Served) -> None:
    id = served.act(lambda world: with_versions(world, 2))
    version_id = served.act(lambda world: world.primary.record(id).head.id)
    served.act(lambda world: world.delete(world.user, id))
    paths = (f"/items/{id}/versions", f"/versions/{version_id}")
    assert [served.http.get(path).status_code for path in paths] == [404, 404]
    served.act(lambda world: setattr(world.options, "deleted_versions_readable", True))
    assert [served.http.get(path).status_code for path in paths] == [200, 200]
    assert served.http.get(f"/items/{id}").status_code == 404


def test_all_five_kinds_of_people_can_be_looked_up(served: Served) -> None:
    assert served.get("/users")["data"][0]["attributes"]["full_name"] == "Ben Writer"
    assert served.get("/sso-users")["data"][0]["attributes"]["username"] == "cleo@example.com"
    assert served.get("/access_tokens")["data"][0]["attributes"]["name"] == "Full-access API token"
    included = served.get("/site?include=account")["included"]
    assert [one["attributes"]["email"] for one in included] == ["ada@example.com"]
    assert served.get("/users/me")["data"]["type"] == "access_token"
    role = served.get("/users")["data"][0]["relationships"]["role"]["data"]
    assert served.get(f"/roles/{role['id']}")["data"]["attributes"]["name"] == "Admin"


@pytest.mark.parametrize(
    ("milliseconds", "with_offset", "expected"),
    [
        (False, False, "2026-09-01T09:00:00Z"),
        (True, False, "2026-09-01T09:00:00.250Z"),
        (True, True, "2026-09-01T09:00:00.250+00:00"),
    ],
)
def test_times_are_written_as_the_project_is_set(
    served: Served, milliseconds: bool, with_offset: bool, expected: str
) -> None:
    def write(world: World) -> str:
        world.options.milliseconds = milliseconds
        world.options.times_with_offset = with_offset
        world.clock.advance(timedelta(milliseconds=250))
        return world.create(world.user, "post", {}).id

    assert served.get(f"/items/{served.act(write)}")["data"]["meta"]["created_at"] == expected


def test_the_date_header_is_the_simulators_clock(served: Served) -> None:
    assert parsedate_to_datetime(served.http.get("/site").headers["Date"]) == served.act(lambda world: world.now())


def test_answers_name_version_environment_and_request(served: Served) -> None:
    one, two = served.http.get("/site").headers, served.http.get("/site").headers
    assert (one["X-Api-Version"], one["X-Environment"]) == ("3", "main")
    assert one["X-Request-Id"] != two["X-Request-Id"]
    assert one["Content-Type"].startswith("application/json")


def test_answers_have_the_headers_that_were_recorded(served: Served) -> None:
    answers = [served.http.get("/items").headers for _ in range(10)]
    queued = [headers["X-Queue-Time"] for headers in answers]
    assert all(re.fullmatch(r"-?\d+ms", text) for text in queued)
    assert any(text.startswith("-") for text in queued)
    assert any(not text.startswith("-") for text in queued)
    assert all(0 <= float(headers["X-Runtime"]) < 60 for headers in answers)
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', answers[0]["ETag"])
    assert len({headers["ETag"] for headers in answers}) == 1
    assert len({headers["Cf-Ray"] for headers in answers}) == 10
    assert "X-RateLimit-Reset" not in answers[0]
    served.act(lambda world: world.create(world.user, "post", {}))
    assert served.http.get("/items").headers["ETag"] != answers[0]["ETag"]


def test_the_plan_says_how_long_versions_are_kept(served: Served) -> None:
    served.http.post("/_simulator/switches", json={"history_retention_days": 30})
    limits = {one["id"]: one["attributes"] for one in served.get("/subscription-limits")["data"]}
    assert limits["history_retention_days"] == {"code": "history_retention_days", "usage": 0, "limit": 30}
    assert served.get("/subscription-limits/items")["data"] == {
        "id": "items",
        "type": "subscription_limit",
        "attributes": limits["items"],
    }
    assert served.refused(served.http.get("/subscription-limits/unknown")) == (404, "NOT_FOUND")
    features = served.get("/subscription-features")["data"]
    assert {one["type"] for one in features} == {"subscription_feature"}
    assert {frozenset(one["attributes"]) for one in features} == {frozenset({"code", "enabled", "in_use"})}
    served.http.post("/_simulator/switches", json={"history_retention_days": None})
    assert served.get("/subscription-limits/history_retention_days")["data"]["attributes"]["limit"] is None
    served.http.post("/_simulator/switches", json={"limits_show_retention": False})
    assert served.http.get("/subscription-limits/history_retention_days").status_code == 404


def test_versions_older_than_the_plan_keeps_them_go(served: Served) -> None:
    def write(world: World) -> str:
        id = world.create(world.user, "post", {"title": {"en": "0"}}).id
        world.publish(world.user, id)
        for number in range(1, 4):
            world.clock.advance(timedelta(days=1))
            world.update(world.user, id, {"title": {"en": str(number)}})
        return id

    id = served.act(write)
    served.http.post("/_simulator/switches", json={"history_retention_days": 2})
    served.http.post("/_simulator/clock", json={"advance_seconds": 3600})
    left = [one["attributes"]["title"]["en"] for one in served.get(f"/items/{id}/versions")["data"]]
    assert left == ["3", "2", "0"]  # what is live stays, however old
    served.http.post("/_simulator/clock", json={"advance_seconds": 86400 * 30})
    left = [one["attributes"]["title"]["en"] for one in served.get(f"/items/{id}/versions")["data"]]
    assert left == ["3", "0"]
    missing = [one for one in served.get("/_simulator/truth")["transitions"] if one["type"] == "version.missing"]
    assert len(missing) == 2


def test_an_old_project_has_decimal_ids_offsets_and_blocks_in_its_list() -> None:
    world = build_old_project(datetime(2021, 2, 8, 12, 51, 20, 323_000, UTC))
    with SimulatorThread(world) as simulator:
        headers = {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}
        with httpx.Client(base_url=simulator.url, headers=headers) as http:
            listed = http.get("/items?version=published").json()
            versions = http.get(f"/items/{POST}/versions?nested=true").json()
    assert [one["id"] for one in listed["data"]] == [POST, BLOCK, AUTHOR]
    assert ["creator" in one["relationships"] for one in listed["data"]] == [True, False, True]
    post = listed["data"][0]
    assert post["attributes"] == {
        "heading": {"en": "A day", "it": "Un giorno"},
        "starts_at": "2021-07-01T08:00:00.125+01:00",
        "body": {"schema": "dast", "document": {"type": "root", "children": [{"type": "block", "item": BLOCK}]}},
        "updated_at": "2021-02-08T12:51:26.565+00:00",
        "created_at": "2021-02-08T12:51:26.565+00:00",
    }
    assert post["meta"]["published_at"] == "2021-02-08T12:51:26.589+00:00"
    assert post["meta"]["status"] == "published"
    (version,) = versions["data"]
    assert (version["id"], version["meta"]["published_from"]) == ("5000002", None)
    assert "created_at" not in version["attributes"]


def test_answers_are_compressed_when_asked(served: Served) -> None:
    def fetch(encoding: str) -> tuple[str | None, bytes]:
        headers = {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}
        headers["Accept-Encoding"] = encoding
        url = f"{served.simulator.url}/site?include=item_types,item_types.fields"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.headers["Content-Encoding"], answer.read()

    plain, packed = fetch("identity"), fetch("gzip, br")
    assert (plain[0], packed[0]) == (None, "gzip")
    assert gzip.decompress(packed[1]) == plain[1]
    assert len(packed[1]) < len(plain[1])


def test_what_links_to_a_record_is_listed(served: Served) -> None:
    def link(world: World) -> tuple[str, str]:
        world.create_field(world.account, "post", "next", "link")
        target = world.create(world.user, "post", {})
        return target.id, world.create(world.user, "post", {"next": target.id}).id

    target, source = served.act(link)
    assert [one["id"] for one in served.get(f"/items/{target}/references")["data"]] == [source]


def test_the_state_of_current_and_published_is_told(served: Served) -> None:
    id = served.act(lambda world: world.create(world.user, "post", {"title": {"en": "a"}}).id)
    served.act(lambda world: world.publish(world.user, id))
    served.act(lambda world: world.update(world.user, id, {"title": {"en": "b", "it": "c"}}))
    served.act(lambda world: world.schedule_publication(world.user, id, world.now() + timedelta(days=1)))
    document = served.get(f"/items/{id}/current-vs-published-state")
    assert document["data"]["attributes"]["changed_locales"] == ["en"]
    assert document["data"]["attributes"]["added_locales"] == ["it"]
    assert [one["type"] for one in document["included"]] == ["scheduled_publication", "item_version", "item_version"]


def test_a_fresh_project_has_used_nothing_today(served: Served) -> None:
    (today,) = served.get("/daily-site-usages")["data"]
    assert (today["id"], today["attributes"]["cma_api_calls"]) == ("2026-09-01", 0)
    (today,) = served.get("/daily-site-usages")["data"]
    assert today["attributes"]["cma_api_calls"] == 1
