"""Control of a simulator from another process: JSON under `/_simulator/`, beside the API and hidden from its clients.

These requests are not limited, have no faults and are not logged. `?project=ID` names another project than the first.
Only programs on this machine may send them, and those that send the control token.

| request | effect |
| --- | --- |
| `GET /_simulator/` | describes the project |
| `GET`, `POST /_simulator/clock` | the clock: `{"advance_seconds": 60}`, `{"set": "…"}`, `{"stopped": true}` |
| `GET`, `POST /_simulator/faults` | settings and counts; `{"clear": true, "remember": true, "plant": [{"kind": …}]}` |
| `GET`, `POST /_simulator/switches` | reads or changes `SimulatorOptions`; durations in seconds |
| `POST /_simulator/limits` | `{"limit": 60}` or null, `{"reserve": 10}` |
| `GET`, `DELETE /_simulator/requests` | counts and the latest requests (`?latest=100`); deletes them |
| `GET /_simulator/truth` | what a perfect mirror holds (`?environment=main`) |
| `GET`, `POST /_simulator/projects` | lists the projects; adds an empty one (`{"name": "…", "token": "…"}`) |
| `POST /_simulator/act` | `{"act": "publish", "editor": "user", "arguments": {"record_id": "…"}}` |

A page in a browser of this machine must not control it, since the page can come from anywhere. So requests from
pages of other sites are refused, and requests whose `Host` is neither an address nor localhost: a page can point its
own name to 127.0.0.1.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Final, get_type_hints
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from versionsync.simulator.errors import ApiError
from versionsync.simulator.http.faults import FaultKind
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.http.project import Project
from versionsync.simulator.http.server import Server
from versionsync.simulator.world.expected_history import expected_history
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.times import parse_time
from versionsync.simulator.world.world import World, execute

__all__ = ["ControlToken", "is_loopback", "mount", "refusal"]

MIN_TOKEN_LENGTH: Final = 16
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
"""Headers of a proxy: the request comes from another machine, even if the connection is local."""
_OTHER_SITES: Final = frozenset({"cross-site", "same-site"})


class ControlToken:
    """The secret that opens the control endpoints to other machines. Raise ValueError if it is too short."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        if len(secret) < MIN_TOKEN_LENGTH or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValueError(f"a control token has {MIN_TOKEN_LENGTH} characters or more: letters, digits, punctuation")
        self._secret = secret.encode()

    def matches(self, authorization: str) -> bool:
        """Return whether the header *authorization* has the token."""
        scheme, _, secret = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(secret.strip().encode(), self._secret)


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, can only be reached from this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address is not None and address.is_loopback


def refusal(
    remote: str | None, headers: Mapping[str, str], *, own_origin: str, token: ControlToken | None
) -> str | None:
    """Return why a control request is refused, or None.

    Args:
        remote: The address at the other end of the connection.
        headers: The headers by name, in any case.
        own_origin: The scheme and `Host` of the request.
        token: The token that opens the endpoints to other machines, if any.
    """
    if headers.get("Origin", own_origin) != own_origin or headers.get("Sec-Fetch-Site") in _OTHER_SITES:
        return "a page of another site may not use the control endpoints"
    if token is not None and token.matches(headers.get("Authorization", "")):
        return None
    needed = (
        "send the control token: `Authorization: Bearer …`"
        if token is not None
        else "start the simulator with a control token"
    )
    if remote is None or not is_loopback(remote) or any(name in headers for name in _FORWARDED):
        return f"the control endpoints answer programs on the simulator's own machine; from elsewhere {needed}"
    host = urlsplit(own_origin).hostname or ""
    if not is_loopback(host) and _address(host) is None:
        return f"the control endpoints answer under 127.0.0.1, [::1] and localhost; under another name {needed}"
    return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


PREFIX: Final = "/_simulator"
LATEST: Final = 100


class ClockChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of the clock, applied in this order: stop or run, set, advance."""

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


class FaultsChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of the faults; missing members change nothing."""

    clear: bool = False
    remember: bool = False
    """Keep the current state of all environments, for lagging answers."""
    rates: dict[FaultKind, float] | None = None
    path: str | None = None
    slow_seconds: tuple[float, float] | None = None
    stall_seconds: float | None = None
    vanished_share: float | None = None
    plant: list[AddFault] = []


class LimitsChange(msgspec.Struct, forbid_unknown_fields=True):
    """Changes of the rate limit."""

    limit: int | msgspec.UnsetType | None = msgspec.UNSET
    reserve: int = 0


