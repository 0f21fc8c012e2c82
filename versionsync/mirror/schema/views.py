"""Views for people who only know SQL: the same query on both databases, and every column with its meaning.

They hold no data. Every migration makes them again, so a view that is changed here reaches a database with the next
migration, which may be empty. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from versionsync.mirror.engine.dialects import OWN_VIEW, dialect_of
from versionsync.mirror.errors import DatabaseUnavailable

__all__ = ["VIEWS", "View", "drop_views", "make_views"]


@dataclass(frozen=True, slots=True)
class View:
    """A view. `comment` and `columns` say what it and each of its columns mean.

    In `query`, VALUE_BEFORE and VALUE_AFTER stand for what differs between the databases: the value that a row of
    `changes` is about.
    """

    name: str
    comment: str
    columns: Mapping[str, str]
    query: str


VALUE_BEFORE: Final = "{value before}"
VALUE_AFTER: Final = "{value after}"


def make_views(tx: Connection) -> None:
    """Make every view as declared here. Raises DatabaseUnavailable if something that a user made prevents it."""
    dialect = dialect_of(tx)
    for view in VIEWS:
        if occupant := dialect.in_the_way(tx, view.name):
            raise DatabaseUnavailable(
                f"the view {view.name} cannot be made, as {occupant} has this name: give that another name, or choose "
                "another database or schema (search_path)"
            )
        comment = f"{view.comment} ({OWN_VIEW})"
        query = view.query.replace(VALUE_BEFORE, dialect.changed_value("p.attributes"))
        query = query.replace(VALUE_AFTER, dialect.changed_value("v.attributes"))
        try:
            dialect.replace_view(tx, view.name, query, mark=OWN_VIEW, comment=comment, columns=view.columns)
        except DBAPIError as error:
            raise DatabaseUnavailable(
                f"the view {view.name} cannot be changed while views of your own depend on it: "
                "drop them, upgrade, and make them again"
            ) from error


def drop_views(tx: Connection) -> None:
    """Drop every view, so that their tables can be altered."""
    for view in reversed(VIEWS):
        dialect_of(tx).drop_view(tx, view.name)


_MEANINGS = {
    "source": "The source's name.",
    "source_id": "`sources.id`.",
    "model": "The model's API key.",
    "model_id": "`models.id`.",
    "record_id": "`records.id`.",
    "record_status": "`records.status`.",
    "version_id": "`versions.id`.",
    "ordinal": "The order of a record's versions.",
    "created_at": "When the version was made, according to DatoCMS.",
    "editor_type": "Who saved it: `editors.type`. Another editor may have published it.",
    "editor_id": "Who saved it: `editors.id`.",
    "editor_name": "The name of who saved it, if the token may read names.",
    "is_current": "Whether it is the newest version.",
    "is_published": "Whether it is the live version.",
    "published_from": "When its last publication began.",
    "published_until": "When its last publication ended. NULL: it did not end, or the end is not known.",
    "is_valid": "Whether it satisfies its model's validations. NULL: not known.",
    "attributes": "The content: a JSON object with one member for each field.",
    "missing_since": "When it was first missing from the versions of its record, which still exists.",
}
"""The meanings of columns that several views have."""


def _columns(names: str, **meanings: str) -> dict[str, str]:
    """Return the columns with these names, in this order. Some have a meaning of their own."""
    return {name: meanings.get(name) or _MEANINGS[name] for name in names.split()}


_VERSION_OF = _columns(
    "source source_id model model_id record_id record_status version_id created_at editor_type editor_id editor_name "
    "is_current is_published published_from published_until is_valid attributes"
)

_WITH_NAMES = """\
FROM versions AS v
JOIN records AS r ON r.source_id = v.source_id AND r.id = v.record_id
JOIN sources AS s ON s.id = v.source_id
JOIN models AS m ON m.source_id = v.source_id AND m.id = v.model_id
LEFT JOIN editors AS e ON e.source_id = v.source_id AND e.type = v.editor_type AND e.id = v.editor_id
"""

_VERSIONS_WITH_NAMES = f"""\
SELECT
    s.name AS source,
    v.source_id,
    m.api_key AS model,
    v.model_id,
    v.record_id,
    r.status AS record_status,
    v.id AS version_id,
    v.created_at,
    v.editor_type,
    v.editor_id,
    e.name AS editor_name,
    v.is_current,
    v.is_published,
    v.published_from,
    v.published_until,
    v.is_valid,
    v.attributes
{_WITH_NAMES}"""

_CURRENT = View(
    "current_versions",
    "The newest version of every record that is not deleted.",
    _VERSION_OF,
    f"{_VERSIONS_WITH_NAMES}WHERE v.is_current AND r.deleted_at IS NULL",
)

_PUBLISHED = View(
    "published_versions",
    "The live version of every record that has one and is not deleted.",
    _VERSION_OF,
    f"{_VERSIONS_WITH_NAMES}WHERE v.is_published AND r.deleted_at IS NULL",
)

_TIMELINE = View(
    "version_timeline",
    "Every version with its editor and the time in which it was the newest one: [current_from, current_until).",
    _columns(
        "source source_id model model_id record_id version_id ordinal created_at editor_type editor_id editor_name "
        "current_from current_until is_current is_published published_from published_until missing_since",
        current_from="When it last became the newest version. NULL: it never did (a selective publication).",
        current_until="When that ended. NULL: it is still the newest version.",
    ),
    # - If upstream's clock is ahead, an end that was only observed is earlier than its beginning.
    # - The limits of the keys are for the index: without them, each version would read all events of its record. After
    #   the version's id, a key ends or goes on with "#" or ":", which come before ";".
    # - A sign before an event's id keeps the databases from reading the events of all records in the order of ids.
    f"""\
