"""The shapes of answers that the real service gave in 2021, with contents of our own.

Old projects still answer so in part, for example with decimal ids. `tests/integration/cma/test_recorded_answers.py`
reads the recordings themselves, if they are available.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from versionsync import cma
from versionsync.cma import decode
from versionsync.cma import decode as people
from versionsync.cma.jsonapi import document, entries
from versionsync.cma.resources import Ref
from versionsync.cma.responses import Response, interpret, rate
from versionsync.cma.retry import Failure

Json = dict[str, Any]

HEADERS = {
    "date": "Wed, 03 Mar 2021 09:00:00 GMT",
    "content-type": "application/json; charset=utf-8",
    "cf-ray": "71aa0000bbbb1111-FCO",
    "cache-control": "max-age=0, private, must-revalidate",
    "etag": 'W/"00112233445566778899aabbccddeeff"',
    "x-api-version": "3",
    "x-datocms-cache": "MISS",
    "x-environment": "main",
    "x-queue-time": "-1ms",
    "x-ratelimit-limit": "60",
    "x-ratelimit-remaining": "57",
    "x-request-id": "0f0e0d0c-0000-4000-8000-000000000001",
    "x-runtime": "0.012345",
}


def record(id: str = "700100", **meta: object) -> Json:
    """A published record of a model without draft mode, with `created_at` and `updated_at` among its attributes."""
    times = {"created_at": "2021-03-03T10:00:00.123+01:00", "updated_at": "2021-03-03T10:00:00.456+01:00"}
    return {
        "id": id,
        "type": "item",
        "attributes": {
            "headline": {"de": "Kanal gesperrt", "fr": "Canal fermé"},
            "teaser": "ein Satz – mit Strich",
            "body": {
                "schema": "dast",
                "document": {
                    "type": "root",
                    "children": [
                        {"type": "paragraph", "children": [{"type": "inlineItem", "item": "700101"}]},
                        {"type": "block", "item": "700102"},
                    ],
                },
            },
            "cover": {"alt": None, "title": None, "custom_data": {}, "focal_point": None, "upload_id": "88001"},
            "updated_at": times["updated_at"],
            "created_at": times["created_at"],
        },
        "relationships": {
            "item_type": {"data": {"id": "5001", "type": "item_type"}},
            "creator": {"data": {"id": "301", "type": "access_token"}},
        },
        "meta": {
            **times,
            "published_at": "2021-03-03T10:00:00.789+01:00",
            "publication_scheduled_at": None,
            "unpublishing_scheduled_at": None,
            "first_published_at": "2021-03-03T10:00:00.789+01:00",
            "is_valid": True,
            "status": "published",
            "current_version": "90010001",
            **meta,
        },
    }


def block() -> Json:
    """A block record, as it is listed among the records: a whole `meta`, and no creator."""
    entity = record("700102", current_version="90010002")
    entity["attributes"] = {name: entity["attributes"][name] for name in ("teaser", "updated_at", "created_at")}
    entity["relationships"] = {"item_type": {"data": {"id": "5002", "type": "item_type"}}}
    return entity


def model(id: str, *, api_key: str, is_block: bool) -> Json:
    """A model with the misspelt attribute that old answers repeat, and `has_singleton_item` among the attributes."""
    return {
        "id": id,
        "type": "item_type",
        "attributes": {
            "name": api_key.title(),
            "singleton": False,
            "sortable": False,
            "api_key": api_key,
            "ordering_direction": None,
            "tree": False,
            "modular_block": is_block,
            "draft_mode_active": False,
            "all_locales_required": True,
            "collection_appeareance": "compact",
            "collection_appearance": "compact",
            "has_singleton_item": False,
        },
        "relationships": {
            "fields": {"data": [{"id": f"{id}1", "type": "field"}]},
            "singleton_item": {"data": None},
            "ordering_field": {"data": None},
            "title_field": {"data": None},
        },
    }


def field(model_id: str) -> Json:
    """A field without `deep_filtering_enabled`."""
    appearance = {"addons": [], "editor": "single_line", "parameters": {"heading": False}}
    return {
        "id": f"{model_id}1",
        "type": "field",
        "attributes": {
            "label": "Headline",
            "field_type": "string",
            "api_key": "headline",
            "hint": None,
            "localized": True,
            "validators": {"required": {}},
            "position": 1,
            "appearance": appearance,
            "appeareance": appearance,
            "default_value": {"de": None, "fr": None},
        },
        "relationships": {"item_type": {"data": {"id": model_id, "type": "item_type"}}, "fieldset": {"data": None}},
    }


def project() -> Json:
    """A project without `meta`; its relationships list people, and its owner is an account."""
    return {
        "id": "4200",
        "type": "site",
        "attributes": {
            "name": "Harbour news",
            "domain": None,
            "internal_domain": "harbour-news-1234.admin.datocms.com",
            "locales": ["de", "fr"],
            "last_data_change_at": "2021-03-03T09:00:00.812Z",
            "google_maps_api_token": "a-key-that-is-not-kept",
            "timezone": "Europe/Berlin",
            "require_2fa": False,
            "items_count": 3,
        },
        "relationships": {
            "account": {"data": {"id": "310", "type": "account"}},
            "users": {"data": []},
            "sso_users": {"data": []},
            "item_types": {"data": [{"id": "5001", "type": "item_type"}, {"id": "5002", "type": "item_type"}]},
            "roles": {"data": [{"id": "301", "type": "role"}]},
        },
    }


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def test_records_and_blocks_are_listed_together() -> None:
    """Decimal ids, milliseconds with the zone's offset, and members among the attributes that are no fields."""
    sent = [record(), block()]
    page = entries(compact({"data": sent, "meta": {"total_count": 2}}), decode.item, paged=True)
    first, second = page.values
    assert isinstance(first, cma.Item)
    assert isinstance(second, cma.Item)
    assert page.ids == ("700100", "700102")
    assert first.created_at == datetime(2021, 3, 3, 9, 0, 0, 123_000, tzinfo=UTC)
    assert first.first_published_at == datetime(2021, 3, 3, 9, 0, 0, 789_000, tzinfo=UTC)
    assert (first.status, first.current_version, first.stage) == ("published", "90010001", None)
    assert (first.creator, second.creator) == (Ref("access_token", "301"), None)
    assert second.item_type_id == "5002"
    for item, entity in zip((first, second), sent, strict=True):
        assert item.attributes_raw == compact(entity["attributes"])
        assert item.meta_raw == compact(entity["meta"])


