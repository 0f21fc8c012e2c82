"""How the simulated DatoCMS behaves where its vendor does not say: each question is a switch, to try both answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

__all__ = ["SimulatorOptions"]


@dataclass(slots=True, kw_only=True)
class SimulatorOptions:
    """May be changed at any time; what happened before stays as it happened."""

    milliseconds: bool = False
    """Times are printed with milliseconds; otherwise in whole seconds. The world keeps milliseconds either way."""
    times_with_offset: bool = False
    """Times in UTC end in `+00:00` rather than `Z`. In any other time zone they end in its offset."""
    improved_timezone_management: bool = True
    """A change of the time zone moves no instant; otherwise it moves those of `date_time` fields."""
    items_repeat_times: bool = False
    """Records repeat `created_at` and `updated_at` among their attributes, as they did in 2021."""
    versions_repeat_times: bool = False
    """Versions do the same, with the time of the version."""

    history_resolution: timedelta = timedelta(0)
    """Edits of one editor that come within this long are merged; zero: never."""
    merged_versions_keep_id: bool = True
    """A merge rewrites the version in place; otherwise the old id goes and a new one takes its place."""
    merged_versions_keep_created_at: bool = False
    """A merge in place leaves the version's `created_at` as it was."""
    versions_kept: int | None = None
    """How many versions of a record are kept; the oldest go first, the current and the published one never."""
    history_retention_days: int | None = None
    """For how many days the plan keeps versions, by the same rule; None: for good."""

    publishing_moves_updated_at: bool = False
    """Publishing and unpublishing move the record's `updated_at`."""
    republishing_moves_published_at: bool = True
    """Publishing a record that is live moves its `published_at`; otherwise only `published_from` of the version.

    The same holds for unpublishing some locales of it. Without draft mode each save moves both.
    """
    selective_publish_makes_version: bool = True
    """A selection is published as a version of its own; otherwise the published version is rewritten in place.

    Rewriting it moves no time: neither `published_at` of the record nor `published_from` of the version.
    """
    tracks_intervals_since: datetime = datetime(2026, 6, 17, tzinfo=UTC)
    """Publications that began before have no interval."""

    deleted_versions_readable: bool = False
    """`/items/:id/versions` of a deleted record still answers."""
    renamed_fields: Literal["new_key", "old_key"] = "new_key"
    """Under which key versions older than the renaming show the field."""

    status_without_drafts: Literal["published", "null"] = "published"
    """The `status` of records of models without draft mode."""

    lists_blocks: bool = True
    """`/items` without `filter[type]` lists and counts the block records, too."""
    block_by_id: Literal["404", "422", "block"] = "404"
    """What `/items/:id` answers for a block."""
    block_versions: Literal["404", "422", "empty", "versions"] = "404"
    """What `/items/:id/versions` answers for a block."""
    unknown_model_in_filter: Literal["refused", "ignored", "empty", "all_ignored", "all_empty"] = "refused"
    """What `filter[type]` does with an id that is unknown, or of a model that the role may not read.

    `refused`: 422. `ignored`: as if it were not there; without any other id, as if there were no filter. `empty`: it
    lists nothing. `all_ignored`, `all_empty`: one such id does this to the whole filter.
    """

    versions_order: Literal["newest_first", "oldest_first"] = "newest_first"
    """In which order `/items/:id/versions` lists."""
    nested_items_limit: int = 30
    """The largest `page[limit]` of `/items` with `nested=true`; more is an error."""
    nested_versions_limit: int = 50
    """The largest `page[limit]` of `/items/:id/versions` with `nested=true`; more is an error."""
    date_filters_cut_to_minute: bool = False
    """Comparisons with a time look at whole minutes."""
    lists_current_versions: bool = True
    """`/items` without `version` shows current versions; otherwise published ones where there are any."""

    forks_keep_version_ids: bool = True
    """The versions of a forked environment have the ids of those they were copied from; otherwise new ones."""
    fork_duration: timedelta = timedelta(0)
    """How long a forked environment is `creating`, by the clock."""

    data_change_delay: timedelta = timedelta(0)
    """How long after a change `last_data_change_at` moves (and to that moment, not to the change's)."""
    unpublishing_moves_beacon: bool = True
    """Unpublishing moves `last_data_change_at`."""
    deleting_moves_beacon: bool = True
    """Deleting a record moves `last_data_change_at`."""
    schedules_move_beacon: bool = True
    """Publishing by schedule moves `last_data_change_at`."""
    schema_moves_beacon: bool = True
    """Changes of models and fields move `last_data_change_at`."""
    block_problems_name: Literal["path", "field"] = "path"
    """What an error about a field in a block names: its place (`sections.0.words`), or the field with the block."""
    plan_has_audit_log: bool = True
    """The plan has the audit log; otherwise reading it is refused with PLAN_UPGRADE_REQUIRED."""
    audit_log_order: Literal["newest_first", "oldest_first"] = "newest_first"
    """In which order the audit log is read."""
    maintenance_status: int = 503
    """The status of a write that is refused with MAINTENANCE_MODE."""
    uploads_move_beacon: bool = True
    """Creating, changing and destroying uploads moves `last_data_change_at`."""
    assigned_fields: Literal["title", "all", "none"] = "title"
    """Which relationships of a model point to the first field of their kind, when somebody makes it.

    `title`: `title_field` to a single-line string, as recorded in 2021. `all`: those of the image, the excerpt and the
    presentation as well.
    """
    updating_models_is_job: bool = True
    """`PUT /item-types/:id` answers with a job, as the vendor's types say; otherwise at once, as recorded in 2021."""
    all_models_in_roles: Literal["null", "empty"] = "null"
    """What a role's permissions name instead of a model when they are about all: null, or an empty text, as in 2021."""
    environments_of_new_roles: Literal["primary_only", "all"] = "primary_only"
    """Which environments a role may enter whose maker does not say."""
    roles_in_use_stay: bool = True
    """A role that somebody has cannot be removed; otherwise they are left without one."""
    limits_show_retention: bool = True
    """`/subscription-limits` has a limit `history_retention_days`, as the plan has such an attribute."""
    hidden_models_are_named: bool = True
    """A model whose records a role hides is there all the same; otherwise it is as if it did not exist."""

    webhook_delay: timedelta = timedelta(0)
    """How long after an act its webhook calls are first sent, by the clock."""
    webhooks_call_twice: Literal["never", "same_call", "another_call"] = "never"
    """Each act calls twice: the same call comes again, or another call with an id of its own."""

    job_delay: timedelta | None = None
    """How long a job takes, by the clock; None: a moment, and no time at all while the clock stands still."""
