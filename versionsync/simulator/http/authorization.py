"""Who may send a request: its token, the token's role, and the environment that the role may use."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from versionsync.simulator.api.project import may_access
from versionsync.simulator.errors import ApiError
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.people_roles_tokens import Token
from versionsync.simulator.world.world import World

__all__ = ["accessible_environment", "authorized_token", "secret_of"]


def secret_of(request: web.Request) -> str | None:
    """Return the API token of *request*: empty if it has another form, None if there is no header."""
    if "Authorization" not in request.headers:
        return None
    scheme, _, secret = request.headers["Authorization"].partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def authorized_token(world: World, request: web.Request) -> Token:
    """Return the token of a request, and note its use. Raises ApiError if there is none, or it may not use the API."""
    secret = secret_of(request)
    if secret is None:
        raise ApiError("INVALID_SITE", 401)
    token = world.people.tokens.get(secret)
    if token is None:
        raise ApiError("INVALID_AUTHORIZATION_HEADER", 401)
    if not token.can_access_cma:
        raise ApiError("INSUFFICIENT_PERMISSIONS", 401, details={"ability": "can_access_cma"})
    world.people.last_used[token.editor.id] = world.clock.now()
    return token


def accessible_environment(world: World, request: web.Request, token: Token, now: datetime) -> Environment:
    """Return the environment of a request. Raises ApiError if the role may not use it, or it is not ready."""
    environment = world.environment(request.headers.get("X-Environment"))
    if not may_access(token.role.final_environments_access, environment):
        details = {"ability": "environments_access", "environment": environment.id}
        raise ApiError("INSUFFICIENT_PERMISSIONS", 401, details=details)
    if not request.path.startswith("/environments"):
        environment.check_ready(now)
    return environment
