-- One row for each field, locale and block that a version changed.
SELECT
    concat_ws('/', sources.name, changes.version_id, changes.number) AS field_change_key,
    sources.name AS source,
    changes.record_id,
    coalesce(models.api_key, models.id) AS model,
    changes.version_id,
    changes.created_at AS changed_at,
    coalesce(editors.name, versions.editor_id) AS changed_by,
    changes.field,
    fields.label AS field_label,
    changes.locale,
    changes.block_id,
    changes.kind,
    changes.operation,
    changes.words_added,
    changes.words_removed,
    changes.previous_version_id IS NULL AS is_first_version
FROM {{ source('versionsync', 'changes') }} AS changes
INNER JOIN {{ source('versionsync', 'sources') }} AS sources ON changes.source_id = sources.id
INNER JOIN {{ source('versionsync', 'versions') }} AS versions
    ON changes.source_id = versions.source_id AND changes.version_id = versions.id
INNER JOIN {{ source('versionsync', 'models') }} AS models
    ON changes.source_id = models.source_id AND changes.model_id = models.id
LEFT JOIN {{ source('versionsync', 'fields') }} AS fields
    ON changes.source_id = fields.source_id AND changes.field_id = fields.id
LEFT JOIN {{ source('versionsync', 'editors') }} AS editors
    ON versions.source_id = editors.source_id
    AND versions.editor_type = editors.type
    AND versions.editor_id = editors.id
