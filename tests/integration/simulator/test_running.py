"""Starting and stopping a simulator, in each of the ways."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import httpx
import pytest

from versionsync.simulator import FULL_ACCESS_TOKEN, Simulator, SimulatorThread, World

HEADERS = {"Authorization": f"Bearer {FULL_ACCESS_TOKEN}", "Accept": "application/json"}


async def test_a_simulator_answers_while_its_block_runs() -> None:
    async with Simulator(World()) as simulator, httpx.AsyncClient(headers=HEADERS) as http:
        assert (await http.get(f"{simulator.url}/site")).status_code == 200
        assert simulator.requests.count("GET /site") == 1
    with pytest.raises(RuntimeError, match="not running"):
        _ = simulator.url


def test_an_act_in_the_thread_returns_what_it_returns_and_raises_what_it_raises() -> None:
    with SimulatorThread(World(name="Ours")) as simulator:
        assert simulator.act(lambda world: world.name) == "Ours"
        with pytest.raises(ZeroDivisionError):
            simulator.act(lambda world: 1 // 0)
    with pytest.raises(RuntimeError, match="not running"):
        simulator.act(lambda world: world.name)


def test_a_world_outlives_its_server() -> None:
    world = World()
    world.create_model(world.account, "post")
    for _ in range(2):
        with SimulatorThread(world) as simulator:
            answer = httpx.get(f"{simulator.url}/item-types", headers=HEADERS)
        assert len(answer.json()["data"]) == 1


def test_a_port_that_is_taken_is_an_error() -> None:
    with SimulatorThread(World()) as simulator:
        port = int(simulator.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address"), SimulatorThread(World(), port=port):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    code = "from versionsync.simulator import *; serve(World(), on_start=lambda sim: print(sim.url, flush=True))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        url = program.stdout.readline().strip()
        assert httpx.get(f"{url}/site", headers=HEADERS).status_code == 200
        os.kill(program.pid, number)
        assert program.wait(timeout=60) == 0
