"""Environments: `/environments`, and what is done to them."""

from __future__ import annotations

from typing import Any

from versionsync.simulator.calls import Call, Reply, Route, encode, json_reply
from versionsync.simulator.environments import Environment
from versionsync.simulator.problems import Refused, not_found
from versionsync.simulator.resources import Document
from versionsync.simulator.routes_jobs import as_job

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


def list_environments(call: Call) -> Reply:
    """`GET /environments`"""
    writer, access = call.writer(), call.role.final_environments_access
    return json_reply([writer.environment(one) for one in call.world.environments.values() if may_access(access, one)])


def get_environment(call: Call) -> Reply:
    """`GET /environments/:id`"""
    return json_reply(call.writer().environment(_named(call)))


def fork(call: Call) -> Reply:
    """`POST /environments/:id/fork`: a job, or the environment at once with `immediate_return`."""
    call.demand("can_manage_environments")
    source, new_id = _named(call), _new_id(call)
    if call.flag("immediate_return"):
        return json_reply(call.writer().environment(call.world.fork(call.editor, source.id, new_id)), status=201)
    return as_job(call, lambda: _document(call, call.world.fork(call.editor, source.id, new_id)))


def promote(call: Call) -> Reply:
    """`PUT /environments/:id/promote`"""
    call.demand("can_promote_environments")
    return json_reply(call.writer().environment(call.world.promote(call.editor, _named(call).id)))


def rename(call: Call) -> Reply:
    """`PUT /environments/:id/rename`"""
    call.demand("can_manage_environments")
    return json_reply(call.writer().environment(call.world.rename(call.editor, _named(call).id, _new_id(call))))


def destroy(call: Call) -> Reply:
    """`DELETE /environments/:id`, a job."""
    call.demand("can_manage_environments")
    doomed = _named(call)
    return as_job(call, lambda: _document(call, call.world.destroy_environment(call.editor, doomed.id)))


def _named(call: Call) -> Environment:
    environment = call.world.environments.get(call.ids["environment_id"])
    if environment is None or not may_access(call.role.final_environments_access, environment):
        raise not_found("environment", call.ids["environment_id"])
    return environment


def _new_id(call: Call) -> str:
    match call.decode(dict[str, Any]):
        case {"data": {"id": str(new_id)}} if new_id:
            return new_id
    raise Refused("INVALID_FORMAT", details={"reason": "data.id is missing"})


def _document(call: Call, environment: Environment) -> bytes:
    return encode(Document(call.writer().environment(environment)))


ROUTES = (
    Route("GET", "/environments", list_environments),
    Route("GET", "/environments/{environment_id}", get_environment),
    Route("POST", "/environments/{environment_id}/fork", fork),
    Route("PUT", "/environments/{environment_id}/promote", promote),
    Route("PUT", "/environments/{environment_id}/rename", rename),
    Route("DELETE", "/environments/{environment_id}", destroy),
)
