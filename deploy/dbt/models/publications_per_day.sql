-- One row for each source, model and day (UTC) with a publication or its end.
SELECT
    concat_ws('/', sources.name, events.model_id, (events.occurred_at AT TIME ZONE 'UTC')::date)
        AS publications_per_day_key,
    sources.name AS source,
    coalesce(models.api_key, models.id) AS model,
    (events.occurred_at AT TIME ZONE 'UTC')::date AS day,
    count(*) FILTER (WHERE events.type = 'version.published') AS published,
    count(*) FILTER (WHERE events.type = 'version.unpublished') AS ended,
    count(DISTINCT events.record_id) AS records
FROM {{ source('versionsync', 'events') }} AS events
INNER JOIN {{ source('versionsync', 'sources') }} AS sources ON events.source_id = sources.id
INNER JOIN {{ source('versionsync', 'models') }} AS models
    ON events.source_id = models.source_id AND events.model_id = models.id
WHERE events.type IN ('version.published', 'version.unpublished')
GROUP BY sources.name, events.model_id, models.api_key, models.id, (events.occurred_at AT TIME ZONE 'UTC')::date
