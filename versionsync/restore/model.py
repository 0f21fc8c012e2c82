"""What a restore consists of: tasks, steps and the plan. Pure data.

A *task* says what must become of one record. The tasks of a plan are put in order, which makes *steps*: each step is
one request that changes something upstream. A plan is complete: it holds every content that will be sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from versionsync.history.diff.model import Json, Path

__all__ = [
    "AS_IT_SHOULD_BE",
    "OLDER_THAN_HISTORY",
    "Act",
    "Before",
    "Creation",
    "Fitted",
    "LeftAlone",
    "Link",
    "Loss",
    "Plan",
    "Problem",
    "Reason",
    "Schedule",
    "Step",
    "Target",
    "Task",
]


AS_IT_SHOULD_BE: Final = "It is as it should be."
"""Why a record is left alone that needs no change."""
OLDER_THAN_HISTORY: Final = "It is older than its history: how it was then is not known."
"""Why a record is left alone whose versions of the time in question upstream has dropped. It is not new."""


class Act(StrEnum):
    """What a step does. The values are public."""

    CREATE = "create"
    UPDATE = "update"
    PUBLISH = "publish"
    UNPUBLISH = "unpublish"
    SCHEDULE = "schedule"
    DELETE = "delete"


class Reason(StrEnum):
    """Why a step is there. The values are public."""

    MISSING = "missing"
    """The record does not exist upstream."""
    DIFFERS = "differs"
    """The record's content is another one."""
    LINKS = "links"
    """Links that could not be sent before, since the records that they lead to did not exist or were not live yet."""
    UNIQUE = "unique"
    """A value that another record must give up first."""
    LIVE = "live"
    """The record was live, and is not; or it was live with another content."""
    NOT_LIVE = "not_live"
    """The record was not live, and is."""
    DRAFT = "draft"
    """The draft that is newer than the live version."""
    SCHEDULED = "scheduled"
    """A publication or its end was planned for a time that is still to come."""
    NEW = "new"
    """The record did not exist then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link from a content to a record.

    Attributes:
        target: The id of the record that it leads to.
        path: Where it is: the API key, then the locale, positions and members down to the id.
        field_id: The field that holds it, which may be a field of a block.
        is_required: Without it the content would be refused: a required field would be empty.
        must_be_live: While the target is not published, publishing this content is refused.
        is_parent: It is the parent in a tree.
    """

    target: str
    path: Path
    field_id: str | None = None
    is_required: bool = False
    must_be_live: bool = False
    is_parent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A part of a content that cannot come back as it was. `what` is a short sentence for people."""

    record_id: str
    path: Path
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why upstream would refuse a content. `code` is its own code if there is one, such as VALIDATION_REQUIRED."""

    record_id: str
    path: Path
    code: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A content of the past, made to fit the schema of now.

    Attributes:
        version_id: The version that it comes from.
        attributes: By API key, as they are sent: complete, with blocks and their ids.
        links: All links to records in it.
        uniques: The values of unique fields, in canonical JSON, by API key and locale ("": not localized).
        losses: What was left out.
        problems: Why upstream would refuse it.
    """

    version_id: str
    attributes: Mapping[str, Json]
    links: tuple[Link, ...] = ()
    uniques: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """What a record that is created again claims of its past."""

    created_at: datetime | None = None
    first_published_at: datetime | None = None
    creator_type: str | None = None
    creator_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A publication, or its end, that is planned for a time."""

    at: datetime
    publishes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A record and what it must become.

    Attributes:
        version_id: The version whose content it must have. None: it must not exist.
        live_version_id: The version that must be live. None: none, or `is_live_wanted` is false.
        is_live_wanted: Whether what is live must become as it was. Otherwise it stays.
        parts: Only these fields and locales of the version (no locale: the field is not localized). Empty: all.
        why_not: Why it is left alone. None: it is not.
        note: A sentence for people about what stays.
        can_be_missing: Whether it may be created if it does not exist. An undo does not bring back what others deleted.
    """

    record_id: str
    model_id: str
    title: str | None = None
    version_id: str | None = None
    live_version_id: str | None = None
    is_live_wanted: bool = False
    parts: tuple[tuple[str, str | None], ...] = ()
    why_not: str | None = None
    note: str | None = None
    can_be_missing: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What must become of one record.

    Attributes:
        live: The content that must be published. None: nothing is to be published.
        draft: The newest content. None: it stays as it is, or is `live` itself.
        is_new: It does not exist upstream, so it is created. `creation` says with which past.
        expected_version: The current version upstream when the plan was made. None: it does not exist.
        is_live_already: `live` is what is published already.
        unpublishes: It must not be live any more.
        deletes: It must be deleted. Then nothing else applies.
        frees: The values of unique fields that its newest version has upstream now, as those of `Fitted.uniques`.
        live_frees: The same of its live version, which keeps them until another one is live.
        before_version: The version that was current before, to which an undo goes back.
        before_live: The version that was live before. None: it was not live.
    """

    record_id: str
    model_id: str
    title: str | None = None
    live: Fitted | None = None
    draft: Fitted | None = None
    is_new: bool = False
    creation: Creation = Creation()
    stage: str | None = None
    schedules: tuple[Schedule, ...] = ()
    expected_version: str | None = None
    is_live_already: bool = False
    unpublishes: bool = False
    deletes: bool = False
    frees: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    live_frees: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    before_version: str | None = None
    before_live: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request that changes something upstream.

    Attributes:
        number: Its place in the plan, from 1. A step comes after all steps that it needs.
        record_ids: The record. Steps that publish, unpublish or delete can have up to 200.
        attributes: What is sent, by API key. None: the step sends no content.
        version_id: The version of the mirror that the content comes from.
        needs: The numbers of the steps that must be done before. If one of them failed, this step is skipped.
        expected_version: The current version that the record must have upstream. None: the one that the last earlier
            step of this plan made for the record.
        schedule: For a step that schedules.
    """

    number: int
    act: Act
    reason: Reason
    record_ids: tuple[str, ...]
    model_id: str | None = None
    title: str | None = None
    attributes: Mapping[str, Json] | None = None
    version_id: str | None = None
    needs: tuple[int, ...] = ()
    expected_version: str | None = None
    creation: Creation | None = None
    stage: str | None = None
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """A record that the plan does not touch although it was asked for. `why` is a sentence for people."""

    record_id: str
    model_id: str
    title: str | None
    why: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """A record as it was before the plan, to which an undo goes back.

    Attributes:
        version_id: The version that was current. None: the record did not exist.
        live_version_id: The version that was live. None: it was not live.
        published_at: When it was published last. None: it was not live.
    """

    record_id: str
    model_id: str
    title: str | None = None
    version_id: str | None = None
    live_version_id: str | None = None
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a restore does, in order, and what it leaves alone and why.

    Attributes:
        source: The name of the source.
        environment: The id of the environment that is written to.
        project_id: The id of the project.
        wanted: What was asked, in words.
        made_at: When the plan was made.
        mirror_as_of: When the mirror last agreed with upstream.
        role: The name of the role of the token that writes. None: no such token is set, or its role is not known.
        records: The records that it changes, as they were before.
        notes: Sentences for people, such as how many webhooks will be called.
        requests: How many requests carrying it out needs, all counted.
        undoes: The id of the plan that this one takes back.
    """

    source: str
    environment: str
    project_id: str
    wanted: str
    made_at: datetime
    mirror_as_of: datetime | None
    role: str | None
    steps: tuple[Step, ...] = ()
    records: tuple[Before, ...] = ()
    left_alone: tuple[LeftAlone, ...] = ()
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()
    requests: int = 0
    undoes: str | None = None
