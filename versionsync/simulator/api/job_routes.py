"""Jobs: `/job-results/:id`, and how other routes answer with one."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import msgspec

from versionsync.simulator.api.request import Request, Response, Route, json_response
from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.serialization import Resource

__all__ = ["ROUTES", "as_job"]


def as_job(call: Request, act: Callable[[], bytes], *, status: int = 200) -> Response:
    """Answer 202 with a job whose result is what *act* returns, or the error document of what it refuses.

    *status* is what the request itself would have been answered with, had it gone well at once.
    """
    try:
        payload = act()
    except ApiError as refused:
        status, payload = refused.status, refused.document()
    job = call.services.jobs.finish(status, payload)
    return json_response(Resource(job.id, "job"), status=202)


def job_result(call: Request) -> Response:
    """`GET /job-results/:id`"""
    job = call.services.jobs.result(call.ids["job_id"])
    attributes = {
        "status": job.status,
        "statusText": HTTPStatus(job.status).phrase,
        "payload": msgspec.Raw(job.payload or b"null"),
    }
    return json_response(Resource(job.id, "job_result", attributes))


ROUTES = (Route("GET", "/job-results/{job_id}", job_result),)
