"""What each answer of upstream means: one table from status, code and headers to an error or another try."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cma import jsonapi_examples as example
from versionsync.cma import errors
from versionsync.cma.responses import Response, error_from_job, error_of, interpret, is_json, rate, retry_after
from versionsync.cma.retry import Failure, Kind, Policy

CONTENT = "the board resigns tomorrow"


def answer(status: int, code: str | None = None, **more: object) -> Response:
    """An answer of the API with an error of this code; without one, a web page."""
    headers = {"content-type": "application/json; charset=utf-8", "x-request-id": "req-1"}
    if code is None:
        return Response(status, headers | {"content-type": "text/html"}, b"<html>" + CONTENT.encode(), 9)
    return Response(status, headers, json.dumps(example.error(code, **more)).encode(), 9)  # type: ignore[arg-type]


def verdict(given: Response) -> Failure | errors.CmaError:
    return interpret(given, request="GET /items", now=0.0)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "INVALID_AUTHORIZATION_HEADER", errors.AuthenticationError),
        (401, "SOMETHING_NEW", errors.AuthenticationError),
        (401, "INVALID_SITE", errors.AuthenticationError),
        (404, "INVALID_SITE", errors.AuthenticationError),
        (401, "INSUFFICIENT_PERMISSIONS", errors.PermissionDenied),
        (403, "SOMETHING_NEW", errors.PermissionDenied),
        (402, "DEACTIVATED_SITE", errors.PermissionDenied),
        (422, "PLAN_UPGRADE_REQUIRED", errors.PermissionDenied),
        (422, "SITE_USAGE_LIMIT_REACHED", errors.PermissionDenied),
        (404, "INVALID_ENVIRONMENT", errors.EnvironmentNotFound),
        (422, "INVALID_ENVIRONMENT", errors.EnvironmentNotFound),
        (404, "NOT_FOUND", errors.NotFound),
        (404, "INVALID_ENDPOINT", errors.InvalidRequest),
        (422, "INVALID_PARAMS", errors.InvalidRequest),
        (422, "STALE_ITEM_VERSION", errors.InvalidRequest),
        (422, "ITEM_TYPE_NOT_FOUND", errors.InvalidRequest),
        (406, "INVALID_ACCEPT_HEADER", errors.InvalidRequest),
        (413, "ANYTHING", errors.InvalidRequest),
        (413, None, errors.InvalidRequest),
        (414, None, errors.InvalidRequest),
        (431, None, errors.InvalidRequest),
        (422, "TECHNICAL_LIMIT_REACHED", errors.InvalidRequest),
        (403, "TECHNICAL_LIMIT_REACHED", errors.InvalidRequest),
        (403, "TOO_MANY_OPERATIONS", errors.InvalidRequest),
        (422, "UNMANAGED_EDIT_CONFLICT", errors.InvalidRequest),
        (302, None, errors.Unavailable),
    ],
)
def test_these_answers_are_errors_at_once(status: int, code: str | None, expected: type[errors.CmaError]) -> None:
    """Asking again changes nothing; the code decides before the status."""
    error = verdict(answer(status, code))
    assert type(error) is expected
    assert (error.status, error.request, error.request_id) == (status, "GET /items", "req-1")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "INVALID_AUTHORIZATION_HEADER", "the API token is wrong, revoked or of another project"),
        (422, "INVALID_AUTHORIZATION_HEADER", "the API token is wrong, revoked or of another project"),
        (401, "SOMETHING_NEW", "upstream does not accept the API token"),
        (404, "INVALID_ENVIRONMENT", "this environment does not exist in the project"),
        (422, "ITEM_LOCKED", "an editor has the record open"),
        (422, "SOMETHING_NEW", "upstream refused this request"),
    ],
)
def test_an_error_says_what_is_wrong(status: int, code: str, said: str) -> None:
    """As exactly as its code allows."""
    error = verdict(answer(status, code))
    assert isinstance(error, errors.CmaError)
    assert error.message == said


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (402, "DEACTIVATED_SITE", True),
        (422, "PLAN_UPGRADE_REQUIRED", True),
        (422, "SITE_USAGE_LIMIT_REACHED", True),
        (402, "SOMETHING_NEW", True),
        (401, "INSUFFICIENT_PERMISSIONS", False),
        (403, "SOMETHING_NEW", False),
    ],
)
def test_what_is_refused_for_the_project_is_told_from_what_a_role_lacks(status: int, code: str, expected: bool) -> None:
    """The one is refused for every record alike."""
    error = verdict(answer(status, code))
    assert isinstance(error, errors.PermissionDenied)
    assert error.is_of_project is expected


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "RATE_LIMIT_EXCEEDED", Kind.THROTTLED),
        (429, None, Kind.THROTTLED),
        (500, "EXCEPTION", Kind.SERVER),
        (502, None, Kind.SERVER),
        (503, None, Kind.SERVER),
        (504, None, Kind.TIMEOUT),
        (408, None, Kind.TIMEOUT),
        (407, None, Kind.PROXY),
        (503, "MAINTENANCE_MODE", Kind.MAINTENANCE),
        (422, "MAINTENANCE_MODE", Kind.MAINTENANCE),
        (422, "ENVIRONMENT_NOT_READY", Kind.MAINTENANCE),
        (409, "CONCURRENT_ITEM_UPDATE", Kind.TRANSIENT),
        (422, "CONCURRENT_ITEM_TYPE_UPDATE", Kind.TRANSIENT),
        (200, None, Kind.NOT_JSON),
        (404, None, Kind.NOT_JSON),
        (403, None, Kind.NOT_JSON),
    ],
)
def test_these_answers_are_failures_that_may_mend(status: int, code: str | None, kind: Kind) -> None:
    """Gateways, outages, web pages where the API's answer should be."""
    failure = verdict(answer(status, code))
    assert isinstance(failure, Failure)
    assert failure.kind is kind


