"""Runs a simulator: within an event loop, in its own thread, or as a program."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Final, Self, TypedDict, TypeVar, Unpack

from aiohttp import web

from versionsync.simulator.http.control import ControlToken, mount
from versionsync.simulator.http.faults import Faults
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.http.server import Server
from versionsync.simulator.http.webhook_sender import send_webhooks
from versionsync.simulator.scenarios.live import LiveEditors
from versionsync.simulator.world.world import World

__all__ = ["Simulator", "SimulatorThread", "serve"]

T = TypeVar("T")

START_SECONDS: Final = 30.0
SHUTDOWN_SECONDS: Final = 0.5


class Settings(TypedDict, total=False):
    """The settings of a simulator. All have defaults."""

    others: Iterable[World]
    """The worlds of more projects."""
    host: str
    """The address to listen on; by default only this machine can reach it."""
    port: int
    """The port; 0: a free one."""
    faults: Faults | None
    """The faults of each project."""
    limits: RateLimit | None
    """The rate limit of each project; None: none."""
    compress: bool
    """Whether large answers are compressed."""
    pace: float | None
    """The actions a minute of live editors in each project; None: no live editors."""
    report: Callable[[World, str], object] | None
    """Called with the world and a description of each action of a live editor."""
    control_token: ControlToken | None
    """Opens the control endpoints to other machines."""


class Simulator:
    """A server for *world* while the block runs: `async with Simulator(world) as simulator: simulator.url`.

    `world`, `faults`, `requests` and `limits` are those of its first project; `server` has all projects.
    """

    def __init__(
        self,
        world: World,
        *,
        others: Iterable[World] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults | None = None,
        limits: RateLimit | None = None,
        compress: bool = True,
        pace: float | None = None,
        report: Callable[[World, str], object] | None = None,
        control_token: ControlToken | None = None,
    ) -> None:
        """Create a server; it starts with the block. See `Settings`."""
        self.server = Server(world, others=others, faults=faults, limits=limits, compress=compress)
        mount(self.server, control_token)
        self.server.close_routes()
        self.world = world
        self.faults = self.server.first.faults
        self.requests = self.server.first.requests
        self._editors = None if pace is None else LiveEditors(self.server.projects, pace=pace, report=report)
        self._host = host
        self._port = port
        self._running = AsyncExitStack()
        self._url = ""

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        if not self._url:
            raise RuntimeError("the simulator is not running: use it as `async with Simulator(…)`")
        return self._url

    @property
    def limits(self) -> RateLimit | None:
        """The rate limit, if any; it can be replaced while the server runs."""
        return self.server.first.limits

    @limits.setter
    def limits(self, limits: RateLimit | None) -> None:
        self.server.first.limits = limits

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            runner = web.AppRunner(self.server.app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            await web.TCPSite(runner, self._host, self._port).start()
            await stack.enter_async_context(_background(send_webhooks(self.server.projects), name="webhook calls"))
            if self._editors is not None:
                await stack.enter_async_context(_background(self._editors.run(), name="live editors"))
            host, port = runner.addresses[0][:2]
            self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._url = ""
        await self._running.aclose()


class SimulatorThread:
    """A server for code without an event loop: `with SimulatorThread(world) as simulator: simulator.url`.

    It has its own thread and event loop. While it runs, use the world only through `act`. See `Simulator`.
    """

    def __init__(self, world: World, **settings: Unpack[Settings]) -> None:
        self._make = partial(Simulator, world, **settings)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._simulator: Simulator | None = None
        self._failure: BaseException | None = None
        self._started = threading.Event()

    @property
    def simulator(self) -> Simulator:
        """The running simulator; its `requests`, `faults` and `limits` may be read from any thread."""
        if self._simulator is None:
            raise RuntimeError("the simulator is not running: use it as `with SimulatorThread(…)`")
        return self._simulator

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return self.simulator.url

    def act(self, act: Callable[[World], T]) -> T:
        """Run *act* on the world in the server's thread, between two requests, and return what it returns."""
        simulator, loop = self.simulator, self._loop
        if loop is None:
            raise RuntimeError("the simulator is not running: use it as `with SimulatorThread(…)`")

        async def run() -> T:
            return act(simulator.world)

        return asyncio.run_coroutine_threadsafe(run(), loop).result()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="simulator", daemon=True)
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise TimeoutError(f"the simulator did not start within {START_SECONDS:.0f} s")
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._loop = self._stop = self._thread = self._simulator = None

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with self._make() as simulator:
                self._simulator = simulator
                self._started.set()
                await self._stop.wait()
        except Exception as error:
            if self._started.is_set():
                raise
            self._failure = error  # raised by the thread that waits for the start, for instance if the port is in use
            self._started.set()


def serve(world: World, *, on_start: Callable[[Simulator], object] | None = None, **settings: Unpack[Settings]) -> None:
    """Serve *world* until SIGINT or SIGTERM; call *on_start* with the running simulator.

    The garbage collector ignores what exists at the start.
    """

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with Simulator(world, **settings) as simulator:
            gc.freeze()  # a full collection over a million versions would delay a request by a second
            if on_start is not None:
                on_start(simulator)
            await stop.wait()

    asyncio.run(run())


@asynccontextmanager
async def _background(work: Coroutine[object, object, None], *, name: str) -> AsyncIterator[None]:
    """Run *work* while the block runs."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
