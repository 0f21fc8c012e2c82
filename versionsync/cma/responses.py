"""What an answer of upstream means: from status, headers and body to a failure or an error. Pure.

`details` is free-form and can have the project's content. So only names in it are used: of an ability, a field, a
validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from versionsync.cma.errors import (
    AuthenticationError,
    CmaError,
    Details,
    EnvironmentNotFound,
    FieldProblem,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    Throttled,
    Unavailable,
)
from versionsync.cma.retry import Failure, Kind

__all__ = ["Rate", "Response", "error_from_job", "error_of", "interpret", "is_json", "rate", "retry_after"]


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response. Names of headers are in lower case; `size` is in bytes on the wire, before decompression."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    size: int


class _Attributes(msgspec.Struct):
    code: str
    transient: bool = False
    details: msgspec.Raw = msgspec.Raw(b"null")


class _FieldDetails(msgspec.Struct):
    field: str
    code: str


class _ApiError(msgspec.Struct):
    attributes: _Attributes


class _Errors(msgspec.Struct):
    data: list[_ApiError]


class _Refusal(NamedTuple):
    """An error document: its first error, and the fields that any of its errors name."""

    code: str
    transient: bool
    details: msgspec.Raw
    problems: list[FieldProblem]


class Rate(NamedTuple):
    """The rate headers of an answer; None for a missing one. `reset` is in seconds."""

    limit: int | None
    remaining: int | None
    reset: float | None


_ERRORS: Final = msgspec.json.Decoder(_Errors)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PATH: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")
"""The API key of a field, or its path through locales and blocks, such as `sections.0.words`."""
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_MAX_RESET_SECONDS: Final = 86_400.0

# Codes that mean the same with any status. The vendor documents neither all statuses nor all causes. If a cause is not
# certain, the hint says no more than the code.
_PERMISSION: Final = {
    "INSUFFICIENT_PERMISSIONS": "the role of the token does not allow this: extend it in the project's settings",
    "DEACTIVATED_SITE": "the project is deactivated because of its quota or payment: see its dashboard",
    "PLAN_UPGRADE_REQUIRED": "the project's plan does not include this",
}
# Temporary conditions. Maintenance mode and a fork last as long as people want or need, and affect writes: a wait
# within a request would only delay the report, so the next run tries again. The others end within seconds or minutes: a
# read is repeated until its deadline. A write with the answer SERVICE_UNAVAILABLE may have been done; with the others
# it was not.
_LATER: Final = {
    "MAINTENANCE_MODE": (Kind.MAINTENANCE, "the project is in maintenance mode: wait until it is over"),
    "ENVIRONMENT_IN_READ_ONLY_MODE": (Kind.MAINTENANCE, "the environment is read-only while it is being forked"),
    "ENVIRONMENT_NOT_READY": (Kind.MAINTENANCE, "the environment is still being created"),
    "SITE_NOT_READY": (Kind.TRANSIENT, "the project is not ready yet: DatoCMS is still preparing it"),
    "PLATFORM_SCHEDULED_MAINTENANCE": (Kind.TRANSIENT, "DatoCMS is in scheduled maintenance: see its status page"),
    "SERVICE_UNAVAILABLE": (Kind.SERVER, "DatoCMS is not available at the moment"),
    "CONCURRENT_ITEM_UPDATE": (Kind.TRANSIENT, "the record is being changed by another request"),
    "CONCURRENT_ITEM_TYPE_UPDATE": (Kind.TRANSIENT, "the model is being changed by another request"),
}
_HINTS: Final = {
    "INVALID_AUTHORIZATION_HEADER": "the API token is wrong, revoked or of another project",
    "INVALID_SITE": "the request arrived without an API token: a proxy on the way may remove it, or base_url is wrong",
    "INVALID_ENVIRONMENT": "this environment does not exist in the project",
    "INVALID_ENDPOINT": "the API has no such endpoint: check base_url",
    "INVALID_API_VERSION": "upstream does not know version 3 of its API: a newer versionsync is needed",
    "INVALID_ACCEPT_HEADER": "the Accept header is missing, or a proxy changed it",
    "INVALID_CONTENT_TYPE_HEADER": "the Content-Type header is missing, or a proxy changed it",
    "INVALID_JSON_BODY": "upstream could not read the body as JSON",
    "INVALID_ENTITY_ID": "an id has a form that upstream does not accept",
    "INVALID_FILTER_FIELDS_PARAM": "upstream does not accept this filter",
    "INVALID_ORDERING": "upstream does not accept this order",
    "INVALID_DATE": "upstream does not accept this date",
    "STALE_ITEM_VERSION": "the record was changed meanwhile",
    "UNMANAGED_EDIT_CONFLICT": "the record was changed by another editor meanwhile",
    "ITEM_LOCKED": "an editor has the record open",
    "ITEM_TYPE_NOT_FOUND": "this model does not exist",
    "DELETE_RESTRICTION": "other records link to it",
    "PUBLISHED_REFERENCES": "published records link to it: unpublish or change them first",
    "PUBLISHED_CHILDREN": "records below it in the tree are published: unpublish them first",
    "UNPUBLISHED_PARENT": "the record above it in the tree is not published: publish that one first",
    "UNPUBLISHED_LINK": "it links to a record that is not published: publish that one first",
    "DUPLICATE_SINGLETON": "its model allows only one record",
    "ITEM_TYPE_IS_SINGLETON": "its model allows only one record",
    "TECHNICAL_LIMIT_REACHED": "this exceeds a technical limit of DatoCMS, such as the size of a record",
    "TOO_MANY_OPERATIONS": "DatoCMS allows no more operations of this kind for now: try again later",
}
# They end in _LIMIT_REACHED or are listed with the plan's limits, but concern one request, not the project.
_OF_ONE_REQUEST: Final = frozenset({"TECHNICAL_LIMIT_REACHED", "TOO_MANY_OPERATIONS"})
# Often a gateway refuses a long URL, with a web page; in HTTP/2 the URL is a header. No code of the API is known for
# it.
_TOO_LONG_STATUSES: Final = frozenset({414, 431})
_SAYS_TOO_LONG: Final = re.compile("UR[IL]_TOO_(LONG|LARGE)")
# It is not documented which code refuses too large a page: one about parameters, or one with a telling name.
_ABOUT_PARAMETERS: Final = frozenset({"INVALID_PARAMS", "INVALID_FORMAT", "INVALID_ATTRIBUTES"})
_SAYS_LIMIT: Final = re.compile("LIMIT|PAGE|PAGINATION|TOO_LARGE")


def is_json(content_type: str | None) -> bool:
    """Return whether an answer can be from the API: `application/json`, `application/vnd.api+json`."""
    return content_type is not None and "json" in content_type.partition(";")[0].lower()


def rate(headers: Mapping[str, str]) -> Rate:
    """Return the rate headers that are valid."""
    reset = _seconds(headers.get("x-ratelimit-reset"))
    return Rate(_count(headers.get("x-ratelimit-limit")), _count(headers.get("x-ratelimit-remaining")), reset)


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return `Retry-After` in seconds, from a number or a date; `now` is in seconds since the epoch."""
    value = headers.get("retry-after")
    if value is None or (seconds := _seconds(value)) is not None:
        return None if value is None else seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def interpret(response: Response, *, request: str, now: float) -> Failure | CmaError:
    """Return what an answer outside of 2xx means (or one of 2xx that is not from the API)."""
    status, headers = response.status, response.headers
    request_id = headers.get("x-request-id")
    after = retry_after(headers, now=now)
    error = _api_error(response)
    code = error.code if error else None
    known: Details = {"request": request, "status": status, "code": code, "request_id": request_id}

    def failure(kind: Kind, detail: str, wait: float | None = after) -> Failure:
        return Failure(kind, detail, wait, status, code, request_id)

    if status == 429:
        reset = rate(headers).reset
        return failure(Kind.THROTTLED, "the rate limit is exceeded", after if reset is None else reset)
    if error is not None and code in _LATER:
        kind, hint = _LATER[code]
        return failure(Kind.TRANSIENT if error.transient else kind, hint)
    if status in (408, 504):
        return failure(Kind.TIMEOUT, "a gateway got no answer in time")
    if status == 407:
        return failure(Kind.PROXY, "the proxy wants a user and a password, which HTTPS_PROXY can hold")
    if status == 413:
        return InvalidRequest("the answer would be too large", about_limit=True, **known)
    if status in _TOO_LONG_STATUSES or (status >= 400 and _SAYS_TOO_LONG.search(code or "")):
        return InvalidRequest("the address of the request is too long", too_long=True, **known)
    if error is not None and error.transient:
        return failure(Kind.TRANSIENT, "upstream marks this error as temporary")
    if status == 511:
        login = "the network here wants a login before it lets anyone out: open a web page on this machine and log in"
        return Unavailable(login, request=request, status=status)
    if status >= 500:
        return failure(Kind.SERVER, "upstream has a fault")
    if 300 <= status < 400:
        host = urlsplit(headers.get("location", "")).hostname or "another host"
        detail = f"redirected to {host}: a login page on the way, or base_url is wrong"
        return Unavailable(detail, request=request, status=status, request_id=request_id)
    if error is None or status < 300:
        return Failure(Kind.NOT_JSON, _not_api(headers), after, status, None, request_id)
    return _client_error(error, known)


