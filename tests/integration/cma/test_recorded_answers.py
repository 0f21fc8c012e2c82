"""Answers of the real service, recorded in 2021: the client reads each of them, and keeps what it keeps to the byte.

The recordings are not part of the repository. They are read from beside it, `../shared/recorded/answers.ndjson`;
without them these tests are skipped. Their shapes are repeated, in words of our own, in
`tests/unit/cma/test_old_shapes.py`, which runs everywhere.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from msgspec import Raw

from tests.integration.cma.upstreams import client_of, upstream
from versionsync import cma
from versionsync.cma import decode
from versionsync.cma import jsonapi as wire
from versionsync.cma import permissions as roles
from versionsync.cma.responses import Response, interpret

RECORDED: Final = Path(__file__).parents[3].parent / "shared" / "recorded" / "answers.ndjson"

pytestmark = pytest.mark.skipif(
    not RECORDED.is_file(), reason="the recorded answers are not beside the repository: ../shared/recorded"
)


@dataclass(frozen=True)
class Exchange:
    """A recorded request and its answer."""

    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def bytes(self) -> bytes:
        """The body as compact JSON: a recording keeps its members and their order, not its spaces."""
        return b"" if self.body is None else compact(self.body)

    @property
    def last_part(self) -> str:
        """The id at the end of the path."""
        return self.path.rpartition("/")[2]


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@cache
def exchanges() -> tuple[Exchange, ...]:
    lines = RECORDED.read_text().splitlines()
    names = ("method", "path", "status", "headers", "body")
    return tuple(Exchange(**{name: line[name] for name in names}) for line in map(json.loads, lines))


# The checks: what the client's method returned, and the entities that were in the answer.


def listed(body: Any) -> list[Any]:
    return body["data"]


async def read_models(client: cma.Client, given: Exchange) -> None:
    models = await client.item_types()
    assert [model.raw for model in models] == [compact(each) for each in listed(given.body)]


async def read_model(client: cma.Client, given: Exchange) -> None:
    if given.status == 404:
        with pytest.raises(cma.NotFound):
            await client.item_type(given.last_part)
        return
    model = await client.item_type(given.last_part)
    assert (model.id, model.raw) == (given.last_part, compact(given.body["data"]))


async def read_field(client: cma.Client, given: Exchange) -> None:
    field = await client.field(given.last_part)
    assert (field.id, field.raw) == (given.last_part, compact(given.body["data"]))


async def read_fields(client: cma.Client, given: Exchange) -> None:
    fields = await client.fields(given.path.split("/")[2])
    assert [field.raw for field in fields] == [compact(each) for each in listed(given.body)]


async def read_page(client: cma.Client, given: Exchange) -> None:
    page = await client.items_page()
    assert page.bad == ()
    assert page.total == given.body["meta"]["total_count"]
    assert page.ids == tuple(each["id"] for each in listed(given.body))
    assert [item.attributes_raw for item in page.items] == [compact(each["attributes"]) for each in listed(given.body)]
    assert [item.meta_raw for item in page.items] == [compact(each["meta"]) for each in listed(given.body)]


async def read_record(client: cma.Client, given: Exchange) -> None:
    item = await client.item(given.last_part)
    assert item.id == given.last_part
    assert item.attributes_raw == compact(given.body["data"]["attributes"])
    assert item.meta_raw == compact(given.body["data"]["meta"])


async def read_job(client: cma.Client, given: Exchange) -> None:
    if given.status == 404:
        with pytest.raises(cma.NotFound):
            await client.job_result(given.last_part)
        return
    result = await client.job_result(given.last_part)
    attributes = given.body["data"]["attributes"]
    assert (result.id, result.status) == (given.last_part, attributes["status"])
    assert result.payload_raw == compact(attributes["payload"])


async def read_project(client: cma.Client, given: Exchange) -> None:
    site = await client.site()
    assert site.raw == compact(without_key(given.body["data"]))
    (owner,) = await client.owners()
    assert (owner.type, owner.id) == ("account", given.body["data"]["relationships"]["account"]["data"]["id"])


async def read_schema(client: cma.Client, given: Exchange) -> None:
    schema = await client.schema()
    included = given.body["included"]
    assert [model.raw for model in schema.item_types] == [compact(each) for each in of_type(included, "item_type")]
    assert [field.raw for field in schema.fields] == [compact(each) for each in of_type(included, "field")]
    assert schema.item_types
    assert schema.fields
    assert schema.site.raw == compact(without_key(given.body["data"]))


def of_type(entities: list[Any], kind: str) -> list[Any]:
    return [each for each in entities if each["type"] == kind]


def without_key(site: Any) -> Any:
    """A project as the client keeps it: without the key of its maps."""
    kept = {name: value for name, value in site["attributes"].items() if name != "google_maps_api_token"}
    return site | {"attributes": kept}


Check = Callable[[cma.Client, Exchange], Awaitable[None]]

WITH_A_METHOD: Final[dict[str, Check]] = {
    r"/item-types": read_models,
    r"/item-types/\d+": read_model,
    r"/item-types/\d+/fields": read_fields,
    r"/fields/\d+": read_field,
    r"/items\?.*": read_page,
    r"/items/\d+": read_record,
    r"/job-results/[0-9a-f]+": read_job,
    r"/site": read_project,
    r"/site\?include.*": read_schema,
}
WITHOUT: Final = r"/(menu-items(/\d+)?|build-triggers|roles|site-invitations|uploads([/?].*)?)"


async def test_every_recorded_read_is_understood_over_http() -> None:
    """With the recorded status and headers; those that the client has no method for are named above."""
    done: Counter[str] = Counter()
    answering: list[Exchange] = []

    async def answer(_: web.Request) -> web.Response:
        given = answering[-1]
        return web.Response(status=given.status, body=given.bytes, headers=given.headers)

    async with upstream(answer) as url, client_of(url) as client:
        for given in exchanges():
            if given.method != "GET":
                continue
            check = next((check for path, check in WITH_A_METHOD.items() if re.fullmatch(path, given.path)), None)
            if check is None:
                assert re.fullmatch(WITHOUT, given.path), given.path
                done["no method"] += 1
                continue
            answering.append(given)
            await check(client, given)
            done[check.__name__] += 1
        assert client.last_environment == "main"
        assert client.usage.retries == 0
    assert done == {
        "read_models": 1,
        "read_model": 2,
        "read_field": 1,
        "read_fields": 1,
        "read_page": 6,
        "read_record": 3,
        "read_job": 6,
        "read_project": 2,
        "read_schema": 1,
        "no method": 7,
    }


def entities(value: Any) -> Iterator[dict[str, Any]]:
    """All resources with attributes, however deep: also those beside an answer, and those in a job's payload."""
    if isinstance(value, dict):
        if isinstance(value.get("type"), str) and isinstance(value.get("attributes"), dict):
            yield value
        for member in value.values():
            yield from entities(member)
    elif isinstance(value, list):
        for member in value:
            yield from entities(member)


