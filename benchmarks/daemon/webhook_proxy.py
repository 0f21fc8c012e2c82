"""The way from upstream to the receiver: calls are passed on as they come, or lost, doubled and overtaken by others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import aiohttp
from aiohttp import web

__all__ = ["Reliability", "way"]

ALL_IS_WELL = 204


@dataclass(frozen=True, slots=True)
class Reliability:
    """Which shares of the calls are lost, of the others come twice, and come up to `late_seconds` late."""

    lost: float
    doubled: float
    late: float
    late_seconds: float


@asynccontextmanager
async def way(to: str, reliability: Reliability | None, *, random: Random) -> AsyncIterator[str]:
    """An address from which calls are passed on; `to` itself where they are to be reliable."""
    if reliability is None:
        yield to
        return
    passing = set[asyncio.Task[None]]()
    async with aiohttp.ClientSession() as http:

        async def pass_on(body: bytes, authorization: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            async with http.post(to, data=body, headers={"Authorization": authorization}) as answer:
                await answer.read()

        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            if random.random() >= reliability.lost:
                for _ in range(2 if random.random() < reliability.doubled else 1):
                    late = random.uniform(0, reliability.late_seconds) if random.random() < reliability.late else 0.0
                    task = asyncio.create_task(pass_on(body, request.headers.get("Authorization", ""), late))
                    passing.add(task)
                    task.add_done_callback(passing.discard)
            return web.Response(status=ALL_IS_WELL)

        app = web.Application()
        app.router.add_post("/", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
        finally:
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            await runner.cleanup()
