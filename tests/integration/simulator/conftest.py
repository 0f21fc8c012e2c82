"""A simulated project that is served, and a client that knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from versionsync.simulator import FULL_ACCESS_TOKEN, Clock, Faults, SimulatorThread, World
from versionsync.simulator.world.models import Model

T = TypeVar("T")


class Served:
    """A world with the model `post` (a localized title, blocks in its body), and requests to it."""

    def __init__(self, simulator: SimulatorThread, post: Model, block: Model) -> None:
        self.simulator = simulator
        self.post = post
        self.block = block
        self.http = httpx.Client(
            base_url=simulator.url,
            headers={"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"},
        )

    def act(self, act: Callable[[World], T]) -> T:
        """Let somebody act on the world."""
        return self.simulator.act(act)

    def get(self, path: str, **headers: str) -> Any:
        """The document at *path*."""
        answer = self.http.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, method: str, path: str, body: object = None, *, status: int = 200) -> Any:
        """The document that a write answers with."""
        answer = self.http.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def job(self, method: str, path: str, body: object = None) -> Any:
        """The outcome of a write that is a job: its status and payload."""
        job = self.send(method, path, body, status=202)["data"]
        assert job["type"] == "job"
        outcome = self.get(f"/job-results/{job['id']}")["data"]["attributes"]
        return outcome["status"], outcome["payload"]

    def refused(self, answer: httpx.Response) -> tuple[int, str]:
        """The status and code of a refusal."""
        (error,) = answer.json()["data"]
        assert error["type"] == "api_error"
        assert error["id"]
        return answer.status_code, error["attributes"]["code"]

    def paragraph(self, text: str) -> dict[str, Any]:
        """A block, as a request sends it."""
        link = {"item_type": {"data": {"id": self.block.id, "type": "item_type"}}}
        return {"type": "item", "attributes": {"text": text}, "relationships": link}


@pytest.fixture
def faults() -> Faults:
    """The faults of the simulator: none, until a test plants some."""
    return Faults()


@pytest.fixture
def served(faults: Faults) -> Iterator[Served]:
    """A served world whose clock stands still."""
    world = World(seed=11, clock=Clock.stopped(), locales=("en", "it"))
    block = world.create_model(world.account, "paragraph", is_block=True)
    world.create_field(world.account, block, "text", "text")
    post = world.create_model(world.account, "post")
    world.create_field(world.account, post, "title", localized=True)
    world.create_field(world.account, post, "body", "rich_text")
    with SimulatorThread(world, faults=faults) as simulator:
        made = Served(simulator, post, block)
        with made.http:
            yield made
