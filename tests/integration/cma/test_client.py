"""What the client sends, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from urllib.parse import parse_qsl

import httpx
import pytest
from aiohttp import web

from tests.integration.cma.upstreams import TOKEN, api, client_of, upstream
from tests.unit.cma import jsonapi_examples as example
from versionsync import __version__, cma
from versionsync.cma.responses import Response
from versionsync.cma.transport import exchange, open_http


class Recorder:
    """Answers everything with one body, and remembers what was asked."""

    def __init__(self, body: bytes, *, status: int = 200, **headers: str) -> None:
        self.body, self.status, self.headers = body, status, headers
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    async def __call__(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, request.raw_path, headers, await request.read()))
        return api(self.body, status=self.status, **self.headers)

    @property
    def last(self) -> tuple[str, str, dict[str, str], bytes]:
        """Method, path with query as it was on the wire, headers, body."""
        return self.requests[-1]

    @property
    def asked(self) -> tuple[str, dict[str, str]]:
        """Path and query of the last request."""
        path, _, query = self.last[1].partition("?")
        return path, dict(parse_qsl(query, strict_parsing=True))


def doc(data: object, **more: object) -> bytes:
    return json.dumps({"data": data, **more}).encode()


async def test_the_pace_knows_when_a_request_left_and_when_its_answer_began() -> None:
    """Between the two upstream has counted it, whatever the time that its body takes."""
    left, head = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        async with asyncio.timeout(60):
            await left.wait()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b" ")
        async with asyncio.timeout(60):
            await head.wait()
        await response.write(doc(example.site()))
        return response

    async with upstream(answer) as url, open_http(url, connections=1) as http:
        request = httpx.Request("GET", f"{url}/site", headers={"Authorization": f"Bearer {TOKEN}"})
        answered = await exchange(http, request, on_sent=left.set, on_answered=head.set, large=asyncio.Lock())
    assert isinstance(answered, Response)
    assert answered.status == 200


async def test_every_request_says_who_asks_and_for_what() -> None:
    """Token, version of the API, environment, our name and version."""
    recorder = Recorder(doc(example.site()))
    async with upstream(recorder) as url, client_of(url, environment="staging") as client:
        await client.site()
        await client.with_environment(None).site()
    method, path, headers, _ = recorder.requests[0]
    assert (method, path) == ("GET", "/site")
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["accept"] == "application/json"
    assert headers["x-api-version"] == "3"
    assert headers["x-environment"] == "staging"
    assert headers["user-agent"] == f"versionsync/{__version__}"
    assert "gzip" in headers["accept-encoding"]
    assert "x-environment" not in recorder.last[2]


async def test_records_are_always_asked_for_in_their_current_versions() -> None:
    """The default differs between projects."""
    recorder = Recorder(example.page([example.item()]))
    async with upstream(recorder) as url, client_of(url) as client:
        page = await client.items_page(offset=499, models=["article"], order_by="id_ASC")
        assert recorder.asked == (
            "/items",
            {
                "page[offset]": "499",
                "page[limit]": "500",
                "version": "current",
                "filter[type]": "article",
                "order_by": "id_ASC",
            },
        )
        await client.items_page(limit=30, ids=["a", "b"], nested=True, filters={"_updated_at": {"gt": "x:y+z &=é"}})
        assert recorder.asked == (
            "/items",
            {
                "page[offset]": "0",
                "page[limit]": "30",
                "version": "current",
                "nested": "true",
                "filter[ids]": "a,b",
                "filter[fields][_updated_at][gt]": "x:y+z &=é",
            },
        )
    assert (page.total, page.ids, page.bad) == (1, ("Vy0AAAAAAAAAAAAAAAAAAA",), ())
    assert page.at is not None


async def test_versions_are_always_asked_for_with_their_blocks() -> None:
    """Content without its blocks is not the content."""
    recorder = Recorder(example.page([example.version()]))
    async with upstream(recorder) as url, client_of(url) as client:
        await client.versions_page("Vy0")
        paging = {"page[offset]": "0", "page[limit]": "50"}
        assert recorder.asked == ("/items/Vy0/versions", {"nested": "true", **paging})
        recorder.body = doc(example.version())
        await client.version("cqE")
        assert recorder.asked == ("/versions/cqE", {"nested": "true"})


@pytest.mark.parametrize("id", ["a/b", "a?b", "a#b", "ä", "a%2Fb", "a b", "..x"])
async def test_an_id_stays_one_part_of_the_path(id: str) -> None:
    """Whatever a user types as an id never asks for something else."""
    recorder = Recorder(doc(example.item()))
    async with upstream(recorder) as url, client_of(url) as client:
        await client.item(id)
    path = recorder.last[1]
    assert path.startswith("/items/")
    assert path.endswith("?version=current")
    assert path.count("/") == 2
    assert path.count("?") == 1


@pytest.mark.parametrize("id", ["", ".", ".."])
async def test_what_is_another_path_is_no_id(id: str) -> None:
    """`/items/..` would be `/`."""
    async with client_of("http://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match="not an id"):
            await client.item(id)


async def test_the_schema_costs_one_request() -> None:
    """With everything included."""
    recorder = Recorder(doc(example.site(), included=[example.item_type(), example.field()]))
    async with upstream(recorder) as url, client_of(url) as client:
        schema = await client.schema()
    assert len(recorder.requests) == 1
    assert recorder.asked == ("/site", {"include": "item_types,item_types.fields"})
    assert (len(schema.item_types), len(schema.fields)) == (1, 1)


@pytest.mark.parametrize("refused", [True, False])
async def test_the_schema_is_read_piece_by_piece_where_nothing_is_included(refused: bool) -> None:
    """Refused or ignored, `include` is not needed."""
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        match request.path:
            case "/site" if refused and "include" in request.query:
                return api(json.dumps(example.error("INVALID_PARAMS")), status=422)
            case "/site":
                return api(doc(example.site()))
            case "/item-types":
                return api(doc([example.item_type()]))
            case _:
                return api(doc([example.field()]))

    async with upstream(handler) as url, client_of(url) as client:
        schema = await client.schema()
    assert [field.api_key for field in schema.fields] == ["title"]
    assert paths[-2:] == ["/item-types", "/item-types/mod/fields"]


async def test_a_restore_is_a_job_that_is_waited_for() -> None:
    """202, then 404 until the result is there."""
    looks = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal looks
        if request.method == "POST":
            assert request.path == "/versions/cqE/restore"
            return api(doc({"type": "job", "id": "j1"}), status=202)
        looks += 1
        if looks == 1:
            return api(json.dumps(example.error("NOT_FOUND")), status=404)
        result = {"type": "job_result", "id": "j1", "attributes": {"status": 200, "payload": {"data": []}}}
        return api(doc(result))

    async with upstream(handler) as url, client_of(url) as client:
        job = await client.restore_version("cqE")
        result = await client.wait_for_job(job)
    assert (job, result.status, result.payload_raw, looks) == ("j1", 200, b'{"data": []}', 2)


async def test_a_job_that_failed_raises_what_the_request_would_have() -> None:
    """With the code of the job's own answer."""
    result = {
        "type": "job_result",
        "id": "j1",
        "attributes": {"status": 422, "payload": example.error("ITEM_LOCKED")},
    }
    async with upstream(Recorder(doc(result))) as url, client_of(url) as client:
        with pytest.raises(cma.InvalidRequest, match="ITEM_LOCKED") as refused:
            await client.wait_for_job("j1")
    assert refused.value.status == 422


