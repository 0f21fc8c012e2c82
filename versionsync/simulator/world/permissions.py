"""What a role's permissions on records say: their forms, and which of them reach a model.

A permission is kept as it was sent. Each `action` has its own members; the table below names those that it must have,
and those that must be null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from versionsync.simulator.api.sent import malformed
from versionsync.simulator.world.models import Model

__all__ = ["FAMILIES", "LISTS", "Permission", "allows_writing", "check", "is_about_all_creators", "is_about_reading"]

Permission: TypeAlias = Mapping[str, Any]

FAMILIES: Final = ("item_type", "upload", "build_trigger", "search_index")
"""What permissions are about. A request has both lists of a family, the positive and the negative one, or neither."""
LISTS: Final = tuple(f"{sign}_{family}_permissions" for family in FAMILIES for sign in ("positive", "negative"))

_READING: Final = frozenset({"all", "read"})
_CREATORS: Final = frozenset({"anyone", "self", "role"})
_SCOPES: Final = frozenset({"all", "localized", "not_localized"})

_WITH_CREATOR: Final = frozenset({"on_creator"})
_WITH_SCOPE: Final = frozenset({"localization_scope"})
_NEEDED: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "item_type": {
        "all": _WITH_CREATOR | _WITH_SCOPE,
        "read": _WITH_CREATOR,
        "create": _WITH_SCOPE,
        "update": _WITH_CREATOR | _WITH_SCOPE,
        "publish": _WITH_CREATOR | _WITH_SCOPE,
        "duplicate": frozenset(),
        "delete": _WITH_CREATOR,
        "edit_creator": _WITH_CREATOR,
        "take_over": _WITH_CREATOR,
        "move_to_stage": _WITH_CREATOR,
    },
    "upload": {
        "all": _WITH_CREATOR | _WITH_SCOPE,
        "read": _WITH_CREATOR,
        "create": frozenset(),
        "update": _WITH_CREATOR | _WITH_SCOPE,
        "delete": _WITH_CREATOR,
        "edit_creator": _WITH_CREATOR,
        "replace_asset": _WITH_CREATOR,
        "move": _WITH_CREATOR,
    },
}
"""Which of `on_creator` and `localization_scope` each action needs; the other ones must be null or left out."""


def check(lists: Mapping[str, Sequence[Permission]]) -> None:
    """Raise Refused (422) where *lists*, by their names, are not of the documented form."""
    for family in FAMILIES:
        names = [f"{sign}_{family}_permissions" for sign in ("positive", "negative")]
        if len(lists.keys() & set(names)) == 1:
            raise malformed(f"{' and '.join(names)} go together")
        for name in names:
            for permission in lists.get(name, ()):
                _check_one(name, family, permission)


def _check_one(name: str, family: str, permission: Permission) -> None:
    needed = _NEEDED.get(family)
    if needed is None:
        return
    action = permission.get("action")
    if not isinstance(action, str) or action not in needed:
        raise malformed(f"{name}: there is no action {action!r}")
    if not isinstance(permission.get("environment"), str):
        raise malformed(f"{name}: an environment is missing")
    if permission.get("item_type") and permission.get("workflow"):
        raise malformed(f"{name}: either a model or a workflow")
    _check_choice(name, permission, "on_creator", _CREATORS, is_needed="on_creator" in needed[action])
    scopes = frozenset({"all"}) if action == "all" else _SCOPES
    _check_choice(name, permission, "localization_scope", scopes, is_needed="localization_scope" in needed[action])
    if (permission.get("localization_scope") == "localized") is not bool(permission.get("locale")):
        raise malformed(f"{name}: a locale goes with the scope `localized`, and with no other")


def _check_choice(name: str, permission: Permission, member: str, known: frozenset[str], *, is_needed: bool) -> None:
    value = permission.get(member)
    if value is None and is_needed:
        raise malformed(f"{name}: {permission['action']} needs {member}")
    if value is not None and (value not in known or not is_needed):
        raise malformed(f"{name}: {permission['action']} takes no {member} {value!r}")


def allows_writing(permissions: Iterable[Permission]) -> bool:
    """Whether one of the positive *permissions* is about more than reading."""
    return any(one["action"] != "read" for one in permissions)


def is_about_reading(one: Permission, model: Model, environment: str) -> bool:
    """Whether *one* is about reading records of *model* in *environment* (the id of one)."""
    return (
        one["action"] in _READING
        and one["environment"] == environment
        and (not one.get("item_type") or one["item_type"] == model.id)
        and (not one.get("workflow") or one["workflow"] == model.workflow_id)
    )


def is_about_all_creators(one: Permission) -> bool:
    """Whether *one* is not only about the records of some creators, or in some stage."""
    return one.get("on_creator") in {None, "anyone"} and not one.get("on_stage")
