"""The first schema: every table, constraint and index.

Until 0.1.0 is released, this is the only migration, and every change of the schema is made here. Comments and views are
not here: they hold no data, and every migration makes them again (`versionsync.mirror.schema.refresh_views`). If the
server supports lz4, it compresses content: that takes half the time of PostgreSQL's own method.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from versionsync.mirror.engine.types import POSTGRES, IdText, JsonText, SearchWords, UtcTime, UuidText

revision = "first"
down_revision = None

RISING = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers only an INTEGER PRIMARY KEY by itself


def upgrade() -> None:
    """Make every table and index."""
    _sources()
    _models()
    _fields()
    _editors()
    _uploads()
    _upload_changes()
    _runs()
    _leases()
    _records()
    _versions()
    _records_to_versions()
    _version_rewrites()
    _events()
    _erasures()
    _daemons()
    _source_claims()
    _request_usage()
    _webhook_queue()
    _webhook_log_cursors()
    _webhooks()
    _sent_notifications()
    _restore_plans()
    _restore_steps()
    _changes()
    _intervals()
    _links()
    _titles()
    _passages()
    _projection_cursors()
    _reordered_records()
    _compress_with_lz4()


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _sources() -> None:
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", IdText()),
        sa.Column("project_name", sa.Text()),
        sa.Column("environment", sa.Text()),
        sa.Column("follows_primary", sa.Boolean()),
        sa.Column("base_url", sa.Text()),
        sa.Column("locales", JsonText(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("last_data_change_at", UtcTime()),
        sa.Column("last_data_change_is_settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("environment_created_at", UtcTime()),
        sa.Column("last_complete_sweep_at", UtcTime()),
        sa.Column("last_scrub_at", UtcTime()),
        sa.Column("last_success_at", UtcTime()),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("complete_as_of", UtcTime()),
        sa.Column("unexplained_change_since", UtcTime()),
        sa.Column("unexplained_read_at", UtcTime()),
        sa.Column("project_hash", sa.LargeBinary()),
        sa.Column("time_precision", sa.Integer()),
        sa.Column("time_zone", sa.Text()),
        sa.Column("history_retention_days", sa.Integer()),
        sa.Column("blocked_views", JsonText(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("uploads_refused_at", UtcTime()),
        sa.CheckConstraint(
            "(project_id IS NULL) = (environment IS NULL) AND (project_id IS NULL) = (follows_primary IS NULL) "
            "AND (project_id IS NULL) = (base_url IS NULL)",
            name="sources_project",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sources"),
        sqlite_autoincrement=True,
    )
    op.create_index("sources_name", "sources", ["name"], unique=True)


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("id", IdText(), nullable=False),
        sa.Column("api_key", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("is_block", sa.Boolean()),
        sa.Column("is_singleton", sa.Boolean()),
        sa.Column("draft_mode", sa.Boolean()),
        sa.Column("payload", JsonText()),
        sa.Column("first_seen_at", UtcTime(), nullable=False),
        sa.Column("deleted_at", UtcTime()),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_models_source_id"),
        sa.PrimaryKeyConstraint("source_id", "id", name="pk_models"),
    )


def _fields() -> None:
    op.create_table(
        "fields",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("id", IdText(), nullable=False),
        sa.Column("model_id", IdText(), nullable=False),
        sa.Column("api_key", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("field_type", sa.Text(), nullable=False),
        sa.Column("is_localized", sa.Boolean(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("payload", JsonText(), nullable=False),
        sa.Column("first_seen_at", UtcTime(), nullable=False),
        sa.Column("deleted_at", UtcTime()),
        sa.ForeignKeyConstraint(
            ["source_id", "model_id"], ["models.source_id", "models.id"], name="fk_fields_model_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "id", name="pk_fields"),
    )
    op.create_index("fields_of_model", "fields", ["source_id", "model_id", "position"])


def _editors() -> None:
    op.create_table(
        "editors",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("type", IdText(), nullable=False),
        sa.Column("id", IdText(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("payload", JsonText()),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_editors_source_id"),
        sa.PrimaryKeyConstraint("source_id", "type", "id", name="pk_editors"),
    )


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("id", IdText(), nullable=False),
        sa.Column("filename", sa.Text()),
        sa.Column("basename", sa.Text()),
        sa.Column("url", sa.Text()),
        sa.Column("path", sa.Text()),
        sa.Column("size", sa.BigInteger()),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("mime_type", sa.Text()),
        sa.Column("format", sa.Text()),
        sa.Column("md5", sa.Text()),
        sa.Column("default_field_metadata", JsonText()),
        sa.Column("tags", JsonText()),
        sa.Column("created_at", UtcTime()),
        sa.Column("updated_at", UtcTime()),
        sa.Column("first_seen_at", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.Column("checked_at", UtcTime()),
        sa.Column("deleted_at", UtcTime()),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_uploads_source_id"),
        sa.PrimaryKeyConstraint("source_id", "id", name="pk_uploads"),
    )
    op.create_index("uploads_by_checked_at", "uploads", ["source_id", "checked_at"])


def _upload_changes() -> None:
    op.create_table(
        "upload_changes",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("upload_id", IdText(), nullable=False),
        sa.Column("observed_at", UtcTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("updated_at", UtcTime()),
        sa.Column("before", JsonText(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("kind IN ('changed', 'deleted', 'returned')", name="ck_upload_changes_kind_is_known"),
        sa.ForeignKeyConstraint(
            ["source_id", "upload_id"], ["uploads.source_id", "uploads.id"], name="fk_upload_changes_upload_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "upload_id", "observed_at", name="pk_upload_changes"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", RISING, sa.Identity(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("requests", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("throttled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("bytes_received", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("records_swept", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("records_pulled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("records_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("versions_inserted", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("versions_changed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("versions_rewritten", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("events_written", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("error_kind", sa.Text()),
        sa.CheckConstraint("(outcome = 'running') = (finished_at IS NULL)", name="ck_runs_only_running_is_unfinished"),
        sa.CheckConstraint(
            "outcome IN ('running', 'succeeded', 'partial', 'failed', 'interrupted')", name="ck_runs_outcome_is_known"
        ),
        sa.CheckConstraint(
            "error_kind IN ('refused', 'unavailable', 'stalled', 'database', 'configuration', 'partial', "
            "'unknown_record', 'mass_delete', 'budget', 'unexpected')",
            name="ck_runs_error_kind_is_known",
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_runs_source_id"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_in_order", "runs", ["source_id", "id"])
    changed = sa.text("versions_inserted + versions_changed + events_written > 0")
    op.create_index("runs_with_changes", "runs", ["source_id", "id"], sqlite_where=changed, postgresql_where=changed)


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("holder", JsonText()),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", UtcTime()),
        sa.CheckConstraint("(holder IS NULL) = (expires_at IS NULL)", name="ck_leases_holder_has_an_end"),
        sa.CheckConstraint("epoch >= 0", name="ck_leases_epoch_rises"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_leases_source_id"),
        sa.PrimaryKeyConstraint("source_id", name="pk_leases"),
    )


def _records() -> None:
    to_versions = [_to_version("current_version_id"), _to_version("published_version_id")]
    op.create_table(
        "records",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("id", IdText(), nullable=False),
        sa.Column("model_id", IdText(), nullable=False),
        sa.Column("status", sa.Text()),
        sa.Column("stage", sa.Text()),
        sa.Column("current_version_id", IdText()),
        sa.Column("published_version_id", IdText()),
        sa.Column("created_at", UtcTime()),
        sa.Column("updated_at", UtcTime()),
        sa.Column("published_at", UtcTime()),
        sa.Column("first_published_at", UtcTime()),
        sa.Column("publication_scheduled_at", UtcTime()),
        sa.Column("unpublishing_scheduled_at", UtcTime()),
        sa.Column("creator_type", IdText()),
        sa.Column("creator_id", IdText()),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("version_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_seen_at", UtcTime(), nullable=False),
        sa.Column("synced_at", UtcTime(), nullable=False),
        sa.Column("deleted_at", UtcTime()),
        sa.Column("deletion_evidence", sa.Text()),
        sa.CheckConstraint(
            "deletion_evidence IN ('not_found', 'model_deleted')", name="ck_records_deletion_evidence_is_known"
        ),
        sa.CheckConstraint("(creator_type IS NULL) = (creator_id IS NULL)", name="ck_records_creator_is_whole"),
        sa.CheckConstraint(
            "(deleted_at IS NULL) = (deletion_evidence IS NULL)", name="ck_records_deletion_has_evidence"
        ),
        sa.CheckConstraint("length(fingerprint) = 32", name="ck_records_fingerprint_is_sha256"),
        sa.CheckConstraint("version_count >= 0", name="ck_records_version_count_is_no_debt"),
        sa.ForeignKeyConstraint(
            ["source_id", "creator_type", "creator_id"],
            ["editors.source_id", "editors.type", "editors.id"],
            name="fk_records_creator_id",
        ),
        sa.ForeignKeyConstraint(
            ["source_id", "model_id"], ["models.source_id", "models.id"], name="fk_records_model_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "id", name="pk_records"),
        # SQLite takes constraints only with their table, and lets them name one that comes later.
        *(to_versions if _is_sqlite() else []),
    )
    op.create_index("records_by_synced_at", "records", ["source_id", "synced_at"])
    op.create_index("records_of_model", "records", ["source_id", "model_id", "updated_at"])
    _partial_index("records_deleted", "records", "deleted_at")
    pending = "deleted_at IS NULL AND (status IS NULL OR status <> 'published')"
    _partial_index("records_pending", "records", "updated_at", condition=pending)
    _partial_index("records_to_be_published", "records", "publication_scheduled_at")
    _partial_index("records_to_be_unpublished", "records", "unpublishing_scheduled_at")


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("id", IdText(), nullable=False),
        sa.Column("uuid", UuidText()),
        sa.Column("record_id", IdText(), nullable=False),
        sa.Column("model_id", IdText(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("editor_type", IdText()),
        sa.Column("editor_id", IdText()),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("published_from", UtcTime()),
        sa.Column("published_until", UtcTime()),
        sa.Column("is_valid", sa.Boolean()),
        sa.Column("attributes", JsonText(), nullable=False),
        sa.Column("attributes_exact", sa.LargeBinary()),
        sa.Column("attributes_hash", sa.LargeBinary(), nullable=False),
        sa.Column("first_seen_at", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.Column("missing_since", UtcTime()),
        sa.CheckConstraint(
            "missing_since IS NULL OR NOT (is_current OR is_published)", name="ck_versions_missing_has_no_flag"
        ),
        sa.CheckConstraint("(editor_type IS NULL) = (editor_id IS NULL)", name="ck_versions_editor_is_whole"),
        sa.CheckConstraint("length(attributes_hash) = 32", name="ck_versions_attributes_hash_is_sha256"),
        sa.ForeignKeyConstraint(
            ["source_id", "editor_type", "editor_id"],
            ["editors.source_id", "editors.type", "editors.id"],
            name="fk_versions_editor_id",
        ),
        sa.ForeignKeyConstraint(
            ["source_id", "model_id"], ["models.source_id", "models.id"], name="fk_versions_model_id"
        ),
        sa.ForeignKeyConstraint(
            ["source_id", "record_id"], ["records.source_id", "records.id"], name="fk_versions_record_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "id", name="pk_versions"),
    )
    op.create_index("versions_by_editor", "versions", ["source_id", "editor_type", "editor_id", "created_at"])
    op.create_index(
        "versions_live_at",
        "versions",
        ["source_id", "published_from", "published_until"],
        unique=False,
        sqlite_where=sa.text("published_from IS NOT NULL"),
        postgresql_where=sa.text("published_from IS NOT NULL"),
    )
    _partial_index("versions_missing", "versions", "missing_since")
    op.create_index("versions_of_model", "versions", ["source_id", "model_id", "created_at"])
    op.create_index("versions_of_record", "versions", ["source_id", "record_id", "ordinal"], unique=True)
    op.create_index(
        "versions_one_current",
        "versions",
        ["source_id", "record_id"],
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    )
    op.create_index(
        "versions_one_published",
        "versions",
        ["source_id", "record_id"],
        unique=True,
        sqlite_where=sa.text("is_published"),
        postgresql_where=sa.text("is_published"),
    )


def _to_version(column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["source_id", column],
        ["versions.source_id", "versions.id"],
        name=f"fk_records_{column}",
    )


def _records_to_versions() -> None:
    if _is_sqlite():
        return
    for column in ("current_version_id", "published_version_id"):
        op.create_foreign_key(
            f"fk_records_{column}",
            "records",
            "versions",
            ["source_id", column],
            ["source_id", "id"],
        )


def _version_rewrites() -> None:
    op.create_table(
        "version_rewrites",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("version_id", IdText(), nullable=False),
        sa.Column("observed_at", UtcTime(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("editor_type", IdText()),
        sa.Column("editor_id", IdText()),
        sa.Column("attributes", JsonText(), nullable=False),
        sa.Column("attributes_exact", sa.LargeBinary()),
        sa.Column("attributes_hash", sa.LargeBinary(), nullable=False),
        sa.Column("first_seen_at", UtcTime(), nullable=False),
        sa.Column("run_id", sa.BigInteger()),
        sa.CheckConstraint("length(attributes_hash) = 32", name="ck_version_rewrites_attributes_hash_is_sha256"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_version_rewrites_run_id"),
        sa.ForeignKeyConstraint(
            ["source_id", "editor_type", "editor_id"],
            ["editors.source_id", "editors.type", "editors.id"],
            name="fk_version_rewrites_editor_id",
        ),
        sa.ForeignKeyConstraint(
            ["source_id", "version_id"], ["versions.source_id", "versions.id"], name="fk_version_rewrites_version_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "version_id", "observed_at", name="pk_version_rewrites"),
    )
    op.create_index("version_rewrites_of_run", "version_rewrites", ["run_id"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", RISING, sa.Identity(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("type", IdText(), nullable=False),
        sa.Column("record_id", IdText()),
        sa.Column("version_id", IdText()),
        sa.Column("model_id", IdText()),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        sa.Column("occurred_basis", sa.Text(), nullable=False),
        sa.Column("observed_at", UtcTime(), nullable=False),
        sa.Column("run_id", sa.BigInteger()),
        sa.Column("data", JsonText(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("key", IdText(), nullable=False),
        sa.Column("actor_type", IdText()),
        sa.Column("actor_id", IdText()),
        sa.CheckConstraint("(actor_type IS NULL) = (actor_id IS NULL)", name="ck_events_actor_is_whole"),
        sa.CheckConstraint("occurred_basis IN ('upstream', 'observed')", name="ck_events_occurred_basis_is_known"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_in_order", "events", ["source_id", "id"])
    op.create_index("events_of_record", "events", ["source_id", "record_id", "key"], unique=True)
    op.create_index(
        "events_without_record",
        "events",
        ["source_id", "key"],
        unique=True,
        sqlite_where=sa.text("record_id IS NULL"),
        postgresql_where=sa.text("record_id IS NULL"),
    )


def _erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", RISING, sa.Identity(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("record_id", IdText()),
        sa.Column("upload_id", IdText()),
        sa.Column("field_id", IdText()),
        sa.Column("locale", IdText()),
        sa.Column("erased_at", UtcTime(), nullable=False),
        sa.Column("erased_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("cleaned_at", UtcTime()),
        sa.Column("lifted_at", UtcTime()),
        sa.Column("lifted_by", sa.Text()),
        sa.Column("lifted_after", sa.BigInteger()),
        sa.CheckConstraint("record_id IS NOT NULL OR upload_id IS NOT NULL", name="ck_erasures_names_what_was_erased"),
        sa.CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="ck_erasures_lift_is_signed"),
        sa.CheckConstraint("(lifted_at IS NULL) = (lifted_after IS NULL)", name="ck_erasures_lift_has_an_event"),
        sa.ForeignKeyConstraint(
            ["source_id", "record_id"], ["records.source_id", "records.id"], name="fk_erasures_record_id"
        ),
        sa.ForeignKeyConstraint(
            ["source_id", "upload_id"], ["uploads.source_id", "uploads.id"], name="fk_erasures_upload_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
        sqlite_autoincrement=True,
    )
    op.create_index("erasures_of_record", "erasures", ["source_id", "record_id"])


def _daemons() -> None:
    op.create_table(
        "daemons",
        sa.Column("id", RISING, sa.Identity(), nullable=False),
        sa.Column("holder", JsonText(), nullable=False),
        sa.Column("sources", JsonText(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_daemons"),
        sqlite_autoincrement=True,
    )


def _source_claims() -> None:
    op.create_table(
        "source_claims",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("daemon_id", sa.BigInteger()),
        sa.Column("next_check_at", UtcTime()),
        sa.Column("next_check_reason", sa.Text()),
        sa.ForeignKeyConstraint(["daemon_id"], ["daemons.id"], name="fk_source_claims_daemon_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_source_claims_source_id"),
        sa.PrimaryKeyConstraint("source_id", name="pk_source_claims"),
    )


def _request_usage() -> None:
    op.create_table(
        "request_usage",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("day", IdText(), nullable=False),
        sa.Column("requests", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("requests >= 0", name="ck_request_usage_requests_rise"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_request_usage_source_id"),
        sa.PrimaryKeyConstraint("source_id", "day", name="pk_request_usage"),
    )


def _webhook_queue() -> None:
    op.create_table(
        "webhook_queue",
        sa.Column("id", RISING, sa.Identity(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("record_id", IdText()),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_webhook_queue_source_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_queue"),
        sqlite_autoincrement=True,
    )
    op.create_index("webhook_queue_in_order", "webhook_queue", ["source_id", "id"])


def _webhook_log_cursors() -> None:
    op.create_table(
        "webhook_log_cursors",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("webhook_id", IdText(), nullable=False),
        sa.Column("read_at", UtcTime(), nullable=False),
        sa.Column("last_call_id", IdText()),
        sa.Column("last_call_at", UtcTime()),
        sa.CheckConstraint(
            "(last_call_id IS NULL) = (last_call_at IS NULL)", name="ck_webhook_log_cursors_call_has_a_time"
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_webhook_log_cursors_source_id"),
        sa.PrimaryKeyConstraint("source_id", name="pk_webhook_log_cursors"),
    )


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("receives", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("last_call_at", UtcTime()),
        sa.Column("log_state", sa.Text(), server_default=sa.text("'unknown'"), nullable=False),
        sa.Column("log_read_at", UtcTime()),
        sa.Column("log_gaps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_gap_at", UtcTime()),
        sa.Column("undelivered_changes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "log_state IN ('unknown', 'absent', 'refused', 'active', 'not_in_plan')",
            name="ck_webhooks_log_state_is_known",
        ),
        sa.CheckConstraint("log_gaps >= 0 AND undelivered_changes >= 0", name="ck_webhooks_counts_are_no_debt"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_webhooks_source_id"),
        sa.PrimaryKeyConstraint("source_id", name="pk_webhooks"),
    )


def _sent_notifications() -> None:
    op.create_table(
        "sent_notifications",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("channel", IdText(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sent_at", UtcTime(), nullable=False),
        sa.CheckConstraint("kind IN ('failing', 'stale', 'mass_delete')", name="ck_sent_notifications_kind_is_known"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_sent_notifications_source_id"),
        sa.PrimaryKeyConstraint("source_id", "channel", name="pk_sent_notifications"),
    )


def _restore_plans() -> None:
    op.create_table(
        "restore_plans",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("id", IdText(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("environment", IdText(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("undoes_id", IdText()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("holder", JsonText()),
        sa.Column("expires_at", UtcTime()),
        sa.Column("started_at", UtcTime()),
        sa.Column("finished_at", UtcTime()),
        sa.Column("report", sa.Text()),
        sa.CheckConstraint(
            "state IN ('planned', 'running', 'done', 'partial', 'stopped', 'erased')",
            name="ck_restore_plans_state_is_known",
        ),
        sa.CheckConstraint("(holder IS NULL) = (expires_at IS NULL)", name="ck_restore_plans_holder_has_an_end"),
        sa.CheckConstraint("length(hash) = 32", name="ck_restore_plans_hash_is_sha256"),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_restore_plans_source_id"),
        sa.PrimaryKeyConstraint("source_id", "id", name="pk_restore_plans"),
    )


def _restore_steps() -> None:
    op.create_table(
        "restore_steps",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("plan_id", IdText(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("record_id", IdText()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sent_at", UtcTime()),
        sa.Column("finished_at", UtcTime()),
        sa.Column("version_id", IdText()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.CheckConstraint(
            "state IN ('planned', 'sent', 'done', 'failed', 'skipped')", name="ck_restore_steps_state_is_known"
        ),
        sa.ForeignKeyConstraint(
            ["source_id", "plan_id"], ["restore_plans.source_id", "restore_plans.id"], name="fk_restore_steps_plan_id"
        ),
        sa.PrimaryKeyConstraint("source_id", "plan_id", "number", name="pk_restore_steps"),
    )


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("version_id", IdText(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("record_id", IdText(), nullable=False),
        sa.Column("model_id", IdText(), nullable=False),
        sa.Column("previous_version_id", IdText()),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("field_id", IdText()),
        sa.Column("field", IdText(), nullable=False),
        sa.Column("locale", IdText()),
        sa.Column("block_id", IdText()),
        sa.Column("block_path", IdText()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("words_added", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("words_removed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("before_hash", sa.LargeBinary()),
        sa.Column("after_hash", sa.LargeBinary()),
        sa.CheckConstraint(
            "kind IN ('text', 'formatting', 'attribute', 'structure', 'reference')", name="ck_changes_kind_is_known"
        ),
        sa.CheckConstraint(
            "operation IN ('added', 'removed', 'changed', 'moved')", name="ck_changes_operation_is_known"
        ),
        sa.PrimaryKeyConstraint("source_id", "version_id", "number", name="pk_changes"),
    )
    op.create_index("changes_of_record", "changes", ["source_id", "record_id", "created_at"])
    op.create_index("changes_in_order", "changes", ["source_id", "created_at"])
    op.create_index("changes_of_field", "changes", ["source_id", "field_id", "created_at"])


def _intervals() -> None:
    op.create_table(
        "intervals",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("kind", IdText(), nullable=False),
        sa.Column("record_id", IdText(), nullable=False),
        sa.Column("valid_from", UtcTime(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version_id", IdText(), nullable=False),
        sa.Column("model_id", IdText(), nullable=False),
        sa.Column("valid_until", UtcTime()),
        sa.Column("known_from", UtcTime(), nullable=False),
        sa.Column("known_until", UtcTime()),
        sa.CheckConstraint("kind IN ('current', 'published')", name="ck_intervals_kind_is_known"),
        sa.CheckConstraint("(valid_until IS NULL) = (known_until IS NULL)", name="ck_intervals_end_is_known"),
        sa.PrimaryKeyConstraint("source_id", "kind", "record_id", "valid_from", "number", name="pk_intervals"),
        sqlite_with_rowid=False,
    )
    op.create_index("intervals_of_version", "intervals", ["source_id", "version_id"])
    op.create_index("intervals_in_order", "intervals", ["source_id", "kind", "valid_from"])
    ended = "kind = 'published' AND valid_until IS NOT NULL"
    _partial_index("intervals_unpublished", "intervals", "valid_until", condition=ended)


def _links() -> None:
    op.create_table(
        "links",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("record_id", IdText(), nullable=False),
        sa.Column("from_ordinal", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("until_ordinal", sa.BigInteger()),
        sa.Column("target_kind", sa.Text(), nullable=False),
        sa.Column("target_id", IdText(), nullable=False),
        sa.Column("field_id", IdText()),
        sa.Column("field", IdText(), nullable=False),
        sa.Column("locale", IdText()),
        sa.Column("block_path", IdText()),
        sa.CheckConstraint("target_kind IN ('record', 'upload')", name="ck_links_target_kind_is_known"),
        sa.PrimaryKeyConstraint("source_id", "record_id", "from_ordinal", "number", name="pk_links"),
        sqlite_with_rowid=False,
    )
    op.create_index("links_to", "links", ["source_id", "target_id"])


def _titles() -> None:
    op.create_table(
        "titles",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("version_id", IdText(), nullable=False),
        sa.Column("locale", IdText(), nullable=False),
        sa.Column("record_id", IdText(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "version_id", "locale", name="pk_titles"),
        sqlite_with_rowid=False,
    )
    op.create_index("titles_by_title", "titles", ["source_id", "title"])
    op.create_index("titles_of_record", "titles", ["source_id", "record_id"])


def _passages() -> None:
    op.create_table(
        "passages",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("version_id", IdText(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("piece", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger()),
        sa.Column("record_id", IdText(), nullable=False),
        sa.Column("model_id", IdText(), nullable=False),
        sa.Column("record_field", IdText(), nullable=False),
        sa.Column("field_id", IdText()),
        sa.Column("field", IdText(), nullable=False),
        sa.Column("locale", IdText()),
        sa.Column("block_path", IdText()),
        sa.Column("hash", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("words", SearchWords()),
        sa.PrimaryKeyConstraint("source_id", "version_id", "number", "piece", name="pk_passages"),
    )
    op.create_index("passages_by_id", "passages", ["id"], unique=True)
    op.create_index("passages_of_record", "passages", ["source_id", "record_id"])
    if not _is_sqlite():  # SQLite's index is made by the program that fills it: FTS5 may be missing
        filled = sa.text("words IS NOT NULL")
        op.create_index("passages_words", "passages", ["words"], postgresql_using="gin", postgresql_where=filled)


def _projection_cursors() -> None:
    op.create_table(
        "projection_cursors",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("projection", IdText(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.Integer(), nullable=False),
        sa.Column("filled_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_projection_cursors_source_id"),
        sa.PrimaryKeyConstraint("source_id", "projection", name="pk_projection_cursors"),
        sqlite_with_rowid=False,
    )


def _reordered_records() -> None:
    op.create_table(
        "reordered_records",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("record_id", IdText(), nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name="fk_reordered_records_source_id"),
        sa.PrimaryKeyConstraint("source_id", "record_id", name="pk_reordered_records"),
        sqlite_with_rowid=False,
    )


def _compress_with_lz4() -> None:
    """On servers that can; those built without it, and those before 14, refuse the clause."""
    connection = op.get_bind()
    if connection.dialect.name != POSTGRES:
        return
    methods = connection.scalar(sa.text("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"))
    if methods and "lz4" in methods:
        for table in ("versions", "version_rewrites"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN attributes SET COMPRESSION lz4")


def _partial_index(name: str, table: str, column: str, *, condition: str | None = None) -> None:
    """An index of the few rows that have the column, or that satisfy the condition."""
    present = sa.text(condition or f"{column} IS NOT NULL")
    op.create_index(name, table, ["source_id", column], sqlite_where=present, postgresql_where=present)
