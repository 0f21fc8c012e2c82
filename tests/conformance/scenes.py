"""The simulated projects that the scripts find: the news site, and what some of them need besides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from versionsync.simulator import Editor, EditorKind, RateLimit, Role, SimulatorThread, Token, World
from versionsync.simulator.scenarios.news.site import build_news

__all__ = ["scene"]

FEW_REQUESTS = 20


@contextmanager
def scene(script: str) -> Iterator[SimulatorThread]:
    """A running simulator for *script*."""
    world = World(seed=1)
    build_news(world, articles=32)
    _add_restricted_tokens(world)
    with SimulatorThread(world, limits=RateLimit(FEW_REQUESTS) if script == "limits" else None) as simulator:
        yield simulator


def _add_restricted_tokens(world: World) -> None:
    """Tokens that may do less, named after what they lack."""
    roles = {
        "no-versions": Role(world.ids.new(), "No versions", can_read_versions=False),
        "read-only": Role(world.ids.new(), "Read only", can_write=False, can_edit_schema=False),
        "no-users": Role(world.ids.new(), "No users", can_manage_users=False, can_manage_access_tokens=False),
        "no-audit-log": Role(world.ids.new(), "No audit log", can_access_audit_log=False),
        "primary-only": Role(world.ids.new(), "Primary only", environments_access="primary_only"),
        "no-articles": Role(world.ids.new(), "No articles", hidden_models=frozenset({"article"})),
    }
    for secret, role in roles.items():
        world.people.add_role(role)
        editor = Editor(EditorKind.ACCESS_TOKEN, world.ids.number(), role.name, role_id=role.id)
        world.people.add_token(Token(secret, editor, role))
    delivery = Editor(EditorKind.ACCESS_TOKEN, world.ids.number(), "Delivery only")
    world.people.add_token(Token("no-cma", delivery, next(iter(world.people.roles.values())), can_access_cma=False))
