-- Of one record and kind, each interval ends before the next one begins. Rows of this query are failures.
SELECT *
FROM (
    SELECT
        record_version_key,
        valid_until,
        lead(valid_from) OVER (PARTITION BY source, kind, record_id ORDER BY valid_from, valid_until NULLS LAST)
            AS next_valid_from
    FROM {{ ref('record_versions') }}
) AS intervals
WHERE next_valid_from < coalesce(valid_until, 'infinity')