class AddProject(msgspec.Struct, forbid_unknown_fields=True):
    """A new project; without a name or token it gets one with a number."""

    name: str | None = None
    token: Annotated[str, msgspec.Meta(pattern=r"^\S+$")] | None = None


class Action(msgspec.Struct, forbid_unknown_fields=True):
    """An action on the world, by its name, and its editor: `user`, `account`, … or `type/id`."""

    act: str
    editor: str = "user"
    arguments: dict[str, Any] = {}


def mount(server: Server, token: ControlToken | None = None) -> None:
    """Add the control endpoints to the application of *server*; *token* opens them to other machines."""
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
        ("DELETE", "/requests", control.delete_requests),
        ("GET", "/truth", control.truth),
        ("POST", "/act", control.act),
        ("GET", "/projects", control.projects),
        ("POST", "/projects", control.create_project),
    ):
        server.app.router.add_route(method, PREFIX + path, _guarded(handler, token))


def _guarded(
    handler: Callable[[web.Request], Awaitable[bytes]], token: ControlToken | None
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return *handler* for permitted clients, with errors as answers."""

    async def guarded(request: web.Request) -> web.Response:
        own_origin = f"{request.scheme}://{request.host}"
        refused = refusal(request.remote, request.headers, own_origin=own_origin, token=token)
        if refused is not None:
            return _json(msgspec.json.encode({"error": refused}), status=403)
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
        change = msgspec.json.decode(await request.read(), type=ClockChange)
        clock = self._world(request).clock
        if change.stopped is not None:
            clock.stop() if change.stopped else clock.run()
        if change.set is not None:
            clock.set(parse_time(change.set))
        if change.advance_seconds:
            clock.advance(timedelta(seconds=change.advance_seconds))
        self._world(request).tick()
        self._world(request).expire_versions()
        return await self.clock(request)

    async def faults(self, request: web.Request) -> bytes:
        return msgspec.json.encode(self._project(request).faults.describe())

    async def set_faults(self, request: web.Request) -> bytes:
        change = msgspec.json.decode(await request.read(), type=FaultsChange)
        faults = self._project(request).faults
        if change.clear:
            faults.clear()
        if change.remember:
            self._world(request).remember()
        for name in ("rates", "path", "slow_seconds", "stall_seconds", "vanished_share"):
            if (value := getattr(change, name)) is not None:
                setattr(faults, name, value)
        for one in change.plant:
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
        change = msgspec.json.decode(await request.read(), type=LimitsChange)
        if change.limit is None:
            self._project(request).limits = None
        elif change.limit is not msgspec.UNSET:
            self._project(request).limits = RateLimit(change.limit)
        limits = self._project(request).limits
        if limits is not None:
            limits.reserve(change.reserve)
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

    async def delete_requests(self, request: web.Request) -> bytes:
        self._project(request).requests.reset()
        return await self.requests(request)

    async def truth(self, request: web.Request) -> bytes:
        environment = request.query.get("environment") or self._world(request).primary.id
        return expected_history(self._world(request).event_log, environment).to_json()

    async def projects(self, request: web.Request) -> bytes:
        return msgspec.json.encode([_settings(project) for project in self._server.projects])

    async def create_project(self, request: web.Request) -> bytes:
        new = msgspec.json.decode(await request.read() or b"{}", type=AddProject)
        return msgspec.json.encode(_settings(self._server.create_project(new.name, new.token)))

    async def act(self, request: web.Request) -> bytes:
        action = msgspec.json.decode(await request.read(), type=Action)
        self._world(request).tick()
        return msgspec.json.encode(execute(self._world(request), action.act, action.editor, action.arguments))


def _settings(project: Project) -> dict[str, str]:
    world = project.world
    return {"project_id": world.project_id, "name": world.name, "token": world.token}


def _switch(name: str, value: Any) -> object:
    """Return the *value* of the switch *name*. Raise ValueError, or ValidationError of msgspec."""
    known = get_type_hints(SimulatorOptions)
    if name not in known:
        raise ValueError(f"there is no switch {name!r}; there are: {', '.join(known)}")
    default = getattr(SimulatorOptions(), name)
    if isinstance(default, timedelta) or (name == "job_delay" and value is not None):
        return timedelta(seconds=value)
    if isinstance(default, datetime):
        return parse_time(value)
    converted: object = msgspec.convert(value, known[name])
    return converted


def _json(body: bytes, *, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")
