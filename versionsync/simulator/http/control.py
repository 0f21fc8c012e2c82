"""Control of a simulator from another process: JSON under `/_simulator/`, beside the API and hidden from its clients.

These requests are not limited, have no faults and are not logged. `?project=ID` names another project than the first.
Only programs on this machine may send them, and those that send the control token. `docs/simulator.md` lists them.

A page in a browser of this machine must not control it, since the page can come from anywhere. So requests from
pages of other sites are refused, and requests whose `Host` is neither an address nor localhost: a page can point its
own name to 127.0.0.1.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Final, TypeVar, get_type_hints
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

T = TypeVar("T")

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
    after: bool = False


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


@dataclass(frozen=True, slots=True)
class _Request:
    """A request of a permitted client."""

    server: Server
    project: Project
    query: Mapping[str, str]
    body: bytes

    @property
    def world(self) -> World:
        return self.project.world

    def decode(self, form: type[T]) -> T:
        return msgspec.json.decode(self.body or b"{}", type=form)


def _overview(request: _Request) -> object:
    world = request.world
    return {
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


def _clock(request: _Request) -> object:
    clock = request.world.clock
    return {"now": clock.now(), "stopped": clock.is_stopped}


def _set_clock(request: _Request) -> object:
    change, world = request.decode(ClockChange), request.world
    if change.stopped is not None:
        world.clock.stop() if change.stopped else world.clock.run()
    if change.set is not None:
        world.clock.set(parse_time(change.set))
    if change.advance_seconds:
        world.clock.advance(timedelta(seconds=change.advance_seconds))
    world.tick()
    world.expire_versions()
    return _clock(request)


def _faults(request: _Request) -> object:
    return request.project.faults.describe()


def _set_faults(request: _Request) -> object:
    change, faults = request.decode(FaultsChange), request.project.faults
    if change.clear:
        faults.clear()
    if change.remember:
        request.world.remember()
    for name in ("rates", "path", "slow_seconds", "stall_seconds", "vanished_share"):
        if (value := getattr(change, name)) is not None:
            setattr(faults, name, value)
    for one in change.plant:
        faults.plant(**msgspec.structs.asdict(one))
    return _faults(request)


def _switches(request: _Request) -> object:
    values = asdict(request.world.options)
    return {name: value.total_seconds() if isinstance(value, timedelta) else value for name, value in values.items()}


def _set_switches(request: _Request) -> object:
    sent = request.decode(dict[str, Any])
    for name, value in {name: _switch(name, value) for name, value in sent.items()}.items():
        setattr(request.world.options, name, value)
    return _switches(request)


def _set_limits(request: _Request) -> object:
    change, project = request.decode(LimitsChange), request.project
    if change.limit is not msgspec.UNSET:
        project.limits = None if change.limit is None else RateLimit(change.limit)
    if project.limits is None:
        return {"limit": None, "refused": 0}
    project.limits.reserve(change.reserve)
    return {"limit": project.limits.limit, "refused": project.limits.refused}


def _requests(request: _Request) -> object:
    log = request.project.requests
    return {
        "total": log.total,
        "bytes_sent": log.bytes_sent,
        "by_route": log.by_route,
        "by_status": {str(status): count for status, count in log.by_status.items()},
        "latest": list(log)[-int(request.query.get("latest", LATEST)) :],
    }


def _delete_requests(request: _Request) -> object:
    request.project.requests.reset()
    return _requests(request)


def _truth(request: _Request) -> object:
    environment = request.query.get("environment") or request.world.primary.id
    return msgspec.Raw(expected_history(request.world.event_log, environment).to_json())


def _projects(request: _Request) -> object:
    return [_settings(project) for project in request.server.projects]


def _create_project(request: _Request) -> object:
    new = request.decode(AddProject)
    return _settings(request.server.create_project(new.name, new.token))


def _act(request: _Request) -> object:
    action = request.decode(Action)
    request.world.tick()
    return execute(request.world, action.act, action.editor, action.arguments)


_HANDLERS: Final[Mapping[tuple[str, str], Callable[[_Request], object]]] = {
    ("GET", "/"): _overview,
    ("GET", "/clock"): _clock,
    ("POST", "/clock"): _set_clock,
    ("GET", "/faults"): _faults,
    ("POST", "/faults"): _set_faults,
    ("GET", "/switches"): _switches,
    ("POST", "/switches"): _set_switches,
    ("POST", "/limits"): _set_limits,
    ("GET", "/requests"): _requests,
    ("DELETE", "/requests"): _delete_requests,
    ("GET", "/truth"): _truth,
    ("POST", "/act"): _act,
    ("GET", "/projects"): _projects,
    ("POST", "/projects"): _create_project,
}


def mount(server: Server, token: ControlToken | None = None) -> None:
    """Add the control endpoints to the application of *server*; *token* opens them to other machines."""
    for (method, path), handler in _HANDLERS.items():
        server.app.router.add_route(method, PREFIX + path, partial(_answer, server, token, handler))


async def _answer(
    server: Server, token: ControlToken | None, handler: Callable[[_Request], object], request: web.Request
) -> web.Response:
    """Let *handler* answer if the client is permitted, with errors as answers."""
    own_origin = f"{request.scheme}://{request.host}"
    refused = refusal(request.remote, request.headers, own_origin=own_origin, token=token)
    if refused is not None:
        return _json({"error": refused}, status=403)
    try:
        project = server.project(request.query.get("project"))
        return _json(handler(_Request(server, project, request.query, await request.read())))
    except (msgspec.MsgspecError, ApiError, ValueError, TypeError, KeyError) as error:
        return _json({"error": f"{type(error).__name__}: {error}"}, status=400)


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


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