async def test_a_job_that_takes_too_long_is_unavailable() -> None:
    """The job may still succeed: so it is not a failure of the job."""
    recorder = Recorder(json.dumps(example.error("NOT_FOUND")).encode(), status=404)
    async with upstream(recorder) as url, client_of(url) as client:
        with pytest.raises(cma.Unavailable, match="still under way"):
            await client.wait_for_job("j1", deadline=0.5)


async def test_webhooks_are_made_changed_and_deleted() -> None:
    """With a JSON:API body; what comes back shows no password."""
    sent = {"id": "4", "type": "webhook", "attributes": {"name": "w", "url": "https://x.io/hook"}}
    recorder = Recorder(doc(sent))
    spec = cma.WebhookSpec(
        name="w",
        url="https://x.io/hook",
        events={"item": ("create", "update")},
        http_basic_user="u",
        http_basic_password=cma.Secret("hush"),
    )
    assert "hush" not in repr(spec)
    async with upstream(recorder) as url, client_of(url) as client:
        await client.create_webhook(spec)
        method, path, headers, body = recorder.last
        assert (method, path, headers["content-type"]) == ("POST", "/webhooks", "application/json")
        attributes = json.loads(body)["data"]["attributes"]
        assert attributes["http_basic_password"] == "hush"
        assert attributes["events"] == [{"entity_type": "item", "event_types": ["create", "update"]}]
        await client.update_webhook("4", spec)
        assert recorder.last[:2] == ("PUT", "/webhooks/4")
        assert json.loads(recorder.last[3])["data"]["id"] == "4"
        await client.delete_webhook("4")
        assert recorder.last[:2] == ("DELETE", "/webhooks/4")
        recorder.body, recorder.status = b"", 204
        await client.delete_webhook("4")