def alone(build: Callable[[Raw], Any], entity: Any) -> Any:
    """The entity, decoded as an answer that consists of it."""
    return wire.document(compact({"data": entity}), lambda raw, _: build(raw))


def check_item(entity: Any) -> None:
    item = alone(decode.item, entity)
    assert (item.attributes_raw, item.meta_raw) == (compact(entity["attributes"]), compact(entity["meta"]))
    assert (item.creator is None) == ("creator" not in entity["relationships"])


def check_model(entity: Any) -> None:
    assert alone(decode.item_type, entity).raw == compact(entity)


def check_field(entity: Any) -> None:
    assert alone(decode.field, entity).raw == compact(entity)


def check_site(entity: Any) -> None:
    assert alone(decode.site, entity).raw == compact(without_key(entity))


def check_role(entity: Any) -> None:
    """Both recorded roles show all records: `item_type` is an empty text."""
    role = alone(roles.role, entity)
    assert role.name == entity["attributes"]["name"]
    assert role.reading("any model", "main") is cma.ReadAccess.ALL


def check_job_result(entity: Any) -> None:
    result = wire.document(compact({"data": entity}), decode.job_result)
    assert result.payload_raw == compact(entity["attributes"]["payload"])


CHECKS: Final[dict[str, Callable[[Any], None]]] = {
    "item": check_item,
    "item_type": check_model,
    "field": check_field,
    "site": check_site,
    "role": check_role,
    "job_result": check_job_result,
}
NO_BUSINESS_OF_A_MIRROR: Final = {"menu_item", "upload", "site_invitation", "build_trigger", "api_error"}


def test_every_entity_in_every_body_is_decoded() -> None:
    """Answers to writes, what is included beside them, and the results of jobs: nothing is refused."""
    done: Counter[str] = Counter()
    for given in exchanges():
        for entity in entities(given.body):
            if entity["type"] in NO_BUSINESS_OF_A_MIRROR:
                continue
            CHECKS[entity["type"]](entity)
            done[entity["type"]] += 1
    assert done == {"item": 20, "item_type": 15, "field": 10, "site": 4, "role": 2, "job_result": 3}


def test_every_accepted_job_has_an_id() -> None:
    """Each answer with status 202 names its job."""
    jobs = [given for given in exchanges() if given.status == 202]
    assert [wire.document(given.bytes, decode.job_id) for given in jobs] == [given.body["data"]["id"] for given in jobs]
    assert len(jobs) == 14


def test_every_error_is_the_one_that_its_code_says() -> None:
    """A model that does not exist, and results of jobs that are not ready."""
    errors = [given for given in exchanges() if given.status >= 400]
    for given in errors:
        answer = Response(given.status, given.headers, given.bytes, len(given.bytes))
        error = interpret(answer, request=f"{given.method} {given.path}", now=0.0)
        assert type(error) is cma.NotFound
        assert (error.code, error.request_id) == ("NOT_FOUND", given.headers["x-request-id"])
    assert len(errors) == 4


def test_models_without_draft_mode_have_published_records() -> None:
    """`status` is not null there, though the vendor's schema allows it. (Of other records the model is not known.)"""
    models = {
        each["id"]: each["attributes"]["draft_mode_active"]
        for given in exchanges()
        for each in entities(given.body)
        if each["type"] == "item_type"
    }
    found: Counter[tuple[bool, str]] = Counter()
    for given in exchanges():
        for each in of_type(list(entities(given.body)), "item"):
            model = each["relationships"]["item_type"]["data"]["id"]
            if model in models:
                found[models[model], each["meta"]["status"]] += 1
    assert found == {(False, "published"): 12}
