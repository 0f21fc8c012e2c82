"""Real network failures, and their messages for the user."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import resource
import shutil
import ssl
import traceback
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
import trustme
from aiohttp import web

from tests.integration.cma.upstreams import TOKEN, api, client_of, raw_upstream, upstream
from tests.unit.cma import jsonapi_examples as example
from versionsync import cma
from versionsync.cma import transport

OK = json.dumps({"data": example.site()})
CONTENT = "the board resigns tomorrow"
TESTS = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore proxies of the environment; shorten the waits between attempts to a hundredth."""
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("versionsync.cma.retry.backoff", lambda tries, **_: 0.01 * tries)


class Script:
    """Answers the n-th request with the n-th step, the last one for ever."""

    def __init__(self, *steps: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> None:
        self.steps, self.count = steps, 0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        step = self.steps[min(self.count, len(self.steps) - 1)]
        self.count += 1
        return await step(request)


def says(body: str, *, status: int = 200, kind: str = "application/json", **headers: str) -> Any:
    async def step(_: web.Request) -> web.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(text=body, status=status, content_type=kind, headers=sent)

    return step


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def tears(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"data": {')
    assert request.transport is not None
    request.transport.close()
    return response


async def says_nothing(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


fine = says(OK)
MENDING = {
    "500": says("{}", status=500),
    "a gateway's 502": says("<html>", status=502, kind="text/html"),
    "a transient 422": says(json.dumps(example.error("CONCURRENT_ITEM_UPDATE", transient=True)), status=422),
    "a project that is not ready": says(json.dumps(example.error("SITE_NOT_READY")), status=422),
    "scheduled maintenance": says(json.dumps(example.error("PLATFORM_SCHEDULED_MAINTENANCE")), status=403),
    "a service that is away": says(json.dumps(example.error("SERVICE_UNAVAILABLE")), status=404),
    "a web page": says("<html>", kind="text/html"),
    "half of the JSON": says(OK[:50]),
    "an empty body": says(""),
    "null": says("null"),
    "a list without its envelope": says("[]"),
    "a text": says('"busy"'),
    "an object without data": says('{"meta": {}}'),
    "a hang-up": hangs_up,
    "a torn body": tears,
    "429": says(json.dumps(example.error("RATE_LIMIT_EXCEEDED")), status=429, X_RateLimit_Reset="0"),
}


@pytest.mark.parametrize("fault", MENDING.values(), ids=MENDING.keys())
async def test_a_read_is_asked_again_until_it_is_answered(fault: Any) -> None:
    """Twice the fault, then the answer: three requests, two retries, nothing to be seen of it."""
    script = Script(fault, fault, fine)
    async with upstream(script) as url, client_of(url) as client:
        assert (await client.site()).name == "News"
    assert script.count == 3
    assert (client.usage.requests, client.usage.retries) == (3, 2)


REFUSED_BEFORE_THE_ACT = {"a transient 422", "a project that is not ready", "scheduled maintenance"}


@pytest.mark.parametrize("name", sorted(MENDING.keys() - {"429"}))
async def test_a_write_is_never_sent_twice(name: str) -> None:
    """One request. Unless upstream refused it before the act, the error says to check the record first."""
    script = Script(MENDING[name], fine)
    async with upstream(script) as url, client_of(url) as client:
        with pytest.raises(cma.Unavailable) as failed:
            await client.restore_version("cqE")
    assert script.count == 1
    assert isinstance(failed.value, cma.OutcomeUnknown) == (name not in REFUSED_BEFORE_THE_ACT)


@pytest.mark.parametrize("act", ["PUT", "DELETE"])
async def test_a_kept_connection_that_drops_repeats_no_write(act: str) -> None:
    """aiohttp would do it by itself, since HTTP calls these methods idempotent."""
    script = Script(fine, hangs_up, fine)
    spec = cma.WebhookSpec(name="w", url="https://x.io", events={})
    async with upstream(script) as url, client_of(url) as client:
        await client.site()
        with pytest.raises(cma.OutcomeUnknown):
            await (client.update_webhook("4", spec) if act == "PUT" else client.delete_webhook("4"))
    assert script.count == 2


async def test_a_write_is_sent_again_after_a_429() -> None:
    """It was refused, so it did not happen."""
    job = says(json.dumps({"data": {"type": "job", "id": "j1"}}), status=202)
    script = Script(MENDING["429"], job)
    async with upstream(script) as url, client_of(url) as client:
        assert await client.restore_version("cqE") == "j1"
    assert client.usage.throttled == 1


async def test_a_429_holds_every_client_of_the_token() -> None:
    """And each request is answered in the end."""
    throttled = says(json.dumps(example.error("RATE_LIMIT_EXCEEDED")), status=429, X_RateLimit_Reset="1")
    script = Script(throttled, fine)
    async with upstream(script) as url, client_of(url) as client:
        await asyncio.gather(*(client.site() for _ in range(5)))
        assert client.usage.throttled == 1
        began = asyncio.get_running_loop().time()
        script.count = 0
        first = asyncio.create_task(client.site())
        await asyncio.sleep(0.1)
        await client.with_environment("other").site()
        assert asyncio.get_running_loop().time() - began >= 1.0
        await first


async def test_a_429_longer_than_the_deadline_is_told_at_once() -> None:
    """With how long upstream asks to wait."""
    throttled = says(json.dumps(example.error("RATE_LIMIT_EXCEEDED")), status=429, Retry_After="3000")
    async with upstream(Script(throttled)) as url, client_of(url) as client:
        with pytest.raises(cma.Throttled) as failed:
            await client.site()
    assert failed.value.retry_after == pytest.approx(3000, abs=5)


async def test_a_silent_upstream_is_given_up_at_the_deadline() -> None:
    """Not after five times the timeout."""
    async with upstream(Script(says_nothing)) as url, client_of(url, deadline=1.2) as client:
        async with asyncio.timeout(30):
            with pytest.raises(cma.Unavailable, match="no complete answer") as failed:
                await client.site()
    assert failed.value.too_slow


async def test_a_page_that_times_out_twice_is_asked_for_smaller() -> None:
    """And the client remembers."""
    slow = cma.Timeouts(read=0.2)

    async def handler(request: web.Request) -> web.StreamResponse:
        limit, offset = int(request.query["page[limit]"]), int(request.query["page[offset]"])
        if limit > 200:
            await asyncio.sleep(60)
        ids = [f"r{number}" for number in range(offset, min(offset + limit, 150))]
        return api(example.page([example.item(id) for id in ids], 150))

    async with upstream(handler) as url, client_of(url, timeouts=slow) as client:
        pages = [page async for page in cma.iterate_items(client)]
        assert [len(page.items) for page in pages] == [125, 25]
        assert client.page_limits == {"items": 125}


@pytest.mark.parametrize("packed", [True, False])
async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    """Also one that is small on the wire and huge unpacked."""
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 2**20)
    monkeypatch.setitem(transport.exchange.__kwdefaults__, "max_body", 2**20)
    body = b'"' + b"x" * 2**24 + b'"'

    async def handler(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Encoding": "gzip"} if packed else {}
        return web.Response(body=gzip.compress(body) if packed else body, headers=headers)

    async with upstream(handler) as url, client_of(url) as client:
        with pytest.raises(cma.Unavailable, match="larger than 1 MiB") as failed:
            await client.site()
    assert failed.value.too_slow
    assert client.usage.requests == 1


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,identity,gzip", "br", "zstd", "compress"])
async def test_what_is_packed_as_nobody_asked_is_not_unpacked(encoding: str) -> None:
    """Packed twice, a few KB are some GB."""
    once = gzip.compress(b"0" * 2**26)

    async def handler(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        return web.Response(body=gzip.compress(once), headers=headers)

    async with upstream(handler) as url, client_of(url, deadline=0.2) as client:
        with pytest.raises(cma.Unavailable, match="packed in a way that was not asked for"):
            await client.site()


async def test_a_packed_answer_takes_no_more_than_it_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk of the wire may hold a thousand times its size."""
    monkeypatch.setitem(transport.exchange.__kwdefaults__, "max_body", 2**20)
    packed = gzip.compress(b"0" * 2**28)  # 270 KB

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with upstream(handler) as url, client_of(url) as client:
        tracemalloc.start()
        try:
            with pytest.raises(cma.Unavailable, match="larger than 1 MiB"):
                await client.site()
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()


async def test_what_follows_a_packed_answer_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not looked at, but would come for ever."""
    monkeypatch.setitem(transport.exchange.__kwdefaults__, "max_body", 2**20)
    body = gzip.compress(OK.encode()) + b"x" * 2**21

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with upstream(handler) as url, client_of(url) as client:
        with pytest.raises(cma.Unavailable, match="larger than 1 MiB"):
            await client.site()


async def test_a_packed_answer_that_ends_too_soon_is_torn() -> None:
    """Though its length is as it was announced."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(OK.encode())[:-9], headers={"Content-Encoding": "gzip"})

    async with upstream(handler) as url, client_of(url, deadline=0.2) as client:
        with pytest.raises(cma.Unavailable, match="broke off or was garbled"):
            await client.site()


async def test_interim_answers_without_end_are_no_answer() -> None:
    """103 and 102 may come before an answer. Each of them restarts the library's own timeout."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with client_of(url, timeouts=cma.Timeouts(read=0.3), deadline=300.0) as client, asyncio.timeout(60):
            with pytest.raises(cma.Unavailable, match=r"no answer in time \(5 tries\)") as failed:
                await client.site()
        await asyncio.sleep(0.1)
    assert failed.value.too_slow


async def test_packed_answers_are_unpacked() -> None:
    """And counted as they came over the wire."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body=gzip.compress(OK.encode()), content_type="application/json", headers={"Content-Encoding": "gzip"}
        )

    async with upstream(handler) as url, client_of(url) as client:
        assert (await client.site()).name == "News"
    assert client.usage.bytes_received < len(OK)


RAW = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "half of the head": b"HTTP/1.1 200 OK\r\nContent-",
    "nothing": b"",
    "a body that is not what it says": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n{}xx"
    ),
}


@pytest.mark.parametrize("answer", RAW.values(), ids=RAW.keys())
async def test_what_is_not_even_http_is_unavailable(answer: bytes) -> None:
    """After some tries, with a message; no exception of a library gets through."""
    async with raw_upstream(lambda _: answer) as url, client_of(url, deadline=1.0) as client:
        with pytest.raises(cma.Unavailable) as failed:
            await client.site()
    assert type(failed.value).__module__ == "versionsync.cma.errors"


async def test_a_refused_connection_is_told_within_seconds() -> None:
    """With the address and the reason; and since nothing left, nothing counts against the rate."""
    async with upstream(Script(fine)) as url:
        pass
    async with client_of(url, deadline=300.0, rate_limiter=cma.RateLimiter(1)) as client, asyncio.timeout(30):
        with pytest.raises(cma.Unavailable, match=r"no connection to 127\.0\.0\.1: Connection refused"):
            await client.site()
    assert client.usage.requests == 0


async def test_an_unknown_name_is_told_within_seconds() -> None:
    """It is most probably misspelt."""
    async with client_of("http://site-api.datocms.invalid", deadline=300.0) as client:
        with pytest.raises(cma.Unavailable, match=r"site-api\.datocms\.invalid cannot be resolved: check base_url"):
            await client.site()


async def test_an_upstream_that_was_there_is_waited_for() -> None:
    """A restart in the middle of a run is no reason to fail."""
    async with upstream(Script(fine)) as url, client_of(url) as client:
        await client.site()
    port = int(url.rsplit(":", 1)[1])
    async with client_of(url) as client:
        client._session._answered = True
        waiting = asyncio.create_task(client.site())
        await asyncio.sleep(0.3)
        server = await asyncio.start_server(_one_answer, "127.0.0.1", port)
        assert (await waiting).name == "News"
        server.close()
        await server.wait_closed()


async def _one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(OK)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + OK.encode())
    await writer.drain()
    writer.close()


@pytest.fixture
def untrusted() -> ssl.SSLContext:
    """A certificate of an unknown CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_certificate_that_nobody_trusts_is_told_at_once(untrusted: ssl.SSLContext) -> None:
    """One try, and the reason."""
    async with upstream(Script(fine), tls=untrusted) as url, client_of(url) as client:
        with pytest.raises(
            cma.Unavailable,
            match=r"no trusted TLS connection to 127\.0\.0\.1: unable to get local issuer .*SSL_CERT_FILE",
        ):
            await client.site()
    assert client.usage.retries == 0


@pytest.fixture
def out_of_files() -> Iterator[Callable[[], None]]:
    """What makes that this process may open no file any more, until the end of the test."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_a_process_without_descriptors_says_so(
    out_of_files: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And blames neither the address nor SSL_CERT_FILE."""
    async with upstream(Script(fine)) as url, client_of(url) as client:
        # Another file than the one whose CAs are in memory: the next client has to read it.
        monkeypatch.setenv("SSL_CERT_FILE", str(shutil.copy(certifi.where(), tmp_path / "cas.pem")))
        out_of_files()
        with pytest.raises(cma.Unavailable, match=r"may open no more files .*LimitNOFILE=") as failed:
            await client.site()
        with pytest.raises(cma.Unavailable, match=r"may open no more files .*LimitNOFILE="):
            client_of(url)
    assert "check base_url" not in str(failed.value)


async def test_a_proxy_is_used_and_its_refusal_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It learns its own password, and never our token; NO_PROXY goes past it."""
    heads: list[str] = []

    def refuse(head: bytes) -> bytes:
        heads.append(head.decode())
        return b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"

    async with raw_upstream(refuse) as proxy:
        monkeypatch.setenv("https_proxy", proxy.replace("http://", "http://me:pa%40ss@"))
        async with client_of("https://site-api.datocms.invalid") as client:
            with pytest.raises(cma.Unavailable, match=r"the proxy on the way to .* said 407: check HTTPS_PROXY"):
                await client.site()
        monkeypatch.setenv("no_proxy", ".invalid")
        async with client_of("https://site-api.datocms.invalid") as client:
            with pytest.raises(cma.Unavailable, match="cannot be resolved"):
                await client.site()
    assert heads[0].startswith("CONNECT site-api.datocms.invalid:443 ")
    assert "Basic bWU6cGFAc3M=" in heads[0]
    assert TOKEN not in "".join(heads)
    async with upstream(Script(fine)) as gone:
        pass
    monkeypatch.setenv("https_proxy", gone)
    monkeypatch.delenv("no_proxy")
    async with client_of("https://site-api.datocms.invalid") as client:
        with pytest.raises(cma.Unavailable, match=r"the proxy on the way to .* is not there"):
            await client.site()


async def test_a_cancelled_request_leaves_nothing_behind() -> None:
    """Ctrl-C in the middle of an answer: the connection is closed and the place given back."""
    governor = cma.RateLimiter(cma.UNLIMITED, concurrency=1)
    async with upstream(Script(says_nothing, fine)) as url, client_of(url, rate_limiter=governor) as client:
        stuck = asyncio.create_task(client.site())
        await asyncio.sleep(0.2)
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
        assert (await client.site()).name == "News"


async def test_a_login_page_is_told_as_one() -> None:
    """HTML with 200, as hotels and companies send."""
    async with upstream(Script(says("<html>Please log in", kind="text/html"))) as url, client_of(url) as client:
        with pytest.raises(cma.Unavailable, match="a web page came instead of the API's answer: a proxy or login page"):
            await client.site()


async def test_a_redirect_is_not_followed_and_told() -> None:
    """Our token goes nowhere else."""
    there = Script(fine)
    async with upstream(there) as elsewhere:
        script = Script(says("", status=302, Location=f"{elsewhere}/login?token=1"))
        async with upstream(script) as url, client_of(url) as client:
            with pytest.raises(cma.Unavailable, match=r"redirected to 127\.0\.0\.1: a login page"):
                await client.site()
    assert (script.count, there.count) == (1, 0)


async def test_a_404_of_a_gateway_is_not_a_missing_record() -> None:
    """It would be taken for a deletion."""
    async with upstream(Script(says("<html>", status=404, kind="text/html"))) as url, client_of(url) as client:
        with pytest.raises(cma.Unavailable):
            await client.item("Vy0")
    missing = says(json.dumps(example.error("NOT_FOUND")), status=404)
    async with upstream(Script(missing)) as url, client_of(url) as client:
        with pytest.raises(cma.NotFound, match="GET /items/Vy0"):
            await client.item("Vy0")
        assert client.usage.requests == 1


async def test_an_answer_of_another_shape_names_request_and_place() -> None:
    """Without anything of the content, in the message or behind it."""
    broken = json.dumps({"data": {"id": "205", "attributes": {"name": 5, "x": CONTENT}}})
    async with upstream(Script(says(broken, X_Request_Id="req-9"))) as url, client_of(url) as client:
        with pytest.raises(cma.ProtocolError) as failed:
            await client.site()
    error = failed.value
    assert str(error) == "GET /site: 200: $.data.attributes.name: expected `str`, got `int` (request req-9)"
    assert CONTENT not in "".join(traceback.format_exception(error))


async def test_an_answer_that_is_never_a_document_is_given_up() -> None:
    """After as many tries as any other torn answer; the message holds nothing of it."""
    script = Script(says(json.dumps(CONTENT)))
    async with upstream(script) as url, client_of(url) as client:
        with pytest.raises(cma.Unavailable, match="no document of the API: expected `object`, got `str`") as failed:
            await client.items_page()
    assert script.count == 5
    assert CONTENT not in str(failed.value)


async def test_a_list_with_a_bad_entry_that_must_be_whole_is_an_error() -> None:
    """Half of the environments would be taken for all of them."""
    body = json.dumps({"data": [{"id": "main", "type": "environment", "meta": {}}, {"id": "x"}]})
    async with upstream(Script(says(body))) as url, client_of(url) as client:
        with pytest.raises(cma.ProtocolError, match=re.escape("$.data[1]")):
            await client.environments()


FAILING: dict[str, Any] = {
    **MENDING,
    "401": says(json.dumps(example.error("INVALID_AUTHORIZATION_HEADER", details={"token": TOKEN})), status=401),
    "422": says(json.dumps(example.error("INVALID_FIELD", details={"value": CONTENT})), status=422),
    "wrong shape": says(json.dumps({"data": {"id": CONTENT}})),
    "not HTTP": None,
    "refused": None,
}


@pytest.mark.parametrize("name", FAILING.keys())
async def test_no_token_and_no_content_is_in_any_error(name: str) -> None:
    """Message, arguments, attributes and causes; and no token in the locals of any frame of the traceback."""
    headers: dict[str, str] = {}

    async def run(url: str) -> tuple[str, str]:
        async with client_of(url, deadline=0.3) as client:
            try:
                await client.items_page(filters={"title": {"eq": CONTENT}})
            except cma.CmaError as error:
                return _everything_of(error)
            raise AssertionError

    if name == "not HTTP":
        async with raw_upstream(lambda head: headers.setdefault("head", head.decode()).encode()) as url:
            said, locals = await run(url)
    elif name == "refused":
        async with upstream(Script(fine)) as url:
            pass
        said, locals = await run(url)
    else:
        async with upstream(Script(FAILING[name])) as url:
            said, locals = await run(url)
    assert TOKEN not in said + locals
    assert CONTENT not in said


def _everything_of(error: BaseException | None) -> tuple[str, str]:
    """What an error and its causes say, and what the frames hold that it went through, those of the tests left out."""
    said, frames = [], []
    while error is not None:
        said += [repr(error), str(error), repr(vars(error))]
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if not Path(frame.f_code.co_filename).is_relative_to(TESTS):
                frames.append(repr(frame.f_locals))
        error = error.__cause__ or error.__context__
    assert frames
    return "\n".join(said), "\n".join(frames)