async def test_the_log_of_calls_is_paged_and_filtered() -> None:
    """By time, in order."""
    recorder = Recorder(example.page([]))
    async with upstream(recorder) as url, client_of(url) as client:
        await client.webhook_calls_page(order_by="created_at_asc", filters={"created_at": {"gt": "2026"}})
    assert recorder.asked == (
        "/webhook_calls",
        {
            "page[offset]": "0",
            "page[limit]": "500",
            "filter[fields][created_at][gt]": "2026",
            "order_by": "created_at_asc",
        },
    )


async def test_what_another_environment_answered_is_not_taken() -> None:
    """Not a byte of it."""
    recorder = Recorder(doc(example.site()), X_Environment="main")
    async with upstream(recorder) as url, client_of(url, environment="staging") as client:
        with pytest.raises(cma.EnvironmentChanged, match="main answered, staging was asked"):
            await client.site()
        follows = client.with_environment(None)
        await follows.site()
        assert follows.last_environment == client.last_environment == "main"


async def test_clients_of_one_project_share_connections_counters_and_pace() -> None:
    """Another environment is not another user of the API."""
    recorder = Recorder(doc(example.site()))
    async with upstream(recorder) as url, client_of(url) as client:
        other = client.with_environment("staging")
        await asyncio.gather(client.site(), other.site())
        assert client.usage is other.usage
        assert client.rate_limiter is other.rate_limiter
        assert client.usage.requests == 2
        assert client.usage.bytes_received == 2 * len(recorder.body)
        assert abs(client.clock_offset.total_seconds()) < 2  # type: ignore[union-attr]


async def test_each_try_is_reported_without_query_or_token() -> None:
    """For logs and metrics."""
    reported: list[cma.Exchange] = []
    recorder = Recorder(example.page([]))
    async with upstream(recorder) as url, client_of(url, on_request=reported.append) as client:
        await client.items_page(filters={"title": {"eq": "secret plans"}})
    (exchange,) = reported
    assert (exchange.method, exchange.path, exchange.status, exchange.failure) == ("GET", "/items", 200, None)
    assert exchange.bytes == len(recorder.body)
    assert exchange.seconds > 0
    assert "secret" not in repr(reported)
    assert TOKEN not in repr(reported)


