-- One row for each record that is live: its live version.
SELECT
    versions.source,
    versions.record_id,
    versions.model,
    versions.version_id,
    versions.title,
    versions.valid_from AS published_at,
    versions.saved_by,
    versions.attributes
FROM {{ ref('record_versions') }} AS versions
INNER JOIN {{ source('versionsync', 'sources') }} AS sources ON versions.source = sources.name
INNER JOIN {{ source('versionsync', 'records') }} AS records
    ON sources.id = records.source_id AND versions.record_id = records.id
WHERE versions.kind = 'published' AND versions.is_open AND records.deleted_at IS NULL
