"""Running a simulator: within an event loop, in a thread of its own, or as a whole program."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

from aiohttp import web

from versionsync.simulator.http.control import mount
from versionsync.simulator.http.control_access import ControlToken
from versionsync.simulator.http.faults import Faults
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.http.server import Server
from versionsync.simulator.http.webhook_sender import WebhookSender
from versionsync.simulator.scenarios.live import LiveEditors
from versionsync.simulator.world.world import World

__all__ = ["Simulator", "SimulatorThread", "serve"]

T = TypeVar("T")

START_SECONDS: Final = 30.0
SHUTDOWN_SECONDS: Final = 0.5


class Simulator:
    """A server for *world*, up while the block runs: `async with Simulator(world) as simulator: simulator.url`.

    `world`, `faults`, `requests` and `limits` are those of its first project; `server` knows all of them.
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
        tell: Callable[[World, str], object] | None = None,
        control_token: ControlToken | None = None,
    ) -> None:
        """*others*: the worlds of more projects. *port* 0: a free one. *limits* None: no rate limit.

        *control_token*: opens the control endpoints to other machines.
        *pace*: editors work by themselves, with so many acts a minute in each project; *tell* is called with each act.
        """
        self.server = Server(world, others=others, faults=faults, limits=limits, compress=compress)
        mount(self.server, control_token)
        self.server.close_routes()
        self.world = world
        self.faults = self.server.first.faults
        self.requests = self.server.first.requests
        self._editors = None if pace is None else LiveEditors(self.server.projects, pace=pace, tell=tell)
        self._host = host
        self._port = port
        self._running = AsyncExitStack()
        self._url = ""

    @property
    def url(self) -> str:
        """Where it answers: a base URL without a slash at the end."""
        if not self._url:
            raise RuntimeError("the simulator is not running: use it as `async with Simulator(…)`")
        return self._url

    @property
    def limits(self) -> RateLimit | None:
        """The rate limit, if there is one; it can be exchanged while the server runs."""
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
            await stack.enter_async_context(WebhookSender(self.server.projects))
            if self._editors is not None:
                await stack.enter_async_context(self._editors)
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
    """The same for code without an event loop: `with SimulatorThread(world) as simulator: simulator.url`.

    The server has a thread and a loop of its own. The world must then be touched only through `act`.
    """

    def __init__(
        self,
        world: World,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults | None = None,
        limits: RateLimit | None = None,
        compress: bool = True,
        others: Iterable[World] = (),
        control_token: ControlToken | None = None,
    ) -> None:
        self._make: Callable[[], Simulator] = partial(
            Simulator,
            world,
            others=others,
            host=host,
            port=port,
            faults=faults,
            limits=limits,
            compress=compress,
            control_token=control_token,
        )
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
        """Where it answers."""
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
            self._failure = error  # whoever waits for the start raises it: the port is taken, say
            self._started.set()


def serve(
    world: World,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    others: Iterable[World] = (),
    faults: Faults | None = None,
    limits: RateLimit | None = None,
    pace: float | None = None,
    tell: Callable[[World, str], object] | None = None,
    control_token: ControlToken | None = None,
    on_start: Callable[[Simulator], object] | None = None,
) -> None:
    """Serve *world*, and those of *others*, until SIGINT or SIGTERM; *on_start* is called with the running simulator.

    *pace*, *tell* and *control_token* are those of `Simulator`. What is there at the start is taken to stay: the
    garbage collector does not look at it again.
    """

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with Simulator(
            world,
            others=others,
            host=host,
            port=port,
            faults=faults,
            limits=limits,
            pace=pace,
            tell=tell,
            control_token=control_token,
        ) as simulator:
            gc.freeze()  # a full collection over a million versions would make some request wait for a second
            if on_start is not None:
                on_start(simulator)
            await stop.wait()

    asyncio.run(run())
