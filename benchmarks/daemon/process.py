"""The daemon as people start it: `versionsync run`, a program of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.project import TOKEN

__all__ = ["Settings", "free_port", "running"]

STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `versionsync.toml` says. `receives`: whether its receiver is open, with `password`."""

    upstream: str
    database: str
    port: int
    max_staleness: float
    receives: bool
    reads_log: bool
    password: str = "of the benchmark, long"

    @property
    def receiver(self) -> str:
        """Where calls are heard."""
        return f"http://127.0.0.1:{self.port}/webhooks/website"

    def text(self) -> str:
        """The file."""
        lines = [
            f'database_url = "{self.database}"',
            "[[sources]]",
            'name = "website"',
            f'base_url = "{self.upstream}"',
            f"max_staleness = {self.max_staleness}",
            f"poll_webhook_log = {str(self.reads_log).lower()}",
            *(['webhook_password_env = "BENCHMARK_PASSWORD"'] if self.receives else []),
            "[http]",
            f"port = {self.port}",
        ]
        return "\n".join(lines) + "\n"


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """The program runs while the block does; one that ends by itself is an error, with the last lines of its log."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("VERSIONSYNC_", "DATOCMS_"))}
    environ = {**ours, "DATOCMS_API_TOKEN": TOKEN, "BENCHMARK_PASSWORD": settings.password}
    with TemporaryDirectory(prefix="versionsync-bench-") as name:
        file, log = Path(name) / "versionsync.toml", Path(name) / "log"
        file.write_text(settings.text())
        command = (sys.executable, "-m", "versionsync", "--config", str(file), "run")
        with log.open("wb") as output:
            program = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output, env=environ)
        try:
            yield
            if program.returncode is not None:
                raise RuntimeError(f"the daemon ended with {program.returncode}: {log.read_text()[-2000:]}")
        except TimeoutError as error:
            raise RuntimeError(f"the daemon does not come forward: {log.read_text()[-2000:]}") from error
        finally:
            if program.returncode is None:
                program.terminate()
                await asyncio.wait_for(program.wait(), STOP_SECONDS)
