"""One request as a handler sees it, and the answer it gives: no HTTP library in sight.

A handler is a function from `Call` to `Reply`, or raises `Refused`. Routes are tables of handlers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from versionsync.simulator.api.jobs import Jobs
from versionsync.simulator.errors import ApiError, invalid_params
from versionsync.simulator.http.faults import Faults
from versionsync.simulator.http.requests_log import RequestsLog
from versionsync.simulator.world import content as contents
from versionsync.simulator.world.audit_log import AuditLog
from versionsync.simulator.world.blocks import BlockRecords
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.people import Editor, Role, Token
from versionsync.simulator.world.serialization import Document, Serializer, TotalCount
from versionsync.simulator.world.world import World

__all__ = ["Handler", "Request", "Response", "Route", "encode", "json_response", "page_response"]

T = TypeVar("T")

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Services:
    """What the handlers of one simulator share besides its world."""

    jobs: Jobs
    faults: Faults
    requests: RequestsLog
    blocks: BlockRecords
    audit_log: AuditLog


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose token and environment are settled."""

    world: World
    environment: Environment
    token: Token
    method: str
    path: str
    ids: Mapping[str, str]
    """What the path's placeholders stand for."""
    query: Mapping[str, str]
    body: bytes
    now: datetime
    services: Services
    origin: str
    """The base URL under which the simulator was asked, without a slash at the end."""

    @property
    def editor(self) -> Editor:
        """Who acts."""
        return self.token.editor

    @property
    def role(self) -> Role:
        """What they may do."""
        return self.token.role

    @property
    def nested(self) -> bool:
        """Whether blocks are wanted whole."""
        return self.flag("nested")

    def serializer(self, *, nested: bool | None = None) -> Serializer:
        """Writes resources of this call's environment."""
        nested = self.nested if nested is None else nested
        return Serializer(self.environment, self.world.options, self.world.time_format, self.now, nested=nested)

    def flag(self, name: str) -> bool:
        """The boolean query parameter *name*; left out: false."""
        value = self.query.get(name, "false")
        if value not in {"true", "false", "1", "0"}:
            raise invalid_params(name, "neither true nor false")
        return value in {"true", "1"}

    def page(self, *, default: int, most: int) -> slice:
        """The page that is asked for; a limit of 0 asks for the count alone. Raises Refused (422) above *most*."""
        limit = self._number("page[limit]", default)
        offset = self._number("page[offset]", 0)
        if limit > most:
            raise invalid_params("page[limit]", f"must be between 0 and {most}")
        return slice(offset, offset + limit)

    def _number(self, name: str, default: int) -> int:
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit():
            raise invalid_params(name, "not a whole number")
        return int(text)

    def decode(self, form: type[T]) -> T:
        """The body as a *form*. Raises Refused: INVALID_JSON_BODY, or INVALID_FORMAT for JSON of another shape."""
        try:
            try:
                return msgspec.json.decode(self.body, type=form)
            except msgspec.ValidationError:
                raise
            except msgspec.DecodeError:
                return msgspec.json.decode(contents.protect(self.body), type=form)
        except msgspec.ValidationError as error:
            raise ApiError("INVALID_FORMAT", details={"reason": str(error)}) from None
        except msgspec.DecodeError as error:
            raise ApiError("INVALID_JSON_BODY", details={"reason": str(error)}) from None

    def demand(self, ability: str) -> None:
        """Raise Refused (401) unless the role has *ability*."""
        self.role.demand(ability)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of the API: always JSON, or nothing (204)."""

    body: bytes
    status: int = 200


Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path (placeholders in braces), and who answers."""

    method: str
    path: str
    handler: Handler


def encode(document: object) -> bytes:
    """The JSON text of *document*."""
    return _ENCODER.encode(document)


def json_response(
    data: Any, *, status: int = 200, meta: dict[str, Any] | None = None, included: Sequence[Any] | None = None
) -> Response:
    """A document with *data*."""
    return Response(encode(Document(data, meta, included)), status)


def page_response(data: Sequence[Any], total: int, *, included: Sequence[Any] | None = None) -> Response:
    """A page of a list of *total* resources."""
    return Response(encode(Document(data, TotalCount(total), included)))
