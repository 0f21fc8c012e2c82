"""One API request, its response, and the routes between them; no HTTP library is used here.

A handler is a function from `Request` to `Response`, or raises `ApiError`. Each module of routes has a table `ROUTES`:

    @ROUTES("GET /roles/{id}", needs="can_manage_users")
    def get_role(request: Request) -> Response: ...
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from versionsync.simulator.api.bodies import Body, SentResource
from versionsync.simulator.errors import ApiError, invalid_format, invalid_params, not_found
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.people_roles_tokens import Editor, Role, Token
from versionsync.simulator.world.serialization import Document, Resource, Serializer
from versionsync.simulator.world.world import World

if TYPE_CHECKING:
    from versionsync.simulator.http.project import Project

__all__ = [
    "Handler",
    "Jobs",
    "Request",
    "Response",
    "Route",
    "Routes",
    "as_job",
    "encode",
    "json_response",
    "page_response",
]

T = TypeVar("T")

JOB_DELAY: Final = timedelta(milliseconds=100)
JOB_RESULTS_KEPT: Final = 10_000
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class JobResult:
    """What the request would have been answered with, had it been answered at once."""

    id: str
    status: int
    payload: bytes
    ready_at: datetime


class Jobs:
    """The results of the latest asynchronous jobs. Each is done at once; its result is served after a delay."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._results: OrderedDict[str, JobResult] = OrderedDict()

    def finish(self, status: int, payload: bytes) -> JobResult:
        delay = self._world.options.job_delay
        if delay is None:
            delay = timedelta(0) if self._world.clock.is_stopped else JOB_DELAY
        result = JobResult(self._world.ids.new(), status, payload, self._world.clock.now() + delay)
        self._results[result.id] = result
        if len(self._results) > JOB_RESULTS_KEPT:
            self._results.popitem(last=False)
        return result

    def result(self, job_id: str) -> JobResult:
        """Return the result of a job. Raise ApiError (404) if there is none, or not yet."""
        result = self._results.get(job_id)
        if result is None or self._world.clock.now() < result.ready_at:
            raise not_found("job_result", job_id)
        return result


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose token and environment are known."""

    project: Project
    environment: Environment
    token: Token
    method: str
    path: str
    ids: Mapping[str, str]
    """The values of the path's placeholders."""
    query: Mapping[str, str]
    body: bytes
    now: datetime
    origin: str
    """The base URL of the simulator as the client used it, without a slash at the end."""

    @property
    def world(self) -> World:
        return self.project.world

    @property
    def editor(self) -> Editor:
        return self.token.editor

    @property
    def role(self) -> Role:
        return self.token.role

    def act(self, action: Callable[..., T], *arguments: object, **settings: Any) -> T:
        """Do *action*, a method of `World`, as the editor of the token and in the environment of the request."""
        return action(self.world, self.editor, *arguments, environment=self.environment.id, **settings)

    def sent(self) -> SentResource:
        """Return the resource in the body."""
        return self.decode(Body[SentResource]).data

    @property
    def nested(self) -> bool:
        """Whether the answer has complete blocks instead of their ids."""
        return self.flag("nested")

    def serializer(self) -> Serializer:
        """Return a serializer for the resources of this request's environment."""
        return Serializer(self.environment, self.world.options, self.world.time_format, self.now, nested=self.nested)

    def flag(self, name: str) -> bool:
        """Return the boolean query parameter *name*; without it: false."""
        value = self.query.get(name, "false")
        if value not in {"true", "false", "1", "0"}:
            raise invalid_params(name, "neither true nor false")
        return value in {"true", "1"}

    def page(self, *, default: int, maximum: int) -> slice:
        """Return the requested page; a limit of 0 requests only the count. Raise ApiError (422) above *maximum*."""
        limit = self._number("page[limit]", default)
        offset = self._number("page[offset]", 0)
        if limit > maximum:
            raise invalid_params("page[limit]", f"must be between 0 and {maximum}")
        return slice(offset, offset + limit)

    def _number(self, name: str, default: int) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit():
            raise invalid_params(name, "not a whole number")
        return int(text)

    def decode(self, form: type[T]) -> T:
        """Return the body as a *form*. Raise ApiError: INVALID_JSON_BODY, or INVALID_FORMAT for another shape."""
        try:
            return contents.decoded(msgspec.json.Decoder(form), self.body)
        except msgspec.ValidationError as error:
            raise invalid_format(str(error)) from None
        except msgspec.DecodeError as error:
            raise ApiError("INVALID_JSON_BODY", reason=str(error)) from None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of the API: always JSON, or nothing (204)."""

    body: bytes
    status: int = 200


Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path with placeholders in braces, and its handler."""

    method: str
    path: str
    handler: Handler


class Routes(list[Route]):
    """The routes of a module, in the order in which they are tried."""

    def __call__(self, endpoint: str, *, needs: str | None = None) -> Callable[[Handler], Handler]:
        """Serve *endpoint* (`METHOD /path`) with the decorated handler, to roles with the ability *needs*."""

        def register(handler: Handler) -> Handler:
            def checked(request: Request) -> Response:
                if needs is not None:
                    request.role.require(needs)
                return handler(request)

            method, path = endpoint.split(" ")
            self.append(Route(method, path, checked if needs else handler))
            return handler

        return register


def encode(document: object) -> bytes:
    return _ENCODER.encode(document)


def json_response(
    data: Any, *, status: int = 200, meta: dict[str, Any] | None = None, included: Sequence[Any] | None = None
) -> Response:
    return Response(encode(Document(data, meta, included)), status)


def page_response(data: Sequence[Any], total: int, *, included: Sequence[Any] | None = None) -> Response:
    """Return a page of a list of *total* resources."""
    return json_response(data, meta={"total_count": total}, included=included)


def as_job(request: Request, act: Callable[[], Response], *, status: int = 200) -> Response:
    """Answer 202 with a job whose result is the body of what *act* returns, or its error document.

    *status*: the status of a result without an error.
    """
    try:
        payload = act().body
    except ApiError as error:
        status, payload = error.status, error.document()
    job = request.project.jobs.finish(status, payload)
    return json_response(Resource(job.id, "job"), status=202)
