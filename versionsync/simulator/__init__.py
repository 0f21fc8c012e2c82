"""A faithful local DatoCMS for demos and tests.

    world = World(seed=1, clock=Clock.stopped())
    post = world.create_model(world.account, "post")
    world.create_field(world.account, post, "title")
    record = world.create(world.user, post, {"title": "Hello"})
    with SimulatorThread(world) as simulator:
        ...  # a client of simulator.url, with the token FULL_ACCESS_TOKEN
        simulator.act(lambda world: world.publish(world.user, record.id))

`World` is the project with the actions of its editors. `expected_history` returns what a perfect mirror of it holds,
from the event log alone. `Simulator` and `SimulatorThread` serve it over HTTP. `Faults` and `RateLimit` add the
failures of the real API.
"""

from __future__ import annotations

from versionsync.simulator.errors import ApiError
from versionsync.simulator.http.faults import FaultKind, Faults
from versionsync.simulator.http.limits import RateLimit
from versionsync.simulator.http.run import Simulator, SimulatorThread, serve
from versionsync.simulator.world.event_log import EventLog
from versionsync.simulator.world.expected_history import (
    ExpectedHistory,
    ExpectedRecord,
    ExpectedVersion,
    Transition,
    TransitionType,
    expected_history,
)
from versionsync.simulator.world.options import SimulatorOptions
from versionsync.simulator.world.people_roles_tokens import FULL_ACCESS_TOKEN, Editor, EditorKind, Role, Token
from versionsync.simulator.world.records import LoadedMeta, LoadedVersion, Record, Selection, Version
from versionsync.simulator.world.times import Clock
from versionsync.simulator.world.world import World

__all__ = [
    "FULL_ACCESS_TOKEN",
    "ApiError",
    "Clock",
    "Editor",
    "EditorKind",
    "EventLog",
    "ExpectedHistory",
    "ExpectedRecord",
    "ExpectedVersion",
    "FaultKind",
    "Faults",
    "LoadedMeta",
    "LoadedVersion",
    "RateLimit",
    "Record",
    "Role",
    "Selection",
    "Simulator",
    "SimulatorOptions",
    "SimulatorThread",
    "Token",
    "Transition",
    "TransitionType",
    "Version",
    "World",
    "expected_history",
    "serve",
]