SELECT
    s.name AS source,
    v.source_id,
    m.api_key AS model,
    v.model_id,
    v.record_id,
    v.id AS version_id,
    v.ordinal,
    v.created_at,
    v.editor_type,
    v.editor_id,
    e.name AS editor_name,
    became.occurred_at AS current_from,
    coalesce(
        (
            SELECT
                CASE
                    WHEN superseded.occurred_at < became.occurred_at THEN became.occurred_at
                    ELSE superseded.occurred_at
                END
            FROM events AS superseded
            WHERE superseded.source_id = v.source_id
                AND superseded.record_id = v.record_id
                AND superseded.version_id = v.id
                AND superseded.type = 'version.superseded'
                AND superseded.key >= 'version.superseded:' || v.id
                AND superseded.key < 'version.superseded:' || v.id || ';'
                AND +superseded.id > became.id
            ORDER BY +superseded.id
            LIMIT 1
        ),
        CASE
            WHEN v.is_current AND r.deleted_at < became.occurred_at THEN became.occurred_at
            WHEN v.is_current THEN r.deleted_at
        END
    ) AS current_until,
    v.is_current,
    v.is_published,
    v.published_from,
    v.published_until,
    v.missing_since
{_WITH_NAMES}LEFT JOIN events AS became ON became.id = (
    SELECT max(+latest.id)
    FROM events AS latest
    WHERE latest.source_id = v.source_id
        AND latest.record_id = v.record_id
        AND latest.version_id = v.id
        AND latest.type = 'version.became_current'
        AND latest.key >= 'version.became_current:' || v.id
        AND latest.key < 'version.became_current:' || v.id || ';'
)""",  # noqa: S608 of constants only
)

_PUBLICATIONS = View(
    "publications",
    "Every interval in which a version was live: [live_from, live_until). DatoCMS keeps only the last of a version.",
    _columns(
        "source source_id model_id record_id version_id live_from live_from_basis live_until event_id",
        live_from="When it was published, or when its record returned with this version live.",
        live_from_basis="`upstream`: DatoCMS states the time. `observed`: versionsync first saw it then.",
        live_until="When it was unpublished or replaced, or when its record was deleted. NULL: it is live.",
        event_id="`events.id` of its publication, or of the return of its record.",
    ),
    # - A record that returns with the version that was live when it was deleted still has that flag: it has no event.
    # - An end that was only observed has the time of the check. That may be later than the start of what followed: an
    #   unpublication ended before the same version was published again, a deletion before the record returned. Events
    #   of one version, or of one record's deletions, are in the order in which they happened; all others go by time.
    # - The version's flag says what is live. Another environment's times may be later than that of the live version.
    #   If upstream's clock is ahead, what was observed may be earlier than what it ended.
    # - "What follows" is computed from the end backwards: databases add to such a window row by row, but read a window
    #   that looks forward again for each of its rows. Each window has a query of its own: only then does SQLite use
    #   the index if one record is asked for.
    # - A sign before an event's id: as in the timeline.
    """\
SELECT
    s.name AS source,
    publication.source_id,
    publication.model_id,
    publication.record_id,
    publication.version_id,
    publication.occurred_at AS live_from,
    publication.occurred_basis AS live_from_basis,
    CASE
        WHEN v.is_published AND r.deleted_at IS NULL AND publication.id = publication.last_id THEN NULL
        WHEN publication.unpublished_at IS NULL OR publication.replaced_at < publication.unpublished_at
            THEN coalesce(publication.replaced_at, publication.occurred_at)
        ELSE publication.unpublished_at
    END AS live_until,
    publication.id AS event_id
