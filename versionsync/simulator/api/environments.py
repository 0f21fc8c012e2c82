"""Environments: `/environments`, and what is done to them."""

from __future__ import annotations

from typing import Any

from versionsync.simulator.api.job_routes import as_job
from versionsync.simulator.api.request import Request, Response, Route, encode, json_response
from versionsync.simulator.errors import ApiError, not_found
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.serialization import Document

__all__ = ["ROUTES", "may_access"]


def may_access(access: str, environment: Environment) -> bool:
    """Whether a role with this `environments_access` may use *environment*."""
    match access:
        case "primary_only":
            return environment.is_primary
        case "sandbox_only":
            return not environment.is_primary
        case _:
            return access == "all"


def list_environments(call: Request) -> Response:
    """`GET /environments`"""
    writer, access = call.serializer(), call.role.final_environments_access
    return json_response(
        [writer.environment(one) for one in call.world.environments.values() if may_access(access, one)]
    )


def get_environment(call: Request) -> Response:
    """`GET /environments/:id`"""
    return json_response(call.serializer().environment(_named(call)))


def fork(call: Request) -> Response:
    """`POST /environments/:id/fork`: a job, or the environment at once with `immediate_return`."""
    call.demand("can_manage_environments")
    source, new_id = _named(call), _new_id(call)
    if call.flag("immediate_return"):
        return json_response(call.serializer().environment(call.world.fork(call.editor, source.id, new_id)), status=201)
    return as_job(call, lambda: _document(call, call.world.fork(call.editor, source.id, new_id)))


def promote(call: Request) -> Response:
    """`PUT /environments/:id/promote`"""
    call.demand("can_promote_environments")
    return json_response(call.serializer().environment(call.world.promote(call.editor, _named(call).id)))


def rename(call: Request) -> Response:
    """`PUT /environments/:id/rename`"""
    call.demand("can_manage_environments")
    return json_response(call.serializer().environment(call.world.rename(call.editor, _named(call).id, _new_id(call))))


def destroy(call: Request) -> Response:
    """`DELETE /environments/:id`, a job."""
    call.demand("can_manage_environments")
    doomed = _named(call)
    return as_job(call, lambda: _document(call, call.world.destroy_environment(call.editor, doomed.id)))


def _named(call: Request) -> Environment:
    environment = call.world.environments.get(call.ids["environment_id"])
    if environment is None or not may_access(call.role.final_environments_access, environment):
        raise not_found("environment", call.ids["environment_id"])
    return environment


def _new_id(call: Request) -> str:
    match call.decode(dict[str, Any]):
        case {"data": {"id": str(new_id)}} if new_id:
            return new_id
    raise ApiError("INVALID_FORMAT", details={"reason": "data.id is missing"})


def _document(call: Request, environment: Environment) -> bytes:
    return encode(Document(call.serializer().environment(environment)))


ROUTES = (
    Route("GET", "/environments", list_environments),
    Route("GET", "/environments/{environment_id}", get_environment),
    Route("POST", "/environments/{environment_id}/fork", fork),
    Route("PUT", "/environments/{environment_id}/promote", promote),
    Route("PUT", "/environments/{environment_id}/rename", rename),
    Route("DELETE", "/environments/{environment_id}", destroy),
)