@pytest.mark.parametrize("code", ["SITE_NOT_READY", "PLATFORM_SCHEDULED_MAINTENANCE", "SERVICE_UNAVAILABLE"])
@pytest.mark.parametrize("transient", [False, True])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 408, 409, 413, 422, 500, 503, 504])
def test_what_passes_by_itself_is_waited_for_whatever_its_status(status: int, code: str, transient: bool) -> None:
    """A read is asked again until the deadline ends, then it is reported as unavailable, with the code."""
    failure = verdict(answer(status, code, transient=transient))
    assert isinstance(failure, Failure)
    policy, chance = Policy(deadline=300.0), random.Random(1)
    for tries, elapsed in [(1, 0.0), (30, 200.0)]:
        assert policy.wait(failure, method="GET", tries=tries, elapsed=elapsed, random=chance) is not None
    assert policy.wait(failure, method="GET", tries=31, elapsed=299.9, random=chance) is None
    assert policy.wait(failure, method="POST", tries=1, elapsed=0.0, random=chance) is None
    error = error_of(failure, method="GET", request="GET /items", tries=31)
    assert type(error) is errors.Unavailable
    assert (error.status, error.code, error.too_slow) == (status, code, False)


def test_a_write_is_uncertain_only_where_it_may_have_been_done() -> None:
    """A project that is not ready does nothing; a service that fails may fail after the act."""
    for code, expected in [
        ("SITE_NOT_READY", errors.Unavailable),
        ("PLATFORM_SCHEDULED_MAINTENANCE", errors.Unavailable),
        ("SERVICE_UNAVAILABLE", errors.OutcomeUnknown),
    ]:
        failure = verdict(answer(503, code))
        assert isinstance(failure, Failure)
        assert type(error_of(failure, method="POST", request="POST /x", tries=1)) is expected


@pytest.mark.parametrize("code", ["MAINTENANCE_MODE", "ENVIRONMENT_IN_READ_ONLY_MODE"])
def test_what_lasts_as_long_as_people_want_is_reported_at_once(code: str) -> None:
    """Reads go on in maintenance. A read that is refused all the same is left to the next run."""
    failure = verdict(answer(503, code))
    assert isinstance(failure, Failure)
    assert Policy().wait(failure, method="GET", tries=1, elapsed=0.0, random=random.Random(1)) is None
    assert type(error_of(failure, method="GET", request="GET /items", tries=1)) is errors.Unavailable


@pytest.mark.parametrize(
    ("given_answer", "expected"),
    [
        (answer(414), True),
        (answer(414, "ANYTHING"), True),
        (answer(431), True),
        (answer(400, "URI_TOO_LONG"), True),
        (answer(422, "REQUEST_URL_TOO_LARGE"), True),
        (answer(413), False),
        (answer(422, "RESPONSE_TOO_LARGE"), False),
        (answer(422, "INVALID_PARAMS"), False),
    ],
)
def test_an_address_that_is_too_long_is_recognized(given_answer: Response, expected: bool) -> None:
    """Also where a gateway refuses it with a web page: the caller then splits its filter, not its page."""
    error = verdict(given_answer)
    assert isinstance(error, errors.InvalidRequest)
    assert error.too_long is expected
    assert not (error.too_long and error.about_limit)


