"""Views for people who only know SQL: the same text on both databases, and every column with its meaning.

They hold no data. Every migration makes them anew, so a view that is changed here reaches a database with the next
migration (an empty one will do); a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from versionsync.mirror.engine.types import POSTGRES
from versionsync.mirror.errors import DatabaseUnavailable
from versionsync.mirror.schema.ddl import OWN_VIEW, comment_on_view, drop_view, in_the_way, replace_view

__all__ = ["VIEWS", "View", "drop_views", "make_views"]


@dataclass(frozen=True, slots=True)
class View:
    """A view: what it shows, what each of its columns means, and its query."""

    name: str
    comment: str
    columns: Mapping[str, str]
    query: str


def make_views(tx: Connection) -> None:
    """Make every view what is said here. Raises DatabaseUnavailable where what a user has made forbids it."""
    for view in VIEWS:
        if there := in_the_way(tx, view.name):
            raise DatabaseUnavailable(
                f"the view {view.name} cannot be made, as {there} has this name: give that another name, or choose "
                "another database or schema (search_path)"
            )
        try:
            replace_view(tx, view.name, view.query if tx.dialect.name == POSTGRES else f"-- {OWN_VIEW}\n{view.query}")
        except DBAPIError as error:
            raise DatabaseUnavailable(
                f"the view {view.name} cannot be changed while views of your own stand on it: "
                "drop them, upgrade, and make them again"
            ) from error
        comment_on_view(tx, view.name, f"{view.comment} ({OWN_VIEW})", view.columns)


def drop_views(tx: Connection) -> None:
    """Drop every view, so that their tables can be altered."""
    for view in reversed(VIEWS):
        drop_view(tx, view.name)


_VERSION_OF = {
    "source": "The source's name.",
    "source_id": "`sources.id`.",
    "model": "The model's name in the API.",
    "model_id": "`models.id`.",
    "record_id": "`records.id`.",
    "record_status": "`records.status`.",
    "version_id": "`versions.id`.",
    "created_at": "When the version was made.",
    "editor_type": "Who saved it, which may not be who published it: `editors.type`.",
    "editor_id": "The same person or token: `editors.id`.",
    "editor_name": "The name of who saved it, as far as the token may read names.",
    "is_current": "Whether it is the newest one.",
    "is_published": "Whether it is the live one.",
    "published_from": "Since when it is live, or was the last time.",
    "published_until": "Until when it was live the last time.",
    "is_valid": "Whether it obeys its model's validations, where upstream says so.",
    "attributes": "The content: a JSON object, a member a field.",
}

_VERSIONS_WITH_NAMES = """\
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
FROM versions AS v
JOIN records AS r ON r.source_id = v.source_id AND r.id = v.record_id
JOIN sources AS s ON s.id = v.source_id
JOIN models AS m ON m.source_id = v.source_id AND m.id = v.model_id
LEFT JOIN editors AS e ON e.source_id = v.source_id AND e.type = v.editor_type AND e.id = v.editor_id
"""

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
    "Every version with the name of who saved it, and when it was the newest one: [current_from, current_until).",
    {
        "source": "The source's name.",
        "source_id": "`sources.id`.",
        "model": "The model's name in the API.",
        "model_id": "`models.id`.",
        "record_id": "`records.id`.",
        "version_id": "`versions.id`.",
        "ordinal": "Orders the versions of a record.",
        "created_at": "When it was made.",
        "editor_type": "Who saved it, which may not be who published it: `editors.type`.",
        "editor_id": "The same person or token: `editors.id`.",
        "editor_name": "The name of who saved it, as far as the token may read names.",
        "current_from": "Since when it was the newest one, the last time; NULL: it never was (a published mixture).",
        "current_until": "Until when; NULL: it still is.",
        "is_current": "Whether it is the newest one.",
        "is_published": "Whether it is the live one.",
        "published_from": "Since when it is live, or was the last time.",
        "published_until": "Until when it was live the last time.",
        "missing_since": "Since when upstream lists it no more, while its record lives.",
    },
    # An end that was only observed is earlier than its beginning where upstream's clock is ahead of ours.
    """\
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
                AND superseded.version_id = v.id
                AND superseded.type = 'version.superseded'
                AND superseded.id > became.id
            ORDER BY superseded.id
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
FROM versions AS v
JOIN records AS r ON r.source_id = v.source_id AND r.id = v.record_id
JOIN sources AS s ON s.id = v.source_id
JOIN models AS m ON m.source_id = v.source_id AND m.id = v.model_id
LEFT JOIN editors AS e ON e.source_id = v.source_id AND e.type = v.editor_type AND e.id = v.editor_id
LEFT JOIN events AS became ON became.id = (
    SELECT max(latest.id)
    FROM events AS latest
    WHERE latest.source_id = v.source_id
        AND latest.version_id = v.id
        AND latest.type = 'version.became_current'
)""",
)

_PUBLICATIONS = View(
    "publications",
    "Every interval in which a version was live: [live_from, live_until). Upstream remembers only a version's last.",
    {
        "source": "The source's name.",
        "source_id": "`sources.id`.",
        "model_id": "`models.id`.",
        "record_id": "`records.id`.",
        "version_id": "`versions.id`.",
        "live_from": "When it was published, or its record returned with it live.",
        "live_from_basis": "`upstream` said when; or it was only `observed` to be live then.",
        "live_until": "When it was unpublished, another publication took its place, or the record was deleted; "
        "NULL: it is live.",
        "event_id": "`events.id` of its publication, or of its record's return.",
    },
    # A record that returns with the version that was live when it went has that flag still: no event turned it.
    # An end that was only observed is told with the time of the look, which may be later than what began before it: an
    # unpublication is over when the same version is published again, a deletion when the record returns. What is told
    # of one version, or of one record's deletions, is told in the order in which it happened; all else goes by time.
    # What is live is what the version's flag says: another environment's times may be later than the one that is live
    # now, and where upstream's clock is ahead of ours, what is observed may be earlier than what it ended.
    # "What follows" is looked for from the end backwards: databases add to such a window row by row, but would go
    # through a window that looks forward again for each of its rows. And each window has a query of its own: only then
    # SQLite asks the index where one record is asked for.
    """\