@pytest.mark.parametrize("status", ["published", "draft", None])
def test_the_status_is_kept_as_it_was_sent(status: str | None) -> None:
    """Models without draft mode print `published`; the vendor's schema allows null."""
    (item,) = entries(compact({"data": [record(status=status)]}), decode.item, paged=False).values
    assert isinstance(item, cma.Item)
    assert item.status == status


def test_the_schema_comes_with_the_project() -> None:
    """Models and fields mixed, and the project without a `meta`."""
    included = [
        model("5002", api_key="quote", is_block=True),
        field("5002"),
        model("5001", api_key="news", is_block=False),
    ]
    schema = document(compact({"data": project(), "included": included}), decode.schema)
    assert [(each.api_key, each.modular_block, each.draft_mode_active) for each in schema.item_types] == [
        ("quote", True, False),
        ("news", False, False),
    ]
    assert [each.raw for each in schema.fields] == [compact(field("5002"))]
    assert schema.site.last_data_change_at == datetime(2021, 3, 3, 9, 0, 0, 812_000, tzinfo=UTC)
    assert (schema.site.created_at, schema.site.milliseconds_in_datetime) == (None, False)
    assert b"a-key-that-is-not-kept" not in schema.site.raw


def test_the_owner_is_an_account() -> None:
    """There was no relationship `owner` yet."""
    (owner,) = document(compact({"data": project()}), people.owners)
    assert (owner.type, owner.id) == ("account", "310")


@pytest.mark.parametrize(
    ("status", "payload"),
    [
        (200, {"data": record()}),
        (200, {"data": [], "meta": {"successful": 2, "failed": 0}}),
        (201, {"data": field("5001"), "included": [model("5001", api_key="news", is_block=False)]}),
        (200, {"data": project()}),
    ],
    ids=["a deletion: the whole record", "a bulk act: counts alone", "a new field and its model", "the project"],
)
def test_the_payload_of_a_job_is_kept_whole(status: int, payload: Json) -> None:
    """It is what the request itself would have been answered with."""
    attributes = {"status": status, "statusText": "OK", "payload": payload}
    sent = {"id": "00ff00ff00ff00ff00ff00ff", "type": "job_result", "attributes": attributes}
    result = document(compact({"data": sent}), decode.job_result)
    assert (result.id, result.status, result.payload_raw) == (sent["id"], status, compact(payload))


def test_a_job_that_is_not_ready_is_not_found() -> None:
    """Its error has a constant id, and a message of the server's own, which is not shown."""
    details = {"message": "Some::InternalClass"}
    error = {"id": "abc123", "type": "api_error", "attributes": {"code": "NOT_FOUND", "details": details}}
    body = compact({"data": [error]})
    verdict = interpret(Response(404, HEADERS, body, len(body)), request="GET /job-results/00ff", now=0.0)
    assert isinstance(verdict, cma.NotFound)
    assert verdict.request_id == HEADERS["x-request-id"]
    assert "InternalClass" not in str(verdict)


def test_the_headers_of_a_cdn_disturb_nothing() -> None:
    """A queue time may be negative, an ETag weak; there is no reset time where nothing was refused."""
    assert rate(HEADERS) == (60, 57, None)
    verdict = interpret(Response(500, HEADERS, b"{}", 2), request="GET /items", now=0.0)
    assert isinstance(verdict, Failure)
    assert (verdict.request_id, verdict.retry_after) == (HEADERS["x-request-id"], None)
