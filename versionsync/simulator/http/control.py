"""Driving a simulator from another process: JSON under `/_simulator/`, beside the API and unknown to its clients.

Neither limits nor faults nor the log of requests see these calls. `?project=ID` names another project than the first.
Only programs on this machine may use them, and those that send the control token (see `control_access`).

| request | does |
| --- | --- |
| `GET /_simulator/` | says what is simulated |
| `GET`, `POST /_simulator/clock` | reads the clock; `{"advance_seconds": 60}`, `{"set": "…"}`, `{"stopped": true}` |
| `GET`, `POST /_simulator/faults` | settings, counts; `{"clear": true, "remember": true, "plant": [{"kind": …}]}` |
| `GET`, `POST /_simulator/switches` | reads, changes `Switches`; durations in seconds |
| `POST /_simulator/limits` | `{"limit": 60}` or null, `{"reserve": 10}` |
| `GET`, `DELETE /_simulator/requests` | counts and the latest requests (`?latest=100`); forgets them |
| `GET /_simulator/truth` | what a perfect mirror holds (`?environment=main`) |
| `GET`, `POST /_simulator/projects` | lists the projects; makes an empty one (`{"name": "…", "token": "…"}`) |
| `POST /_simulator/act` | `{"act": "publish", "editor": "user", "arguments": {"record_id": "…"}}` |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, get_type_hints

import msgspec
from aiohttp import web

from versionsync.simulator.errors import ApiError
from versionsync.simulator.http.control_access import ControlToken, why_refused
from versionsync.simulator.http.faults import FaultKind
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.http.project import Project
from versionsync.simulator.http.server import Server
from versionsync.simulator.world.commands import execute
from versionsync.simulator.world.expected import expected_history
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.times import parse_time
from versionsync.simulator.world.world import World

__all__ = ["mount"]

PREFIX: Final = "/_simulator"
LATEST: Final = 100


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What to do to the clock, in this order: stop or run, set, advance."""

    stopped: bool | None = None
    set: str | None = None
    advance_seconds: float = 0.0


class AddFault(msgspec.Struct, forbid_unknown_fields=True):
    """A fault to plant; see `Faults.plant`."""

    kind: FaultKind
    path: str = ""
    method: str | None = None
    nth: int = 1
    times: int = 1
    seconds: float | None = None
    code: str = "SITE_NOT_READY"
    status: int = 503
    transient: bool = False
    records: list[str] | None = None


class FaultsOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What to do to the faults; members that are left out stay as they are."""

    clear: bool = False
    remember: bool = False
    """Keep the present state of all environments, for answers that lag behind."""
    rates: dict[FaultKind, float] | None = None
    path: str | None = None
    slow_seconds: tuple[float, float] | None = None
    stall_seconds: float | None = None
    vanished_share: float | None = None
    plant: list[AddFault] = []


class LimitsOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What to do to the rate limit."""

    limit: int | msgspec.UnsetType | None = msgspec.UNSET
    reserve: int = 0


class ProjectOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A new project; None: a name, or a token, with a number."""

    name: str | None = None
    token: Annotated[str, msgspec.Meta(pattern=r"^\S+$")] | None = None


class ActionOrder(msgspec.Struct, forbid_unknown_fields=True):
    """An act of the world, by its name, and who does it: `user`, `account`, … or `type/id`."""

    act: str
    editor: str = "user"
    arguments: dict[str, Any] = {}


def mount(server: Server, token: ControlToken | None = None) -> None:
    """Add the control endpoints to *server*'s application; *token* opens them to other machines."""
    control = _Control(server)
    for method, path, handler in (
        ("GET", "/", control.overview),
        ("GET", "/clock", control.clock),
        ("POST", "/clock", control.set_clock),
        ("GET", "/faults", control.faults),
        ("POST", "/faults", control.set_faults),
        ("GET", "/switches", control.switches),
        ("POST", "/switches", control.set_switches),
        ("POST", "/limits", control.set_limits),
        ("GET", "/requests", control.requests),
        ("DELETE", "/requests", control.forget_requests),
        ("GET", "/truth", control.truth),
        ("POST", "/act", control.act),
        ("GET", "/projects", control.projects),
        ("POST", "/projects", control.create_project),
    ):
        server.app.router.add_route(method, PREFIX + path, _guarded(handler, token))