@pytest.mark.parametrize(
    "code",
    [
        "CONCURRENT_ITEM_UPDATE",
        "CONCURRENT_ITEM_TYPE_UPDATE",
        "DEACTIVATED_SITE",
        "DELETE_RESTRICTION",
        "DUPLICATE_SINGLETON",
        "ENVIRONMENT_IN_READ_ONLY_MODE",
        "ENVIRONMENT_NOT_READY",
        "INVALID_ACCEPT_HEADER",
        "INVALID_API_VERSION",
        "INVALID_AUTHORIZATION_HEADER",
        "INVALID_CONTENT_TYPE_HEADER",
        "INVALID_DATE",
        "INVALID_ENDPOINT",
        "INVALID_ENTITY_ID",
        "INVALID_ENVIRONMENT",
        "INVALID_FILTER_FIELDS_PARAM",
        "INVALID_JSON_BODY",
        "INVALID_ORDERING",
        "INVALID_SITE",
        "ITEM_LOCKED",
        "ITEM_TYPE_IS_SINGLETON",
        "ITEM_TYPE_NOT_FOUND",
        "MAINTENANCE_MODE",
        "PLAN_UPGRADE_REQUIRED",
        "PLATFORM_SCHEDULED_MAINTENANCE",
        "PUBLISHED_CHILDREN",
        "PUBLISHED_REFERENCES",
        "SERVICE_UNAVAILABLE",
        "SITE_NOT_READY",
        "STALE_ITEM_VERSION",
        "TECHNICAL_LIMIT_REACHED",
        "TOO_MANY_OPERATIONS",
        "UNMANAGED_EDIT_CONFLICT",
        "UNPUBLISHED_LINK",
        "UNPUBLISHED_PARENT",
    ],
)
def test_every_documented_code_has_a_hint_of_its_own(code: str) -> None:
    """The code is kept for support, and the sentence says what it means."""
    given_verdict = verdict(answer(422, code))
    text = given_verdict.detail if isinstance(given_verdict, Failure) else given_verdict.message
    unknown = verdict(answer(422, "SOMETHING_NEW"))
    assert isinstance(unknown, errors.InvalidRequest)
    assert text
    assert text != unknown.message
    assert given_verdict.code == code


def test_a_refused_field_is_named_without_its_value() -> None:
    """INVALID_FIELD brings the field's name and the validation's."""
    error = verdict(answer(422, "INVALID_FIELD", details={"field": "title", "code": "VALIDATION_REQUIRED"}))
    assert isinstance(error, errors.InvalidRequest)
    assert error.message == "field title: VALIDATION_REQUIRED"


@pytest.mark.parametrize("code", ["CONCURRENT_ITEM_UPDATE", "MAINTENANCE_MODE", "ENVIRONMENT_NOT_READY"])
@pytest.mark.parametrize("status", [409, 422, 500, 503])
def test_an_error_marked_transient_may_mend(status: int, code: str) -> None:
    """Whatever its code and status."""
    failure = verdict(answer(status, code, transient=True))
    assert isinstance(failure, Failure)
    assert failure.kind is Kind.TRANSIENT


@given(
    status=st.integers(300, 599),
    code=st.none() | st.sampled_from(["NOT_FOUND", "INVALID_ENDPOINT", "INVALID_ENVIRONMENT", "EXCEPTION", "X"]),
    content_type=st.sampled_from(["application/json", "text/html", ""]),
)
def test_only_upstreams_own_not_found_is_not_found(status: int, code: str | None, content_type: str) -> None:
    """It is evidence of a deletion (invariant 5): a gateway's 404 or an unknown path must never look like it."""
    given_answer = answer(status, code)
    given_answer = Response(status, {**given_answer.headers, "content-type": content_type}, given_answer.body, 1)
    if isinstance(verdict(given_answer), errors.NotFound):
        assert code == "NOT_FOUND"
        assert content_type == "application/json"
        assert 400 <= status < 500


@given(st.integers(100, 599), st.binary(max_size=100), st.sampled_from(["application/json", "text/html", None]))
def test_no_answer_breaks_the_judge(status: int, body: bytes, content_type: str | None) -> None:
    """There is always a verdict."""
    headers = {} if content_type is None else {"content-type": content_type}
    assert isinstance(verdict(Response(status, headers, body, 1)), Failure | errors.CmaError)


