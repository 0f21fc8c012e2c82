"""The switches: how the simulated DatoCMS behaves if its vendor does not document it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

__all__ = ["SimulatorOptions"]


@dataclass(slots=True, kw_only=True)
class SimulatorOptions:
    """Can change at any time; what happened before stays unchanged."""

    milliseconds: bool = False
    """Times are printed with milliseconds; otherwise in whole seconds. The world always keeps milliseconds."""
    times_with_offset: bool = False
    """Times in UTC end in `+00:00` rather than `Z`. In any other time zone they end in its offset."""
    improved_timezone_management: bool = True
    """A change of the time zone moves no instant; otherwise it moves those of `date_time` fields."""
    items_repeat_times: bool = False
    """Records repeat `created_at` and `updated_at` among their attributes, as they did in 2021."""
    versions_repeat_times: bool = False
    """Versions do the same, with their own time."""

    history_resolution: timedelta = timedelta(0)
    """Edits of one editor within this time are merged; zero: never."""
    merged_versions_keep_id: bool = True
    """A merge rewrites the version in place; otherwise a version with a new id replaces it."""
    merged_versions_keep_created_at: bool = False
    """A merge in place does not change the version's `created_at`."""
    versions_kept: int | None = None
    """How many versions of a record are kept; the oldest are removed first, the current and published ones never."""
    history_retention_days: int | None = None
    """For how many days the plan keeps versions, by the same rule; None: permanently."""

    publishing_moves_updated_at: bool = False
    """Publishing and unpublishing move the record's `updated_at`."""
    republishing_moves_published_at: bool = True
    """Publishing a live record again moves its `published_at`; otherwise only `published_from` of the version.

    The same applies to unpublishing some of its locales. Without draft mode each save moves both.
    """
    selective_publish_makes_version: bool = True
    """A selection is published as a version of its own; otherwise the published version is rewritten in place.

    Rewriting it moves no time: neither `published_at` of the record nor `published_from` of the version.
    """
    tracks_intervals_since: datetime = datetime(2026, 6, 17, tzinfo=UTC)
    """Publications that began before this time have no interval."""

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

    `refused`: 422. `ignored`: the id has no effect; without any other id there is no filter. `empty`: the id lists
    nothing. `all_ignored`, `all_empty`: one such id does this to the complete filter.
    """

    versions_order: Literal["newest_first", "oldest_first"] = "newest_first"
    """The order of `/items/:id/versions`."""
    nested_items_limit: int = 30
    """The largest `page[limit]` of `/items` with `nested=true`; more is an error."""
    nested_versions_limit: int = 50
    """The largest `page[limit]` of `/items/:id/versions` with `nested=true`; more is an error."""
    date_filters_cut_to_minute: bool = False
    """Comparisons with a time ignore seconds."""
    lists_current_versions: bool = True
    """`/items` without `version` shows current versions; otherwise published ones if there are any."""

    forks_keep_version_ids: bool = True
    """The versions of a forked environment keep their ids; otherwise they get new ones."""
    fork_duration: timedelta = timedelta(0)
    """How long a forked environment is `creating`, by the clock."""

    data_change_delay: timedelta = timedelta(0)
    """The delay after a change until `last_data_change_at` moves, to the time after the delay."""
    unpublishing_moves_beacon: bool = True
    """Unpublishing moves `last_data_change_at`."""
    deleting_moves_beacon: bool = True
    """Deleting a record moves `last_data_change_at`."""
    schedules_move_beacon: bool = True
    """Publishing by schedule moves `last_data_change_at`."""
    schema_moves_beacon: bool = True
    """Changes of models and fields move `last_data_change_at`."""
    block_problems_name: Literal["path", "field"] = "path"
    """What an error about a field in a block names: its path (`sections.0.words`), or the field with the block."""
    plan_has_audit_log: bool = True
    """The plan has the audit log; otherwise reading it is refused with PLAN_UPGRADE_REQUIRED."""
    audit_log_order: Literal["newest_first", "oldest_first"] = "newest_first"
    """The order of the audit log."""
    maintenance_status: int = 503
    """The status of a write that is refused with MAINTENANCE_MODE."""
    uploads_move_beacon: bool = True
    """Creating, changing and destroying uploads moves `last_data_change_at`."""
    assigned_fields: Literal["title", "all", "none"] = "title"
    """Which relationships of a model point to the first new field of their kind.

    `title`: `title_field` to a single-line string, as recorded in 2021. `all`: those of the image, the excerpt and the
    presentation as well.
    """
    updating_models_is_job: bool = True
    """`PUT /item-types/:id` answers with a job, as the vendor's types say; otherwise at once, as recorded in 2021."""
    all_models_in_roles: Literal["null", "empty"] = "null"
    """What a role's permissions about all models have instead of an id: null, or an empty text, as in 2021."""
    environments_of_new_roles: Literal["primary_only", "all"] = "primary_only"
    """Which environments a new role may use by default."""
    roles_in_use_stay: bool = True
    """A role in use cannot be removed; otherwise its editors lose it."""
    limits_show_retention: bool = True
    """`/subscription-limits` has a limit `history_retention_days`, as the plan has such an attribute."""
    hidden_models_are_named: bool = True
    """A model whose records a role hides is still visible; otherwise it does not exist for the role."""

    webhook_delay: timedelta = timedelta(0)
    """The delay after an action until its webhook calls are first sent, by the clock."""
    webhooks_call_twice: Literal["never", "same_call", "another_call"] = "never"
    """Each action calls twice: with the same call again, or with another call with its own id."""

    job_delay: timedelta | None = None
    """How long a job takes, by the clock; None: a moment, and no time while the clock stands still."""

    links_must_exist: bool = True
    """A link to a record that does not exist is refused; the links of the current version are not checked again."""
    missing_link_code: str = ""
    """The code of INVALID_FIELD for such a link; empty: that of the validator, such as VALIDATION_ITEM_ITEM_TYPE."""
    uploads_must_exist: bool = True
    """A file of an upload that does not exist is refused; those of the current version are not checked again."""
    missing_upload_code: str = "INVALID_UPLOAD"
    """The code of INVALID_FIELD for such a file."""
    deleted_links: Literal["new_version", "rewritten", "kept"] = "new_version"
    """What the strategy `delete_references` does to a record whose link loses its target.

    `new_version`: it gets a version without the link. `rewritten`: its versions change in place, and no time moves.
    `kept`: the link stays and points to nothing.
    """
    bulk_publishes_together: bool = True
    """Records of one `/items/bulk/publish` count as published for each other; otherwise they are published in order."""
    improved_validation_at_publishing: bool = True
    """Publishing checks the content with the validators of today; otherwise only what its save found counts."""

    locales_must_agree: bool = True
    """All localized fields of a record need the same locales, and only those of the project."""
    wrong_locales_code: Literal["VALIDATION_INVALID_LOCALES", "INVALID_LOCALES"] = "VALIDATION_INVALID_LOCALES"
    """The code of INVALID_FIELD for a field with other locales; `INVALID_LOCALES` was reported in 2023."""
    max_record_bytes: int | None = 300 * 1024
    """The largest content of a record, as JSON; more is refused with TECHNICAL_LIMIT_REACHED."""
    max_blocks: int | None = 600
    """The most blocks in a record, at all depths; more are refused with TECHNICAL_LIMIT_REACHED."""
    max_block_depth: int | None = 6
    """How deeply blocks can be nested, 1 without any in another; deeper ones are refused likewise."""

    new_block_ids: Literal["kept", "refused", "replaced"] = "kept"
    """What becomes of an id that a client chooses for a new block; `replaced`: the block gets another one.

    An id that is used elsewhere is always refused.
    """
    create_accepts_meta: Literal["accepted", "ignored", "refused"] = "accepted"
    """Whether `POST /items` takes `created_at`, `first_published_at` and the creator from the client."""
    create_accepts_stage: Literal["accepted", "ignored", "refused"] = "accepted"
    """Whether `POST /items` takes `meta.stage`: the vendor's types do not have it."""
    read_only_meta: Literal["ignored", "refused"] = "ignored"
    """What a save does with `published_at` and `updated_at` in `meta`: the types have both, but nothing sets them."""
    deleted_parents: Literal["roots", "refused", "deleted", "kept"] = "roots"
    """What deleting a record of a tree does to its children.

    `roots`: they have no parent any more, without a new version. `refused`: DELETE_RESTRICTION. `deleted`: they are
    deleted first. `kept`: they keep the id of the parent.
    """
    locks_forbid: Literal["saving", "everything"] = "saving"
    """What an editor's lock on a record forbids to others; `everything`: publishing and deleting, too."""
    read_only_status: int = 422
    """The status of a write that is refused with ENVIRONMENT_IN_READ_ONLY_MODE."""
    max_writes: int | None = None
    """The number of successful writes after which all others are refused, as with a quota that is used up."""
    max_writes_code: Literal["TOO_MANY_OPERATIONS", "PLAN_UPGRADE_REQUIRED"] = "TOO_MANY_OPERATIONS"
    """The code of such a refusal; its status is 422."""
    validate_answers: Literal["204", "404", "401"] = "204"
    """What the `…/validate` routes answer; `204`: nothing, or the errors of the write. `404`: there is no such route.

    `401`: no role may use it.
    """