async def test_a_client_of_the_callers_stays_open() -> None:
    """Whoever made the connections closes them."""
    recorder = Recorder(doc(example.site()))
    async with upstream(recorder) as url:
        http = cma.open_http(url, connections=2)
        for _ in range(2):
            async with client_of(url, http=http) as client:
                await client.site()
        await http.aclose()
    assert len(recorder.requests) == 2


async def test_large_answers_are_not_all_in_memory_at_once() -> None:
    """One is read at a time, however many requests are under way; each is whole."""
    size, number = 8_000_000, 8
    version = example.version()
    version["attributes"] = {"text": "x" * size}
    body = doc([version], meta={"total_count": 1})

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for start in range(0, len(body), 100_000):
            await response.write(body[start : start + 100_000])
        return response

    async def length(client: cma.Client) -> int:
        page = await client.versions_page("A")
        return len(page.items[0].attributes_raw)

    async with upstream(answer) as url, client_of(url, deadline=30.0) as client:
        tracemalloc.start()
        try:
            lengths = await asyncio.gather(*(length(client) for _ in range(number)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert lengths == [len(json.dumps(version["attributes"]))] * number
    assert peak < 4 * size


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_an_api_that_does_not_tell_roles_is_no_fault(status: int) -> None:
    """However it says that there is no such path."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text="no such page")

    async with upstream(answer) as url, client_of(url, deadline=1.0) as client:
        assert await client.own_role() is None


def plan_limit(code: str, limit: object, **more: object) -> dict[str, object]:
    """A limit of the project's plan, as the vendor's types have it."""
    attributes = {"code": code, "usage": 2, "limit": limit}
    return {"id": code, "type": "subscription_limit", "attributes": attributes} | more


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([plan_limit("locales", 3), plan_limit("history_retention_days", 30)], cma.HistoryRetention(days=30)),
        ([plan_limit("history_retention_days", 30.0)], cma.HistoryRetention(days=30)),
        ([plan_limit("other", 7, id="history_retention_days")], cma.HistoryRetention(days=7)),
        ([plan_limit("history_retention_days", None)], cma.HistoryRetention(days=None)),
        ([plan_limit("history_retention_days", 10**300)], cma.HistoryRetention(days=None)),
        ([plan_limit("history_retention_days", 1)], cma.HistoryRetention(days=1)),
        ([plan_limit("history_retention_days", 0)], None),
        ([plan_limit("history_retention_days", "30 days")], None),
        ([{"id": "1", "type": "subscription_limit"}, plan_limit("locales", 3)], None),
        ([], None),
    ],
)
async def test_the_plan_may_state_how_long_versions_are_kept(
    limits: list[object], expected: cma.HistoryRetention | None
) -> None:
    """One request; an entry of another form hides no other."""
    recorder = Recorder(doc(limits))
    async with upstream(recorder) as url, client_of(url) as client:
        assert await client.history_retention() == expected
    assert [path for _, path, _, _ in recorder.requests] == ["/subscription-limits"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, json.dumps(example.error("INSUFFICIENT_PERMISSIONS"))),
        (404, json.dumps(example.error("INVALID_ENDPOINT"))),
        (404, json.dumps(example.error("NOT_FOUND"))),
        (422, json.dumps(example.error("PLAN_UPGRADE_REQUIRED"))),
        (200, json.dumps({"data": {"id": "1"}})),
    ],
)
async def test_a_plan_that_cannot_be_read_is_not_known(status: int, body: str) -> None:
    """Not a fault: most roles may not read it."""
    async with upstream(Recorder(body.encode(), status=status)) as url, client_of(url, deadline=2.0) as client:
        assert await client.history_retention() is None


async def test_an_upstream_that_is_away_is_reported() -> None:
    """It says nothing about the plan."""
    async with upstream(Recorder(b"{}", status=500)) as url, client_of(url, deadline=0.5) as client:
        with pytest.raises(cma.Unavailable):
            await client.history_retention()