def _guarded(
    handler: Callable[[web.Request], Awaitable[bytes]], token: ControlToken | None
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """*handler* for those who may use it, with what they did wrong as an answer rather than as a traceback."""

    async def guarded(request: web.Request) -> web.Response:
        own_origin = f"{request.scheme}://{request.host}"
        why = why_refused(request.remote, request.headers, own_origin=own_origin, token=token)
        if why is not None:
            return _json(msgspec.json.encode({"error": why}), status=403)
        try:
            return _json(await handler(request))
        except (msgspec.MsgspecError, ApiError, ValueError, TypeError, KeyError) as error:
            return _json(msgspec.json.encode({"error": f"{type(error).__name__}: {error}"}), status=400)

    return guarded


class _Control:
    def __init__(self, server: Server) -> None:
        self._server = server

    def _project(self, request: web.Request) -> Project:
        return self._server.project(request.query.get("project"))

    def _world(self, request: web.Request) -> World:
        return self._project(request).world

    async def overview(self, request: web.Request) -> bytes:
        world = self._world(request)
        return msgspec.json.encode(
            {
                "project_id": world.project_id,
                "name": world.name,
                "seed": world.seed,
                "now": world.clock.now(),
                "tokens": list(world.people.tokens),
                "environments": [
                    {
                        "id": environment.id,
                        "primary": environment.is_primary,
                        "models": len(environment.models),
                        "records": len(environment.records),
                        "versions": len(environment.versions),
                    }
                    for environment in world.environments.values()
                ],
            }
        )

    async def clock(self, request: web.Request) -> bytes:
        clock = self._world(request).clock
        return msgspec.json.encode({"now": clock.now(), "stopped": clock.is_stopped})

    async def set_clock(self, request: web.Request) -> bytes:
        order = msgspec.json.decode(await request.read(), type=ClockOrder)
        clock = self._world(request).clock
        if order.stopped is not None:
            clock.stop() if order.stopped else clock.run()
        if order.set is not None:
            clock.set(parse_time(order.set))
        if order.advance_seconds:
            clock.advance(timedelta(seconds=order.advance_seconds))
        self._world(request).tick()
        self._world(request).expire_versions()
        return await self.clock(request)

    async def faults(self, request: web.Request) -> bytes:
        return msgspec.json.encode(self._project(request).faults.describe())

    async def set_faults(self, request: web.Request) -> bytes:
        order = msgspec.json.decode(await request.read(), type=FaultsOrder)
        faults = self._project(request).faults
        if order.clear:
            faults.clear()
        if order.remember:
            self._world(request).remember()
        for name in ("rates", "path", "slow_seconds", "stall_seconds", "vanished_share"):
            if (value := getattr(order, name)) is not None:
                setattr(faults, name, value)
        for one in order.plant:
            faults.plant(**msgspec.structs.asdict(one))
        return await self.faults(request)

    async def switches(self, request: web.Request) -> bytes:
        values = asdict(self._world(request).options)
        return msgspec.json.encode(
            {name: value.total_seconds() if isinstance(value, timedelta) else value for name, value in values.items()}
        )

    async def set_switches(self, request: web.Request) -> bytes:
        sent = msgspec.json.decode(await request.read(), type=dict[str, Any])
        for name, value in {name: _switch(name, value) for name, value in sent.items()}.items():
            setattr(self._world(request).options, name, value)
        return await self.switches(request)

    async def set_limits(self, request: web.Request) -> bytes:
        order = msgspec.json.decode(await request.read(), type=LimitsOrder)
        if order.limit is None:
            self._project(request).limits = None
        elif order.limit is not msgspec.UNSET:
            self._project(request).limits = RateLimit(order.limit)
        limits = self._project(request).limits
        if limits is not None:
            limits.reserve(order.reserve)
        return msgspec.json.encode(
            {"limit": limits.limit if limits else None, "refused": limits.refused if limits else 0}
        )

    async def requests(self, request: web.Request) -> bytes:
        log = self._project(request).requests
        latest = list(log)[-int(request.query.get("latest", LATEST)) :]
        return msgspec.json.encode(
            {
                "total": log.total,
                "bytes_sent": log.bytes_sent,
                "by_route": dict(log.by_route),
                "by_status": {str(status): count for status, count in log.by_status.items()},
                "latest": latest,
            }
        )

    async def forget_requests(self, request: web.Request) -> bytes:
        self._project(request).requests.reset()
        return await self.requests(request)

    async def truth(self, request: web.Request) -> bytes:
        environment = request.query.get("environment") or self._world(request).primary.id
        return expected_history(self._world(request).event_log, environment).to_json()

    async def projects(self, request: web.Request) -> bytes:
        return msgspec.json.encode([_described(project) for project in self._server.projects])

    async def create_project(self, request: web.Request) -> bytes:
        order = msgspec.json.decode(await request.read() or b"{}", type=ProjectOrder)
        return msgspec.json.encode(_described(self._server.create_project(order.name, order.token)))

    async def act(self, request: web.Request) -> bytes:
        order = msgspec.json.decode(await request.read(), type=ActionOrder)
        self._world(request).tick()
        return msgspec.json.encode(execute(self._world(request), order.act, order.editor, order.arguments))


def _described(project: Project) -> dict[str, str]:
    world = project.world
    return {"project_id": world.project_id, "name": world.name, "token": world.token}


def _switch(name: str, value: Any) -> object:
    """The *value* of the switch *name*. Raises ValueError, or a ValidationError of msgspec."""
    known = get_type_hints(SimulatorOptions)
    if name not in known:
        raise ValueError(f"there is no switch {name!r}; there are: {', '.join(known)}")
    usual = getattr(SimulatorOptions(), name)
    if isinstance(usual, timedelta) or (name == "job_delay" and value is not None):
        return timedelta(seconds=value)
    if isinstance(usual, datetime):
        return parse_time(value)
    converted: object = msgspec.convert(value, known[name])
    return converted


def _json(body: bytes, *, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")
