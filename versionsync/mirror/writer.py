"""Everything that writes to a mirror. Each function takes the caller's transaction and asserts its lease in it."""

from __future__ import annotations

from versionsync.mirror.applying import Applied, apply
from versionsync.mirror.editors import EditorRow, upsert_editors
from versionsync.mirror.runs import finish_run, interrupt_stale_runs, start_run, update_run
from versionsync.mirror.schema import upsert_schema
from versionsync.mirror.sources import Project, register_source, update_checkpoint, update_project
from versionsync.mirror.telling import write_events

__all__ = [
    "Applied",
    "EditorRow",
    "Project",
    "apply",
    "finish_run",
    "interrupt_stale_runs",
    "register_source",
    "start_run",
    "update_checkpoint",
    "update_project",
    "update_run",
    "upsert_editors",
    "upsert_schema",
    "write_events",
]
