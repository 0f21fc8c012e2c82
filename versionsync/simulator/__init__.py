"""A faithful local DatoCMS for demos, tests and rehearsals.

    world = World(seed=1, clock=Clock.stopped())
    post = world.create_model(world.account, "post")
    world.create_field(world.account, post, "title")
    record = world.create(world.user, post, {"title": "Hello"})
    with SimulatorThread(world) as simulator:
        ...  # a client of simulator.url, with the token FULL_ACCESS_TOKEN
        simulator.act(lambda world: world.publish(world.user, record.id))

`World` is the project and what people do to it; `truth` says what a perfect mirror of it holds, from the journal alone;
`Simulator` and `SimulatorThread` serve it over HTTP; `Faults` and `RateLimit` make it as unpleasant as the real thing.
"""

from __future__ import annotations

from versionsync.simulator.clock import Clock
from versionsync.simulator.editors import FULL_ACCESS_TOKEN, Editor, EditorKind, Role, Token
from versionsync.simulator.faults import FaultKind, Faults
from versionsync.simulator.journal import Journal
from versionsync.simulator.limits import RateLimit
from versionsync.simulator.problems import Refused
from versionsync.simulator.records import LoadedVersion, Record, Selection, Version
from versionsync.simulator.run import Simulator, SimulatorThread, serve
from versionsync.simulator.switches import Switches
from versionsync.simulator.truth import Transition, TransitionType, Truth, TruthRecord, TruthVersion, truth
from versionsync.simulator.world import World

__all__ = [
    "FULL_ACCESS_TOKEN",
    "Clock",
    "Editor",
    "EditorKind",
    "FaultKind",
    "Faults",
    "Journal",
    "LoadedVersion",
    "RateLimit",
    "Record",
    "Refused",
    "Role",
    "Selection",
    "Simulator",
    "SimulatorThread",
    "Switches",
    "Token",
    "Transition",
    "TransitionType",
    "Truth",
    "TruthRecord",
    "TruthVersion",
    "Version",
    "World",
    "serve",
    "truth",
]