FROM (
    SELECT
        ended.*,
        max(CASE WHEN ended.type = 'version.published' THEN ended.id END) OVER (
            PARTITION BY ended.source_id, ended.record_id, ended.version_id
        ) AS last_id
    FROM (
        SELECT
            replaced.*,
            min(CASE WHEN replaced.type = 'version.unpublished' THEN replaced.occurred_at END) OVER (
                PARTITION BY replaced.source_id, replaced.record_id, replaced.version_id
                ORDER BY replaced.occurred_at DESC, replaced.id DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS unpublished_at
        FROM (
            SELECT
                e.*,
                min(CASE WHEN e.type IN ('version.published', 'record.deleted') THEN e.occurred_at END) OVER (
                    PARTITION BY e.source_id, e.record_id
                    ORDER BY e.occurred_at DESC, e.id DESC
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS replaced_at
            FROM (
                SELECT
                    flag.id,
                    flag.source_id,
                    flag.type,
                    flag.record_id,
                    flag.version_id,
                    flag.model_id,
                    CASE
                        WHEN flag.type = 'version.unpublished' AND flag.published_at < flag.occurred_at
                            THEN flag.published_at
                        WHEN flag.type = 'record.deleted' AND flag.returned_at < flag.occurred_at THEN flag.returned_at
                        ELSE flag.occurred_at
                    END AS occurred_at,
                    flag.occurred_basis
                FROM (
                    SELECT
                        each_flag.*,
                        min(CASE WHEN each_flag.type = 'record.returned' THEN each_flag.occurred_at END) OVER (
                            PARTITION BY each_flag.source_id, each_flag.record_id
                            ORDER BY each_flag.id DESC
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                        ) AS returned_at
                    FROM (
                        SELECT
                            id,
                            source_id,
                            type,
                            record_id,
                            version_id,
                            model_id,
                            occurred_at,
                            occurred_basis,
                            min(CASE WHEN type = 'version.published' THEN occurred_at END) OVER (
                                PARTITION BY source_id, record_id, version_id
                                ORDER BY id DESC
                                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                            ) AS published_at
                        FROM events
                        WHERE type IN ('version.published', 'version.unpublished', 'record.deleted', 'record.returned')
                    ) AS each_flag
                ) AS flag
                WHERE flag.type <> 'record.returned'
                UNION ALL
                SELECT
                    returned.id,
                    returned.source_id,
                    last.type,
                    returned.record_id,
                    last.version_id,
                    last.model_id,
                    returned.occurred_at,
                    returned.occurred_basis
                FROM events AS returned
                JOIN events AS last ON last.id = (
                    SELECT max(+flag.id)
                    FROM events AS flag
                    WHERE flag.source_id = returned.source_id
                        AND flag.record_id = returned.record_id
                        AND +flag.id < returned.id
                        AND flag.type IN ('version.published', 'version.unpublished')
                )
                WHERE returned.type = 'record.returned'
                    AND last.type = 'version.published'
                    AND NOT EXISTS (
                        SELECT 1
                        FROM events AS same_check
                        WHERE same_check.source_id = returned.source_id
                            AND same_check.record_id = returned.record_id
                            AND +same_check.id > returned.id
                            AND same_check.observed_at = returned.observed_at
                            AND same_check.type IN ('version.published', 'version.unpublished')
                    )
            ) AS e
        ) AS replaced
    ) AS ended
) AS publication
JOIN sources AS s ON s.id = publication.source_id
JOIN versions AS v ON v.source_id = publication.source_id AND v.id = publication.version_id
JOIN records AS r ON r.source_id = publication.source_id AND r.id = publication.record_id
WHERE publication.type = 'version.published'""",
)

_STATUS = View(
    "source_status",
    "The state of the mirror of each source.",
    {
        "source": "The source's name.",
        "source_id": "`sources.id`.",
        "project_name": "The project's name. NULL: it has none, or no run has read it yet.",
        "environment": "The mirrored environment. NULL: no run has read it yet.",
        "records": "Records that are not deleted.",
        "deleted_records": "Records that were deleted upstream and are kept here.",
        "versions": "All versions.",
        "last_event_id": "The newest event's `id`.",
        "last_data_change_at": "The environment's time of its last change, read before the last complete sweep.",
        "last_complete_sweep_at": "When the last sweep that listed every record began.",
        "complete_as_of": "The mirror holds everything that was upstream at this time.",
        "last_success_at": "When the last successful run ended, even if it read only a few records.",
        "last_run_id": "The newest run: `runs.id`.",
        "last_run_outcome": "Its outcome.",
        "last_run_started_at": "When it began.",
        "last_run_finished_at": "When it ended.",
        "last_run_error": "Why it failed, or what it could not do.",
        "last_run_error_kind": "The kind of that error: `runs.error_kind`.",
    },
    """\
SELECT
    s.name AS source,
    s.id AS source_id,
    s.project_name,
    s.environment,
    (SELECT count(*) FROM records AS r WHERE r.source_id = s.id)
        - (SELECT count(*) FROM records AS r WHERE r.source_id = s.id AND r.deleted_at IS NOT NULL) AS records,
    (SELECT count(*) FROM records AS r WHERE r.source_id = s.id AND r.deleted_at IS NOT NULL) AS deleted_records,
    (SELECT count(*) FROM versions AS v WHERE v.source_id = s.id) AS versions,
    (SELECT max(e.id) FROM events AS e WHERE e.source_id = s.id) AS last_event_id,
    s.last_data_change_at,
    s.last_complete_sweep_at,
    s.complete_as_of,
    s.last_success_at,
    run.id AS last_run_id,
    run.outcome AS last_run_outcome,
    run.started_at AS last_run_started_at,
    run.finished_at AS last_run_finished_at,
    run.error AS last_run_error,
    run.error_kind AS last_run_error_kind
FROM sources AS s
LEFT JOIN runs AS run ON run.id = (SELECT max(latest.id) FROM runs AS latest WHERE latest.source_id = s.id)""",
)

_CHANGES = View(
    "record_changes",
    "What each version changed: a row for each field, locale, block and kind of change. It is filled after a sync.",
    # In ORDER BY, SQLite does not see the columns of the query outside.
    {
        "source": "The source's name.",
        "source_id": "`sources.id`.",
        "model": "The model's API key.",
        "model_id": "`models.id`.",
        "record_id": "`records.id`.",
        "record_title": "The title of the version, in the locale of the change if it has one. NULL: it has no title.",
        "version_id": "The version that made the change.",
        "previous_version_id": "The version it is compared with. NULL: it is the first one.",
        "number": "`changes.number`.",
        "created_at": "When the version was made, according to DatoCMS.",
        "editor_type": "Who saved it: `editors.type`.",
        "editor_id": "Who saved it: `editors.id`.",
        "editor_name": "The name of who saved it, if the token may read names.",
        "field_id": "`fields.id`. NULL: the schema has no such field.",
        "field": "The field's API key, as in the content of the version.",
        "field_label": "Its name in the editing interface now.",
        "locale": "The locale. NULL: the field is not localized.",
        "block_id": "The innermost block that has the field. NULL: the record itself has it.",
        "block_path": "The ids of the blocks around it, outermost first, with `/` between them.",
        "kind": "`text`, `formatting`, `attribute`, `structure` or `reference`.",
        "operation": "`added`, `removed`, `changed` or `moved`.",
        "words_added": "Words that the version has and the one before it does not.",
        "words_removed": "Words that the version before it has and this one does not.",
        "before": "The field's whole value before, as text: JSON if it is no text. NULL: none, or it had another name.",
        "after": "The same after.",
    },
    """\
SELECT
    s.name AS source,
    c.source_id,
    m.api_key AS model,
    c.model_id,
    c.record_id,
    (
        SELECT named.title
        FROM (
            SELECT
                t.title,
                t.locale,
                CASE WHEN t.locale = c.locale THEN 0 WHEN t.locale = '' THEN 1 ELSE 2 END AS place
            FROM titles AS t
            WHERE t.source_id = c.source_id AND t.version_id = c.version_id
        ) AS named
        ORDER BY named.place, named.locale
        LIMIT 1
    ) AS record_title,
    c.version_id,
    c.previous_version_id,
    c.number,
    c.created_at,
    v.editor_type,
    v.editor_id,
    e.name AS editor_name,
    c.field_id,
    c.field,
    f.label AS field_label,
    c.locale,
    c.block_id,
    c.block_path,
    c.kind,
    c.operation,
    c.words_added,
    c.words_removed,
    {value before} AS before,
    {value after} AS after
FROM changes AS c
JOIN versions AS v ON v.source_id = c.source_id AND v.id = c.version_id
JOIN sources AS s ON s.id = c.source_id
JOIN models AS m ON m.source_id = c.source_id AND m.id = c.model_id
LEFT JOIN versions AS p ON p.source_id = c.source_id AND p.id = c.previous_version_id
LEFT JOIN fields AS f ON f.source_id = c.source_id AND f.id = c.field_id
LEFT JOIN editors AS e ON e.source_id = v.source_id AND e.type = v.editor_type AND e.id = v.editor_id""",
)

VIEWS = (_CURRENT, _PUBLISHED, _TIMELINE, _PUBLICATIONS, _CHANGES, _STATUS)
