"""The difference of two contents, as editors see it. Pure: no input or output, no database."""

from __future__ import annotations

from versionsync.history.diff.applying import apply
from versionsync.history.diff.compare import compare
from versionsync.history.diff.json_patch import json_patch
from versionsync.history.diff.model import (
    ABSENT,
    Absent,
    Change,
    ChangeKind,
    ContentDiff,
    Operation,
    Place,
    Restructuring,
    Span,
    SpanOperation,
    changes_meaning,
    is_not_formatting,
    pointer,
)
from versionsync.history.diff.schema import Schema, SchemaField
from versionsync.history.diff.summary import describe, summarize

__all__ = [
    "ABSENT",
    "Absent",
    "Change",
    "ChangeKind",
    "ContentDiff",
    "Operation",
    "Place",
    "Restructuring",
    "Schema",
    "SchemaField",
    "Span",
    "SpanOperation",
    "apply",
    "changes_meaning",
    "compare",
    "describe",
    "is_not_formatting",
    "json_patch",
    "pointer",
    "summarize",
]
