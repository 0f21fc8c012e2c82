"""What `versionsync restore` can be asked, and which options fit together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from versionsync.errors import ErrorKind, VersionsyncError

__all__ = ["DRILL", "PLANS", "WORDS", "Asked", "OddRestore", "OnError", "Shown", "check"]

PLANS: Final = "plans"
DRILL: Final = "drill"
WORDS: Final = frozenset({PLANS, DRILL})
"""What a target can be that is no version, record or plan: a word for a task of its own."""


class OddRestore(VersionsyncError):
    """Options that do not fit together."""

    kind = ErrorKind.CONFIGURATION


class OnError(StrEnum):
    """What to do after a step that failed."""

    STOP = "stop"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for, apart from how it is shown and applied."""

    target: str | None
    at: str | None
    model: str | None
    changed_by: str | None
    deleted: bool
    since: str | None
    fields: tuple[str, ...]
    locales: tuple[str, ...]
    blocks: tuple[str, ...]
    publish: bool
    no_create: bool
    no_update: bool
    delete_new: bool
    undo: str | None
    upstream: bool
    to_environment: str | None

    @property
    def parts(self) -> bool:
        """Whether only parts of records are asked for."""
        return bool(self.fields or self.locales or self.blocks)

    @property
    def selects(self) -> bool:
        """Whether anything but a target is asked for."""
        given = (self.at, self.model, self.changed_by, self.since, self.undo, self.to_environment)
        flags = (self.deleted, self.publish, self.no_create, self.no_update, self.delete_new, self.upstream)
        return any(one is not None for one in given) or any(flags) or self.parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How a plan is shown, and whether it is applied."""

    output: Path | None
    html: Path | None
    diff: bool
    ids: bool
    apply: bool
    yes: bool
    on_error: OnError | None


def check(asked: Asked, shown: Shown) -> None:
    """Refuse options that do not fit together."""
    target = asked.target
    if target in WORDS:
        if asked.selects or shown.apply:
            raise OddRestore(
                f"`restore {target}` has no such options", hint=f"Use `versionsync restore {target}` alone."
            )
        return
    ways = {
        "a TARGET": target is not None,
        "--model": asked.model is not None and not asked.deleted,
        "--changed-by": asked.changed_by is not None,
        "--deleted": asked.deleted,
        "--undo": asked.undo is not None,
    }
    named = [name for name, is_given in ways.items() if is_given]
    if len(named) > 1:
        raise OddRestore(f"{' and '.join(named)} exclude one another", hint="Make a plan for each.")
    if not named and asked.at is None:
        raise OddRestore(
            "it is not said what to restore",
            hint="Name a version or a record; or --model or the whole project with --at TIME; or --deleted; or "
            "--changed-by EDITOR --since TIME; or --undo PLAN.",
        )
    others = asked.deleted or asked.changed_by or asked.undo
    whole = not (asked.at or asked.parts or asked.publish or asked.to_environment)
    refusals = (
        (asked.at and others, "--at does not fit here", "Leave it out."),
        (asked.model and not asked.deleted and not asked.at, "--model needs a time", "Add --at TIME."),
        (asked.changed_by and not asked.since, "--changed-by needs a time", "Add --since, such as --since 13:00."),
        (
            asked.since and not (asked.changed_by or asked.deleted),
            "--since is for --changed-by and --deleted",
            "For records as they were at a time, write --at TIME.",
        ),
        (
            asked.parts and others,
            "--field, --locale and --block do not fit here",
            "Use them with a version, with a record, or with --at.",
        ),
        (
            asked.delete_new and (target or asked.deleted or asked.undo),
            "--delete-new is for many records as they were at a time",
            "Use it with --at alone, with --model, or with --changed-by.",
        ),
        (
            asked.no_create and asked.no_update and not asked.delete_new,
            "--no-create and --no-update leave nothing to do",
            "Leave out one of them.",
        ),
        (
            asked.upstream and not (target and whole),
            "--upstream restores one whole version",
            "Name a version, without other options than --apply and --yes.",
        ),
        (asked.undo and asked.to_environment, "--undo writes where the plan wrote", "Leave out --to-environment."),
        (shown.yes and not shown.apply, "--yes answers the question of --apply", "Add --apply."),
        (shown.on_error and not shown.apply, "--on-error is for --apply", "Add --apply."),
    )
    for is_so, message, hint in refusals:
        if is_so:
            raise OddRestore(message, hint=hint)
