"""The simulated project with all actions, also by name for another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.models import Field, Fieldset, Model, Workflow
from versionsync.simulator.world.people_actions import PeopleActions
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.project_actions import ProjectActions
from versionsync.simulator.world.record_actions import RecordActions
from versionsync.simulator.world.records import Record, Selection, Version
from versionsync.simulator.world.times import parse_time
from versionsync.simulator.world.upload_actions import UploadActions
from versionsync.simulator.world.webhooks import Webhooks

__all__ = ["ACTIONS", "World", "execute"]


class World(RecordActions, ProjectActions, PeopleActions, UploadActions):
    """One DatoCMS project, in memory.

    Each action takes the editor first and happens at `clock.now()` in the named environment (None: the primary one). It
    writes facts to `event_log`, and raises `ApiError` if upstream would answer with an error. `people` has the editors,
    `options` the behaviour that the vendor does not document.
    """

    @cached_property
    def webhooks(self) -> Webhooks:
        """The project's webhooks, created when they are first used."""
        return Webhooks(self)

    @property
    def has_webhooks(self) -> bool:
        """Whether any webhook is registered; reading it does not create `webhooks`."""
        return "webhooks" in vars(self) and bool(self.webhooks.registered)


ACTIONS: Final = frozenset(
    {
        *("create_model", "update_model", "destroy_model", "duplicate_model"),
        *("create_field", "update_field", "destroy_field", "duplicate_field"),
        *("create_fieldset", "update_fieldset", "destroy_fieldset"),
        *("add_locale", "remove_locale", "create_workflow"),
        *("update_site", "activate_milliseconds", "activate_improved_timezone_management"),
        *("set_maintenance_mode", "set_read_only_mode"),
        *("create", "update", "duplicate", "delete", "restore", "move_to_stage", "lock", "unlock"),
        *("publish", "unpublish", "schedule_publication", "schedule_unpublishing"),
        *("cancel_publication", "cancel_unpublishing"),
        *("publish_many", "unpublish_many", "delete_many", "move_many_to_stage"),
        *("fork", "promote", "rename", "destroy_environment"),
    }
)
"""The actions with a name: methods of `World` that take an editor first."""


def execute(world: World, action: str, editor: str, arguments: Mapping[str, Any]) -> object:
    """Do *action* and return its result as plain values. Raise ValueError, TypeError or ApiError.

    *editor* is `account`, `user`, `sso_user`, `api` or `organization` (every world has these), or `type/id`.
    *arguments* are those of the method: times as text, a selection as `{"locales": […], "non_localized": true}`.
    """
    if action not in ACTIONS:
        raise ValueError(f"there is no action {action!r}; there are: {', '.join(sorted(ACTIONS))}")
    coercions = {} if action == "update_site" else _COERCIONS  # its locales have an order
    known = {name: coercions[name](world, value) if name in coercions else value for name, value in arguments.items()}
    return _plain(getattr(world, action)(_editor(world, editor), **known))


def _editor(world: World, name: str) -> Editor:
    match name.partition("/"):
        case ("account" | "user" | "sso_user" | "api" | "organization", "", ""):
            found: Editor | None = getattr(world, name)
        case (kind, "/", id):
            found = world.people.editors.get((kind, id))
        case _:
            found = None
    if found is None:
        raise ValueError(f"there is no editor {name!r}")
    return found


def _selection(world: World, value: Any) -> Selection | None:
    if value is None:
        return None
    return Selection.of(value.get("locales", ()), non_localized=bool(value.get("non_localized", False)))


_COERCIONS: Final[Mapping[str, Callable[[World, Any], Any]]] = {
    "at": lambda world, value: parse_time(value),
    "created_at": lambda world, value: None if value is None else parse_time(value),
    "first_published_at": lambda world, value: None if value is None else parse_time(value),
    "creator": lambda world, value: None if value is None else _editor(world, value),
    "selection": _selection,
    "locales": lambda world, value: None if value is None else frozenset(value),
}


def _plain(result: object) -> object:
    match result:
        case Record():
            published = result.published
            return {
                "id": result.id,
                "status": result.status,
                "current_version": result.head.id,
                "published_version": None if published is None else published.id,
            }
        case Version() | Workflow() | Fieldset():
            return {"id": result.id}
        case Model() | Field():
            return {"id": result.id, "api_key": result.api_key}
        case Environment():
            return {"id": result.id, "primary": result.is_primary}
        case tuple():
            return [_plain(one) for one in result]
        case _:
            return result
