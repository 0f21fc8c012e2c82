-- One row for each time that a version was the newest one of its record, or live: a slowly changing dimension, type 2.
SELECT
    concat_ws('/', sources.name, intervals.kind, intervals.record_id, intervals.valid_from, intervals.number)
        AS record_version_key,
    sources.name AS source,
    intervals.kind,
    intervals.record_id,
    coalesce(models.api_key, models.id) AS model,
    intervals.version_id,
    titles.title,
    intervals.valid_from,
    intervals.valid_until,
    intervals.valid_until IS NULL AS is_open,
    intervals.known_from,
    intervals.known_until,
    coalesce(editors.name, versions.editor_id) AS saved_by,
    versions.attributes
FROM {{ source('versionsync', 'intervals') }} AS intervals
INNER JOIN {{ source('versionsync', 'sources') }} AS sources ON intervals.source_id = sources.id
INNER JOIN {{ source('versionsync', 'versions') }} AS versions
    ON intervals.source_id = versions.source_id AND intervals.version_id = versions.id
INNER JOIN {{ source('versionsync', 'models') }} AS models
    ON intervals.source_id = models.source_id AND intervals.model_id = models.id
LEFT JOIN {{ source('versionsync', 'editors') }} AS editors
    ON versions.source_id = editors.source_id
    AND versions.editor_type = editors.type
    AND versions.editor_id = editors.id
LEFT JOIN {{ source('versionsync', 'titles') }} AS titles
    ON versions.source_id = titles.source_id
    AND versions.id = titles.version_id
    AND titles.locale IN ('', sources.locales ->> 0)