def test_details_never_bring_content_into_an_error() -> None:
    """Only names of fields, validations and abilities are shown."""
    details = {"field": "title", "code": "VALIDATION_UNIQUE", "value": CONTENT, "message": f"<{CONTENT}>"}
    error = verdict(answer(422, "INVALID_FIELD", details=details))
    assert "title: VALIDATION_UNIQUE" in str(error)
    assert CONTENT not in f"{error} {error!r} {vars(error)}"
    assert CONTENT not in str(verdict(answer(422, CONTENT)))
    error = verdict(answer(401, "INSUFFICIENT_PERMISSIONS", details={"wanted": "can_manage_users", "who": CONTENT}))
    assert "can_manage_users" in str(error)
    assert CONTENT not in str(error)


@pytest.mark.parametrize(
    ("code", "details", "about"),
    [
        ("INVALID_PARAMS", {"page": {"limit": ["must be at most 30"]}}, True),
        ("INVALID_PARAMS", {}, True),
        ("INVALID_FORMAT", {"messages": ["page[limit] too high"]}, True),
        ("INVALID_PAGE_LIMIT", {"field": "size"}, True),
        ("INVALID_PAGINATION", {"max": 30}, True),
        ("RESPONSE_TOO_LARGE", {"code": "X"}, True),
        ("TECHNICAL_LIMIT_REACHED", {}, True),
        ("INVALID_PARAMS", {"name": "order_by"}, False),
        ("INVALID_ORDERING", {}, False),
        ("ITEM_TYPE_NOT_FOUND", {"messages": ["limit"]}, False),
    ],
)
def test_a_refused_page_limit_is_recognized(code: str, details: object, about: bool) -> None:
    """So that a smaller page is tried, and only then."""
    error = verdict(answer(422, code, details=details))
    assert isinstance(error, errors.InvalidRequest)
    assert error.about_limit is about


def test_the_waits_of_a_429_are_read() -> None:
    """X-RateLimit-Reset first, Retry-After else, and nothing where neither can be read."""
    base = answer(429, None)
    for headers, expected in [
        ({"x-ratelimit-reset": "2", "retry-after": "30"}, 2.0),
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:07 GMT"}, 7.0),
        ({"retry-after": "soon", "x-ratelimit-reset": "-1"}, None),
        ({}, None),
    ]:
        failure = verdict(Response(429, {**base.headers, **headers}, base.body, 1))
        assert isinstance(failure, Failure)
        assert failure.retry_after == expected


@given(st.dictionaries(st.sampled_from(["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]), st.text()))
def test_no_rate_header_breaks_it(headers: dict[str, str]) -> None:
    """Numbers or None."""
    announced = rate(headers)
    assert announced.limit is None or announced.limit >= 0
    assert announced.reset is None or 0 <= announced.reset <= 86_400
    retry_after({"retry-after": headers.get("x-ratelimit-reset", "")}, now=0.0)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("application/vnd.api+json", True),
        ("text/html", False),
        ("text/html; x=json", False),
        (None, False),
    ],
)
def test_the_content_type_tells_the_api_from_a_gateway(content_type: str | None, expected: bool) -> None:
    """Its parameters do not count."""
    assert is_json(content_type) is expected


def given_up(kind: Kind, *, method: str = "GET", tries: int = 3) -> errors.CmaError:
    return error_of(Failure(kind, "why"), method=method, request=f"{method} /x", tries=tries)


@pytest.mark.parametrize("kind", list(Kind))
def test_what_was_given_up_is_unavailable(kind: Kind) -> None:
    """A later attempt may help; the error has the number of attempts."""
    error = given_up(kind)
    assert isinstance(error, errors.Unavailable)
    assert isinstance(error, errors.Throttled) == (kind is Kind.THROTTLED)
    assert error.too_slow == (kind in (Kind.TIMEOUT, Kind.TOO_LARGE))
    assert "why (3 tries)" in str(error)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_write_that_may_have_happened_is_uncertain(kind: Kind) -> None:
    """Whoever sent it must look before doing it again."""
    happened = kind in (Kind.TIMEOUT, Kind.RESET, Kind.TORN, Kind.NOT_JSON, Kind.TOO_LARGE, Kind.SERVER)
    assert isinstance(given_up(kind, method="POST"), errors.OutcomeUnknown) == happened


def test_the_error_in_a_jobs_result_is_the_requests_own() -> None:
    """In the same forms, transient ones included."""
    payload = json.dumps(example.error("ITEM_LOCKED")).encode()
    error = error_from_job(422, payload, request="job 1")
    assert isinstance(error, errors.InvalidRequest)
    assert (error.code, error.request) == ("ITEM_LOCKED", "job 1")
    transient = json.dumps(example.error("CONCURRENT_ITEM_UPDATE", transient=True)).encode()
    assert isinstance(error_from_job(422, transient, request="job 1"), errors.Unavailable)
    assert isinstance(error_from_job(500, b"null", request="job 1"), errors.Unavailable)