def error_of(failure: Failure, *, method: str, request: str, tries: int) -> CmaError:
    """Return the error for a failure that is not retried any more."""
    known: Details = {
        "request": request,
        "status": failure.status,
        "code": failure.code,
        "request_id": failure.request_id,
    }
    detail = failure.detail + (f" ({tries} tries)" if tries > 1 else "")
    after = failure.retry_after
    if failure.kind is Kind.THROTTLED:
        return Throttled(detail, retry_after=after, **known)
    if method != "GET" and failure.may_have_happened:
        detail = f"{failure.detail}; it is unknown whether the write happened: check before you repeat it"
        return OutcomeUnknown(detail, retry_after=after, **known)
    is_too_slow = failure.kind in (Kind.TIMEOUT, Kind.TOO_LARGE)
    return Unavailable(detail, retry_after=after, too_slow=is_too_slow, **known)


def error_from_job(status: int, payload: bytes, *, request: str) -> CmaError:
    """Return the error in a job's result, which has the form of a direct response."""
    response = Response(status, {"content-type": "application/json"}, payload, len(payload))
    meaning = interpret(response, request=request, now=0.0)
    if isinstance(meaning, CmaError):
        return meaning
    # A failed job has a known outcome: nothing happened.
    return Unavailable(meaning.detail, request=request, status=status, code=meaning.code)


