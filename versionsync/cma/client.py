"""The client: one method for each endpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
import msgspec
from msgspec import Raw

from versionsync.cma import decode, jsonapi, webhooks
from versionsync.cma.content_writer import ContentWriter
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
    Upload,
    Webhook,
    WebhookCall,
)
from versionsync.cma.responses import error_from_job
from versionsync.cma.retry import Policy
from versionsync.cma.session import (
    ApiRequest,
    ApiResult,
    ApiSession,
    Exchange,
    Usage,
    checked_base_url,
    checked_token,
    path_id,
)
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
UPLOADS_PAGE: Final = 500
# After two timeouts a smaller page is requested, rather than the same one a third time.
_PAGE_TIMEOUTS: Final = 2
_NOT_THERE: Final = frozenset({404, 405, 501})
_HISTORY_RETENTION: Final = "history_retention_days"
_MAX_RETENTION_DAYS: Final = 36_525  # a century or more counts as permanent; such dates may not exist
_FIRST_POLL_SECONDS: Final = 0.25
_MAX_POLL_SECONDS: Final = 5


class Client:
    """A client for one environment of one project, as one token sees it.

        async with Client(BASE_URL, token, environment="main") as client:
            async for page in iterate_items(client): ...

    Use it only inside `async with`. Every method raises a `CmaError`; see `errors`.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Secret,
        *,
        environment: str | None = None,
        rate_limiter: RateLimiter | None = None,
        http: httpx.AsyncBaseTransport | None = None,
        timeouts: Timeouts | None = None,
        deadline: float = 300.0,
        on_request: Callable[[Exchange], None] | None = None,
        poll_seconds: float = 1.0,
        large: asyncio.Semaphore | None = None,
    ) -> None:
        """Create a client.

        Args:
            base_url: The address of the API.
            token: The API token.
            environment: The id of the environment; None: the primary one.
            rate_limiter: The limiter that all clients of this token share.
            http: An HTTP client, which the caller closes; None: the client creates and closes one.
            timeouts: The timeouts of each attempt.
            deadline: The maximum seconds for a request with all its attempts.
            on_request: Called after every attempt, for logs and metrics.
            poll_seconds: The pause between the first two polls of a job. Each further one is longer by as much.
            large: How many large answers all clients that share it read at once. None: this client reads one.
        """
        rate_limiter = rate_limiter or RateLimiter()
        base_url = checked_base_url(base_url)
        token = checked_token(token if isinstance(token, Secret) else Secret(token))
        self._owned_http = None
        if http is None:
            http = self._owned_http = open_http(base_url, connections=rate_limiter.concurrency)
        self._session = ApiSession(
            base_url,
            token,
            http=http,
            rate_limiter=rate_limiter,
            timeouts=timeouts or Timeouts(),
            policy=Policy(deadline=deadline),
            on_request=on_request,
            large=large,
        )
        self.environment_id = environment
        self._poll_seconds = poll_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned_http is not None:
            await self._owned_http.aclose()

    def with_environment(self, environment: str | None) -> Client:
        """Return a client for another environment with the same connections. It needs this client to stay open."""
        other = copy(self)
        other.environment_id = environment
        other._owned_http = None
        return other

    @property
    def rate_limiter(self) -> RateLimiter:
        return self._session.rate_limiter

    @property
    def usage(self) -> Usage:
        """The counters of all clients that share these connections."""
        return self._session.usage

    @property
    def waits_for_others(self) -> bool:
        """Whether a large answer waits until other clients have read theirs."""
        return self._session.waits_for_others

    @property
    def clock_offset(self) -> timedelta | None:
        """Upstream's clock minus the local one; None before the first answer."""
        seconds = self._session.clock.seconds
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def last_environment(self) -> str | None:
        """The environment in the last answer about content; None before the first one."""
        return self._session.last_environment

    @property
    def content(self) -> ContentWriter:
        """What writes the records of this environment."""
        return ContentWriter(self._session, self.environment_id)

    @property
    def page_limits(self) -> dict[str, int]:
        """The maximum size of a page by list, if upstream accepted less than documented."""
        return self._session.page_limits

    # The project and its environments

    async def site(self) -> Site:
        """Read the project. One request."""
        return await self._one("/site", decode.site)

    async def schema(self) -> Schema:
        """Read the project with all its models and fields. One request, unless upstream does not include them.

        A model or field that cannot be decoded is listed in `unreadable`; the others are read.
        """
        include = (("include", "item_types,item_types.fields"),)
        try:
            schema = await self._read("/site", decode.schema, include)
        except InvalidRequest:
            schema = Schema(site=await self.site(), item_types=(), fields=())
        item_types, fields, unreadable = schema.item_types, schema.fields, list(schema.unreadable)
        if not item_types:
            page = await self._complete_list("/item-types", decode.item_type)
            item_types = page.items
            unreadable += _unreadable(page)
        if item_types and not fields:
            pages = [
                await self._complete_list(f"/item-types/{path_id(each.id)}/fields", decode.field) for each in item_types
            ]
            fields = tuple([field for page in pages for field in page.items])
            unreadable += [each for page in pages for each in _unreadable(page)]
        return Schema(site=schema.site, item_types=item_types, fields=fields, unreadable=tuple(unreadable))

    async def item_types(self) -> tuple[ItemType, ...]:
        """Read all models and block models. One request."""
        return await self._all("/item-types", decode.item_type)

    async def item_type(self, item_type_id: str) -> ItemType:
        """Read a model or block model. One request. Raise NotFound, also if the token may not see it."""
        return await self._one(f"/item-types/{path_id(item_type_id)}", decode.item_type)

    async def fields(self, item_type_id: str) -> tuple[Field, ...]:
        """Read the fields of a model. One request."""
        return await self._all(f"/item-types/{path_id(item_type_id)}/fields", decode.field)

    async def field(self, field_id: str) -> Field:
        """Read a field. One request. Raise NotFound."""
        return await self._one(f"/fields/{path_id(field_id)}", decode.field)

    async def environments(self) -> tuple[Environment, ...]:
        """Read all environments. One request. Raise if the primary one cannot be decoded; others are left out."""
        page = await self._complete_list("/environments", decode.environment, content=False)
        if page.bad and not any(each.primary for each in page.items):
            raise page.bad[0].error
        return page.items

    async def environment(self, environment_id: str) -> Environment:
        """Read one environment with its `last_data_change_at`, the beacon. Raise NotFound."""
        return await self._one(f"/environments/{path_id(environment_id)}", decode.environment, content=False)

    async def maintenance_mode(self) -> bool:
        """Read whether the project is in maintenance mode."""
        return await self._read("/maintenance-mode", decode.maintenance, content=False)

    async def history_retention(self) -> HistoryRetention | None:
        """Read how long upstream keeps versions, from the limits of the plan. One request.

        In the vendor's types only the plan has the attribute `history_retention_days`, and no endpoint returns a plan.
        Its limits can be listed, with codes that are not documented. So None is common: the role may not read the
        limits, this one is missing, or it has another form. Raise Unavailable.
        """
        request = ApiRequest("/subscription-limits", environment=self.environment_id, content=False)
        try:
            result = await self._session.send(request, partial(jsonapi.entries, build=decode.plan_limit, paged=False))
        except (AuthenticationError, NotFound, PermissionDenied, ProtocolError, InvalidRequest):
            return None
        except Unavailable as error:
            if error.status in _NOT_THERE:
                return None
            raise
        for limit in self._paged(request, result).items:
            if _HISTORY_RETENTION not in (limit.code, limit.id):
                continue
            if limit.limit is None or limit.limit > _MAX_RETENTION_DAYS:
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

        Without `models` and `ids` upstream lists the records of all models, and all block records.

        Args:
            offset: How many entries of the list come before the page.
            limit: The maximum entries of the page: up to 500, with `nested` up to 30.
            models: Ids or api_keys of the models to list; see `model_groups` for how many fit into one request.
            order_by: Such as `id_ASC`. Upstream accepts it with exactly one model.
            ids: Ids of the records (or blocks) to list. Excludes `models`.
            filters: Conditions by column, such as `{"_updated_at": {"gt": "2026-03-01T10:00:00Z"}}`.
            nested: Whether blocks are complete instead of ids.

        Raises:
            InvalidRequest: Upstream refuses the query, for instance because it does not know one of `models`.
            CmaError: Any other failure; see `errors`.
        """
        params = [*_page(offset, limit), ("version", "current")]
        if nested:
            params.append(("nested", "true"))
        if models:
            params.append(("filter[type]", ",".join(models)))
        if ids is not None:
            params.append(("filter[ids]", ",".join(ids)))
        params += _selection(filters, order_by)
        return await self._page("/items", decode.item, params)

    async def item(self, item_id: str, *, nested: bool = False, published: bool = False) -> Item:
        """Read a record in its current or its `published` version; with `nested`, with complete blocks.

        Raise NotFound, also if it is not published.
        """
        version = "published" if published else "current"
        params = (("version", version), *((("nested", "true"),) if nested else ()))
        return await self._one(f"/items/{path_id(item_id)}", decode.item, params)

    async def versions_page(self, item_id: str, *, offset: int = 0, limit: int = VERSIONS_PAGE) -> Page[ItemVersion]:
        """Read a page of a record's versions, newest first, with complete blocks. Raise NotFound."""
        params = [("nested", "true"), *_page(offset, limit)]
        return await self._page(f"/items/{path_id(item_id)}/versions", decode.item_version, params)

    async def version(self, version_id: str) -> ItemVersion:
        """Read a version with complete blocks. Raise NotFound."""
        return await self._one(f"/versions/{path_id(version_id)}", decode.item_version, (("nested", "true"),))

    async def uploads(self, ids: Sequence[str]) -> Page[Upload]:
        """Read those of up to 500 uploads that exist. One request; see `upload_groups` for how many fit into it.

        Raise InvalidRequest with `too_long` if these are too many, and PermissionDenied.
        """
        params = [("filter[ids]", ",".join(ids)), *_page(0, len(ids))]
        return await self._page("/uploads", decode.upload, params)

    async def restore_version(self, version_id: str) -> str:
        """Create a new current version with the content of this one, and return the id of the job.

        Raise OutcomeUnknown without an answer: check the record before you repeat it.
        """
        path = f"/versions/{path_id(version_id)}/restore"
        return await self._read(path, decode.job_id, method="POST", body=b"")

    async def job_result(self, job_id: str) -> JobResult:
        """Read the result of a job. Raise NotFound while it runs."""
        return await self._read(f"/job-results/{path_id(job_id)}", decode.job_result, content=False)

    async def wait_for_job(self, job_id: str, *, deadline: float = 300.0) -> JobResult:
        """Poll until the job is done: after a quarter of a second, since most are done by then; then after 1 s, 2 s and
        so on, at most 5 s.

        A failed job raises what the request itself would have raised. Raise Unavailable after `deadline` seconds; the
        job may still succeed.
        """
        polls, until = 0, time.monotonic() + deadline
        while True:
            polls += 1
            pause = _FIRST_POLL_SECONDS if polls == 1 else min(polls - 1, _MAX_POLL_SECONDS)
            await asyncio.sleep(pause * self._poll_seconds)
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

    # People

    async def own_role(self) -> Role | None:
        """Read what this token may read; None if the answer does not contain it in a known form. One request."""
        try:
            return await self._read("/users/me", own_role, (("include", "role"),), content=False)
        except (AuthenticationError, NotFound, PermissionDenied, InvalidRequest):
            return None
        except Unavailable as error:
            if error.status in _NOT_THERE:  # an API without this endpoint, behind another server
                return None
            raise

    async def users(self) -> tuple[Editor, ...]:
        """Read the collaborators. Raise PermissionDenied if the role may not read them, as the next two methods."""
        return await self._all("/users", decode.editor, content=False)

    async def sso_users(self) -> tuple[Editor, ...]:
        return await self._all("/sso-users", decode.editor, content=False)

    async def access_tokens(self) -> tuple[Editor, ...]:
        """Read the API tokens, without their secrets."""
        return await self._all("/access_tokens", decode.editor, content=False)

    async def owners(self) -> tuple[Editor, ...]:
        """Read the account and the organization that own the project, as far as upstream shows them."""
        try:
            return await self._read("/site", decode.owners, (("include", "account"),))
        except (InvalidRequest, PermissionDenied):
            return await self._read("/site", decode.owners)

    # Webhooks

    async def webhooks(self) -> tuple[Webhook, ...]:
        return await self._all("/webhooks", webhooks.webhook, content=False)

    async def create_webhook(self, spec: WebhookSpec) -> Webhook:
        return await self._write("POST", "/webhooks", webhooks.webhook, spec.body())

    async def update_webhook(self, webhook_id: str, spec: WebhookSpec) -> Webhook:
        """Replace the settings of a webhook; headers that `spec` does not name stay. Raise NotFound."""
        return await self._write("PUT", f"/webhooks/{path_id(webhook_id)}", webhooks.webhook, spec.body(webhook_id))

    async def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook. Raise NotFound."""
        await self._command("DELETE", f"/webhooks/{path_id(webhook_id)}")

    async def webhook_calls_page(
        self,
        *,
        offset: int = 0,
        limit: int = WEBHOOK_CALLS_PAGE,
        order_by: str | None = None,
        filters: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Page[WebhookCall]:
        """Read a page of the log of calls. `filters`: `{"created_at": {"gt": "…"}, "webhook_id": {"eq": "…"}}`."""
        params = _page(offset, limit) + _selection(filters, order_by)
        return await self._page("/webhook_calls", webhooks.webhook_call, params, content=False)

    async def webhook_call(self, call_id: str) -> WebhookCall:
        """Read one call of the log. Raise NotFound."""
        return await self._one(f"/webhook_calls/{path_id(call_id)}", webhooks.webhook_call, content=False)

    async def resend_webhook_call(self, call_id: str) -> None:
        """Send a call of a webhook again with the same payload. Raise NotFound.

        The call is pending when this returns; the log shows its result.
        """
        await self._command("POST", f"/webhook_calls/{path_id(call_id)}/resend_webhook", body=b"")

    # Sending and decoding

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
        request = ApiRequest(path, tuple(params), method, body, self.environment_id, content)
        return (await self._session.send(request, jsonapi.document_reader(build))).value

    async def _one(
        self, path: str, build: Callable[[Raw], V], params: Iterable[tuple[str, str]] = (), *, content: bool = True
    ) -> V:
        return await self._read(path, lambda raw, _: build(raw), params, content=content)

    async def _write(self, method: str, path: str, build: Callable[[Raw], V], body: bytes) -> V:
        return await self._read(path, lambda raw, _: build(raw), method=method, body=body, content=False)

    async def _command(self, method: str, path: str, body: bytes | None = None) -> None:
        """Send a request whose answer says nothing."""
        request = ApiRequest(path, (), method, body, self.environment_id, content=False)
        await self._session.send(request, lambda _: None)

    async def _all(self, path: str, build: Callable[[Raw], T], *, content: bool = True) -> tuple[T, ...]:
        """Read a list without pages. An entry that cannot be decoded fails the list: these lists are short."""
        page = await self._complete_list(path, build, content=content)
        for bad in page.bad:
            raise bad.error
        return page.items

    async def _complete_list(self, path: str, build: Callable[[Raw], T], *, content: bool = True) -> Page[T]:
        request = ApiRequest(path, environment=self.environment_id, content=content)
        return self._paged(request, await self._session.send(request, jsonapi.list_reader(build, paged=False)))

    async def _page(
        self, path: str, build: Callable[[Raw], T], params: Iterable[tuple[str, str]], *, content: bool = True
    ) -> Page[T]:
        request = ApiRequest(path, tuple(params), "GET", None, self.environment_id, content, _PAGE_TIMEOUTS)
        return self._paged(request, await self._session.send(request, jsonapi.list_reader(build, paged=True)))

    def _paged(self, request: ApiRequest, result: ApiResult[jsonapi.ResourceList[T]]) -> Page[T]:
        read = result.value
        items = tuple(value for value in read.values if not isinstance(value, jsonapi.ShapeError))
        bad = tuple(
            InvalidResource(id, ProtocolError(value.expected, request=str(request), where=value.where))
            for id, value in zip(read.ids, read.values, strict=True)
            if isinstance(value, jsonapi.ShapeError)
        )
        return Page(items=items, total=read.total, ids=read.ids, bad=bad, at=result.at)


def _unreadable(page: Page[T]) -> list[Unreadable]:
    return [Unreadable(bad.id, str(bad.error)) for bad in page.bad]


def _page(offset: int, limit: int) -> list[tuple[str, str]]:
    return [("page[offset]", str(offset)), ("page[limit]", str(limit))]


def _selection(filters: Mapping[str, Mapping[str, str]] | None, order_by: str | None) -> list[tuple[str, str]]:
    params = [
        (f"filter[fields][{name}][{operator}]", value)
        for name, conditions in (filters or {}).items()
        for operator, value in conditions.items()
    ]
    return params if order_by is None else [*params, ("order_by", order_by)]
