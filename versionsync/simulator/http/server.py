"""The HTTP server of one or more simulated projects. The API token of a request decides which project it is for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from aiohttp import web

from versionsync.simulator.api import audit_log, people_roles_tokens, records, schema, uploads, webhooks
from versionsync.simulator.api import project as project_routes
from versionsync.simulator.api.request import Request, Response, Route
from versionsync.simulator.api.uploads import FILES_PREFIX
from versionsync.simulator.errors import ApiError, not_found
from versionsync.simulator.http.faults import Faults
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.http.project import Project, secret_of
from versionsync.simulator.scenarios.bulk import another_world
from versionsync.simulator.world.world import World

__all__ = ["ALL_ROUTES", "Server"]


ALL_ROUTES: Final = (
    *schema.ROUTES,
    *records.ROUTES,
    *people_roles_tokens.ROUTES,
    *webhooks.ROUTES,
    *uploads.ROUTES,
    *project_routes.ROUTES,
    *audit_log.ROUTES,
)
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
REQUESTS_KEPT_OF_OTHERS: Final = 200
"""How many requests are logged for each project after the first: a thousand full logs would take gigabytes."""


class Server:
    """Answers requests for the projects; `app` is what an HTTP server runs. The first project is never removed."""

    def __init__(
        self,
        world: World,
        *,
        others: Iterable[World] = (),
        faults: Faults | None = None,
        limits: RateLimit | None = None,
        compress: bool = True,
    ) -> None:
        """*others*: the worlds of more projects. *limits* None: no rate limit."""
        self.projects = [Project(world, faults=faults, limits=limits, compress=compress)]
        self._by_secret: dict[str, Project] = {}
        for other in others:
            self.add(other)
        self.app = web.Application(client_max_size=MAX_BODY_BYTES)
        for route in ALL_ROUTES:
            self.app.router.add_route(route.method, route.path, partial(self._handle, route))
        self.app.router.add_put(FILES_PREFIX + "/{project}/{name}", self._receive_file)

    @property
    def first(self) -> Project:
        """The project that the server was created with."""
        return self.projects[0]

    def add(self, world: World) -> Project:
        """Serve *world* too, with faults and a rate limit like those of the first project."""
        first = self.first
        project = Project(
            world,
            faults=first.faults.without_state(),
            limits=first.limits.without_state() if first.limits is not None else None,
            compress=first.compress,
            requests_kept=REQUESTS_KEPT_OF_OTHERS,
        )
        self.projects.append(project)
        return project

    def create_project(self, name: str | None = None, token: str | None = None) -> Project:
        """Add an empty project with its own token, `world.token`, and the clock of the first project.

        It prints times as new projects do, with milliseconds and an offset. The other switches are copied.
        Raise ValueError if a project has *token* already.
        """
        world = another_world(self.first.world, len(self.projects) + 1, name, token)
        for project in self.projects:
            if world.token in project.world.people.tokens:
                raise ValueError(f"this token is taken by the project {project.world.project_id}")
        world.options.milliseconds = world.options.times_with_offset = True
        return self.add(world)

    def project(self, project_id: str | None) -> Project:
        """Return the project with this id; None: the first. Raise ApiError (404)."""
        if project_id is None:
            return self.first
        for project in self.projects:
            if project.world.project_id == project_id:
                return project
        raise not_found("site", project_id)

    def close_routes(self) -> None:
        """Answer every other path with INVALID_ENDPOINT; no route can be added afterwards."""
        fallback = Route("*", "/{tail:.*}", _no_such_endpoint)
        self.app.router.add_route(fallback.method, fallback.path, partial(self._handle, fallback))

    async def _handle(self, route: Route, request: web.Request) -> web.StreamResponse:
        return await self._project_with(secret_of(request)).handle(route, request)

    def _project_with(self, secret: str | None) -> Project:
        """Return the project that has the token *secret*, or the first one, which refuses the request.

        Tokens can change at any time, also without the API. So a cached result is used only as long as its project
        still has the token; otherwise all projects are searched.
        """
        if secret is None:
            return self.first
        known = self._by_secret.get(secret)
        if known is not None and secret in known.world.people.tokens:
            return known
        for project in self.projects:
            if secret in project.world.people.tokens:
                self._by_secret[secret] = project
                return project
        self._by_secret.pop(secret, None)
        return self.first

    async def _receive_file(self, request: web.Request) -> web.Response:
        """Receive the bytes of a file. It needs no token, only the signature in the URL."""
        path = request.path.removeprefix(FILES_PREFIX)
        try:
            files = self.project(request.match_info["project"]).world.files
            files.receive(path, request.query.get("signature", ""), await request.read())
        except ApiError as error:
            return web.Response(body=error.document(), status=error.status, content_type="application/json")
        return web.Response()


def _no_such_endpoint(request: Request) -> Response:
    raise ApiError("INVALID_ENDPOINT", 404, method=request.method, path=request.path)