def _client_error(error: _Refusal, known: Details) -> CmaError:
    status, names = known["status"], _names(error.details)
    code = known["code"] = error.code if _CODE.fullmatch(error.code) else None
    hint = _HINTS.get(code or "")
    if code in _PERMISSION:
        ability = next((name for name in names.values() if name.startswith("can_")), None)
        return PermissionDenied(_PERMISSION[code] + (f" (wanted: {ability})" if ability else ""), **known)
    if code == "INVALID_ENVIRONMENT":
        return EnvironmentNotFound(hint or "", **known)
    if code in ("INVALID_AUTHORIZATION_HEADER", "INVALID_SITE") or status == 401:
        return AuthenticationError(hint or "upstream does not accept the API token", **known)
    if code not in _OF_ONE_REQUEST and (status in (402, 403) or (code or "").endswith("_LIMIT_REACHED")):
        return PermissionDenied("the token's role or the project's plan does not allow this", **known)
    if code == "NOT_FOUND":
        return NotFound("no such entity, or this token may not see it", **known)
    about_limit = _SAYS_LIMIT.search(code or "") is not None or (
        code in _ABOUT_PARAMETERS and (b"limit" in bytes(error.details).lower() or not names)
    )
    if not hint and "field" in names:
        hint = f"field {names['field']}: {names.get('code', 'refused')}"
    message = hint or "upstream refused this request"
    return InvalidRequest(message, about_limit=about_limit, problems=error.problems, **known)


def _api_error(response: Response) -> _Refusal | None:
    """Return what an error document says, transient if any error is; None: there is no such document."""
    if not is_json(response.headers.get("content-type")):
        return None
    try:
        errors = [each.attributes for each in _ERRORS.decode(response.body).data]
    except (msgspec.DecodeError, RecursionError):
        return None
    if not errors:
        return None
    first = errors[0]
    is_transient = any(each.transient for each in errors)
    return _Refusal(first.code, is_transient, first.details, [problem for each in errors for problem in _problem(each)])


def _problem(error: _Attributes) -> Iterator[FieldProblem]:
    """Yield the field that an error names, with the reason. They are names, never content."""
    try:
        details = msgspec.json.decode(error.details, type=_FieldDetails)
    except (msgspec.DecodeError, RecursionError):
        return
    if _PATH.fullmatch(details.field) and _CODE.fullmatch(details.code):
        yield FieldProblem(details.field, details.code)


def _names(details: msgspec.Raw) -> dict[str, str]:
    """Return the members of `details` whose values are names."""
    try:
        members = msgspec.json.decode(details, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return {}
    return {key: value for key, value in members.items() if isinstance(value, str) and _NAME.fullmatch(value)}


def _not_api(headers: Mapping[str, str]) -> str:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        return "a web page came instead of the API's answer: a proxy or login page on the way, or base_url is wrong"
    return "the answer is not from the API: check base_url"


def _count(value: str | None) -> int | None:
    match = re.match(r"\s*(\d{1,9})", value or "")
    return int(match[1]) if match else None


def _seconds(value: str | None) -> float | None:
    if value is None or not re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", value):
        return None
    return min(float(value.strip()), _MAX_RESET_SECONDS)  # float keeps some spaces that \s matches
