"""The HTTP server of one or more simulated projects, which are told apart by the API token of a request."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from aiohttp import web

from versionsync.simulator.api.request import Request, Response, Route
from versionsync.simulator.api.routes import all_routes
from versionsync.simulator.api.uploads import FILES_PREFIX
from versionsync.simulator.errors import ApiError, not_found
from versionsync.simulator.http.faults import Faults
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.http.project import Project, secret_of
from versionsync.simulator.scenarios.several import another_world
from versionsync.simulator.world.world import World

__all__ = ["Server"]

LARGEST_BODY_BYTES: Final = 16 * 1024 * 1024
REQUESTS_KEPT_OF_OTHERS: Final = 200
"""How many requests the log of each project but the first keeps: a thousand full logs would take gigabytes."""


class Server:
    """Answers requests about the projects; `app` is what an HTTP server runs. The first one is never removed."""

    def __init__(
        self,
        world: World,
        *,
        others: Iterable[World] = (),
        faults: Faults | None = None,
        limits: RateLimit | None = None,
        compress: bool = True,
    ) -> None:
        """*others*: the worlds of more projects. *limits* None: no rate limit at all."""
        self.projects = [Project(world, faults=faults, limits=limits, compress=compress)]
        self._by_secret: dict[str, Project] = {}
        for other in others:
            self.add(other)
        self.app = web.Application(client_max_size=LARGEST_BODY_BYTES)
        for route in all_routes():
            self.app.router.add_route(route.method, route.path, partial(self._handle, route))
        self.app.router.add_put(FILES_PREFIX + "/{project}/{name}", self._receive_file)

    @property
    def first(self) -> Project:
        """The project that the server was made with."""
        return self.projects[0]

    def add(self, world: World) -> Project:
        """Serve *world*, too, with faults and a rate limit like those of the first project."""
        first = self.first
        limits = first.limits.alike() if first.limits is not None else None
        faults = first.faults.alike()
        project = Project(
            world, faults=faults, limits=limits, compress=first.compress, requests_kept=REQUESTS_KEPT_OF_OTHERS
        )
        self.projects.append(project)
        return project

    def create_project(self, name: str | None = None, token: str | None = None) -> Project:
        """A new, empty project with a token of its own, `world.token`; its clock is that of the first.

        It prints times as projects made today do: with milliseconds and an offset. The other switches are copied.
        Raises ValueError where a project has *token* already: requests with it would be about that one.
        """
        world = another_world(self.first.world, len(self.projects) + 1, name, token)
        for project in self.projects:
            if world.token in project.world.people.tokens:
                raise ValueError(f"this token is taken by the project {project.world.project_id}")
        world.options.milliseconds = world.options.times_with_offset = True
        return self.add(world)

    def project(self, project_id: str | None) -> Project:
        """The project with this id; None: the first. Raises Refused (404)."""
        if project_id is None:
            return self.first
        for project in self.projects:
            if project.world.project_id == project_id:
                return project
        raise not_found("site", project_id)

    def close_routes(self) -> None:
        """Let every path that nothing else answers be INVALID_ENDPOINT; no route can be added afterwards."""
        nowhere = Route("*", "/{tail:.*}", _no_such_endpoint)
        self.app.router.add_route(nowhere.method, nowhere.path, partial(self._handle, nowhere))

    async def _handle(self, route: Route, request: web.Request) -> web.StreamResponse:
        return await self._project_with(secret_of(request)).handle(route, request)

    def _project_with(self, secret: str | None) -> Project:
        """The project that knows the token *secret*; the first one if none does: it refuses the request.

        Tokens come, go and change at any time, through the API and otherwise. So what was found is only a hint, which
        holds as long as the project still knows the token; all projects are searched when it does not.
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
        """Take the bytes of a file; no token is needed, but the signature that came with the address."""
        path = request.path.removeprefix(FILES_PREFIX)
        try:
            files = self.project(request.match_info["project"]).world.files
            files.receive(path, request.query.get("signature", ""), await request.read())
        except ApiError as refused:
            return web.Response(body=refused.document(), status=refused.status, content_type="application/json")
        return web.Response()


def _no_such_endpoint(call: Request) -> Response:
    raise ApiError("INVALID_ENDPOINT", 404, details={"method": call.method, "path": call.path})
