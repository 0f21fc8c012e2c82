"""Everything that can go wrong between us and DatoCMS, as one tree.

    CmaError                     `request` names method, path and page; never a token, never content
    ├── AuthenticationError      the token is wrong, revoked or missing: set another one
    ├── PermissionDenied         the token's role (or the project's plan) does not allow this
    ├── EnvironmentNotFound      the configured environment does not exist (any more)
    ├── NotFound                 upstream itself says that this entity does not exist, or not for this token
    ├── InvalidRequest           upstream understood and said no; asking again changes nothing
    ├── Unavailable              asking later may help; `retry_after` says when, if upstream did
    │   ├── Throttled            429 for longer than we were ready to wait
    │   └── OutcomeUnknown       a write that may have happened: look before doing it again
    └── ProtocolError            an answer that this client does not understand; says where and what was expected
        ├── EnvironmentChanged   another environment answered than the one that was asked
        ├── PageShifted          the list changed while it was read: what was seen is not all
        └── RepeatedPage         two pages of a list are the same: the offset had no effect

`NotFound` is evidence: a record is taken for deleted because of it. So only an answer of the API itself with the code
NOT_FOUND becomes one; a 404 of a proxy, an unknown path or an unknown environment never does.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "AuthenticationError",
    "CmaError",
    "EnvironmentChanged",
    "EnvironmentNotFound",
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


class CmaError(Exception):
    """What went wrong with one request, in a sentence that can be shown to a user.

    `status` and `code` are upstream's HTTP status and error code, if it answered; `request_id` is its `X-Request-Id`,
    which DatoCMS's support asks for.
    """

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


class PermissionDenied(CmaError):
    """The token is known, but its role, or the plan of the project, does not allow this."""

    @property
    def is_of_project(self) -> bool:
        """Whether it is the project or its plan: then no role can help, and whatever else is asked is refused too."""
        code = self.code or ""
        return self.status == 402 or code in _OF_THE_PROJECT or code.endswith("_LIMIT_REACHED")


class EnvironmentNotFound(CmaError):
    """`X-Environment` named an environment that does not exist."""


class NotFound(CmaError):
    """The API answered NOT_FOUND: no such entity, or this token may not see it."""


class InvalidRequest(CmaError):
    """Any other 4xx.

    `about_limit` is true when upstream refused the page's limit (or the answer's size): ask for a smaller page.
    `too_long` is true when the address of the request was too long, for instance a filter with hundreds of ids: split
    it. A gateway may refuse it, so `code` is often None.
    """

    def __init__(
        self,
        message: str,
        *,
        request: str,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        about_limit: bool = False,
        too_long: bool = False,
    ) -> None:
        super().__init__(message, request=request, status=status, code=code, request_id=request_id)
        self.about_limit = about_limit
        self.too_long = too_long


class Unavailable(CmaError):
    """Network, 5xx, maintenance, or no answer before the deadline.

    `retry_after` is in seconds. `too_slow` is true when it was the answer that took too long (or was too large):
    asking for less may help.
    """

    def __init__(
        self,
        message: str,
        *,
        request: str,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        too_slow: bool = False,
    ) -> None:
        super().__init__(message, request=request, status=status, code=code, request_id=request_id)
        self.retry_after = retry_after
        self.too_slow = too_slow


class Throttled(Unavailable):
    """429 for longer than we were ready to wait."""


class OutcomeUnknown(Unavailable):
    """A write was sent and no answer came: it may or may not have happened."""


class ProtocolError(CmaError):
    """An answer of an unexpected shape. `where` is the path in its JSON, such as `$.data[3].meta.created_at`."""

    def __init__(
        self,
        message: str,
        *,
        request: str,
        where: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            f"{where}: {message}" if where else message, request=request, status=status, request_id=request_id
        )
        self.where = where


class EnvironmentChanged(ProtocolError):
    """The header `X-Environment` of an answer names another environment than the one that was asked for."""


class PageShifted(ProtocolError):
    """The list changed while it was read. Every page that could be read was handed over before this was raised."""


class RepeatedPage(ProtocolError):
    """A page came twice in a row."""
