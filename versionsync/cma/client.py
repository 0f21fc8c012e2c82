"""The client: one method for each thing that is asked of the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Raw

from versionsync import __version__
from versionsync.cma import decode, jsonapi, webhooks
from versionsync.cma.errors import (
    AuthenticationError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ProtocolError,
    Unavailable,
)
from versionsync.cma.permissions import Role, own_role
from versionsync.cma.rate_limiter import RateLimiter
from versionsync.cma.resources import (
    DailyUsage,
    Editor,
    Environment,
    Field,
    HistoryRetention,
    InvalidResource,
    Item,
    ItemType,
    ItemVersion,
    JobResult,
    Page,
    Schema,
    Site,
    Unreadable,
    Webhook,
    WebhookCall,
)
from versionsync.cma.responses import error_from_job
from versionsync.cma.retry import Policy
from versionsync.cma.session import ApiRequest, ApiResult, ApiSession, Exchange, Usage, checked_base_url, checked_token
from versionsync.cma.transport import Timeouts, open_http
from versionsync.cma.webhooks import WebhookSpec
from versionsync.secret import Secret

__all__ = ["BASE_URL", "Client"]

T = TypeVar("T", bound=msgspec.Struct)
V = TypeVar("V")

BASE_URL: Final = "https://site-api.datocms.com"
ITEMS_PAGE: Final = 500
VERSIONS_PAGE: Final = 50
WEBHOOK_CALLS_PAGE: Final = 500
# A page that times out twice is asked for smaller, rather than a third time.
_PAGE_TIMEOUTS: Final = 2
_NOT_THERE: Final = frozenset({404, 405, 501})
_HISTORY_RETENTION: Final = "history_retention_days"
_MOST_RETENTION_DAYS: Final = 36_525  # a century is for good, and what no date can be counted to
_MAX_POLL_SECONDS: Final = 5


class Client:
    """DatoCMS's Content Management API, as one token sees one environment of one project.

        async with Client(BASE_URL, token, environment="main") as client:
            async for page in walk_items(client): ...

    `environment` is the id of one, None for the primary one. `governor` is shared by all clients of one token. `http`
    is closed by whoever made it; left out, the client makes and closes one. `deadline` is the most seconds that one
    request may take with all its tries. `on_request` is told of every try, for logs and metrics.

    Every method raises a `CmaError`; see `errors` for the tree. Requests are sent only inside `async with`.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Secret,
        *,
        environment: str | None = None,
        governor: RateLimiter | None = None,
        http: httpx.AsyncBaseTransport | None = None,
        user_agent: str = f"versionsync/{__version__}",
        timeouts: Timeouts | None = None,
        deadline: float = 300.0,
        on_request: Callable[[Exchange], None] | None = None,
    ) -> None:
        governor = governor or RateLimiter()
        base_url = checked_base_url(base_url)
        token = checked_token(token if isinstance(token, Secret) else Secret(token))
        self._owned_http = None
        if http is None:
            http = self._owned_http = open_http(base_url, connections=governor.concurrency)
        self._session = ApiSession(
            base_url,
            token,
            http=http,
            governor=governor,
            user_agent=user_agent,
            timeouts=timeouts or Timeouts(),
            policy=Policy(deadline=deadline),
            on_request=on_request,
        )
        self.environment_id = environment

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned_http is not None:
            await self._owned_http.aclose()

    def with_environment(self, environment: str | None) -> Client:
        """The same project and connections, another environment. It lives as long as the client it comes from."""
        other = copy(self)
        other.environment_id = environment
        other._owned_http = None
        return other

    @property
    def rate_limiter(self) -> RateLimiter:
        """The pace that this client keeps."""
        return self._session.governor

    @property
    def usage(self) -> Usage:
        """Counters of all clients that share these connections."""
        return self._session.usage

    @property
    def clock_offset(self) -> timedelta | None:
        """Upstream's clock minus ours; None until an answer told."""
        seconds = self._session.clock.seconds
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def last_environment(self) -> str | None:
        """The environment that gave the last answer about content; None until one said so."""
        return self._session.last_environment

    @property
    def page_limits(self) -> dict[str, int]:
        """The most entries a page may have, by list, where that turned out to be less than documented."""
        return self._session.page_limits

    # The project and its environments

    async def site(self) -> Site:
        """The project. One request."""
        return await self._one("/site", decode.site)

    async def schema(self) -> Schema:
        """The project with all its models and fields. One request, unless upstream does not include them.

        A model or field that cannot be read is among the `unreadable`, and does not fail the others.
        """
        include = (("include", "item_types,item_types.fields"),)
        try:
            schema = await self._read("/site", decode.schema, include)
        except InvalidRequest:
            schema = Schema(site=await self.site(), item_types=(), fields=())
        item_types, fields, unreadable = schema.item_types, schema.fields, list(schema.unreadable)
        if not item_types:
            page = await self._whole("/item-types", decode.item_type)
            item_types = page.items
            unreadable += _unreadable(page)
        if item_types and not fields:
            pages = [await self._whole(f"/item-types/{_id(each.id)}/fields", decode.field) for each in item_types]
            fields = tuple([field for page in pages for field in page.items])
            unreadable += [each for page in pages for each in _unreadable(page)]
        return Schema(site=schema.site, item_types=item_types, fields=fields, unreadable=tuple(unreadable))

    async def item_types(self) -> tuple[ItemType, ...]:
        """All models and block models. One request."""
        return await self._all("/item-types", decode.item_type)

    async def item_type(self, item_type_id: str) -> ItemType:
        """A model or block model. One request. Raises NotFound, also for one that the token may not see."""
        return await self._one(f"/item-types/{_id(item_type_id)}", decode.item_type)

    async def fields(self, item_type_id: str) -> tuple[Field, ...]:
        """The fields of a model. One request."""
        return await self._all(f"/item-types/{_id(item_type_id)}/fields", decode.field)

    async def field(self, field_id: str) -> Field:
        """A field. One request. Raises NotFound."""
        return await self._one(f"/fields/{_id(field_id)}", decode.field)

    async def environments(self) -> tuple[Environment, ...]:
        """All environments of the project that can be read. One request. Raises where the primary one is not."""
        page = await self._whole("/environments", decode.environment, content=False)
        if page.bad and not any(each.primary for each in page.items):
            raise page.bad[0].error
        return page.items

    async def environment(self, environment_id: str) -> Environment:
        """One environment, with its `last_data_change_at`: the beacon. Raises NotFound."""
        return await self._one(f"/environments/{_id(environment_id)}", decode.environment, content=False)

    async def maintenance_mode(self) -> bool:
        """Whether the project is in maintenance mode."""
        return await self._read("/maintenance-mode", decode.maintenance, content=False)

    async def daily_usages(self) -> tuple[DailyUsage, ...]:
        """What the project used, a day each. Needs a role that may see it."""
        return await self._all("/daily-site-usages", decode.daily_usage, content=False)

    async def history_retention(self) -> HistoryRetention | None:
        """For how long upstream keeps versions, as the limits of the plan state it. One request.

        Of the vendor's types only the plan itself has the attribute `history_retention_days`, and no path of this API
        returns a plan. Its limits can be listed, by codes that are not documented. So None is a usual answer: the role
        may not read them, this is not among them, or it has another form. Raises Unavailable.
        """
        call = ApiRequest("/subscription-limits", environment=self.environment_id, content=False)
        try:
            reply = await self._session.send(call, partial(jsonapi.entries, build=decode.plan_limit, paged=False))
        except (AuthenticationError, NotFound, PermissionDenied, ProtocolError, InvalidRequest):
            return None
        except Unavailable as error:
            if error.status in _NOT_THERE:
                return None
            raise
        for limit in self._paged(call, reply).items:
            if _HISTORY_RETENTION not in (limit.code, limit.id):
                continue
            if limit.limit is None or limit.limit > _MOST_RETENTION_DAYS:
                return HistoryRetention(days=None)
            return HistoryRetention(days=int(limit.limit)) if limit.limit >= 1 else None
        return None

    # Records and their versions

    async def items_page(
        self,
        *,
        offset: int = 0,
        limit: int = ITEMS_PAGE,
        models: Sequence[str] = (),
        order_by: str | None = None,
        ids: Sequence[str] | None = None,
        filters: Mapping[str, Mapping[str, str]] | None = None,
        nested: bool = False,
    ) -> Page[Item]:
        """Return one page of records in their current versions.

        Without `models` and `ids` upstream lists the records of all models and every block record besides.

        Args:
            offset: How many entries of the list come before the page.
            limit: The most entries of the page: up to 500, with `nested` up to 30.
            models: Ids or api_keys of the models to list; see `model_groups` for how many fit into one request.
            order_by: Such as `id_ASC`. Upstream accepts it with exactly one model.
            ids: Ids of the records (or blocks) to list. Excludes `models`.
            filters: Conditions by column, such as `{"_updated_at": {"gt": "2026-03-01T10:00:00Z"}}`.
            nested: Whether blocks come whole rather than as ids.

        Raises:
            Rejected: Upstream refuses the query, for instance because it does not know one of `models`.
            CmaError: Anything else that can go wrong; see `errors`.
        """
        params = [*_page(offset, limit), ("version", "current")]
        if nested:
            params.append(("nested", "true"))
        if models:
            params.append(("filter[type]", ",".join(models)))
        if ids is not None:
            params.append(("filter[ids]", ",".join(ids)))
        for name, conditions in (filters or {}).items():
            params += [(f"filter[fields][{name}][{operator}]", value) for operator, value in conditions.items()]
        if order_by is not None:
            params.append(("order_by", order_by))
        return await self._page("/items", decode.item, params)

    async def item(self, item_id: str, *, nested: bool = False) -> Item:
        """A record in its current version; with `nested`, its blocks whole. Raises NotFound."""
        params = (("version", "current"), *((("nested", "true"),) if nested else ()))
        return await self._one(f"/items/{_id(item_id)}", decode.item, params)

    async def versions_page(self, item_id: str, *, offset: int = 0, limit: int = VERSIONS_PAGE) -> Page[ItemVersion]:
        """A page of a record's versions, newest first, their blocks whole. Raises NotFound."""
        params = [("nested", "true"), *_page(offset, limit)]
        return await self._page(f"/items/{_id(item_id)}/versions", decode.item_version, params)

    async def version(self, version_id: str) -> ItemVersion:
        """One version, its blocks whole. Raises NotFound."""
        return await self._one(f"/versions/{_id(version_id)}", decode.item_version, (("nested", "true"),))

    async def restore_version(self, version_id: str) -> str:
        """Make a new current version with the content of this one. Returns the id of the job that does it.

        Raises Uncertain when no answer came: look at the record before doing it again.
        """
        path = f"/versions/{_id(version_id)}/restore"
        return await self._read(path, decode.job_id, method="POST", body=b"")

    async def job_result(self, job_id: str) -> JobResult:
        """What became of a job. Raises NotFound as long as it is under way."""
        return await self._read(f"/job-results/{_id(job_id)}", decode.job_result, content=False)

    async def wait_for_job(self, job_id: str, *, deadline: float = 300.0) -> JobResult:
        """Look until the job is done, after 1 s, 2 s, 3 s, at most 5 s each.

        A job that failed raises what the request itself would have raised. Raises Unavailable after `deadline` seconds;
        the job may still succeed.
        """
        looks, until = 0, time.monotonic() + deadline
        while True:
            looks += 1
            await asyncio.sleep(min(looks, _MAX_POLL_SECONDS))
            try:
                result = await self.job_result(job_id)
            except NotFound as error:
                if time.monotonic() >= until:
                    message = f"the job is still under way after {deadline:.0f} s"
                    raise Unavailable(message, request=error.request) from None
                continue
            if not 200 <= result.status < 300:
                raise error_from_job(result.status, result.payload_raw, request=f"job {job_id}")
            return result

    # Who

    async def own_role(self) -> Role | None:
        """What this token may read; None where upstream does not say, or not in a form that is known. One request."""
        try:
            return await self._read("/users/me", own_role, (("include", "role"),), content=False)
        except (AuthenticationError, NotFound, PermissionDenied, InvalidRequest):
            return None
        except Unavailable as error:
            if error.status in _NOT_THERE:  # an API without this path, behind a server that says so in its own way
                return None
            raise

    async def users(self) -> tuple[Editor, ...]:
        """The collaborators. Raises PermissionDenied when the role may not read them, as do the next two."""
        return await self._all("/users", decode.editor, content=False)

    async def sso_users(self) -> tuple[Editor, ...]:
        """The users of single sign-on."""
        return await self._all("/sso-users", decode.editor, content=False)

    async def access_tokens(self) -> tuple[Editor, ...]:
        """The API tokens, without the tokens themselves."""
        return await self._all("/access_tokens", decode.editor, content=False)

    async def owners(self) -> tuple[Editor, ...]:
        """The account and the organization that own the project, as far as upstream tells."""
        try:
            return await self._read("/site", decode.owners, (("include", "account"),))
        except (InvalidRequest, PermissionDenied):
            return await self._read("/site", decode.owners)

    # Webhooks

    async def webhooks(self) -> tuple[Webhook, ...]:
        """All webhooks of the project."""
        return await self._all("/webhooks", webhooks.webhook, content=False)

    async def create_webhook(self, spec: WebhookSpec) -> Webhook:
        """Make a webhook."""
        return await self._write("POST", "/webhooks", webhooks.webhook, spec.body())

    async def update_webhook(self, webhook_id: str, spec: WebhookSpec) -> Webhook:
        """Replace the settings of a webhook; headers that `spec` does not name stay. Raises NotFound."""
        return await self._write("PUT", f"/webhooks/{_id(webhook_id)}", webhooks.webhook, spec.body(webhook_id))

    async def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook. Raises NotFound."""
        call = ApiRequest(
            f"/webhooks/{_id(webhook_id)}", method="DELETE", environment=self.environment_id, content=False
        )
        await self._session.send(call, lambda _: None)

    async def webhook_calls_page(
        self,
        *,
        offset: int = 0,
        limit: int = WEBHOOK_CALLS_PAGE,
        order_by: str | None = None,
        filters: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Page[WebhookCall]:
        """A page of the log of calls. `filters` is `{"created_at": {"gt": "…"}, "webhook_id": {"eq": "…"}}`."""
        params = _page(offset, limit)
        for name, conditions in (filters or {}).items():
            params += [(f"filter[fields][{name}][{operator}]", value) for operator, value in conditions.items()]
        if order_by is not None:
            params.append(("order_by", order_by))
        return await self._page("/webhook_calls", webhooks.webhook_call, params, content=False)

    async def webhook_call(self, call_id: str) -> WebhookCall:
        """One call of the log. Raises NotFound."""
        return await self._one(f"/webhook_calls/{_id(call_id)}", webhooks.webhook_call, content=False)

    async def resend_webhook_call(self, call_id: str) -> None:
        """Let a webhook be called once more with what it was told before. Raises NotFound.

        It is on its way when this returns; what came of it the log tells.
        """
        path = f"/webhook_calls/{_id(call_id)}/resend_webhook"
        call = ApiRequest(path, method="POST", body=b"", environment=self.environment_id, content=False)
        await self._session.send(call, lambda _: None)

    # How a request becomes a value

    async def _read(
        self,
        path: str,
        build: Callable[[Raw, list[Raw]], V],
        params: Iterable[tuple[str, str]] = (),
        *,
        method: str = "GET",
        body: bytes | None = None,
        content: bool = True,
    ) -> V:
        call = ApiRequest(path, tuple(params), method, body, self.environment_id, content)
        return (await self._session.send(call, jsonapi.document_reader(build))).value

    async def _one(
        self, path: str, build: Callable[[Raw], V], params: Iterable[tuple[str, str]] = (), *, content: bool = True
    ) -> V:
        return await self._read(path, lambda raw, _: build(raw), params, content=content)

    async def _write(self, method: str, path: str, build: Callable[[Raw], V], body: bytes) -> V:
        return await self._read(path, lambda raw, _: build(raw), method=method, body=body, content=False)

    async def _all(self, path: str, build: Callable[[Raw], T], *, content: bool = True) -> tuple[T, ...]:
        """A list that comes whole. An entry that cannot be read fails all of it: these lists are short."""
        page = await self._whole(path, build, content=content)
        for bad in page.bad:
            raise bad.error
        return page.items

    async def _whole(self, path: str, build: Callable[[Raw], T], *, content: bool = True) -> Page[T]:
        call = ApiRequest(path, environment=self.environment_id, content=content)
        return self._paged(call, await self._session.send(call, jsonapi.list_reader(build, paged=False)))

    async def _page(
        self, path: str, build: Callable[[Raw], T], params: Iterable[tuple[str, str]], *, content: bool = True
    ) -> Page[T]:
        call = ApiRequest(path, tuple(params), "GET", None, self.environment_id, content, _PAGE_TIMEOUTS)
        return self._paged(call, await self._session.send(call, jsonapi.list_reader(build, paged=True)))

    def _paged(self, call: ApiRequest, reply: ApiResult[jsonapi.ResourceList[T]]) -> Page[T]:
        read = reply.value
        good = tuple([value for value in read.values if not isinstance(value, jsonapi.ShapeError)])
        bad = tuple(
            [
                InvalidResource(id, ProtocolError(value.expected, request=str(call), where=value.where))
                for id, value in zip(read.ids, read.values, strict=True)
                if isinstance(value, jsonapi.ShapeError)
            ]
        )
        return Page(items=good, total=read.total, ids=read.ids, bad=bad, at=reply.at)


def _unreadable(page: Page[T]) -> list[Unreadable]:
    return [Unreadable(bad.id, str(bad.error)) for bad in page.bad]


def _id(id: str) -> str:
    """An id as a part of a path. Raises ValueError for what would be another path."""
    if not id or id in (".", ".."):
        raise ValueError(f"{id!r} is not an id")
    return quote(id, safe="")


def _page(offset: int, limit: int) -> list[tuple[str, str]]:
    return [("page[offset]", str(offset)), ("page[limit]", str(limit))]
