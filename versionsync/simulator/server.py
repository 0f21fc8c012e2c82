"""The HTTP server of one or more simulated projects, which are told apart by the API token of a request."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from aiohttp import web

from versionsync.simulator.calls import Call, Reply, Route
from versionsync.simulator.editors import FULL_ACCESS_TOKEN
from versionsync.simulator.faults import Faults
from versionsync.simulator.limits import RateLimit
from versionsync.simulator.problems import Refused, not_found
from versionsync.simulator.project import Project, secret_of
from versionsync.simulator.routes import all_routes
from versionsync.simulator.routes_uploads import FILES_PREFIX
from versionsync.simulator.world import World

__all__ = ["Server"]

LARGEST_BODY_BYTES: Final = 16 * 1024 * 1024
FIRST_PROJECT: Final = 205


class Server:
    """Answers requests about the projects; `app` is what an HTTP server runs. The first one is never removed."""

    def __init__(
        self,
        world: World,
        *,
        faults: Faults | None = None,
        limits: RateLimit | None = None,
        compress: bool = True,
    ) -> None:
        """*limits* None: no rate limit at all."""
        self.projects = [Project(world, faults=faults, limits=limits, compress=compress)]
        self.app = web.Application(client_max_size=LARGEST_BODY_BYTES)
        for route in all_routes():
            self.app.router.add_route(route.method, route.path, partial(self._handle, route))
        self.app.router.add_put(FILES_PREFIX + "/{project}/{name}", self._receive_file)

    @property
    def first(self) -> Project:
        """The project that the server was made with."""
        return self.projects[0]

    def add(self, world: World) -> Project:
        """Serve *world*, too, with the faults and the rate limit of the first project."""
        first = self.first
        project = Project(world, faults=first.faults.alike(), limits=first.limits, compress=first.compress)
        self.projects.append(project)
        return project

    def create_project(self, name: str | None = None) -> Project:
        """A new, empty project with a token of its own, `world.token`; its clock is that of the first.

        It prints times as projects made today do: with milliseconds and an offset. The other switches are copied.
        """
        number = FIRST_PROJECT + len(self.projects)
        first = self.first.world
        return self.add(
            World(
                seed=first.seed + len(self.projects),
                clock=first.clock,
                project_id=str(number),
                name=name or f"Project {number}",
                token=f"{FULL_ACCESS_TOKEN}-{len(self.projects) + 1}",
                switches=replace(first.switches, milliseconds=True, times_with_offset=True),
            )
        )

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
        secret = secret_of(request)
        known = (project for project in self.projects if secret in project.world.people.tokens)
        return await next(known, self.first).handle(route, request)

    async def _receive_file(self, request: web.Request) -> web.Response:
        """Take the bytes of a file; no token is needed, but the signature that came with the address."""
        path = request.path.removeprefix(FILES_PREFIX)
        try:
            files = self.project(request.match_info["project"]).world.files
            files.receive(path, request.query.get("signature", ""), await request.read())
        except Refused as refused:
            return web.Response(body=refused.document(), status=refused.status, content_type="application/json")
        return web.Response()


def _no_such_endpoint(call: Call) -> Reply:
    raise Refused("INVALID_ENDPOINT", 404, details={"method": call.method, "path": call.path})