SELECT
    s.name AS source,
    told.source_id,
    told.model_id,
    told.record_id,
    told.version_id,
    told.occurred_at AS live_from,
    told.occurred_basis AS live_from_basis,
    CASE
        WHEN v.is_published AND r.deleted_at IS NULL AND told.id = told.last_id THEN NULL
        WHEN told.unpublished_at IS NULL OR told.replaced_at < told.unpublished_at
            THEN coalesce(told.replaced_at, told.occurred_at)
        ELSE told.unpublished_at
    END AS live_until,
    told.id AS event_id
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
                        again.*,
                        min(CASE WHEN again.type = 'record.returned' THEN again.occurred_at END) OVER (
                            PARTITION BY again.source_id, again.record_id
                            ORDER BY again.id DESC
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
                    ) AS again
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
                    SELECT max(flag.id)
                    FROM events AS flag
                    WHERE flag.source_id = returned.source_id
                        AND flag.record_id = returned.record_id
                        AND flag.id < returned.id
                        AND flag.type IN ('version.published', 'version.unpublished')
                )
                WHERE returned.type = 'record.returned'
                    AND last.type = 'version.published'
                    AND NOT EXISTS (
                        SELECT 1
                        FROM events AS then_told
                        WHERE then_told.source_id = returned.source_id
                            AND then_told.record_id = returned.record_id
                            AND then_told.id > returned.id
                            AND then_told.observed_at = returned.observed_at
                            AND then_told.type IN ('version.published', 'version.unpublished')
                    )
            ) AS e
        ) AS replaced
    ) AS ended
) AS told
JOIN sources AS s ON s.id = told.source_id
JOIN versions AS v ON v.source_id = told.source_id AND v.id = told.version_id
JOIN records AS r ON r.source_id = told.source_id AND r.id = told.record_id
WHERE told.type = 'version.published'""",
)

_STATUS = View(
    "source_status",
    "How far the mirror of each source has come.",
    {
        "source": "The source's name.",
        "source_id": "`sources.id`.",
        "project_name": "The project's name.",
        "environment": "The environment that is mirrored.",
        "records": "Records that are not deleted.",
        "deleted_records": "Records that are gone upstream and kept here.",
        "versions": "Versions, all of them.",
        "last_event_id": "The newest event's `id`.",
        "last_data_change_at": "Upstream's own time of its last change, as of the last complete sweep.",
        "last_complete_sweep_at": "When the last sweep that saw every record began.",
        "complete_as_of": "The moment of which the mirror holds all that was upstream: how fresh it is.",
        "last_success_at": "When the last run that succeeded ended, be it one that read a few records only.",
        "last_run_id": "The newest run: `runs.id`.",
        "last_run_outcome": "Its outcome.",
        "last_run_started_at": "When it began.",
        "last_run_finished_at": "When it ended.",
        "last_run_error": "Why it failed, or what it could not do.",
        "last_run_error_kind": "The same as one word: `runs.error_kind`.",
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

VIEWS = (_CURRENT, _PUBLISHED, _TIMELINE, _PUBLICATIONS, _STATUS)
