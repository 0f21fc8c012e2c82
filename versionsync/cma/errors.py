"""Everything that can go wrong between versionsync and DatoCMS, as one tree.

    CmaError                     `request` names method, path and page; never a token, never content
    ├── AuthenticationError      the token is wrong, revoked or missing: set another one
    ├── PermissionDenied         the token's role (or the project's plan) does not allow this
    ├── EnvironmentNotFound      the configured environment does not exist (any more)
    ├── NotFound                 upstream itself says that this entity does not exist, or not for this token
    ├── InvalidRequest           upstream understood the request and refused it; trying again changes nothing
    ├── Unavailable              trying later may help; `retry_after` says when, if upstream did
    │   ├── Throttled            429 for longer than the client was ready to wait
    │   └── OutcomeUnknown       a write that may have happened: check before you repeat it
    └── ProtocolError            an answer that this client does not understand; says where and what it expected
        ├── EnvironmentChanged   another environment answered than the one in the request
        ├── PageShifted          the list changed while it was read: the pages read are not all of it
        └── RepeatedPage         two pages of a list are the same: the offset had no effect

`NotFound` is evidence: a record is marked deleted because of it. So only an answer of the API itself with the code
NOT_FOUND becomes one. A proxy's 404, an unknown path and an unknown environment never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Required, TypedDict, Unpack

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = [
    "AuthenticationError",
    "CmaError",
    "EnvironmentChanged",
    "EnvironmentNotFound",
    "FieldProblem",
    "InvalidRequest",
    "NotFound",
    "OutcomeUnknown",
    "PageShifted",
    "PermissionDenied",
    "ProtocolError",
    "RepeatedPage",
    "Throttled",
    "Unavailable",
]

_OF_THE_PROJECT: Final = frozenset({"DEACTIVATED_SITE", "PLAN_UPGRADE_REQUIRED"})


class Details(TypedDict, total=False):
    """What is known of the request, as `CmaError` takes it."""

    request: Required[str]
    status: int | None
    code: str | None
    request_id: str | None


class CmaError(VersionsyncError):
    """What went wrong with one request, in a sentence that can be shown to a user.

    Attributes:
        request: Method, path and page.
        status: Upstream's HTTP status, if it answered.
        code: Upstream's error code, if it answered with one.
        request_id: Its `X-Request-Id`, which DatoCMS's support asks for.
    """

    kind = ErrorKind.REFUSED

    def __init__(
        self,
        message: str,
        *,
        request: str,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.status = status
        self.code = code
        self.request_id = request_id

    def __str__(self) -> str:
        answered = " ".join(str(part) for part in (self.status, self.code) if part is not None)
        suffix = f" (request {self.request_id})" if self.request_id else ""
        return ": ".join(part for part in (self.request, answered, self.message) if part) + suffix


class AuthenticationError(CmaError):
    """401: the token is wrong, revoked or missing."""

    hint = "Set another token: DatoCMS shows it in Project settings > API tokens. `versionsync doctor` tries it."


class PermissionDenied(CmaError):
    """The token is known, but its role, or the plan of the project, does not allow this."""

    def __init__(self, message: str, **details: Unpack[Details]) -> None:
        super().__init__(message, **details)
        if self.is_of_project:
            self.hint = "No token can help: see the project's plan and payment in its dashboard."
        elif "/webhook" in self.request:
            self.hint = "Give the token a role that may manage webhooks: Project settings > Roles."
        else:
            self.hint = "Give the token's role what it lacks: Project settings > Roles. `versionsync doctor` lists it."

    @property
    def is_of_project(self) -> bool:
        """Whether the project or its plan refuses: then no role can help, and every other request is refused too."""
        code = self.code or ""
        return self.status == 402 or code in _OF_THE_PROJECT or code.endswith("_LIMIT_REACHED")


class EnvironmentNotFound(CmaError):
    """`X-Environment` named an environment that does not exist."""

    hint = "Set `environment` to one that exists, or leave it out to follow the primary one."


class NotFound(CmaError):
    """The API answered NOT_FOUND: no such entity, or this token may not see it."""


class FieldProblem(NamedTuple):
    """Why upstream refuses a field: its API key or its path in blocks, and the code, such as VALIDATION_REQUIRED."""

    field: str
    code: str


class InvalidRequest(CmaError):
    """Any other 4xx.

    Attributes:
        problems: The fields that upstream refuses, all that it names.
        about_limit: Upstream refused the page's limit (or the answer's size): ask for a smaller page.
        too_long: The address of the request was too long, for instance a filter with hundreds of ids: split it. A
            gateway may refuse it, so `code` is often None.
    """

    def __init__(
        self,
        message: str,
        *,
        about_limit: bool = False,
        too_long: bool = False,
        problems: Sequence[FieldProblem] = (),
        **details: Unpack[Details],
    ) -> None:
        super().__init__(message, **details)
        self.problems = tuple(problems)
        self.about_limit = about_limit
        self.too_long = too_long


class Unavailable(CmaError):
    """Network, 5xx, maintenance, or no answer before the deadline.

    Attributes:
        retry_after: Seconds to wait, if upstream said so.
        too_slow: The answer took too long or was too large: asking for less may help.
    """

    kind = ErrorKind.UNAVAILABLE
    hint = "Nothing is lost: once DatoCMS can be reached, the next run continues."

    def __init__(
        self, message: str, *, retry_after: float | None = None, too_slow: bool = False, **details: Unpack[Details]
    ) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after
        self.too_slow = too_slow


class Throttled(Unavailable):
    """429 for longer than the client was ready to wait."""


class OutcomeUnknown(Unavailable):
    """A write was sent and no answer came: it may or may not have happened."""


class ProtocolError(CmaError):
    """An answer of an unexpected shape. `where` is the path in its JSON, such as `$.data[3].meta.created_at`."""

    kind = ErrorKind.UNAVAILABLE
    hint = "Run it again. If it stays, report the line above: it holds nothing of your project's content."

    def __init__(self, message: str, *, where: str | None = None, **details: Unpack[Details]) -> None:
        super().__init__(f"{where}: {message}" if where else message, **details)
        self.where = where


class EnvironmentChanged(ProtocolError):
    """The header `X-Environment` of an answer names another environment than the one in the request."""


class PageShifted(ProtocolError):
    """The list changed while it was read. Every page that could be read was handed over before this was raised."""


class RepeatedPage(ProtocolError):
    """A page came twice in a row."""
